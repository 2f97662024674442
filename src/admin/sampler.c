// SPDX-License-Identifier: Apache-2.0
#include "admin/sampler.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "upstream/pool.h"

// A recent sample's weight falls by a tenth each second: half of the weight lies in the last 7 s.
static const float DECAY = 0.9F;

// One code's durations of a target, summed over the workers, as of the last reading.
struct code_sample {
    unsigned code;
    uint64_t sum_us;
    uint32_t buckets[HIST_BUCKETS]; // modulo 2^32 like the workers' counters
    struct code_sums *sums;         // the service's
};

struct sample {
    struct list link; // the sampler's
    struct target *target;
    struct code_sample *codes[CODE_SLOTS]; // owned; the last is for all others
    unsigned code_count;
    struct target_figures figures;
    uint64_t changed_at;
    struct service_sums *service; // holds a reference
#define X(name, help) uint64_t name;
    TARGET_COUNTERS(X) // as of the last reading, over all workers
#undef X
    uint64_t in_flight;
    struct endpoint_ejection ejection;
    uint64_t ejected_ms;                       // still
    uint64_t old_requests[SAMPLER_RATE_TICKS]; // by tick
    uint64_t old_errors[SAMPLER_RATE_TICKS];
    float recent[HIST_BUCKETS];
    float recent_count;
};

#define SAMPLE_OF(node) CONTAINER_OF(node, struct sample, link)

struct sampler {
    struct targets *targets;
    unsigned worker_count;
    struct map by_name; // service_sums
    struct list services;
    struct list samples;
    struct target_totals sums;
    void (*on_gone)(void *ctx, struct target *target);
    void *on_gone_ctx;
    uint64_t tick;
    uint64_t pass;
    uint64_t old_ms[SAMPLER_RATE_TICKS]; // when those ticks were
};

static void on_target_free(void *ctx, struct target *target);

struct sampler *sampler_new(struct targets *targets)
{
    struct sampler *sampler = mem_zalloc(sizeof *sampler);
    if (!sampler)
        return NULL;
    sampler->targets = targets;
    sampler->worker_count = targets_worker_count(targets);
    map_init(&sampler->by_name);
    list_init(&sampler->services);
    list_init(&sampler->samples);
    targets_on_free(targets, on_target_free, sampler);
    return sampler;
}

void sampler_on_gone(struct sampler *sampler, void (*fn)(void *ctx, struct target *target),
                     void *ctx)
{
    sampler->on_gone = fn;
    sampler->on_gone_ctx = ctx;
}

// What the sample holds; itself it is freed with its target.
static void sample_fini(struct sample *sample)
{
    for (unsigned i = 0; i < sample->code_count; i++)
        mem_free(sample->codes[i]);
    sample->code_count = 0;
    list_remove(&sample->link);
}

static void service_free(struct service_sums *service)
{
    for (unsigned i = 0; i < service->code_count; i++)
        mem_free(service->codes[i]);
    mem_free((char *)service->name.ptr);
    mem_free(service);
}

void sampler_free(struct sampler *sampler)
{
    if (!sampler)
        return;
    targets_on_free(sampler->targets, NULL, NULL);
    LIST_FOREACH_SAFE (node, &sampler->samples)
        sample_fini(SAMPLE_OF(node));
    LIST_FOREACH_SAFE (node, &sampler->services)
        service_free(CONTAINER_OF(node, struct service_sums, link));
    map_fini(&sampler->by_name);
    mem_free(sampler);
}

static struct service_sums *service_get(struct sampler *sampler, struct str name)
{
    struct service_sums *service = map_get(&sampler->by_name, name);
    if (service)
        return service;
    service = mem_zalloc(sizeof *service);
    if (!service)
        return NULL;
    service->name = str_make(str_dup(name), name.len);
    if (!service->name.ptr || map_put(&sampler->by_name, service->name, service) != 0) {
        service_free(service);
        return NULL;
    }
    list_push_back(&sampler->services, &service->link);
    return service;
}

static struct sample *sample_get(struct sampler *sampler, struct target *target)
{
    struct target_use *use = target_use(target);
    if (use->sample)
        return use->sample;
    struct sample *sample = mem_zalloc(sizeof *sample);
    struct service_sums *service = sample ? service_get(sampler, target->rule->service) : NULL;
    if (!service) {
        mem_free(sample);
        return NULL;
    }
    sample->target = target;
    sample->service = service;
    service->refs++;
    list_init(&sample->link);
    list_push_back(&sampler->samples, &sample->link);
    use->sample = sample;
    return sample;
}

