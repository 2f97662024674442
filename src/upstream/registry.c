// SPDX-License-Identifier: Apache-2.0
//
// Who keeps what alive:
//   table  <- being current, or a worker's announced version (table_cell)
//   target <- bindings of tables; then in_flight of any worker
//   endpoint <- targets; then connections of any worker
// targets_collect walks the three in that order.
#include "upstream/registry.h"

#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/own.h"
#include "net/tls.h"
#include "upstream/pool.h"
#include "upstream/resolve.h"

struct old_table {
    struct old_table *next;
    struct table *table;
    uint64_t version;
};

struct targets {
    uv_loop_t *loop;
    unsigned worker_count;
    struct table_cell cell;
    struct old_table *old; // replaced versions some worker may still read; newest first
    struct map by_key;     // key -> struct target, live and retired
    struct map endpoints;  // key -> struct endpoint
    struct list live;
    struct list retired;           // no binding left, maybe in flight
    struct list retired_endpoints; // no target left, maybe connected
    struct list live_endpoints;
    struct tls_context *tls;     // of all https endpoints; NULL before the first
    struct str ca_file, ca_path; // borrowed
    struct own_addresses own;
    uint64_t own_version;
    void (*on_free)(void *ctx, struct target *target);
    void *on_free_ctx;
};

struct targets *targets_new(uv_loop_t *loop, unsigned worker_count)
{
    BUG_ON(worker_count == 0 || worker_count > WORKERS_MAX);
    struct targets *targets = mem_zalloc(sizeof *targets);
    if (!targets)
        return NULL;
    targets->loop = loop;
    targets->worker_count = worker_count;
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        atomic_init(&targets->cell.seen[i].version, TABLE_UNSEEN);
    map_init(&targets->by_key);
    map_init(&targets->endpoints);
    list_init(&targets->live);
    list_init(&targets->retired);
    list_init(&targets->live_endpoints);
    list_init(&targets->retired_endpoints);
    return targets;
}

static void free_endpoint(struct targets *targets, struct endpoint *endpoint)
{
    list_remove(&endpoint->link);
    if (map_get(&targets->endpoints, endpoint->key) == endpoint)
        map_remove(&targets->endpoints, endpoint->key);
    resolve_stop(endpoint);
    for (unsigned i = 0; i < targets->worker_count; i++)
        endpoint_pool_free(atomic_load_explicit(&endpoint->pools[i], memory_order_acquire));
    mem_free((void *)(uintptr_t)endpoint->key.ptr);
    mem_free(endpoint);
}

static void put_endpoint(struct targets *targets, struct endpoint *endpoint)
{
    if (!endpoint || --endpoint->refs > 0)
        return;
    atomic_store_explicit(&endpoint->is_retired, true, memory_order_relaxed);
    list_remove(&endpoint->link);
    list_push_back(&targets->retired_endpoints, &endpoint->link);
}

static bool is_own(const struct endpoint *endpoint)
{
    return atomic_load_explicit(&endpoint->is_own, memory_order_relaxed);
}

// Called with each target that comes or goes.
static void note_own(struct targets *targets, const struct target *target)
{
    targets->own_version += target->endpoint && is_own(target->endpoint);
}

// A name that leads elsewhere too is tried there.
static void check_own(struct targets *targets, struct endpoint *endpoint)
{
    const struct endpoint_addresses *addresses =
        atomic_load_explicit(&endpoint->addresses, memory_order_relaxed);
    unsigned count = addresses ? addresses->count : 0;
    unsigned own = 0;
    while (own < count &&
           own_addresses_have(&targets->own, (const struct sockaddr *)&addresses->at[own]))
        own++;
    bool leads_back = count > 0 && own == count;
    if (leads_back == is_own(endpoint))
        return;
    atomic_store_explicit(&endpoint->is_own, leads_back, memory_order_relaxed);
    targets->own_version++;
    if (leads_back)
        log_warn("target %.*s:%u is the proxy itself: not used", STR_FMT(endpoint->host),
                 endpoint->port);
}

void targets_set_own(struct targets *targets, const struct sockaddr_storage *listeners,
                     unsigned count)
{
    own_addresses_set(&targets->own, listeners, count);
    own_addresses_refresh(&targets->own, clock_now_ms());
    LIST_FOREACH (node, &targets->live_endpoints) {
        check_own(targets, CONTAINER_OF(node, struct endpoint, link));
    }
}

