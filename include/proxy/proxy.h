// SPDX-License-Identifier: Apache-2.0
// The data path as the process sees it: listeners and workers that forward HTTP by the published
// table. All functions are for the control thread.
#pragma once

#include <stdint.h>

#include "auth/htpasswd.h"
#include "base/err.h"
#include "http/refusal.h"
#include "proxy/config.h"
#include "stats/counters.h"
#include "upstream/registry.h"

struct uv_loop_s;
struct proxy;
struct inherited;

// Descriptors that clients and connections to targets may use together, by the limit of open files.
uint32_t proxy_usable_descriptors(void);
// Whether all listeners could be bound now, but for those that are inherited; 0, or a code and err
// that names the address.
MUST_CHECK int proxy_check_listeners(const struct proxy_config *config,
                                     const struct inherited *inherited, struct err *err);
// Binds all listeners, or takes inherited ones, and starts the workers. targets are borrowed and
// must outlive the proxy, config until the next one is adopted; the table cell must hold a table;
// users has one set for each scheme of config->auth. NULL and err when an address cannot be bound
// or memory is short.
MUST_CHECK struct proxy *proxy_start(struct uv_loop_s *control_loop,
                                     const struct proxy_config *config, struct targets *targets,
                                     struct htpasswd *const *users, struct inherited *inherited,
                                     struct err *err);
// Another configuration from now on, listeners included: new ones are bound first, those that are
// gone stop accepting and their connections go on. 0; or a code and err, and nothing has changed.
// worker_count must be the same.
MUST_CHECK int proxy_set_config(struct proxy *proxy, const struct proxy_config *config,
                                struct htpasswd *const *users, struct err *err);
// Whether no worker reads an older configuration than the last one set.
bool proxy_config_is_adopted(const struct proxy *proxy);
// The listening sockets, to be handed over; returns their number. Before proxy_drain.
unsigned proxy_sockets(const struct proxy *proxy, int *sockets, unsigned max);
// Where it listens, with the ports it has got; returns their number.
unsigned proxy_addresses(const struct proxy *proxy, struct sockaddr_storage *addresses,
                         unsigned max);
// Port of the first listener (for ":0").
uint16_t proxy_port(const struct proxy *proxy, unsigned listener);

// Page for requests without a route; copied. Any time.
void proxy_set_noroute_html(struct proxy *proxy, struct str html);
// New users of one scheme. Any time. False when memory is short for some worker: to be repeated.
MUST_CHECK bool proxy_set_users(struct proxy *proxy, unsigned scheme, struct htpasswd *users);
// Figures, summed over workers.
void proxy_totals_read(const struct proxy *proxy, struct worker_totals *totals);
uint64_t proxy_refusals(const struct proxy *proxy, enum http_refusal refusal, bool is_response);
// Answers of the proxy's own with that status, to requests that no target was chosen for; of
// redirect routes alone, or all.
uint64_t proxy_answers(const struct proxy *proxy, unsigned status, bool is_redirect);
// Client connections of one worker.
uint64_t proxy_worker_connections(const struct proxy *proxy, unsigned worker);
unsigned proxy_worker_count(const struct proxy *proxy);
uint64_t proxy_open_connections(const struct proxy *proxy);

// Graceful end: stop accepting, close idle clients, answer with Connection: close, wait for running
// requests and tunnels for at most drain_ms, then cut. on_drained is called on the control loop
// when no worker has connections any more. Calling again with a smaller drain_ms shortens the wait.
void proxy_drain(struct proxy *proxy, uint32_t drain_ms, void (*on_drained)(void *ctx), void *ctx);
// Joins the workers and frees everything. After on_drained.
void proxy_free(struct proxy *proxy);