static struct code_sums *code_sums_find(const struct service_sums *service, unsigned code)
{
    for (unsigned i = 0; i < service->code_count; i++) {
        if (service->codes[i]->code == code)
            return service->codes[i];
    }
    return NULL;
}

static struct code_sums *code_sums_get(struct service_sums *service, unsigned code)
{
    struct code_sums *sums = code_sums_find(service, code);
    if (!sums && service->code_count >= SAMPLER_CODES_MAX - 1) {
        code = CODE_OTHER; // for which the last place is kept
        sums = code_sums_find(service, code);
    }
    if (sums)
        return sums;
    sums = mem_zalloc(sizeof *sums);
    if (!sums)
        return NULL;
    sums->code = code;
    service->codes[service->code_count++] = sums;
    return sums;
}

// Codes that came when there was no room for them stay with the others for good.
static struct code_sample *code_sample_get(struct sample *sample, unsigned code)
{
    for (unsigned i = 0; i < sample->code_count; i++) {
        if (sample->codes[i]->code == code)
            return sample->codes[i];
    }
    if (sample->code_count == CODE_SLOTS)
        return sample->codes[CODE_SLOTS - 1];
    struct code_sample *own = mem_zalloc(sizeof *own);
    struct code_sums *sums = NULL;
    if (own) {
        own->code = sample->code_count == CODE_SLOTS - 1 ? CODE_OTHER : code;
        sums = code_sums_get(sample->service, own->code);
    }
    if (!sums) {
        mem_free(own); // next time: nothing is lost, the counters keep counting
        return NULL;
    }
    own->sums = sums;
    sample->codes[sample->code_count++] = own;
    return own;
}

static void gain_durations(struct sample *sample, struct code_sample *own, unsigned bucket,
                           uint32_t gained)
{
    own->buckets[bucket] += gained;
    own->sums->hist.buckets[bucket] += gained;
    own->sums->hist.count += gained;
    if (!code_is_response(own->code))
        return;
    sample->recent[bucket] += (float)gained;
    sample->recent_count += (float)gained;
    sample->service->totals.latency.buckets[bucket] += gained;
    sample->service->totals.latency.count += gained;
}

// What one code has gained, over all workers. The histograms are read only when their sum tells of
// a request.
static void read_code(struct sample *sample, struct code_sample *own,
                      struct target_counters *const *blocks, size_t count)
{
    const struct hist *hists[WORKERS_MAX * CODE_SLOTS];
    size_t hist_count = 0;
    uint64_t sum_us = 0;
    for (size_t k = 0; k < count; k++) {
        for (unsigned slot = 0; slot < CODE_SLOTS; slot++) {
            unsigned code;
            const struct hist *hist = code_hists_at(&blocks[k]->durations, slot, &code);
            if (!hist)
                break;
            const struct code_sample *found = code_sample_get(sample, code);
            if (!found || found != own)
                continue;
            hists[hist_count++] = hist;
            sum_us += code_hists_sum_us(&blocks[k]->durations, slot);
        }
    }
    if (sum_us == own->sum_us)
        return;
    own->sums->sum_us += sum_us - own->sum_us;
    own->sum_us = sum_us;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        uint32_t now = 0;
        for (size_t k = 0; k < hist_count; k++)
            now += atomic_load_explicit((_Atomic uint32_t *)&hists[k]->buckets[i],
                                        memory_order_relaxed);
        if (now != own->buckets[i])
            gain_durations(sample, own, i, now - own->buckets[i]);
    }
}

static void read_durations(struct sample *sample, struct target_counters *const *blocks,
                           size_t count)
{
    // First all codes get their place: where a code counts must not depend on the order of workers.
    for (size_t k = 0; k < count; k++) {
        for (unsigned slot = 0; slot < CODE_SLOTS; slot++) {
            unsigned code;
            if (!code_hists_at(&blocks[k]->durations, slot, &code))
                break;
            code_sample_get(sample, code);
        }
    }
    for (unsigned i = 0; i < sample->code_count; i++)
        read_code(sample, sample->codes[i], blocks, count);
}

