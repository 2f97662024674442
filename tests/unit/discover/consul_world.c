// SPDX-License-Identifier: Apache-2.0
// The linker puts the __wrap_ functions in the place of the clock, of libuv's timers, of the HTTP
// client and of the feed (see meson.build).
#include "consul_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/consul.h"
#include "discover/http_client.h"

enum {
    SERVICES_MAX = 20000,
    TIMERS_MAX = 4096,
    CALLS_MAX = 512,
    REQUESTS_MAX = 1 << 20,
    WAIT_MS = 60 * 1000,
};

struct world_service {
    bool is_listed;
    bool is_up;
    unsigned port;
    const char *node_address; // NULL: the service's own address is given
    uint64_t index;
    enum fault fault;
    // Of the feed.
    unsigned defs;
    bool is_routed;
    char destination[64];
};

struct timer {
    uv_timer_t *handle;
    uv_timer_cb callback;
    uint64_t due_ms, repeat_ms;
};

struct http_call {
    struct http_request request;
    char *path;
    uint64_t due_ms; // of the answer; UINT64_MAX: a poll that waits
    uint64_t give_up_ms;
    uint64_t seen_index; // of the poll
    bool is_long;
};

static struct {
    uint64_t now_ms;
    uint64_t index;
    uint64_t catalog_index;
    struct world_service *services; // SERVICES_MAX
    enum fault fault;
    unsigned answers;

    struct timer timers[TIMERS_MAX];
    size_t timer_count;
    struct {
        uv_handle_t *handle;
        uv_close_cb callback;
    } closing[TIMERS_MAX];
    size_t closing_count;
    struct http_call *calls[CALLS_MAX];
    size_t call_count;
    uint64_t *requests; // REQUESTS_MAX
    size_t request_count;
    unsigned shortest_wait_ms, longest_wait_ms; // of the polls
    unsigned lost;
    bool has_stopped;

    uv_loop_t loop;
    struct consul_config config;
    struct problems *problems;
    struct backend *backend;
} world;

// The clock and libuv's timers

uint64_t __wrap_clock_now_ms(void);
uint64_t __wrap_clock_now_ms(void)
{
    return world.now_ms;
}

static struct timer *find_timer(const void *handle)
{
    for (size_t i = 0; i < world.timer_count; i++) {
        if ((void *)world.timers[i].handle == handle)
            return &world.timers[i];
    }
    return NULL;
}

int __wrap_uv_timer_init(uv_loop_t *loop, uv_timer_t *handle);
int __wrap_uv_timer_init(uv_loop_t *loop, uv_timer_t *handle)
{
    handle->loop = loop;
    return 0;
}

int __wrap_uv_timer_stop(uv_timer_t *handle);
int __wrap_uv_timer_stop(uv_timer_t *handle)
{
    struct timer *timer = find_timer(handle);
    if (timer)
        *timer = world.timers[--world.timer_count];
    return 0;
}

int __wrap_uv_timer_start(uv_timer_t *handle, uv_timer_cb callback, uint64_t ms, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *handle, uv_timer_cb callback, uint64_t ms, uint64_t repeat)
{
    __wrap_uv_timer_stop(handle);
    assert_true(world.timer_count < TIMERS_MAX);
    world.timers[world.timer_count++] = (struct timer){handle, callback, world.now_ms + ms, repeat};
    return 0;
}

int __wrap_uv_is_active(const uv_handle_t *handle);
int __wrap_uv_is_active(const uv_handle_t *handle)
{
    return find_timer(handle) != NULL;
}

uint64_t __wrap_uv_timer_get_due_in(const uv_timer_t *handle);
uint64_t __wrap_uv_timer_get_due_in(const uv_timer_t *handle)
{
    const struct timer *timer = find_timer(handle);
    return timer && timer->due_ms > world.now_ms ? timer->due_ms - world.now_ms : 0;
}

void __wrap_uv_close(uv_handle_t *handle, uv_close_cb callback);
void __wrap_uv_close(uv_handle_t *handle, uv_close_cb callback)
{
    __wrap_uv_timer_stop((uv_timer_t *)handle);
    assert_true(world.closing_count < TIMERS_MAX);
    world.closing[world.closing_count].handle = handle;
    world.closing[world.closing_count++].callback = callback;
}

