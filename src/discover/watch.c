// SPDX-License-Identifier: Apache-2.0
// 1. watch_poll: a full read (no index) goes through the agent's queue.
// 2. on_call_done: the owner takes the answer in; its index decides the next request.
// 3. With an index the next request is a long poll, sent at once unless the token bucket says
// later. Failure of any kind: the index is forgotten, the next request is a full read after a
// delay. Only the owner's data decides what routes; a watch never clears anything.
// A Consul that does not block (polls fail at once, or return though nothing has changed and the
// index does not grow, goes back or is missing) would be asked without end: such a watch spins, and
// its polls pass the gate like those of failing ones until one of them blocks again. What the index
// was worth meanwhile nobody knows, so then it is read in full.
#include "discover/watch.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/consul_config.h"

enum {
    SHORT_TIMEOUT_MS = 60 * 1000,
    DENIED_MS = 30 * 1000,
    REFUSED_MS = 60 * 1000,
    CROWDED_MS = 5 * 1000,
    PROBE_FLOOR_MS = 1000,
    PROBE_CAP_MS = 1500,
    SPINS_MAX = 3,
    BLOCKS_MS = 500, // so long out, a poll blocks
    LAST_CONTACT_MAX_MS = 10 * 1000,
    DEFAULT_MODE_PAUSE_MS = 10 * 1000,
    COSTLY_BYTES_PER_MS = 64, // 1 MB takes Consul some 25 ms of CPU: 0.2 % of one
};

static void go(struct watch *watch);
static void wait_then_go(struct watch *watch, uint64_t delay_ms);
static void send_request(struct watch *watch, bool is_long);

int watch_set_path(struct watch *watch, const char *path, struct str name, const char *query)
{
    char *copy = NULL;
    struct buf text;
    buf_init(&text, 8192);
    consul_settings_path(watch->agent->settings, &text, path, name, query);
    if (buf_status(&text) == 0)
        copy = str_dup(buf_str(&text));
    buf_fini(&text);
    if (!copy)
        return ERR_NOMEM;
    mem_free(watch->path);
    watch->path = copy;
    return 0;
}

int watch_init(struct watch *watch, struct agent *agent, const struct watch_ops *ops,
               const char *path, struct str name, const char *query, struct str label,
               enum read_mode base_mode)
{
    *watch = (struct watch){
        .agent = agent, .ops = ops, .label = label, .base_mode = base_mode, .mode = base_mode};
    if (watch_set_path(watch, path, name, query) < 0)
        return ERR_NOMEM;
    bucket_init(&watch->bucket, ops->burst, ops->interval_ms, ops->slowest_interval_ms);
    uv_timer_init(agent->timer.loop, &watch->timer);
    watch->timer.data = watch;
    list_init(&watch->queue_link);
    list_init(&watch->link);
    list_push_back(&agent->watches, &watch->link);
    return 0;
}

static bool is_long_next(const struct watch *watch)
{
    return watch->index.value != 0 && watch->is_polling && !watch->agent->poll_interval_ms;
}

static struct str problem_scope(const struct watch *watch, const char *kind, char *room,
                                size_t size)
{
    int len = snprintf(room, size, "consul/%s/%s/%.*s", kind, watch_class_text(watch->ops->class),
                       STR_FMT(watch->label));
    return str_make(room, MIN((size_t)len, size - 1));
}

static void report(const struct watch *watch, const char *kind, const char *reason)
{
    char room[320];
    struct problems *problems = watch->agent->problems;
    problems_begin(problems, problem_scope(watch, kind, room, sizeof room));
    problems_add(
        problems,
        &(struct problem){.source = STR("consul"),
                          .service = watch->ops->class == WATCH_SERVICE ? watch->label : STR_NULL,
                          .instance = watch->ops->class == WATCH_SERVICE ? STR_NULL : watch->label,
                          .text = str_of(watch->path),
                          .reason = str_of(reason)});
    problems_end(problems);
}

static void clear_failure(struct watch *watch)
{
    char room[320];
    if (!watch->is_failing)
        return;
    watch->is_failing = false;
    watch->agent->failing--;
    problems_clear(watch->agent->problems, problem_scope(watch, "watch", room, sizeof room));
}

