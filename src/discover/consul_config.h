// SPDX-License-Identifier: Apache-2.0
// What a Consul client needs to know to reach its agent: the configuration with the gaps filled
// from Consul's own environment variables, taken apart, and the contents of the token and
// certificate files. Made once by consul.c; refreshed when files change. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "discover/consul.h"
#include "discover/http_client.h"

enum { WATCHES_CEILING = 150 };

struct consul_settings {
    struct http_settings http;
    const char *proxy_variable;                        // that names the proxy in use; NULL: none
    char *token_file, *ca_file, *cert_file, *key_file; // NULL: none; owned
    char *namespace_name, *partition, *datacenter;     // NULL: none; owned
    int64_t stamps[4]; // of token, CA, certificate, key file when last read
};

// getenv is called through `env` so that tests can bring their own. On failure nothing is left to
// free.
typedef const char *(*env_fn)(const char *name);
MUST_CHECK int consul_settings_init(struct consul_settings *settings,
                                    const struct consul_config *config, env_fn env,
                                    struct err *err);
void consul_settings_fini(struct consul_settings *settings);

// Appends "/v1/<path><name>?<query>" and the parameters that every request carries; what comes next
// can be appended as it is. path and query are ours ("kv/", "recurse=&"), name is escaped.
void consul_settings_path(const struct consul_settings *settings, struct buf *out, const char *path,
                          struct str name, const char *query);

// Reads those files again that have changed since (all when is_forced). A file that cannot be read
// keeps its old content and is reported in err. True when something is different now.
bool consul_settings_refresh(struct consul_settings *settings, bool is_forced, struct err *err);
