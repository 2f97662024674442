// SPDX-License-Identifier: Apache-2.0
// A text of commands: read, built into a table, printed, looked up. The first line is "host path"
// of a request. Every line is kept or reported; a table has no empty routes and its weights add up;
// freeing it gives all targets back; content that is not changed is not published.
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "route/routes.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static int bind(void *ctx, const struct routes_unbound *unbound, size_t count)
{
    *(int64_t *)ctx += (int64_t)count;
    for (size_t i = 0; i < count; i++)
        unbound[i].target->target = (struct target *)(uintptr_t)unbound[i].target->def;
    return 0;
}

static void unbind(void *ctx, struct target *target)
{
    require(target != NULL);
    --*(int64_t *)ctx;
}

static void on_bad_line(void *ctx, struct str origin, uint32_t line, struct str text,
                        const char *reason)
{
    require(origin.len > 0 && line > 0 && text.len <= COMMAND_LINE_MAX && reason[0] != '\0');
    ++*(size_t *)ctx;
}

static void on_problem(void *ctx, const struct route_def *def, struct str text, const char *reason,
                       bool is_lost)
{
    (void)ctx, (void)def, (void)text, (void)is_lost;
    require(reason[0] != '\0');
}

static void check_route(const struct route *route)
{
    double sum = 0;
    require(route->count > 0 && route->up_count <= route->count);
    for (uint32_t i = 0; i < route->count; i++)
        sum += route_weight_of(route, &route->targets[i]).share;
    require(route->up_count == 0 || sum < 1.000001);
    for (uint32_t i = 0; route->ring && i < route->ring_len; i++)
        require(route->ring[i] < route->up_count && route->weights[route->ring[i]].share > 0);
    const struct route_target *target =
        route_pick(route, ROUTE_PICK_RANDOM, 0x80000000U, NULL, NULL);
    require(!target == (route->ring_len == 0));
}

static void look_up(const struct table *table, struct str host, struct str path)
{
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        struct table_cursor cursor;
        table_lookup_start(&cursor, table, host, path, is_tls);
        for (const struct route *route; (route = table_lookup_next(&cursor));)
            check_route(route);
    }
    const struct route *route = table_lookup_exact(table, host);
    if (route)
        check_route(route);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make(size ? (const char *)data : "", size), request, host, path;
    str_split_next(&text, '\n', &request);
    path = request;
    str_split_next(&path, ' ', &host);
    int64_t bound = 0;
    size_t bad = 0;
    struct routes_config config = {
        .matcher = size % 3 == 0   ? ROUTE_MATCH_PREFIX
                   : size % 3 == 1 ? ROUTE_MATCH_IPREFIX
                                   : ROUTE_MATCH_GLOB,
        .are_globs_disabled = size % 7 == 0,
        .is_weight_zero_none = size % 5 == 0,
    };
    struct routes_binding binding = {.bind = bind, .unbind = unbind, .ctx = &bound};
    struct routes *routes = routes_new(&config, &binding);
    struct command_list *list = command_list_parse(text, STR("fuzz"), on_bad_line, &bad);
    require(routes && list);
    require(routes_set_manual(routes, list) == 0);
    struct table *table, *again;
    require(routes_build(routes, &table, on_problem, NULL) == 0 && table);
    require((size_t)bound == table_target_count(table));
    look_up(table, host, path);
    size_t count = 0;
    const struct route *route;
    for (struct table_iterator at = {0}; (route = table_next_route(table, &at)); count++) {
        check_route(route);
        look_up(table, route->host, route->path);
    }
    require(count == table_route_count(table));
    struct buf out;
    buf_init(&out, 1 << 26);
    table_print(table, &out);
    table_print_detail(table, &out);
    require(buf_status(&out) == 0);
    buf_fini(&out);

    list = command_list_parse(text, STR("fuzz"), NULL, NULL);
    require(list && routes_set_manual(routes, list) == 0);
    require(routes_build(routes, &again, NULL, NULL) == 0 && !again);
    require(routes_set_manual(routes, NULL) == 0);
    require(routes_build(routes, &again, NULL, NULL) == 0);
    require(!again == (count == 0));
    if (again)
        require(table_target_count(again) == 0);
    table_free(again);
    table_free(table);
    routes_free(routes);
    require(bound == 0);
    return 0;
}
