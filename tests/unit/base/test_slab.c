// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/slab.h"

enum { THINGS = 30 * 1000, SIZE_MAX_ASKED = SLAB_ITEM_MAX + 100 };

struct thing {
    unsigned char *bytes; // NULL: not there
    size_t size;
    unsigned char mark;
};

static bool is_all(const unsigned char *bytes, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != value)
            return false;
    }
    return true;
}

static void drop(struct slab *slab, struct thing *thing)
{
    assert_true(is_all(thing->bytes, thing->size, thing->mark));
    slab_free(slab, thing->bytes, thing->size);
    thing->bytes = NULL;
}

// No two things overlap, all are zeroed and aligned; enough of them for chunks of every size.
static void things_keep_to_themselves(void **state)
{
    (void)state;
    static struct thing things[THINGS];
    uint64_t before = mem_in_use();
    struct slab slab;
    struct rng rng;
    rng_init(&rng, 3);
    slab_init(&slab);
    for (size_t step = 0; step < 3 * THINGS; step++) {
        struct thing *thing = &things[rng_below(&rng, THINGS)];
        if (thing->bytes) {
            drop(&slab, thing);
            continue;
        }
        thing->size = 1 + rng_below(&rng, SIZE_MAX_ASKED);
        thing->mark = (unsigned char)rng_next(&rng);
        thing->bytes = slab_alloc(&slab, thing->size);
        assert_non_null(thing->bytes);
        assert_int_equal((uintptr_t)thing->bytes % SLAB_UNIT, 0);
        assert_true(is_all(thing->bytes, thing->size, 0));
        memset(thing->bytes, thing->mark, thing->size);
    }
    for (size_t i = 0; i < THINGS; i++) {
        if (things[i].bytes)
            drop(&slab, &things[i]);
    }
    slab_free(&slab, NULL, 8);
    slab_fini(&slab);
    assert_int_equal(mem_in_use(), before);
}

static void what_is_freed_is_used_again(void **state)
{
    (void)state;
    static void *things[1000];
    struct slab slab;
    slab_init(&slab);
    uint64_t most = 0;
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < ARRAY_LEN(things); i++) {
            things[i] = slab_alloc(&slab, 100 + i % 3);
            assert_non_null(things[i]);
        }
        most = round == 0 ? mem_in_use() : most;
        assert_true(mem_in_use() <= most);
        for (size_t i = 0; i < ARRAY_LEN(things); i++)
            slab_free(&slab, things[i], 100 + i % 3);
    }
    slab_fini(&slab);
}

static void shortage_is_said(void **state)
{
    (void)state;
    struct slab slab;
    slab_init(&slab);
    void *first = slab_alloc(&slab, 40);
    assert_non_null(first);
    mem_fail_after(0);
    assert_null(slab_alloc(&slab, 40)); // though there is room
    assert_null(slab_alloc(&slab, SLAB_ITEM_MAX + 1));
    mem_fail_after(-1);
    slab_free(&slab, first, 40);
    slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_keep_to_themselves),
        cmocka_unit_test(what_is_freed_is_used_again),
        cmocka_unit_test(shortage_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
