// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <stdlib.h>

static void on_problem(void *ctx, struct str origin, uint32_t line, struct str text,
                       const char *reason)
{
    assert_true(origin.len > 0);
    buf_printf(ctx, "%u: %.*s: %s\n", line, (int)MIN(text.len, (size_t)80), text.ptr, reason);
}

// Parses; problems as text in *problems, to be finished by the caller.
static struct command_list *parse(const char *text, struct buf *problems)
{
    buf_init(problems, 1 << 20);
    struct command_list *list =
        command_list_parse(str_of(text), STR("kv fabio/config"), on_problem, problems);
    assert_non_null(list);
    buf_append_char(problems, '\0');
    return list;
}

static void reads_all_forms(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum command_kind kind;
        const char *service, *host, *path, *dst; // host NULL: no src
        double weight;
        const char *tags; // joined by '|'
    } rows[] = {
        {"route add s a/b http://h/", COMMAND_ADD, "s", "a", "/b", "http://h/", 0, ""},
        {"  route\t add  s A  http://h/ ", COMMAND_ADD, "s", "a", "/", "http://h/", 0, ""},
        {"route add s :1 tcp://h:1 weight 0.5", COMMAND_ADD, "s", ":1", "", "tcp://h:1", 0.5, ""},
        {"route add s / http://h/ tags \"a, b,,\"", COMMAND_ADD, "s", "", "/", "http://h/", 0,
         "a|b||"},
        {"route add s / http://h/ tags \"\" opts \"\"", COMMAND_ADD, "s", "", "/", "http://h/", 0,
         ""},
        {"route add s / http://h/ weight 1 tags \"a b\" opts \"x y\"", COMMAND_ADD, "s", "", "/",
         "http://h/", 1, "a b"},
        {"route del s", COMMAND_DEL, "s", NULL, NULL, "", 0, ""},
        {"route del s A.com/B", COMMAND_DEL, "s", "a.com", "/B", "", 0, ""},
        {"route del s :1", COMMAND_DEL, "s", ":1", "", "", 0, ""},
        {"route del s / http://h/", COMMAND_DEL, "s", "", "/", "http://h/", 0, ""},
        {"route del s tags \"a,b\"", COMMAND_DEL, "s", NULL, NULL, "", 0, "a|b"},
        {"route del tags \"a\"", COMMAND_DEL, "", NULL, NULL, "", 0, "a"},
        {"route del tags", COMMAND_DEL, "tags", NULL, NULL, "", 0, ""},
        {"route del tags tags \"a\"", COMMAND_DEL, "tags", NULL, NULL, "", 0, "a"},
        {"route del s tags \"\"", COMMAND_DEL, "s", NULL, NULL, "", 0, ""},
        {"route weight s a/b weight 0.5", COMMAND_WEIGHT, "s", "a", "/b", "", 0.5, ""},
        {"route weight s A weight -1 tags \"a\"", COMMAND_WEIGHT, "s", "a", "/", "", -1, "a"},
        {"route weight /x weight 5e-1 tags \"a,b\"", COMMAND_WEIGHT, "", "", "/x", "", 0.5, "a|b"},
        {"route weight /x weight 1 tags \"\"", COMMAND_WEIGHT, "", "", "/x", "", 1, ""},
        {"route weight weight weight weight 1", COMMAND_WEIGHT, "weight", "weight", "/", "", 1, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf problems;
        struct command_list *list = parse(rows[i].line, &problems);
        if (command_list_count(list) != 1)
            fail_msg("%s: %s", rows[i].line, problems.ptr);
        const struct command *command = command_list_at(list, 0);
        const struct route_def *def = command->def;
        assert_int_equal(command->kind, rows[i].kind);
        assert_int_equal(def != NULL, rows[i].kind == COMMAND_ADD);
        struct str service = def ? def->rule->service : command->service;
        struct str host = def ? def->rule->host : command->host;
        struct str path = def ? def->rule->path : command->path;
        struct str dst = def ? route_def_dst(def) : command->dst;
        const struct str *tags = def ? def->rule->tags : command->tags;
        size_t tag_count = def ? def->rule->tag_count : command->tag_count;
        assert_true(str_eq(service, str_of(rows[i].service)));
        assert_true(str_eq(host, str_of(rows[i].host)));
        assert_true(str_eq(path, str_of(rows[i].path)));
        assert_true(str_eq(dst, str_of(rows[i].dst)));
        assert_true((def ? def->rule->weight : command->weight) == rows[i].weight);
        assert_int_equal(command->has_src, !def && rows[i].host);
        char joined[64] = "";
        for (size_t k = 0; k < tag_count; k++) {
            size_t used = strlen(joined);
            snprintf(joined + used, sizeof joined - used, "%s%.*s", k ? "|" : "", STR_FMT(tags[k]));
        }
        assert_string_equal(joined, rows[i].tags);
        assert_true(str_eq(command->text, str_trim(str_of(rows[i].line))));
        command_list_free(list);
        buf_fini(&problems);
    }
}