static void note_failure(struct watch *watch, const char *reason)
{
    watch->failures++;
    agent_note_bad(watch->agent);
    if (!watch->is_failing) {
        watch->is_failing = true;
        watch->agent->failing++;
        // When the agent goes away, all fail at once: a few lines say as much as a hundred.
        enum log_level level = watch->agent->failing <= 3 ? LOG_WARN : LOG_DEBUG;
        log_write(level, "consul: reading %s %.*s failed: %s; keeping what is known",
                  watch_class_text(watch->ops->class), STR_FMT(watch->label), reason);
    }
    report(watch, "watch", reason);
}

static void spin_end(struct watch *watch)
{
    char room[320];
    watch->spins = 0;
    if (!watch->is_spinning)
        return;
    watch->is_spinning = false;
    watch->agent->spinning--;
    problems_clear(watch->agent->problems, problem_scope(watch, "spin", room, sizeof room));
}

static void spin_begin(struct watch *watch)
{
    static const char REASON[] = "long polls return at once though nothing has changed; asked "
                                 "once a second, all such polls together";
    if (watch->is_spinning)
        return;
    watch->is_spinning = true;
    enum log_level level = ++watch->agent->spinning <= 3 ? LOG_WARN : LOG_DEBUG;
    log_write(level, "consul: %s %.*s: %s", watch_class_text(watch->ops->class),
              STR_FMT(watch->label), REASON);
    report(watch, "spin", REASON);
}

static void drop_call(struct watch *watch)
{
    http_call_cancel(watch->call);
    watch->call = NULL;
    if (watch->was_full)
        watch->agent->running--;
}

// Leaves its state for IDLE, whatever goes on.
static void halt(struct watch *watch)
{
    uv_timer_stop(&watch->timer);
    list_remove(&watch->queue_link);
    if (watch->call)
        drop_call(watch);
    watch->state = WATCH_IDLE;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    mem_free(watch->path);
    watch->on_closed(watch);
}

void watch_close(struct watch *watch, void (*on_closed)(struct watch *watch))
{
    halt(watch);
    clear_failure(watch);
    spin_end(watch);
    if (watch->agent->crowd_probe == watch)
        watch->agent->crowd_probe = NULL;
    watch->state = WATCH_CLOSING;
    watch->on_closed = on_closed;
    list_remove(&watch->link);
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
    agent_pump(watch->agent);
}

void watch_poll(struct watch *watch)
{
    if (watch->is_polling)
        return;
    watch->is_polling = true;
    if (watch->state == WATCH_IDLE && !watch->is_in_answer) {
        poll_index_forget(&watch->index);
        go(watch);
    }
}

void watch_rest(struct watch *watch)
{
    watch->is_polling = false;
    if (watch->state == WATCH_RUNNING && !watch->was_full)
        halt(watch);
}

void watch_read(struct watch *watch, enum read_mode mode)
{
    watch->mode = MAX(mode, watch->mode);
    if (watch->is_in_answer) {
        watch->wants_read = true;
        return;
    }
    if (watch->state == WATCH_RUNNING && !watch->was_full) {
        halt(watch);
    } else if (watch->state == WATCH_RUNNING) {
        watch->wants_read = true;
        return;
    } else if (watch->state != WATCH_IDLE) {
        poll_index_forget(&watch->index);
        return;
    }
    poll_index_forget(&watch->index);
    wait_then_go(watch, bucket_take_eased(&watch->bucket, clock_now_ms()));
}

void watch_hurry(struct watch *watch, uint64_t delay_ms)
{
    if (watch->state == WATCH_RUNNING) {
        watch->is_hurried = true;
    } else if (watch->state == WATCH_WAITING && !watch->is_failing &&
               uv_timer_get_due_in(&watch->timer) > delay_ms) {
        uv_timer_stop(&watch->timer);
        watch->state = WATCH_IDLE;
        wait_then_go(watch, delay_ms);
    }
}

void watch_kick(struct watch *watch)
{
    if (watch->state != WATCH_WAITING || !watch->is_failing)
        return;
    uv_timer_stop(&watch->timer);
    watch->state = WATCH_IDLE;
    go(watch);
}

