// SPDX-License-Identifier: Apache-2.0
// One Consul endpoint that is read over and over: its index, pace, failures and the call that runs.
// A watch either polls (blocking queries, one after the other) or rests and reads when told to. It
// never gives up. Owned by whoever embeds it; control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "discover/agent.h"
#include "discover/pace.h"

enum read_mode { READ_STALE, READ_DEFAULT, READ_CONSISTENT };

struct watch;

enum watch_result { WATCH_UNCHANGED, WATCH_CHANGED };

struct watch_ops {
    enum watch_class class;
    uint32_t burst, interval_ms, slowest_interval_ms; // of its token bucket
    bool is_costly;             // the longer the answer, the longer the pause behind it
    bool is_empty_when_missing; // 404 is an answer
    // A request goes out. May be NULL.
    void (*on_send)(struct watch *watch);
    // Bytes of an answer as they come; NULL: collected into the response's body.
    int (*on_data)(void *watch, struct str bytes);
    // A complete 2xx answer (or 404, see above): enum watch_result, or a negative code and err when
    // it cannot be used; it then counts as a failure.
    int (*on_answer)(struct watch *watch, const struct http_response *response, struct err *err);
    // The request failed for good for now (403, 400): nothing will come soon. May be NULL.
    void (*on_refused)(struct watch *watch);
};

// IDLE: nothing to do. WAITING: the timer runs (pace or backoff). QUEUED: in one of the agent's
// queues. RUNNING: a call is out. IDLE -> WAITING|QUEUED|RUNNING; WAITING -> QUEUED|RUNNING;
// QUEUED -> RUNNING; RUNNING -> WAITING|QUEUED|RUNNING|IDLE; any -> CLOSING.
enum watch_state { WATCH_IDLE, WATCH_WAITING, WATCH_QUEUED, WATCH_RUNNING, WATCH_CLOSING };

struct watch {
    struct agent *agent; // borrowed
    const struct watch_ops *ops;
    struct str label; // for people: service name or KV path; borrowed from the owner
    char *path;       // "/v1/...?key=value&", without mode, index and wait; owned
    enum watch_state state;
    enum read_mode base_mode;
    enum read_mode mode;      // of the next request
    enum read_mode sent_mode; // of the running or last one
    bool is_polling;
    bool was_full;     // the running or last request had no index
    bool was_gated;    // it went through the agent's gate
    bool is_in_answer; // the owner is taking an answer in
    bool wants_read;   // a read was asked for while a call ran
    bool is_hurried;   // the next poll does not wait for its pace
    bool is_failing;
    bool is_spinning; // its polls come back at once for no reason
    bool is_stale;    // the last answer came from a server without leader or far behind
    bool has_answered;
    int last_status; // HTTP status of the last answer, 0: none came
    struct poll_index index;
    uint64_t sent_index; // of the running or last request
    uint64_t sent_ms;
    uint32_t sent_wait_ms; // long polls
    unsigned spins;        // returns of that kind in a row
    struct bucket bucket;
    struct backoff backoff;
    struct http_call *call; // RUNNING
    uv_timer_t timer;
    struct list queue_link; // QUEUED
    struct list link;       // agent's list of all
    uint64_t last_ok_ms;
    uint64_t next_default_ms; // not before: the next read in default mode because of staleness
    uint64_t wakeups, changes, failures;
    void (*on_closed)(struct watch *watch);
};

// path, name and query: see consul_settings_path. 0 or ERR_NOMEM.
MUST_CHECK int watch_init(struct watch *watch, struct agent *agent, const struct watch_ops *ops,
                          const char *path, struct str name, const char *query, struct str label,
                          enum read_mode base_mode);
// Another endpoint for the requests to come; none may be out. 0 or ERR_NOMEM, then it stays.
MUST_CHECK int watch_set_path(struct watch *watch, const char *path, struct str name,
                              const char *query);
// Aborts what runs; on_closed when the memory may go.
void watch_close(struct watch *watch, void (*on_closed)(struct watch *watch));

// Begins to poll with a full read, or goes on if it does already.
void watch_poll(struct watch *watch);
// Stops polling: a running long poll is aborted.
void watch_rest(struct watch *watch);
// One full read in this mode soon, in any case a request that starts after this call. A polling
// watch polls on afterwards.
void watch_read(struct watch *watch, enum read_mode mode);
// A polling watch that waits for its pace polls on after this time; one whose poll is out does so
// at once when it is answered, for the answer may be older than this call.
void watch_hurry(struct watch *watch, uint64_t delay_ms);
// If it waits after a failure: tries again now.
void watch_kick(struct watch *watch);

// If it spins: Consul is believed to block again, until this watch shows otherwise.
void watch_believe(struct watch *watch);

// For agent_pump: sends the queued request; is_gated: it took a slot of the gate.
void watch_send_queued(struct watch *watch, bool is_gated);
