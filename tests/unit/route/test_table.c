// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include "base/rng.h"
#include "node.h"

// One set of routes and its table.
struct world {
    struct bindings bindings;
    struct routes *routes;
    struct table *table;
};

static void world_init(struct world *world, const struct routes_config *config, const char *text)
{
    world->routes = routes_make(&world->bindings, config);
    routes_set_text(world->routes, text);
    world->table = routes_build_now(world->routes);
    assert_non_null(world->table);
}

static void world_fini(struct world *world)
{
    table_free(world->table);
    routes_free(world->routes);
    assert_int_equal(world->bindings.bound, 0);
}

// A table with one target for each of the sources, separated by blanks.
static void world_of_sources(struct world *world, const struct routes_config *config,
                             const char *sources)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    struct str rest = str_of(sources), src;
    while (str_token_next(&rest, &src))
        buf_printf(&text, "route add s %.*s http://h:1/\n", STR_FMT(src));
    buf_append_char(&text, '\0');
    world_init(world, config, text.ptr);
    buf_fini(&text);
}

static void finds_hosts_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *sources, *host, *path;
        bool is_tls;
        const char *found;
    } rows[] = {
        {"foo.com/ /", "foo.com", "/", false, "foo.com/"},
        {"foo.com/ /", "FOO.com", "/x", false, "foo.com/"},
        {"foo.com/ /", "bar.com", "/", false, "/"},
        {"foo.com/", "bar.com", "/", false, "-"},
        {"foo.com/ /", "foo.com:80", "/", false, "foo.com/"},
        {"foo.com/ /", "foo.com:443", "/", false, "/"},
        {"foo.com/ /", "foo.com:443", "/", true, "foo.com/"},
        {"foo.com/ /", "foo.com:80", "/", true, "/"},
        {"foo.com/ /", "foo.com:9999", "/", false, "/"},
        {"foo.com:9999/ /", "foo.com:9999", "/", false, "foo.com:9999/"},
        {"foo.com/ foo.com:80/", "foo.com", "/", false, "foo.com:80/"},
        {"foo.com/ foo.com:80/", "foo.com", "/", true, "foo.com/"},
        {"foo.com:80/ /", "foo.com", "/", true, "/"},
        {"foo.com:80/ /", "foo.com:80", "/", true, "foo.com:80/"},
        {"foo.com:443/ /", "foo.com", "/", true, "foo.com:443/"},
        {"foo.com/a / /b", "foo.com", "/b", false, "/b"}, // host matches, path does not
        {"foo.com/a *.com/b /", "foo.com", "/bx", false, "*.com/b"},
        {"*.x.com/ *.com/ /", "a.x.com", "/", false, "*.x.com/"},
        {"*.x.com/ *.com/ /", "a.b.x.com", "/", false, "*.x.com/"},
        {"*.x.com/ *.com/ /", "x.com", "/", false, "*.com/"},
        {"*.x.com/ *.com/ /", "a.org", "/", false, "/"},
        {"*.x.com/ a.x.com/", "a.x.com", "/", false, "a.x.com/"},
        {"{b,c}.g.com/ b.g.com/", "b.g.com", "/", false, "b.g.com/"}, // unlike fabio: exact first
        {"{b,c}.g.com/ *.g.com/", "b.g.com", "/", false, "{b,c}.g.com/"},
        {"[bc].g.com/ *.g.com/ ?.g.com/", "b.g.com", "/", false, "[bc].g.com/"},
        {"[bc].g.com/ *.1.g.com/ [a-z].1.g.com/", "x.1.g.com", "/", false, "[a-z].1.g.com/"},
        {"*.g.com:80/ *.g.com/", "b.g.com", "/", false, "*.g.com:80/"},
        {"*.g.com:80/ *.g.com/", "b.g.com", "/", true, "*.g.com/"},
        {"*.g.com:80/", "b.g.com:80", "/", true, "*.g.com:80/"},
        {"*.g.com:443/", "b.g.com", "/", true, "*.g.com:443/"},
        {"*.g.com:443/", "b.g.com:443", "/", false, "*.g.com:443/"},
        {"*:80/", "b.g.com", "/", false, "*:80/"},
        {"foo.com:*/ /", "foo.com:9", "/", false, "foo.com:*/"},
        {"foo.com:*/ /", "foo.com", "/", false, "/"},
        {"foo*/ /", "foo.com", "/", false, "foo*/"},
        {"*/ /", "", "/", false, "*/"},
        {"/", "", "/", false, "/"},
        {":1234 /", ":1234", "/", false, ":1234"},
        {":1234 /", "a", "/", false, "/"},
        {"*.x.com/", "*.x.com", "/", false, "*.x.com/"},
        {"x.*.com/ *.com/ x.*/", "x.y.com", "/", false, "x.*.com/"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world world;
        world_of_sources(&world, NULL, rows[i].sources);
        assert_lookup(world.table, rows[i].host, rows[i].path, rows[i].is_tls, rows[i].found);
        world_fini(&world);
    }
}

