// SPDX-License-Identifier: Apache-2.0
#include "path_index.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "fixture.h"

enum { PATHS_MAX = 64, PATH_LEN_MAX = 24, ROUNDS = 20000, LOOKUPS = 40 };

// A set of paths, with the bytes they are made of.
struct paths {
    struct str at[PATHS_MAX];
    char bytes[PATHS_MAX][PATH_LEN_MAX];
    size_t count;
};

static int compare_descending(const void *a, const void *b)
{
    return -str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void sort_paths(struct paths *paths)
{
    qsort(paths->at, paths->count, sizeof paths->at[0], compare_descending);
    size_t kept = 0;
    for (size_t i = 0; i < paths->count; i++) {
        if (kept == 0 || !str_eq(paths->at[i], paths->at[kept - 1]))
            paths->at[kept++] = paths->at[i];
    }
    paths->count = kept;
}

// Few letters, so that many are prefixes of others and differ in either half of a byte.
static struct str random_text(struct rng *rng, char *out, size_t len_max)
{
    static const char letters[] = {'a', 'b', 'A', 'q', '/', '\0', '\xff', '\x1f'};
    size_t letter_count = 1 + rng_below(rng, ARRAY_LEN(letters));
    size_t len = rng_below(rng, (uint32_t)len_max + 1);
    for (size_t i = 0; i < len; i++)
        out[i] = letters[rng_below(rng, (uint32_t)letter_count)];
    return str_make(out, len);
}

static void random_paths(struct rng *rng, struct paths *paths)
{
    paths->count = 1 + rng_below(rng, PATHS_MAX);
    size_t len_max = 1 + rng_below(rng, PATH_LEN_MAX);
    for (size_t i = 0; i < paths->count; i++) {
        if (i > 0 && rng_below(rng, 3) == 0) { // goes on from another
            struct str before = paths->at[rng_below(rng, (uint32_t)i)];
            if (before.len > 0)
                memcpy(paths->bytes[i], before.ptr, before.len);
            struct str more =
                random_text(rng, paths->bytes[i] + before.len, PATH_LEN_MAX - before.len);
            paths->at[i] = str_make(paths->bytes[i], before.len + more.len);
        } else {
            paths->at[i] = random_text(rng, paths->bytes[i], len_max);
        }
    }
    sort_paths(paths);
}

static uint32_t naive_find(const struct paths *paths, struct str path, bool is_folded)
{
    for (size_t i = 0; i < paths->count; i++) {
        if (is_folded ? str_istarts_with(path, paths->at[i]) : str_starts_with(path, paths->at[i]))
            return (uint32_t)i;
    }
    return PATH_INDEX_NONE;
}

static void finds_what_a_walk_through_all_finds(void **state)
{
    (void)state;
    static struct paths paths;
    struct rng rng;
    rng_init(&rng, 20264);
    size_t found = 0;
    for (int n = 0; n < ROUNDS; n++) {
        bool is_folded = n % 2;
        random_paths(&rng, &paths);
        struct path_index *index = path_index_new(paths.at, paths.count, is_folded);
        assert_non_null(index);
        for (int k = 0; k < LOOKUPS; k++) {
            char bytes[2 * PATH_LEN_MAX];
            struct str path = STR(""), like = paths.at[rng_below(&rng, (uint32_t)paths.count)];
            size_t kept = rng_below(&rng, (uint32_t)like.len + 1);
            if (kept > 0)
                memcpy(bytes, like.ptr, kept);
            path = str_make(bytes, kept + random_text(&rng, bytes + kept, PATH_LEN_MAX).len);
            uint32_t expected = naive_find(&paths, path, is_folded);
            assert_int_equal(path_index_find(index, path), expected);
            found += expected != PATH_INDEX_NONE;
        }
        path_index_unref(index);
    }
    assert_in_range(found, ROUNDS * LOOKUPS / 4, ROUNDS * LOOKUPS - ROUNDS);
}

static void of_equal_but_for_case_the_first_given_wins(void **state)
{
    (void)state;
    const struct str paths[] = {STR_INIT("/ab/c"), STR_INIT("/ab"), STR_INIT("/Ab"),
                                STR_INIT("/AB")};
    struct path_index *index = path_index_new(paths, ARRAY_LEN(paths), true);
    assert_int_equal(path_index_find(index, STR("/AB/x")), 1);
    assert_int_equal(path_index_find(index, STR("/aB/C")), 0);
    assert_int_equal(path_index_find(index, STR("/a")), PATH_INDEX_NONE);
    path_index_unref(index);
}

// Each path goes on from the one before: no depth is too much for the stack or for a search.
static void takes_long_chains(void **state)
{
    (void)state;
    enum { CHAIN = 3000 };
    static char bytes[CHAIN + 1];
    static struct str paths[2 * CHAIN];
    memset(bytes, 'a', CHAIN);
    static char turned[CHAIN][CHAIN + 1];
    for (size_t i = 0; i < CHAIN; i++) {
        memset(turned[i], 'a', i);
        turned[i][i] = 'b';
        // Descending: all that turn off, the shortest first, then the chain from its end.
        paths[i] = str_make(turned[i], i + 1);
        paths[CHAIN + i] = str_make(bytes, CHAIN - i);
    }
    struct path_index *index = path_index_new(paths, 2 * CHAIN, false);
    assert_non_null(index);
    assert_int_equal(path_index_find(index, str_make(bytes, CHAIN)), CHAIN);
    assert_int_equal(path_index_find(index, STR("a")), 2 * CHAIN - 1);
    assert_int_equal(path_index_find(index, STR("aaac")), 2 * CHAIN - 3);
    assert_int_equal(path_index_find(index, STR("aaabx")), 3);
    assert_int_equal(path_index_find(index, STR("c")), PATH_INDEX_NONE);
    assert_int_equal(path_index_find(index, STR("")), PATH_INDEX_NONE);
    path_index_unref(index);
}

static void shortage_leaves_nothing_behind(void **state)
{
    (void)state;
    const struct str paths[] = {STR_INIT("/b"), STR_INIT("/a"), STR_INIT("/")};
    uint64_t before = mem_in_use();
    struct path_index *index = NULL;
    for (int n = 0; !index; n++) {
        assert_int_equal(mem_in_use(), before);
        mem_fail_after(n);
        index = path_index_new(paths, ARRAY_LEN(paths), false);
        mem_fail_after(-1);
    }
    assert_int_equal(path_index_find(index, STR("/a/x")), 1);
    path_index_unref(index);
    assert_int_equal(mem_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_a_walk_through_all_finds),
        cmocka_unit_test(of_equal_but_for_case_the_first_given_wins),
        cmocka_unit_test(takes_long_chains),
        cmocka_unit_test(shortage_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
