// SPDX-License-Identifier: Apache-2.0
#include "entry.h"
#include "fixture.h"

#include <stdlib.h>
#include <time.h>

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct route *find(const struct table *table, const char *host, const char *path)
{
    struct table_cursor cursor;
    table_lookup_start(&cursor, table, str_of(host), str_of(path), false);
    return table_lookup_next(&cursor);
}

static void the_first_build_gives_a_table_even_if_empty(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    assert_true(routes_is_dirty(routes));
    struct table *table = routes_build_now(routes);
    assert_non_null(table);
    assert_int_equal(table_host_count(table), 0);
    assert_lookup(table, "a", "/", false, "-");
    assert_printed(table, "");
    assert_null(routes_build_now(routes));
    table_free(table);
    table_free(NULL);
    routes_free(routes);
    routes_free(NULL);
}

static void equal_content_is_nothing_to_publish(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    routes_set_lines(routes, "s", LINES("route add s / http://h:1/", "route add s a/ http://h:1/"));
    routes_set_text(routes, "route add m m/ http://m/");
    struct table *table = routes_build_now(routes);
    int64_t bound = bindings.total;
    // The same again, in another order: not even dirty.
    routes_set_lines(routes, "s", LINES("route add s a/ http://h:1/", "route add s / http://h:1/"));
    assert_false(routes_is_dirty(routes));
    // Other text with the same effect: dirty, but no new table.
    routes_set_text(routes, "route add m m/ http://m/\nroute del nobody\nroute del s /nowhere");
    assert_true(routes_is_dirty(routes));
    assert_null(routes_build_now(routes));
    assert_int_equal(bindings.total, bound);
    // There and back.
    routes_set_lines(routes, "s", LINES("route add s / http://h:2/"));
    routes_set_lines(routes, "s", LINES("route add s / http://h:1/", "route add s a/ http://h:1/"));
    assert_null(routes_build_now(routes));
    table_free(table);
    routes_free(routes);
    assert_int_equal(bindings.bound, 0);
}

static void a_change_rebuilds_only_its_routes(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    routes_set_lines(routes, "s",
                     LINES("route add s a/ http://h:1/", "route add s a/x http://h:1/"));
    routes_set_lines(routes, "t", LINES("route add t b/ http://h:1/"));
    struct table *one = routes_build_now(routes);
    assert_int_equal(bindings.total, 3);
    const struct route *kept = find(one, "b", "/"), *sibling = find(one, "a", "/x");

    routes_set_lines(routes, "s",
                     LINES("route add s a/ http://h:2/", "route add s a/x http://h:1/"));
    struct table *two = routes_build_now(routes);
    assert_int_equal(bindings.total, 4);
    assert_ptr_equal(find(two, "b", "/"), kept);
    assert_ptr_equal(find(two, "a", "/x"), sibling);
    assert_string_equal(route_def_dst(find(one, "a", "/")->targets[0].def).ptr, "http://h:1/");
    assert_string_equal(route_def_dst(find(two, "a", "/")->targets[0].def).ptr, "http://h:2/");
    assert_int_equal(bindings.bound, 4);
    table_free(one);
    assert_int_equal(bindings.bound, 3);
    table_free(two);
    routes_free(routes);
    assert_int_equal(bindings.bound, 0);
}

static void versions_may_be_freed_in_any_order(void **state)
{
    (void)state;
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        struct bindings bindings;
        struct routes *routes = routes_make(&bindings, NULL);
        struct table *tables[4];
        for (int n = 0; n < 4; n++) {
            char line[64];
            snprintf(line, sizeof line, "route add s a/ http://h:%d/", n + 1);
            routes_set_lines(routes, "s", LINES(line, "route add s b/ http://h/"));
            tables[n] = routes_build_now(routes);
        }
        for (int n = 0; n < 4; n++) {
            const struct route *route = find(tables[orders[i][n]], "a", "/");
            assert_int_equal(route->targets[0].def->dst_port, orders[i][n] + 1);
            table_free(tables[orders[i][n]]);
        }
        // What the newest has stays bound: the next build compares with it.
        assert_int_equal(bindings.bound, 2);
        routes_free(routes);
        assert_int_equal(bindings.bound, 0);
    }
}

