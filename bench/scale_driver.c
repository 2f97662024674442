// SPDX-License-Identifier: Apache-2.0
// What many services and targets cost: Consul's answers for them go through the real decoder, the
// feed, the table and the registry of targets, with clocks around each. bench/scale.py runs this
// and judges; run by hand it prints one line of JSON. One thread, no workers, no sockets.
//
//   scale_driver build  SERVICES INSTANCES CHANGES    times and memory; then CHANGES single changes
//   scale_driver lookup ROUTES INSTANCES LOOKUPS [paths]    one host each, or all paths of one
//   scale_driver answer INSTANCES                     one service's answer: what decoding it costs
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/decode.h"
#include "discover/defs.h"
#include "discover/feed.h"
#include "route/table.h"

enum { ANSWER_MAX = 1 << 30, SAMPLES_MAX = 10000 };

struct world {
    uv_loop_t loop;
    struct targets *targets;
    struct problems *problems;
    struct feed *feed;
    struct consul_config config;
    bool is_path; // routes are paths of one host
    bool is_closed;
    struct def_list *kept; // of each service, as the Consul backend keeps them
    // CPU time of each step, microseconds.
    double decode_us, defs_us, feed_us, publish_us;
    size_t json_bytes;
};

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

// "VmRSS" or "VmHWM", KiB.
static long memory_kib(const char *name)
{
    char line[128];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name) + 1, NULL, 10);
    }
    if (file)
        fclose(file);
    return kib;
}

// As Consul 1.20 answers for a container that registrator has registered.
static void write_instance(struct buf *out, const struct world *world, size_t service,
                           size_t instance, const char *status)
{
    size_t number = service * 10 + instance;
    char node[64], id[128], address[32], route[128];
    snprintf(node, sizeof node, "ip-10-%zu-%zu-%zu", number / 8192 % 256, number / 32 % 256,
             instance % 200 + 10);
    snprintf(address, sizeof address, "10.%zu.%zu.%zu", number / 65536 % 256, number / 256 % 256,
             number % 256);
    snprintf(id, sizeof id, "%s:service-%05zu-%zu:8080", node, service, instance);
    if (world->is_path)
        snprintf(route, sizeof route, "urlprefix-www.example.com/service-%05zu/", service);
    else
        snprintf(route, sizeof route, "urlprefix-service-%05zu.example.com/", service);
    buf_printf(out,
               "{\"Node\":{\"ID\":\"8a3b1d2c-0f7e-4c60-8d2f-%012zx\",\"Node\":\"%s\","
               "\"Address\":\"%s\",\"Datacenter\":\"dc1\",\"TaggedAddresses\":{\"lan\":\"%s\","
               "\"lan_ipv4\":\"%s\",\"wan\":\"%s\",\"wan_ipv4\":\"%s\"},\"Meta\":"
               "{\"consul-network-segment\":\"\",\"consul-version\":\"1.20.1\"},"
               "\"CreateIndex\":12,\"ModifyIndex\":15},",
               number, node, address, address, address, address, address);
    buf_printf(out,
               "\"Service\":{\"ID\":\"%s\",\"Service\":\"service-%05zu\",\"Tags\":[\"%s\"],"
               "\"Address\":\"%s\",\"TaggedAddresses\":{\"lan_ipv4\":{\"Address\":\"%s\","
               "\"Port\":%zu},\"wan_ipv4\":{\"Address\":\"%s\",\"Port\":%zu}},\"Meta\":null,"
               "\"Port\":%zu,\"Weights\":{\"Passing\":1,\"Warning\":1},"
               "\"EnableTagOverride\":false,\"Proxy\":{\"Mode\":\"\",\"MeshGateway\":{},"
               "\"Expose\":{}},\"Connect\":{},\"PeerName\":\"\",\"CreateIndex\":%zu,"
               "\"ModifyIndex\":%zu},",
               id, service, route, address, address, 20000 + instance, address, 20000 + instance,
               20000 + instance, number + 20, number + 20);
    buf_printf(out,
               "\"Checks\":[{\"Node\":\"%s\",\"CheckID\":\"serfHealth\",\"Name\":\"Serf Health "
               "Status\",\"Status\":\"passing\",\"Notes\":\"\",\"Output\":\"Agent alive and "
               "reachable\",\"ServiceID\":\"\",\"ServiceName\":\"\",\"ServiceTags\":[],"
               "\"Definition\":{},\"CreateIndex\":12,\"ModifyIndex\":12},",
               node);
    buf_printf(out,
               "{\"Node\":\"%s\",\"CheckID\":\"service:%s\",\"Name\":\"Service 'service-%05zu' "
               "check\",\"Status\":\"%s\",\"Notes\":\"\",\"Output\":\"HTTP GET "
               "http://%s:%zu/health: 200 OK Output: ok\",\"ServiceID\":\"%s\",\"ServiceName\":"
               "\"service-%05zu\",\"ServiceTags\":[\"%s\"],\"Type\":\"http\",\"Definition\":{},"
               "\"CreateIndex\":%zu,\"ModifyIndex\":%zu}]}",
               node, id, service, status, address, 20000 + instance, id, service, route,
               number + 20, number + 30);
}

