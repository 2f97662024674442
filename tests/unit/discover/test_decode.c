// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "discover/decode.h"

static const struct decode_rules ONE = {.accepted_status = {"passing", 7}};
static const struct decode_rules ALL = {.accepted_status = {"passing, warning", 16},
                                        .checks_required = CHECKS_ALL};

#define CHECK(id, status, service) \
    "{\"CheckID\":\"" id "\",\"Status\":\"" status "\",\"ServiceID\":\"" service "\"}"
#define INSTANCE(node, id, more, checks)                                                 \
    "{\"Node\":{\"Node\":\"" node "\",\"Address\":\"10.0.0.1\",\"Datacenter\":\"dc1\"}," \
    "\"Service\":{\"ID\":\"" id "\",\"Service\":\"web\"" more "},\"Checks\":" checks "}"
#define GOOD "[" CHECK("c", "passing", "web-1") "]"

static void decode(const char *text, const struct decode_rules *rules, struct health_answer *answer)
{
    struct err err = {0};
    assert_int_equal(decode_health(str_of(text), rules, answer, &err), 0);
}

static void an_instance_is_read(void **state)
{
    (void)state;
    struct health_answer answer;
    decode("[" INSTANCE("n1", "web-1",
                        ",\"Address\":\"10.0.0.9\",\"Port\":8080,\"Kind\":\"\","
                        "\"Tags\":[\"urlprefix-/a\",\"b\"],\"New\":{\"x\":1}",
                        GOOD) "]",
           &ONE, &answer);
    assert_int_equal(answer.count, 1);
    const struct instance *instance = &answer.items[0];
    assert_string_equal(instance->node.ptr, "n1");
    assert_string_equal(instance->id.ptr, "web-1");
    assert_string_equal(instance->service.ptr, "web");
    assert_string_equal(instance->address.ptr, "10.0.0.9");
    assert_string_equal(instance->datacenter.ptr, "dc1");
    assert_int_equal(instance->kind.len, 0);
    assert_int_equal(instance->port, 8080);
    assert_int_equal(instance->tag_count, 2);
    assert_string_equal(instance->tags[0].ptr, "urlprefix-/a");
    assert_true(instance->has_checks);
    assert_int_equal(instance->health, ROUTE_UP);
    health_answer_fini(&answer);
}

static void missing_null_and_wrong_types_read_as_empty(void **state)
{
    (void)state;
    static const char *const FIELDS[] = {
        "",
        ",\"Address\":null,\"Port\":null,\"Tags\":null,\"Kind\":null",
        ",\"Address\":5,\"Port\":\"80\",\"Tags\":{},\"Kind\":[]",
        ",\"Address\":\"\",\"Port\":0,\"Tags\":[1,null,{}]",
        ",\"Port\":65536",
        ",\"Port\":-1",
        ",\"Port\":80.5",
        ",\"Port\":1e99"};
    for (size_t i = 0; i < ARRAY_LEN(FIELDS); i++) {
        char text[512];
        struct health_answer answer;
        snprintf(text, sizeof text,
                 "[{\"Node\":{\"Node\":\"n\",\"Address\":\"10.0.0.1\"},"
                 "\"Service\":{\"ID\":\"web-1\"%s},\"Checks\":null}]",
                 FIELDS[i]);
        decode(text, &ONE, &answer);
        assert_int_equal(answer.count, 1);
        assert_string_equal(answer.items[0].address.ptr, "10.0.0.1");
        assert_int_equal(answer.items[0].port, 0);
        assert_int_equal(answer.items[0].tag_count, 0);
        assert_false(answer.items[0].has_checks);
        health_answer_fini(&answer);
    }
}

