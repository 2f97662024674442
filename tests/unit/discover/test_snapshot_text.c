// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "discover/snapshot_text.h"

#define FROM STR("consul http://localhost:8500")

static struct route_def *new_def(const struct route_def_spec *spec)
{
    struct err err = {0};
    struct route_def *def = route_def_new(spec, &err);
    if (!def)
        fail_msg("%s", err.text);
    return def;
}

static void add(struct snapshot *snapshot, const char *key, const struct route_def_spec *specs,
                size_t count)
{
    struct def_list *defs = snapshot_add_service(snapshot, str_of(key));
    assert_non_null(defs);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(def_list_add(defs, new_def(&specs[i])), 0);
}

static void fill(struct snapshot *snapshot)
{
    static const struct str TAGS[] = {STR_INIT("blue"), STR_INIT("a b,\"c\""),
                                      STR_INIT("\\x41\n\r\x01\xff")};
    const struct route_def_spec web[] = {
        {.service = STR("web"),
         .src = STR("Example.com/a%20b"),
         .dst = STR("http://[::1]:8080/x?y=1"),
         .weight = 0.1,
         .has_weight = true,
         .tags = TAGS,
         .tag_count = ARRAY_LEN(TAGS),
         .opts = STR("strip=/a  host=dst allow=ip:10.0.0.0/8"),
         .instance = STR("node1/web-1"),
         .source_text = STR("urlprefix-Example.com/a%20b  strip=/a host=dst")},
        {.service = STR("web"),
         .src = STR("*.example.com/"),
         .dst = STR("https://10.0.0.2:443/"),
         .weight = 0,
         .has_weight = true,
         .instance = STR("node2/web-2"),
         .source_text = STR("x"),
         .health = ROUTE_CRITICAL,
         .health_note = STR("check \"service:web\" critical")},
    };
    const struct route_def_spec db[] = {
        {.service = STR("db"), .src = STR(":5432"), .dst = STR("tcp://10.0.0.3:5432")},
        {.service = STR("db"),
         .src = STR("/d"),
         .dst = STR("http://db/"),
         .health = ROUTE_MAINTENANCE},
        {.service = STR("db"),
         .src = STR("/e"),
         .dst = STR("http://db/"),
         .health = ROUTE_NODE_DOWN},
    };
    snapshot_init(snapshot);
    snapshot->saved_us = 1764115200000000;
    add(snapshot, "web", web, ARRAY_LEN(web));
    add(snapshot, "db", db, ARRAY_LEN(db));
    buf_append_cstr(&snapshot->manual, "# --- a\nroute add m /m http://m/\n\n\ttail \\x");
    buf_append_cstr(&snapshot->page, "<p>\r\nno \xc3\xa4\n");
}

static void print(struct snapshot *snapshot, struct buf *out)
{
    buf_init(out, SNAPSHOT_TEXT_MAX);
    snapshot_print(snapshot, FROM, out);
    assert_int_equal(buf_status(out), 0);
}

static void copy(struct buf *to, struct str from)
{
    buf_init(to, SNAPSHOT_TEXT_MAX);
    buf_append_str(to, from);
    assert_int_equal(buf_status(to), 0);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    struct snapshot before, after;
    struct buf text, again;
    struct err err = {0};
    fill(&before);
    print(&before, &text);
    if (snapshot_parse(&text, FROM, &after, &err) != 0)
        fail_msg("%s", err.text);
    assert_true(after.saved_us == before.saved_us);
    assert_true(str_eq(buf_str(&after.manual), buf_str(&before.manual)));
    assert_true(str_eq(buf_str(&after.page), buf_str(&before.page)));
    assert_int_equal(after.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct def_list *left = &before.services[i].defs, *right = &after.services[i].defs;
        assert_string_equal(before.services[i].key, after.services[i].key);
        assert_int_equal(left->count, right->count);
        for (size_t k = 0; k < left->count; k++)
            assert_true(route_def_eq(left->items[k], right->items[k]));
    }
    buf_fini(&text);
    print(&before, &text);
    print(&after, &again);
    assert_true(str_eq(buf_str(&text), buf_str(&again)));
    buf_fini(&text);
    buf_fini(&again);
    snapshot_fini(&before);
    snapshot_fini(&after);
}

static void people_can_read_it(void **state)
{
    (void)state;
    struct snapshot snapshot;
    struct buf text;
    fill(&snapshot);
    print(&snapshot, &text);
    struct str all = buf_str(&text);
    assert_true(str_starts_with(all, STR("tagway snapshot 1\n"
                                         "saved 1764115200000000 2025-11-26T00:00:00Z\n"
                                         "from consul http://localhost:8500\n"
                                         "page <p>\\x0d\npage no \xc3\xa4\npage \n"
                                         "manual # --- a\nmanual route add m /m http://m/\n"
                                         "manual \nmanual \\x09tail \\x5cx\n"
                                         "service db\nroute :5432\n to tcp://10.0.0.3:5432\n")));
    assert_true(str_find(all, STR("\nroute example.com/a%20b\n")) > 0);
    buf_fini(&text);
    snapshot_fini(&snapshot);
}

