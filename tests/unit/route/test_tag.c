// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <stdlib.h>

enum { DEFS_MAX = 64 };

struct result {
    struct route_def *defs[DEFS_MAX];
    size_t count;
    char problems[4096]; // "lost|kept <tag>: <reason>" lines
    unsigned problem_count;
};

static void on_def(void *ctx, struct route_def *def)
{
    struct result *result = ctx;
    assert_true(result->count < DEFS_MAX);
    result->defs[result->count++] = def;
}

static void on_problem(void *ctx, struct str tag, const char *reason, bool is_lost)
{
    struct result *result = ctx;
    size_t used = strlen(result->problems);
    snprintf(result->problems + used, sizeof result->problems - used, "%s %.*s: %s\n",
             is_lost ? "lost" : "kept", (int)MIN(tag.len, (size_t)64), tag.ptr, reason);
    result->problem_count++;
}

static struct tag_instance instance_of(const struct str *tags, size_t count)
{
    return (struct tag_instance){
        .service = STR("svc"),
        .address = STR("1.2.3.4"),
        .port = 5000,
        .datacenter = STR("dc1"),
        .instance = STR("node/svc-1"),
        .tags = tags,
        .tag_count = count,
    };
}

static void parse(struct result *result, const struct tag_instance *instance)
{
    *result = (struct result){0};
    assert_int_equal(tag_parse_instance(instance, STR("p-"), on_def, on_problem, result), 0);
}

static void result_fini(struct result *result)
{
    for (size_t i = 0; i < result->count; i++)
        route_def_unref(result->defs[i]);
}

// The command that one tag gives, or "" when it is lost or none.
static void assert_command(const char *tag, const char *expected)
{
    struct str tags[] = {str_of(tag)};
    struct tag_instance instance = instance_of(tags, 1);
    struct result result;
    struct buf out;
    parse(&result, &instance);
    buf_init(&out, 8192);
    for (size_t i = 0; i < result.count; i++)
        route_def_print(result.defs[i], result.defs[i]->rule->weight, &out);
    buf_append_char(&out, '\0');
    if (strcmp(out.ptr, expected) != 0)
        fail_msg("%s: %s instead of %s (%s)", tag, out.ptr, expected, result.problems);
    buf_fini(&out);
    result_fini(&result);
}

#define HTTP " http://1.2.3.4:5000/"