static void on_timer(uv_timer_t *timer)
{
    struct watch *watch = timer->data;
    if (watch->state == WATCH_RUNNING) {
        watch_believe(watch); // it blocks
        agent_note_blocking(watch->agent);
        return;
    }
    watch->state = WATCH_IDLE;
    go(watch);
}

static void wait_then_go(struct watch *watch, uint64_t delay_ms)
{
    if (delay_ms == 0) {
        go(watch);
        return;
    }
    watch->state = WATCH_WAITING;
    uv_timer_start(&watch->timer, on_timer, delay_ms, 0);
}

// From IDLE: sends the next request or queues it.
static void go(struct watch *watch)
{
    if (is_long_next(watch) && !watch->is_spinning) {
        watch->was_gated = false;
        send_request(watch, true);
        return;
    }
    watch->state = WATCH_QUEUED;
    agent_enqueue(watch->agent, watch);
}

void watch_send_queued(struct watch *watch, bool is_gated)
{
    watch->was_gated = is_gated;
    send_request(watch, is_long_next(watch));
}

void watch_believe(struct watch *watch)
{
    if (!watch->is_spinning)
        return;
    spin_end(watch);
    watch->spins = SPINS_MAX - 1;
    if (watch->state == WATCH_RUNNING && watch->was_full)
        return;
    halt(watch);
    poll_index_forget(&watch->index);
    go(watch);
}

// 503, 500 and bad answers: with growing delay, for the catalog up to what the gate lets through.
static uint64_t retry_delay_ms(struct watch *watch)
{
    struct agent *agent = watch->agent;
    if (watch->ops->class == WATCH_CATALOG || agent->crowd_probe == watch)
        return backoff_next_probe(&watch->backoff, &agent->rng, PROBE_FLOOR_MS, PROBE_CAP_MS);
    return backoff_next(&watch->backoff, &agent->rng, agent_retry_cap_ms(agent));
}

static uint64_t refusal_delay_ms(struct watch *watch, int status)
{
    if (status == 429) {
        struct agent *agent = watch->agent;
        if (!agent->crowd_probe)
            agent->crowd_probe = watch;
        bool is_probe = agent->crowd_probe == watch || watch->ops->class == WATCH_CATALOG;
        // That a probe is refused again says nothing new.
        if (!is_probe || watch->backoff.failures == 0)
            agent_note_crowded(agent);
        return retry_delay_ms(watch) + (is_probe ? 0 : CROWDED_MS);
    }
    if (watch->ops->class == WATCH_CATALOG || (status != 403 && status != 400))
        return retry_delay_ms(watch);
    return status == 403 ? DENIED_MS : REFUSED_MS;
}

static void fail_with_status(struct watch *watch, const struct http_response *response)
{
    char reason[256];
    struct str text = str_upto(str_trim(response->body), 160);
    snprintf(reason, sizeof reason, "HTTP %d%s%.*s", response->status, text.len ? ": " : "",
             STR_FMT(text));
    note_failure(watch, reason);
    bool is_refused = response->status == 403 || response->status == 400;
    if (is_refused && watch->ops->on_refused)
        watch->ops->on_refused(watch);
    wait_then_go(watch, refusal_delay_ms(watch, response->status));
}

static void judge_failed_poll(struct watch *watch)
{
    bool is_early = !watch->was_full && clock_now_ms() - watch->sent_ms < BLOCKS_MS;
    if (is_early && ++watch->spins >= SPINS_MAX)
        spin_begin(watch);
}

static void fail(struct watch *watch, const struct http_response *response)
{
    struct agent *agent = watch->agent;
    if (response->is_deadline)
        agent->counters.deadlines++;
    if (!response->is_connect_failure) {
        // A polled connection that the agent closes, as it does when it goes down.
        if (!response->is_deadline && !watch->was_full)
            agent_note_broken(agent);
        note_failure(watch, response->failure);
        wait_then_go(watch, retry_delay_ms(watch));
        return;
    }
    agent_note_away(agent, response->failure);
    go(watch); // into a queue, which waits for the agent
}