// The feed

static bool is_in_trouble(const struct world_service *service)
{
    return world.fault != FAULT_NONE || service->fault != FAULT_NONE;
}

int __wrap_feed_set_service(struct feed *feed, struct str key, struct route_def *const *defs,
                            size_t count);
int __wrap_feed_set_service(struct feed *feed, struct str key, struct route_def *const *defs,
                            size_t count)
{
    (void)feed;
    struct world_service *service = &world.services[strtoul(key.ptr + 1, NULL, 10)];
    service->defs = (unsigned)count;
    service->is_routed = false;
    for (size_t i = 0; i < count; i++) {
        service->is_routed = service->is_routed || defs[i]->health == ROUTE_UP;
        snprintf(service->destination, sizeof service->destination, "%.*s",
                 STR_FMT(route_def_dst(defs[i])));
    }
    world.lost +=
        !service->is_routed && service->is_listed && (service->is_up || is_in_trouble(service));
    return 0;
}

void __wrap_feed_share_defs(const struct feed *feed, struct str key, struct route_def **defs,
                            size_t count);
void __wrap_feed_share_defs(const struct feed *feed, struct str key, struct route_def **defs,
                            size_t count)
{
    (void)feed;
    (void)key;
    (void)defs;
    (void)count;
}

int __wrap_feed_set_manual(struct feed *feed, struct str origin, struct str text);
int __wrap_feed_set_manual(struct feed *feed, struct str origin, struct str text)
{
    (void)feed;
    (void)origin;
    (void)text;
    return 0;
}

int __wrap_feed_set_noroute_html(struct feed *feed, struct str html);
int __wrap_feed_set_noroute_html(struct feed *feed, struct str html)
{
    (void)feed;
    (void)html;
    return 0;
}

struct str __wrap_feed_noroute_html(const struct feed *feed);
struct str __wrap_feed_noroute_html(const struct feed *feed)
{
    (void)feed;
    return STR("");
}

void __wrap_feed_set_synced(struct feed *feed, bool is_partial);
void __wrap_feed_set_synced(struct feed *feed, bool is_partial)
{
    (void)feed;
    (void)is_partial;
}

// Consul, as the HTTP client shows it

struct http_client *__wrap_http_client_new(uv_loop_t *loop, const struct http_settings *settings,
                                           unsigned max_long_polls);
struct http_client *__wrap_http_client_new(uv_loop_t *loop, const struct http_settings *settings,
                                           unsigned max_long_polls)
{
    (void)loop;
    (void)settings;
    (void)max_long_polls;
    return (struct http_client *)(void *)&world;
}

static void forget(struct http_call *call)
{
    for (size_t i = 0; i < world.call_count; i++) {
        if (world.calls[i] == call) {
            world.calls[i] = world.calls[--world.call_count];
            return;
        }
    }
}

void __wrap_http_call_cancel(struct http_call *call);
void __wrap_http_call_cancel(struct http_call *call)
{
    forget(call);
    free(call->path);
    free(call);
}

void __wrap_http_client_close(struct http_client *client, void (*on_closed)(void *), void *ctx);
void __wrap_http_client_close(struct http_client *client, void (*on_closed)(void *), void *ctx)
{
    (void)client;
    while (world.call_count > 0)
        __wrap_http_call_cancel(world.calls[0]);
    on_closed(ctx);
}

static struct world_service *service_of(const char *path)
{
    static const char PREFIX[] = "/v1/health/service/s";
    if (strncmp(path, PREFIX, sizeof PREFIX - 1) != 0)
        return NULL;
    return &world.services[strtoul(path + sizeof PREFIX - 1, NULL, 10)];
}

static enum fault fault_of(const char *path)
{
    const struct world_service *service = service_of(path);
    return service && service->fault != FAULT_NONE ? service->fault : world.fault;
}

