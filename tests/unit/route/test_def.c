// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

static const struct route_def_spec GOOD = {
    .service = {"svc", 3},
    .src = {"Foo.com/Bar", 11},
    .dst = {"http://h:1/", 11},
};

static struct route_def *make(const struct route_def_spec *spec)
{
    struct err err = {0};
    struct route_def *def = route_def_new(spec, &err);
    if (!def)
        fail_msg("%s", err.text);
    return def;
}

static void splits_src(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"Foo.COM/Bar", "foo.com", "/Bar"},
        {"foo.com", "foo.com", "/"},
        {"/x", "", "/x"},
        {":1234", ":1234", ""},
        {":1/x", ":1/x", ""},
        {"/", "", "/"},
        {"a:80//x", "a:80", "//x"},
        {"*.a/b*", "*.a", "/b*"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route_def_spec spec = GOOD;
        spec.src = str_of(rows[i][0]);
        struct route_def *def = make(&spec);
        assert_string_equal(def->rule->host.ptr, rows[i][1]);
        assert_string_equal(def->rule->path.ptr, rows[i][2]);
        assert_ptr_equal(def->rule->path.ptr, def->rule->host.ptr + def->rule->host.len + 1);
        route_def_unref(def);
    }
}

// What a definition prints is read back as the same one.
static void keeps_a_fragment_of_marks(void **state)
{
    (void)state;
    struct route_def_spec spec = GOOD;
    spec.dst = STR("http://h/###");
    struct route_def *def = make(&spec);
    assert_string_equal(route_def_dst(def).ptr, "http://h/###");
    route_def_unref(def);
    spec.dst = STR("http://h/#");
    def = make(&spec);
    assert_string_equal(route_def_dst(def).ptr, "http://h/");
    route_def_unref(def);
}

static void reads_options(void **state)
{
    (void)state;
    struct route_def_spec spec = GOOD;
    spec.opts = STR(" strip=/s prepend=/p  host=dst auth=basic allow=ip:::1;ip:::2|ip:::3 deny= "
                    "register=r tlsskipverify=true pxyproto=TRUE redirect=302 strip=/t flag =x ");
    struct route_def *def = make(&spec);
    assert_string_equal(def->rule->strip.ptr, "/t");
    assert_string_equal(def->rule->prepend.ptr, "/p");
    assert_string_equal(def->rule->host_option.ptr, "dst");
    assert_string_equal(def->rule->auth.ptr, "basic");
    assert_int_equal(def->rule->access.kind, ACCESS_ALLOW);
    assert_int_equal(def->rule->access.count, 3);
    assert_string_equal(def->rule->register_name.ptr, "r");
    assert_true(def->rule->skips_tls_verify);
    assert_false(def->rule->sends_proxy_header);
    assert_int_equal(def->rule->redirect_code, 302);
    assert_int_equal(def->rule->option_count, 12);
    for (size_t i = 1; i < def->rule->option_count; i++)
        assert_true(str_cmp(def->rule->options[i - 1].key, def->rule->options[i].key) < 0);
    assert_string_equal(
        def->rule->opts.ptr,
        "strip=/s prepend=/p host=dst auth=basic allow=ip:::1;ip:::2|ip:::3 deny= "
        "register=r tlsskipverify=true pxyproto=TRUE redirect=302 strip=/t flag =x");
    assert_null(route_def_warning(def));
    route_def_unref(def);
}