static void the_cursor_survives_rebuilds(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    struct table *table = NULL;
    for (unsigned n = 0; n < 10; n++) { // from the start again, each would give the same target
        char line[64];
        snprintf(line, sizeof line, "route add s / http://h:2/%u", n);
        routes_set_lines(routes, "s", LINES(line, "route add s / http://h:1/"));
        struct table *next = routes_build_now(routes);
        table_free(table);
        table = next;
        const struct route *route = find(table, "x", "/");
        const struct route_target *target =
            route_pick(route, ROUTE_PICK_ROUND_ROBIN, 0, NULL, NULL);
        assert_int_equal(target->def->dst_port, n % 2 ? 1 : 2);
    }
    table_free(table);
    routes_free(routes);
}

static void set_defs(struct routes *routes, const char *key, struct route_def **defs, size_t count)
{
    assert_int_equal(routes_set_service(routes, str_of(key), defs, count), 0);
    for (size_t i = 0; i < count; i++)
        route_def_unref(defs[i]);
}

static void down_targets_own_their_route_but_take_nothing(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    routes_set_lines(routes, "t", LINES("route add t / http://h:9/"));
    struct route_def *defs[] = {
        def_make_down("route add s a/ http://h:3/ weight 0.7", ROUTE_CRITICAL, "i3"),
        def_make_down("route add s a/ http://h:2/", ROUTE_UP, "i2"),
        def_make_down("route add s a/ http://h:1/", ROUTE_UP, "i1"),
        def_make_down("route add s b/ http://h:1/", ROUTE_MAINTENANCE, "i1"),
    };
    set_defs(routes, "s", defs, 4);
    routes_set_text(routes, "route weight s b/ weight 0.5\nroute weight s a/ weight 1");
    struct buf problems;
    buf_init(&problems, 1000);
    struct table *table = routes_build_noting(routes, &problems);
    assert_string_equal(problems.ptr, "");
    const struct route *route = find(table, "a", "/");
    assert_int_equal(route->count, 3);
    assert_int_equal(route->up_count, 2);
    assert_int_equal(route->targets[0].def->dst_port, 2);
    assert_int_equal(route->targets[2].def->dst_port, 3);
    assert_true(route_weight_of(route, &route->targets[2]).share == 0);
    assert_float_equal(route_weight_of(route, &route->targets[0]).share, 0.5, 1e-9);
    route = find(table, "b", "/"); // does not fall through to t
    assert_int_equal(route->count, 1);
    assert_int_equal(route->up_count, 0);
    assert_null(route_pick(route, ROUTE_PICK_ROUND_ROBIN, 0, NULL, NULL));
    assert_printed(table, "route add s a/ http://h:2/ weight 0.5000\n"
                          "route add s a/ http://h:1/ weight 0.5000\n"
                          "route add t / http://h:9/");
    struct buf out;
    buf_init(&out, 1000);
    table_print_detail(table, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(out.ptr,
                        "+-- host=\n|   +-- path=/\n|       +-- addr=h:9 weight 1.00 slots 1/1\n"
                        "+-- host=a\n|   +-- path=/\n"
                        "|       |-- addr=h:2 weight 0.50 slots 5000/10000\n"
                        "|       +-- addr=h:1 weight 0.50 slots 5000/10000\n"
                        "+-- host=b\n    +-- path=/\n");
    buf_fini(&out);
    buf_fini(&problems);
    table_free(table);
    routes_free(routes);
}

static void of_equal_targets_one_that_is_up_wins(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    const char *with = "route add s / http://h:1/ opts \"strip=/x\"",
               *plain = "route add s / http://h:1/";
    struct route_def *defs[] = {def_make_down(with, ROUTE_CRITICAL, "a"),
                                def_make_down(plain, ROUTE_UP, "b"),
                                def_make_down(plain, ROUTE_NODE_DOWN, "c")};
    set_defs(routes, "s", defs, 3);
    struct table *table = routes_build_now(routes);
    const struct route *route = find(table, "x", "/");
    assert_int_equal(route->count, 1);
    assert_int_equal(route->up_count, 1);
    assert_string_equal(route_def_instance(route->targets[0].def).ptr, "b");
    table_free(table);
    routes_free(routes);
}

static void emptied_routes_and_hosts_disappear(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    routes_set_lines(routes, "s",
                     LINES("route add s a/ http://h:1/", "route add s a/x http://h:1/",
                           "route add s *.b/ http://h:1/"));
    routes_set_lines(
        routes, "t",
        LINES("route add t / http://h:2/ tags \"x,y\"", "route add t a/ http://h:2/ tags \"x\""));
    struct table *table = routes_build_now(routes);
    static const struct {
        const char *text, *host, *path, *found;
        size_t targets;
    } rows[] = {
        {"route del s", "a", "/x", "a/", 2},
        {"route del s\nroute del t a/", "a", "/x", "/", 1},
        {"route del s A/x", "a", "/x", "a/", 4},
        {"route del s a/x http://h:1/", "a", "/x", "a/", 4},
        {"route del s a/x http://h:2/", "a", "/x", "a/x", 5},
        {"route del s *.b", "x.b", "/", "/", 4},
        {"route del tags \"x\"", "z", "/", "-", 3},
        {"route del tags \"x,y\"", "z", "/", "-", 4},
        {"route del t tags \"y\"", "z", "/", "-", 4},
        {"route del s tags \"y\"", "z", "/", "/", 5},
        {"route del s\nroute del t", "a", "/", "-", 0},
        {"", "x.b", "/", "*.b/", 5},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        routes_set_text(routes, rows[i].text);
        struct table *next = routes_build_now(routes);
        if (next) {
            table_free(table);
            table = next;
        }
        assert_lookup(table, rows[i].host, rows[i].path, false, rows[i].found);
        assert_int_equal(table_target_count(table), rows[i].targets);
    }
    assert_int_equal(routes_set_manual(routes, NULL), 0);
    table_free(table);
    routes_free(routes);
}

static void commands_apply_in_the_order_of_the_text(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    static const char *const rows[][2] = {
        {"route add s / http://h:1/\nroute del s\nroute add s / http://h:2/",
         "route add s / http://h:2/"},
        {"route add s / http://h:1/\nroute add s / http://h:2/\nroute del s", ""},
        {"route weight s / weight 0.5\nroute add s / http://h:1/", "route add s / http://h:1/"},
        {"route add s / http://h:1/ weight 0.5\nroute add s / http://h:2/\n"
         "route weight s / weight 0.4\nroute add s / http://h:1/ weight 0.5",
         "route add s / http://h:1/ weight 0.2000\nroute add s / http://h:2/ weight 0.2000\n"
         "route add s / http://h:1/ weight 0.5000"},
    };
    struct table *table = routes_build_now(routes);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        routes_set_text(routes, rows[i][0]);
        struct table *next = routes_build_now(routes);
        if (next) {
            table_free(table);
            table = next;
        }
        assert_printed(table, rows[i][1]);
    }
    table_free(table);
    routes_free(routes);
}

