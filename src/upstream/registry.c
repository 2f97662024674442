// SPDX-License-Identifier: Apache-2.0
//
// Who keeps what alive:
//   table  <- being current, or a worker's announced version (table_cell)
//   target <- bindings of tables; then in_flight of any worker
//   endpoint <- targets; then connections of any worker
// targets_collect walks the three in that order.
#include "upstream/registry.h"

#include <uv.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/index.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slab.h"
#include "net/addr.h"
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
    struct old_table *old;  // replaced versions some worker may still read; newest first
    struct slab slab;       // targets and endpoints are from it
    struct index all;       // struct target, live and retired
    struct index endpoints; // struct endpoint, live and retired
    // No binding left, maybe in flight; no target left, maybe connected. What is taken up again
    // leaves the list when that is walked.
    struct target *retired;
    struct endpoint *retired_endpoints;
    struct list names;           // name_lookup.link: endpoints without a literal address
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
    slab_init(&targets->slab);
    index_init(&targets->all);
    index_init(&targets->endpoints);
    list_init(&targets->names);
    return targets;
}

static struct endpoint *endpoint_of(struct index_link *link)
{
    return CONTAINER_OF(link, struct endpoint, link);
}

static struct target *target_of(struct index_link *link)
{
    return CONTAINER_OF(link, struct target, link);
}

// No longer in the index, if it ever was.
static void free_endpoint(struct targets *targets, struct endpoint *endpoint)
{
    resolve_stop(endpoint);
    endpoint_pools_free(endpoint);
    const struct endpoint_tls *tls = endpoint_tls(endpoint);
    size_t size = endpoint->host_at + endpoint->host_len + (tls ? tls->name.len : 0);
    slab_free(&targets->slab, endpoint, size);
}

static void put_endpoint(struct targets *targets, struct endpoint *endpoint)
{
    if (!endpoint || --endpoint->link.refs > 0)
        return;
    atomic_store_explicit(&endpoint->is_retired, true, memory_order_relaxed);
    if (endpoint->is_listed)
        return;
    endpoint->is_listed = true;
    endpoint->next_retired = targets->retired_endpoints;
    targets->retired_endpoints = endpoint;
}

// Called with each target that comes or goes.
static void note_own(struct targets *targets, const struct target *target)
{
    targets->own_version += target->endpoint && endpoint_is_own(target->endpoint);
}

// A name that leads elsewhere too is tried there.
static void check_own(struct targets *targets, struct endpoint *endpoint)
{
    const struct endpoint_addresses *addresses =
        atomic_load_explicit(&endpoint->addresses, memory_order_relaxed);
    unsigned count = addresses ? addresses->count : 0;
    unsigned own = 0;
    while (own < count && own_addresses_have(&targets->own, &addresses->at[own].any))
        own++;
    bool leads_back = count > 0 && own == count;
    if (leads_back == endpoint_is_own(endpoint))
        return;
    atomic_store_explicit(&endpoint->is_own, leads_back, memory_order_relaxed);
    targets->own_version++;
    if (leads_back)
        log_warn("target %.*s:%u is the proxy itself: not used", STR_FMT(endpoint_host(endpoint)),
                 endpoint->port);
}

static void check_all_own(struct targets *targets)
{
    struct index_link *link = NULL;
    while ((link = index_next(&targets->endpoints, link))) {
        if (link->refs > 0)
            check_own(targets, endpoint_of(link));
    }
}

void targets_set_own(struct targets *targets, const struct sockaddr_storage *listeners,
                     unsigned count)
{
    own_addresses_set(&targets->own, listeners, count);
    own_addresses_refresh(&targets->own, clock_now_ms());
    check_all_own(targets);
}

