// SPDX-License-Identifier: Apache-2.0
// The admin listener: UI, API, metrics, health and readiness on ui.addr, served on the control loop
// with its own connections and limits, so that it answers whatever the data path is going through.
// Reads the published table, the targets' counters, the problems and the backend; never calls the
// data path.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin/metrics_config.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "discover/backend.h"
#include "discover/feed.h"
#include "discover/problems.h"
#include "discover/snapshot.h"
#include "upstream/registry.h"

struct uv_loop_s;
struct admin;
struct inherited; // net/inherited.h
struct login;     // admin/login.h

enum ui_access {
    UI_ACCESS_DEFAULT,
    UI_ACCESS_RO,
    UI_ACCESS_RW
}; // default: writes only from loopback

// ui.routingtable.source.*: how the page makes a link of a route's source.
struct admin_source_links {
    bool are_enabled;
    bool open_tabs;
    struct str scheme; // http or https; empty: the page's
    struct str host;   // of sources that have none; empty: the page's
    struct str port;   // likewise; empty: none
};

// ui.auth: who may see the pages, API and metrics.
struct admin_login {
    bool is_required;
    struct str name;
    struct str file; // htpasswd
    struct str realm;
    uint32_t refresh_ms; // how often the file is looked at; 0: never again
};

// Strings are borrowed and must outlive the admin.
struct admin_config {
    struct str addr;  // "host:port" or ":port"
    struct str hosts; // ui.hosts: further names it may be called by, comma-separated; "*": any
    enum ui_access access;
    struct str title;   // ui.title
    struct str color;   // ui.color
    struct str path;    // ui.path, base path without trailing '/'
    struct str version; // program version
    struct admin_source_links source_links;
    struct admin_login login;
    struct metrics_config metrics;
    uint32_t stale_ready_ms; // data older than this makes /ready fail; 0: never
};

struct admin_reloads {
    uint64_t succeeded, failed;
    uint64_t last_success_us; // wall clock; the start counts
};

// What the admin pages read. Borrowed; must outlive the admin.
struct admin_sources {
    struct feed *feed;
    struct targets *targets;
    struct problems *problems;
    const struct backend *backend;
    const struct snapshot_keeper *snapshot; // NULL: none is kept
    // Sums of the workers' own counters, and refusals per reason, of the whole process.
    void (*read_workers)(void *ctx, struct worker_totals *totals);
    uint64_t (*read_refusals)(void *ctx, unsigned refusal, bool is_response);
    // Answers of the proxy's own with that status (100 to 999) to requests that no target was
    // chosen for: all, or those of redirect routes.
    uint64_t (*read_answers)(void *ctx, unsigned status, bool is_redirect);
    // Whether the listeners of the proxy are open; NULL: yes.
    bool (*is_listening)(void *ctx);
    // Gauges of the data path: open client connections.
    uint64_t (*read_open_connections)(void *ctx);
    // Those of one worker. False: there is no such worker.
    bool (*read_worker_connections)(void *ctx, unsigned worker, uint64_t *count);
    // What became of attempts to reload the configuration.
    struct admin_reloads (*read_reloads)(void *ctx);
    // The configuration as JSON text (secrets masked), for /api/config; appended to out.
    void (*write_config_json)(void *ctx, struct buf *out);
    void *ctx;
};

// Binds, or takes inherited sockets, and serves; when is_waiting, only from admin_listen on, while
// another process serves the same sockets. NULL and err when the address cannot be used.
MUST_CHECK struct admin *admin_start(struct uv_loop_s *loop, const struct admin_config *config,
                                     const struct admin_sources *sources,
                                     struct inherited *inherited, bool is_waiting, struct err *err);
void admin_listen(struct admin *admin);
// Another configuration, in two steps, of which only the first can fail. Addresses and metrics stay
// as they were. config is borrowed until the next one. prepare gives *login (which may be NULL) to
// set or to drop.
MUST_CHECK int admin_prepare_config(struct admin *admin, const struct admin_config *config,
                                    struct login **login, struct err *err);
void admin_drop_config(struct login *login);
void admin_set_config(struct admin *admin, const struct admin_config *config, struct login *login);
// The listening sockets, to be handed over; returns their number.
unsigned admin_sockets(const struct admin *admin, int *sockets, unsigned max);
// Another process serves the sockets: takes no connection any more, and ends those it has as soon
// as nothing is being answered.
void admin_retire(struct admin *admin);
// The port it listens on (for ":0").
uint16_t admin_port(const struct admin *admin);
// From now on /ready answers 503 "draining".
void admin_set_draining(struct admin *admin);
// Pushes what metrics have gained since the last push: before the end of the workers.
void admin_push_metrics(struct admin *admin);
// Closes the listeners and all connections; frees itself, then on_closed.
void admin_close(struct admin *admin, void (*on_closed)(void *ctx), void *ctx);