static void write_answer(struct buf *out, const struct world *world, size_t service, size_t count,
                         const char *status_of_last)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        write_instance(out, world, service, i, i + 1 == count ? status_of_last : "passing");
    }
    buf_append_char(out, ']');
}

static void fail(const char *what)
{
    fprintf(stderr, "scale_driver: %s\n", what);
    exit(1);
}

// One answer of Consul's on its way into the feed.
static void deliver(struct world *world, size_t service, struct str body)
{
    struct decode_rules rules = {.accepted_status = STR("passing")};
    struct health_answer answer;
    struct def_list defs = {0};
    struct err err = {0};
    char name[32];
    snprintf(name, sizeof name, "service-%05zu", service);

    double start = now_us();
    if (decode_health(body, &rules, &answer, &err) < 0)
        fail(err.text);
    double decoded = now_us();
    if (defs_build(&defs, &answer, str_of(name), &world->config, world->problems) < 0)
        fail("no memory for definitions");
    health_answer_fini(&answer);
    double built = now_us();
    if (feed_set_service(world->feed, str_of(name), defs.items, defs.count) < 0)
        fail("no memory in the feed");
    feed_share_defs(world->feed, str_of(name), defs.items, defs.count);
    world->decode_us += decoded - start;
    world->defs_us += built - decoded;
    world->feed_us += now_us() - built;
    world->json_bytes += body.len;
    def_list_fini(&world->kept[service]);
    world->kept[service] = defs;
}

static void on_published(void *ctx, const struct table *table)
{
    (void)ctx;
    (void)table;
}

static void on_closed(void *ctx)
{
    ((struct world *)ctx)->is_closed = true;
}

static void world_init(struct world *world, size_t services)
{
    world->kept = mem_zalloc_array(services, sizeof *world->kept);
    uv_loop_init(&world->loop);
    world->config = (struct consul_config){.tag_prefix = STR("urlprefix-")};
    struct feed_config config = {
        .log_format = ROUTES_LOG_DELTA, .coalesce_ms = 0, .coalesce_max_ms = 0};
    world->targets = targets_new(&world->loop, 2);
    world->problems = problems_new();
    world->feed =
        feed_new(&world->loop, &config, world->targets, world->problems, on_published, world);
    if (!world->kept || !world->feed)
        fail("no memory");
}

static void world_fini(struct world *world, size_t services)
{
    for (size_t i = 0; i < services; i++)
        def_list_fini(&world->kept[i]);
    mem_free(world->kept);
    feed_close(world->feed, on_closed, world);
    targets_free(world->targets);
    while (!world->is_closed)
        uv_run(&world->loop, UV_RUN_ONCE);
    problems_free(world->problems);
    uv_loop_close(&world->loop);
}

// Has the feed publish what was delivered: routes_build, targets_publish, collection.
static void publish(struct world *world)
{
    uint64_t version = feed_table(world->feed) ? table_version(feed_table(world->feed)) : 0;
    double start = now_us();
    while (!feed_table(world->feed) || table_version(feed_table(world->feed)) == version)
        uv_run(&world->loop, UV_RUN_ONCE);
    world->publish_us += now_us() - start;
}

static void fill(struct world *world, size_t services, size_t instances)
{
    struct buf body;
    buf_init(&body, ANSWER_MAX);
    for (size_t i = 0; i < services; i++) {
        buf_clear(&body);
        write_answer(&body, world, i, instances, "passing");
        if (buf_status(&body) < 0)
            fail("no memory for an answer");
        deliver(world, i, buf_str(&body));
    }
    buf_fini(&body);
}