static uint64_t index_of(const char *path)
{
    const struct world_service *service = service_of(path);
    if (service)
        return service->index;
    if (strncmp(path, "/v1/catalog/", 12) == 0)
        return world.catalog_index;
    return strncmp(path, "/v1/health/state/", 17) == 0 ? world.index : 1; // KV: never written
}

// When the answer to a call is due by what Consul knows and how it feels.
static uint64_t due_ms(const struct http_call *call)
{
    enum { LATENCY_MS = 1 };
    enum fault fault = fault_of(call->path);
    if (fault == FAULT_SILENT)
        return UINT64_MAX;
    bool is_waiting = call->is_long && index_of(call->path) <= call->seen_index;
    return is_waiting && fault == FAULT_NONE ? UINT64_MAX : world.now_ms + LATENCY_MS;
}

static void wake_polls(void)
{
    for (size_t i = 0; i < world.call_count; i++) {
        if (world.calls[i]->due_ms == UINT64_MAX)
            world.calls[i]->due_ms = due_ms(world.calls[i]);
    }
}

struct http_call *__wrap_http_client_send(struct http_client *client,
                                          const struct http_request *request);
struct http_call *__wrap_http_client_send(struct http_client *client,
                                          const struct http_request *request)
{
    (void)client;
    struct http_call *call = calloc(1, sizeof *call);
    assert_true(world.call_count < CALLS_MAX && world.request_count < REQUESTS_MAX);
    world.requests[world.request_count++] = world.now_ms;
    call->request = *request;
    call->path = strndup(request->path.ptr, request->path.len);
    const char *index = strstr(call->path, "index=");
    call->is_long = index != NULL;
    call->seen_index = index ? strtoull(index + 6, NULL, 10) : 0;
    if (call->is_long) {
        // C5 to C7: never without a wait, which is not the same for all, nor with an index of 0.
        const char *wait = strstr(call->path, "wait=");
        assert_non_null(wait);
        unsigned wait_ms = (unsigned)strtoul(wait + 5, NULL, 10);
        assert_string_equal(wait + 5 + strspn(wait + 5, "0123456789"), "ms");
        assert_in_range(wait_ms, WAIT_MS - WAIT_MS / 10, WAIT_MS + WAIT_MS / 10);
        assert_int_equal(request->timeout_ms, wait_ms + wait_ms / 16 + 10 * 1000);
        assert_true(call->seen_index > 0);
        world.shortest_wait_ms =
            world.shortest_wait_ms ? MIN(world.shortest_wait_ms, wait_ms) : wait_ms;
        world.longest_wait_ms = MAX(world.longest_wait_ms, wait_ms);
    }
    // Consul ends a poll after the time asked for, some seconds before the client gives up.
    call->give_up_ms = world.now_ms + request->timeout_ms;
    world.calls[world.call_count++] = call;
    call->due_ms = due_ms(call);
    return call;
}

// A service without an address of its own is alone on a node of its number.
static void put_node(struct buf *out, unsigned number)
{
    const char *address = world.services[number].node_address;
    if (address)
        buf_printf(out, "{\"Node\":\"n%u\",\"Address\":\"%s\",\"Datacenter\":\"dc1\"}", number,
                   address);
    else
        buf_append_cstr(out, "{\"Node\":\"n\",\"Address\":\"10.9.9.9\",\"Datacenter\":\"dc1\"}");
}

static void put_check(struct buf *out, unsigned number)
{
    buf_printf(out,
               "{\"Node\":\"n\",\"CheckID\":\"c%u\",\"Status\":\"%s\",\"ServiceID\":\"i%u\","
               "\"ServiceName\":\"s%u\",\"ServiceTags\":[\"urlprefix-/s%u\",\"p%u\"]}",
               number, world.services[number].is_up ? "passing" : "critical", number, number,
               number, world.services[number].port);
}

static void put_service(struct buf *out, unsigned number)
{
    const struct world_service *service = &world.services[number];
    buf_append_cstr(out, "[{\"Node\":");
    put_node(out, number);
    buf_printf(out,
               ",\"Service\":{\"ID\":\"i%u\",\"Service\":\"s%u\",\"Address\":\"%s\",\"Port\":%u,"
               "\"Tags\":[\"urlprefix-/s%u\",\"p%u\"]},\"Checks\":[",
               number, number, service->node_address ? "" : "10.0.0.1", service->port, number,
               service->port);
    put_check(out, number);
    buf_append_cstr(out, "]}]");
}