enum { MANY = 20000, LINE_MAX_LEN = 96 };

// `count` targets of one route, each line given twice where is_twice, and what stands behind them.
static void set_many(struct routes *routes, size_t count, bool is_twice, const char *behind)
{
    char *text = mem_alloc(2 * count * LINE_MAX_LEN + LINE_MAX_LEN + strlen(behind));
    assert_non_null(text);
    size_t used = 0;
    for (size_t i = 0; i < (is_twice ? 2 : 1) * count; i++)
        used += (size_t)sprintf(text + used, "route add s%zu a/ http://h:%zu/ tags \"t%zu\"\n",
                                i % count % 2, 1000 + i % count / 4, i % count / 2 % 2);
    strcpy(text + used, behind);
    routes_set_text(routes, text);
    mem_free(text);
}

// With a comparison of each with each it would be 200 million.
static void many_commands_for_one_route_are_not_compared_with_each_other(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    set_many(routes, MANY, false, "");
    struct table *table = routes_build_now(routes);
    assert_int_equal(table_target_count(table), MANY);
    assert_in_range(routes->work.compared, MANY / 100, 4 * MANY);
    table_free(table);
    routes_free(routes);
    assert_int_equal(bindings.bound, 0);
}

static void duplicates_among_many_are_found_whatever_came_between(void **state)
{
    (void)state;
    static const struct {
        const char *behind;
        uint32_t count;
    } rows[] = {
        {"", 100},
        {"route add s0 a/ http://h:1000/ tags \"t1\"", 100},
        {"route add s0 a/ http://h:1000/", 101},
        {"route add s0 a/ http://h:1000/ weight 0.5 tags \"t0\"", 101},
        {"route del s0 a/ http://h:1000/\n"
         "route add s0 a/ http://h:1000/ tags \"t0\"\n"
         "route add s0 a/ http://h:1000/ tags \"t0\"\n"
         "route add s1 a/ http://h:1024/ tags \"t1\"",
         99},
        {"route weight s0 a/ weight 0.5 tags \"t0\"\n"
         "route add s0 a/ http://h:1000/ tags \"t0\"\n"
         "route add s0 a/ http://h:1000/ tags \"t1\"",
         101},
        {"route del s0\nroute del s1\nroute add s0 a/ http://h:1000/", 1},
    };
    struct bindings bindings;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct routes *routes = routes_make(&bindings, NULL);
        set_many(routes, 100, true, rows[i].behind);
        struct table *table = routes_build_now(routes);
        assert_int_equal(find(table, "a", "/")->count, rows[i].count);
        table_free(table);
        routes_free(routes);
        assert_int_equal(bindings.bound, 0);
    }
}