static void makes_one_command_of_a_tag(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"p", ""},
        {"q-/x", ""},
        {"P-/x", ""},
        {"p-", ""},
        {"p- ", ""},
        {"p-/", "route add svc /" HTTP},
        {" p-/", "route add svc /" HTTP},
        {"\tp- / ", "route add svc /" HTTP},
        {"p-WWW.BAR.COM/Foo", "route add svc www.bar.com/Foo" HTTP},
        {"p-1.1.1.1:999", "route add svc 1.1.1.1:999/" HTTP},
        {"p-HOST.com", "route add svc host.com/" HTTP},
        {"p-bar/foo a b c", "route add svc bar/foo" HTTP " opts \"a= b= c=\""},
        {"p-$DC.x.com/${DC}/$NOPE/z", "route add svc dc1.x.com/dc1//z" HTTP},
        {"p-$x/$y", "route add svc /" HTTP},
        {"p-https://foo.com/t", "route add svc https://foo.com/t" HTTP},
        {"p-foo.com:8080/t", "route add svc foo.com:8080/t" HTTP},
        {"p-$DC", "route add svc $dc/" HTTP}, // no slash: no expansion
        {"p-:1234 proto=tcp", "route add svc :1234 tcp://1.2.3.4:5000"},
        {"p-/a\tb", ""}, // a TAB does not separate and may not stand in a route
        {"p-/a b\tc\xc2\xa0"
         "d",
         "route add svc /a" HTTP " opts \"b= c= d=\""},
        {"p-/ proto=https", "route add svc / https://1.2.3.4:5000"},
        {"p-/ proto=grpc", "route add svc / grpc://1.2.3.4:5000"},
        {"p-/ proto=grpcs x=y", "route add svc / grpcs://1.2.3.4:5000 opts \"x=y\""},
        {"p-/ proto=http", "route add svc /" HTTP " opts \"proto=http\""},
        {"p-/ proto=HTTPS", "route add svc /" HTTP " opts \"proto=HTTPS\""},
        {"p-/ proto=tcp+sni", "route add svc /" HTTP " opts \"proto=tcp+sni\""},
        {"p-/ proto=tcp proto=https", "route add svc / https://1.2.3.4:5000"},
        {"p-/ weight=0.25", "route add svc /" HTTP " weight 0.2500"},
        {"p-/ weight=0.1 weight=0.2", "route add svc /" HTTP " weight 0.2000"},
        {"p-/ weight=0.1 weight=", "route add svc /" HTTP},
        {"p-/ weight=-1", "route add svc /" HTTP},
        {"p-/ weight=x", ""},
        {"p-/ redirect=301,https://b.com$path",
         "route add svc / https://b.com$path opts \"redirect=301\""},
        {"p-/ redirect=301;https://b.com/x,y",
         "route add svc / https://b.com/x,y opts \"redirect=301\""},
        {"p-/ redirect=301|https://b.com", "route add svc / https://b.com opts \"redirect=301\""},
        {"p-/ redirect=301,/other", "route add svc / /other opts \"redirect=301\""},
        {"p-/ redirect=301,https://b.com,x", "route add svc /" HTTP},
        {"p-/ redirect=301", "route add svc /" HTTP},
        {"p-/ redirect=301,", "route add svc /" HTTP},
        {"p-/ redirect=", "route add svc /" HTTP},
        {"p-/ redirect=abc,http://b.com/", "route add svc / http://b.com/ opts \"redirect=abc\""},
        {"p-/ proto=tcp redirect=301,http://b/", "route add svc / http://b/ opts \"redirect=301\""},
        {"p-/ redirect=301,http://b/ proto=tcp",
         "route add svc / tcp://1.2.3.4:5000 opts \"redirect=301\""},
        {"p-/ redirect=301,http://b/%zz", ""},
        {"p-/ strip=/a strip=/b x", "route add svc /" HTTP " opts \"strip=/b x=\""},
        {"p-/ x=\"q\\", "route add svc /" HTTP " opts \"x=\"q\\\""},
        {"p-/t[a", ""},
        {"p-[x/", "route add svc [x/" HTTP}, // found when the table is built
        {"p-/ strip=/#", ""},
        {"p-/ prepend=/\xc3\xa9", ""},
        {"p-/ prepend=/a?b", ""},
        {"p-/ host=a\x7f", ""},
        {"p-/ allow=ip:10.0.0.0/8;ip:1.1.1.1",
         "route add svc /" HTTP " opts \"allow=ip:10.0.0.0/8;ip:1.1.1.1\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_command(rows[i][0], rows[i][1]);
}

static void expands_variables_as_a_shell(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {"a", "a"},
        {"$DC", "dc1"},
        {"${DC}", "dc1"},
        {"x$DC.y", "xdc1.y"},
        {"$DCx", ""},
        {"$dc", ""},
        {"${NO}x", "x"},
        {"a$", "a$"},
        {"$.", "$."},
        {"$/x", "$/x"},
        {"$1x", "x"},
        {"$*$#$@$!$?$-x", "x"},
        {"$$DC", "DC"},
        {"${}x", "x"},
        {"${DC", "DC"},
        {"${", ""},
        {"$DC$DC", "dc1dc1"},
        {"$A_9.", "."},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[64];
        int len = tag_expand(str_of(rows[i][0]), STR("dc1"), out, sizeof out);
        assert_true(len >= 0);
        if (!str_eq(str_make(out, (size_t)len), str_of(rows[i][1])))
            fail_msg("%s: %.*s", rows[i][0], len, out);
    }
    char out[4];
    assert_int_equal(tag_expand(STR("abcd"), STR(""), out, sizeof out), 4);
    assert_int_equal(tag_expand(STR("a$DC"), STR("dc1"), out, sizeof out), 4);
    assert_int_equal(tag_expand(STR("ab$DC"), STR("dc1"), out, sizeof out), ERR_TOO_LARGE);
}

