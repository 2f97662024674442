// SPDX-License-Identifier: Apache-2.0
#include "discover/problems.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

enum { TEXT_MAX = 256 };

struct row {
    struct problem problem; // strings lie behind the struct
    uint64_t hash;
    bool is_old; // of the version of the scope that is being replaced
    struct list link;
};

struct scope {
    struct list rows;   // owned
    uint64_t uncounted; // rows that found no room
    struct str name;    // lies behind the struct
};

struct problems {
    struct map scopes;              // name -> struct scope, owned
    struct row *rows[PROBLEMS_MAX]; // oldest first
    size_t count;
    uint64_t total;
    uint64_t version;
    // Between begin and end:
    struct scope *open; // NULL also when memory was short: then add does nothing
    bool has_changed;
    size_t old_left; // rows of the scope still to be found again
};

struct problems *problems_new(void)
{
    struct problems *problems = mem_zalloc(sizeof *problems);
    if (problems)
        map_init(&problems->scopes);
    return problems;
}

static void scope_free(struct scope *scope)
{
    struct list *link;
    while ((link = list_pop_front(&scope->rows)))
        mem_free(CONTAINER_OF(link, struct row, link));
    mem_free(scope);
}

void problems_free(struct problems *problems)
{
    if (!problems)
        return;
    size_t at = 0;
    struct map_entry entry;
    while (map_next(&problems->scopes, &at, &entry))
        scope_free(entry.value);
    map_fini(&problems->scopes);
    mem_free(problems);
}

static struct scope *scope_new(struct problems *problems, struct str name)
{
    struct scope *scope = mem_zalloc(sizeof *scope + name.len + 1);
    if (!scope)
        return NULL;
    list_init(&scope->rows);
    char *copy = (char *)(scope + 1);
    if (name.len > 0)
        memcpy(copy, name.ptr, name.len);
    scope->name = str_make(copy, name.len);
    if (map_put(&problems->scopes, scope->name, scope) < 0) {
        mem_free(scope);
        return NULL;
    }
    return scope;
}

void problems_begin(struct problems *problems, struct str name)
{
    BUG_ON(problems->open);
    struct scope *scope = map_get(&problems->scopes, name);
    if (!scope)
        scope = scope_new(problems, name);
    problems->open = scope;
    problems->has_changed = false;
    if (!scope)
        return;
    problems->old_left = 0;
    LIST_FOREACH (link, &scope->rows) {
        CONTAINER_OF(link, struct row, link)->is_old = true;
        problems->old_left++;
    }
    problems->has_changed = scope->uncounted > 0;
    problems->total -= scope->uncounted;
    scope->uncounted = 0;
}

static uint64_t problem_hash(const struct problem *problem)
{
    uint64_t hash = problem->is_lost;
    const struct str *parts[] = {&problem->source, &problem->service, &problem->instance,
                                 &problem->text, &problem->reason};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        hash = hash_bytes(parts[i]->ptr, parts[i]->len, hash ^ parts[i]->len);
    return hash;
}

static bool problem_eq(const struct problem *a, const struct problem *b)
{
    return a->is_lost == b->is_lost && str_eq(a->source, b->source) &&
           str_eq(a->service, b->service) && str_eq(a->instance, b->instance) &&
           str_eq(a->text, b->text) && str_eq(a->reason, b->reason);
}

static struct str put_str(char **at, struct str s)
{
    struct str copy = {*at, s.len};
    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

static struct row *row_new(const struct problem *problem)
{
    struct row *row = mem_zalloc(sizeof *row + problem->source.len + problem->service.len +
                                 problem->instance.len + problem->text.len + problem->reason.len);
    if (!row)
        return NULL;
    char *at = (char *)(row + 1);
    row->problem = (struct problem){
        .source = put_str(&at, problem->source),
        .service = put_str(&at, problem->service),
        .instance = put_str(&at, problem->instance),
        .text = put_str(&at, problem->text),
        .reason = put_str(&at, problem->reason),
        .is_lost = problem->is_lost,
        .since_us = clock_wall_us(),
    };
    list_init(&row->link);
    return row;
}

static struct row *find_old(const struct scope *scope, const struct problem *problem, uint64_t hash)
{
    LIST_FOREACH (link, &scope->rows) {
        struct row *row = CONTAINER_OF(link, struct row, link);
        if (row->is_old && row->hash == hash && problem_eq(&row->problem, problem))
            return row;
    }
    return NULL;
}

void problems_add(struct problems *problems, const struct problem *given)
{
    struct scope *scope = problems->open;
    if (!scope)
        return;
    struct problem problem = *given;
    problem.service = str_upto(problem.service, TEXT_MAX);
    problem.instance = str_upto(problem.instance, TEXT_MAX);
    problem.text = str_upto(problem.text, TEXT_MAX);
    problem.reason = str_upto(problem.reason, TEXT_MAX);
    uint64_t hash = problem_hash(&problem);
    struct row *known = problems->old_left > 0 ? find_old(scope, &problem, hash) : NULL;
    if (known) {
        known->is_old = false;
        problems->old_left--;
        return;
    }

    struct row *row = problems->count < PROBLEMS_MAX ? row_new(&problem) : NULL;
    problems->has_changed = true;
    problems->total++;
    if (!row) {
        scope->uncounted++;
        return;
    }
    row->hash = hash;
    list_push_back(&scope->rows, &row->link);
    problems->rows[problems->count++] = row;
}

static void row_remove(struct problems *problems, struct row *row)
{
    size_t at = 0;
    while (problems->rows[at] != row)
        at++;
    problems->count--;
    memmove(&problems->rows[at], &problems->rows[at + 1],
            (problems->count - at) * sizeof(struct row *));
    problems->total--;
    problems->has_changed = true;
    list_remove(&row->link);
    mem_free(row);
}

void problems_end(struct problems *problems)
{
    struct scope *scope = problems->open;
    problems->open = NULL;
    if (!scope)
        return;
    LIST_FOREACH_SAFE (link, &scope->rows) {
        struct row *row = CONTAINER_OF(link, struct row, link);
        if (row->is_old)
            row_remove(problems, row);
    }
    if (problems->has_changed)
        problems->version++;
    if (list_is_empty(&scope->rows) && scope->uncounted == 0) {
        map_remove(&problems->scopes, scope->name);
        scope_free(scope);
    }
}

void problems_clear(struct problems *problems, struct str scope)
{
    // Called for every healthy service on every read: nothing is allocated when there is nothing.
    if (!map_get(&problems->scopes, scope))
        return;
    problems_begin(problems, scope);
    problems_end(problems);
}

size_t problems_count(const struct problems *problems)
{
    return problems->count;
}

const struct problem *problems_at(const struct problems *problems, size_t index)
{
    return &problems->rows[index]->problem;
}

uint64_t problems_total(const struct problems *problems)
{
    return problems->total;
}

uint64_t problems_version(const struct problems *problems)
{
    return problems->version;
}
