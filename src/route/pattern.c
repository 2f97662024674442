// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "node.h"

enum { BLOCK = 64 };

// Patterns with the same tail, ascending by rank.
struct bucket {
    struct str tail;
    uint32_t count;
    uint32_t *ranks;
    uint64_t *needs; // of each BLOCK of ranks: what all of its patterns need
};

struct pattern_set {
    uint32_t refs;
    struct arena arena; // tails, buckets, ranks, texts
    struct map buckets; // tail -> struct bucket
    bool has_ports;     // some pattern has a port of its own
    size_t count;
    struct pattern at[]; // by rank
};

// Splits as Go's net.SplitHostPort does; what that refuses has no port and is reversed whole.
static void split_port(struct str host, struct str *name, struct str *port)
{
    *name = host;
    *port = STR_NULL;
    ptrdiff_t colon = str_rfind_char(host, ':');
    if (colon < 0)
        return;
    struct str before = str_upto(host, (size_t)colon);
    struct str after = str_from(host, (size_t)colon);
    if (before.len > 0 && before.ptr[0] == '[') {
        if (str_find_char(before, ']') != (ptrdiff_t)before.len - 1)
            return;
        before = str_from(str_upto(before, before.len - 1), 1);
    } else if (str_find_char(before, ':') >= 0) {
        return;
    }
    if (str_find_char(before, '[') >= 0 || str_find_char(before, ']') >= 0 ||
        str_find_char(after, '[') >= 0 || str_find_char(after, ']') >= 0)
        return;
    *name = before;
    *port = after;
}

// Byte `at` of the reversed name with the port behind; -1 at the end.
static int reversed_at(struct str name, struct str port, size_t at)
{
    if (at < name.len)
        return (unsigned char)name.ptr[name.len - 1 - at];
    at -= name.len;
    return at < port.len ? (unsigned char)port.ptr[at] : -1;
}

uint32_t pattern_port(struct str host)
{
    return str_ends_with(host, STR(":80")) ? 80 : str_ends_with(host, STR(":443")) ? 443 : 0;
}

int pattern_order(struct str a, struct str b)
{
    struct str name_a, port_a, name_b, port_b;
    split_port(a, &name_a, &port_a);
    split_port(b, &name_b, &port_b);
    for (size_t i = 0;; i++) {
        int left = reversed_at(name_a, port_a, i), right = reversed_at(name_b, port_b, i);
        if (left != right)
            return left > right ? -1 : 1;
        if (left < 0)
            return str_cmp(a, b);
    }
}

static int compare_patterns(const void *a, const void *b)
{
    return pattern_order(((const struct pattern *)a)->host, ((const struct pattern *)b)->host);
}

// The part of the tail that hosts are looked up by: from its first '.', so that it lies at a label.
static struct str lookup_tail(const struct pattern *pattern)
{
    struct str tail = glob_tail(pattern->glob);
    ptrdiff_t dot = str_find_char(tail, '.');
    return dot < 0 ? STR("") : str_from(tail, (size_t)dot);
}

static struct bucket *add_bucket(struct pattern_set *set, struct str tail)
{
    struct bucket *bucket = map_get(&set->buckets, tail);
    if (bucket)
        return bucket;
    bucket = arena_alloc(&set->arena, sizeof *bucket);
    if (!bucket)
        return NULL;
    bucket->tail = tail;
    return map_put(&set->buckets, tail, bucket) == 0 ? bucket : NULL;
}

static int fill_buckets(struct pattern_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct bucket *bucket = add_bucket(set, lookup_tail(&set->at[i]));
        if (!bucket)
            return ERR_NOMEM;
        bucket->count++;
    }
    for (size_t i = 0; i < set->count; i++) {
        struct bucket *bucket = map_get(&set->buckets, lookup_tail(&set->at[i]));
        if (!bucket->ranks) {
            size_t blocks = (bucket->count + BLOCK - 1) / BLOCK;
            bucket->ranks = arena_alloc_array(&set->arena, bucket->count, sizeof *bucket->ranks);
            bucket->needs = arena_alloc_array(&set->arena, blocks, sizeof *bucket->needs);
            if (!bucket->ranks || !bucket->needs)
                return ERR_NOMEM;
            memset(bucket->needs, 0xff, blocks * sizeof *bucket->needs);
            bucket->count = 0;
        }
        bucket->needs[bucket->count / BLOCK] &= set->at[i].needs;
        bucket->ranks[bucket->count++] = (uint32_t)i;
    }
    return 0;
}