// All candidates of one lookup, joined by blanks.
static void assert_candidates(const struct table *table, const char *host, const char *path,
                              const char *expected)
{
    struct table_cursor cursor;
    const struct route *route;
    char found[512] = "";
    table_lookup_start(&cursor, table, str_of(host), str_of(path), false);
    while ((route = table_lookup_next(&cursor))) {
        size_t used = strlen(found);
        snprintf(found + used, sizeof found - used, "%s%s%s", used ? " " : "", route->host.ptr,
                 route->path.ptr);
    }
    assert_string_equal(found, expected);
    assert_null(table_lookup_next(&cursor));
}

static void goes_on_to_the_next_host(void **state)
{
    (void)state;
    struct world world;
    world_of_sources(
        &world, NULL,
        "/ /a * a.b.c/ a.b.c:80/a *.b.c/ *.b.c/a *.c/ [a-z].b.c/ {a,x}.b.c/a a.*/ *.c:80/");
    assert_candidates(world.table, "a.b.c", "/ab",
                      "a.b.c:80/a a.b.c/ {a,x}.b.c/a [a-z].b.c/ *.b.c/a *.c:80/ *.c/ a.*/ */ /a");
    assert_candidates(world.table, "a.b.c", "/", "a.b.c/ [a-z].b.c/ *.b.c/ *.c:80/ *.c/ a.*/ */ /");
    assert_candidates(world.table, "z", "/", "*/ /");
    world_fini(&world);
}

static void long_hosts_match_only_routes_without_host(void **state)
{
    (void)state;
    for (size_t len = 252; len <= 253; len++) {
        struct world world;
        char host[300], sources[700], key[320];
        memset(host, 'a', len);
        host[len] = '\0';
        snprintf(key, sizeof key, "%s/", host);
        snprintf(sources, sizeof sources, "%s / *a/", key);
        world_of_sources(&world, NULL, sources);
        assert_lookup(world.table, host, "/", false, len <= 252 ? key : "/");
        world_fini(&world);
    }
}

