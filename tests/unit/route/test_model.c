// SPDX-License-Identifier: Apache-2.0
// Random services and commands, built by the route layer and by the naive model, must agree in what
// they print and in where every request goes; and a table that grew by changes must equal one built
// at once.
#include "fixture.h"

#include "generate.h"

enum {
    TABLES = 12000,
    TEXTS = 12000,
    CHANGES = 4000,
    SERVICES = 4,
    LINES_EACH = 6,
    MANUAL_MAX = 10
};

static const char *const REQUEST_HOSTS[] = {"",        "a.com",   "A.COM:80", "b.a.com",
                                            "c.a.com", "b.com",   "x.org",    "c.b.a.com",
                                            "a",       "x.a.com", ":1234",    "c.org"};
static const char *const REQUEST_PATHS[] = {"/",   "/a", "/a/b",     "/a/bx", "/A/B/c",
                                            "/bc", "/x", "/a/b/c/d", "/e"};

static struct route_def *definition_of(const struct model_line *line)
{
    char text[MODEL_TEXT_MAX];
    model_line_text(line, text, sizeof text);
    return def_make_down(text, line->is_up ? ROUTE_UP : ROUTE_CRITICAL, "i");
}

static void set_service(struct routes *routes, size_t index, const struct model_line *lines,
                        size_t count)
{
    struct route_def *defs[MODEL_LINES_MAX] = {0};
    char key[32];
    snprintf(key, sizeof key, "service-%zu", index);
    for (size_t i = 0; i < count; i++)
        defs[i] = definition_of(&lines[i]);
    assert_int_equal(routes_set_service(routes, str_of(key), defs, count), 0);
    for (size_t i = 0; i < count; i++)
        route_def_unref(defs[i]);
}

static void set_manual(struct routes *routes, const struct model_line *lines, size_t count)
{
    char text[MANUAL_MAX * MODEL_TEXT_MAX];
    generate_print(lines, count, text, sizeof text);
    routes_set_text(routes, text);
}

// All that was put in, for the message of a failure.
struct input {
    struct model_line services[SERVICES][LINES_EACH];
    size_t service_counts[SERVICES];
    struct model_line manual[GENERATE_LINES_MAX];
    size_t manual_count;
};

static void explain(const struct input *input)
{
    char text[(SERVICES * LINES_EACH + GENERATE_LINES_MAX) * MODEL_TEXT_MAX];
    for (size_t i = 0; i < SERVICES; i++) {
        generate_print(input->services[i], input->service_counts[i], text, sizeof text);
        print_message("# service-%zu\n%s", i, text);
    }
    generate_print(input->manual, input->manual_count, text, sizeof text);
    print_message("# manual\n%s", text);
}

static void random_input(struct rng *rng, struct input *input)
{
    for (size_t i = 0; i < SERVICES; i++) {
        input->service_counts[i] = rng_below(rng, LINES_EACH + 1);
        for (size_t k = 0; k < input->service_counts[i]; k++)
            generate_definition(rng, &input->services[i][k]);
    }
    input->manual_count = rng_below(rng, MANUAL_MAX + 1);
    for (size_t k = 0; k < input->manual_count; k++)
        generate_command(rng, &input->manual[k]);
}

static void build_model(struct model *model, const struct input *input)
{
    static struct model_line all[SERVICES * LINES_EACH];
    size_t count = 0;
    for (size_t i = 0; i < SERVICES; i++) {
        for (size_t k = 0; k < input->service_counts[i]; k++)
            all[count++] = input->services[i][k];
    }
    model_build(model, all, count, input->manual, input->manual_count);
}

static void compare_prints(const struct table *table, const struct model *model,
                           const struct input *input)
{
    static char expected[MODEL_LINES_MAX * MODEL_TEXT_MAX];
    struct buf out;
    buf_init(&out, 1 << 20);
    table_print(table, &out);
    buf_append_char(&out, '\0');
    model_print(model, expected, sizeof expected);
    if (strcmp(out.ptr, expected + 1) != 0) {
        explain(input);
        fail_msg("printed:\n%s\nexpected:\n%s", out.ptr, expected + 1);
    }
    buf_fini(&out);
}