static void an_empty_one_is_one(void **state)
{
    (void)state;
    struct snapshot before, after;
    struct buf text;
    struct err err = {0};
    snapshot_init(&before);
    print(&before, &text);
    assert_int_equal(snapshot_parse(&text, FROM, &after, &err), 0);
    assert_int_equal(after.count + after.manual.len + after.page.len, 0);
    buf_fini(&text);
    snapshot_fini(&after);
}

static void one_cut_at_any_byte_or_with_any_byte_changed_is_refused(void **state)
{
    (void)state;
    struct snapshot snapshot, none;
    struct buf text, damaged;
    fill(&snapshot);
    print(&snapshot, &text);
    for (size_t i = 0; i < text.len; i++) {
        struct err err = {0};
        copy(&damaged, str_upto(buf_str(&text), i));
        assert_true(snapshot_parse(&damaged, FROM, &none, &err) < 0);
        assert_true(err.text[0] && none.count == 0);
        buf_fini(&damaged);
        copy(&damaged, buf_str(&text));
        damaged.ptr[i] ^= 1;
        assert_true(snapshot_parse(&damaged, FROM, &none, &err) < 0);
        buf_fini(&damaged);
    }
    copy(&damaged, buf_str(&text));
    buf_append_char(&damaged, '\n');
    struct err err = {0};
    assert_true(snapshot_parse(&damaged, FROM, &none, &err) < 0);
    buf_fini(&damaged);
    buf_fini(&text);
    snapshot_fini(&snapshot);
}

static void others_are_refused_with_a_reason(void **state)
{
    (void)state;
#define HEAD "tagway snapshot 1\nsaved 1 x\nfrom consul http://localhost:8500\n"
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"", "no snapshot"},
        {"route add a / http://b/\n", "no snapshot"},
        {"tagway snapshot 2\nsaved 1 x\n", "version is 2"},
        {"tagway snapshot one\n", "version is one"},
        {"tagway snapshot 1\nsaved 1 x\nfrom custom https://a/b\n", "another registry: custom"},
        {"tagway snapshot 1\n", "missing"},
        {"tagway snapshot 1\nservice a\n", "missing"},
        {"tagway snapshot 1\nsaved x y\n", "bad time"},
        {HEAD "route /\n to http://a/\n", "no service"},
        {HEAD "service a\n to http://a/\n", "no route"},
        {HEAD "service a\nroute /\n", "target must not be empty"},
        {HEAD "service a\nroute /\n to http://a/\n weight -1\n", "bad weight"},
        {HEAD "service a\nroute /\n to http://a/\n weight nan\n", "bad weight"},
        {HEAD "service a\nroute /\n to http://a/\n health fine\n", "unknown health"},
        {HEAD "service a\nroute /\n to http://a/\n wings 2\n", "unknown word"},
        {HEAD "wings 2\n", "unknown word"},
        {HEAD "service \n", "bad name"},
        {HEAD "service a\\x00b\n", "bad name"},
        {HEAD "service a\\x0\n", "bad escape"},
        {HEAD "service a\\y00\n", "bad escape"},
        {HEAD "service a\tb\n", "bad escape"},
        {HEAD "service\n", "word and a value"},
        {HEAD "\n", "word and a value"},
        {HEAD "service a", "word and a value"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct snapshot none;
        struct buf text;
        struct err err = {0};
        copy(&text, str_of(rows[i].text));
        snapshot_seal(&text);
        if (snapshot_parse(&text, FROM, &none, &err) >= 0)
            fail_msg("accepted: %s", rows[i].text);
        if (!strstr(err.text, rows[i].reason))
            fail_msg("%s: %s", rows[i].text, err.text);
        buf_fini(&text);
    }
}

static void shortage_leaves_nothing_behind(void **state)
{
    (void)state;
    struct snapshot snapshot, after;
    struct buf text, input;
    fill(&snapshot);
    print(&snapshot, &text);
    bool has_failed = true;
    for (int n = 0; has_failed; n++) {
        struct err err = {0};
        copy(&input, buf_str(&text));
        mem_fail_after(n);
        int status = snapshot_parse(&input, FROM, &after, &err);
        mem_fail_after(-1);
        has_failed = status < 0;
        if (has_failed)
            assert_int_equal(status, ERR_NOMEM);
        else
            snapshot_fini(&after);
        buf_fini(&input);
    }
    buf_fini(&text);
    snapshot_fini(&snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(people_can_read_it),
        cmocka_unit_test(an_empty_one_is_one),
        cmocka_unit_test(one_cut_at_any_byte_or_with_any_byte_changed_is_refused),
        cmocka_unit_test(others_are_refused_with_a_reason),
        cmocka_unit_test(shortage_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
