// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/index.h"
#include "base/mem.h"
#include "base/rng.h"

enum { THINGS = 500, HASHES = 90 };

struct thing {
    struct index_link link;
    bool is_in;
    bool was_seen;
};

static struct thing *thing_of(struct index_link *link)
{
    return CONTAINER_OF(link, struct thing, link);
}

// Few hashes for many things, so that most share theirs.
static uint64_t hash_of(size_t i)
{
    return (i * i) % HASHES * 0x100000001;
}

static void check_all(const struct index *index, struct thing *things)
{
    size_t count = 0, walked = 0;
    for (size_t i = 0; i < THINGS; i++) {
        bool is_found = false;
        struct index_link *at = index_first(index, hash_of(i));
        for (; at; at = index_again(at))
            is_found = is_found || thing_of(at) == &things[i];
        assert_int_equal(is_found, things[i].is_in);
        count += things[i].is_in;
        things[i].was_seen = false;
    }
    assert_int_equal(index->count, count);
    for (struct index_link *at = index_next(index, NULL); at; at = index_next(index, at)) {
        assert_false(thing_of(at)->was_seen);
        assert_true(thing_of(at)->is_in);
        thing_of(at)->was_seen = true;
        walked++;
    }
    assert_int_equal(walked, count);
}

static void agrees_with_a_naive_model(void **state)
{
    (void)state;
    static struct thing things[THINGS];
    struct index index;
    struct rng rng;
    rng_init(&rng, 7);
    index_init(&index);
    check_all(&index, things);
    for (int step = 0; step < 4000; step++) {
        size_t i = rng_below(&rng, THINGS);
        if (things[i].is_in)
            index_remove(&index, &things[i].link);
        else
            assert_int_equal(index_add(&index, &things[i].link, hash_of(i)), 0);
        things[i].is_in = !things[i].is_in;
        if (step == 100)
            index_reserve(&index, THINGS / 2);
        if (step % 50 == 0)
            check_all(&index, things);
    }
    check_all(&index, things);
    index_fini(&index);
    assert_null(index_first(&index, 1));
}

static void shortage_only_makes_it_slower(void **state)
{
    (void)state;
    static struct thing things[THINGS];
    struct index index;
    index_init(&index);
    mem_fail_after(0);
    assert_int_equal(index_add(&index, &things[0].link, hash_of(0)), ERR_NOMEM);
    mem_fail_after(1);
    for (size_t i = 0; i < THINGS; i++) {
        assert_int_equal(index_add(&index, &things[i].link, hash_of(i)), 0);
        things[i].is_in = true;
    }
    mem_fail_after(-1);
    check_all(&index, things);
    index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_naive_model),
        cmocka_unit_test(shortage_only_makes_it_slower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
