// SPDX-License-Identifier: Apache-2.0
// The Consul backend: routes from the tags of health-checked services, manual routes and the
// no-route page from KV, registration of the process itself. Follows the client contract C1-C35 in
// docs/consul.md. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "discover/backend.h"

enum unhealthy_routes { UNHEALTHY_503, UNHEALTHY_DROP, UNHEALTHY_FAILOPEN };
enum checks_required { CHECKS_ONE, CHECKS_ALL, CHECKS_NONE };

struct consul_config {
    struct str addr; // "host:port", "http://...", "https://...", "unix:///path"
    struct str token;
    struct str token_file; // read at start, on change and on 403
    struct str namespace_name;
    struct str partition;
    struct str datacenter;   // empty: the agent's
    struct str kv_path;      // "/fabio/config"
    struct str noroute_path; // "/fabio/noroute.html"
    struct str tag_prefix;   // "urlprefix-"
    struct str ca_file, ca_path, cert_file, key_file, tls_server_name;
    bool skips_tls_verify;
    struct str accepted_status; // comma list: "passing"
    enum checks_required checks_required;
    enum unhealthy_routes unhealthy_routes;
    bool is_consistent;         // registry.consul.requireConsistent
    bool allows_stale;          // registry.consul.allowStale (default read mode here is stale)
    uint32_t max_watches;       // 64, ceiling 150
    uint32_t wait_ms;           // 60000
    uint32_t mass_drop_percent; // 50; 0: guard off
    uint32_t poll_interval_ms;  // registry.consul.pollinterval; 0: long polls

    bool registers;           // registry.consul.register.enabled
    struct str register_name; // "fabio"
    struct str register_addr; // host:port of the admin listener as others reach it
    struct str register_tags; // comma list
    bool register_check_is_https;
    bool register_check_skips_tls_verify;
    uint32_t check_interval_ms;        // 1000
    uint32_t check_timeout_ms;         // 3000
    struct str check_deregister_after; // Go duration text; empty: none
};

// Borrows config, feed and problems; they must outlive the backend. NULL and err for an address or
// file that can never work.
MUST_CHECK struct backend *consul_backend_new(struct uv_loop_s *loop,
                                              const struct consul_config *config, struct feed *feed,
                                              struct problems *problems, struct err *err);