static void put_node_service(struct buf *out, unsigned number)
{
    const struct world_service *service = &world.services[number];
    buf_printf(out,
               "{\"ID\":\"i%u\",\"Service\":\"s%u\",\"Address\":\"%s\",\"Port\":%u,"
               "\"Tags\":[\"urlprefix-/s%u\",\"p%u\"]}",
               number, number, service->node_address ? "" : "10.0.0.1", service->port, number,
               service->port);
}

static bool is_path(const char *path, const char *start)
{
    return strncmp(path, start, strlen(start)) == 0;
}

static void put_all(struct buf *out, const char *path)
{
    bool is_catalog = is_path(path, "/v1/catalog/services");
    bool is_state = is_path(path, "/v1/health/state/");
    bool is_any = is_path(path, "/v1/health/state/any");
    bool is_critical = is_path(path, "/v1/health/state/critical");
    const char *comma = "";
    for (unsigned i = 0; i < SERVICES_MAX; i++) {
        bool is_elsewhere = is_path(path, "/v1/catalog/node-") && world.services[i].node_address;
        bool is_shown =
            !is_elsewhere && (!is_state || is_any || (is_critical && !world.services[i].is_up));
        if (!world.services[i].is_listed || !is_shown)
            continue;
        buf_append_cstr(out, comma);
        comma = ",";
        if (is_catalog)
            buf_printf(out, "\"s%u\":[\"urlprefix-/s%u\"]", i, i);
        else if (is_state)
            put_check(out, i);
        else
            put_node_service(out, i);
    }
}

static void put_nodes(struct buf *out)
{
    buf_append_cstr(out, "[{\"Node\":\"n\"}");
    for (unsigned i = 0; i < SERVICES_MAX; i++) {
        if (!world.services[i].node_address)
            continue;
        buf_append_char(out, ',');
        put_node(out, i);
    }
    buf_append_char(out, ']');
}

// Of the node "n", or of one with a number.
static void put_node_services(struct buf *out, const char *path)
{
    unsigned number;
    bool is_own = sscanf(path, "/v1/catalog/node-services/n%u", &number) == 1;
    buf_append_cstr(out, "{\"Node\":");
    if (is_own)
        put_node(out, number);
    else
        buf_append_cstr(out, "{\"Node\":\"n\",\"Address\":\"10.9.9.9\"}");
    buf_append_cstr(out, ",\"Services\":[");
    if (is_own && world.services[number].is_listed)
        put_node_service(out, number);
    else if (!is_own)
        put_all(out, path);
    buf_append_cstr(out, "]}");
}

static void put_body(struct buf *out, const char *path)
{
    const struct world_service *asked = service_of(path);
    if (asked && asked->is_listed) {
        put_service(out, (unsigned)(asked - world.services));
    } else if (asked) {
        buf_append_cstr(out, "[]");
    } else if (is_path(path, "/v1/catalog/nodes")) {
        put_nodes(out);
    } else if (is_path(path, "/v1/catalog/node-services/")) {
        put_node_services(out, path);
    } else {
        bool is_catalog = is_path(path, "/v1/catalog/services");
        buf_append_char(out, is_catalog ? '{' : '[');
        put_all(out, path);
        buf_append_char(out, is_catalog ? '}' : ']');
    }
}

static void give_up(struct http_response *response, const char *failure)
{
    *response = (struct http_response){.failure = failure};
}