static void finds_the_first_path_in_descending_order(void **state)
{
    (void)state;
    static const struct {
        enum route_matcher matcher;
        const char *sources, *path, *found;
    } rows[] = {
        {ROUTE_MATCH_PREFIX, "/foo /foo/bar /", "/foo/barx", "/foo/bar"},
        {ROUTE_MATCH_PREFIX, "/foo /foo/bar /", "/fools", "/foo"},
        {ROUTE_MATCH_PREFIX, "/foo /foo/bar /", "/FOO", "/"},
        {ROUTE_MATCH_PREFIX, "/foo", "/fo", "-"},
        {ROUTE_MATCH_IPREFIX, "/foo /foo/bar /", "/FOO/BARX", "/foo/bar"},
        {ROUTE_MATCH_IPREFIX, "/FOO/bar /foo", "/foo/bar", "/foo"}, // '/f' > '/F'
        {ROUTE_MATCH_IPREFIX, "/Foo /foo", "/FOO", "/foo"},
        {ROUTE_MATCH_IPREFIX, "/foo", "/fo", "-"},
        {ROUTE_MATCH_GLOB, "/foo /foo* /*", "/foo", "/foo*"},
        {ROUTE_MATCH_GLOB, "/foo /*", "/foo", "/foo"},
        {ROUTE_MATCH_GLOB, "/foo /*", "/fools", "/*"},
        {ROUTE_MATCH_GLOB, "/foo", "/foo/", "-"},
        {ROUTE_MATCH_GLOB, "/{a,b}/*/x", "/b/1/2/x", "/{a,b}/*/x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world world;
        world_of_sources(&world, &(struct routes_config){.matcher = rows[i].matcher},
                         rows[i].sources);
        assert_lookup(world.table, "any", rows[i].path, false, rows[i].found);
        world_fini(&world);
    }
}

static void many_paths_are_indexed(void **state)
{
    (void)state;
    static const enum route_matcher matchers[] = {ROUTE_MATCH_PREFIX, ROUTE_MATCH_IPREFIX};
    for (size_t i = 0; i < ARRAY_LEN(matchers); i++) {
        struct world world;
        bool is_folded = matchers[i] == ROUTE_MATCH_IPREFIX;
        world_of_sources(&world, &(struct routes_config){.matcher = matchers[i]},
                         "/ /a /a/b /a/b/c /a/b/c/d /a/c /b /c/d/e /A /A/B/X :80 /B /z");
        assert_lookup(world.table, "x", "/a/b/c/x", false, "/a/b/c");
        assert_lookup(world.table, "x", "/a/b/d", false, "/a/b");
        assert_lookup(world.table, "x", "/a/b/x", false, "/a/b");
        assert_lookup(world.table, "x", "/c/d", false, "/");
        assert_lookup(world.table, "x", "/zz", false, "/z");
        assert_lookup(world.table, "x", "/A/b", false, is_folded ? "/a/b" : "/A");
        assert_lookup(world.table, "x", "/B", false, is_folded ? "/b" : "/B");
        assert_lookup(world.table, "x", "", false, "-");
        world_fini(&world);
    }
}

// Random paths on one host against a search from the front.
static void indexed_paths_agree_with_a_linear_search(void **state)
{
    (void)state;
    static const enum route_matcher matchers[] = {ROUTE_MATCH_PREFIX, ROUTE_MATCH_IPREFIX};
    struct rng rng;
    rng_init(&rng, 99);
    for (int n = 0; n < 400; n++) {
        struct world world;
        char sources[2048] = "";
        for (uint32_t k = 9 + rng_below(&rng, 60); k > 0; k--) {
            strcat(sources, " /");
            for (uint32_t len = rng_below(&rng, 6); len > 0; len--)
                strcat(sources, (const char *[]){"a", "b", "A", "/"}[rng_below(&rng, 4)]);
        }
        enum route_matcher matcher = matchers[n % 2];
        world_of_sources(&world, &(struct routes_config){.matcher = matcher}, sources);
        for (int k = 0; k < 50; k++) {
            char path[16] = "/";
            for (uint32_t len = rng_below(&rng, 8); len > 0; len--)
                strcat(path, (const char *[]){"a", "b", "A", "/"}[rng_below(&rng, 4)]);
            struct table_iterator at = {0};
            const struct route *route;
            while ((route = table_next_route(world.table, &at))) {
                if (matcher == ROUTE_MATCH_IPREFIX ? str_istarts_with(str_of(path), route->path)
                                                   : str_starts_with(str_of(path), route->path))
                    break;
            }
            assert_lookup(world.table, "h", path, false, route ? route->path.ptr : "-");
        }
        world_fini(&world);
    }
}

static void globs_can_be_switched_off(void **state)
{
    (void)state;
    struct world world;
    world_of_sources(&world, &(struct routes_config){.are_globs_disabled = true},
                     "*.x.com/ [::1]/ foo.com/ foo.com:80/a /");
    assert_lookup(world.table, "a.x.com", "/", false, "/");
    assert_lookup(world.table, "*.x.com", "/", false, "*.x.com/");
    assert_lookup(world.table, "FOO.com", "/", false, "foo.com/");
    assert_lookup(world.table, "foo.com", "/a", false, "foo.com:80/a");
    assert_lookup(world.table, "[::1]", "/", false, "[::1]/");
    world_fini(&world);
}

static void finds_tcp_routes_by_exact_key(void **state)
{
    (void)state;
    struct world world;
    static const enum route_matcher matchers[] = {ROUTE_MATCH_PREFIX, ROUTE_MATCH_IPREFIX,
                                                  ROUTE_MATCH_GLOB};
    for (size_t i = 0; i < ARRAY_LEN(matchers); i++) {
        world_of_sources(&world, &(struct routes_config){.matcher = matchers[i]},
                         ":1234 sni.com/ other.com/x *.x.com/ /");
        assert_string_equal(table_lookup_exact(world.table, STR(":1234"))->host.ptr, ":1234");
        assert_string_equal(table_lookup_exact(world.table, STR("SNI.com"))->host.ptr, "sni.com");
        assert_null(table_lookup_exact(world.table, STR("other.com")));
        assert_null(table_lookup_exact(world.table, STR("a.x.com")));
        assert_null(table_lookup_exact(world.table, STR("sni.com:80")));
        char name[300];
        memset(name, 'a', sizeof name);
        assert_null(table_lookup_exact(world.table, str_make(name, sizeof name)));
        world_fini(&world);
    }
}

static void orders_patterns_by_reversed_name(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
    } pairs[] = {
        {"{b,c}.g.com", "b.g.com"},
        {"b.g.com", "[bc].g.com"},
        {"[bc].g.com", "?.g.com"},
        {"?.g.com", "*.g.com"},
        {"*.g.com", "g.com"},
        {"a.com:80", "a.com"},
        {"a.com", "*.com"},
        {"*.com", "*"},
        {":1234", "*"},
        {"*", ""},
        // What has no port in Go's eyes is reversed with it.
        {"[ab]:80", "a:1:2"},  // "ba:80" and "2:1:a"
        {"[a]:80", "[a]b:80"}, // "a:80" and "08:b]a["
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        assert_true(pattern_order(str_of(pairs[i].first), str_of(pairs[i].second)) < 0);
        assert_true(pattern_order(str_of(pairs[i].second), str_of(pairs[i].first)) > 0);
    }
    assert_int_equal(pattern_order(STR("a.b:80"), STR("a.b:80")), 0);
}