static void problems_are_told_at_each_build(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    routes_set_lines(
        routes, "s",
        LINES("route add s [x/ http://h:1/", "route add s / http://h:1/ opts \"strip=/b\"",
              "route add s / http://h:1/ opts \"strip=/a\"", "route add s /ok http://h:1/"));
    routes_set_lines(routes, "t", LINES("route add t /ok http://h:2/"));
    routes_set_text(routes, "route weight u /ok weight 1\n"
                            "route add m [x/y http://h:3/\n"
                            "route del m [x/y\n"
                            "route weight m [x/y weight 1\n"
                            "route add n /n localhost:80\n"
                            "route add n /n localhost:80 opts \"other\"\n"
                            "route weight n /nowhere weight 1");
    struct buf problems;
    buf_init(&problems, 10000);
    struct table *table = routes_build_noting(routes, &problems);
    static const char *const expected[] = {
        "lost route add s [x/ http://h:1/: host: bad pattern: '[' without ']'\n",
        "lost route add s / http://h:1/ opts \"strip=/a\": the same target was already added with "
        "other options, which are kept: \"strip=/b\"\n",
        "kept route add s /ok http://h:1/: service t also serves this host and path\n",
        "lost route weight u /ok weight 1: weight command for service u not valid - route: no "
        "target match\n",
        "lost route add m [x/y http://h:3/: host: bad pattern: '[' without ']'\n",
        "lost route weight m [x/y weight 1: weight command for service m not valid - route: no "
        "target match\n",
        "kept route add n /n localhost:80: the destination is not of the form http://host:port/ "
        "and "
        "cannot be proxied to\n",
        "lost route add n /n localhost:80 opts \"other\": the same target was already added with "
        "other options, which are kept: \"\"\n",
        "lost route weight n /nowhere weight 1: weight command for service n not valid - route: no "
        "target match\n",
    };
    size_t total = 0;
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        if (!strstr(problems.ptr, expected[i]))
            fail_msg("%s missing in\n%s", expected[i], problems.ptr);
        total += strlen(expected[i]);
    }
    assert_int_equal(strlen(problems.ptr), total);
    assert_lookup(table, "[x", "/", false, "/");
    assert_int_equal(table_route_count(table), 3);

    // Told again though nothing near them changed; and no more once mended.
    routes_set_lines(routes, "t", LINES("route add t /t http://h:2/"));
    buf_clear(&problems);
    struct table *next = routes_build_noting(routes, &problems);
    assert_null(strstr(problems.ptr, expected[2]));
    assert_int_equal(strlen(problems.ptr), total - strlen(expected[2]));
    table_free(table);
    routes_set_lines(routes, "s", LINES("route add s /ok http://h:1/"));
    routes_set_text(routes, "");
    buf_clear(&problems);
    table = routes_build_noting(routes, &problems);
    assert_string_equal(problems.ptr, "");
    buf_fini(&problems);
    table_free(table);
    table_free(next);
    routes_free(routes);
}