uint64_t targets_own_version(const struct targets *targets)
{
    return targets->own_version;
}

// Appends a part and its terminator; `at` receives where it starts.
static void append_part(struct buf *key, struct str part, size_t *at)
{
    *at = key->len;
    buf_append_str(key, part);
    buf_append_char(key, '\0');
}

static struct str part_at(const struct buf *key, size_t from, size_t len)
{
    return str_make(key->ptr + from, len);
}

// The name to verify and send as SNI: host= with a name overrides the address, as in fabio; a port
// is no part of it.
static struct str tls_name_of(const struct route_def *def)
{
    struct str name = def->rule->host_option;
    if (def->scheme != ROUTE_SCHEME_HTTPS || str_eq(name, STR("dst")))
        return STR_NULL;
    if (str_starts_with(name, STR("["))) {
        ptrdiff_t end = str_find_char(name, ']');
        return end < 0 ? name : str_from(str_upto(name, (size_t)end), 1);
    }
    ptrdiff_t colon = str_find_char(name, ':');
    bool is_v6 = colon >= 0 && str_find_char(str_from(name, (size_t)colon + 1), ':') >= 0;
    return colon < 0 || is_v6 ? name : str_upto(name, (size_t)colon);
}

// With the first https endpoint, as reading the trusted certificates may take 30 ms and 2 MB.
static int prepare_tls(struct targets *targets)
{
    struct err err;
    if (targets->tls)
        return 0;
    targets->tls = tls_context_new(targets->ca_file, targets->ca_path, &err);
    if (targets->tls)
        return 0;
    log_error("https targets cannot be used: %s", err.text);
    return err.code;
}

static struct endpoint *get_endpoint(struct targets *targets, const struct route_def *def)
{
    bool is_tls = def->scheme == ROUTE_SCHEME_HTTPS;
    if (is_tls && prepare_tls(targets) != 0)
        return NULL;
    struct buf key;
    size_t host_at, name_at;
    buf_init(&key, 64 << 10);
    append_part(&key, route_def_dst_host(def), &host_at);
    append_part(&key, tls_name_of(def), &name_at);
    buf_printf(&key, "%u %d %d", def->dst_port, is_tls, def->rule->skips_tls_verify);
    if (buf_status(&key) != 0) {
        buf_fini(&key);
        return NULL;
    }
    struct endpoint *endpoint = map_get(&targets->endpoints, buf_str(&key));
    if (endpoint) {
        buf_fini(&key);
        if (endpoint->refs++ == 0) { // taken up again
            atomic_store_explicit(&endpoint->is_retired, false, memory_order_relaxed);
            list_remove(&endpoint->link);
            list_push_back(&targets->live_endpoints, &endpoint->link);
            check_own(targets, endpoint);
        }
        return endpoint;
    }
    endpoint = mem_zalloc(sizeof *endpoint + targets->worker_count * sizeof endpoint->pools[0]);
    if (!endpoint) {
        buf_fini(&key);
        return NULL;
    }
    endpoint->key = buf_str(&key); // takes the bytes over
    endpoint->host = part_at(&key, host_at, route_def_dst_host(def).len);
    endpoint->tls_name = part_at(&key, name_at, tls_name_of(def).len);
    endpoint->port = def->dst_port;
    endpoint->tls = is_tls ? targets->tls : NULL;
    endpoint->skips_tls_verify = def->rule->skips_tls_verify;
    endpoint->refs = 1;
    list_init(&endpoint->link);
    list_push_back(&targets->live_endpoints, &endpoint->link);
    if (map_put(&targets->endpoints, endpoint->key, endpoint) != 0 ||
        resolve_start(targets->loop, endpoint) != 0) {
        free_endpoint(targets, endpoint);
        return NULL;
    }
    check_own(targets, endpoint);
    return endpoint;
}

static void free_target(struct targets *targets, struct target *target)
{
    if (targets->on_free)
        targets->on_free(targets->on_free_ctx, target);
    list_remove(&target->link);
    if (map_get(&targets->by_key, target->key) == target)
        map_remove(&targets->by_key, target->key);
    put_endpoint(targets, target->endpoint);
    for (unsigned i = 0; i < targets->worker_count; i++)
        target_counters_free(atomic_load_explicit(&target->counters[i], memory_order_acquire));
    mem_free(target->sample);
    mem_free((void *)(uintptr_t)target->key.ptr);
    mem_free(target);
}

