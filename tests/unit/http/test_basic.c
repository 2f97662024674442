// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/basic.h"

static void credentials_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        const char *user;
        const char *password;
    } rows[] = {
        {"Basic Zm9vOmJhcg==", "foo", "bar"},
        {"basic Zm9vOmJhcg==", "foo", "bar"},
        {"BASIC  Zm9vOmJhcg==", "foo", "bar"},
        {"Basic Zm9vOmI6YTpy", "foo", "b:a:r"}, // the first colon ends the user
        {"Basic Zm9vOg==", "foo", ""},
        {"Basic OmJhcg==", "", "bar"},
        {"Basic Og==", "", ""},
        {"Basic dXNlcjpww6Rzcw==", "user", "p\xc3\xa4ss"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char room[HTTP_BASIC_MAX];
        struct str user, password;
        assert_true(http_basic_parse(str_of(rows[i].field), room, &user, &password));
        assert_true(str_eq(user, str_of(rows[i].user)));
        assert_true(str_eq(password, str_of(rows[i].password)));
    }
}

static void everything_else_is_none(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "Basic",
        "Basic ",
        "Basic Zm9v",          // no colon
        "Basic Zm9vOmJhcg",    // no padding
        "Basic Zm9v OmJhcg==", // white space inside
        "Bearer Zm9vOmJhcg==",
        "BasicZm9vOmJhcg==",
        "Digest username=\"foo\"",
        "malformed",
    };
    char room[HTTP_BASIC_MAX];
    struct str user, password;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_false(http_basic_parse(str_of(rows[i]), room, &user, &password));
}

static void what_does_not_fit_is_none(void **state)
{
    (void)state;
    char field[2 * HTTP_BASIC_MAX];
    char room[HTTP_BASIC_MAX];
    struct str user, password;
    memcpy(field, "Basic Og==", 6);
    size_t fits = HTTP_BASIC_MAX / 3 * 4;
    memset(field + 6, 'O', sizeof field - 6);
    memcpy(field + 6, "Ojo6", 4);
    assert_true(http_basic_parse(str_make(field, 6 + fits), room, &user, &password));
    assert_int_equal(password.len, HTTP_BASIC_MAX / 3 * 3 - 1);
    assert_false(http_basic_parse(str_make(field, 6 + fits + 4), room, &user, &password));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_are_taken_apart),
        cmocka_unit_test(everything_else_is_none),
        cmocka_unit_test(what_does_not_fit_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