// Whether Consul blocks as it should, by the answer to a poll.
static void judge_poll(struct watch *watch, enum index_step step, bool has_changed, uint64_t now_ms)
{
    if (watch->was_full)
        return;
    uint64_t out_ms = now_ms - watch->sent_ms;
    bool is_full_wait = out_ms >= watch->sent_wait_ms - watch->sent_wait_ms / 8;
    bool has_moved = step == INDEX_GO && watch->index.value > watch->sent_index;
    if (is_full_wait || (has_moved && (has_changed || out_ms >= BLOCKS_MS)))
        spin_end(watch);
    else if (!has_moved && !has_changed)
        watch->spins += step == INDEX_GO ? 1 : 2; // one way back is a restart
    if (watch->spins >= SPINS_MAX)
        spin_begin(watch);
}

// What spins may go on once without waiting for its turn, to see whether it blocks now.
static bool may_try(struct watch *watch)
{
    bool has_moved = watch->index.value > watch->sent_index;
    if (!watch->is_spinning || !watch->was_gated || !has_moved || !is_long_next(watch))
        return false;
    gate_borrow(&watch->agent->gate, clock_now_ms());
    return true;
}

// An answer whose index has moved tells of something, if not always of something that routes. One
// that comes back at once with the same index is a fault of the server's: it gets the plain rate.
static uint64_t pace_ms(struct watch *watch, const struct http_response *response, bool has_moved,
                        uint64_t now_ms)
{
    const struct watch_ops *ops = watch->ops;
    struct bucket *bucket = &watch->bucket;
    bool is_hurried = watch->is_hurried;
    watch->is_hurried = false;
    if (has_moved && is_hurried)
        return 0;
    if (has_moved && !ops->is_costly)
        return bucket_take_eased(bucket, now_ms);
    if (ops->is_costly) {
        uint64_t cost_ms = MIN(response->bytes / COSTLY_BYTES_PER_MS, ops->slowest_interval_ms);
        bucket->base_interval_ms = MAX(ops->interval_ms, (uint32_t)cost_ms);
        bucket->interval_ms = MAX(bucket->interval_ms, bucket->base_interval_ms);
    }
    uint64_t delay_ms = bucket_take(bucket, now_ms);
    return MIN(delay_ms, (uint64_t)bucket->interval_ms);
}

// The answer was taken in: what comes next.
static void succeed(struct watch *watch, const struct http_response *response, bool has_changed)
{
    struct agent *agent = watch->agent;
    enum watch_class class = watch->ops->class;
    uint64_t now_ms = clock_now_ms();
    clear_failure(watch);
    if (agent->crowd_probe == watch)
        agent->crowd_probe = NULL;
    backoff_reset(&watch->backoff);
    watch->has_answered = true;
    watch->last_ok_ms = agent->counters.last_ok_ms[class] = now_ms;
    watch->wakeups++;
    watch->changes += has_changed;
    if (has_changed)
        agent->counters.wakeups_changed[class]++;
    else
        agent->counters.wakeups_unchanged[class]++;

    watch->is_stale =
        response->is_without_leader || response->last_contact_ms > LAST_CONTACT_MAX_MS;
    if (watch->is_stale && watch->mode == READ_STALE && now_ms >= watch->next_default_ms) {
        watch->next_default_ms = now_ms + DEFAULT_MODE_PAUSE_MS;
        watch->mode = READ_DEFAULT;
        watch->wants_read = true;
    }

    uint64_t index_before = watch->index.value;
    enum index_step step = poll_index_update(&watch->index, response->has_index, response->index);
    bool has_moved = step == INDEX_GO && watch->index.value != index_before;
    if (step != INDEX_GO)
        agent->counters.index_resets++;
    judge_poll(watch, step, has_changed, now_ms);
    agent_note_good(agent, watch->was_gated && !watch->is_spinning);
    if (watch->wants_read) {
        watch->wants_read = false;
        poll_index_forget(&watch->index);
    } else if (!watch->is_polling) {
        return;
    }
    if (may_try(watch)) {
        watch->was_gated = false;
        send_request(watch, true);
        return;
    }
    // What spins is paced by the gate.
    uint64_t delay_ms = watch->is_spinning ? 0 : pace_ms(watch, response, has_moved, now_ms);
    if (delay_ms > 0)
        agent->counters.limiter_delays++;
    if (watch->index.value != 0)
        delay_ms = MAX(delay_ms, agent->poll_interval_ms);
    wait_then_go(watch, delay_ms);
}