static int add_pattern(struct pattern_set *set, struct str host)
{
    struct pattern *pattern = &set->at[set->count];
    pattern->host = arena_str(&set->arena, host);
    if (!pattern->host.ptr)
        return ERR_NOMEM;
    pattern->port = pattern_port(host);
    set->has_ports = set->has_ports || pattern->port != 0;
    pattern->glob = glob_new(host, NULL);
    if (!pattern->glob)
        return ERR_NOMEM;
    pattern->needs = glob_needs(pattern->glob);
    set->count++;
    return 0;
}

struct pattern_set *pattern_set_new(const struct str *hosts, size_t count)
{
    struct pattern_set *set = mem_zalloc(sizeof *set + count * sizeof set->at[0]);
    if (!set)
        return NULL;
    set->refs = 1;
    arena_init(&set->arena);
    map_init(&set->buckets);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add_pattern(set, hosts[i]);
    if (rc == 0) {
        qsort(set->at, set->count, sizeof set->at[0], compare_patterns);
        rc = fill_buckets(set);
    }
    if (rc == 0)
        return set;
    pattern_set_unref(set);
    return NULL;
}

struct pattern_set *pattern_set_ref(struct pattern_set *set)
{
    if (set)
        set->refs++;
    return set;
}

void pattern_set_unref(struct pattern_set *set)
{
    if (!set || --set->refs > 0)
        return;
    for (size_t i = 0; i < set->count; i++)
        glob_free(set->at[i].glob);
    map_fini(&set->buckets);
    arena_fini(&set->arena);
    mem_free(set);
}

// One search through the buckets that a host belongs to.
struct search {
    const struct pattern_set *set;
    struct str host;
    struct str with_port;
    uint64_t chars; // of with_port
    uint32_t default_port;
    uint32_t from; // ranks below are done
    uint32_t best; // lowest rank that matched, or the number of patterns
};

static bool has_all(const struct search *s, uint64_t needs)
{
    return (needs & ~s->chars) == 0;
}

static void search_block(struct search *s, const uint32_t *ranks, size_t count)
{
    for (size_t i = 0; i < count && ranks[i] < s->best; i++) {
        const struct pattern *pattern = &s->set->at[ranks[i]];
        if (!has_all(s, pattern->needs))
            continue;
        // A pattern that names the connection's default port stands for the host without it.
        bool names_default = pattern->port != 0 && pattern->port == s->default_port;
        if (glob_match(pattern->glob, names_default ? s->with_port : s->host))
            s->best = ranks[i];
    }
}

static void search_bucket(struct search *s, struct str tail)
{
    const struct bucket *bucket = map_get(&s->set->buckets, tail);
    if (!bucket)
        return;
    size_t low = 0, high = bucket->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bucket->ranks[middle] < s->from)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t end; low < bucket->count && bucket->ranks[low] < s->best; low = end) {
        end = MIN((low / BLOCK + 1) * BLOCK, bucket->count);
        if (has_all(s, bucket->needs[low / BLOCK]))
            search_block(s, bucket->ranks + low, end - low);
    }
}

static void search_tails(struct search *s, struct str host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] == '.')
            search_bucket(s, str_from(host, i));
    }
}

const struct pattern *pattern_set_next(const struct pattern_set *set, uint32_t *rank,
                                       struct str host, struct str with_port, uint32_t default_port)
{
    struct search s = {set,          host,  with_port,           glob_chars(with_port),
                       default_port, *rank, (uint32_t)set->count};
    search_tails(&s, host);
    if (set->has_ports)
        search_tails(&s, with_port);
    search_bucket(&s, STR(""));
    *rank = s.best + 1;
    return s.best < set->count ? &set->at[s.best] : NULL;
}