static void computes_weights(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"route add a / http://a:1/", "route add a / http://a:1/"},
        {"route add a / http://a:1/ weight 0", "route add a / http://a:1/"},
        {"route add a / http://a:1/ weight 0.2\nroute add a / http://a:2/ weight 0.3",
         "route add a / http://a:1/ weight 0.2000\nroute add a / http://a:2/ weight 0.3000"},
        {"route add a / http://a:1/\nroute add a / http://a:2/ weight 0.25\n"
         "route add a / http://a:3/ weight 0.75",
         "route add a / http://a:2/ weight 0.2500\nroute add a / http://a:3/ weight 0.7500"},
        {"route add a / http://a:1/\nroute add b / http://a:2/\nroute add b / http://a:3/\n"
         "route weight b / weight 0.1",
         "route add a / http://a:1/\nroute add b / http://a:2/ weight 0.0500\n"
         "route add b / http://a:3/ weight 0.0500"},
        {"route add a / http://a:1/ weight 0.2\nroute weight a / weight 0",
         "route add a / http://a:1/"},
        {"route add a / http://a:1/ tags \"x,y\"\nroute add a / http://a:2/ tags \"x\"\n"
         "route weight / weight 0.9 tags \"y,x\"",
         "route add a / http://a:1/ weight 0.9000 tags \"x,y\"\nroute add a / http://a:2/ tags "
         "\"x\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct world world;
        world_init(&world, NULL, rows[i][0]);
        assert_printed(world.table, rows[i][1]);
        world_fini(&world);
    }
}

static void weight_zero_can_mean_none(void **state)
{
    (void)state;
    struct routes_config config = {.is_weight_zero_none = true, .strategy = ROUTE_PICK_ROUND_ROBIN};
    struct world world;
    world_init(
        &world, &config,
        "route add a / http://a:1/ weight 0\nroute add a / http://a:2/\n"
        "route add a / http://a:3/ weight -1\n"
        "route add b /none http://b:1/ weight 0\n"
        "route add c /c http://c:1/\nroute add c /c http://c:2/\nroute weight c /c weight 0");
    assert_printed(world.table, "route add a / http://a:2/\nroute add a / http://a:3/");
    struct table_iterator at = {0};
    const struct route *route = table_next_route(world.table, &at);
    assert_string_equal(route->path.ptr, "/none");
    assert_int_equal(route->up_count, 1);
    assert_null(route_pick(route, ROUTE_PICK_ROUND_ROBIN, 0, NULL, NULL));
    assert_null(route_pick(route, ROUTE_PICK_RANDOM, 7, NULL, NULL));
    route = table_next_route(world.table, &at);
    assert_null(route_pick(route, ROUTE_PICK_RANDOM, UINT32_MAX, NULL, NULL));
    world_fini(&world);
}

