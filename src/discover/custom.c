// SPDX-License-Identifier: Apache-2.0
// 1. start: the page is set, the first request goes out.
// 2. on_answer: 200 with an array of commands (custom_decode.c). The same bytes as the last time
//    change nothing; else the commands replace those before, as one.
// 3. The next request goes out registry.custom.pollinterval later.
// Anything but a usable answer keeps the commands of the last usable one, is listed as a problem
// and is logged when it begins, when it becomes another failure and when it ends, not at every
// poll. Before the first usable answer there is nothing to serve: the feed is not synced, and
// requests follow each other faster, from half a second on.
#include "discover/custom.h"

#include <curl/curl.h>
#include <uv.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/custom_decode.h"
#include "discover/feed.h"
#include "discover/http_client.h"
#include "discover/snapshot_text.h"
#include "discover/unregistered.h"
#include "stats/prom.h"

enum {
    FIRST_RETRY_MS = 500,
    REDIRECTS_MAX = 10, // as Go's client
};

// Kinds of failure beside HTTP status codes.
enum { FAILURE_NONE = 0, FAILURE_DEADLINE = -1, FAILURE_OTHER = -2, FAILURE_ANSWER = -3 };

struct custom {
    struct backend backend;
    const struct custom_config *config; // borrowed
    struct feed *feed;                  // borrowed
    struct problems *problems;          // borrowed
    struct http_settings settings;
    struct http_client *client; // owned
    struct http_call *call;     // NULL: none runs
    struct buf path;            // "/path?params"; owned
    char *label;                // URL without credentials and parameters; owned
    uv_timer_t timer;
    uint32_t retry_ms; // before the first usable answer
    unsigned open_parts;
    void (*on_stopped)(void *ctx);
    void *ctx;

    bool has_commands;
    uint64_t restored_us; // when the commands taken in at the start were saved; 0: none were
    uint64_t body_hash;   // of the last usable answer
    size_t body_len;
    size_t elements, bad_elements;
    int failure; // HTTP status or FAILURE_; FAILURE_NONE: the last answer was usable
    uint64_t last_ok_ms;
    uint64_t changed_total, unchanged_total, failed_total;
};

static void send_request(struct custom *custom);

static void on_timer(uv_timer_t *timer)
{
    send_request(timer->data);
}

static void schedule(struct custom *custom)
{
    uint32_t delay_ms = custom->config->poll_interval_ms;
    if (!custom->has_commands) {
        delay_ms = MIN(custom->retry_ms, delay_ms);
        custom->retry_ms = MIN(custom->retry_ms * 2, custom->config->poll_interval_ms);
    }
    uv_timer_start(&custom->timer, on_timer, delay_ms, 0);
}

static void note_failure(struct custom *custom, int failure, const char *reason)
{
    custom->failed_total++;
    if (failure == custom->failure)
        return;
    custom->failure = failure;
    // fabio's words, which people's alerts look for.
    log_error("error during update from custom back end - %s: %s", custom->label, reason);
    problems_begin(custom->problems, STR("custom"));
    problems_add(custom->problems, &(struct problem){.source = STR("custom"),
                                                     .instance = str_of(custom->label),
                                                     .reason = str_of(reason),
                                                     .is_lost = !custom->has_commands});
    problems_end(custom->problems);
}

static void note_success(struct custom *custom)
{
    if (custom->failure != FAILURE_NONE) {
        log_info("custom back end %s can be used again", custom->label);
        problems_clear(custom->problems, STR("custom"));
    }
    custom->failure = FAILURE_NONE;
    custom->last_ok_ms = clock_now_ms();
}

static void on_bad_element(void *ctx, size_t index, struct str text, const char *reason)
{
    struct custom *custom = ctx;
    char instance[300];
    int len = snprintf(instance, sizeof instance, "%s element %zu", custom->label, index);
    problems_add(
        custom->problems,
        &(struct problem){.source = STR("custom"),
                          .instance = str_make(instance, MIN((size_t)len, sizeof instance - 1)),
                          .text = text,
                          .reason = str_of(reason),
                          .is_lost = true});
}

static int take_commands(struct custom *custom, struct str body, struct err *err)
{
    struct custom_answer answer;
    problems_begin(custom->problems, STR("custom/elements"));
    int status = custom_decode(body, str_of(custom->label), &answer, on_bad_element, custom, err);
    problems_end(custom->problems);
    if (status < 0)
        return status;
    struct command_list *commands = answer.commands;
    answer.commands = NULL;
    status = feed_set_commands(custom->feed, commands, buf_str(&answer.text));
    if (status < 0) {
        err_set(err, status, "%s", err_text(status));
    } else {
        custom->elements = answer.elements;
        custom->bad_elements = answer.bad_elements;
        if (answer.bad_elements > 0)
            log_warn("custom back end %s: %zu of %zu elements cannot be used; they are listed "
                     "under problems",
                     custom->label, answer.bad_elements, answer.elements);
    }
    custom_answer_fini(&answer);
    return status;
}