static void answer(struct http_call *call, bool is_over)
{
    static const int STATUSES[FAULT_COUNT] = {
        [FAULT_500] = 500, [FAULT_503] = 503, [FAULT_429] = 429, [FAULT_403] = 403};
    struct http_response response = {.status = 200, .has_index = true};
    struct buf body;
    buf_init(&body, 64 * 1024 * 1024);
    enum fault fault = fault_of(call->path);
    uint64_t number = ++world.answers;
    response.index = MAX(index_of(call->path), call->seen_index);
    if (fault == FAULT_REFUSED_OR_500)
        fault = number % 2 ? FAULT_REFUSED : FAULT_500;
    if (STATUSES[fault] != 0)
        response = (struct http_response){.status = STATUSES[fault]};
    else if (is_over && fault == FAULT_SILENT)
        give_up(&response, "no answer came in time");
    else if (fault == FAULT_REFUSED || fault == FAULT_RESET)
        give_up(&response, "connection failed");
    else if (fault == FAULT_POLLS_504 && call->is_long)
        response = (struct http_response){.status = 504};
    else if (fault == FAULT_GARBAGE)
        buf_append_cstr(&body, "<html>");
    else if (strncmp(call->path, "/v1/kv/", 7) == 0)
        response.status = 404;
    else
        put_body(&body, call->path);
    response.is_connect_failure = fault == FAULT_REFUSED;
    response.is_deadline = fault == FAULT_SILENT;
    response.has_index = response.status > 0 && fault != FAULT_NO_INDEX;
    if (fault == FAULT_INDEX_0)
        response.index = 0;
    if (fault == FAULT_INDEX_HUGE)
        response.index = UINT64_MAX;
    if (fault == FAULT_BACKWARDS)
        response.index = number % 2 ? 1 : 1000 + number;
    forget(call);
    response.body = buf_str(&body);
    response.bytes = body.len;
    if (call->request.on_data && response.status == 200)
        (void)call->request.on_data(call->request.ctx, response.body);
    call->request.on_done(call->request.ctx, &response);
    buf_fini(&body);
    free(call->path);
    free(call);
}

// Time

static void close_handles(void)
{
    while (world.closing_count > 0) {
        world.closing_count--;
        world.closing[world.closing_count].callback(world.closing[world.closing_count].handle);
    }
}

// The next thing that happens, if it does until then. What happens at the same time does so in any
// order.
static bool step(uint64_t until_ms)
{
    enum { WAIT_END_MS = 10 * 1000 }; // so long before the deadline, Consul ends a poll by itself
    uint64_t at_ms = UINT64_MAX;
    struct timer *timer = NULL;
    struct http_call *call = NULL;
    close_handles();
    for (size_t i = 0; i < world.timer_count; i++) {
        if (world.timers[i].due_ms < at_ms) {
            timer = &world.timers[i];
            at_ms = timer->due_ms;
        }
    }
    for (size_t i = 0; i < world.call_count; i++) {
        struct http_call *other = world.calls[i];
        bool ends_itself = other->is_long && fault_of(other->path) == FAULT_NONE;
        uint64_t end_ms = other->give_up_ms - (ends_itself ? WAIT_END_MS : 0);
        if (MIN(other->due_ms, end_ms) < at_ms) {
            call = other;
            at_ms = MIN(other->due_ms, end_ms);
        }
    }
    if (at_ms > until_ms)
        return false;
    world.now_ms = MAX(world.now_ms, at_ms);
    if (call) {
        answer(call, call->due_ms > at_ms);
        return true;
    }
    uv_timer_t *handle = timer->handle;
    uv_timer_cb callback = timer->callback;
    if (timer->repeat_ms > 0)
        timer->due_ms += timer->repeat_ms;
    else
        __wrap_uv_timer_stop(handle);
    callback(handle);
    return true;
}

void world_run(uint64_t ms)
{
    uint64_t end_ms = world.now_ms + ms;
    while (step(end_ms))
        ;
    world.now_ms = end_ms;
    close_handles();
}

uint64_t world_run_until(bool (*is_done)(void), uint64_t ms)
{
    uint64_t start_ms = world.now_ms;
    while (!is_done()) {
        if (!step(start_ms + ms))
            return UINT64_MAX;
    }
    return world.now_ms - start_ms;
}

uint64_t world_now_ms(void)
{
    return world.now_ms;
}

// What Consul knows

void world_add(unsigned number)
{
    struct world_service *service = &world.services[number];
    service->is_listed = service->is_up = true;
    service->port = 8080;
    service->index = world.catalog_index = ++world.index;
    wake_polls();
}

