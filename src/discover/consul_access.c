// SPDX-License-Identifier: Apache-2.0
// 1. /v1/status/leader, which needs no permission: can the agent be reached, is there a leader?
// 2. /v1/catalog/services: is the token known, are datacenter, namespace and partition?
// 3. /v1/internal/acl/authorize: Consul's own verdict on each permission. An agent without ACLs
//    answers 401: everything is granted. One that has no such endpoint leaves them unknown.
// 4. The two KV reads for real: with acl.enable_key_list_policy a key that may be read may still
// not
//    be listed, and then Consul answers 403.
#include "discover/consul_access.h"

#include <stdlib.h>
#include <uv.h>

#include "base/mem.h"
#include "discover/consul_config.h"
#include "discover/http_client.h"
#include "discover/json.h"

enum { ASK_TIMEOUT_MS = 10 * 1000, PERMISSIONS_MAX = 8 };

enum verdict { VERDICT_UNKNOWN, VERDICT_GRANTED, VERDICT_MISSING };

struct permission {
    const char *resource; // as /v1/internal/acl/authorize names it
    const char *access;
    struct str segment;
    bool is_exact; // the rule names the segment itself, not a prefix
    const char *purpose;
    enum need need;
    enum verdict verdict;
};

struct asker {
    const struct consul_config *config;
    struct consul_settings settings;
    struct http_client *client;
    uv_loop_t loop;
    struct permission permissions[PERMISSIONS_MAX];
    size_t count;
    // The answer to the last question.
    bool is_answered;
    int status;
    struct buf body;
    char failure[160];
};

static const char *get_env(const char *name)
{
    return getenv(name);
}

// --- one question at a time ---

static void on_answer(void *ctx, const struct http_response *response)
{
    struct asker *asker = ctx;
    asker->is_answered = true;
    asker->status = response->status;
    buf_append_str(&asker->body, response->body);
    if (response->status == 0)
        snprintf(asker->failure, sizeof asker->failure, "%s", response->failure);
}

// 0 when there is an answer of whatever status.
static int ask(struct asker *asker, const char *method, struct str path, struct str body,
               struct err *err)
{
    asker->is_answered = false;
    buf_clear(&asker->body);
    const struct http_request request = {.pool = HTTP_SHORT,
                                         .method = method,
                                         .path = path,
                                         .body = body,
                                         .timeout_ms = ASK_TIMEOUT_MS,
                                         .on_done = on_answer,
                                         .ctx = asker};
    if (!http_client_send(asker->client, &request))
        return err_set(err, ERR_NOMEM, "consul: %s", err_text(ERR_NOMEM));
    while (!asker->is_answered)
        uv_run(&asker->loop, UV_RUN_ONCE);
    if (buf_status(&asker->body))
        return err_set(err, ERR_NOMEM, "consul: %s", err_text(buf_status(&asker->body)));
    if (asker->status == 0)
        return err_set(err, ERR_IO, "consul: %.*s cannot be reached: %s",
                       (int)MIN(asker->config->addr.len, 80), asker->config->addr.ptr,
                       asker->failure);
    return 0;
}

static int ask_path(struct asker *asker, const char *method, const char *path, struct str name,
                    const char *query, struct str body, struct err *err)
{
    struct buf full;
    buf_init(&full, 8192);
    consul_settings_path(&asker->settings, &full, path, name, query);
    int rc = buf_status(&full) ? err_set(err, buf_status(&full), "consul: path too long")
                               : ask(asker, method, buf_str(&full), body, err);
    buf_fini(&full);
    return rc;
}

static int fail_answer(const struct asker *asker, const char *what, struct err *err)
{
    struct str body = str_trim(buf_str(&asker->body));
    return err_set(err, asker->status == 403 ? ERR_DENIED : ERR_IO, "consul: %s: %d %.*s", what,
                   asker->status, (int)MIN(body.len, 120), body.ptr ? body.ptr : "");
}

// --- what is needed ---

static struct str without_slash(struct str path)
{
    return str_starts_with(path, STR("/")) ? str_from(path, 1) : path;
}

static void need_permission(struct asker *asker, struct permission permission)
{
    BUG_ON(asker->count == PERMISSIONS_MAX);
    asker->permissions[asker->count++] = permission;
}

