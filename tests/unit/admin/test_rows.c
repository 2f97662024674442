// SPDX-License-Identifier: Apache-2.0
// /api/routes and /api/problems: fabio's shape and order, hostile text as data.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "admin/rows.h"
#include "admin/sampler.h"
#include "world.h"

static int setup(void **state)
{
    static struct world world;
    world_init(&world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    world_fini(*state);
    return 0;
}

static cJSON *routes_of(struct world *world, bool has_down)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    rows_write_routes(&out, feed_table(world->feed), has_down);
    assert_int_equal(buf_status(&out), 0);
    cJSON *json = cJSON_ParseWithLength(out.ptr, out.len);
    assert_non_null(json);
    buf_fini(&out);
    return json;
}

static const char *text_of(const cJSON *row, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, name));
    return text ? text : "(none)";
}

static double number_of(const cJSON *row, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(row, name));
}

static void test_nothing_is_null(void **state)
{
    struct world *world = *state;
    cJSON *json = routes_of(world, true);
    assert_true(cJSON_IsNull(json));
    cJSON_Delete(json);
}

static void test_rows_have_fabios_fields_first(void **state)
{
    struct world *world = *state;
    world_set_routes(world, "web",
                     "route add web b.example/x http://127.0.0.1:1/ weight 0.25 tags \"v1,v2\" "
                     "opts \"strip=/x host=dst\"\n"
                     "route add web /y http://127.0.0.1:2/\n"
                     "route add web b.example/xx http://127.0.0.1:3/\n");
    cJSON *json = routes_of(world, false);
    assert_int_equal(cJSON_GetArraySize(json), 3);
    // Hosts ascending, paths descending.
    assert_string_equal(text_of(cJSON_GetArrayItem(json, 0), "src"), "/y");
    assert_string_equal(text_of(cJSON_GetArrayItem(json, 1), "src"), "b.example/xx");
    const cJSON *row = cJSON_GetArrayItem(json, 2);
    static const char *const order[] = {"service", "host", "path",   "src",   "dst",  "opts",
                                        "cmd",     "tags", "weight", "rate1", "pct99"};
    const cJSON *field = row->child;
    for (size_t i = 0; i < ARRAY_LEN(order); i++, field = field->next)
        assert_string_equal(field->string, order[i]);
    assert_string_equal(text_of(row, "service"), "web");
    assert_string_equal(text_of(row, "host"), "b.example");
    assert_string_equal(text_of(row, "path"), "/x");
    assert_string_equal(text_of(row, "src"), "b.example/x");
    assert_string_equal(text_of(row, "dst"), "http://127.0.0.1:1/");
    assert_string_equal(text_of(row, "opts"), "host=dst strip=/x");
    assert_string_equal(text_of(row, "cmd"), "route add");
    assert_string_equal(text_of(row, "health"), route_health_text(ROUTE_UP));
    assert_string_equal(text_of(row, "instance"), "node-1/<web>");
    const cJSON *tags = cJSON_GetObjectItemCaseSensitive(row, "tags");
    assert_int_equal(cJSON_GetArraySize(tags), 2);
    assert_string_equal(cJSON_GetArrayItem(tags, 1)->valuestring, "v2");
    assert_null(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(json, 0), "tags"));
    cJSON_Delete(json);
}

