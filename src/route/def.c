// SPDX-License-Identifier: Apache-2.0
// A definition is one allocation: the struct, then all text.
#include "route/def.h"

#include "base/mem.h"
#include "text.h"
#include "url.h"

const char *route_health_text(enum route_health health)
{
    switch (health) {
    case ROUTE_UP: return "up";
    case ROUTE_CRITICAL: return "critical";
    case ROUTE_MAINTENANCE: return "maintenance";
    case ROUTE_NODE_DOWN: return "node down";
    }
    return "unknown";
}

struct route_def *route_def_ref(struct route_def *def)
{
    def->refs++;
    return def;
}

void route_def_unref(struct route_def *def)
{
    if (!def || --def->refs > 0)
        return;
    route_rule_unref(def->rule);
    mem_free(def);
}

static int parse_dst(struct str dst, struct url *url, struct err *err)
{
    if (dst.len == 0)
        return err_set(err, ERR_INVALID, "route: target must not be empty");
    if (dst.ptr[0] == '#') // a fragment is not sent, so nothing would be left
        return err_set(err, ERR_INVALID, "route: invalid target. Nothing but a fragment");
    if (text_has_control(dst))
        return err_set(err, ERR_INVALID,
                       "route: invalid target. White space or control byte in URL");
    if (url_parse(dst, url, err) != 0)
        return err_wrap(err, "route: invalid target. %.*s", STR_FMT(dst));
    // The query is sent on as it stands.
    if (text_breaks_target(url->query))
        return err_set(err, ERR_INVALID, "route: invalid target. Query must be ASCII");
    return 0;
}

// Appends a text and its terminator; where it begins.
static size_t put(struct route_def *def, size_t *used, struct str s)
{
    size_t at = *used;
    if (s.len)
        memcpy(def->text + at, s.ptr, s.len);
    def->text[at + s.len] = '\0';
    *used += s.len + 1;
    return at;
}

// Where a part of the destination lies: in its text when that is printed as it was written.
static size_t put_part(struct route_def *def, size_t *used, struct str part, struct str written,
                       bool is_as_written)
{
    if (part.len == 0)
        return 0;
    return is_as_written ? (size_t)(part.ptr - written.ptr) : put(def, used, part);
}

static void read_scheme(struct route_def *def, const struct url *url)
{
    static const struct {
        const char *name;
        enum route_scheme scheme;
        uint16_t port;
    } schemes[] = {
        {"http", ROUTE_SCHEME_HTTP, 80},  {"https", ROUTE_SCHEME_HTTPS, 443},
        {"ws", ROUTE_SCHEME_HTTP, 80},    {"wss", ROUTE_SCHEME_HTTPS, 443},
        {"tcp", ROUTE_SCHEME_TCP, 0},     {"grpc", ROUTE_SCHEME_GRPC, 0},
        {"grpcs", ROUTE_SCHEME_GRPCS, 0},
    };
    def->dst_port = url->port;
    def->scheme = ROUTE_SCHEME_OTHER;
    // The destination may have to be sent as Host: where it cannot be, it is none of ours.
    if (!text_is_host(url->name))
        return;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (str_ieq(url->scheme, str_of(schemes[i].name))) {
            def->scheme = (uint8_t)schemes[i].scheme;
            def->dst_port = url->port ? url->port : schemes[i].port;
        }
    }
}

static void fill(struct route_def *def, const struct route_def_spec *spec, struct str dst,
                 const struct url *url)
{
    *def = (struct route_def){.refs = 1, .health = (uint8_t)spec->health};
    size_t used = 0;
    put(def, &used, dst);
    def->dst_len = (uint16_t)dst.len;
    put(def, &used, spec->instance);
    def->instance_len = (uint16_t)spec->instance.len;
    put(def, &used, spec->health_note);
    def->health_note_len = (uint16_t)spec->health_note.len;
    bool is_as_written = str_eq(dst, spec->dst);
    def->dst_host_at = (uint16_t)put_part(def, &used, url->name, spec->dst, is_as_written);
    def->dst_host_len = (uint16_t)url->name.len;
    def->dst_query_at = (uint16_t)put_part(def, &used, url->query, spec->dst, is_as_written);
    def->dst_query_len = (uint16_t)url->query.len;
    read_scheme(def, url);
}

struct route_def *route_def_new(const struct route_def_spec *spec, struct err *err)
{
    struct url url = {0};
    if (parse_dst(spec->dst, &url, err) != 0)
        return NULL;
    const struct route_rule *rule = route_rule_get(spec, err);
    if (!rule)
        return NULL;
    // Printed beforehand, so that a definition takes the room it needs and no more.
    char room_for_short[512], *printed = room_for_short;
    if (spec->dst.len > sizeof room_for_short / 3)
        printed = mem_alloc(3 * spec->dst.len);
    struct route_def *def = NULL;
    bool is_too_long = false;
    if (printed) {
        struct str dst = str_make(printed, url_print(spec->dst, &url, printed));
        size_t room = dst.len + spec->instance.len + spec->health_note.len + 3;
        if (!str_eq(dst, spec->dst))
            room += url.name.len + 1 + url.query.len + 1;
        is_too_long = room > ROUTE_DEF_TEXT_MAX;
        if (!is_too_long)
            def = mem_alloc(sizeof *def + room);
        if (def)
            fill(def, spec, dst, &url);
    }
    if (printed != room_for_short)
        mem_free(printed);
    if (!def) {
        route_rule_unref(rule);
        if (is_too_long)
            err_set(err, ERR_INVALID, "route: target and origin are longer than %d bytes together",
                    ROUTE_DEF_TEXT_MAX);
        else
            err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        return NULL;
    }
    def->rule = rule;
    return def;
}

const char *route_def_warning(const struct route_def *def)
{
    const struct route_rule *rule = def->rule;
    bool has_redirect = false;
    if (rule->access_problem.len > 0)
        return rule->access_problem.ptr;
    for (size_t i = 0; i < rule->option_count; i++)
        has_redirect = has_redirect || str_eq(rule->options[i].key, STR("redirect"));
    if (has_redirect && rule->redirect_code == 0)
        return "redirect: the code is not a number from 300 to 399; requests are proxied instead";
    if (rule->has_bad_retry)
        return "retry: only the statuses 429, 500, 502, 503 and 504 can be tried elsewhere";
    if (rule->has_bad_unhealthy)
        return "unhealthy: 503, drop or failopen; the option has no effect";
    if (rule->redirect_code == 0 && def->scheme == ROUTE_SCHEME_OTHER)
        return "the destination is not of the form http://host:port/ and cannot be proxied to";
    return NULL;
}
