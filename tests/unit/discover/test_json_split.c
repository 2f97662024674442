// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "discover/json_split.h"

struct seen {
    char text[4096];
    size_t len;
    int status; // given back for each element
};

static int note(void *ctx, struct str element)
{
    struct seen *seen = ctx;
    seen->len += (size_t)snprintf(seen->text + seen->len, sizeof seen->text - seen->len, "<%.*s>",
                                  STR_FMT(element));
    return seen->status;
}

// Splits in pieces of every size; all must give the same.
static int split(const char *text, char open, struct seen *seen)
{
    size_t len = strlen(text);
    int first = 0;
    for (size_t piece = len ? len : 1; piece > 0; piece--) {
        struct seen now = {0};
        struct json_split splitter;
        json_split_init(&splitter, open, note, &now);
        int status = 0;
        for (size_t at = 0; at < len && status == 0; at += piece)
            status = json_split_feed(&splitter, str_upto(str_make(text + at, len - at), piece));
        if (status == 0)
            status = json_split_finish(&splitter);
        json_split_fini(&splitter);
        if (piece == len || len == 0) {
            first = status;
            *seen = now;
        } else {
            assert_int_equal(status, first);
            assert_string_equal(now.text, seen->text);
        }
    }
    return first;
}

static void elements_come_one_by_one(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        char open;
        const char *elements;
    } CASES[] = {
        {"[]", '[', ""},
        {" [ ] \n", '[', ""},
        {"[1,2]", '[', "<1><2>"},
        {"[ {\"a\":[1,2]} , \"x,]\" ]", '[', "<{\"a\":[1,2]}><\"x,]\">"},
        {"[\"\\\",\\\\\",1]", '[', "<\"\\\",\\\\\"><1>"},
        {"{}", '{', ""},
        {"{\"a\": [\"b\",\"c\"], \"d\": {}}", '{', "<\"a\": [\"b\",\"c\"]><\"d\": {}>"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct seen seen;
        assert_int_equal(split(CASES[i].text, CASES[i].open, &seen), 0);
        assert_string_equal(seen.text, CASES[i].elements);
    }
}

static void what_is_no_complete_list_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        char open;
    } CASES[] = {
        {"", '['},       {"null", '['}, {"{}", '['},        {"[]", '{'},     {"[1", '['},
        {"[1,", '['},    {"[,]", '['},  {"[1,]", '['},      {"[1,,2]", '['}, {"[1]x", '['},
        {"[1][2]", '['}, {"[1}", '['},  {"{\"a\":1]", '{'}, {"[\"a", '['},   {"x[1]", '['},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct seen seen;
        assert_int_equal(split(CASES[i].text, CASES[i].open, &seen), ERR_INVALID);
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char text[200] = "[";
    struct seen seen;
    memset(text + 1, '[', JSON_DEPTH_MAX);
    memset(text + 1 + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX + 1);
    assert_int_equal(split(text, '[', &seen), 0);
    memset(text, '[', sizeof text - 1);
    assert_int_equal(split(text, '[', &seen), ERR_TOO_LARGE);
}

static void the_callback_can_end_it(void **state)
{
    (void)state;
    struct seen seen = {.status = ERR_CONFLICT};
    assert_int_equal(json_split_all(STR("[1,2]"), '[', note, &seen), ERR_CONFLICT);
    assert_string_equal(seen.text, "<1>");
}

static void an_element_has_a_largest_size(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct json_split splitter;
    json_split_init(&splitter, '[', note, &seen);
    splitter.carry.max = 8;
    assert_int_equal(json_split_feed(&splitter, STR("[1234")), 0);
    assert_int_equal(json_split_feed(&splitter, STR("56789")), ERR_TOO_LARGE);
    json_split_fini(&splitter);
}

static void shortage_is_reported(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct json_split splitter;
    json_split_init(&splitter, '[', note, &seen);
    mem_fail_after(0);
    assert_int_equal(json_split_feed(&splitter, STR("[12")), ERR_NOMEM);
    mem_fail_after(-1);
    json_split_fini(&splitter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_one_by_one),
        cmocka_unit_test(what_is_no_complete_list_is_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(the_callback_can_end_it),
        cmocka_unit_test(an_element_has_a_largest_size),
        cmocka_unit_test(shortage_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