static void reads_destinations(void **state)
{
    (void)state;
    static const struct {
        const char *dst, *host, *query;
        enum route_scheme scheme;
        unsigned port;
    } rows[] = {
        {"http://h/", "h", "", ROUTE_SCHEME_HTTP, 80},
        {"https://h", "h", "", ROUTE_SCHEME_HTTPS, 443},
        {"http://h:8080/x?a=b", "h", "a=b", ROUTE_SCHEME_HTTP, 8080},
        {"ws://h", "h", "", ROUTE_SCHEME_HTTP, 80},
        {"wss://h", "h", "", ROUTE_SCHEME_HTTPS, 443},
        {"tcp://h:1", "h", "", ROUTE_SCHEME_TCP, 1},
        {"tcp://h", "h", "", ROUTE_SCHEME_TCP, 0},
        {"grpc://[::1]:1", "::1", "", ROUTE_SCHEME_GRPC, 1},
        {"grpcs://h:1", "h", "", ROUTE_SCHEME_GRPCS, 1},
        {"ftp://h:1", "h", "", ROUTE_SCHEME_OTHER, 1},
        {"localhost:5000", "", "", ROUTE_SCHEME_OTHER, 0},
        {"http://:80/", "", "", ROUTE_SCHEME_OTHER, 80},
        {"/other", "", "", ROUTE_SCHEME_OTHER, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route_def_spec spec = GOOD;
        spec.dst = str_of(rows[i].dst);
        struct route_def *def = make(&spec);
        assert_string_equal(route_def_dst(def).ptr, rows[i].dst);
        assert_true(str_eq(route_def_dst_host(def), str_of(rows[i].host)));
        assert_true(str_eq(route_def_dst_query(def), str_of(rows[i].query)));
        assert_int_equal(def->scheme, rows[i].scheme);
        assert_int_equal(def->dst_port, rows[i].port);
        assert_int_equal(route_def_warning(def) != NULL, rows[i].scheme == ROUTE_SCHEME_OTHER);
        route_def_unref(def);
    }
}

static void refuses_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *service, *src, *dst, *opts, *reason;
    } rows[] = {
        {"", "/", "http://h/", "", "service must not be empty"},
        {"a b", "/", "http://h/", "", "service name"},
        {"s", "", "http://h/", "", "prefix must not be empty"},
        {"s", "/a b", "http://h/", "", "host or path"},
        {"s", "/a[", "http://h/", "", "path: bad pattern"},
        {"s", "/", "", "", "target must not be empty"},
        {"s", "/", "#", "", "Nothing but a fragment"},
        {"s", "/", "#top", "", "Nothing but a fragment"},
        {"s", "/", "http://x/%zz", "", "route: invalid target. http://x/%zz"},
        {"s", "/", "1.2.3.4:80", "", "route: invalid target"},
        {"s", "/", "http://a b/", "", "route: invalid target"},
        {"s", "/", "http://a/?\xc3\xa9", "", "Query"},
        {"s", "/", "http://h/", "strip=/a#b", "strip"},
        {"s", "/", "http://h/", "strip=/\xff", "strip"},
        {"s", "/", "http://h/", "prepend=/a?b", "prepend"},
        {"s", "/", "http://h/", "host=a\x01", "host"},
        {"s", "/", "http://h/", "host=a/b", "option host"},
        {"s", "/", "http://h/", "host=u@a", "option host"},
        {"s", "/", "http://h/", "host=a:x", "option host"},
        {"s", "/", "http://h/", "other=a\x01", "control byte in option"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route_def_spec spec = {
            .service = str_of(rows[i].service),
            .src = str_of(rows[i].src),
            .dst = str_of(rows[i].dst),
            .opts = str_of(rows[i].opts),
        };
        struct err err = {0};
        assert_null(route_def_new(&spec, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.text, rows[i].reason))
            fail_msg("%s instead of %s", err.text, rows[i].reason);
    }
}