void world_remove(unsigned number)
{
    struct world_service *service = &world.services[number];
    service->is_listed = false;
    service->index = world.catalog_index = ++world.index;
    wake_polls();
}

void world_set_up(unsigned number, bool is_up)
{
    world.services[number].is_up = is_up;
    world.services[number].index = ++world.index;
    wake_polls();
}

void world_move(unsigned number, unsigned port)
{
    world.services[number].port = port;
    world.services[number].index = world.catalog_index = ++world.index;
    wake_polls();
}

// As M1 in the measurements: the service's poll wakes up, nothing else does.
void world_set_node_address(unsigned number, const char *address)
{
    world.services[number].node_address = address;
    world.services[number].index++;
    wake_polls();
}

void world_set_fault(enum fault fault)
{
    world.fault = fault;
    wake_polls();
}

void world_set_fault_of(unsigned number, enum fault fault)
{
    world.services[number].fault = fault;
    wake_polls();
}

bool world_routes(unsigned number)
{
    return world.services[number].is_routed;
}

const char *world_destination(unsigned number)
{
    return world.services[number].destination;
}

unsigned world_routed(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SERVICES_MAX; i++)
        count += world.services[i].is_routed;
    return count;
}

unsigned world_lost(void)
{
    return world.lost;
}

size_t world_requests(void)
{
    return world.request_count;
}

size_t world_most_requests(uint64_t from_ms, uint64_t window_ms)
{
    size_t most = 0, first = 0;
    for (size_t last = 0; last < world.request_count; last++) {
        if (world.requests[last] < from_ms) {
            first = last + 1;
            continue;
        }
        while (world.requests[last] - world.requests[first] >= window_ms)
            first++;
        most = MAX(most, last - first + 1);
    }
    return most;
}

unsigned world_open_polls(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < world.call_count; i++)
        count += world.calls[i]->is_long;
    return count;
}

unsigned world_spread_of_waits_ms(void)
{
    return world.longest_wait_ms - world.shortest_wait_ms;
}

bool world_shows(const char *words)
{
    struct buf json;
    buf_init(&json, 1 << 20);
    world.backend->ops->write_json(world.backend->self, &json);
    assert_int_equal(buf_status(&json), 0);
    bool is_shown = str_find(buf_str(&json), str_of(words)) >= 0;
    buf_fini(&json);
    return is_shown;
}

// Life

void world_begin(unsigned services)
{
    struct err err = {0};
    memset(&world, 0, sizeof world);
    world.now_ms = 1000 * 1000;
    world.index = world.catalog_index = 10;
    world.services = calloc(SERVICES_MAX, sizeof *world.services);
    world.requests = calloc(REQUESTS_MAX, sizeof *world.requests);
    for (unsigned i = 0; i < services; i++)
        world_add(i);
    world.config = (struct consul_config){
        .addr = STR("127.0.0.1:8500"),
        .kv_path = STR("/fabio/config"),
        .noroute_path = STR("/fabio/noroute.html"),
        .tag_prefix = STR("urlprefix-"),
        .accepted_status = STR("passing"),
        .allows_stale = true,
        .max_watches = 64,
        .wait_ms = WAIT_MS,
        .mass_drop_percent = 50,
    };
    world.problems = problems_new();
    log_set_level(LOG_ERROR);
    world.backend = consul_backend_new(&world.loop, &world.config, NULL, world.problems, &err);
    assert_non_null(world.backend);
    assert_int_equal(world.backend->ops->start(world.backend->self, &err), 0);
    world_run(10 * 1000);
    assert_int_equal(world_routed(), services);
    world.lost = 0;
}

static void on_stopped(void *ctx)
{
    (void)ctx;
    world.has_stopped = true;
}

void world_end(void)
{
    world.backend->ops->stop(world.backend->self, on_stopped, NULL);
    close_handles();
    assert_true(world.has_stopped);
    assert_int_equal(world.timer_count, 0);
    assert_int_equal(world.call_count, 0);
    world.backend->ops->free(world.backend->self);
    problems_free(world.problems);
    free(world.services);
    free(world.requests);
}