static void refuses_other_lines(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"hello", "'route' expected"},
        {"route", "'route' expected"},
        {"route foo a b", "'route' expected"},
        {"Route add s / http://h/", "'route' expected"},
        {"route add", "'route add' invalid"},
        {"route addx s / http://h/", "'route add' invalid"},
        {"route add s /", "'route add' invalid"},
        {"route add s / http://h/ weight", "'route add' invalid"},
        {"route add s / http://h/ tags \"a", "'route add' invalid"},
        {"route add s / http://h/ tags a", "'route add' invalid"},
        {"route add s / http://h/ tags", "'route add' invalid"},
        {"route add s / http://h/ opts \"a\" tags \"b\"", "'route add' invalid"},
        {"route add s / http://h/ tags \"a\"opts \"b\"", "'route add' invalid"},
        {"route add s / http://h/ tags \"a\\\"b\"", "'route add' invalid"},
        {"route add s / http://h/ # comment", "'route add' invalid"},
        {"route add s / http://h/ weight x", "weight value invalid"},
        {"route add s / http://x/%zz", "route: invalid target"},
        {"route add s /t[a http://h/", "path: bad pattern"},
        {"route del", "'route del' invalid"},
        {"route delx s", "'route del' invalid"},
        {"route del s / http://h/ x", "'route del' invalid"},
        {"route del tags \"\"", "neither"},
        {"route weight s / weight", "'route weight' invalid"},
        {"route weight / weight 0.5", "'route weight' invalid"},
        {"route weight s /", "'route weight' invalid"},
        {"route weight", "'route weight' invalid"},
        {"route weight s / weight x", "weight value invalid"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf problems;
        struct command_list *list = parse(rows[i][0], &problems);
        if (command_list_count(list) != 0 || !strstr(problems.ptr, rows[i][1]))
            fail_msg("%s: %s", rows[i][0], problems.ptr);
        command_list_free(list);
        buf_fini(&problems);
    }
}

static void a_bad_line_loses_only_itself(void **state)
{
    (void)state;
    struct buf problems;
    struct command_list *list = parse("# --- fabio/config\r\n"
                                      "route add a / http://h/\r\n"
                                      "\n"
                                      "// no\n"
                                      "rout add b / http://h/\n"
                                      "route del c",
                                      &problems);
    assert_int_equal(command_list_count(list), 2);
    assert_int_equal(command_list_at(list, 0)->line, 2);
    assert_string_equal(route_def_instance(command_list_at(list, 0)->def).ptr,
                        "kv fabio/config line 2");
    assert_string_equal(command_list_at(list, 0)->def->rule->source_text.ptr,
                        "route add a / http://h/");
    assert_int_equal(command_list_at(list, 1)->line, 6);
    assert_string_equal(problems.ptr,
                        "5: rout add b / http://h/: syntax error: 'route' expected\n");
    command_list_free(list);
    buf_fini(&problems);
}

static void on_placed_problem(void *ctx, struct str origin, uint32_t line, struct str text,
                              const char *reason)
{
    (void)text, (void)reason;
    buf_printf(ctx, "%.*s line %u\n", STR_FMT(origin), line);
}