static void the_verdict_is_fabios(void **state)
{
    (void)state;
    static const struct {
        const struct decode_rules *rules;
        const char *checks;
        enum route_health health;
        const char *note;
    } CASES[] = {
        {&ONE, "[" CHECK("c", "passing", "web-1") "]", ROUTE_UP, ""},
        {&ONE, "[" CHECK("c", "critical", "web-1") "]", ROUTE_CRITICAL, "check c critical"},
        {&ONE, "[" CHECK("c", "warning", "web-1") "]", ROUTE_CRITICAL, "check c warning"},
        {&ALL, "[" CHECK("c", "warning", "web-1") "]", ROUTE_UP, ""},
        {&ONE, "[" CHECK("c", "critical", "web-1") "," CHECK("d", "passing", "web-1") "]", ROUTE_UP,
         ""},
        {&ALL, "[" CHECK("c", "critical", "web-1") "," CHECK("d", "passing", "web-1") "]",
         ROUTE_CRITICAL, "check c critical"},
        // Another service's check and other checks of the node do not count.
        {&ONE, "[" CHECK("c", "passing", "web-1") "," CHECK("c", "critical", "web-2") "]", ROUTE_UP,
         ""},
        {&ONE, "[" CHECK("c", "passing", "web-1") "," CHECK("disk", "critical", "") "]", ROUTE_UP,
         ""},
        {&ONE, "[" CHECK("serfHealth", "passing", "") "," CHECK("c", "passing", "web-1") "]",
         ROUTE_UP, ""},
        {&ONE, "[" CHECK("serfHealth", "critical", "") "," CHECK("c", "passing", "web-1") "]",
         ROUTE_NODE_DOWN, "check serfHealth critical"},
        {&ONE, "[" CHECK("c", "passing", "web-1") "," CHECK("_node_maintenance", "passing", "") "]",
         ROUTE_MAINTENANCE, "check _node_maintenance passing"},
        {&ONE,
         "[" CHECK("c", "passing", "web-1") "," CHECK("_service_maintenance:web-1", "critical",
                                                      "web-1") "]",
         ROUTE_MAINTENANCE, "check _service_maintenance:web-1 critical"},
        {&ONE,
         "[" CHECK("c", "passing", "web-1") "," CHECK("_service_maintenance:web-2", "critical",
                                                      "web-2") "]",
         ROUTE_UP, ""},
        {&ONE, "[]", ROUTE_UP, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        char text[1024];
        struct health_answer answer;
        snprintf(text, sizeof text,
                 "[{\"Node\":{\"Node\":\"n\"},\"Service\":{\"ID\":\"web-1\"},\"Checks\":%s}]",
                 CASES[i].checks);
        decode(text, CASES[i].rules, &answer);
        assert_int_equal(answer.items[0].health, CASES[i].health);
        assert_true(str_eq(answer.items[0].health_note, str_of(CASES[i].note)));
        health_answer_fini(&answer);
    }
}

static void node_checks_count_when_asked_to(void **state)
{
    (void)state;
    struct decode_rules rules = ONE;
    rules.honours_node_checks = true;
    struct health_answer answer;
    decode(
        "[" INSTANCE("n", "web-1", "",
                     "[" CHECK("c", "passing", "web-1") "," CHECK("disk", "critical", "") "]") "]",
        &rules, &answer);
    assert_int_equal(answer.items[0].health, ROUTE_CRITICAL);
    assert_string_equal(answer.items[0].health_note.ptr, "check disk critical");
    health_answer_fini(&answer);
}

static uint64_t digest_of(const char *text)
{
    struct health_answer answer;
    decode(text, &ONE, &answer);
    uint64_t digest = answer.digest;
    health_answer_fini(&answer);
    return digest;
}

#define A INSTANCE("n1", "web-1", ",\"Port\":1", GOOD)
#define B INSTANCE("n2", "web-1", ",\"Port\":1", GOOD)

static void the_digest_covers_what_matters_and_nothing_else(void **state)
{
    (void)state;
    uint64_t digest = digest_of("[" A "," B "]");
    assert_int_equal(digest_of("[" B "," A "]"), digest);
    assert_int_equal(
        digest_of("[" B "," INSTANCE("n1", "web-1", ",\"Port\":1,\"ModifyIndex\":9",
                                     "[{\"CheckID\":\"c\",\"Status\":\"passing\","
                                     "\"ServiceID\":\"web-1\",\"Output\":\"new\"}]") "]"),
        digest);
    static const char *const OTHERS[] = {
        "[]",
        "[" A "]",
        "[" A "," A "]",
        "[" B "," INSTANCE("n1", "web-1", ",\"Port\":2", GOOD) "]",
        "[" B "," INSTANCE("n1", "web-2", ",\"Port\":1", GOOD) "]",
        "[" B "," INSTANCE("n1", "web-1", ",\"Port\":1,\"Tags\":[\"x\"]", GOOD) "]",
        "[" B "," INSTANCE("n1", "web-1", ",\"Port\":1,\"Address\":\"10.0.0.2\"", GOOD) "]",
        "[" B "," INSTANCE("n1", "web-1", ",\"Port\":1,\"Kind\":\"connect-proxy\"", GOOD) "]",
        "[" B
        "," INSTANCE("n1", "web-1", ",\"Port\":1", "[" CHECK("c", "warning", "web-1") "]") "]",
    };
    for (size_t i = 0; i < ARRAY_LEN(OTHERS); i++)
        assert_true(digest_of(OTHERS[i]) != digest);
}

static void long_and_many_tags_are_left_out_and_told(void **state)
{
    (void)state;
    struct buf text;
    struct health_answer answer;
    buf_init(&text, 1 << 20);
    buf_append_cstr(&text, "[{\"Node\":{},\"Service\":{\"Tags\":[\"first\",\"");
    for (int i = 0; i <= TAG_BYTES_MAX; i++)
        buf_append_char(&text, 'x');
    buf_append_char(&text, '"');
    for (int i = 0; i < INSTANCE_TAGS_MAX; i++)
        buf_append_cstr(&text, ",\"t\"");
    buf_append_cstr(&text, "]}}]");
    assert_int_equal(buf_status(&text), 0);
    struct err err = {0};
    assert_int_equal(decode_health(buf_str(&text), &ONE, &answer, &err), 0);
    assert_int_equal(answer.items[0].tag_count, INSTANCE_TAGS_MAX - 1);
    assert_string_equal(answer.items[0].tags[0].ptr, "first");
    assert_int_equal(answer.items[0].long_tag.len, 256);
    assert_true(answer.items[0].has_too_many_tags);
    health_answer_fini(&answer);
    buf_fini(&text);
}

static void a_nul_does_not_cut_a_tag(void **state)
{
    (void)state;
    struct health_answer answer;
    decode("[" INSTANCE("n", "web-1", ",\"Tags\":[\"a\\u0000b\",\"a\\\\u0000\"]", GOOD) "]", &ONE,
           &answer);
    assert_string_equal(answer.items[0].tags[0].ptr, "a\xef\xbf\xbd"
                                                     "b");
    assert_string_equal(answer.items[0].tags[1].ptr, "a\\u0000");
    health_answer_fini(&answer);
}

static void an_answer_of_another_kind_is_refused(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"",
                                        "null",
                                        "{}",
                                        "\"x\"",
                                        "[null]",
                                        "[1]",
                                        "[{}]",
                                        "[{\"Node\":{}}]",
                                        "[{\"Node\":1,\"Service\":{}}]",
                                        "[{\"Node\":{},\"Service\":{}}",
                                        "[{\"Node\":{},}]",
                                        "[{\"Node\":{},\"Service\":{}} x]",
                                        "<html>"};
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        struct health_answer answer;
        struct err err = {0};
        assert_int_equal(decode_health(str_of(TEXTS[i]), &ONE, &answer, &err), ERR_INVALID);
        assert_true(strlen(err.text) > 0);
    }
}