// The target's counter blocks; returns how many.
static size_t blocks_of(const struct sampler *sampler, struct target *target,
                        struct target_counters **blocks)
{
    size_t count = 0;
    for (unsigned i = 0; i < sampler->worker_count; i++) {
        blocks[count] = target_counters_at(target, i);
        count += blocks[count] != NULL;
    }
    return count;
}

// Adds what was gained since the last reading to the service and to all.
static void read_gains(struct sampler *sampler, struct sample *sample,
                       struct target_counters *const *blocks, size_t count)
{
    struct target_totals *service = &sample->service->totals;
    uint64_t now;
#define X(name, help)                             \
    now = 0;                                      \
    for (size_t k = 0; k < count; k++)            \
        now += counter_get(&blocks[k]->name);     \
    if (now != sample->name) {                    \
        service->name += now - sample->name;      \
        sampler->sums.name += now - sample->name; \
        sample->name = now;                       \
    }
    TARGET_COUNTERS(X)
#undef X
    read_durations(sample, blocks, count);
}

// NULL: no worker has used the target yet, or memory ran out.
static struct sample *read_counters(struct sampler *sampler, struct target *target)
{
    struct target_counters *blocks[WORKERS_MAX];
    size_t count = blocks_of(sampler, target, blocks);
    struct sample *sample = count > 0 ? sample_get(sampler, target) : NULL;
    if (!sample)
        return NULL;
    read_gains(sampler, sample, blocks, count);
    sample->in_flight = 0;
    for (size_t k = 0; k < count; k++)
        sample->in_flight += counter_get(&blocks[k]->in_flight);
    return sample;
}

static void read_target(struct sampler *sampler, struct target *target, uint64_t now_ms)
{
    struct sample *sample = read_counters(sampler, target);
    if (!sample)
        return;
    sample->ejection = endpoint_ejection_read(target->endpoint, sampler->worker_count, now_ms);
    sample->ejected_ms = sample->ejection.workers ? sample->ejection.until_ms - now_ms : 0;
    struct service_sums *service = sample->service;
    if (service->pass != sampler->pass) {
        service->pass = sampler->pass;
        service->seen_at_ms = now_ms;
        service->totals.in_flight = 0;
        service->totals.ejected_by = 0;
    }
    service->totals.in_flight += sample->in_flight;
    service->totals.ejected_by += sample->ejection.workers > 0;
    sampler->sums.in_flight += sample->in_flight;
    sampler->sums.ejected_by += sample->ejection.workers > 0;
}

// The registry frees a target: what it did since the last reading must not be lost to its service.
static void on_target_free(void *ctx, struct target *target)
{
    struct sampler *sampler = ctx;
    struct sample *sample = read_counters(sampler, target);
    if (!sample)
        return;
    if (sampler->on_gone)
        sampler->on_gone(sampler->on_gone_ctx, target);
    sample->service->refs--;
    sample_fini(sample);
}

static void drop_old_services(struct sampler *sampler, uint64_t now_ms)
{
    LIST_FOREACH_SAFE (node, &sampler->services) {
        struct service_sums *service = CONTAINER_OF(node, struct service_sums, link);
        if (service->pass == sampler->pass)
            continue;
        service->totals.in_flight = 0;
        service->totals.ejected_by = 0;
        if (service->seen_at_ms == 0) // came and went between two readings
            service->seen_at_ms = now_ms;
        if (service->refs > 0 || now_ms - service->seen_at_ms < SAMPLER_GRACE_MS)
            continue;
        list_remove(&service->link);
        map_remove(&sampler->by_name, service->name);
        service_free(service);
    }
}

// Makes a sample for each target that has been used since the last reading.
static void take_used(struct sampler *sampler)
{
    struct used_targets *used = &targets_cell(sampler->targets)->used;
    struct target *target = used_targets_take(used);
    while (target) {
        struct target *next = target_use(target)->next;
        // Without memory, next time: nothing is lost, the counters keep counting.
        if (!sample_get(sampler, target))
            used_targets_add(used, target);
        target = next;
    }
}

void sampler_read(struct sampler *sampler, uint64_t now_ms)
{
    sampler->pass++;
    sampler->sums.in_flight = 0;
    sampler->sums.ejected_by = 0;
    take_used(sampler);
    struct target *target = NULL;
    while ((target = sampler_next(sampler, target)))
        read_target(sampler, target, now_ms);
    drop_old_services(sampler, now_ms);
}