static void take_body(struct custom *custom, struct str body)
{
    uint64_t hash = hash_bytes(body.ptr, body.len, 0);
    struct err err = {0};
    if (custom->has_commands && hash == custom->body_hash && body.len == custom->body_len) {
        custom->unchanged_total++;
        note_success(custom);
        return;
    }
    if (take_commands(custom, body, &err) < 0) {
        // The problems listed now are those of this answer: the next one is read in any case.
        custom->body_len = SIZE_MAX;
        note_failure(custom, FAILURE_ANSWER, err.text);
        return;
    }
    custom->has_commands = true;
    custom->body_hash = hash;
    custom->body_len = body.len;
    custom->changed_total++;
    note_success(custom);
    feed_set_synced(custom->feed, false);
}

static void on_answer(void *ctx, const struct http_response *response)
{
    struct custom *custom = ctx;
    char reason[256];
    custom->call = NULL;
    if (response->status == 200) {
        take_body(custom, response->body);
    } else if (response->status != 0) {
        snprintf(reason, sizeof reason, "HTTP status %d instead of 200", response->status);
        note_failure(custom, response->status, reason);
    } else if (response->is_deadline) {
        snprintf(reason, sizeof reason, "no complete answer within %u ms",
                 custom->config->timeout_ms);
        note_failure(custom, FAILURE_DEADLINE, reason);
    } else {
        note_failure(custom, FAILURE_OTHER, response->failure);
    }
    schedule(custom);
}

static void send_request(struct custom *custom)
{
    const struct http_request request = {
        .pool = HTTP_LONG, // what is slow ends at the configured timeout, not before
        .method = "GET",
        .path = buf_str(&custom->path),
        .timeout_ms = custom->config->timeout_ms,
        .on_done = on_answer,
        .ctx = custom,
    };
    custom->call = http_client_send(custom->client, &request);
    if (!custom->call) {
        note_failure(custom, FAILURE_OTHER, err_text(ERR_NOMEM));
        schedule(custom);
    }
}

static int start(void *self, struct err *err)
{
    struct custom *custom = self;
    int status = feed_set_noroute_html(custom->feed, custom->config->noroute_html);
    if (status < 0)
        return err_set(err, status, "custom back end: %s", err_text(status));
    log_info("custom: Using custom routes from %s", custom->label);
    send_request(custom);
    return 0;
}

static void part_closed(struct custom *custom)
{
    if (--custom->open_parts == 0)
        custom->on_stopped(custom->ctx);
}

