// SPDX-License-Identifier: Apache-2.0
#include "options_fixture.h"

#include "app/value.h"
#include "base/mem.h"

static void reads_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } CASES[] = {
        {"0", 0},
        {"+0", 0},
        {"-0", 0},
        {"1ns", 1},
        {"300ms", 300000000},
        {"1.5h", 5400000000000},
        {"1h2m3.5s", 3723500000000},
        {".5s", 500000000},
        {"1.s", 1000000000},
        {"2us", 2000},
        {"2\xc2\xb5s", 2000},
        {"2\xce\xbcs", 2000},
        {"-1m", -60000000000},
        {"+1m", 60000000000},
        {"0.000000001s", 1},
        {"2562047h", 9223369200000000000},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        int64_t ns = -1;
        assert_true(value_to_duration_ns(str_of(CASES[i].text), &ns));
        assert_int_equal(ns, CASES[i].ns);
    }
}

static void refuses_durations(void **state)
{
    (void)state;
    static const char *const CASES[] = {"",
                                        "5",
                                        "1.5",
                                        "s",
                                        ".s",
                                        "1x",
                                        "1 s",
                                        "-",
                                        "+",
                                        "1s5",
                                        "1s ",
                                        " 1s",
                                        "1S",
                                        "--1s",
                                        "1d",
                                        "1m",
                                        "1h-1m",
                                        "3000000h",
                                        "9223372036854775808ns",
                                        "99999999999999999999s"};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        int64_t ns;
        bool is_valid = value_to_duration_ns(str_of(CASES[i]), &ns);
        assert_int_equal(is_valid, strcmp(CASES[i], "1m") == 0);
    }
}

static void rounds_milliseconds_up(void **state)
{
    (void)state;
    uint32_t ms;
    assert_true(value_to_duration_ms(STR("1ns"), &ms));
    assert_int_equal(ms, 1);
    assert_true(value_to_duration_ms(STR("1001us"), &ms));
    assert_int_equal(ms, 2);
    assert_true(value_to_duration_ms(STR("0"), &ms));
    assert_int_equal(ms, 0);
    assert_true(value_to_duration_ms(STR("4294967295ms"), &ms));
    assert_int_equal(ms, UINT32_MAX);
    assert_false(value_to_duration_ms(STR("4294967296ms"), &ms));
    assert_false(value_to_duration_ms(STR("-1s"), &ms));
}

static void reads_ints(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } CASES[] = {{"0", 0},      {"10", 10},   {"-7", -7},     {"+7", 7},
                 {"0x1F", 31},  {"0b101", 5}, {"0o17", 15},   {"017", 15},
                 {"0x_1f", 31}, {"0_7", 7},   {"-0x10", -16}, {"9223372036854775807", INT64_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        int64_t value = -99;
        assert_true(value_to_int(str_of(CASES[i].text), &value));
        assert_int_equal(value, CASES[i].value);
    }
    static const char *const BAD[] = {"",     "abc", "1.5", "1 ",   " 1",
                                      "0x",   "0xg", "08",  "0b2",  "-",
                                      "1__0", "1_",  "_1",  "0x1_", "9223372036854775808"};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        int64_t value;
        assert_false(value_to_int(str_of(BAD[i]), &value));
    }
}

static void reads_bools_and_doubles(void **state)
{
    (void)state;
    bool is_set = false;
    assert_true(value_to_bool(STR("T"), &is_set) && is_set);
    assert_true(value_to_bool(STR("False"), &is_set) && !is_set);
    assert_false(value_to_bool(STR("yes"), &is_set));
    assert_false(value_to_bool(STR(""), &is_set));
    double number;
    assert_true(value_to_double(STR(".005"), &number) && number == 0.005);
    assert_true(value_to_double(STR("-1e3"), &number) && number == -1000);
    static const char *const BAD[] = {"", "x", "inf", "nan", "1x", " 1", "1e999"};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        assert_false(value_to_double(str_of(BAD[i]), &number));
}

static void splits_lists(void **state)
{
    (void)state;
    struct str rest = STR(" a, ,b ,,c");
    struct str member;
    assert_true(value_list_next(&rest, &member));
    assert_str(member, "a");
    assert_true(value_list_next(&rest, &member));
    assert_str(member, "b");
    assert_true(value_list_next(&rest, &member));
    assert_str(member, "c");
    assert_false(value_list_next(&rest, &member));
    rest = STR("");
    assert_false(value_list_next(&rest, &member));
    rest = STR_NULL;
    assert_false(value_list_next(&rest, &member));
}

