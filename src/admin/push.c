// SPDX-License-Identifier: Apache-2.0
// The way of one push:
//   1. on_interval  has the sampler read all counters.
//   2. push_all     goes through the series; push_series finds what each gained since the last time
//                   (struct seen) and lets every target's form write its lines.
//   3. flush        hands each target's lines to its sink.
// A target that leaves the table is pushed once more when the registry frees it (on_gone), so that
// nothing it did is lost. Shortage of memory costs single series of one push; they are caught up
// with the next.
#include "admin/push.h"

#include <uv.h>

#include "admin/metrics.h"
#include "admin/push_form.h"
#include "admin/push_sink.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "stats/prom.h"

// What a series stood at when it was pushed last.
struct seen {
    char *key;     // owned
    uint64_t pass; // of the last push with it
    uint64_t value;
    uint64_t sum_us;
    uint32_t buckets[]; // HIST_BUCKETS of a timer, modulo 2^32
};

struct outlet {
    enum push_target target;
    push_form_fn *form;
    struct sink *sink;
    struct buf lines; // of the push under way
};

struct push {
    const struct metrics_config *config;
    struct series_input input;
    struct sampler *sampler;
    struct push_names names;
    struct outlet outlets[PUSH_TARGETS];
    unsigned outlet_count;
    struct map seen;    // by family and labels
    struct map targets; // seen of a target, by its key
    uint64_t pass;
    uv_timer_t timer;
    unsigned open_parts;
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
};

static const struct {
    const char *name; // in metrics.target
    push_form_fn *form;
} TARGETS[PUSH_TARGETS] = {
    [PUSH_STDOUT] = {"stdout", push_form_flat},
    [PUSH_LABEL] = {"label", push_form_label},
    [PUSH_STATSD] = {"statsd_raw", push_form_statsd},
    [PUSH_DOGSTATSD] = {"dogstatsd", push_form_dogstatsd},
    [PUSH_GRAPHITE] = {"graphite", push_form_graphite},
};

// ---- what a series gained

static void seen_free(struct seen *seen)
{
    mem_free(seen->key);
    mem_free(seen);
}

static struct seen *seen_new(struct map *map, struct str key, bool is_timer)
{
    struct seen *seen =
        mem_zalloc(sizeof *seen + (is_timer ? HIST_BUCKETS * sizeof seen->buckets[0] : 0));
    if (!seen)
        return NULL;
    seen->key = mem_alloc(key.len + 1);
    if (seen->key && key.len > 0)
        memcpy(seen->key, key.ptr, key.len);
    key.ptr = seen->key;
    if (!key.ptr || map_put(map, key, seen) != 0) {
        seen_free(seen);
        return NULL;
    }
    return seen;
}

static struct seen *seen_of_series(struct push *push, const struct series *series)
{
    struct buf key;
    buf_init(&key, 4096);
    buf_append_char(&key, (char)('0' + series->family));
    for (unsigned i = 0; i < series->label_count; i++) {
        buf_append_str(&key, series->labels[i].value);
        buf_append_char(&key, '\0');
    }
    struct seen *seen = NULL;
    if (buf_status(&key) == 0) {
        seen = map_get(&push->seen, buf_str(&key));
        if (!seen)
            seen = seen_new(&push->seen, buf_str(&key), series->hist != NULL);
    }
    buf_fini(&key);
    return seen;
}

// Moves `seen` on to the series and leaves the difference in point and hist.
static void take_gain(struct seen *seen, const struct series *series, struct push_point *point,
                      struct hist_sum *hist)
{
    // Sums of the process end with its workers: never less than nothing.
    point->gained = series->value - MIN(series->value, seen->value);
    point->is_changed = seen->pass == 0 || series->value != seen->value;
    seen->value = series->value;
    if (!series->hist)
        return;
    point->sum_us = series->sum_us - MIN(series->sum_us, seen->sum_us);
    seen->sum_us = series->sum_us;
    hist->count = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        uint32_t gained = (uint32_t)series->hist->buckets[i] - seen->buckets[i];
        seen->buckets[i] += gained;
        hist->buckets[i] = gained;
        hist->count += gained;
    }
    point->hist = hist;
}

static void push_series(struct push *push, const struct series *series, struct seen *seen)
{
    if (!seen)
        return;
    struct hist_sum hist;
    struct push_point point = {
        .series = series, .names = &push->names, .now_s = clock_wall_us() / 1000000};
    take_gain(seen, series, &point, &hist);
    seen->pass = push->pass;
    for (unsigned i = 0; i < push->outlet_count; i++) {
        struct outlet *outlet = &push->outlets[i];
        size_t before = outlet->lines.len;
        outlet->form(&outlet->lines, &point);
        if (buf_status(&outlet->lines) == 0)
            continue;
        // Shortage, or lines beyond the maximum: the series is given up whole.
        outlet->lines.len = before;
        outlet->lines.failure = 0;
        sink_count_dropped(outlet->sink, 1);
    }
}

// ---- going through the series

static void on_series(void *ctx, const struct series *series)
{
    struct push *push = ctx;
    push_series(push, series, seen_of_series(push, series));
}

static void push_target(struct push *push, const struct target *target)
{
    struct str key = str_make((const char *)&target, sizeof target); // the pointer itself
    struct seen *seen = map_get(&push->targets, key);
    if (!seen && push->targets.count < METRICS_TARGETS_MAX)
        seen = seen_new(&push->targets, key, true);
    struct hist_sum hist = {0};
    struct series series;
    series_of_target(&series, target);
    series.sum_us =
        series_add_target(&hist, target, targets_worker_count(push->input.sources->targets));
    series.hist = &hist;
    push_series(push, &series, seen);
}