// What the kernel alone takes to give so much memory that nobody had before.
static double fresh_memory_us(long kib)
{
    size_t size = (size_t)kib * 1024;
    double start = now_us();
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    double taken = now_us() - start;
    if (memory == MAP_FAILED || munmap(memory, size) != 0)
        fail("no memory");
    return taken;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static double quantile(double *samples, size_t count, double q)
{
    qsort(samples, count, sizeof *samples, by_value);
    return count ? samples[MIN((size_t)(q * (double)count), count - 1)] : 0;
}

static void run_build(struct world *world, size_t services, size_t instances, size_t changes)
{
    static double whole[SAMPLES_MAX], builds[SAMPLES_MAX];
    long empty_kib = memory_kib("VmRSS");
    fill(world, services, instances);
    double decode_us = world->decode_us, defs_us = world->defs_us, feed_us = world->feed_us;
    long filled_kib = memory_kib("VmRSS");
    uint64_t filled_bytes = mem_in_use();
    feed_set_synced(world->feed, false);
    publish(world);
    double full_us = world->publish_us;
    long built_kib = memory_kib("VmRSS"), peak_kib = memory_kib("VmHWM");
    uint64_t built_bytes = mem_in_use();
    double memory_us = fresh_memory_us(built_kib - filled_kib);

    // One instance turns critical, or passing again.
    struct buf body;
    buf_init(&body, ANSWER_MAX);
    changes = MIN(changes, (size_t)SAMPLES_MAX);
    for (size_t i = 0; i < changes; i++) {
        size_t service = i / 2 * 7919 % services;
        buf_clear(&body);
        write_answer(&body, world, service, instances, i % 2 ? "passing" : "critical");
        double before = world->decode_us + world->defs_us + world->feed_us;
        world->publish_us = 0;
        deliver(world, service, buf_str(&body));
        publish(world);
        builds[i] = world->publish_us;
        whole[i] = world->decode_us + world->defs_us + world->feed_us - before + builds[i];
    }
    buf_fini(&body);
    const struct table *table = feed_table(world->feed);
    printf("{\"services\":%zu,\"hosts\":%zu,\"routes\":%zu,\"targets\":%zu,\"json_bytes\":%zu,"
           "\"decode_us\":%.0f,\"defs_us\":%.0f,\"feed_us\":%.0f,\"full_build_us\":%.0f,"
           "\"memory_us\":%.0f,"
           "\"empty_kib\":%ld,\"filled_kib\":%ld,\"built_kib\":%ld,\"peak_kib\":%ld,"
           "\"filled_bytes\":%zu,\"built_bytes\":%zu,\"changes\":%zu,",
           services, table_host_count(table), table_route_count(table), table_target_count(table),
           world->json_bytes, decode_us, defs_us, feed_us, full_us, memory_us, empty_kib,
           filled_kib, built_kib, peak_kib, (size_t)filled_bytes, (size_t)built_bytes, changes);
    printf("\"change_build_us\":%.1f,\"change_build_p99_us\":%.1f,\"change_us\":%.1f,"
           "\"change_p99_us\":%.1f,\"changed_kib\":%ld,\"changed_bytes\":%zu}\n",
           quantile(builds, changes, 0.5), quantile(builds, changes, 0.99),
           quantile(whole, changes, 0.5), quantile(whole, changes, 0.99), memory_kib("VmRSS"),
           (size_t)mem_in_use());
}

// Its instructions are counted by name (callgrind --toggle-collect).
__attribute__((noinline)) void bench_lookups(const struct table *table, bool is_path,
                                             const uint32_t *picks, size_t count);

void bench_lookups(const struct table *table, bool is_path, const uint32_t *picks, size_t count)
{
    static char name[] = "service-00000.example.com", path[] = "/service-00000/some/page.html";
    char *digits = is_path ? path + 9 : name + 8;
    struct str host = is_path ? STR("www.example.com") : str_of(name);
    struct str where = is_path ? str_of(path) : STR("/some/page.html");
    for (size_t i = 0; i < count; i++) {
        uint32_t number = picks[i];
        for (int k = 4; k >= 0; k--, number /= 10)
            digits[k] = (char)('0' + number % 10);
        struct table_cursor cursor;
        table_lookup_start(&cursor, table, host, where, false);
        const struct route *route = table_lookup_next(&cursor);
        const struct route_target *target =
            route ? route_pick(route, ROUTE_PICK_RANDOM, picks[i] * 2654435761u, NULL, NULL) : NULL;
        if (!target)
            fail("a lookup found nothing");
    }
}

// Without answers to decode, which would take callgrind minutes.
static void fill_shortly(struct world *world, size_t services, size_t instances)
{
    for (size_t i = 0; i < services; i++) {
        char name[32], src[64], dst[64];
        struct def_list defs = {0};
        snprintf(name, sizeof name, "service-%05zu", i);
        if (world->is_path)
            snprintf(src, sizeof src, "www.example.com/%s/", name);
        else
            snprintf(src, sizeof src, "%s.example.com/", name);
        for (size_t k = 0; k < instances; k++) {
            struct err err = {0};
            size_t number = i * 10 + k;
            snprintf(dst, sizeof dst, "http://10.%zu.%zu.%zu:8080/", number / 65536 % 256,
                     number / 256 % 256, number % 256);
            struct route_def_spec spec = {
                .service = str_of(name), .src = str_of(src), .dst = str_of(dst)};
            struct route_def *def = route_def_new(&spec, &err);
            if (!def || def_list_add(&defs, def) < 0)
                fail("no memory for definitions");
        }
        if (feed_set_service(world->feed, str_of(name), defs.items, defs.count) < 0)
            fail("no memory in the feed");
        def_list_fini(&defs);
    }
}

static void run_lookup(struct world *world, size_t routes, size_t instances, size_t lookups)
{
    fill_shortly(world, routes, instances);
    feed_set_synced(world->feed, false);
    publish(world);
    uint32_t *picks = mem_zalloc_array(lookups, sizeof *picks);
    if (!picks)
        fail("no memory");
    uint32_t state = 1;
    for (size_t i = 0; i < lookups; i++) {
        state = state * 1664525u + 1013904223u;
        picks[i] = (uint32_t)((uint64_t)state * routes >> 32);
    }
    double start = now_us();
    bench_lookups(feed_table(world->feed), world->is_path, picks, lookups);
    printf("{\"routes\":%zu,\"targets\":%zu,\"lookups\":%zu,\"lookup_ns\":%.1f}\n", routes,
           routes * instances, lookups, (now_us() - start) * 1000 / (double)lookups);
    mem_free(picks);
}

static void run_answer(struct world *world, size_t instances)
{
    struct buf body;
    buf_init(&body, ANSWER_MAX);
    write_answer(&body, world, 0, instances, "passing");
    long before_kib = memory_kib("VmRSS");
    deliver(world, 0, buf_str(&body));
    printf("{\"instances\":%zu,\"json_bytes\":%zu,\"decode_us\":%.0f,\"before_kib\":%ld,"
           "\"after_kib\":%ld,\"peak_kib\":%ld}\n",
           instances, body.len, world->decode_us, before_kib, memory_kib("VmRSS"),
           memory_kib("VmHWM"));
    buf_fini(&body);
    feed_set_synced(world->feed, false);
    publish(world);
}

static size_t number_of(int argc, char **argv, int at)
{
    long value = at < argc ? strtol(argv[at], NULL, 10) : 0;
    if (value < 0 || value > 10000000)
        fail("a number is out of range");
    return (size_t)value;
}

int main(int argc, char **argv)
{
    struct world world = {0};
    const char *mode = argc > 1 ? argv[1] : "";
    size_t first = number_of(argc, argv, 2), second = number_of(argc, argv, 3),
           third = number_of(argc, argv, 4);
    log_set_level(LOG_ERROR);
    world.is_path = argc > 5 && strcmp(argv[5], "paths") == 0;
    size_t services = strcmp(mode, "answer") == 0 ? 1 : first;
    world_init(&world, services);
    if (strcmp(mode, "build") == 0 && first > 0)
        run_build(&world, first, second, third);
    else if (strcmp(mode, "lookup") == 0 && first > 0)
        run_lookup(&world, first, second, third);
    else if (strcmp(mode, "answer") == 0)
        run_answer(&world, first);
    else
        fail("usage: scale_driver build|lookup|answer NUMBER...");
    world_fini(&world, services);
    return 0;
}