static void recognises_route_tags_and_near_misses(void **state)
{
    (void)state;
    struct str prefix = STR("urlprefix-");
    assert_true(tag_is_route(STR(" urlprefix-/x"), prefix));
    assert_false(tag_is_route(STR("URLPREFIX-/x"), prefix));
    assert_false(tag_is_route(STR("urlprefix"), prefix));
    static const char *const misses[] = {"url-prefix:-/x",   "URLPREFIX-/x",       " urlprefix/x",
                                         "urlprefix",        "urlprefix_foo.com/", "url_prefix-a",
                                         "urlprefixfoo.com/"};
    static const char *const others[] = {"urlprefix-/x", "",    "url", "production",
                                         "urlprefixed",  "v1.2"};
    for (size_t i = 0; i < ARRAY_LEN(misses); i++) {
        if (!tag_is_near_miss(str_of(misses[i]), prefix))
            fail_msg("%s", misses[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (tag_is_near_miss(str_of(others[i]), prefix))
            fail_msg("%s", others[i]);
    }
    assert_false(tag_is_near_miss(STR("x"), STR("")));
    assert_false(tag_is_near_miss(STR("x"), STR("-")));
}

static void gives_plain_tags_to_every_route(void **state)
{
    (void)state;
    struct str tags[] = {STR(" a "), STR("p-/x"), STR("b, c,"), STR("p-/y"), STR("q\"uote")};
    struct tag_instance instance = instance_of(tags, ARRAY_LEN(tags));
    struct result result;
    parse(&result, &instance);
    assert_int_equal(result.count, 2);
    assert_int_equal(result.problem_count, 0);
    static const char *const expected[] = {"a", "b", "c", "", "q\"uote"};
    for (size_t i = 0; i < result.count; i++) {
        assert_int_equal(result.defs[i]->rule->tag_count, ARRAY_LEN(expected));
        for (size_t k = 0; k < ARRAY_LEN(expected); k++)
            assert_true(str_eq(result.defs[i]->rule->tags[k], str_of(expected[k])));
    }
    assert_string_equal(result.defs[1]->rule->source_text.ptr, "p-/y");
    assert_string_equal(route_def_instance(result.defs[1]).ptr, "node/svc-1");
    result_fini(&result);

    struct str only_empty[] = {STR(""), STR("p-/")};
    instance = instance_of(only_empty, 2);
    parse(&result, &instance);
    assert_int_equal(result.defs[0]->rule->tag_count, 0);
    result_fini(&result);
}

static void brackets_ipv6_addresses(void **state)
{
    (void)state;
    struct str tags[] = {STR("p-/"), STR("p-/ proto=https")};
    struct tag_instance instance = instance_of(tags, 2);
    instance.address = STR("2001:db8::1");
    instance.health = ROUTE_CRITICAL;
    instance.health_note = STR("note");
    struct result result;
    parse(&result, &instance);
    assert_string_equal(route_def_dst(result.defs[0]).ptr, "http://[2001:db8::1]:5000/");
    assert_true(str_eq(route_def_dst_host(result.defs[0]), str_of("2001:db8::1")));
    assert_int_equal(result.defs[0]->dst_port, 5000);
    assert_int_equal(result.defs[0]->health, ROUTE_CRITICAL);
    assert_string_equal(route_def_health_note(result.defs[0]).ptr, "note");
    assert_string_equal(route_def_dst(result.defs[1]).ptr, "https://[2001:db8::1]:5000");
    result_fini(&result);
}

static void a_bad_tag_loses_only_itself(void **state)
{
    (void)state;
    struct str tags[] = {STR("p-"),
                         STR("p-/ok"),
                         STR("p-/ weight=x"),
                         STR("p-/t[a"),
                         STR("p-/b\tc"),
                         STR("p-/ redirect=301"),
                         STR("p-/r redirect=777,http://b/"),
                         STR("ip:10.0.0.0/8")};
    struct tag_instance instance = instance_of(tags, ARRAY_LEN(tags));
    struct result result;
    parse(&result, &instance);
    assert_int_equal(result.count, 3);
    assert_string_equal(result.problems,
                        "lost p-: nothing stands behind the prefix\n"
                        "lost p-/ weight=x: syntax error: weight value invalid\n"
                        "lost p-/t[a: path: bad pattern: '[' without ']'\n"
                        "lost p-/b\tc: route: white space or control byte in host or path\n"
                        "kept p-/ redirect=301: redirect: a URL is missing behind the code; the "
                        "route proxies. If the tag was cut at a comma (registrator does that), "
                        "write redirect=301;https://...\n"
                        "kept p-/r redirect=777,http://b/: redirect: the code is not a number from "
                        "300 to 399; requests are proxied instead\n");
    result_fini(&result);
}

static void tells_lists_cut_at_a_comma(void **state)
{
    (void)state;
    struct str tags[] = {STR("p-/ allow=ip:10.0.0.0/8"), STR("ip:1.2.3.4"), STR("ipsum")};
    struct tag_instance instance = instance_of(tags, ARRAY_LEN(tags));
    struct result result;
    parse(&result, &instance);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.problem_count, 1);
    assert_non_null(strstr(result.problems, "kept ip:1.2.3.4: looks like the rest"));
    result_fini(&result);
}

static void bounds_tags(void **state)
{
    (void)state;
    char path[TAG_LEN_MAX + 1], plain[TAG_LEN_MAX + 1], dollars[TAG_LEN_MAX];
    memset(path, 'a', sizeof path);
    memcpy(path, "p-/", 3);
    memset(plain, 'a', sizeof plain);
    for (size_t i = 0; i + 3 <= sizeof dollars; i += 3)
        memcpy(dollars + i, "$DC", 3);
    memcpy(dollars, "p-/", 3);
    struct str tags[] = {str_make(path, TAG_LEN_MAX), str_make(path, TAG_LEN_MAX + 1),
                         str_make(plain, TAG_LEN_MAX), str_make(plain, TAG_LEN_MAX + 1),
                         str_make(dollars, sizeof dollars / 3 * 3)};
    struct tag_instance instance = instance_of(tags, ARRAY_LEN(tags));
    instance.datacenter = STR("a-very-long-data-centre");
    struct result result;
    parse(&result, &instance);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.defs[0]->rule->path.len, TAG_LEN_MAX - 2);
    assert_int_equal(result.defs[0]->rule->tag_count, 1);
    assert_int_equal(result.problem_count, 3);
    assert_non_null(strstr(result.problems, "too long with its variables expanded"));
    result_fini(&result);

    struct str host[] = {STR("p-$DC$DC$DC/"), STR("p-a/")};
    static char long_dc[4000];
    memset(long_dc, 'd', sizeof long_dc);
    instance = instance_of(host, 2);
    instance.datacenter = str_make(long_dc, sizeof long_dc);
    parse(&result, &instance);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.problem_count, 1);
    result_fini(&result);

    instance.datacenter = STR("dc1");
    instance.address = str_make(long_dc, sizeof long_dc);
    parse(&result, &instance);
    assert_int_equal(result.count, 0);
    assert_int_equal(result.problem_count, 2);
    result_fini(&result);
}