static void compare_lookups(const struct table *table, const struct model *model,
                            const struct input *input, bool is_ignoring_case)
{
    for (size_t i = 0; i < ARRAY_LEN(REQUEST_HOSTS) * ARRAY_LEN(REQUEST_PATHS); i++) {
        const char *host = REQUEST_HOSTS[i / ARRAY_LEN(REQUEST_PATHS)];
        const char *path = REQUEST_PATHS[i % ARRAY_LEN(REQUEST_PATHS)];
        struct table_cursor cursor;
        table_lookup_start(&cursor, table, str_of(host), str_of(path), false);
        const struct route *route = table_lookup_next(&cursor);
        const struct model_target *target = model_lookup(model, host, path, is_ignoring_case);
        char found[128] = "-", expected[128] = "-";
        if (route)
            snprintf(found, sizeof found, "%s%s %u %u", route->host.ptr, route->path.ptr,
                     route->count, route->up_count);
        if (target)
            snprintf(expected, sizeof expected, "%s%s %zu %zu", target->host, target->path,
                     model_route_count(model, target, false),
                     model_route_count(model, target, true));
        if (strcmp(found, expected) != 0) {
            explain(input);
            fail_msg("%s%s: %s instead of %s", host, path, found, expected);
        }
    }
}

static void fresh_tables_agree_with_the_model(void **state)
{
    (void)state;
    static struct input input;
    static struct model model;
    struct rng rng;
    rng_init(&rng, 20261);
    size_t targets = 0;
    for (int n = 0; n < TABLES; n++) {
        bool is_ignoring_case = n % 4 == 3;
        struct routes_config config = {.matcher = is_ignoring_case ? ROUTE_MATCH_IPREFIX
                                                                   : ROUTE_MATCH_PREFIX};
        struct bindings bindings;
        struct routes *routes = routes_make(&bindings, &config);
        random_input(&rng, &input);
        for (size_t i = 0; i < SERVICES; i++)
            set_service(routes, i, input.services[i], input.service_counts[i]);
        set_manual(routes, input.manual, input.manual_count);
        struct table *table = routes_build_now(routes);
        build_model(&model, &input);
        compare_prints(table, &model, &input);
        compare_lookups(table, &model, &input, is_ignoring_case);
        targets += model.count;
        assert_int_equal(table_target_count(table), model.count);
        table_free(table);
        routes_free(routes);
        assert_int_equal(bindings.bound, 0);
    }
    assert_in_range(targets, TABLES * 4, TABLES * 40);
}

static void ignore_bad_line(void *ctx, struct str origin, uint32_t line, struct str text,
                            const char *reason)
{
    (void)origin;
    (void)line;
    (void)text;
    (void)reason;
    ++*(size_t *)ctx;
}

static void compare_weights(const struct table *table, const struct model *model,
                            const struct input *input)
{
    struct table_iterator at = {0};
    for (const struct route *route; (route = table_next_route(table, &at));) {
        size_t i = 0;
        for (uint32_t k = 0; k < route->count; k++, i++) {
            while (i < model->count && (strcmp(model->at[i].host, route->host.ptr) != 0 ||
                                        strcmp(model->at[i].path, route->path.ptr) != 0))
                i++;
            double share = route_weight_of(route, &route->targets[k]).share;
            double difference = i < model->count ? share - model->at[i].weight : 1;
            if (difference > 1e-9 || difference < -1e-9) {
                explain(input);
                fail_msg("%s%s: target %u has weight %f", route->host.ptr, route->path.ptr, k,
                         share);
            }
        }
    }
}

// The whole language, bad lines included: these lose only themselves.
static void whole_texts_agree_with_the_model(void **state)
{
    (void)state;
    static struct input input;
    static struct model model;
    static char text[GENERATE_LINES_MAX * MODEL_TEXT_MAX];
    struct rng rng;
    rng_init(&rng, 20263);
    size_t targets = 0, bad_lines = 0;
    for (int n = 0; n < TEXTS; n++) {
        const struct generate_text how = {.has_differences = true,
                                          .number = n % 2 ? (unsigned)n : 0};
        memset(&input, 0, sizeof input);
        input.manual_count = generate_text(&rng, &how, input.manual);
        struct str all =
            str_make(text, generate_print(input.manual, input.manual_count, text, sizeof text));
        struct command_list *list =
            command_list_parse(all, STR("test"), ignore_bad_line, &bad_lines);
        struct bindings bindings;
        struct routes *routes = routes_make(&bindings, NULL);
        assert_int_equal(routes_set_manual(routes, list), 0);
        struct table *table = routes_build_now(routes);
        build_model(&model, &input);
        compare_prints(table, &model, &input);
        compare_weights(table, &model, &input);
        assert_int_equal(table_target_count(table), model.count);
        targets += model.count;
        table_free(table);
        routes_free(routes);
        assert_int_equal(bindings.bound, 0);
    }
    assert_in_range(targets, TEXTS * 2, TEXTS * GENERATE_LINES_MAX);
    assert_in_range(bad_lines, TEXTS / 4, TEXTS);
}

