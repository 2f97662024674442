// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/request_id.h"

enum { COUNT = 1000 };

static void are_uuids_of_version_4(void **state)
{
    (void)state;
    static struct request_ids ids;
    static uint8_t seen[COUNT][REQUEST_ID_BYTES];
    for (int i = 0; i < COUNT; i++) {
        request_id_next(&ids, seen[i]);
        char room[REQUEST_ID_TEXT];
        struct str text = request_id_text(seen[i], room);
        assert_int_equal(text.len, 36);
        for (size_t at = 0; at < text.len; at++) {
            if (at == 8 || at == 13 || at == 18 || at == 23)
                assert_int_equal(text.ptr[at], '-');
            else
                assert_non_null(memchr("0123456789abcdef", text.ptr[at], 16));
        }
        assert_int_equal(text.ptr[14], '4');
        assert_non_null(memchr("89ab", text.ptr[19], 4));
        for (int other = 0; other < i; other++)
            assert_memory_not_equal(seen[i], seen[other], REQUEST_ID_BYTES);
    }
}

static void text_is_in_wire_order(void **state)
{
    (void)state;
    uint8_t id[REQUEST_ID_BYTES];
    for (uint8_t i = 0; i < REQUEST_ID_BYTES; i++)
        id[i] = (uint8_t)(i * 0x11);
    char room[REQUEST_ID_TEXT];
    struct str text = request_id_text(id, room);
    assert_memory_equal(text.ptr, "00112233-4455-6677-8899-aabbccddeeff", 36);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_uuids_of_version_4),
        cmocka_unit_test(text_is_in_wire_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