struct names {
    char text[512];
};

static int note_service(void *ctx, struct str name, const struct str *tags, size_t tag_count)
{
    struct names *names = ctx;
    size_t len = strlen(names->text);
    len += (size_t)snprintf(names->text + len, sizeof names->text - len, "%.*s:", STR_FMT(name));
    for (size_t i = 0; i < tag_count; i++)
        len += (size_t)snprintf(names->text + len, sizeof names->text - len, "%.*s,",
                                STR_FMT(tags[i]));
    return str_eq(name, STR("stop")) ? ERR_NOMEM : 0;
}

static void the_catalog_is_read(void **state)
{
    (void)state;
    struct names names = {0};
    struct err err = {0};
    uint64_t digest, other;
    assert_int_equal(decode_catalog(STR("{\"a\":[\"x\",\"y\",3],\"b\":null,\"c\" : [ ]}"),
                                    note_service, &names, &digest, &err),
                     0);
    assert_string_equal(names.text, "a:x,y,b:c:");
    assert_int_equal(decode_catalog(STR("{\"b\":[],\"a\":[\"y\",\"x\"],\"c\":[]}"), note_service,
                                    &names, &other, &err),
                     0);
    assert_int_equal(digest, other);
    assert_int_equal(decode_catalog(STR("{\"b\":[],\"a\":[\"y\",\"z\"],\"c\":[]}"), note_service,
                                    &names, &other, &err),
                     0);
    assert_true(digest != other);
    names.text[0] = '\0';
    assert_int_equal(decode_catalog(STR("{\"n\\u0000\":[]}"), note_service, &names, &other, &err),
                     0);
    assert_string_equal(names.text, "n\xef\xbf\xbd:");
}

