// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "discover/custom_decode.h"

struct problems_seen {
    unsigned count;
    size_t last_index;
    char last_reason[256];
};

static void on_problem(void *ctx, size_t index, struct str text, const char *reason)
{
    struct problems_seen *seen = ctx;
    (void)text;
    seen->count++;
    seen->last_index = index;
    snprintf(seen->last_reason, sizeof seen->last_reason, "%s", reason);
}

static int decode(const char *body, struct custom_answer *answer, struct problems_seen *seen)
{
    struct err err = {0};
    *seen = (struct problems_seen){0};
    return custom_decode(str_of(body), STR("http://x/y"), answer, on_problem, seen, &err);
}

static void elements_become_commands(void **state)
{
    (void)state;
    static const char BODY[] =
        "[{\"cmd\":\"route "
        "add\",\"service\":\"a\",\"src\":\"H.com/x\",\"dst\":\"http://1.2.3.4:5/\","
        "\"weight\":0.5,\"tags\":[\"t\",\"u,v\"],\"opts\":{\"strip\":\"/"
        "x\",\"tlsskipverify\":true}},"
        "{\"cmd\":\"route del\",\"service\":\"b\",\"src\":\"/b\",\"dst\":\"http://1.2.3.4:6/\"},"
        "{\"cmd\":\"route weight\",\"src\":\"H.com/x\",\"weight\":1,\"tags\":\"t, w\"}]";
    struct custom_answer answer;
    struct problems_seen seen;
    assert_int_equal(decode(BODY, &answer, &seen), 0);
    assert_int_equal(seen.count, 0);
    assert_int_equal(answer.elements, 3);
    assert_int_equal(command_list_count(answer.commands), 3);
    const struct command *add = command_list_at(answer.commands, 0);
    assert_int_equal(add->kind, COMMAND_ADD);
    assert_true(str_eq(add->def->rule->host, STR("h.com")));
    assert_true(str_eq(add->def->rule->strip, STR("/x")));
    assert_true(add->def->rule->skips_tls_verify);
    assert_int_equal(add->def->rule->tag_count, 2);
    assert_true(str_eq(add->def->rule->tags[1], STR("u,v")));
    assert_true(str_eq(route_def_instance(add->def), STR("http://x/y element 0")));
    const struct command *del = command_list_at(answer.commands, 1);
    assert_int_equal(del->kind, COMMAND_DEL);
    assert_true(del->has_src && str_eq(del->path, STR("/b")));
    assert_true(str_eq(del->dst, STR("http://1.2.3.4:6/")));
    const struct command *weight = command_list_at(answer.commands, 2);
    assert_int_equal(weight->kind, COMMAND_WEIGHT);
    assert_int_equal(weight->service.len, 0);
    assert_int_equal(weight->tag_count, 2);
    assert_true(str_eq(weight->tags[1], STR("w")));
    assert_true(str_eq(weight->text, STR("route weight H.com/x weight 1 tags \"t,w\"")));
    custom_answer_fini(&answer);
}

static void tags_come_before_a_place(void **state)
{
    (void)state;
    struct custom_answer answer;
    struct problems_seen seen;
    assert_int_equal(
        decode("[{\"cmd\":\"route del\",\"src\":\"/x\",\"tags\":[\"t\"]}]", &answer, &seen), 0);
    assert_false(command_list_at(answer.commands, 0)->has_src);
    custom_answer_fini(&answer);
}

static void a_bad_element_is_named_by_its_index(void **state)
{
    (void)state;
    struct custom_answer answer;
    struct problems_seen seen;
    static const char BODY[] = "[{\"cmd\":\"route del\",\"service\":\"a\"}, 1, "
                               "{\"cmd\":\"route del\",\"service\":\"b\"}]";
    assert_int_equal(decode(BODY, &answer, &seen), 0);
    assert_int_equal(command_list_count(answer.commands), 2);
    assert_int_equal(answer.bad_elements, 1);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last_index, 1);
    assert_string_equal(seen.last_reason, "is not an object");
    custom_answer_fini(&answer);
}

static void other_answers_are_refused_as_a_whole(void **state)
{
    (void)state;
    static const char *const BODIES[] = {"", "null", "{}", "[", "[{}", "[1,]", "[] x", "[{}, 2]"};
    for (size_t i = 0; i < ARRAY_LEN(BODIES); i++) {
        struct custom_answer answer;
        struct problems_seen seen;
        assert_int_equal(decode(BODIES[i], &answer, &seen), ERR_INVALID);
        assert_null(answer.commands);
    }
}

static void shortage_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char BODY[] =
        "[{\"cmd\":\"route add\",\"service\":\"a\",\"src\":\"/x\",\"dst\":\"http://1.2.3.4:5/\","
        "\"tags\":[\"t\"],\"opts\":{\"strip\":\"/x\"}},{\"cmd\":\"route del\",\"tags\":\"t\"}]";
    int status = ERR_NOMEM;
    for (int n = 0; status == ERR_NOMEM; n++) {
        struct custom_answer answer;
        struct problems_seen seen;
        mem_fail_after(n);
        status = decode(BODY, &answer, &seen);
        mem_fail_after(-1);
        assert_true(status == 0 || status == ERR_NOMEM);
        assert_int_equal(seen.count, 0);
        if (status == 0)
            custom_answer_fini(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_become_commands),
        cmocka_unit_test(tags_come_before_a_place),
        cmocka_unit_test(a_bad_element_is_named_by_its_index),
        cmocka_unit_test(other_answers_are_refused_as_a_whole),
        cmocka_unit_test(shortage_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
