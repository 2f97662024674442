// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include "weight.h"

enum { NONE = -2 }; // a weight that means no traffic

static void shares_out_as_fabio(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        double fixed[4];
        double weight[4];
    } rows[] = {
        {1, {0}, {1}},
        {3, {0, 0, 0}, {1.0 / 3, 1.0 / 3, 1.0 / 3}},
        {2, {0.2, 0.3}, {0.4, 0.6}},
        {2, {2, 3}, {0.4, 0.6}},
        {3, {0, 0, 0.5}, {0.25, 0.25, 0.5}},
        {3, {0, 0.25, 0.75}, {0, 0.25, 0.75}},
        {3, {0, 1, 3}, {0, 0.25, 0.75}},
        {3, {0.9, 0.05, 0.05}, {0.9, 0.05, 0.05}},
        {1, {0.1}, {1}},
        {2, {NONE, 0}, {0, 1}},
        {3, {NONE, 0.5, 0.25}, {0, 2.0 / 3, 1.0 / 3}},
        {2, {NONE, NONE}, {0, 0}},
        {2, {NONE, 5}, {0, 1}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct share shares[4];
        for (size_t k = 0; k < rows[i].count; k++)
            shares[k] = (struct share){MAX(rows[i].fixed[k], 0), rows[i].fixed[k] < 0, -1};
        weight_share_out(shares, rows[i].count);
        for (size_t k = 0; k < rows[i].count; k++)
            assert_float_equal(shares[k].weight, rows[i].weight[k], 1e-12);
    }
}

static void turns_weights_into_slots(void **state)
{
    (void)state;
    assert_int_equal(weight_slots(0), 0);
    assert_int_equal(weight_slots(1), 10000);
    assert_int_equal(weight_slots(0.25), 2500);
    assert_int_equal(weight_slots(1.0 / 3), 3333);
    assert_int_equal(weight_slots(0.00001), 1);
}

// The ring as written in the description: a linear search for the next free cell.
static void lay_out_plainly(const uint32_t *slots, size_t count, uint32_t len, uint32_t *cells)
{
    bool is_done[64] = {0};
    memset(cells, 0xff, len * sizeof *cells);
    for (size_t round = 0; round < count; round++) {
        size_t next = SIZE_MAX;
        for (size_t k = 0; k < count; k++) {
            if (!is_done[k] && (next == SIZE_MAX || slots[k] < slots[next]))
                next = k;
        }
        is_done[next] = true;
        uint32_t at = 0;
        for (uint32_t n = 0; n < slots[next]; n++) {
            while (cells[at] != UINT32_MAX)
                at = (at + 1) % len;
            cells[at] = (uint32_t)next;
            at = (at + len / slots[next]) % len;
        }
    }
}

static void lays_rings_out_as_fabio(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        uint32_t slots[6];
        uint32_t period;
    } rows[] = {
        {3, {2000, 4000, 4000}, 5},
        {2, {1000, 9000}, 10},
        {2, {5000, 5000}, 2},
        {1, {10000}, 1},
        {3, {0, 2500, 7500}, 4},
        {3, {3333, 3333, 3333}, 3},
        {2, {333, 9667}, 10000},
        {3, {1, 1, 9998}, 10000},
        {4, {7, 3, 5, 11}, 26},
        {6, {1, 2, 3, 4, 5, 6}, 21},
        {2, {4, 6}, 10},
    };
    struct ring_cache cache;
    ring_cache_init(&cache);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        static uint32_t cells[20000];
        uint32_t len = 0;
        for (size_t k = 0; k < rows[i].count; k++)
            len += rows[i].slots[k];
        lay_out_plainly(rows[i].slots, rows[i].count, len, cells);
        struct ring *ring = ring_get(&cache, rows[i].slots, rows[i].count);
        assert_non_null(ring);
        assert_int_equal(len % ring->len, 0);
        for (uint32_t k = 0; k < len; k++)
            assert_int_equal(ring->cells[k % ring->len], cells[k]);
        if (ring->len > rows[i].period)
            fail_msg("row %zu: %u cells", i, ring->len);
        ring_put(&cache, ring);
    }
    ring_cache_fini(&cache);
}

static void shows_the_observed_sequences(void **state)
{
    (void)state;
    struct ring_cache cache;
    ring_cache_init(&cache);
    struct ring *ring = ring_get(&cache, (uint32_t[]){2000, 4000, 4000}, 3);
    static const uint32_t expected[] = {0, 1, 2, 1, 2, 0, 1, 2, 1, 2, 0, 1};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(ring->cells[i % ring->len], expected[i]);
    ring_put(&cache, ring);
    ring_cache_fini(&cache);
}

static void keeps_equal_rings_once(void **state)
{
    (void)state;
    struct ring_cache cache;
    ring_cache_init(&cache);
    struct ring *one = ring_get(&cache, (uint32_t[]){500, 9500}, 2);
    struct ring *same = ring_get(&cache, (uint32_t[]){500, 9500}, 2);
    struct ring *other = ring_get(&cache, (uint32_t[]){9500, 500}, 2);
    assert_ptr_equal(one, same);
    assert_ptr_not_equal(one, other);
    ring_put(&cache, one);
    assert_ptr_equal(ring_get(&cache, (uint32_t[]){500, 9500}, 2), same);
    ring_put(&cache, same);
    ring_put(&cache, same);
    ring_put(&cache, other);
    ring_put(&cache, NULL);
    assert_int_equal(cache.rings.count, 0);
    ring_cache_fini(&cache);
}

static void survives_shortage(void **state)
{
    (void)state;
    struct ring_cache cache;
    ring_cache_init(&cache);
    struct ring *ring = NULL;
    int64_t n = 0;
    for (; !ring; n++) {
        mem_fail_after(n);
        ring = ring_get(&cache, (uint32_t[]){1, 3}, 2);
        mem_fail_after(-1);
    }
    assert_in_range(n, 4, 8);
    assert_int_equal(ring->len, 4);
    ring_put(&cache, ring);
    ring_cache_fini(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_out_as_fabio),     cmocka_unit_test(turns_weights_into_slots),
        cmocka_unit_test(lays_rings_out_as_fabio), cmocka_unit_test(shows_the_observed_sequences),
        cmocka_unit_test(keeps_equal_rings_once),  cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