static void on_gone(void *ctx, struct target *target)
{
    struct push *push = ctx;
    push_target(push, target);
    struct seen *seen = map_remove(&push->targets, str_make((const char *)&target, sizeof target));
    if (seen)
        seen_free(seen);
}

// Series that are no more: services whose last target has long gone.
static void forget_old(struct push *push)
{
    size_t at = 0;
    struct map_entry entry;
    while (map_next(&push->seen, &at, &entry)) {
        struct seen *seen = entry.value;
        if (seen->pass == push->pass)
            continue;
        map_remove(&push->seen, entry.key);
        seen_free(seen);
        at--; // another entry may have moved there
    }
}

void push_now(struct push *push)
{
    sampler_read(push->sampler, clock_now_ms());
    push->pass++;
    for (unsigned i = 0; i < SERIES_FAMILY_COUNT; i++) {
        if (i != SERIES_ROUTE)
            series_each(&push->input, (enum series_family)i, on_series, push);
    }
    struct target *target = NULL;
    while ((target = sampler_next(push->sampler, target))) // silent ones have no series
        push_target(push, target);
    forget_old(push);
    for (unsigned i = 0; i < push->outlet_count; i++) {
        struct outlet *outlet = &push->outlets[i];
        sink_put(outlet->sink, buf_str(&outlet->lines));
        buf_fini(&outlet->lines);
    }
}

static void on_interval(uv_timer_t *timer)
{
    push_now(timer->data);
}

// ---- life

static struct sink *new_sink(struct uv_loop_s *loop, enum push_target target, struct str addr)
{
    switch (target) {
    case PUSH_STATSD:
    case PUSH_DOGSTATSD: return sink_udp_new(loop, addr);
    case PUSH_GRAPHITE: return sink_tcp_new(loop, addr);
    default: return sink_stdout_new(loop);
    }
}

static void part_closed(void *ctx)
{
    struct push *push = ctx;
    if (--push->open_parts > 0)
        return;
    void (*on_closed)(void *) = push->on_closed;
    void *closed_ctx = push->on_closed_ctx;
    mem_free(push);
    if (on_closed)
        on_closed(closed_ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

void push_close(struct push *push, void (*on_closed)(void *ctx), void *ctx)
{
    push->on_closed = on_closed;
    push->on_closed_ctx = ctx;
    sampler_on_gone(push->sampler, NULL, NULL);
    size_t at = 0;
    struct map_entry entry;
    while (map_next(&push->seen, &at, &entry))
        seen_free(entry.value);
    map_fini(&push->seen);
    at = 0;
    while (map_next(&push->targets, &at, &entry))
        seen_free(entry.value);
    map_fini(&push->targets);
    uv_close((uv_handle_t *)&push->timer, on_timer_closed);
    for (unsigned i = 0; i < push->outlet_count; i++) {
        buf_fini(&push->outlets[i].lines);
        sink_close(push->outlets[i].sink, part_closed, push);
    }
}

static int open_outlet(struct push *push, struct uv_loop_s *loop, enum push_target target)
{
    struct str addr = push->config->addrs[target];
    struct outlet *outlet = &push->outlets[push->outlet_count];
    *outlet = (struct outlet){.target = target, .form = TARGETS[target].form};
    buf_init(&outlet->lines, SINK_QUEUE_MAX);
    outlet->sink = new_sink(loop, target, addr);
    if (!outlet->sink)
        return ERR_NOMEM;
    push->outlet_count++;
    push->open_parts++;
    log_info("Metrics go to %s%s%.*s every %u ms", TARGETS[target].name, addr.len ? " " : "",
             STR_FMT(addr), push->config->interval_ms);
    return 0;
}

int push_start(struct uv_loop_s *loop, const struct metrics_config *config,
               const struct admin_sources *sources, struct sampler *sampler, struct push **result)
{
    bool has_target = false;
    for (unsigned i = 0; i < PUSH_TARGETS; i++)
        has_target |= config->is_pushed_to[i];
    *result = NULL;
    if (!has_target)
        return 0;
    struct push *push = mem_zalloc(sizeof *push);
    if (!push)
        return ERR_NOMEM;
    push->config = config;
    push->input = (struct series_input){.sources = sources, .sampler = sampler};
    push->sampler = sampler;
    push->names = (struct push_names){config->uses_fabio_names, config->prefix};
    map_init(&push->seen);
    map_init(&push->targets);
    uv_timer_init(loop, &push->timer);
    push->timer.data = push;
    push->open_parts = 1;
    sampler_on_gone(sampler, on_gone, push);
    for (unsigned i = 0; i < PUSH_TARGETS; i++) {
        if (config->is_pushed_to[i] && open_outlet(push, loop, (enum push_target)i) != 0) {
            push_close(push, NULL, NULL);
            return ERR_NOMEM;
        }
    }
    uv_timer_start(&push->timer, on_interval, config->interval_ms, config->interval_ms);
    *result = push;
    return 0;
}

void push_write_metrics(const struct push *push, struct buf *out)
{
    prom_family(out, "tagway_push_dropped_total", "counter",
                "Lines of pushed metrics that were dropped, for the other side did not take them.");
    for (unsigned i = 0; i < push->outlet_count; i++) {
        struct prom_label label = {"target", str_of(TARGETS[push->outlets[i].target].name)};
        prom_sample_u64(out, "tagway_push_dropped_total", &label, 1,
                        sink_dropped(push->outlets[i].sink));
    }
}