static void bounds_the_number_of_tags(void **state)
{
    (void)state;
    struct str *tags = calloc(TAGS_PER_INSTANCE_MAX + 5, sizeof *tags);
    for (size_t i = 0; i < TAGS_PER_INSTANCE_MAX + 5; i++)
        tags[i] = STR("plain");
    tags[0] = STR("p-/first");
    tags[TAGS_PER_INSTANCE_MAX] = STR("p-/lost");
    struct tag_instance instance = instance_of(tags, TAGS_PER_INSTANCE_MAX + 5);
    struct result result;
    parse(&result, &instance);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.defs[0]->rule->tag_count, TAGS_PER_INSTANCE_MAX - 1);
    assert_string_equal(result.problems,
                        "lost p-/lost: tags beyond the first 10000 of an instance are lost\n");
    result_fini(&result);
    free(tags);
}

static void survives_shortage(void **state)
{
    (void)state;
    struct str tags[] = {STR("a,b"), STR("p-/x*"), STR("p-/y strip=/y"), STR("p-/ weight=x")};
    struct tag_instance instance = instance_of(tags, ARRAY_LEN(tags));
    int rc = ERR_NOMEM;
    int64_t n = 0;
    for (; rc == ERR_NOMEM; n++) {
        struct result result = {0};
        mem_fail_after(n);
        rc = tag_parse_instance(&instance, STR("p-"), on_def, NULL, &result);
        mem_fail_after(-1);
        assert_int_equal(result.count, rc == 0 ? 2 : result.count);
        result_fini(&result);
    }
    assert_int_equal(rc, 0);
    assert_in_range(n, 4, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_one_command_of_a_tag),
        cmocka_unit_test(expands_variables_as_a_shell),
        cmocka_unit_test(recognises_route_tags_and_near_misses),
        cmocka_unit_test(gives_plain_tags_to_every_route),
        cmocka_unit_test(brackets_ipv6_addresses),
        cmocka_unit_test(a_bad_tag_loses_only_itself),
        cmocka_unit_test(tells_lists_cut_at_a_comma),
        cmocka_unit_test(bounds_tags),
        cmocka_unit_test(bounds_the_number_of_tags),
        cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