static void list_permissions(struct asker *asker, enum need kv_write)
{
    const struct consul_config *config = asker->config;
    struct str kv = without_slash(config->kv_path);
    struct str page = without_slash(config->noroute_path);
    need_permission(asker, (struct permission){"service", "read", STR(""), false,
                                               "services, their tags and their health",
                                               NEED_REQUIRED, VERDICT_UNKNOWN});
    need_permission(asker, (struct permission){"node", "read", STR(""), false,
                                               "the nodes of instances; without it Consul leaves "
                                               "the instances out",
                                               NEED_REQUIRED, VERDICT_UNKNOWN});
    need_permission(asker, (struct permission){"key", "read", kv, false, "manual routes",
                                               NEED_REQUIRED, VERDICT_UNKNOWN});
    need_permission(asker, (struct permission){"key", "read", page, false,
                                               "page for requests without a route", NEED_REQUIRED,
                                               VERDICT_UNKNOWN});
    if (kv_write != NEED_NONE)
        need_permission(asker,
                        (struct permission){"key", "write", kv, false, "overrides saved in the UI",
                                            kv_write, VERDICT_UNKNOWN});
    if (config->registers)
        need_permission(asker, (struct permission){"service", "write", config->register_name, true,
                                                   "registration of this process", NEED_REQUIRED,
                                                   VERDICT_UNKNOWN});
}

// --- Consul's verdict ---

static void write_question(const struct asker *asker, struct buf *out)
{
    for (size_t i = 0; i < asker->count; i++) {
        const struct permission *at = &asker->permissions[i];
        buf_printf(out, "%c{\"Resource\":\"%s\",\"Access\":\"%s\",\"Segment\":", i ? ',' : '[',
                   at->resource, at->access);
        buf_append_json(out, at->segment);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

// The verdicts stand in the order of the questions.
static int take_verdicts(struct asker *asker, struct err *err)
{
    int error = 0;
    cJSON *json = json_parse(buf_str(&asker->body), &error);
    int rc = 0;
    if (!cJSON_IsArray(json) || (size_t)cJSON_GetArraySize(json) != asker->count)
        rc = err_set(err, ERR_IO, "consul: its verdict on the token is no list of %zu",
                     asker->count);
    const cJSON *item = rc == 0 ? json->child : NULL;
    for (size_t i = 0; item; item = item->next, i++) {
        bool is_allowed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "Allow"));
        asker->permissions[i].verdict = is_allowed ? VERDICT_GRANTED : VERDICT_MISSING;
    }
    cJSON_Delete(json);
    return rc;
}

static int ask_verdicts(struct asker *asker, struct buf *report, struct err *err)
{
    struct buf question;
    buf_init(&question, 16 * 1024);
    write_question(asker, &question);
    int rc = buf_status(&question)
                 ? err_set(err, buf_status(&question), "consul: names too long to ask about")
                 : ask_path(asker, "POST", "internal/acl/authorize", STR(""), "",
                            buf_str(&question), err);
    buf_fini(&question);
    if (rc)
        return rc;
    if (asker->status == 200)
        return take_verdicts(asker, err);
    if (asker->status == 401) {
        buf_append_cstr(report, "consul: ACLs are not enabled\n");
        for (size_t i = 0; i < asker->count; i++)
            asker->permissions[i].verdict = VERDICT_GRANTED;
        return 0;
    }
    if (asker->status == 404 || asker->status == 405)
        return 0; // an agent that is too old to tell
    return fail_answer(asker, "verdict on the token", err);
}

// Reads each key prefix for real; 403 overrules what the verdict said of reading.
static int read_keys(struct asker *asker, struct err *err)
{
    for (size_t i = 0; i < asker->count; i++) {
        struct permission *at = &asker->permissions[i];
        if (strcmp(at->resource, "key") != 0 || strcmp(at->access, "read") != 0)
            continue;
        int rc = ask_path(asker, "GET", "kv/", at->segment, "recurse=&keys=&", STR(""), err);
        if (rc)
            return rc;
        if (asker->status == 403 && at->verdict != VERDICT_MISSING) {
            at->access = "list"; // acl.enable_key_list_policy
            at->verdict = VERDICT_MISSING;
        } else if (asker->status != 200 && asker->status != 403 && asker->status != 404) {
            return fail_answer(asker, "reading KV", err);
        }
    }
    return 0;
}