static void identical_definitions_can_go_one_by_one(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    struct route_def *def = def_make("route add s / http://h:1/");
    struct route_def *twin = def_make("route add s / http://h:1/");
    struct route_def *sets[][3] = {{def, def, twin},  {twin, def, NULL}, {twin, NULL, NULL},
                                   {twin, twin, def}, {def, NULL, NULL}, {NULL, NULL, NULL}};
    static const size_t counts[] = {3, 2, 1, 3, 1, 0};
    struct table *table = routes_build_now(routes);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        assert_int_equal(routes_set_service(routes, STR("one"), sets[i], counts[i]), 0);
        assert_int_equal(
            routes_set_service(routes, STR("two"), sets[(i + 3) % 6], counts[(i + 3) % 6]), 0);
        struct table *next = routes_build_now(routes);
        if (next) {
            table_free(table);
            table = next;
        }
        assert_int_equal(table_target_count(table), 1);
    }
    table_free(table);
    routes_free(routes);
    assert_int_equal(def->refs, 1);
    route_def_unref(def);
    route_def_unref(twin);
}

// A world with something of everything.
static int fill(struct routes *routes, struct route_def **defs, size_t count)
{
    int rc = routes_set_service(routes, STR("one"), defs, count / 2);
    if (rc == 0)
        rc = routes_set_service(routes, STR("two"), defs + count / 2, count - count / 2);
    return rc;
}

static const char FAULT_TEXT[] = "route weight s a/ weight 0.3\nroute del t tags \"x\"\n"
                                 "route add m a/1 http://m/ opts \"redirect=1\"\n"
                                 "route weight q a/1 weight 1\nroute del s a/2";

// Every allocation of set, set_manual and build fails once, on routes that are already in use.
// Nothing is lost by it: trying again gives what should be.
static void any_allocation_may_fail(void **state)
{
    (void)state;
    struct route_def *defs[40];
    for (int i = 0; i < 40; i++) {
        static const char *const hosts[] = {"a", "*.b", "", "[x"};
        char line[128];
        snprintf(line, sizeof line, "route add %s %s/%d* http://h:%d/ weight 0.%d%s",
                 i % 3 ? "s" : "t", i < 20 ? "a" : hosts[i % 4], i % 25, i + 1, i % 10,
                 i % 2 ? " tags \"x\" opts \"strip=/a\"" : "");
        defs[i] = def_make(line);
    }
    static const enum route_matcher matchers[] = {ROUTE_MATCH_PREFIX, ROUTE_MATCH_GLOB};
    for (size_t m = 0; m < ARRAY_LEN(matchers); m++) {
        struct routes_config config = {.matcher = matchers[m]};
        struct bindings bindings, fresh_bindings;
        struct routes *fresh = routes_make(&fresh_bindings, &config);
        assert_int_equal(fill(fresh, defs, 40), 0);
        routes_set_text(fresh, FAULT_TEXT);
        struct table *expected = routes_build_now(fresh);
        bool has_failed = true;
        int64_t n = 0;
        for (; has_failed; n++) {
            struct routes *routes = routes_make(&bindings, &config);
            assert_int_equal(fill(routes, defs, 10), 0);
            struct table *first = routes_build_now(routes);
            struct command_list *list =
                command_list_parse(str_of(FAULT_TEXT), STR("x"), NULL, NULL);
            struct table *table = NULL;
            mem_fail_after(n);
            int rc_fill = fill(routes, defs, 40);
            int rc_manual = routes_set_manual(routes, list);
            int rc_build = routes_build(routes, &table, NULL, NULL);
            mem_fail_after(-1);
            has_failed = rc_fill || rc_manual || rc_build;
            if (rc_build != 0)
                assert_null(table);
            if (has_failed) {
                assert_true(rc_fill == ERR_NOMEM || rc_manual == ERR_NOMEM ||
                            rc_build == ERR_NOMEM);
                assert_lookup(first, "a", "/1*", false, "a/1*");
                assert_int_equal(fill(routes, defs, 40), 0);
                routes_set_text(routes, FAULT_TEXT);
                struct table *next = routes_build_now(routes);
                if (next) {
                    table_free(table);
                    table = next;
                }
            }
            assert_non_null(table);
            assert_true(table_digest(table) == table_digest(expected));
            assert_int_equal(table_target_count(table), table_target_count(expected));
            table_free(first);
            table_free(table);
            routes_free(routes);
            assert_int_equal(bindings.bound, 0);
        }
        print_message("%d allocations\n", (int)n);
        assert_in_range(n, 100, 2000);
        table_free(expected);
        routes_free(fresh);
    }
    for (int i = 0; i < 40; i++) {
        assert_int_equal(defs[i]->refs, 1);
        route_def_unref(defs[i]);
    }
}