static void reads_what_an_unhealthy_route_does(void **state)
{
    (void)state;
    static const struct {
        const char *opts;
        enum route_unhealthy unhealthy;
        bool is_bad;
    } rows[] = {
        {"strip=/a", ROUTE_UNHEALTHY_DEFAULT, false},
        {"unhealthy=503", ROUTE_UNHEALTHY_503, false},
        {"unhealthy=drop", ROUTE_UNHEALTHY_DROP, false},
        {"unhealthy=failopen", ROUTE_UNHEALTHY_FAILOPEN, false},
        {"unhealthy=drop unhealthy=503", ROUTE_UNHEALTHY_503, false},
        {"unhealthy=", ROUTE_UNHEALTHY_DEFAULT, false},
        {"unhealthy", ROUTE_UNHEALTHY_DEFAULT, false},
        {"unhealthy=Drop", ROUTE_UNHEALTHY_DEFAULT, true},
        {"unhealthy=5030", ROUTE_UNHEALTHY_DEFAULT, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route_def_spec spec = GOOD;
        spec.opts = str_of(rows[i].opts);
        struct route_def *def = make(&spec);
        assert_int_equal(def->rule->unhealthy, rows[i].unhealthy);
        const char *warning = route_def_warning(def);
        assert_int_equal(warning != NULL, rows[i].is_bad);
        route_def_unref(def);
    }
}

static void reads_statuses_to_try_elsewhere(void **state)
{
    (void)state;
    static const struct {
        const char *opts;
        int statuses[5];
        bool is_bad;
    } rows[] = {
        {"strip=/a", {0}, false},
        {"retry=503", {503}, false},
        {"retry=429;500|502,503;504", {429, 500, 502, 503, 504}, false},
        {"retry=", {0}, false},
        {"retry", {0}, false},
        {"retry=404", {0}, true},
        {"retry=502;soon", {502}, true},
        {"retry=502;", {502}, true},
        {"retry=4294967798", {0}, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route_def_spec spec = GOOD;
        spec.opts = str_of(rows[i].opts);
        struct route_def *def = make(&spec);
        unsigned bits = 0;
        for (size_t k = 0; k < ARRAY_LEN(rows[i].statuses); k++)
            bits |= route_retry_bit(rows[i].statuses[k]);
        assert_int_equal(def->rule->retried_statuses, bits);
        const char *warning = route_def_warning(def);
        assert_int_equal(warning != NULL, rows[i].is_bad);
        assert_true(!warning || strstr(warning, "retry: only"));
        route_def_unref(def);
    }
}

static void warns_of_what_has_no_effect(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"redirect=abc", "redirect"},
        {"redirect=200", "redirect"},
        {"redirect=400", "redirect"},
        {"redirect=", "redirect"},
        {"allow=ip:::1 deny=ip:::2", "allow and deny exclude each other"},
        {"allow=ip:10.0.0.0/8,ip:10.0.0.0/33", "allow or deny: \"ip:10.0.0.0/33\" is not"},
        {"deny=10.0.0.1", "allow or deny: \"10.0.0.1\" is not"},
        {"deny=;;", "allow or deny: \";;\" is not"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route_def_spec spec = GOOD;
        spec.opts = str_of(rows[i][0]);
        struct route_def *def = make(&spec);
        assert_int_equal(def->rule->redirect_code, 0);
        assert_non_null(strstr(route_def_warning(def), rows[i][1]));
        route_def_unref(def);
    }
}

// The order of definitions is that of their lines, compared as text and turned round.
static void orders_as_lines_descending(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "route add b-c / http://h:1/",
        "route add b /x http://h:1/",
        "route add b a.com/ http://h:1/",
        "route add b a.com.b/ http://h:1/",
        "route add b / http://h:9/",
        "route add b / http://h:10/ opts \"x=y\"",
        "route add b / http://h:10/",
        "route add b / http://h:1/x",
        "route add b / http://h:1/ weight 0.5",
        "route add b / http://h:1/ weight 0.25 tags \"a\"",
        "route add b / http://h:1/ weight 0.25",
        "route add b / http://h:1/ weight 0",
        "route add b / http://h:1/ tags \"b\"",
        "route add b / http://h:1/ tags \"ab\"",
        "route add b / http://h:1/ tags \"a,b\"",
        "route add b / http://h:1/ tags \"a\" opts \"z\"",
        "route add b / http://h:1/ tags \"a\"",
        "route add b / http://h:1/ opts \"strip=/b host=dst\"",
        "route add b / http://h:1/ opts \"strip=/a\"",
        "route add b / http://h:1/ opts \"host=dst\"",
        "route add b / http://h:1/ opts \"h\"",
        "route add b / http://h:1/",
        "route add a /x http://h:1/",
    };
    struct route_def *defs[ARRAY_LEN(lines)];
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        defs[i] = def_make(lines[i]);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        for (size_t k = 0; k < ARRAY_LEN(lines); k++) {
            int by_text = strcmp(lines[k], lines[i]);
            int order = route_def_order(defs[i], defs[k]);
            if ((by_text < 0) != (order < 0) || (by_text > 0) != (order > 0))
                fail_msg("%s | %s: %d", lines[i], lines[k], order);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        route_def_unref(defs[i]);
}

static void equal_lines_order_by_origin(void **state)
{
    (void)state;
    const char *line = "route add a / http://h:1/";
    struct route_def *up = def_make_down(line, ROUTE_UP, "z");
    struct route_def *down = def_make_down(line, ROUTE_CRITICAL, "a");
    struct route_def *later = def_make_down(line, ROUTE_CRITICAL, "b");
    assert_true(route_def_order(up, down) < 0);
    assert_true(route_def_order(down, later) < 0);
    assert_int_equal(route_def_order(down, down), 0);
    assert_false(route_def_eq(up, down));
    struct route_def *same = def_make_down(line, ROUTE_UP, "z");
    assert_true(route_def_eq(up, same));
    route_def_unref(up);
    route_def_unref(down);
    route_def_unref(later);
    route_def_unref(same);
}

static void knows_duplicates(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool is_duplicate;
    } rows[] = {
        {"route add a / http://h/ weight 0.5 tags \"x,y\" opts \"o\"", true},
        {"route add a / http://h/ weight 0.5 tags \"x,y\"", true},
        {"route add a / http://h/ weight 0.5 tags \"y,x\"", false},
        {"route add a / http://h/ weight 0.5 tags \"x\"", false},
        {"route add a / http://h/ weight 0.4 tags \"x,y\"", false},
        {"route add b / http://h/ weight 0.5 tags \"x,y\"", false},
        {"route add a / http://h weight 0.5 tags \"x,y\"", false},
    };
    struct route_def *first = def_make(rows[0].line);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route_def *def = def_make(rows[i].line);
        assert_int_equal(route_def_is_duplicate(def, first, first->rule->weight),
                         rows[i].is_duplicate);
        route_def_unref(def);
    }
    assert_false(route_def_is_duplicate(first, first, 0.1));
    route_def_unref(first);
}

