// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include "text.h"
#include "url.h"

static void splits_at_unicode_white_space(void **state)
{
    (void)state;
    struct str rest = str_of(" a\tbc\xc2\xa0"
                             "d\xe3\x80\x80\xe2\x80\x8a"
                             "e\xe2\x80\x8b"
                             "f\n");
    static const char last[] = "e\xe2\x80\x8b"
                               "f"; // a zero-width space is none
    static const char *const fields[] = {"a", "bc", "d", last};
    struct str field;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        assert_true(text_field_next(&rest, &field));
        assert_true(str_eq(field, str_of(fields[i])));
    }
    assert_false(text_field_next(&rest, &field));
    rest = STR_NULL;
    assert_false(text_field_next(&rest, &field));
}

static void trims_unicode_white_space(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {" \t\xc2\x85 ", ""},
        {"a b", "a b"},
        {"\xe2\x80\xa8 a\xc2\xa0\xe1\x9a\x80", "a"},
        {"a\xa0", "a\xa0"},
        {"\xe2\x80", "\xe2\x80"},
        {"\xe2\x81\x9f"
         "a\xe2\x80\xaf",
         "a"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(str_eq(text_trim(str_of(rows[i][0])), str_of(rows[i][1])));
}

static void knows_what_breaks_lines_and_targets(void **state)
{
    (void)state;
    assert_false(text_has_control(STR("/a#\xc3\xa9")));
    assert_true(text_has_control(STR("a b")));
    assert_true(text_has_control(STR("a\x7f")));
    assert_false(text_breaks_target(STR("/a?b\"%20")));
    assert_true(text_breaks_target(STR("/a#")));
    assert_true(text_breaks_target(STR("/\xc3\xa9")));
    assert_true(text_breaks_target(STR("/a\r")));
}

static void knows_what_can_be_sent_as_host(void **state)
{
    (void)state;
    static const char *const good[] = {
        "a",    "A.example.", "a_b~c", "a!$&'()*+,;=b", "10.0.0.1",          "a:",
        "a:80", "a:65535",    "[::1]", "[::1]:8080",    "[::ffff:1.2.3.4]:1"};
    static const char *const bad[] = {"",
                                      ":",
                                      ":80",
                                      "a/b",
                                      "a\\b",
                                      "u@a",
                                      "a?b",
                                      "a#b",
                                      "a b",
                                      "a\"b",
                                      "a<b>",
                                      "\xc3\xa9",
                                      "%",
                                      "a%4",
                                      "%zz",
                                      "%C3%A9",
                                      "a:x",
                                      "a:+1",
                                      "a:65536",
                                      "a:000080",
                                      "a:1:2",
                                      "::1",
                                      "[",
                                      "[]",
                                      "[a]",
                                      "[::1",
                                      "[::1]]",
                                      "[::1]a",
                                      "[::1]:x",
                                      "[1.2.3.4]",
                                      "[fe80::1%25lo]",
                                      "a\x01"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(text_is_authority(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_is_authority(str_of(bad[i])));
    assert_false(text_is_authority(str_make("a\0", 2)));
    assert_true(text_is_host(STR("fe80::1")));
    assert_false(text_is_host(STR("fe80::1%25lo")));
    char name[300];
    memset(name, 'a', sizeof name);
    assert_true(text_is_host(str_make(name, 255)));
    assert_false(text_is_host(str_make(name, 256)));
}

static void reads_weights(void **state)
{
    (void)state;
    double weight;
    static const struct {
        const char *text;
        double weight;
    } good[] = {{"0.5", 0.5},    {"1", 1},   {"5e-1", 0.5}, {"-1", -1},
                {"0x1p-1", 0.5}, {"nan", 0}, {".25", 0.25}};
    static const char *const bad[] = {
        "",     "x",
        "1x",   "inf",
        "1e10", "-inf",
        " 1",   "1,5",
        "0.5%", "00000000000000000000000000000000000000000000000000000000000000001"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(text_to_weight(str_of(good[i].text), &weight));
        assert_true(weight == good[i].weight);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_to_weight(str_of(bad[i]), &weight));
}

static void takes_urls_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *host, *name, *query;
        unsigned port;
    } rows[] = {
        {"http://a:80/", "http", "a:80", "a", "", 80},
        {"HTTPS://a", "HTTPS", "a", "a", "", 0},
        {"http://[::1]:8080/x?q=1#f", "http", "[::1]:8080", "::1", "q=1", 8080},
        {"http://[::1]", "http", "[::1]", "::1", "", 0},
        {"http://u:p@a.b:1/x", "http", "a.b:1", "a.b", "", 1},
        {"http://a:", "http", "a:", "a", "", 0},
        {"https://$host$path", "https", "$host$path", "$host$path", "", 0},
        {"http://a?x?y", "http", "a", "a", "x?y", 0},
        {"localhost:5000", "localhost", "", "", "", 0},
        {"/other?x", "", "", "", "x", 0},
        {"//a:5/b", "", "a:5", "a", "", 5},
        {"///b", "", "", "", "", 0},
        {"a/b:c", "", "", "", "", 0},
        {"http:///x", "http", "", "", "", 0},
        {"http://\xc3\xa9/", "http", "\xc3\xa9", "\xc3\xa9", "", 0},
        {"1a", "", "", "", "", 0},
        {"#%41", "", "", "", "", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct url url;
        struct err err = {0};
        if (url_parse(str_of(rows[i].text), &url, &err) != 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_true(str_eq(url.scheme, str_of(rows[i].scheme)));
        assert_true(str_eq(url.host, str_of(rows[i].host)));
        assert_true(str_eq(url.name, str_of(rows[i].name)));
        assert_true(str_eq(url.query, str_of(rows[i].query)));
        assert_int_equal(url.port, rows[i].port);
    }
}

static void refuses_what_is_no_url(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"http://x/%zz", "escape"},   {"1.2.3.4:80", "colon"},      {":80", "scheme"},
        {"http://a:b/", "port"},      {"http://a:65536/", "range"}, {"http://a:0/", "range"},
        {"http://[::1/", "']'"},      {"http://[::1]x/", "port"},   {"http://a b/", "host"},
        {"http://a\x01/", "control"}, {"http://a%zz/", "escape"},   {"http://a/#%z", "escape"},
        {"http://a{b/", "host"},      {"http://a/%4", "escape"},    {"http://a:80$path", "port"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct url url;
        struct err err = {0};
        assert_int_equal(url_parse(str_of(rows[i][0]), &url, &err), ERR_INVALID);
        if (!strstr(err.text, rows[i][1]))
            fail_msg("%s: %s", rows[i][0], err.text);
    }
}

// What Go's net/url makes of the same texts.
static void prints_urls(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"http://h/", NULL},
        {"HTTP://H:80/A", "http://H:80/A"},
        {"http://h/\xc3\xa9", "http://h/%C3%A9"},
        {"http://h/{x}|^`", "http://h/%7Bx%7D%7C%5E%60"},
        {"http://h/a%2fb%41", NULL},
        {"http://h/a%2fb%41{", "http://h/a/bA%7B"},
        // A first segment with a colon would be taken for a scheme.
        {"a\xff%3ab/c", "./a%FF:b/c"},
        {"/a\xff%3ab", "/a%FF:b"},
        {"http://h/!'()*[]", NULL},
        {"http://h/!'()*[]\"", "http://h/%21%27%28%29%2A%5B%5D%22"},
        {"http://h/#", "http://h/"},
        {"http://h/?", NULL},
        {"http://h/?x={}#f", NULL},
        {"http://u:p@h:80/", NULL},
        {"HTTP://u:p@h:80", "http://u:p@h:80"},
        {"http://\xc3\xa9:80/", "http://%C3%A9:80/"},
        {"http://[::1]:80/", NULL},
        {"http:///x", NULL},
        {"https://$host$path", NULL},
        {"/\xc3\xa9?x#", "/%C3%A9?x"},
        {"//h/{", "//h/%7B"},
        {"Localhost:5000", "localhost:5000"},
        {"other", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[128];
        struct url url;
        struct err err = {0};
        struct str text = str_of(rows[i][0]);
        assert_int_equal(url_parse(text, &url, &err), 0);
        size_t len = url_print(text, &url, out);
        assert_in_range(len, 1, 3 * text.len);
        out[len] = '\0';
        assert_string_equal(out, rows[i][1] ? rows[i][1] : rows[i][0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_at_unicode_white_space),
        cmocka_unit_test(trims_unicode_white_space),
        cmocka_unit_test(knows_what_breaks_lines_and_targets),
        cmocka_unit_test(knows_what_can_be_sent_as_host),
        cmocka_unit_test(reads_weights),
        cmocka_unit_test(takes_urls_apart),
        cmocka_unit_test(refuses_what_is_no_url),
        cmocka_unit_test(prints_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