static bool can_be_proxied_to(const struct route_def *def)
{
    return def->rule->redirect_code == 0 && route_def_dst_host(def).len > 0 && def->dst_port != 0 &&
           (def->scheme == ROUTE_SCHEME_HTTP || def->scheme == ROUTE_SCHEME_HTTPS);
}

// What comes up, for the first time or again, starts with a clean record.
static struct target *with_health(struct target *target, const struct route_def *def)
{
    bool is_up = def->health == ROUTE_UP;
    if (is_up && !target->was_up && target->endpoint)
        atomic_fetch_add_explicit(&target->endpoint->life, 1, memory_order_relaxed);
    target->was_up = is_up;
    return target;
}

static struct target *bind_target(void *ctx, const struct route_def *def)
{
    struct targets *targets = ctx;
    struct buf key;
    size_t service_at, host_at, path_at, dst_at, header_at, name_at;
    char port[8] = "";
    if (def->dst_port != 0 && str_find(route_def_dst(def), STR("://")) > 0) {
        // host=dst sends what the URL says: the port only where it is written.
        snprintf(port, sizeof port, ":%u", def->dst_port);
        if (str_find(route_def_dst(def), str_of(port)) < 0)
            port[0] = '\0';
    }
    bool is_v6 = str_find_char(route_def_dst_host(def), ':') >= 0;
    char header[280];
    int header_len = snprintf(header, sizeof header, "%s%.*s%s%s", is_v6 ? "[" : "",
                              STR_FMT(route_def_dst_host(def)), is_v6 ? "]" : "", port);
    header_len = MIN(header_len, (int)sizeof header - 1);

    buf_init(&key, 256 << 10);
    append_part(&key, def->rule->service, &service_at);
    append_part(&key, def->rule->host, &host_at);
    append_part(&key, def->rule->path, &path_at);
    append_part(&key, route_def_dst(def), &dst_at);
    append_part(&key, str_make(header, (size_t)header_len), &header_at);
    append_part(&key, tls_name_of(def), &name_at);
    buf_printf(&key, "%d %d", def->rule->skips_tls_verify, def->rule->redirect_code != 0);
    if (buf_status(&key) != 0) {
        buf_fini(&key);
        return NULL;
    }
    struct target *target = map_get(&targets->by_key, buf_str(&key));
    if (target) {
        buf_fini(&key);
        if (target->refs++ == 0) { // taken up again, counters and all
            atomic_store_explicit(&target->is_retired, false, memory_order_relaxed);
            list_remove(&target->link);
            list_push_back(&targets->live, &target->link);
            target->was_up = false;
            note_own(targets, target);
        }
        return with_health(target, def);
    }
    target = mem_zalloc(sizeof *target + targets->worker_count * sizeof target->counters[0]);
    if (!target) {
        buf_fini(&key);
        return NULL;
    }
    target->key = buf_str(&key); // takes the bytes over
    target->service = part_at(&key, service_at, def->rule->service.len);
    target->host = part_at(&key, host_at, def->rule->host.len);
    target->path = part_at(&key, path_at, def->rule->path.len);
    target->dst = part_at(&key, dst_at, route_def_dst(def).len);
    target->host_header = part_at(&key, header_at, (size_t)header_len);
    target->refs = 1;
    list_init(&target->link);
    list_push_back(&targets->live, &target->link);
    if (can_be_proxied_to(def))
        target->endpoint = get_endpoint(targets, def);
    if ((can_be_proxied_to(def) && !target->endpoint) ||
        map_put(&targets->by_key, target->key, target) != 0) {
        free_target(targets, target);
        return NULL;
    }
    note_own(targets, target);
    return with_health(target, def);
}

static void unbind_target(void *ctx, struct target *target)
{
    struct targets *targets = ctx;
    if (--target->refs > 0)
        return;
    atomic_store_explicit(&target->is_retired, true, memory_order_relaxed);
    note_own(targets, target);
    list_remove(&target->link);
    list_push_back(&targets->retired, &target->link);
}

struct routes_binding targets_binding(struct targets *targets)
{
    return (struct routes_binding){.bind = bind_target, .unbind = unbind_target, .ctx = targets};
}