static void a_wrong_catalog_is_refused(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"",         "[]",         "{\"a\"}",  "{\"a\":5}",
                                        "{a:[]}",   "{\"a\":[]",  "{1:[]}",   "{\"a\":[] []}",
                                        "{\"a\":}", "{\"a\" []}", "{\"a\":[}"};
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        struct names names = {0};
        struct err err = {0};
        uint64_t digest;
        assert_int_equal(decode_catalog(str_of(TEXTS[i]), note_service, &names, &digest, &err),
                         ERR_INVALID);
    }
    struct names names = {0};
    struct err err = {0};
    uint64_t digest;
    assert_int_equal(
        decode_catalog(STR("{\"stop\":[],\"b\":[]}"), note_service, &names, &digest, &err),
        ERR_NOMEM);
    assert_string_equal(names.text, "stop:");
}

static int note_pair(void *ctx, struct str key, struct str value, uint64_t modify_index)
{
    struct names *names = ctx;
    size_t len = strlen(names->text);
    snprintf(names->text + len, sizeof names->text - len, "%.*s=%.*s@%llu;", STR_FMT(key),
             STR_FMT(value), (unsigned long long)modify_index);
    return 0;
}

static void kv_pairs_are_read(void **state)
{
    (void)state;
    struct names names = {0};
    struct err err = {0};
    assert_int_equal(
        decode_kv(STR("[{\"Key\":\"a\",\"Value\":\"aGVsbG8=\",\"ModifyIndex\":7},"
                      "{\"Key\":\"b\",\"Value\":null},{\"Key\":\"c\",\"Value\":\"YWI=\"},"
                      "{\"Key\":\"d\",\"Value\":\"YQ==\"},{\"Key\":\"e\",\"Value\":\"YWJj\"}]"),
                  note_pair, &names, &err),
        0);
    assert_string_equal(names.text, "a=hello@7;b=@0;c=ab@0;d=a@0;e=abc@0;");
    static const char *const TEXTS[] = {"{}",
                                        "[1]",
                                        "[{}]",
                                        "[{\"Key\":\"\"}]",
                                        "[{\"Key\":\"a\",\"Value\":\"YWI\"}]",
                                        "[{\"Key\":\"a\",\"Value\":\"Y*I=\"}]",
                                        "[{\"Key\":\"a\"}"};
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++)
        assert_int_equal(decode_kv(str_of(TEXTS[i]), note_pair, &names, &err), ERR_INVALID);
}

static int note_string(void *ctx, struct str text)
{
    struct names *names = ctx;
    size_t len = strlen(names->text);
    snprintf(names->text + len, sizeof names->text - len, "%.*s;", STR_FMT(text));
    return 0;
}

struct places {
    size_t count;
    uint64_t sum;
    char names[64];
};

static void on_node_service(void *ctx, struct str service, uint64_t place)
{
    struct places *places = ctx;
    places->count++;
    places->sum += place;
    strncat(places->names, service.ptr ? service.ptr : "?", 20);
}