static void prints_as_fabio(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL,
               "route add s :1234 tcp://h:1\nroute add s / http://foo.com:800/\n"
               "route add s /foo http://foo.com:900\n"
               "route add s abc.com/ http://foo.com:1000/ tags \"b,a\" opts \"z=1 a\"\n"
               "route add s zzz.com/ /other opts \"redirect=301\"");
    assert_printed(world.table,
                   "route add s zzz.com/ /other opts \"redirect=301\"\n"
                   "route add s abc.com/ http://foo.com:1000/ tags \"b,a\" opts \"a= z=1\"\n"
                   "route add s :1234 tcp://h:1\n"
                   "route add s /foo http://foo.com:900\n"
                   "route add s / http://foo.com:800/");
    struct buf out;
    buf_init(&out, 10000);
    table_print_detail(world.table, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(out.ptr, "+-- host=\n"
                                 "|   |-- path=/foo\n"
                                 "|   |    +-- addr=foo.com:900 weight 1.00 slots 1/1\n"
                                 "|   +-- path=/\n"
                                 "|       +-- addr=foo.com:800 weight 1.00 slots 1/1\n"
                                 "+-- host=:1234\n"
                                 "|   +-- path=\n"
                                 "|       +-- addr=h:1 weight 1.00 slots 1/1\n"
                                 "+-- host=abc.com\n"
                                 "|   +-- path=/\n"
                                 "|       +-- addr=foo.com:1000 weight 1.00 slots 1/1\n"
                                 "+-- host=zzz.com\n"
                                 "    +-- path=/\n"
                                 "        +-- addr= weight 1.00 slots 1/1\n");
    buf_fini(&out);
    world_fini(&world);

    world_init(&world, NULL, "route add s / http://a:1/ weight 0.2\nroute add s / http://a:2/");
    buf_init(&out, 10000);
    table_print_detail(world.table, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(out.ptr, "+-- host=\n"
                                 "    +-- path=/\n"
                                 "        |-- addr=a:1 weight 0.20 slots 2000/10000\n"
                                 "        +-- addr=a:2 weight 0.80 slots 8000/10000\n");
    buf_fini(&out);
    world_fini(&world);
}

static void knows_its_size_and_order(void **state)
{
    (void)state;
    struct world world;
    world_init(
        &world, NULL,
        "route add s b/ http://h:1/\nroute add s b/ http://h:2/\nroute add s b/x http://h:1/\n"
        "route add s / http://h:1/\nroute add s a/ http://h:1/");
    assert_int_equal(table_version(world.table), 1);
    assert_int_equal(table_host_count(world.table), 3);
    assert_int_equal(table_route_count(world.table), 4);
    assert_int_equal(table_target_count(world.table), 5);
    assert_int_equal(table_strategy(world.table), ROUTE_PICK_ROUND_ROBIN);
    static const char *const expected[] = {"/", "a/", "b/x", "b/"};
    struct table_iterator at = {0};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const struct route *route = table_next_route(world.table, &at);
        char src[64];
        snprintf(src, sizeof src, "%s%s", route->host.ptr, route->path.ptr);
        assert_string_equal(src, expected[i]);
    }
    assert_null(table_next_route(world.table, &at));
    assert_null(table_next_route(world.table, &at));
    world_fini(&world);
}

static const struct route *only_route(const struct table *table)
{
    struct table_iterator at = {0};
    return table_next_route(table, &at);
}

static char name_of(const struct route_target *target)
{
    return target ? route_def_dst_host(target->def).ptr[0] : '-';
}

static void picks_round_robin(void **state)
{
    (void)state;
    struct world world;
    world_init(
        &world, NULL,
        "route add s / http://1/ weight 0.2\nroute add s / http://2/\nroute add s / http://3/");
    const struct route *route = only_route(world.table);
    const char *expected = "1232312323123";
    for (const char *p = expected; *p; p++)
        assert_int_equal(name_of(route_pick(route, ROUTE_PICK_ROUND_ROBIN, 0, NULL, NULL)), *p);
    world_fini(&world);

    world_init(&world, NULL,
               "route add s / http://1/\nroute add s / http://2/\nroute add s / http://3/");
    route = only_route(world.table);
    assert_null(route->ring);
    for (const char *p = "123123"; *p; p++)
        assert_int_equal(name_of(route_pick(route, ROUTE_PICK_ROUND_ROBIN, 0, NULL, NULL)), *p);
    world_fini(&world);
}