static void test_rows_show_figures(void **state)
{
    struct world *world = *state;
    world_set_routes(world, "web", "route add web /x http://127.0.0.1:1/\n");
    struct sampler *sampler = sampler_new(world->targets);
    struct target_counters *counters = world_counters(world, "http://127.0.0.1:1/", 0);
    counter_add(&counters->requests, 50);
    counter_add(&counters->responses_5xx, 5);
    counter_add(&counters->failures, 2);
    counter_add(&counters->bytes_in, 11);
    counter_add(&counters->bytes_out, 12);
    code_hists_record(&counters->durations, 200, 7);
    world_eject(world, "http://127.0.0.1:1/", 9500, EJECT_TLS);
    sampler_tick(sampler, 1000);

    cJSON *json = routes_of(world, false);
    const cJSON *row = cJSON_GetArrayItem(json, 0);
    assert_true(number_of(row, "rate1") == 10);
    assert_true(number_of(row, "pct99") == 0.007);
    assert_true(number_of(row, "p50_ms") == 0.007);
    assert_true(number_of(row, "requests") == 50);
    assert_true(number_of(row, "errors") == 5);
    assert_true(number_of(row, "failures") == 2);
    assert_true(number_of(row, "bytes_in") == 11);
    assert_true(number_of(row, "bytes_out") == 12);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "ejected")));
    assert_true(number_of(row, "ejected_s") == 9);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "ejected_why")),
                        "fails in the TLS handshake");
    cJSON_Delete(json);

    struct buf out;
    buf_init(&out, 4096);
    rows_write_figures(&out, 3, world_target(world, "http://127.0.0.1:1/"));
    assert_true(str_eq(buf_str(&out), STR("[3,10,1,0.007,0.007,50,5,2,0,1,11,12,9,2]")));
    buf_clear(&out);
    rows_write_figures(&out, 4, NULL);
    assert_true(str_eq(buf_str(&out), STR("[4,0,0,0,0,0,0,0,0,0,0,0,0,0]")));
    buf_fini(&out);

    struct rows_counts counts = rows_count_targets(feed_table(world->feed));
    assert_int_equal(counts.up, 1);
    assert_int_equal(counts.ejected, 1);
    sampler_free(sampler);
}

static void test_down_targets_only_on_request(void **state)
{
    struct world *world = *state;
    world_set_routes(world, "up", "route add up /x http://127.0.0.1:1/\n");
    world_set_unhealthy(world, "down", "route add down /x http://127.0.0.1:2/\n",
                        "check service:down critical");
    cJSON *json = routes_of(world, false);
    assert_int_equal(cJSON_GetArraySize(json), 1);
    assert_string_equal(text_of(cJSON_GetArrayItem(json, 0), "service"), "up");
    cJSON_Delete(json);
    json = routes_of(world, true);
    assert_int_equal(cJSON_GetArraySize(json), 2);
    const cJSON *row = cJSON_GetArrayItem(json, 1);
    assert_string_equal(text_of(row, "health"), route_health_text(ROUTE_CRITICAL));
    assert_string_equal(text_of(row, "note"), "check service:down critical");
    cJSON_Delete(json);
    struct rows_counts counts = rows_count_targets(feed_table(world->feed));
    assert_int_equal(counts.up, 1);
    assert_int_equal(counts.down, 1);
}

static void test_problems(void **state)
{
    struct world *world = *state;
    struct buf out;
    buf_init(&out, 1 << 20);
    rows_write_problems(&out, world->problems);
    assert_true(str_eq(buf_str(&out), STR("[]")));

    const struct problem lost = {
        .source = STR("consul"),
        .service = STR("<script>"),
        .instance = STR("node/web"),
        .text = STR("urlprefix-/x weight=\"\xff"),
        .reason = STR("weight: not a number"),
        .is_lost = true,
    };
    struct problem kept = lost;
    kept.is_lost = false;
    problems_begin(world->problems, STR("web"));
    problems_add(world->problems, &lost);
    problems_add(world->problems, &kept);
    problems_end(world->problems);
    assert_int_equal(rows_count_lost(world->problems), 1);

    buf_clear(&out);
    rows_write_problems(&out, world->problems);
    assert_int_equal(str_find(buf_str(&out), STR("<")), -1);
    cJSON *json = cJSON_ParseWithLength(out.ptr, out.len);
    const cJSON *row = cJSON_GetArrayItem(json, 0);
    assert_string_equal(text_of(row, "source"), "consul");
    assert_string_equal(text_of(row, "service"), "<script>");
    assert_string_equal(text_of(row, "text"), "urlprefix-/x weight=\"\xef\xbf\xbd");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "lost")));
    assert_int_equal(strlen(text_of(row, "since")), strlen("2026-11-23T11:15:49.123Z"));
    cJSON_Delete(json);
    buf_fini(&out);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_nothing_is_null),   WORLD_TEST(test_rows_have_fabios_fields_first),
        WORLD_TEST(test_rows_show_figures), WORLD_TEST(test_down_targets_only_on_request),
        WORLD_TEST(test_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
