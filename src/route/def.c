// SPDX-License-Identifier: Apache-2.0
// A definition is one allocation: the struct, the arrays of tags and options, then all text.
#include "route/def.h"

#include <stdlib.h>

#include "base/mem.h"
#include "route/glob.h"
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
    if (def && --def->refs == 0)
        mem_free(def);
}

enum { ACCESS_PROBLEM_ROOM = 128 }; // of the words around the item that is at fault

// The spec taken apart, before there is memory for it.
struct parts {
    const struct route_def_spec *spec;
    struct str host;
    struct str path;
    struct url url;
    size_t option_count; // fields in spec->opts, equal keys included
    size_t opts_len;     // of the fields joined by one space
    size_t net_count;    // address blocks in allow and deny, at most
    size_t access_len;   // of the longest of their values
};

// The host in front of the first '/', and the path from there on; ":1234" is all host.
static int split_src(struct parts *parts, struct err *err)
{
    struct str src = parts->spec->src;
    if (src.len == 0)
        return err_set(err, ERR_INVALID, "route: prefix must not be empty");
    if (text_has_control(src))
        return err_set(err, ERR_INVALID, "route: white space or control byte in host or path");
    ptrdiff_t slash = src.ptr[0] == ':' ? -1 : str_find_char(src, '/');
    parts->host = slash < 0 ? src : str_upto(src, (size_t)slash);
    parts->path = slash < 0 ? STR("/") : str_from(src, (size_t)slash);
    if (src.ptr[0] == ':')
        parts->path = STR("");
    if (!glob_is_pattern(parts->path))
        return 0;
    struct glob *glob = glob_new(parts->path, err);
    if (!glob)
        return err_wrap(err, "path");
    glob_free(glob);
    return 0;
}

static int parse_dst(struct parts *parts, struct err *err)
{
    struct str dst = parts->spec->dst;
    if (dst.len == 0)
        return err_set(err, ERR_INVALID, "route: target must not be empty");
    if (text_has_control(dst))
        return err_set(err, ERR_INVALID,
                       "route: invalid target. White space or control byte in URL");
    if (url_parse(dst, &parts->url, err) != 0)
        return err_wrap(err, "route: invalid target. %.*s", STR_FMT(dst));
    // The query is sent on as it stands.
    if (text_breaks_target(parts->url.query))
        return err_set(err, ERR_INVALID, "route: invalid target. Query must be ASCII");
    return 0;
}

static int check_option(struct str key, struct str value, struct err *err)
{
    bool is_path = str_eq(key, STR("strip")) || str_eq(key, STR("prepend"));
    if (!is_path && !str_eq(key, STR("host")))
        return text_has_control(key) || text_has_control(value)
                   ? err_set(err, ERR_INVALID, "control byte in option")
                   : 0;
    if (text_breaks_target(value) ||
        (str_eq(key, STR("prepend")) && str_find_char(value, '?') >= 0))
        return err_set(
            err, ERR_INVALID,
            "option %.*s: only visible ASCII without '#' (and '?' in prepend) can be sent on",
            STR_FMT(key));
    return 0;
}

static void split_option(struct str field, struct str *key, struct str *value)
{
    ptrdiff_t equals = str_find_char(field, '=');
    *key = equals < 0 ? field : str_upto(field, (size_t)equals);
    *value = equals < 0 ? STR("") : str_from(field, (size_t)equals + 1);
}

static int check_options(struct parts *parts, struct err *err)
{
    struct str rest = parts->spec->opts, field, key, value;
    while (text_field_next(&rest, &field)) {
        split_option(field, &key, &value);
        int rc = check_option(key, value, err);
        if (rc != 0)
            return rc;
        if (str_eq(key, STR("allow")) || str_eq(key, STR("deny"))) {
            parts->net_count += access_room(value);
            parts->access_len = MAX(parts->access_len, value.len);
        }
        parts->opts_len += field.len + (parts->option_count > 0);
        parts->option_count++;
    }
    return 0;
}

static int check_service(struct str service, struct err *err)
{
    if (service.len == 0)
        return err_set(err, ERR_INVALID, "route: service must not be empty");
    if (text_has_control(service))
        return err_set(err, ERR_INVALID, "route: white space or control byte in service name");
    return 0;
}

// Copies into the definition's own memory, which was measured by room_for.
struct writer {
    char *at;
};