static void on_client_closed(void *ctx)
{
    part_closed(ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

static void stop(void *self, void (*on_stopped)(void *ctx), void *ctx)
{
    struct custom *custom = self;
    custom->on_stopped = on_stopped;
    custom->ctx = ctx;
    custom->open_parts = 2;
    custom->call = NULL; // closing cancels it
    http_client_close(custom->client, on_client_closed, custom);
    uv_close((uv_handle_t *)&custom->timer, on_timer_closed);
}

static void custom_free(void *self)
{
    struct custom *custom = self;
    http_settings_fini(&custom->settings);
    buf_fini(&custom->path);
    mem_free(custom->label);
    mem_free(custom);
}

static int restore(void *self, const struct snapshot *snapshot)
{
    struct custom *custom = self;
    if (custom->has_commands)
        return 0;
    struct str text = buf_str(&snapshot->manual);
    struct command_list *commands = command_list_parse(text, STR("snapshot"), NULL, NULL);
    if (!commands)
        return ERR_NOMEM;
    int status = feed_set_commands(custom->feed, commands, text);
    if (status == 0)
        custom->restored_us = snapshot->saved_us;
    return status;
}

static void write_identity(void *self, struct buf *out)
{
    const struct custom *custom = self;
    buf_printf(out, "custom %s", custom->label);
}

static uint64_t data_age_ms(void *self)
{
    const struct custom *custom = self;
    if (!custom->has_commands && custom->restored_us) {
        uint64_t now_us = clock_wall_us();
        return (now_us - MIN(now_us, custom->restored_us)) / 1000 + 1;
    }
    if (!custom->has_commands)
        return UINT64_MAX;
    return custom->failure == FAILURE_NONE ? 0 : clock_now_ms() - custom->last_ok_ms;
}

static void write_metrics(void *self, struct buf *out)
{
    const struct custom *custom = self;
    const struct {
        const char *result;
        uint64_t value;
    } polls[] = {{"changed", custom->changed_total},
                 {"unchanged", custom->unchanged_total},
                 {"failed", custom->failed_total}};
    prom_family(out, "tagway_custom_polls_total", "counter",
                "Requests to the custom back end by result; failed: the answer could not be used.");
    for (size_t i = 0; i < ARRAY_LEN(polls); i++) {
        const struct prom_label label = {"result", str_of(polls[i].result)};
        prom_sample_u64(out, "tagway_custom_polls_total", &label, 1, polls[i].value);
    }
    prom_family(out, "tagway_custom_up", "gauge",
                "1 while the last answer of the custom back end could be used.");
    prom_sample_u64(out, "tagway_custom_up", NULL, 0,
                    custom->has_commands && custom->failure == FAILURE_NONE);
    if (custom->has_commands) {
        prom_family(out, "tagway_custom_last_success_seconds", "gauge",
                    "Time since the last usable answer of the custom back end.");
        prom_sample_f64(out, "tagway_custom_last_success_seconds", NULL, 0,
                        (double)(clock_now_ms() - custom->last_ok_ms) / 1000);
    }
    prom_family(out, "tagway_custom_elements", "gauge",
                "Elements of the last usable answer of the custom back end.");
    prom_sample_u64(out, "tagway_custom_elements", NULL, 0, custom->elements);
    prom_family(out, "tagway_custom_elements_bad", "gauge", "Those that could not be used.");
    prom_sample_u64(out, "tagway_custom_elements_bad", NULL, 0, custom->bad_elements);
}

static void write_json(void *self, struct buf *out)
{
    const struct custom *custom = self;
    buf_append_cstr(out, "{\"backend\":\"custom\",\"url\":");
    buf_append_json(out, str_of(custom->label));
    buf_printf(out, ",\"elements\":%zu,\"bad_elements\":%zu,\"is_failing\":%s}", custom->elements,
               custom->bad_elements, custom->failure == FAILURE_NONE ? "false" : "true");
}

static const struct backend_ops OPS = {
    .name = "custom",
    .start = start,
    .stop = stop,
    .free = custom_free,
    .deregister = unregistered_deregister,
    .restore = restore,
    .write_identity = write_identity,
    .data_age_ms = data_age_ms,
    .write_metrics = write_metrics,
    .write_json = write_json,
};

// What may stand in a URL stays as it is, everything else is escaped.
static void append_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c > ' ' && c < 0x7f)
            buf_append_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static int set_url(struct custom *custom)
{
    const struct custom_config *config = custom->config;
    struct buf text;
    buf_init(&text, 16 * 1024);
    buf_init(&custom->path, 16 * 1024);
    const char *scheme = config->is_plain ? "http" : "https";
    buf_printf(&text, "%s://%.*s", scheme, STR_FMT(config->host));
    if (buf_status(&text) == 0)
        custom->settings.base_url = str_dup(buf_str(&text));
    buf_append_char(&custom->path, '/');
    append_escaped(&custom->path, config->path);
    struct str shown = str_from(config->host, (size_t)(str_rfind_char(config->host, '@') + 1));
    ptrdiff_t query = str_find_char(buf_str(&custom->path), '?');
    buf_clear(&text);
    buf_printf(&text, "%s://%.*s%.*s", scheme, STR_FMT(shown),
               STR_FMT(str_upto(buf_str(&custom->path), (size_t)query)));
    if (buf_status(&text) == 0)
        custom->label = str_dup(buf_str(&text));
    buf_fini(&text);
    if (config->query_params.len > 0) {
        buf_append_char(&custom->path, '?');
        append_escaped(&custom->path, config->query_params);
    }
    return custom->settings.base_url && custom->label ? buf_status(&custom->path) : ERR_NOMEM;
}

struct backend *custom_backend_new(struct uv_loop_s *loop, const struct custom_config *config,
                                   struct feed *feed, struct problems *problems, struct err *err)
{
    struct custom *custom = mem_zalloc(sizeof *custom);
    if (!custom) {
        err_set(err, ERR_NOMEM, "custom back end: %s", err_text(ERR_NOMEM));
        return NULL;
    }
    custom->backend = (struct backend){.ops = &OPS, .self = custom};
    custom->config = config;
    custom->feed = feed;
    custom->problems = problems;
    custom->retry_ms = FIRST_RETRY_MS;
    custom->settings.is_https = !config->is_plain;
    custom->settings.skips_tls_verify = config->skips_tls_verify;
    custom->settings.redirects_max = REDIRECTS_MAX;
    // A server with a single thread would wait on a connection that is kept.
    custom->settings.closes_connections = true;
    int status = set_url(custom);
    if (status == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        status = ERR_NOMEM;
    if (status == 0) {
        custom->client = http_client_new(loop, &custom->settings, 1);
        status = custom->client ? 0 : ERR_NOMEM;
    }
    if (status < 0) {
        err_set(err, status, "custom back end: %s", err_text(status));
        custom_free(custom);
        return NULL;
    }
    uv_timer_init(loop, &custom->timer);
    custom->timer.data = custom;
    return &custom->backend;
}