static int read_node(const char *text, struct places *places)
{
    struct err err = {0};
    *places = (struct places){0};
    int status = decode_node_services(str_of(text), STR("n1"), on_node_service, places, &err);
    assert_true((status < 0) == (err.text[0] != '\0'));
    return status;
}

#define ENTRY(id, address, port, tags)                                                  \
    "{\"ID\":\"" id "\",\"Service\":\"web\",\"Address\":\"" address "\",\"Port\":" port \
    ",\"Tags\":[" tags "],\"Meta\":{\"m\":\"1\"},\"ModifyIndex\":7}"
#define NODE_AT(address, services) \
    "{\"Node\":{\"Node\":\"n1\",\"Address\":\"" address "\"},\"Services\" : [" services "]}"
#define NODE(services) NODE_AT("10.0.0.1", services)

static void a_node_says_of_its_services_what_they_say_themselves(void **state)
{
    (void)state;
    struct health_answer answer;
    struct places places;
    decode("[" INSTANCE("n1", "web-1", ",\"Address\":\"\",\"Port\":80,\"Tags\":[\"a\",\"b\"]",
                        GOOD) "," INSTANCE("n1", "web-2", ",\"Port\":81,\"Tags\":null", GOOD) "]",
           &ONE, &answer);
    assert_int_equal(
        read_node(NODE(ENTRY("web-2", "", "81", "") "," ENTRY("web-1", "", "80", "\"a\",\"b\"")),
                  &places),
        0);
    assert_int_equal(places.count, 2);
    assert_string_equal(places.names, "webweb");
    assert_true(places.sum == answer.places);
    health_answer_fini(&answer);
}

static void a_place_covers_what_no_check_shows(void **state)
{
    (void)state;
    static const char *const NODES[] = {
        NODE(ENTRY("web-1", "", "80", "\"a\"")),
        NODE(ENTRY("web-2", "", "80", "\"a\"")),
        NODE(ENTRY("web-1", "10.0.0.9", "80", "\"a\"")),
        NODE(ENTRY("web-1", "", "81", "\"a\"")),
        NODE(ENTRY("web-1", "", "80", "\"b\"")),
        NODE(ENTRY("web-1", "", "80", "\"a\",\"b\"")),
        NODE_AT("10.0.0.2", ENTRY("web-1", "", "80", "\"a\"")),
    };
    struct places first, other;
    assert_int_equal(read_node(NODES[0], &first), 0);
    for (size_t i = 1; i < sizeof NODES / sizeof NODES[0]; i++) {
        assert_int_equal(read_node(NODES[i], &other), 0);
        assert_true(other.sum != first.sum);
    }
    // The node's address does not matter to who has one of its own.
    assert_int_equal(read_node(NODE(ENTRY("web-1", "10.9.9.9", "80", "")), &first), 0);
    assert_int_equal(read_node(NODE_AT("10.0.0.2", ENTRY("web-1", "10.9.9.9", "80", "")), &other),
                     0);
    assert_true(other.sum == first.sum);
}

static void a_node_without_services_and_a_wrong_one(void **state)
{
    (void)state;
    static const char *const EMPTY[] = {"null", NODE(""), "{\"Node\":null,\"Services\":null}",
                                        "{}"};
    static const char *const WRONG[] = {"",
                                        "[]",
                                        "{",
                                        "\"x\"",
                                        "{\"Services\"}",
                                        "{\"Node\"}",
                                        "{\"Node\":{}",
                                        "{\"Services\":7}",
                                        "{\"Services\":[7]}",
                                        "{\"Services\":[{]}",
                                        "{\"Services\":[{}"};
    struct places places;
    for (size_t i = 0; i < sizeof EMPTY / sizeof EMPTY[0]; i++) {
        assert_int_equal(read_node(EMPTY[i], &places), 0);
        assert_int_equal(places.count, 0);
    }
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        assert_int_equal(read_node(WRONG[i], &places), ERR_INVALID);
}

static int on_node(void *ctx, struct str name)
{
    strncat(ctx, name.ptr, 20);
    return 0;
}

