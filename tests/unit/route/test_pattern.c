// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "fixture.h"
#include "node.h"
#include "route/glob.h"

enum { ROUNDS = 200, PATTERNS_MAX = 400, HOSTS = 50, TEXT_MAX = 32 };

struct texts {
    struct str at[PATTERNS_MAX];
    char bytes[PATTERNS_MAX][TEXT_MAX];
    size_t count;
};

static struct str random_text(struct rng *rng, char *out, const char *const *pieces, size_t count)
{
    size_t len = 0;
    for (uint32_t left = 1 + rng_below(rng, 6); left > 0; left--) {
        struct str piece = str_of(pieces[rng_below(rng, (uint32_t)count)]);
        memcpy(out + len, piece.ptr, piece.len);
        len += piece.len;
    }
    return str_make(out, len);
}

static int compare(const void *a, const void *b)
{
    return pattern_order(*(const struct str *)a, *(const struct str *)b);
}

// Ascending by rank, each once, as hosts of routes are.
static void random_patterns(struct rng *rng, struct texts *texts)
{
    static const char *const pieces[] = {"*", "*", "?",  "a",    "b",    "c",
                                         "0", "7", ".d", "[ab]", "{a,c}"};
    texts->count = 1 + rng_below(rng, PATTERNS_MAX);
    for (size_t i = 0; i < texts->count; i++)
        texts->at[i] = random_text(rng, texts->bytes[i], pieces, ARRAY_LEN(pieces));
    qsort(texts->at, texts->count, sizeof texts->at[0], compare);
    size_t kept = 0;
    for (size_t i = 0; i < texts->count; i++) {
        if (kept == 0 || !str_eq(texts->at[i], texts->at[kept - 1]))
            texts->at[kept++] = texts->at[i];
    }
    texts->count = kept;
}

// Beside many others of the same tail, of which a lookup passes over whole blocks.
static void finds_what_a_walk_over_all_finds_in_the_same_order(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "b", "c", "0", "7", ".d", "x"};
    static struct texts texts;
    struct rng rng;
    rng_init(&rng, 7);
    size_t found = 0;
    for (int round = 0; round < ROUNDS; round++) {
        random_patterns(&rng, &texts);
        struct pattern_set *set = pattern_set_new(texts.at, texts.count);
        assert_non_null(set);
        struct glob *globs[PATTERNS_MAX];
        for (size_t i = 0; i < texts.count; i++) {
            globs[i] = glob_new(texts.at[i], NULL);
            assert_non_null(globs[i]);
        }
        for (int k = 0; k < HOSTS; k++) {
            char bytes[TEXT_MAX];
            struct str host = random_text(&rng, bytes, pieces, ARRAY_LEN(pieces));
            uint32_t rank = 0;
            for (size_t i = 0; i < texts.count; i++) {
                if (!glob_match(globs[i], host))
                    continue;
                const struct pattern *pattern = pattern_set_next(set, &rank, host, host, 0);
                assert_non_null(pattern);
                assert_true(str_eq(pattern->host, texts.at[i]));
                found++;
            }
            assert_null(pattern_set_next(set, &rank, host, host, 0));
        }
        for (size_t i = 0; i < texts.count; i++)
            glob_free(globs[i]);
        pattern_set_unref(set);
    }
    assert_true(found > ROUNDS);
    assert_int_equal(mem_in_use(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_a_walk_over_all_finds_in_the_same_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
