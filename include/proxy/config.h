// SPDX-License-Identifier: Apache-2.0
// What the operator decides about the data path. One value per option row (app/options); immutable
// while workers run; borrowed strings. Times in milliseconds, 0 meaning "no such limit" where
// noted.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/ip.h"
#include "base/str.h"
#include "http/compose.h"
#include "http/head.h"
#include "route/table.h"
#include "upstream/eject.h"

enum {
    LISTENERS_MAX = 16,
    TRUSTED_NETS_MAX = 64,
    AUTH_SCHEMES_MAX = 64,
    CERT_SOURCES_MAX = 64,
    TLS_CIPHERS_MAX = 64
};
enum { RETRY_ATTEMPTS_MAX = 10 };

enum listener_proto {
    LISTENER_HTTP,
    LISTENER_HTTPS,
    LISTENER_TCP,
    LISTENER_TCP_SNI,
    LISTENER_TCP_DYNAMIC,
    LISTENER_HTTPS_TCP_SNI,
    LISTENER_GRPC,
    LISTENER_GRPCS,
    LISTENER_PROMETHEUS,
};

enum cert_source_type {
    CERT_SOURCE_FILE,
    CERT_SOURCE_PATH,
    CERT_SOURCE_HTTP,
    CERT_SOURCE_CONSUL,
    CERT_SOURCE_VAULT,
    CERT_SOURCE_VAULT_PKI,
};

// Where certificates come from (proxy.cs).
struct cert_source {
    struct str name;
    enum cert_source_type type;
    struct str cert; // path or URL, as the type has it
    struct str key;
    struct str client_ca;
    struct str ca_upgrade_name;           // caupgcn
    struct str vault_token_source;        // vaultfetchtoken
    struct str header_name, header_value; // hdr
    uint32_t refresh_ms;
};

struct listener_config {
    struct str addr; // host:port as written, for people
    struct sockaddr_storage sockaddr;
    enum listener_proto proto;
    uint32_t read_timeout_ms;              // rt: whole request; 0: the proxy's own defaults rule
    uint32_t write_timeout_ms;             // wt
    uint32_t idle_timeout_ms;              // it
    bool has_idle_timeout;                 // else idle_timeout_ms is the read timeout
    const struct cert_source *cert_source; // cs; NULL: none
    uint16_t tls_min, tls_max;             // versions as on the wire; 0: the library's
    uint16_t tls_ciphers[TLS_CIPHERS_MAX]; // none: the library's
    unsigned tls_cipher_count;
    bool is_match_strict;             // strictmatch: no certificate for names it is not made for
    bool has_proxy_header;            // pxyproto
    uint32_t proxy_header_timeout_ms; // pxytimeout
    uint32_t refresh_ms;              // tcp-dynamic
};

// One scheme of proxy.auth. Whoever reads the files hands their users to proxy_start and
// proxy_set_users.
struct auth_scheme_config {
    struct str name;
    struct str realm;
    struct str challenge; // WWW-Authenticate field line
    const char *file;     // htpasswd
    uint32_t refresh_ms;  // 0: read once
};

struct access_format;
struct regexp;

struct proxy_config {
    struct listener_config listeners[LISTENERS_MAX];
    unsigned listener_count;
    struct cert_source cert_sources[CERT_SOURCES_MAX];
    unsigned cert_source_count;
    unsigned worker_count; // 0: one per allowed CPU

    int noroute_status; // proxy.noroutestatus
    struct http_compose_config compose;
    struct http_limits request_limits;
    struct ip_net
        trusted[TRUSTED_NETS_MAX]; // proxy.trusted: peers whose forwarding fields are believed
    unsigned trusted_count;
    struct auth_scheme_config auth[AUTH_SCHEMES_MAX]; // proxy.auth
    unsigned auth_count;
    struct str sts_value; // Strict-Transport-Security; empty: none

    uint32_t client_head_timeout_ms;    // first byte to complete head: 10 s
    uint32_t client_idle_timeout_ms;    // between requests: 60 s
    uint32_t client_body_timeout_ms;    // no byte of the body: 30 s
    uint32_t client_write_timeout_ms;   // client does not read: 30 s
    uint32_t client_min_rate;           // bytes/s of a body that is sent or read; 0: none
    uint32_t client_min_rate_window_ms; // over which it is measured: 10 s
    uint32_t client_max_age_ms;         // no new request on an older connection; 0: none
    uint32_t connect_timeout_ms;        // proxy.dialtimeout: 30 s
    uint32_t response_timeout_ms;       // proxy.responseheadertimeout: 0 none
    uint32_t upstream_body_timeout_ms;  // no byte of a response body: 0 none
    uint32_t upstream_write_timeout_ms; // target does not read: 30 s
    uint32_t upstream_idle_timeout_ms;  // proxy.idleconntimeout: 15 s
    uint32_t upstream_keepalive_ms;     // proxy.keepalivetimeout: TCP keep-alive period, 0: 15 s
    uint32_t tunnel_idle_timeout_ms;    // 1 h
    uint32_t max_idle_per_endpoint;     // proxy.maxconn, per worker
    uint32_t max_connections;           // client connections of the process
    uint32_t max_per_address; // of them from one address that is not trusted; 0: a quarter
    uint32_t max_requests_per_connection; // 0: none
    uint32_t max_glitches;                // oddities of one connection; 0: no limit
    uint32_t retry_attempts;              // further tries after the first: 2
    uint32_t retry_budget_percent;        // of requests that may be sent again; 0: all
    struct eject_config eject;            // passive ejection
    bool ejects_for_gateway_status;       // a target's own 502, 503 and 504 are failures
    uint64_t request_body_max;            // bytes; above: 413. 0: none
    uint64_t response_head_max;           // bytes; above: 502
    uint64_t memory_max;                  // bytes on the heap; 0: no limit

    // TLS to https targets.
    uint32_t upstream_handshake_timeout_ms; // 10 s
    struct str upstream_ca_file;            // trusted beside the system's; empty: none
    struct str upstream_ca_path;

    const struct regexp *gzip_types; // base/regexp.h; NULL: nothing is compressed
    uint32_t gzip_max;               // responses that a worker compresses at a time
    bool asks_gzip; // proxy.gzip.upstream: targets are asked for gzip that is unpacked again

    const struct access_format *access_log; // proxy/access_log.h; NULL: off
};
