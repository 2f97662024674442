// SPDX-License-Identifier: Apache-2.0
// All options of the process in one table of rows (key, type, default, help, where it goes). Values
// come from flags > FABIO_<KEY> > <KEY> in the environment > properties file > default. A bad value
// anywhere is an error that names key, value and source. docs/configuration.md is generated from
// the same rows. Control thread, at start.
#pragma once

#include <stdbool.h>

#include "admin/admin.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "discover/consul.h"
#include "discover/custom.h"
#include "discover/static.h"
#include "proxy/config.h"

struct option_storage;

enum backend_kind { BACKEND_CONSUL, BACKEND_STATIC, BACKEND_FILE, BACKEND_CUSTOM };

struct options {
    enum backend_kind backend;
    struct consul_config consul;
    struct static_config static_routes;
    struct file_config file;
    struct custom_config custom;
    struct feed_config feed;
    struct snapshot_config snapshot;
    struct proxy_config proxy;
    struct admin_config admin;
    struct listener_config admin_listener; // ui.addr, of which admin has the address
    enum log_level log_level;
    struct str worker_source;       // what says how many workers there are
    uint32_t deregister_grace_ms;   // proxy.deregistergraceperiod
    uint32_t shutdown_wait_ms;      // proxy.shutdownwait
    uint32_t upgrade_timeout_ms;    // proxy.upgradetimeout
    uint32_t registry_timeout_ms;   // registry.timeout; 0: wait for the registry without end
    bool is_insecure;               // insecure: no warning about running as root
    bool shows_version;             // -v, -version
    bool shows_help;                // -h, -help
    struct option_storage *storage; // arena behind all strings, texts of all keys; private
};

// Reads everything. argv as main's. 0, or an err_code with text (proxy.strategy: bad value "x" from
// environment FABIO_PROXY_STRATEGY: must be rnd or rr). *is_usage_error tells a bad flag, which
// is answered with the usage, from a bad configuration. To be ended with options_fini in every
// case.
MUST_CHECK int options_read(struct options *options, int argc, char *const *argv,
                            char *const *environ_list, struct err *err, bool *is_usage_error);
// The same while the process runs with `running`: options that cannot change are kept as they are
// there, with a warning. Any thread, as long as `running` does not change.
MUST_CHECK int options_read_again(struct options *options, const struct options *running, int argc,
                                  char *const *argv, char *const *environ_list, struct err *err);
// What differs: "proxy.noroutestatus 404 -> 502, ...", secrets masked; returns the number of keys.
unsigned options_print_changes(const struct options *before, const struct options *after,
                               struct buf *out);
void options_fini(struct options *options);

// What the operator should know although it is no error: ignored keys, old names, unknown FABIO_
// variables. index < options_warning_count.
size_t options_warning_count(const struct options *options);
struct str options_warning_at(const struct options *options, size_t index);

// Usage on -h: all keys, alphabetical, with default and help.
void options_print_help(struct buf *out);
// docs/configuration.md and conf/tagway.properties.
void options_print_markdown(struct buf *out);
void options_print_properties(struct buf *out);
// All values as JSON with secrets masked, in fabio's shape, for /api/config.
void options_print_json(const struct options *options, struct buf *out);