struct table_cell *targets_cell(struct targets *targets)
{
    return &targets->cell;
}

void targets_set_trust(struct targets *targets, struct str ca_file, struct str ca_path)
{
    targets->ca_file = ca_file;
    targets->ca_path = ca_path;
}

unsigned targets_worker_count(const struct targets *targets)
{
    return targets->worker_count;
}

void targets_publish(struct targets *targets, struct table *table)
{
    struct table *before = atomic_load(&targets->cell.current);
    uint64_t version = atomic_load(&targets->cell.version);
    struct old_table *old = before ? mem_zalloc(sizeof *old) : NULL;
    if (before && !old) {
        // Shortage: the new table waits for its successor rather than the old one leak.
        table_free(table);
        return;
    }
    atomic_store(&targets->cell.current, table);
    atomic_store(&targets->cell.version, version + 1);
    if (old) {
        *old = (struct old_table){.next = targets->old, .table = before, .version = version};
        targets->old = old;
    }
    targets_collect(targets);
}

static void collect_tables(struct targets *targets)
{
    if (!targets->old)
        return;
    uint64_t lowest = TABLE_UNSEEN;
    for (unsigned i = 0; i < targets->worker_count; i++) {
        uint64_t seen = atomic_load(&targets->cell.seen[i].version);
        lowest = MIN(lowest, seen);
    }
    struct old_table **link = &targets->old;
    while (*link) {
        struct old_table *old = *link;
        // A worker that announced v may have read any table from v on.
        if (old->version >= lowest) {
            link = &old->next;
            continue;
        }
        *link = old->next;
        table_free(old->table);
        mem_free(old);
    }
}

static bool is_in_flight(const struct targets *targets, struct target *target)
{
    for (unsigned i = 0; i < targets->worker_count; i++) {
        struct target_counters *counters =
            atomic_load_explicit(&target->counters[i], memory_order_acquire);
        if (counters && atomic_load_explicit(&counters->in_flight, memory_order_acquire) != 0)
            return true;
    }
    return false;
}

void targets_collect(struct targets *targets)
{
    collect_tables(targets);
    LIST_FOREACH_SAFE (node, &targets->retired) {
        struct target *target = CONTAINER_OF(node, struct target, link);
        if (!is_in_flight(targets, target))
            free_target(targets, target);
    }
    LIST_FOREACH_SAFE (node, &targets->retired_endpoints) {
        struct endpoint *endpoint = CONTAINER_OF(node, struct endpoint, link);
        if (endpoint_is_unused(endpoint, targets->worker_count))
            free_endpoint(targets, endpoint);
    }
}

void targets_refresh_names(struct targets *targets)
{
    uint64_t now_ms = clock_now_ms();
    bool have_moved = own_addresses_refresh(&targets->own, now_ms);
    LIST_FOREACH (node, &targets->live_endpoints) {
        struct endpoint *endpoint = CONTAINER_OF(node, struct endpoint, link);
        resolve_refresh(targets->loop, endpoint, now_ms);
        if (endpoint->lookup || have_moved)
            check_own(targets, endpoint);
    }
}

bool targets_are_resolved(const struct targets *targets)
{
    LIST_FOREACH (node, &targets->live_endpoints) {
        if (!resolve_is_settled(CONTAINER_OF(node, struct endpoint, link)))
            return false;
    }
    return true;
}

struct target *targets_next(struct targets *targets, struct target *previous)
{
    struct list *next = previous ? previous->link.next : targets->live.next;
    return next == &targets->live ? NULL : CONTAINER_OF(next, struct target, link);
}

size_t targets_count(const struct targets *targets)
{
    return targets->by_key.count;
}

void targets_on_free(struct targets *targets, void (*on_free)(void *ctx, struct target *target),
                     void *ctx)
{
    targets->on_free = on_free;
    targets->on_free_ctx = ctx;
}

void targets_free(struct targets *targets)
{
    struct table *current = atomic_exchange(&targets->cell.current, NULL);
    for (unsigned i = 0; i < targets->worker_count; i++)
        atomic_store(&targets->cell.seen[i].version, TABLE_UNSEEN);
    collect_tables(targets);
    if (current)
        table_free(current);
    targets_collect(targets);
    map_fini(&targets->by_key);
    map_fini(&targets->endpoints);
    tls_context_free(targets->tls);
    mem_free(targets);
}