static void the_names_of_nodes_are_read(void **state)
{
    (void)state;
    static const char *const WRONG[] = {"null", "{}", "[7]", "[{\"Node\":7}]",
                                        "[{\"Address\":\"a\"}]"};
    char names[64] = "";
    struct err err = {0};
    assert_int_equal(decode_nodes(STR("[{\"Node\":\"n1\",\"Address\":\"a\"},{\"Node\":\"n2\"}]"),
                                  on_node, names, &err),
                     0);
    assert_string_equal(names, "n1n2");
    assert_int_equal(decode_nodes(STR("[]"), on_node, names, &err), 0);
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        assert_int_equal(decode_nodes(str_of(WRONG[i]), on_node, names, &err), ERR_INVALID);
}

static void strings_are_read(void **state)
{
    (void)state;
    struct names names = {0};
    struct err err = {0};
    assert_int_equal(decode_strings(STR("[\"a\",\"b/c\"]"), note_string, &names, &err), 0);
    assert_string_equal(names.text, "a;b/c;");
    assert_int_equal(decode_strings(STR("[1]"), note_string, &names, &err), ERR_INVALID);
    assert_int_equal(decode_strings(STR("[\"]"), note_string, &names, &err), ERR_INVALID);
}

// Every allocation fails once: the code is ERR_NOMEM, nothing leaks, and in the end it works.
static void shortage_is_told_apart_from_bad_input(void **state)
{
    (void)state;
    static const char HEALTH[] =
        "[" INSTANCE("n", "web-1", ",\"Port\":1,\"Tags\":[\"a\\u0000\",\"b\"]",
                     "[" CHECK("c", "critical", "web-1") "]") "]";
    static const char CATALOG[] = "{\"a\\u0000\":[\"x\"],\"b\":[]}";
    static const char KV[] = "[{\"Key\":\"a\",\"Value\":\"aGVsbG8=\"}]";
    bool is_done[4] = {false};
    for (int n = 0; n < 200; n++) {
        struct names names = {0};
        struct err err;
        uint64_t digest;
        struct health_answer answer;
        int status[4];
        mem_fail_after(n);
        status[0] = decode_health(str_of(HEALTH), &ONE, &answer, &err);
        mem_fail_after(n);
        status[1] = decode_catalog(str_of(CATALOG), note_service, &names, &digest, &err);
        mem_fail_after(n);
        status[2] = decode_kv(str_of(KV), note_pair, &names, &err);
        mem_fail_after(n);
        status[3] = decode_strings(STR("[\"a\"]"), note_string, &names, &err);
        mem_fail_after(-1);
        if (status[0] == 0)
            health_answer_fini(&answer);
        for (int i = 0; i < 4; i++) {
            assert_true(status[i] == 0 || (status[i] == ERR_NOMEM && !is_done[i]));
            is_done[i] = status[i] == 0;
        }
    }
    for (int i = 0; i < 4; i++)
        assert_true(is_done[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_is_read),
        cmocka_unit_test(missing_null_and_wrong_types_read_as_empty),
        cmocka_unit_test(the_verdict_is_fabios),
        cmocka_unit_test(node_checks_count_when_asked_to),
        cmocka_unit_test(the_digest_covers_what_matters_and_nothing_else),
        cmocka_unit_test(long_and_many_tags_are_left_out_and_told),
        cmocka_unit_test(a_nul_does_not_cut_a_tag),
        cmocka_unit_test(an_answer_of_another_kind_is_refused),
        cmocka_unit_test(the_catalog_is_read),
        cmocka_unit_test(a_wrong_catalog_is_refused),
        cmocka_unit_test(kv_pairs_are_read),
        cmocka_unit_test(a_node_says_of_its_services_what_they_say_themselves),
        cmocka_unit_test(a_place_covers_what_no_check_shows),
        cmocka_unit_test(a_node_without_services_and_a_wrong_one),
        cmocka_unit_test(the_names_of_nodes_are_read),
        cmocka_unit_test(strings_are_read),
        cmocka_unit_test(shortage_is_told_apart_from_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