static struct str write_str(struct writer *w, struct str s)
{
    char *to = w->at;
    if (s.len)
        memcpy(to, s.ptr, s.len);
    to[s.len] = '\0';
    w->at += s.len + 1;
    return str_make(to, s.len);
}

static struct str write_lower(struct writer *w, struct str s)
{
    char *copy = w->at;
    write_str(w, s);
    for (size_t i = 0; i < s.len; i++)
        copy[i] = char_lower(copy[i]);
    return str_make(copy, s.len);
}

static struct str write_url(struct writer *w, struct str text, const struct url *url)
{
    char *copy = w->at;
    size_t len = url_print(text, url, copy);
    copy[len] = '\0';
    w->at += len + 1;
    return str_make(copy, len);
}

static struct str write_optional(struct writer *w, struct str s)
{
    return s.len == 0 ? STR("") : write_str(w, s);
}

static void write_part(struct writer *w, struct str s)
{
    memcpy(w->at, s.ptr, s.len);
    w->at += s.len;
}

static size_t room_for(const struct parts *parts)
{
    const struct route_def_spec *spec = parts->spec;
    size_t room = spec->service.len + parts->host.len + parts->path.len + 3 * spec->dst.len +
                  parts->url.name.len + parts->url.query.len + spec->instance.len +
                  spec->source_text.len + spec->health_note.len + 9;
    for (size_t i = 0; i < spec->tag_count; i++)
        room += spec->tags[i].len + 1;
    if (parts->net_count > 0)
        room += parts->access_len + ACCESS_PROBLEM_ROOM;
    // Options: as written and taken apart.
    return room + 2 * (parts->opts_len + 1) + 2 * parts->option_count;
}

static int compare_keys(const void *a, const void *b)
{
    const struct route_option *left = a, *right = b;
    int order = str_cmp(left->key, right->key);
    if (order != 0)
        return order;
    // Equal keys: the one written later, which lies behind, comes first and is kept.
    return left->key.ptr > right->key.ptr ? -1 : left->key.ptr < right->key.ptr;
}

static void write_options(struct route_def *def, struct writer *w, struct str opts)
{
    struct str rest = opts, field, key, value;
    char *joined = w->at;
    while (text_field_next(&rest, &field)) {
        if (w->at > joined)
            *w->at++ = ' ';
        memcpy(w->at, field.ptr, field.len);
        w->at += field.len;
    }
    def->opts = str_make(joined, (size_t)(w->at - joined));
    *w->at++ = '\0';
    rest = def->opts;
    size_t count = 0;
    while (text_field_next(&rest, &field)) {
        split_option(field, &key, &value);
        struct str key_copy = write_str(w, key);
        def->options[count++] = (struct route_option){key_copy, write_str(w, value)};
    }
    qsort(def->options, count, sizeof def->options[0], compare_keys);
    def->option_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !str_eq(def->options[i].key, def->options[i - 1].key))
            def->options[def->option_count++] = def->options[i];
    }
}

static struct str option_value(const struct route_def *def, struct str key)
{
    for (size_t i = 0; i < def->option_count; i++) {
        if (str_eq(def->options[i].key, key))
            return def->options[i].value;
    }
    return STR("");
}

static void read_access(struct route_def *def, struct ip_net *nets, struct writer *w)
{
    struct str bad_item;
    access_parse(&def->access, option_value(def, STR("allow")), option_value(def, STR("deny")),
                 nets, &bad_item);
    if (def->access.kind != ACCESS_CLOSED)
        return;
    def->access_problem =
        STR("allow and deny exclude each other on one route: all requests are answered 403");
    if (!bad_item.ptr)
        return;
    char *text = w->at;
    write_part(w, STR("allow or deny: \""));
    write_part(w, bad_item);
    write_part(w, STR("\" is not ip:ADDRESS or ip:ADDRESS/BITS: all requests are answered 403"));
    def->access_problem = str_make(text, (size_t)(w->at - text));
    *w->at++ = '\0';
}