static void a_failed_bind_fails_the_build(void **state)
{
    (void)state;
    struct bindings bindings;
    struct routes *routes = routes_make(&bindings, NULL);
    routes_set_lines(routes, "s",
                     LINES("route add s a/ http://h:1/", "route add s a/ http://h:2/",
                           "route add s b/ http://h:1/"));
    for (int64_t n = 0; n < 3; n++) {
        bindings.fail_after = n;
        struct table *table;
        assert_int_equal(routes_build(routes, &table, NULL, NULL), ERR_NOMEM);
        assert_null(table);
        assert_true(routes_is_dirty(routes));
        assert_int_equal(bindings.bound, 0);
    }
    bindings.fail_after = -1;
    struct table *table = routes_build_now(routes);
    assert_int_equal(table_target_count(table), 3);
    table_free(table);
    routes_free(routes);
    assert_int_equal(bindings.bound, 0);
}

static void starting_may_fail(void **state)
{
    (void)state;
    mem_fail_after(0);
    struct routes *routes = routes_new(&(struct routes_config){0}, &(struct routes_binding){0});
    mem_fail_after(-1);
    assert_null(routes);
}

enum { SCALE_HOSTS = 10000, SCALE_TARGETS = 10 };

// CPU time: other load on the machine counts less.
static uint64_t cpu_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// Where the number goes in the routes of one run, and in the requests for them.
struct shape {
    const char *before, *behind;           // of the number, in "host/path"
    const char *host_before, *host_behind; // request; host_behind NULL: no number
    const char *path_before, *path_behind;
};

static void put_number(char *out, size_t room, const char *before, const char *behind, int number)
{
    if (behind)
        snprintf(out, room, "%s%d%s", before, number, behind);
    else
        snprintf(out, room, "%s", before);
}

static void scale_definitions(struct route_def **defs, const struct shape *shape, int host,
                              int first_port)
{
    char src[128], dst[64], source[160];
    put_number(src, sizeof src, shape->before, shape->behind, host);
    for (int k = 0; k < SCALE_TARGETS; k++) {
        snprintf(dst, sizeof dst, "http://10.%d.%d.%d:%d/", host / 250, host % 250, k,
                 first_port + k);
        snprintf(source, sizeof source, "urlprefix-%s", src);
        struct route_def_spec spec = {
            .service = STR("service-name"),
            .src = str_of(src),
            .dst = str_of(dst),
            .instance = STR("node-1/service-name-1"),
            .source_text = str_of(source),
        };
        defs[k] = route_def_new(&spec, NULL);
        assert_non_null(defs[k]);
    }
}

static uint64_t set_scaled(struct routes *routes, const struct shape *shape, int host,
                           int first_port)
{
    struct route_def *defs[SCALE_TARGETS];
    char key[32];
    scale_definitions(defs, shape, host, first_port);
    snprintf(key, sizeof key, "%d", host);
    uint64_t start_us = cpu_now_us();
    assert_int_equal(routes_set_service(routes, str_of(key), defs, SCALE_TARGETS), 0);
    uint64_t took_us = cpu_now_us() - start_us;
    for (int k = 0; k < SCALE_TARGETS; k++)
        route_def_unref(defs[k]);
    return took_us;
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0, total;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%lu %lu", &total, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return pages * 4096;
}