static void prints_go_quoted(void **state)
{
    (void)state;
    struct str tags[] = {STR("a\"b\\"), STR("\t\x01\x7f\xc3\xa9\xff\n")};
    struct route_def_spec spec = GOOD;
    spec.tags = tags;
    spec.tag_count = 2;
    spec.opts = STR("b=1 a=\"");
    struct route_def *def = make(&spec);
    struct buf out;
    buf_init(&out, 1000);
    route_def_print(def, 0.12345, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(out.ptr, "route add svc foo.com/Bar http://h:1/ weight 0.1235 tags "
                                 "\"a\\\"b\\\\,\\t\\x01\\x7f\xc3\xa9\\xff\\n\" opts \"a=\" b=1\"");
    buf_fini(&out);
    route_def_unref(def);
}

// Ten instances of a service say the same but for their address.
static void equal_rules_are_kept_once(void **state)
{
    (void)state;
    struct str tags[] = {STR("x"), STR("y")}, swapped[] = {STR("y"), STR("x")};
    struct route_def_spec first = GOOD;
    first.opts = STR("strip=/a flag");
    first.tags = tags;
    first.tag_count = 2;
    first.source_text = STR("text");
    struct route_def *def = make(&first);
    struct route_def_spec rows[12];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        rows[i] = first;
    rows[0].dst = STR("https://other:2/?q");
    rows[0].instance = STR("node/b");
    rows[0].health = ROUTE_CRITICAL;
    rows[0].health_note = STR("note");
    rows[1].has_weight = false;
    rows[1].weight = 0.5; // is ignored
    rows[2].service = STR("svd");
    rows[3].src = STR("foo.com/bar");
    rows[4].src = STR("foo.con/Bar");
    rows[5].opts = STR("strip=/a flog");
    rows[6].tags = swapped;
    rows[7].tag_count = 1;
    rows[8].source_text = STR("other");
    rows[9].has_weight = true;
    rows[10].has_weight = true;
    rows[10].weight = 0.5;
    rows[11].opts = STR("");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route_def *other = make(&rows[i]);
        assert_int_equal(other->rule == def->rule, i < 2);
        assert_int_equal(route_rule_eq(other->rule, def->rule), i < 2);
        assert_int_equal(def->rule->link.refs, i < 2 ? 2 : 1);
        route_def_unref(other);
    }
    route_def_unref(def);
}