// Between ';' or '|' as in allow, as a comma ends nothing in a tag.
static void read_retry(struct route_def *def, struct str value)
{
    size_t from = 0;
    for (size_t i = 0; i <= value.len && value.len > 0; i++) {
        if (i < value.len && !memchr(",;|", value.ptr[i], 3))
            continue;
        uint64_t status;
        struct str item = str_make(value.ptr + from, i - from);
        uint8_t bit = str_to_u64(item, &status) && status < 600 ? route_retry_bit((int)status) : 0;
        def->retried_statuses |= bit;
        def->has_bad_retry = def->has_bad_retry || bit == 0;
        from = i + 1;
    }
}

static void read_options(struct route_def *def)
{
    read_retry(def, option_value(def, STR("retry")));
    def->strip = option_value(def, STR("strip"));
    def->prepend = option_value(def, STR("prepend"));
    def->host_option = option_value(def, STR("host"));
    def->auth = option_value(def, STR("auth"));
    def->register_name = option_value(def, STR("register"));
    def->skips_tls_verify = str_eq(option_value(def, STR("tlsskipverify")), STR("true"));
    def->sends_proxy_header = str_eq(option_value(def, STR("pxyproto")), STR("true"));
    uint64_t code;
    if (str_to_u64(option_value(def, STR("redirect")), &code) && code >= 300 && code <= 399)
        def->redirect_code = (uint16_t)code;
}

static void read_url(struct route_def *def, const struct url *url, struct writer *w)
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
    def->dst_host = write_optional(w, url->name);
    def->dst_query = write_optional(w, url->query);
    def->dst_port = url->port;
    def->scheme = ROUTE_SCHEME_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(schemes) && url->name.len > 0; i++) {
        if (str_ieq(url->scheme, str_of(schemes[i].name))) {
            def->scheme = schemes[i].scheme;
            def->dst_port = url->port ? url->port : schemes[i].port;
        }
    }
}

struct route_def *route_def_new(const struct route_def_spec *spec, struct err *err)
{
    struct parts parts = {.spec = spec};
    if (check_service(spec->service, err) != 0 || split_src(&parts, err) != 0 ||
        parse_dst(&parts, err) != 0 || check_options(&parts, err) != 0)
        return NULL;

    size_t arrays = spec->tag_count * sizeof(struct str) +
                    parts.option_count * sizeof(struct route_option) +
                    parts.net_count * sizeof(struct ip_net);
    struct route_def *def = mem_zalloc(sizeof *def + arrays + room_for(&parts));
    if (!def) {
        err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        return NULL;
    }
    def->refs = 1;
    def->tags = (struct str *)(def + 1);
    def->tag_count = spec->tag_count;
    def->options = (struct route_option *)(void *)(def->tags + spec->tag_count);
    struct ip_net *nets = (struct ip_net *)(void *)(def->options + parts.option_count);
    struct writer w = {(char *)(nets + parts.net_count)};
    // Host and path side by side: "host\0path" is the key that routes are found under.
    def->host = write_lower(&w, parts.host);
    def->path = write_str(&w, parts.path);
    def->service = write_str(&w, spec->service);
    def->dst = write_url(&w, spec->dst, &parts.url);
    for (size_t i = 0; i < spec->tag_count; i++)
        def->tags[i] = write_str(&w, spec->tags[i]);
    def->has_weight = spec->has_weight && spec->weight >= 0;
    def->weight = def->has_weight ? spec->weight : 0;
    read_url(def, &parts.url, &w);
    if (parts.option_count > 0)
        write_options(def, &w, spec->opts);
    else
        def->opts = STR("");
    read_options(def);
    read_access(def, nets, &w);
    def->instance = write_optional(&w, spec->instance);
    def->source_text = write_optional(&w, spec->source_text);
    def->health = spec->health;
    def->health_note = write_optional(&w, spec->health_note);
    return def;
}

const char *route_def_warning(const struct route_def *def)
{
    bool has_redirect = false;
    if (def->access_problem.len > 0)
        return def->access_problem.ptr; // terminated
    for (size_t i = 0; i < def->option_count; i++)
        has_redirect = has_redirect || str_eq(def->options[i].key, STR("redirect"));
    if (has_redirect && def->redirect_code == 0)
        return "redirect: the code is not a number from 300 to 399; requests are proxied instead";
    if (def->has_bad_retry)
        return "retry: only the statuses 429, 500, 502, 503 and 504 can be tried elsewhere";
    if (def->redirect_code == 0 && def->scheme == ROUTE_SCHEME_OTHER)
        return "the destination is not of the form http://host:port/ and cannot be proxied to";
    return NULL;
}