uint64_t targets_own_version(const struct targets *targets)
{
    return targets->own_version;
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

static uint64_t hash_of_endpoint(const struct route_def *def)
{
    uint64_t seed = (uint64_t)def->dst_port << 8 | def->scheme;
    uint64_t hash = hash_str(route_def_dst_host(def), seed);
    return def->scheme == ROUTE_SCHEME_HTTPS ? hash_str(tls_name_of(def), hash) : hash;
}

static bool is_endpoint_of(const struct endpoint *endpoint, const struct route_def *def)
{
    bool is_tls = def->scheme == ROUTE_SCHEME_HTTPS;
    const struct endpoint_tls *tls = endpoint_tls(endpoint);
    if (endpoint->port != def->dst_port || !tls == is_tls ||
        !str_eq(endpoint_host(endpoint), route_def_dst_host(def)))
        return false;
    return !is_tls || (tls->skips_verify == def->rule->skips_tls_verify &&
                       str_eq(tls->name, tls_name_of(def)));
}

static struct str put_str(char **at, struct str s)
{
    struct str copy = str_make(*at, s.len);
    if (s.len)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

// One allocation: the struct, what TLS needs, a literal address, the texts.
static struct endpoint *new_endpoint(struct targets *targets, const struct route_def *def)
{
    bool is_tls = def->scheme == ROUTE_SCHEME_HTTPS;
    struct str host = route_def_dst_host(def), name = is_tls ? tls_name_of(def) : STR_NULL;
    struct endpoint *endpoint;
    struct endpoint_tls *tls = NULL;
    struct endpoint_addresses *literal;
    struct sockaddr_storage address;
    size_t addresses = 0;
    if (addr_from_literal(host, def->dst_port, &address))
        addresses = sizeof *literal + addr_len((const struct sockaddr *)&address);
    size_t size = sizeof *endpoint + (is_tls ? sizeof *tls : 0) + addresses + host.len + name.len;
    endpoint = slab_alloc(&targets->slab, size);
    if (!endpoint)
        return NULL;
    char *at = (char *)(endpoint + 1);
    if (is_tls) {
        tls = (struct endpoint_tls *)(void *)at;
        tls->context = targets->tls;
        tls->skips_verify = def->rule->skips_tls_verify;
        endpoint->tls_at = (uint16_t)(at - (char *)endpoint);
        at += sizeof *tls;
    }
    if (addresses > 0) {
        literal = (struct endpoint_addresses *)(void *)at;
        literal->count = 1;
        memcpy(literal->at, &address, addresses - sizeof *literal);
        atomic_init(&endpoint->addresses, literal);
        at += addresses;
    }
    endpoint->host_at = (uint16_t)(at - (char *)endpoint);
    endpoint->host_len = (uint16_t)put_str(&at, host).len;
    if (is_tls)
        tls->name = put_str(&at, name);
    endpoint->port = def->dst_port;
    endpoint->worker_count = (uint8_t)targets->worker_count;
    endpoint->link.refs = 1;
    if (addresses > 0 || resolve_start(targets->loop, endpoint) == 0)
        return endpoint;
    free_endpoint(targets, endpoint);
    return NULL;
}

static struct endpoint *get_endpoint(struct targets *targets, const struct route_def *def,
                                     uint64_t hash)
{
    if (def->scheme == ROUTE_SCHEME_HTTPS && prepare_tls(targets) != 0)
        return NULL;
    struct index_link *link = index_first(&targets->endpoints, hash);
    while (link && !is_endpoint_of(endpoint_of(link), def))
        link = index_again(link);
    if (link) {
        if (link->refs++ == 0) { // taken up again
            atomic_store_explicit(&endpoint_of(link)->is_retired, false, memory_order_relaxed);
            check_own(targets, endpoint_of(link));
        }
        return endpoint_of(link);
    }
    struct endpoint *endpoint = new_endpoint(targets, def);
    if (!endpoint)
        return NULL;
    if (index_add(&targets->endpoints, &endpoint->link, hash) != 0) {
        free_endpoint(targets, endpoint);
        return NULL;
    }
    if (endpoint->lookup)
        list_push_back(&targets->names, &endpoint->lookup->link);
    check_own(targets, endpoint);
    return endpoint;
}

// Who was used and never asked after is still among the used ones.
static void forget_used(struct targets *targets, const struct target *target)
{
    struct target *next = used_targets_take(&targets->cell.used);
    while (next) {
        struct target *one = next;
        next = target_use(one)->next;
        if (one != target)
            used_targets_add(&targets->cell.used, one);
    }
}

static size_t size_of_target(const struct target *target)
{
    size_t behind = target->header_in_dst == target->dst_len ? target->header_len : 0;
    return offsetof(struct target, text) + target->dst_len + behind;
}

static void free_target(struct targets *targets, struct target *target)
{
    const struct target_use *use = target_use(target);
    if (use && !use->sample)
        forget_used(targets, target);
    if (targets->on_free)
        targets->on_free(targets->on_free_ctx, target);
    put_endpoint(targets, target->endpoint);
    target_use_free(target);
    route_rule_unref(target->rule);
    slab_free(&targets->slab, target, size_of_target(target));
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

// What else a destination depends on. The Host to send follows from its text.
static bool is_target_of(const struct target *target, const struct route_def *def)
{
    const struct route_rule *rule = def->rule, *own = target->rule;
    if (!str_eq(target_dst(target), route_def_dst(def)))
        return false;
    if (own != rule &&
        !(str_eq(own->service, rule->service) && str_eq(own->host, rule->host) &&
          str_eq(own->path, rule->path) && own->skips_tls_verify == rule->skips_tls_verify &&
          !own->redirect_code == !rule->redirect_code))
        return false;
    const struct endpoint_tls *tls = target->endpoint ? endpoint_tls(target->endpoint) : NULL;
    return !tls || str_eq(tls->name, tls_name_of(def));
}

// The Host that host=dst sends is what the URL says: the port only where it is written.
static size_t print_host_header(const struct route_def *def, char *out, size_t size)
{
    char port[8] = "";
    struct str dst = route_def_dst(def), host = route_def_dst_host(def);
    if (def->dst_port != 0 && str_find(dst, STR("://")) > 0) {
        snprintf(port, sizeof port, ":%u", def->dst_port);
        if (str_find(dst, str_of(port)) < 0)
            port[0] = '\0';
    }
    bool is_v6 = str_find_char(host, ':') >= 0;
    int len =
        snprintf(out, size, "%s%.*s%s%s", is_v6 ? "[" : "", STR_FMT(host), is_v6 ? "]" : "", port);
    return MIN((size_t)len, size - 1);
}

// Where the URL says "name" or "name:port" and nothing more, and was kept as written; else NULL.
static struct str written_authority(const struct route_def *def)
{
    struct str dst = route_def_dst(def), host = route_def_dst_host(def);
    size_t from = def->dst_host_at;
    if (host.len == 0 || from < 3 || from >= dst.len || memcmp(dst.ptr + from - 3, "://", 3) != 0)
        return STR_NULL;
    struct str rest = str_from(dst, from);
    size_t end = host.len, digits = 0;
    if (end < rest.len && rest.ptr[end] == ':') {
        while (end + 1 + digits < rest.len && rest.ptr[end + 1 + digits] >= '0' &&
               rest.ptr[end + 1 + digits] <= '9')
            digits++;
        if (digits == 0 || rest.ptr[end + 1] == '0')
            return STR_NULL;
        end += 1 + digits;
    }
    bool is_whole = end == rest.len || rest.ptr[end] == '/' || rest.ptr[end] == '?';
    return is_whole ? str_upto(rest, end) : STR_NULL;
}

static struct target *new_target(struct targets *targets, const struct route_def *def)
{
    char text[280];
    struct str dst = route_def_dst(def), header = written_authority(def);
    size_t header_in_dst = header.ptr ? (size_t)(header.ptr - dst.ptr) : dst.len;
    if (!header.ptr)
        header = str_make(text, print_host_header(def, text, sizeof text));
    bool is_behind = header_in_dst == dst.len;
    size_t size = offsetof(struct target, text) + dst.len + (is_behind ? header.len : 0);
    struct target *target = slab_alloc(&targets->slab, size);
    if (!target)
        return NULL;
    char *at = target->text;
    target->dst_len = (uint16_t)put_str(&at, dst).len;
    target->header_in_dst = (uint16_t)header_in_dst;
    target->header_len = (uint16_t)header.len;
    if (is_behind)
        put_str(&at, header);
    target->worker_count = (uint8_t)targets->worker_count;
    target->rule = route_rule_ref(def->rule);
    target->link.refs = 1;
    return target;
}

static void expect_targets(void *ctx, size_t count)
{
    struct targets *targets = ctx;
    index_reserve(&targets->all, targets->all.count + count);
    index_reserve(&targets->endpoints, targets->endpoints.count + count);
}

static struct target *bind_target(struct targets *targets, const struct route_def *def,
                                  uint64_t hash, uint64_t endpoint_hash)
{
    struct index_link *link = index_first(&targets->all, hash);
    while (link && !is_target_of(target_of(link), def))
        link = index_again(link);
    if (link) {
        struct target *target = target_of(link);
        if (link->refs++ == 0) { // taken up again, counters and all
            target->was_up = false;
            note_own(targets, target);
        }
        return with_health(target, def);
    }
    struct target *target = new_target(targets, def);
    if (!target)
        return NULL;
    if (can_be_proxied_to(def))
        target->endpoint = get_endpoint(targets, def, endpoint_hash);
    if ((can_be_proxied_to(def) && !target->endpoint) ||
        index_add(&targets->all, &target->link, hash) != 0) {
        free_target(targets, target);
        return NULL;
    }
    note_own(targets, target);
    return with_health(target, def);
}

static int bind_targets(void *ctx, const struct routes_unbound *unbound, size_t count)
{
    struct targets *targets = ctx;
    uint64_t endpoint_hashes[ROUTES_BIND_TOGETHER];
    for (size_t i = 0; i < count; i++)
        endpoint_hashes[i] = hash_of_endpoint(unbound[i].target->def);
    for (unsigned step = 0; step < 3; step++) {
        for (size_t i = 0; i < count; i++) {
            index_expect(&targets->all, unbound[i].hash, step);
            index_expect(&targets->endpoints, endpoint_hashes[i], step);
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct route_target *one = unbound[i].target;
        one->target = bind_target(targets, one->def, unbound[i].hash, endpoint_hashes[i]);
        if (!one->target)
            return ERR_NOMEM;
    }
    return 0;
}

static void unbind_target(void *ctx, struct target *target)
{
    struct targets *targets = ctx;
    if (--target->link.refs > 0)
        return;
    note_own(targets, target);
    if (target->is_listed)
        return;
    target->is_listed = true;
    target->next_retired = targets->retired;
    targets->retired = target;
}

struct routes_binding targets_binding(struct targets *targets)
{
    return (struct routes_binding){
        .expect = expect_targets, .bind = bind_targets, .unbind = unbind_target, .ctx = targets};
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
        struct target_counters *counters = target_counters_at(target, i);
        if (counters && atomic_load_explicit(&counters->in_flight, memory_order_acquire) != 0)
            return true;
    }
    return false;
}

static void collect_retired(struct targets *targets)
{
    struct target **link = &targets->retired, *target;
    while ((target = *link)) {
        if (target_is_retired(target) && is_in_flight(targets, target)) {
            link = &target->next_retired;
            continue;
        }
        *link = target->next_retired;
        target->is_listed = false;
        if (!target_is_retired(target))
            continue; // taken up again
        index_remove(&targets->all, &target->link);
        free_target(targets, target);
    }
}

static void collect_endpoints(struct targets *targets)
{
    struct endpoint **link = &targets->retired_endpoints, *endpoint;
    while ((endpoint = *link)) {
        if (endpoint->link.refs == 0 && !endpoint_is_unused(endpoint, targets->worker_count)) {
            link = &endpoint->next_retired;
            continue;
        }
        *link = endpoint->next_retired;
        endpoint->is_listed = false;
        if (endpoint->link.refs > 0)
            continue; // taken up again
        index_remove(&targets->endpoints, &endpoint->link);
        free_endpoint(targets, endpoint);
    }
}

void targets_collect(struct targets *targets)
{
    collect_tables(targets);
    collect_retired(targets);
    collect_endpoints(targets);
}

void targets_refresh_names(struct targets *targets)
{
    uint64_t now_ms = clock_now_ms();
    if (own_addresses_refresh(&targets->own, now_ms))
        check_all_own(targets);
    LIST_FOREACH (node, &targets->names) {
        struct endpoint *endpoint = CONTAINER_OF(node, struct name_lookup, link)->endpoint;
        if (endpoint->link.refs == 0)
            continue;
        resolve_refresh(targets->loop, endpoint, now_ms);
        check_own(targets, endpoint);
    }
}

bool targets_are_resolved(const struct targets *targets)
{
    LIST_FOREACH (node, &targets->names) {
        const struct endpoint *endpoint = CONTAINER_OF(node, struct name_lookup, link)->endpoint;
        if (endpoint->link.refs > 0 && !resolve_is_settled(endpoint))
            return false;
    }
    return true;
}

struct target *targets_next(struct targets *targets, struct target *previous)
{
    struct index_link *link = previous ? &previous->link : NULL;
    do {
        link = index_next(&targets->all, link);
    } while (link && target_is_retired(target_of(link)));
    return link ? target_of(link) : NULL;
}

size_t targets_count(const struct targets *targets)
{
    return targets->all.count;
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
    index_fini(&targets->all);
    index_fini(&targets->endpoints);
    slab_fini(&targets->slab);
    tls_context_free(targets->tls);
    mem_free(targets);
}