static void lines_of_several_keys_are_counted_from_their_key(void **state)
{
    (void)state;
    struct buf problems;
    buf_init(&problems, 1 << 20);
    struct command_list *list = command_list_parse(STR("# --- fabio/config\n"
                                                       "route add a / http://h/\n"
                                                       "bad\n\n"
                                                       "# --- fabio/config/b\r\n"
                                                       "\n"
                                                       "route add b / http://h/\n"
                                                       "bad"),
                                                   STR_NULL, on_placed_problem, &problems);
    buf_append_char(&problems, '\0');
    assert_string_equal(problems.ptr, "kv fabio/config line 2\nkv fabio/config/b line 3\n");
    assert_int_equal(command_list_count(list), 2);
    assert_string_equal(route_def_instance(command_list_at(list, 0)->def).ptr,
                        "kv fabio/config line 1");
    assert_string_equal(route_def_instance(command_list_at(list, 1)->def).ptr,
                        "kv fabio/config/b line 2");
    command_list_free(list);
    buf_fini(&problems);
}

static void long_lines_are_lost_but_not_what_follows(void **state)
{
    (void)state;
    size_t room = COMMAND_LINE_MAX + 200;
    char *text = malloc(room);
    for (int is_over = 0; is_over < 2; is_over++) {
        int used = snprintf(text, room, "route add s / http://h/ tags \"");
        memset(text + used, 'a', room - (size_t)used);
        snprintf(text + COMMAND_LINE_MAX - 1 + is_over, 100, "\"\nroute del s");
        struct buf problems;
        struct command_list *list = parse(text, &problems);
        assert_int_equal(command_list_count(list), is_over ? 1 : 2);
        assert_int_equal(strncmp(problems.ptr, "1: route add", 12) == 0, is_over);
        command_list_free(list);
        buf_fini(&problems);
    }
    free(text);
}

static void nothing_is_an_empty_list(void **state)
{
    (void)state;
    struct buf problems;
    struct command_list *list = parse("", &problems);
    assert_int_equal(command_list_count(list), 0);
    command_list_free(list);
    command_list_free(NULL);
    assert_int_equal(command_list_count(NULL), 0);
    buf_fini(&problems);
    list = command_list_parse(STR("bad"), STR("x"), NULL, NULL); // nobody listens
    assert_non_null(list);
    command_list_free(list);
}

static void survives_shortage(void **state)
{
    (void)state;
    struct str text = STR("route add s a/* http://h/ tags \"a,b\"\n"
                          "route del s a/b http://h/\nroute del s tags \"a\"\n"
                          "route weight s / weight 0.5 tags \"x\"\nbad\n");
    struct command_list *list = NULL;
    int64_t n = 0;
    for (; !list; n++) {
        mem_fail_after(n);
        list = command_list_parse(text, STR("x"), NULL, NULL);
        mem_fail_after(-1);
    }
    assert_int_equal(command_list_count(list), 4);
    assert_in_range(n, 6, 50);
    command_list_free(list);
}

// Each allocation fails once: nothing half-read comes out.
static void survives_any_single_failure_in_many_lines(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 40; i++)
        buf_printf(&text,
                   "route weight service-%d host-%d.example.com/path weight 0.5 tags \"a,b\"\n"
                   "route del service-%d host-%d.example.com/path http://h/\n",
                   i, i, i, i);
    struct command_list *list = NULL;
    for (int64_t n = 0; !list; n++) {
        mem_fail_after(n);
        list = command_list_parse(buf_str(&text), STR("x"), NULL, NULL);
        mem_fail_after(-1);
    }
    assert_int_equal(command_list_count(list), 80);
    command_list_free(list);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_forms),
        cmocka_unit_test(refuses_other_lines),
        cmocka_unit_test(a_bad_line_loses_only_itself),
        cmocka_unit_test(lines_of_several_keys_are_counted_from_their_key),
        cmocka_unit_test(long_lines_are_lost_but_not_what_follows),
        cmocka_unit_test(nothing_is_an_empty_list),
        cmocka_unit_test(survives_shortage),
        cmocka_unit_test(survives_any_single_failure_in_many_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
