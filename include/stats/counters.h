// SPDX-License-Identifier: Apache-2.0
// The numbers a worker keeps: one block per target it has served and one for itself. Each block has
// a single writer; the control thread reads it at any time, so every number is a relaxed atomic.
// Blocks are padded to cache lines. One X-macro row per counter gives field, metric name and help
// text.
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "stats/code_hists.h"
#include "stats/hist.h"
#include "stats/retry_budget.h"

// Per target. name, help
#define TARGET_COUNTERS(X)                                                                     \
    X(requests, "Requests sent to the target, retries not counted again.")                     \
    X(responses_1xx, "Interim responses of the target.")                                       \
    X(responses_2xx, "Final responses with status 2xx.")                                       \
    X(responses_3xx, "Final responses with status 3xx.")                                       \
    X(responses_4xx, "Final responses with status 4xx.")                                       \
    X(responses_5xx, "Final responses with status 5xx, the proxy's own 502 and 504 included.") \
    X(connects, "Connections opened to the target.")                                           \
    X(connect_failures, "Connections to the target that failed.")                              \
    X(tls_failures, "Of these, those whose TLS handshake failed.")                             \
    X(failures, "Requests that failed at the target: no, broken or late response.")            \
    X(retries, "Requests taken from the target to another try.")                               \
    X(retries_denied, "Further tries not made because the retry budget was used up.")          \
    X(ejections, "Times the target was taken out for consecutive failures.")                   \
    X(bytes_in, "Body bytes sent to the target.")                                              \
    X(bytes_out, "Body bytes received from the target.")                                       \
    X(latency_us_sum, "Sum of times from request to complete response, microseconds.")

// Per worker: limits that were hit. name, help
#define LIMIT_COUNTERS(X)                                                             \
    X(shed, "Client connections refused at a limit.")                                 \
    X(shed_address, "Client connections refused because their address had too many.") \
    X(evicted, "Idle client connections closed to make room.")                        \
    X(retired, "Client connections closed for their age or number of requests.")      \
    X(glitched, "Client connections closed for many oddities.")                       \
    X(glitched_targets, "Connections to targets closed for many oddities.")           \
    X(client_timeouts, "Client connections closed by a timeout.")                     \
    X(idle_timeouts, "Of these, those without a request.")                            \
    X(head_timeouts, "Of these, those whose request's head came too slowly.")         \
    X(body_timeouts, "Of these, those whose request's body stopped coming.")          \
    X(slow_bodies, "Of these, those whose request's body came below the least rate.") \
    X(write_timeouts, "Of these, those that did not read.")                           \
    X(body_too_large, "Requests refused for the size of their body (413).")           \
    X(target_write_timeouts, "Requests ended because the target did not read.")       \
    X(tunnel_timeouts, "Upgraded connections closed because nothing passed.")         \
    X(no_descriptor, "Requests answered 503 because descriptors were short.")         \
    X(no_memory, "Requests answered 503 because memory was short.")

// Per worker. name, help
#define WORKER_COUNTERS(X)                                                                \
    X(accepted, "Client connections accepted.")                                           \
    X(handed_over, "Client connections handed to a worker with fewer.")                   \
    X(closed, "Client connections closed.")                                               \
    X(requests, "Request heads read, refused ones included.")                             \
    X(no_route, "Requests without a route.")                                              \
    X(no_target, "Requests whose route has no usable target (503).")                      \
    X(loops, "Requests that came back to the proxy, or whose target is the proxy (508).") \
    X(access_denied, "Requests denied by the access rules of their route (403).")         \
    X(unauthorized, "Requests without valid credentials for their route (401).")          \
    X(auth_overloaded, "Requests given up as too many passwords are checked (503).")      \
    X(passwords_checked, "Passwords with a slow hash that were checked.")                 \
    X(redirects, "Requests answered by a redirect route.")                                \
    X(refused_requests, "Requests refused as malformed or over a limit.")                 \
    X(refused_responses, "Upstream responses refused as malformed or over a limit.")      \
    X(client_aborts, "Requests given up by the client.")                                  \
    X(upgrades, "Upgraded connections (websocket).")                                      \
    X(upgrades_ended, "Upgraded connections that have ended.")                            \
    X(reused, "Requests sent on a pooled upstream connection.")                           \
    X(replays, "Requests replayed because a pooled connection had died.")                 \
    X(surplus_bytes, "Upstream connections closed for bytes behind a response.")          \
    X(gzipped, "Responses compressed for the client.")                                    \
    X(gzip_shed, "Responses sent as they are because too many were compressed.")          \
    X(gunzipped, "Responses unpacked for clients that did not ask for gzip.")             \
    X(spliced_bytes, "Bytes of bodies that went through without being copied.")           \
    X(access_log_dropped, "Access log lines dropped because the log was full.")           \
    X(turns, "Turns of the worker's event loop.")                                         \
    LIMIT_COUNTERS(X)

// Status codes that an answer may have: proxy.noroutestatus allows all of three digits.
enum { STATUS_MIN = 100, STATUS_CODES = 900 };

struct target_counters {
#define X(name, help) alignas(8) _Atomic uint64_t name;
    TARGET_COUNTERS(X)
#undef X
    _Atomic uint64_t in_flight;  // requests and tunnels now at the target
    struct code_hists durations; // of all requests that ended here, by status code
    struct retry_budget budget;  // the worker's own
};

struct worker_counters {
#define X(name, help) alignas(8) _Atomic uint64_t name;
    WORKER_COUNTERS(X)
#undef X
};

// Single-writer increment: a plain load and store, no bus lock.
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t counter_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_relaxed);
}

// Sums for reading: plain numbers with the same names.
struct target_totals {
#define X(name, help) uint64_t name;
    TARGET_COUNTERS(X)
#undef X
    uint64_t in_flight;
    unsigned ejected_by;     // set by the sampler: targets or workers that hold it ejected now
    struct hist_sum latency; // of complete responses
};

struct worker_totals {
#define X(name, help) uint64_t name;
    WORKER_COUNTERS(X)
#undef X
};

// totals += counters.
void target_totals_add(struct target_totals *totals, const struct target_counters *counters);
// totals += other.
void target_totals_merge(struct target_totals *totals, const struct target_totals *other);
void worker_totals_add(struct worker_totals *totals, const struct worker_counters *counters);