static void decay(struct sample *sample)
{
    if (sample->recent_count == 0)
        return;
    // Below half a request nothing recent is left.
    float factor = sample->recent_count < 0.5F ? 0 : DECAY;
    sample->recent_count = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        sample->recent[i] *= factor;
        sample->recent_count += sample->recent[i];
    }
}

static uint64_t recent_quantile_us(const struct sample *sample, float quantile)
{
    if (sample->recent_count <= 0)
        return 0;
    float wanted = quantile * sample->recent_count;
    float seen = 0;
    unsigned last = 0; // rounding may leave `seen` a little short of the whole
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        if (sample->recent[i] <= 0)
            continue;
        last = i;
        seen += sample->recent[i];
        if (seen >= wanted)
            break;
    }
    return hist_bucket_max_us(last);
}

static void update_figures(struct sampler *sampler, struct sample *sample, double window_s)
{
    unsigned slot = (unsigned)(sampler->tick % SAMPLER_RATE_TICKS);
    struct target_figures figures = {
        .request_rate = (double)(sample->requests - sample->old_requests[slot]) / window_s,
        .error_rate = (double)(sample->responses_5xx - sample->old_errors[slot]) / window_s,
        .p50_us = recent_quantile_us(sample, 0.5F),
        .p99_us = recent_quantile_us(sample, 0.99F),
        .requests = sample->requests,
        .errors = sample->responses_5xx,
        .failures = sample->failures,
        .in_flight = sample->in_flight,
        .ejected_by = sample->ejection.workers,
        .ejected_s = (sample->ejected_ms + 999) / 1000,
        .eject_cause = sample->ejection.cause,
        .bytes_in = sample->bytes_in,
        .bytes_out = sample->bytes_out,
    };
    sample->old_requests[slot] = sample->requests;
    sample->old_errors[slot] = sample->responses_5xx;
    // Eight-byte members without padding; bits that differ are a change worth sending.
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c)
    if (memcmp(&figures, &sample->figures, sizeof figures) != 0 || sample->changed_at == 0) {
        sample->figures = figures;
        sample->changed_at = sampler->tick;
    }
}

void sampler_tick(struct sampler *sampler, uint64_t now_ms)
{
    sampler->tick++;
    unsigned slot = (unsigned)(sampler->tick % SAMPLER_RATE_TICKS);
    uint64_t old_ms = sampler->old_ms[slot];
    // In the first seconds there is no tick so long ago: the nominal length does.
    double window_s = old_ms > 0 && now_ms > old_ms
                          ? (double)(now_ms - old_ms) / 1000
                          : (double)SAMPLER_RATE_TICKS * SAMPLER_PERIOD_MS / 1000;
    sampler->old_ms[slot] = now_ms;

    LIST_FOREACH (node, &sampler->samples)
        decay(SAMPLE_OF(node));
    sampler_read(sampler, now_ms);
    LIST_FOREACH (node, &sampler->samples)
        update_figures(sampler, SAMPLE_OF(node), window_s);
}

struct target *sampler_next(const struct sampler *sampler, const struct target *previous)
{
    const struct sample *before = previous ? target_use(previous)->sample : NULL;
    const struct list *node = before ? before->link.next : sampler->samples.next;
    while (node != &sampler->samples && target_is_retired(SAMPLE_OF(node)->target))
        node = node->next;
    return node != &sampler->samples ? SAMPLE_OF(node)->target : NULL;
}

uint64_t sampler_tick_count(const struct sampler *sampler)
{
    return sampler->tick;
}

const struct target_figures *sampler_figures(const struct target *target)
{
    const struct target_use *use = target_use(target);
    const struct sample *sample = use ? use->sample : NULL;
    return sample && sample->changed_at > 0 ? &sample->figures : NULL;
}

uint64_t sampler_changed_at(const struct target *target)
{
    const struct target_use *use = target_use(target);
    const struct sample *sample = use ? use->sample : NULL;
    return sample ? sample->changed_at : 0;
}

const struct list *sampler_services(const struct sampler *sampler)
{
    return &sampler->services;
}

const struct target_totals *sampler_sums(const struct sampler *sampler)
{
    return &sampler->sums;
}