static unsigned outcome_of(const struct http_response *response)
{
    if (response->status < 200 || response->status > 599)
        return OUTCOME_NONE;
    return OUTCOME_2XX + (unsigned)response->status / 100 - 2;
}

static void on_call_done(void *ctx, const struct http_response *response)
{
    struct watch *watch = ctx;
    struct agent *agent = watch->agent;
    unsigned outcome = outcome_of(response);
    watch->call = NULL;
    watch->state = WATCH_IDLE;
    uv_timer_stop(&watch->timer);
    watch->last_status = response->status;
    agent->counters.bytes += response->bytes;
    if (watch->was_full)
        agent->running--;
    if (response->status > 0)
        agent_note_answer(agent);

    bool is_answer = response->status == 200 || // another 2xx is none of Consul's
                     (response->status == 404 && response->has_index &&
                      watch->ops->is_empty_when_missing); // without: not Consul says so
    if (is_answer) {
        struct err err = {0};
        watch->mode = watch->base_mode; // the owner may ask for another
        watch->is_in_answer = true;
        int result = watch->ops->on_answer(watch, response, &err);
        watch->is_in_answer = false;
        if (watch->state == WATCH_CLOSING)
            return;
        if (result >= 0) {
            agent->counters.requests[watch->ops->class][outcome]++;
            succeed(watch, response, result == WATCH_CHANGED);
            agent_pump(agent);
            return;
        }
        outcome = OUTCOME_BAD;
        watch->wants_read = false;
        watch->mode = MAX(watch->mode, watch->sent_mode);
        note_failure(watch, err.text[0] ? err.text : err_text(result));
        poll_index_forget(&watch->index);
        wait_then_go(watch, retry_delay_ms(watch));
    } else {
        poll_index_forget(&watch->index);
        watch->mode = MAX(watch->mode, watch->sent_mode);
        watch->wants_read = false; // the retry is a full read anyway
        judge_failed_poll(watch);
        if (response->status > 0)
            fail_with_status(watch, response);
        else
            fail(watch, response);
    }
    agent->counters.requests[watch->ops->class][outcome]++;
    agent_pump(agent);
}

static void send_request(struct watch *watch, bool is_long)
{
    static const char *const MODES[] = {"stale=", "", "consistent="};
    struct agent *agent = watch->agent;
    uint32_t wait_ms = pace_wait_ms(agent->wait_ms, &agent->rng);
    struct buf path;
    buf_init(&path, 16 * 1024);
    buf_printf(&path, "%s%s", watch->path, MODES[watch->mode]);
    if (is_long)
        buf_printf(&path, "&index=%" PRIu64 "&wait=%" PRIu32 "ms", watch->index.value, wait_ms);
    watch->sent_mode = watch->mode;
    watch->was_full = !is_long;
    watch->sent_index = watch->index.value;
    watch->sent_wait_ms = wait_ms;
    watch->sent_ms = clock_now_ms();
    if (watch->ops->on_send)
        watch->ops->on_send(watch);
    struct http_request request = {
        .pool = is_long ? HTTP_LONG : HTTP_SHORT,
        .method = "GET",
        .path = buf_str(&path),
        .timeout_ms = is_long ? pace_deadline_ms(wait_ms) : SHORT_TIMEOUT_MS,
        .on_data = watch->ops->on_data,
        .on_done = on_call_done,
        .ctx = watch,
    };
    if (buf_status(&path) == 0)
        watch->call = http_client_send(agent->client, &request);
    buf_fini(&path);
    if (!watch->call) {
        note_failure(watch, err_text(ERR_NOMEM));
        poll_index_forget(&watch->index);
        wait_then_go(watch, BACKOFF_FIRST_MS + retry_delay_ms(watch));
        return;
    }
    watch->state = WATCH_RUNNING;
    if (!is_long)
        agent->running++;
    else if (watch->is_spinning)
        uv_timer_start(&watch->timer, on_timer, BLOCKS_MS, 0);
}