static void print_permission(const struct permission *at, struct buf *report)
{
    const char *word = at->verdict == VERDICT_GRANTED   ? "granted"
                       : at->verdict == VERDICT_UNKNOWN ? "unknown"
                       : at->need == NEED_OPTIONAL      ? "optional"
                                                        : "missing";
    char rule[300];
    snprintf(rule, sizeof rule, "%s%s \"%.*s\" { policy = \"%s\" }", at->resource,
             at->is_exact ? "" : "_prefix", (int)MIN(at->segment.len, 200),
             at->segment.ptr ? at->segment.ptr : "", at->access);
    buf_printf(report, "%-8s  %-52s  # %s\n", word, rule, at->purpose);
}

static int judge(const struct asker *asker, struct buf *report, struct err *err)
{
    unsigned missing = 0;
    for (size_t i = 0; i < asker->count; i++) {
        const struct permission *at = &asker->permissions[i];
        print_permission(at, report);
        missing += at->verdict == VERDICT_MISSING && at->need == NEED_REQUIRED;
    }
    if (missing)
        return err_set(err, ERR_DENIED,
                       "consul: %u permission%s missing; add the rules above to "
                       "the policy of the token",
                       missing, missing == 1 ? " is" : "s are");
    return 0;
}

static int interview(struct asker *asker, struct buf *report, struct err *err)
{
    int rc = ask(asker, "GET", STR("/v1/status/leader"), STR(""), err);
    if (rc)
        return rc;
    struct str leader = str_trim(buf_str(&asker->body));
    if (asker->status != 200 || leader.len <= 2) // "" in quotes
        return fail_answer(asker, "there is no leader", err);
    buf_printf(report, "consul: %.*s answers, its leader is %.*s\n", STR_FMT(asker->config->addr),
               (int)MIN(leader.len - 2, (size_t)80), leader.ptr + 1);
    rc = ask_path(asker, "GET", "catalog/services", STR(""), "stale=&", STR(""), err);
    if (rc == 0 && asker->status != 200)
        rc = fail_answer(asker, "reading the catalog", err);
    if (rc == 0)
        rc = ask_verdicts(asker, report, err);
    if (rc == 0)
        rc = read_keys(asker, err);
    return rc ? rc : judge(asker, report, err);
}

int consul_access_check_settings(const struct consul_config *config, struct err *err)
{
    struct consul_settings settings;
    int rc = consul_settings_init(&settings, config, get_env, err);
    if (rc == 0)
        consul_settings_fini(&settings);
    return rc;
}

static void on_closed(void *ctx)
{
    (void)ctx;
}

int consul_access_report(const struct consul_config *config, enum need kv_write, struct buf *report,
                         struct err *err)
{
    struct asker *asker = mem_zalloc(sizeof *asker);
    if (!asker)
        return err_set(err, ERR_NOMEM, "consul: %s", err_text(ERR_NOMEM));
    asker->config = config;
    buf_init(&asker->body, HTTP_BODY_MAX);
    int rc = consul_settings_init(&asker->settings, config, get_env, err);
    if (rc)
        goto free_asker;
    if (uv_loop_init(&asker->loop) != 0) {
        rc = err_set(err, ERR_NOMEM, "cannot create an event loop");
        goto free_settings;
    }
    asker->client = http_client_new(&asker->loop, &asker->settings.http, 1);
    if (asker->client) {
        list_permissions(asker, kv_write);
        rc = interview(asker, report, err);
        http_client_close(asker->client, on_closed, NULL);
    } else {
        rc = err_set(err, ERR_NOMEM, "consul: %s", err_text(ERR_NOMEM));
    }
    uv_run(&asker->loop, UV_RUN_DEFAULT);
    uv_loop_close(&asker->loop);
free_settings:
    consul_settings_fini(&asker->settings);
free_asker:
    buf_fini(&asker->body);
    mem_free(asker);
    return rc;
}