static void picks_at_random_by_weight(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, NULL,
               "route add s / http://1/ weight 0.2\nroute add s / http://2/\n"
               "route add s / http://3/ weight 0.8");
    const struct route *route = only_route(world.table);
    unsigned counts[4] = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        uint32_t salt = (uint32_t)(i * UINT32_MAX / 999);
        counts[name_of(route_pick(route, ROUTE_PICK_RANDOM, salt, NULL, NULL)) - '0']++;
    }
    assert_in_range(counts[1], 198, 202);
    assert_int_equal(counts[2], 0);
    assert_in_range(counts[3], 798, 802);
    world_fini(&world);
}

struct refusal {
    const char *names;
    unsigned asked;
};

static bool is_not_refused(void *ctx, const struct route_target *target)
{
    struct refusal *refusal = ctx;
    refusal->asked++;
    return !strchr(refusal->names, name_of(target));
}

static void passes_over_refused_targets(void **state)
{
    (void)state;
    struct world world;
    world_init(
        &world, NULL,
        "route add s / http://1/ weight 0.2\nroute add s / http://2/\nroute add s / http://3/");
    const struct route *route = only_route(world.table);
    struct refusal refusal = {"1", 0};
    assert_int_equal(
        name_of(route_pick(route, ROUTE_PICK_ROUND_ROBIN, 0, is_not_refused, &refusal)), '2');
    refusal = (struct refusal){"23", 0};
    assert_int_equal(
        name_of(route_pick(route, ROUTE_PICK_ROUND_ROBIN, 0, is_not_refused, &refusal)), '1');
    refusal = (struct refusal){"123", 0};
    assert_null(route_pick(route, ROUTE_PICK_RANDOM, 77, is_not_refused, &refusal));
    assert_int_equal(refusal.asked, 3); // each once
    world_fini(&world);

    world_init(&world, NULL, "route add s / http://1/");
    refusal = (struct refusal){"1", 0};
    assert_null(
        route_pick(only_route(world.table), ROUTE_PICK_ROUND_ROBIN, 0, is_not_refused, &refusal));
    assert_int_equal(
        name_of(route_pick(only_route(world.table), ROUTE_PICK_RANDOM, UINT32_MAX, NULL, NULL)),
        '1');
    world_fini(&world);
}

static void digests_content(void **state)
{
    (void)state;
    static const char *const same[] = {
        "route add a x/ http://h:1/\nroute add b y/ http://h:2/",
        "# other order, other lines\n\nroute add b y/ http://h:2/\n"
        "route add a X/ http://h:1/\nroute add c z/ http://h/\nroute del c"};
    static const char *const others[] = {
        "",
        "route add a x/ http://h:1/",
        "route add a x/ http://h:1/\nroute add b y/ http://h:3/",
        "route add a x/ http://h:1/\nroute add c y/ http://h:2/",
        "route add a x/ http://h:1/\nroute add b y/z http://h:2/",
        "route add a x/ http://h:1/\nroute add b y/ http://h:2/ opts \"a\"",
        "route add a x/ http://h:1/\nroute add b y/ http://h:2/ tags \"a\"",
        "route add a x/ http://h:1/\nroute add b y/ http://h:2/ weight 0.5",
    };
    struct world world;
    world_init(&world, NULL, same[0]);
    uint64_t digest = table_digest(world.table);
    world_fini(&world);
    world_init(&world, NULL, same[1]);
    assert_true(table_digest(world.table) == digest);
    world_fini(&world);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        world_init(&world, NULL, others[i]);
        assert_true(table_digest(world.table) != digest);
        world_fini(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_hosts_in_order),
        cmocka_unit_test(goes_on_to_the_next_host),
        cmocka_unit_test(long_hosts_match_only_routes_without_host),
        cmocka_unit_test(finds_the_first_path_in_descending_order),
        cmocka_unit_test(many_paths_are_indexed),
        cmocka_unit_test(indexed_paths_agree_with_a_linear_search),
        cmocka_unit_test(globs_can_be_switched_off),
        cmocka_unit_test(finds_tcp_routes_by_exact_key),
        cmocka_unit_test(orders_patterns_by_reversed_name),
        cmocka_unit_test(computes_weights),
        cmocka_unit_test(weight_zero_can_mean_none),
        cmocka_unit_test(prints_as_fabio),
        cmocka_unit_test(knows_its_size_and_order),
        cmocka_unit_test(picks_round_robin),
        cmocka_unit_test(picks_at_random_by_weight),
        cmocka_unit_test(passes_over_refused_targets),
        cmocka_unit_test(digests_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