// "{a:b,c:d}{e:f}"
static void show(const struct value_entries *entries, char *out, size_t room)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < entries->count; i++) {
        len += (size_t)snprintf(out + len, room - len, "{");
        for (size_t k = 0; k < entries->items[i].count; k++) {
            const struct value_pair *pair = &entries->items[i].pairs[k];
            len += (size_t)snprintf(out + len, room - len, "%s%.*s:%.*s", k ? "," : "",
                                    STR_FMT(pair->key), STR_FMT(pair->value));
        }
        len += (size_t)snprintf(out + len, room - len, "}");
    }
}

static void splits_entries(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *shown;
    } CASES[] = {
        {"", ""},
        {" a =b", "{a:b}"},
        {"a=\"b\\\\\\\"\"", "{a:b\\\"}"},
        {",a=b", "{a:b}"},
        {"a=b,", "{a:b}"},
        {";a=b", "{a:b}"},
        {"a=b;", "{a:b}"},
        {"b;c=d,e;f=g", "{:b,c:d}{:e,f:g}"},
        {"a=b=c;d=e=f", "{a:b=c,d:e=f}"},
        {"a= b ", "{a: b }"},
        {"a=", "{a:}"},
        {"\"a,b\";c='d;e'", "{:a,b,c:d;e}"},
        {"a=\"\\x41\\u00e4\\U0001F600\\t\"", "{a:A\xc3\xa4\xf0\x9f\x98\x80\t}"},
        {"{{ GetInterfaceIP \"lo\" }}:80;rt=1s", "{:{{ GetInterfaceIP \"lo\" }}:80,rt:1s}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct arena arena;
        arena_init(&arena);
        struct value_entries entries;
        struct err err = {0};
        char shown[256];
        assert_int_equal(value_to_entries(&arena, str_of(CASES[i].text), &entries, &err), 0);
        show(&entries, shown, sizeof shown);
        assert_string_equal(shown, CASES[i].shown);
        arena_fini(&arena);
    }
}

static void refuses_entries(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *reason;
    } CASES[] = {
        {"a=\"b", "unbalanced quotes"},
        {"'", "unbalanced quotes"},
        {"a=\"b\\", "unterminated escape sequence"},
        {"a=\"\\q\"", "invalid escape sequence"},
        {"a=\"\\x4\"", "invalid escape sequence"},
        {"a=\"\\ud800\"", "invalid escape sequence"},
        {"a=\"\\U00110000\"", "invalid escape sequence"},
        {"a=\"b\"c", "text behind a closing quote"},
        {"a=b;c", "no '=' behind \"c\""},
        {"=b", "'=' without a key"},
        {"a=b;=c", "'=' without a key"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct arena arena;
        arena_init(&arena);
        struct value_entries entries;
        struct err err = {0};
        assert_int_equal(value_to_entries(&arena, str_of(CASES[i].text), &entries, &err),
                         ERR_INVALID);
        assert_string_equal(err.text, CASES[i].reason);
        arena_fini(&arena);
    }
}

static void gives_the_last_of_equal_keys(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct value_entries entries;
    struct err err = {0};
    struct str value = STR_NULL;
    assert_int_equal(value_to_entries(&arena, STR("a=1;a=2"), &entries, &err), 0);
    assert_true(value_entry_get(&entries.items[0], STR("a"), &value));
    assert_str(value, "2");
    assert_false(value_entry_get(&entries.items[0], STR("b"), &value));
    arena_fini(&arena);
}

static void survives_shortage(void **state)
{
    (void)state;
    for (int64_t allowed = 0;; allowed++) {
        struct arena arena;
        arena_init(&arena);
        struct value_entries entries;
        struct err err = {0};
        mem_fail_after(allowed);
        int rc = value_to_entries(&arena, STR("a=\"b\",c=\"d\""), &entries, &err);
        mem_fail_after(-1);
        arena_fini(&arena);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(refuses_durations),
        cmocka_unit_test(rounds_milliseconds_up),
        cmocka_unit_test(reads_ints),
        cmocka_unit_test(reads_bools_and_doubles),
        cmocka_unit_test(splits_lists),
        cmocka_unit_test(splits_entries),
        cmocka_unit_test(refuses_entries),
        cmocka_unit_test(gives_the_last_of_equal_keys),
        cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
