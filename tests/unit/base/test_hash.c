// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

static void depends_on_bytes_length_and_seed(void **state)
{
    (void)state;
    char bytes[32] = "0123456789abcdefghijklmnopqrstu";
    for (size_t len = 0; len < sizeof bytes; len++) {
        uint64_t hash = hash_bytes(bytes, len, 1);
        assert_true(hash == hash_bytes(bytes, len, 1));
        assert_true(hash != hash_bytes(bytes, len, 2));
        assert_true(hash != hash_bytes(bytes, len + 1, 1));
        for (size_t i = 0; i < len; i++) {
            bytes[i] ^= 1;
            assert_true(hash != hash_bytes(bytes, len, 1));
            bytes[i] ^= 1;
        }
    }
    // Zero bytes count: they are not the padding of a shorter text.
    assert_true(hash_bytes("\0\0", 1, 0) != hash_bytes("\0\0", 2, 0));
}

static void spreads_over_the_low_bits(void **state)
{
    (void)state;
    enum { BUCKETS = 256, KEYS = 25600 };
    static int count[BUCKETS];
    for (int i = 0; i < KEYS; i++) {
        char name[32];
        int len = snprintf(name, sizeof name, "host-%d.example.com", i);
        count[hash_bytes(name, (size_t)len, 0) % BUCKETS]++;
    }
    // 100 expected each; ten standard deviations either way.
    for (int i = 0; i < BUCKETS; i++)
        assert_in_range(count[i], 1, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depends_on_bytes_length_and_seed),
        cmocka_unit_test(spreads_over_the_low_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