// A destination that is not printed as it was written, and one that is long.
static void keeps_the_parts_of_any_destination(void **state)
{
    (void)state;
    char host[1000], dst[1100];
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    const char *hosts[] = {"h\xc3\xa4", host};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        snprintf(dst, sizeof dst, "HTTP://%s:81/?a#b", hosts[i]);
        struct route_def_spec spec = GOOD;
        spec.dst = str_of(dst);
        spec.instance = STR("in");
        spec.health_note = STR("note");
        struct route_def *def = make(&spec);
        assert_true(str_starts_with(route_def_dst(def), STR("http://h")));
        assert_true(str_eq(route_def_dst_host(def), str_of(hosts[i])));
        assert_true(str_starts_with(route_def_dst_query(def), STR("a")));
        assert_string_equal(route_def_instance(def).ptr, "in");
        assert_string_equal(route_def_health_note(def).ptr, "note");
        route_def_unref(def);
    }
}

static void counts_references(void **state)
{
    (void)state;
    struct route_def *def = make(&GOOD);
    assert_ptr_equal(route_def_ref(def), def);
    route_def_unref(def);
    assert_int_equal(def->refs, 1);
    route_def_unref(def);
    route_def_unref(NULL);
}

static void names_health(void **state)
{
    (void)state;
    assert_string_equal(route_health_text(ROUTE_UP), "up");
    assert_string_equal(route_health_text(ROUTE_CRITICAL), "critical");
    assert_string_equal(route_health_text(ROUTE_MAINTENANCE), "maintenance");
    assert_string_equal(route_health_text(ROUTE_NODE_DOWN), "node down");
    assert_string_equal(route_health_text((enum route_health)9), "unknown");
}

static void survives_shortage(void **state)
{
    (void)state;
    struct route_def_spec spec = GOOD;
    spec.src = STR("a/b*");
    for (int64_t n = 0; n < 3; n++) { // the pattern takes two, the definition one
        struct err err = {0};
        mem_fail_after(n);
        struct route_def *def = route_def_new(&spec, &err);
        mem_fail_after(-1);
        assert_null(def);
        assert_int_equal(err.code, ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_src),
        cmocka_unit_test(keeps_a_fragment_of_marks),
        cmocka_unit_test(reads_options),
        cmocka_unit_test(reads_destinations),
        cmocka_unit_test(refuses_with_a_reason),
        cmocka_unit_test(reads_what_an_unhealthy_route_does),
        cmocka_unit_test(reads_statuses_to_try_elsewhere),
        cmocka_unit_test(warns_of_what_has_no_effect),
        cmocka_unit_test(orders_as_lines_descending),
        cmocka_unit_test(equal_lines_order_by_origin),
        cmocka_unit_test(knows_duplicates),
        cmocka_unit_test(prints_go_quoted),
        cmocka_unit_test(equal_rules_are_kept_once),
        cmocka_unit_test(keeps_the_parts_of_any_destination),
        cmocka_unit_test(counts_references),
        cmocka_unit_test(names_health),
        cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
