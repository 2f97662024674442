// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "discover/state_digest.h"

static void read_state(struct state_digest *digest, const char *text)
{
    state_digest_init(digest);
    assert_int_equal(state_digest_feed(digest, str_of(text)), 0);
    assert_int_equal(state_digest_finish(digest), 0);
}

#define CHECK(node, id, status, service, tags)                                                \
    "{\"Node\":\"" node "\",\"CheckID\":\"" id "\",\"Status\":\"" status                      \
    "\",\"ServiceID\":\"" service "\",\"ServiceName\":\"" service "\",\"ServiceTags\":[" tags \
    "],\"Output\":\"x\"}"

#define WEB          CHECK("n1", "c", "passing", "web", "\"t\"")
#define WEB2         CHECK("n2", "c", "passing", "web", "\"t\"")
#define API          CHECK("n1", "d", "passing", "api", "")
#define SERF(status) CHECK("n1", "serfHealth", status, "", "")

static uint64_t value_of(const char *text, const char *service)
{
    struct state_digest digest;
    read_state(&digest, text);
    uint64_t value = state_digest_of(&digest, str_of(service));
    state_digest_fini(&digest);
    return value;
}

static void order_output_and_pieces_do_not_matter(void **state)
{
    (void)state;
    uint64_t web = value_of("[" WEB "," WEB2 "," API "," SERF("passing") "]", "web");
    assert_true(web != 0);
    assert_int_equal(value_of("[" SERF("passing") "," API "," WEB2 "," WEB "]", "web"), web);

    static const char TEXT[] = "[" WEB "," WEB2 "," API "," SERF("passing") "]";
    struct state_digest digest;
    state_digest_init(&digest);
    for (size_t i = 0; i < sizeof TEXT - 1; i++)
        assert_int_equal(state_digest_feed(&digest, str_make(TEXT + i, 1)), 0);
    assert_int_equal(state_digest_finish(&digest), 0);
    assert_int_equal(state_digest_of(&digest, STR("web")), web);
    state_digest_fini(&digest);
}

static uint64_t members_of(const char *text)
{
    struct state_digest digest;
    read_state(&digest, text);
    uint64_t members = digest.members;
    state_digest_fini(&digest);
    return members;
}

static void members_are_told_apart_from_their_health(void **state)
{
    (void)state;
    static const char CRITICAL[] = "[" CHECK("n1", "c", "critical", "web", "\"t\"") "," API "]";
    assert_int_equal(members_of("[" WEB "," API "]"), members_of("[" API "," WEB "]"));
    assert_int_equal(members_of("[" WEB "," API "]"), members_of(CRITICAL));
    assert_int_not_equal(members_of("[" WEB "," API "]"), members_of("[" WEB "]"));
    assert_int_not_equal(members_of("[" WEB "]"), members_of("[" WEB2 "]"));
}

static uint64_t nodes_of(const char *text)
{
    struct state_digest digest;
    read_state(&digest, text);
    uint64_t nodes = digest.nodes;
    state_digest_fini(&digest);
    return nodes;
}

static void checks_of_nodes_are_told_apart_from_the_services(void **state)
{
    (void)state;
    uint64_t good = nodes_of("[" WEB "," SERF("passing") "]");
    assert_int_equal(nodes_of("[" API "," SERF("passing") "," WEB2 "]"), good);
    assert_int_not_equal(nodes_of("[" WEB "," SERF("critical") "]"), good);
    assert_int_equal(nodes_of("[" WEB "]"), 0);
    assert_int_equal(nodes_of("[]"), 0);
}

static void a_change_shows_in_its_service_only(void **state)
{
    (void)state;
    static const char BEFORE[] = "[" WEB "," API "]";
    uint64_t web = value_of(BEFORE, "web"), api = value_of(BEFORE, "api");
    static const char *const CHANGED[] = {
        "[" CHECK("n1", "c", "critical", "web", "\"t\"") "," API "]",
        "[" CHECK("n1", "c", "passing", "web", "\"u\"") "," API "]",
        "[" CHECK("n3", "c", "passing", "web", "\"t\"") "," API "]",
        "[" CHECK("n1", "e", "passing", "web", "\"t\"") "," API "]",
        "[" WEB "," WEB2 "," API "]",
        "[" API "]",
    };
    for (size_t i = 0; i < ARRAY_LEN(CHANGED); i++) {
        assert_true(value_of(CHANGED[i], "web") != web);
        assert_int_equal(value_of(CHANGED[i], "api"), api);
    }
}

static void a_node_check_shows_in_all_services_of_the_node(void **state)
{
    (void)state;
    static const char GOOD[] =
        "[" WEB "," API "," SERF("passing") "," CHECK("n2", "c", "passing", "far", "") "]";
    static const char DOWN[] =
        "[" WEB "," API "," SERF("critical") "," CHECK("n2", "c", "passing", "far", "") "]";
    assert_true(value_of(GOOD, "web") != value_of(DOWN, "web"));
    assert_true(value_of(GOOD, "api") != value_of(DOWN, "api"));
    assert_int_equal(value_of(GOOD, "far"), value_of(DOWN, "far"));
}

static void unknown_services_and_empty_lists_are_zero(void **state)
{
    (void)state;
    assert_int_equal(value_of("[]", "web"), 0);
    assert_int_equal(value_of("[" API "]", "web"), 0);
    assert_int_equal(value_of("[" SERF("passing") "]", "web"), 0);
}

static void wrong_input_is_refused(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"[1]", "[{]", "{}", "[\"x\"]"};
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        struct state_digest digest;
        state_digest_init(&digest);
        int status = state_digest_feed(&digest, str_of(TEXTS[i]));
        if (status == 0)
            status = state_digest_finish(&digest);
        assert_int_equal(status, ERR_INVALID);
        state_digest_fini(&digest);
    }
    struct state_digest digest;
    state_digest_init(&digest);
    assert_int_equal(state_digest_feed(&digest, STR("[" WEB)), 0);
    assert_int_equal(state_digest_finish(&digest), ERR_INVALID);
    state_digest_fini(&digest);
}

static void many_checks_and_shortage(void **state)
{
    (void)state;
    for (int n = 0; n < 60; n++) {
        struct state_digest digest;
        state_digest_init(&digest);
        mem_fail_after(n);
        int status = state_digest_feed(&digest, STR("[" WEB "," API "]"));
        mem_fail_after(-1);
        assert_true(status == 0 || status == ERR_NOMEM);
        state_digest_fini(&digest);
    }
    struct state_digest digest;
    state_digest_init(&digest);
    assert_int_equal(state_digest_feed(&digest, STR("[" API)), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(state_digest_feed(&digest, STR("," WEB)), 0);
    assert_int_equal(state_digest_feed(&digest, STR("]")), 0);
    assert_int_equal(state_digest_finish(&digest), 0);
    assert_int_equal(digest.count, 2);
    state_digest_fini(&digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_output_and_pieces_do_not_matter),
        cmocka_unit_test(members_are_told_apart_from_their_health),
        cmocka_unit_test(checks_of_nodes_are_told_apart_from_the_services),
        cmocka_unit_test(a_change_shows_in_its_service_only),
        cmocka_unit_test(a_node_check_shows_in_all_services_of_the_node),
        cmocka_unit_test(unknown_services_and_empty_lists_are_zero),
        cmocka_unit_test(wrong_input_is_refused),
        cmocka_unit_test(many_checks_and_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
