// SPDX-License-Identifier: Apache-2.0
// What all watches on one Consul agent share: the HTTP client, the queue of short reads (at most
// eight at a time, within a global rate), the gate that requests to a broken agent pass one by one,
// the knowledge that the agent is away, the penalty for having been told "too many requests", and
// the counters. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "base/rng.h"
#include "discover/gate.h"
#include "discover/http_client.h"
#include "discover/pace.h"
#include "discover/problems.h"

struct consul_settings;
struct watch;

// Endpoint classes, as the label of metrics.
#define WATCH_CLASSES(X)        \
    X(WATCH_CATALOG, "catalog") \
    X(WATCH_SERVICE, "service") \
    X(WATCH_STATE, "state")     \
    X(WATCH_KV, "kv")
enum watch_class {
#define X(name, text) name,
    WATCH_CLASSES(X)
#undef X
        WATCH_CLASS_COUNT
};
const char *watch_class_text(enum watch_class class);

// Outcomes of requests, as the label of metrics: a status class or what happened instead.
enum { OUTCOME_2XX, OUTCOME_3XX, OUTCOME_4XX, OUTCOME_5XX, OUTCOME_NONE, OUTCOME_BAD, OUTCOMES };

struct agent_counters {
    uint64_t requests[WATCH_CLASS_COUNT][OUTCOMES];
    uint64_t wakeups_changed[WATCH_CLASS_COUNT];
    uint64_t wakeups_unchanged[WATCH_CLASS_COUNT];
    uint64_t last_ok_ms[WATCH_CLASS_COUNT]; // clock_now_ms(); 0: never
    uint64_t index_resets;
    uint64_t deadlines;
    uint64_t limiter_delays;
    uint64_t bytes;
};

struct agent {
    struct consul_settings *settings; // borrowed
    struct problems *problems;        // borrowed
    struct http_client *client;       // owned
    struct rng rng;
    uint32_t wait_ms;          // of long polls
    uint32_t poll_interval_ms; // 0: long polls

    struct bucket bucket; // all reads but a watch's first
    struct list queue;    // sound watches that wait for a short read
    struct list suspects; // failing and spinning ones that wait for the gate
    unsigned running;     // short reads
    uv_timer_t timer;     // the queues go on when it fires
    struct gate gate;
    bool was_catalog; // the last suspect that was let out

    struct backoff backoff; // while away
    uint64_t away_since_ms; // 0: the agent answers
    char failure[128];      // while away: the last one told
    uint64_t retry_at_ms;   // while away: not before
    bool is_broken;         // connections failed; the next answer may come from a new process
    uint64_t settled_at_ms; // until then its checks may not have run yet

    unsigned failing;                // watches whose last request failed
    unsigned spinning;               // watches whose polls return at once for no reason
    const struct watch *crowd_probe; // the one that finds out whether 429 is over; NULL: none
    unsigned watch_limit;            // long polls allowed now; shrinks on 429
    unsigned watch_max;
    uint64_t crowded_at_ms; // last 429 or last step of recovery; 0: no penalty

    struct list watches; // all, for kicks and for people
    bool is_stopping;
    struct agent_counters counters;
};

// 0 or ERR_NOMEM.
MUST_CHECK int agent_init(struct agent *agent, uv_loop_t *loop, struct consul_settings *settings,
                          struct problems *problems, unsigned watch_max);
// Aborts all calls. All watches must have been closed; then on_closed once the client and the timer
// are.
void agent_close(struct agent *agent, uv_close_cb on_timer_closed, void (*on_closed)(void *ctx),
                 void *ctx);

// The watch waits for a short read, or for the gate; watch_send_queued is called when it is its
// turn.
void agent_enqueue(struct agent *agent, struct watch *watch);
void agent_pump(struct agent *agent);

// What the answer to some request says about the agent.
void agent_note_answer(struct agent *agent);
void agent_note_broken(struct agent *agent);
void agent_note_away(struct agent *agent, const char *failure);
void agent_note_crowded(struct agent *agent);
// The longest delay of one watch's retries: short while few fail, so that they recover soon, longer
// the more there are.
uint32_t agent_retry_cap_ms(const struct agent *agent);

// A request failed. Its watch, if failing, is counted already.
void agent_note_bad(struct agent *agent);
// A good answer; its watch is no longer counted. was_gated: the request went through the gate.
void agent_note_good(struct agent *agent, bool was_gated);
// A watch that was spinning blocks again.
void agent_note_blocking(struct agent *agent);

// All watches that wait after a failure try again now.
void agent_kick(struct agent *agent);
// Once a second: certificates and token files, recovery from 429.
void agent_tick(struct agent *agent);
