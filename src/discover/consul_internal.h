// SPDX-License-Identifier: Apache-2.0
// The Consul backend's own state, shared by the files consul*.c and by nothing else. consul.c is
// the entry: life cycle, catalog, plan. consul_service.c: one routed service. consul_digest.c: what
// stands in for polls above the budget. consul_nodes.c: what the nodes say of their services.
// consul_kv.c: manual routes and page, overrides.
// consul_register.c: the process's own registration. consul_restore.c: routes from disk at the
// start. consul_report.c: metrics and JSON. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "discover/agent.h"
#include "discover/consul.h"
#include "discover/consul_config.h"
#include "discover/defs.h"
#include "discover/plan.h"
#include "discover/state_digest.h"
#include "discover/watch.h"

struct registrar;

// Why removals are not believed yet.
enum hold_reason {
    HOLD_NONE,
    HOLD_MASS,    // too many at once
    HOLD_RESTART, // checks are critical until they have run once after the agent's start
};

// The polls of checks in digest mode. Those of single states are small and quick and tell of
// health; that of all tells of the rest, dearly.
enum check_state { CHECKS_ANY, CHECKS_CRITICAL, CHECKS_WARNING, CHECK_STATES };

struct check_poll {
    struct watch watch;
    struct state_digest digest; // of the answer that is coming in
    struct state_digest seen;   // of the last one
};

// A round over the services of all nodes.
struct node_sweep {
    struct watch watch; // rests
    struct arena arena; // of the names
    struct str *names;  // count
    size_t count, cap;
    size_t next; // nodes asked so far; 0: the list is
    bool is_running;
};

// A service whose tags contain the prefix, as the catalog says.
struct service {
    struct consul *consul;
    struct str name; // lies behind the struct
    struct watch watch;
    struct list link;                    // consul->polled or consul->resting
    enum hold_reason hold;               // why removals are held back; a consistent read ends it
    struct list held_link;               // consul->held
    struct def_list defs;                // as delivered
    uint64_t digest;                     // of the last applied answer
    uint64_t check_values[CHECK_STATES]; // of the last digests
    unsigned ahead;                      // bits of check_states: it was read later than that digest
    uint64_t places;                     // what its own last answer says of its instances
    uint64_t swept_places;               // what the nodes said of them in the last sweep
    uint64_t tags_digest;                // of its tags in the catalog
    uint64_t listed_at;                  // catalog pass that last named it
    uint64_t changed_ms;
    bool has_data;      // an answer was applied, or an earlier process's was restored
    bool is_restored;   // no answer of its own yet
    bool is_awaited;    // the first table waits for it
    bool is_confirming; // looks gone; a fresh read decides
    bool is_verifying;  // held by the guard; a consistent read decides
};

struct consul {
    const struct consul_config *config; // borrowed
    struct feed *feed;                  // borrowed
    struct problems *problems;          // borrowed
    uv_loop_t *loop;
    struct backend backend;
    struct consul_settings settings;
    struct agent agent;
    enum read_mode base_mode;

    struct watch catalog;
    struct map services; // name -> struct service, owned
    struct list polled;  // services with a long poll, most recently changed first
    struct list resting; // the others
    unsigned polled_count;
    uint64_t catalog_digest;
    uint64_t catalog_passes; // catalog answers looked at
    uint64_t catalog_pass;   // number of the last good one
    uint64_t up_total;       // instances that take traffic
    uint64_t instance_total;

    struct plan plan;
    struct check_poll checks[CHECK_STATES];
    struct bucket hurry;   // reads of all checks that do not wait for their turn
    uint64_t explained_ms; // last time something was seen that may have woken up the catalog
    struct node_sweep nodes;
    uint64_t sweep_due_ms; // a catalog wake-up awaits an explanation; 0: none
    uint64_t swept_ms;
    uint64_t round_due_ms; // the next sweep without a reason
    size_t sweep_left;     // services still to be read by the running sweep

    struct guard guard;
    struct list held; // services whose removals are held back
    uv_timer_t guard_timer;
    uint64_t guard_activations;