// Prints figures; asserts only that all is found. Times are for reading, on an idle machine.
static void prints_its_speed_at_scale(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {"host-", ".example.com/", "host-", ".example.com", "/index.html", NULL},
        {"/path-", "", "any", NULL, "/path-", "/index.html"},
        {"*.wild-", ".example.com/", "x.wild-", ".example.com", "/", NULL},
    };
    for (size_t f = 0; f < ARRAY_LEN(shapes); f++) {
        struct bindings bindings;
        struct routes *routes = routes_make(&bindings, NULL);
        size_t before = resident_bytes();
        uint64_t set_us = 0;
        for (int i = 0; i < SCALE_HOSTS; i++)
            set_us += set_scaled(routes, &shapes[f], i, 1000);
        uint64_t start_us = cpu_now_us();
        struct table *table = routes_build_now(routes);
        uint64_t build_us = cpu_now_us() - start_us;
        size_t after = resident_bytes();
        assert_int_equal(table_target_count(table), SCALE_HOSTS * SCALE_TARGETS);

        start_us = cpu_now_us();
        for (int n = 0; n < 100; n++) {
            set_scaled(routes, &shapes[f], n * 97 % SCALE_HOSTS, 2000 + n);
            struct table *next = routes_build_now(routes);
            table_free(table);
            table = next;
        }
        uint64_t change_us = (cpu_now_us() - start_us) / 100;

        static char host[1000][64], path[1000][64];
        for (int n = 0; n < 1000; n++) {
            put_number(host[n], sizeof host[n], shapes[f].host_before, shapes[f].host_behind,
                       n * 7);
            put_number(path[n], sizeof path[n], shapes[f].path_before, shapes[f].path_behind,
                       n * 7);
        }
        start_us = cpu_now_us();
        for (int n = 0; n < 1000000; n++) {
            struct table_cursor cursor;
            table_lookup_start(&cursor, table, str_of(host[n % 1000]), str_of(path[n % 1000]),
                               false);
            assert_non_null(table_lookup_next(&cursor));
        }
        uint64_t lookup_us = cpu_now_us() - start_us;
        start_us = cpu_now_us();
        struct table *spare = table;
        table_free(spare);
        routes_free(routes);
        print_message("%-8s set %u ms, build %u ms, one change %u us, lookup %u ns, "
                      "%zu bytes per target, free %u ms\n",
                      shapes[f].before, (unsigned)(set_us / 1000), (unsigned)(build_us / 1000),
                      (unsigned)change_us, (unsigned)(lookup_us / 1000),
                      (after - before) / (SCALE_HOSTS * SCALE_TARGETS),
                      (unsigned)((cpu_now_us() - start_us) / 1000));
        assert_int_equal(bindings.bound, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_build_gives_a_table_even_if_empty),
        cmocka_unit_test(equal_content_is_nothing_to_publish),
        cmocka_unit_test(a_change_rebuilds_only_its_routes),
        cmocka_unit_test(versions_may_be_freed_in_any_order),
        cmocka_unit_test(the_cursor_survives_rebuilds),
        cmocka_unit_test(down_targets_own_their_route_but_take_nothing),
        cmocka_unit_test(of_equal_targets_one_that_is_up_wins),
        cmocka_unit_test(emptied_routes_and_hosts_disappear),
        cmocka_unit_test(commands_apply_in_the_order_of_the_text),
        cmocka_unit_test(many_commands_for_one_route_are_not_compared_with_each_other),
        cmocka_unit_test(duplicates_among_many_are_found_whatever_came_between),
        cmocka_unit_test(problems_are_told_at_each_build),
        cmocka_unit_test(identical_definitions_can_go_one_by_one),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_failed_bind_fails_the_build),
        cmocka_unit_test(starting_may_fail),
        cmocka_unit_test(prints_its_speed_at_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
