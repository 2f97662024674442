// SPDX-License-Identifier: Apache-2.0
// What all watches on one Consul agent share: the HTTP client, the queue of short reads (at most
// eight at a time, within a global rate), the knowledge that the agent is away, the penalty for
// having been told "too many requests", and the counters. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "base/rng.h"
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
    struct list queue;    // watches that wait for a short read
    unsigned running;     // short reads
    uv_timer_t timer;     // the queue goes on when it fires
    bool has_token;       // of the bucket, valid when the timer fires

    struct backoff backoff; // while away
    uint64_t away_since_ms; // 0: the agent answers
    char failure[128];      // while away: the last one told
    uint64_t retry_at_ms;   // while away: not before
    bool is_broken;         // connections failed; the next answer may come from a new process
    uint64_t settled_at_ms; // until then its checks may not have run yet

    struct bucket retries;   // what failing watches but the catalog may ask together
    bool is_catalog_failing; // then nearly everything is, and the catalog finds out when it is over
    uint64_t kicked_ms;      // last time one's recovery made the others try

    unsigned failing;     // watches whose last request failed
    unsigned watch_limit; // long polls allowed now; shrinks on 429
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

// The watch waits for a short read; it is sent by watch_send_queued as soon as there is room.
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

// When a failing watch may try again: delay_ms from now, or later when too many do.
uint64_t agent_retry_delay_ms(struct agent *agent, uint64_t delay_ms);
// The catalog fails, or does no longer.
void agent_note_catalog(struct agent *agent, bool is_failing);
// Another failing watch got a good answer: so may the others.
void agent_note_recovery(struct agent *agent);

// All watches that wait after a failure try again now.
void agent_kick(struct agent *agent);
// Once a second: certificates and token files, recovery from 429.
void agent_tick(struct agent *agent);