    struct watch manual;
    struct watch noroute;
    char *manual_text;     // as delivered; owned
    struct list overrides; // struct override of consul_kv.c: requests of the admin pages

    struct registrar *registrar; // owned; NULL: nothing is registered

    uv_timer_t tick;
    unsigned ticks;
    unsigned awaited; // answers the first table still waits for
    bool is_manual_awaited, is_noroute_awaited, is_catalog_awaited;
    uint64_t sync_deadline_ms;
    bool is_synced;
    uint64_t restored_us; // when the routes taken in at the start were saved; 0: none were

    bool is_stopping;
    unsigned closing; // handles and watches still open while stopping
    void (*on_stopped)(void *ctx);
    void *stopped_ctx;
};

// consul.c
void consul_answered(struct consul *consul, bool *is_awaited); // one of the first answers is there
void consul_replan(struct consul *consul);
void consul_note_acl_filter(struct consul *consul);
void consul_closed_one(struct consul *consul);

// Every watch uses the agent that is embedded here.
static inline struct consul *consul_of(const struct watch *watch)
{
    return CONTAINER_OF(watch->agent, struct consul, agent);
}

// consul_service.c
MUST_CHECK struct service *service_new(struct consul *consul, struct str name);
void service_close(struct service *service); // takes it out of everything; freed later
void service_poll(struct service *service);
void service_rest(struct service *service);
void service_check_gone(struct service *service); // no longer listed

// consul_restore.c
int consul_restore(void *self, const struct snapshot *snapshot);
void consul_write_identity(void *self, struct buf *out);

// consul_guard.c
// Whether the removal of so many instances of the service is to be held; is_listed: the service
// still has instances at all.
enum hold_reason hold_reason_of(struct service *service, unsigned removed, bool is_listed);
void hold_begin(struct service *service, enum hold_reason reason);
void hold_end(struct service *service);

// consul_digest.c
MUST_CHECK int digest_init(struct consul *consul); // the polls; they rest until digest_start
void digest_fini(struct consul *consul);
void digest_note_new(struct service *service);
void digest_note_read(struct service *service); // an answer of its own has changed it
void digest_start(struct consul *consul);
void digest_stop(struct consul *consul);
void digest_catalog_answered(struct consul *consul, bool has_changed);
void digest_tick(struct consul *consul);

// consul_nodes.c
MUST_CHECK int nodes_init(struct consul *consul);
void nodes_fini(struct consul *consul);
// Whether asking all nodes is less work than reading each service without a poll, and works.
bool nodes_pay_off(const struct consul *consul);
// Starts a round, or lets one that runs go on; false when it does not pay off.
bool nodes_sweep(struct consul *consul);

// consul_kv.c
extern const struct watch_ops MANUAL_OPS;
extern const struct watch_ops NOROUTE_OPS;
MUST_CHECK int consul_set_manual(struct consul *consul, struct str text);
typedef void (*override_fn)(void *ctx, int status, struct str body);
void consul_manual_paths(void *self, override_fn on_done, void *ctx);
void consul_manual_get(void *self, struct str sub_path, override_fn on_done, void *ctx);
void consul_manual_put(void *self, struct str sub_path, struct str value, struct str version,
                       override_fn on_done, void *ctx);
void consul_overrides_cancel(struct consul *consul);

// consul_register.c
MUST_CHECK struct registrar *registrar_new(struct consul *consul, struct err *err);
void registrar_free(struct registrar *registrar); // aborts its calls
void registrar_tick(struct registrar *registrar); // once a second and after each table
void registrar_deregister(struct registrar *registrar, void (*on_done)(void *ctx), void *ctx);
// See struct backend_ops.
void registrar_write_hashes(const struct registrar *registrar, struct buf *out);
void registrar_hand_over(struct registrar *registrar, struct str hashes);

// consul_report.c
void consul_write_metrics(void *self, struct buf *out);
void consul_write_json(void *self, struct buf *out);