// What tells two tables apart.
static void assert_same_table(const struct table *a, const struct table *b,
                              const struct input *input)
{
    struct buf left, right;
    buf_init(&left, 1 << 20);
    buf_init(&right, 1 << 20);
    table_print_detail(a, &left);
    table_print_detail(b, &right);
    table_print(a, &left);
    table_print(b, &right);
    if (!str_eq(buf_str(&left), buf_str(&right))) {
        explain(input);
        fail_msg("%.*s\ninstead of\n%.*s", STR_FMT(buf_str(&left)), STR_FMT(buf_str(&right)));
    }
    assert_true(table_digest(a) == table_digest(b));
    assert_int_equal(table_host_count(a), table_host_count(b));
    assert_int_equal(table_route_count(a), table_route_count(b));
    assert_int_equal(table_target_count(a), table_target_count(b));
    buf_fini(&left);
    buf_fini(&right);
}

static struct table *build_at_once(struct routes *routes, const struct input *input)
{
    for (size_t i = 0; i < SERVICES; i++)
        set_service(routes, i, input->services[i], input->service_counts[i]);
    set_manual(routes, input->manual, input->manual_count);
    return routes_build_now(routes);
}

static void random_change(struct rng *rng, struct routes *routes, struct input *input)
{
    if (rng_below(rng, 4) == 0) {
        input->manual_count = rng_below(rng, MANUAL_MAX + 1);
        for (size_t k = 0; k < input->manual_count; k++)
            generate_command(rng, &input->manual[k]);
        set_manual(routes, input->manual, input->manual_count);
        return;
    }
    size_t i = rng_below(rng, SERVICES);
    uint32_t how = rng_below(rng, 4);
    if (how == 0)
        input->service_counts[i] = 0;
    else if (how == 1)
        input->service_counts[i] = rng_below(rng, LINES_EACH + 1);
    for (size_t k = 0; k < input->service_counts[i]; k++) {
        if (how == 1 || rng_below(rng, 3) == 0)
            generate_definition(rng, &input->services[i][k]);
        else if (rng_below(rng, 3) == 0)
            input->services[i][k].is_up = !input->services[i][k].is_up;
    }
    set_service(routes, i, input->services[i], input->service_counts[i]);
}

// The published versions a slow worker may still read.
enum { HELD_MAX = 4 };

static void changed_tables_equal_fresh_ones(void **state)
{
    (void)state;
    static struct input input;
    struct rng rng;
    rng_init(&rng, 20262);
    struct routes_config config = {.strategy = ROUTE_PICK_ROUND_ROBIN};
    struct bindings bindings, fresh_bindings;
    struct routes *routes = routes_make(&bindings, &config);
    memset(&input, 0, sizeof input);
    struct table *held[HELD_MAX] = {routes_build_now(routes)};
    struct table *newest = held[0];
    unsigned published = 0;
    for (int n = 0; n < CHANGES; n++) {
        for (uint32_t k = rng_below(&rng, 3); k > 0; k--)
            random_change(&rng, routes, &input);
        // Now and then memory is short in the middle: the next try must make up for it.
        struct table *table = NULL;
        if (rng_below(&rng, 8) == 0) {
            mem_fail_after(rng_below(&rng, 12));
            int rc = routes_build(routes, &table, NULL, NULL);
            mem_fail_after(-1);
            if (rc != 0)
                assert_null(table);
        }
        if (!table)
            table = routes_build_now(routes);
        struct routes *fresh = routes_make(&fresh_bindings, &config);
        struct table *expected = build_at_once(fresh, &input);
        if (table) {
            assert_int_equal(table_version(table), ++published + 1);
            assert_same_table(table, expected, &input);
            size_t at = rng_below(&rng, HELD_MAX);
            table_free(held[at]);
            held[at] = table;
            newest = table;
        } else if (newest == held[0] || newest == held[1] || newest == held[2] ||
                   newest == held[3]) {
            assert_same_table(newest, expected, &input);
        }
        table_free(expected);
        routes_free(fresh);
    }
    assert_in_range(published, CHANGES / 4, CHANGES);
    for (size_t i = 0; i < HELD_MAX; i++)
        table_free(held[i]);
    routes_free(routes);
    assert_int_equal(bindings.bound, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_tables_agree_with_the_model),
        cmocka_unit_test(whole_texts_agree_with_the_model),
        cmocka_unit_test(changed_tables_equal_fresh_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
