// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

static int bind(void *ctx, const struct routes_unbound *unbound, size_t count)
{
    struct bindings *bindings = ctx;
    for (size_t i = 0; i < count; i++) {
        if (bindings->fail_after == 0)
            return ERR_NOMEM;
        if (bindings->fail_after > 0)
            bindings->fail_after--;
        bindings->bound++;
        bindings->total++;
        unbound[i].target->target = (struct target *)(uintptr_t)unbound[i].target->def;
    }
    return 0;
}

static void unbind(void *ctx, struct target *target)
{
    struct bindings *bindings = ctx;
    assert_non_null(target);
    bindings->bound--;
}

struct routes_binding binding_of(struct bindings *bindings)
{
    *bindings = (struct bindings){.fail_after = -1};
    return (struct routes_binding){.bind = bind, .unbind = unbind, .ctx = bindings};
}

struct routes *routes_make(struct bindings *bindings, const struct routes_config *config)
{
    struct routes_config usual = {.strategy = ROUTE_PICK_ROUND_ROBIN};
    struct routes_binding binding = binding_of(bindings);
    struct routes *routes = routes_new(config ? config : &usual, &binding);
    assert_non_null(routes);
    return routes;
}

static void fail_on_bad_line(void *ctx, struct str origin, uint32_t line, struct str text,
                             const char *reason)
{
    (void)ctx;
    fail_msg("%.*s line %u: %.*s: %s", STR_FMT(origin), line, STR_FMT(text), reason);
}

void routes_set_text(struct routes *routes, const char *text)
{
    struct command_list *list =
        command_list_parse(str_of(text), STR("test"), fail_on_bad_line, NULL);
    assert_non_null(list);
    assert_int_equal(routes_set_manual(routes, list), 0);
}

struct table *routes_build_now(struct routes *routes)
{
    struct table *table;
    assert_int_equal(routes_build(routes, &table, NULL, NULL), 0);
    assert_false(routes_is_dirty(routes));
    return table;
}

static void note_problem(void *ctx, const struct route_def *def, struct str text,
                         const char *reason, bool is_lost)
{
    (void)def;
    buf_printf(ctx, "%s %.*s: %s\n", is_lost ? "lost" : "kept", STR_FMT(text), reason);
}

struct table *routes_build_noting(struct routes *routes, struct buf *problems)
{
    struct table *table;
    assert_int_equal(routes_build(routes, &table, note_problem, problems), 0);
    buf_append_char(problems, '\0');
    assert_int_equal(buf_status(problems), 0);
    return table;
}

struct route_def *def_make_down(const char *line, enum route_health health, const char *instance)
{
    struct command_list *list =
        command_list_parse(str_of(line), STR("test"), fail_on_bad_line, NULL);
    assert_non_null(list);
    assert_int_equal(command_list_count(list), 1);
    const struct route_def *parsed = command_list_at(list, 0)->def;
    assert_non_null(parsed);
    char src[512];
    snprintf(src, sizeof src, "%s%s", parsed->rule->host.ptr, parsed->rule->path.ptr);
    struct route_def_spec spec = {
        .service = parsed->rule->service,
        .src = str_of(src),
        .dst = route_def_dst(parsed),
        .weight = parsed->rule->weight,
        .has_weight = parsed->rule->has_weight,
        .tags = parsed->rule->tags,
        .tag_count = parsed->rule->tag_count,
        .opts = parsed->rule->opts,
        .instance = str_of(instance),
        .source_text = str_of(line),
        .health = health,
    };
    struct err err = {0};
    struct route_def *def = route_def_new(&spec, &err);
    if (!def)
        fail_msg("%s: %s", line, err.text);
    command_list_free(list);
    return def;
}

struct route_def *def_make(const char *line)
{
    return def_make_down(line, ROUTE_UP, "i");
}

void routes_set_lines(struct routes *routes, const char *key, const char *const *lines)
{
    struct route_def *defs[32] = {0};
    size_t count = 0;
    for (; lines[count]; count++) {
        assert_true(count < ARRAY_LEN(defs));
        defs[count] = def_make(lines[count]);
    }
    assert_int_equal(routes_set_service(routes, str_of(key), defs, count), 0);
    for (size_t i = 0; i < count; i++)
        route_def_unref(defs[i]);
}

void assert_lookup(const struct table *table, const char *host, const char *path, bool is_tls,
                   const char *expected_src)
{
    struct table_cursor cursor;
    table_lookup_start(&cursor, table, str_of(host), str_of(path), is_tls);
    const struct route *route = table_lookup_next(&cursor);
    char found[512] = "-";
    if (route)
        snprintf(found, sizeof found, "%s%s", route->host.ptr, route->path.ptr);
    if (strcmp(found, expected_src) != 0)
        fail_msg("%s%s: %s instead of %s", host, path, found, expected_src);
}

void assert_printed(const struct table *table, const char *expected)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    table_print(table, &out);
    buf_append_char(&out, '\0');
    assert_int_equal(buf_status(&out), 0);
    assert_string_equal(out.ptr, expected);
    buf_fini(&out);
}
