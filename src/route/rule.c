// SPDX-License-Identifier: Apache-2.0
// A rule is one allocation: the struct, the arrays of tags and options, then all text. The set of
// all rules is the one thing that the layer keeps for the whole process; it frees itself with the
// last rule.
#include "route/rule.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "route/def.h"
#include "route/glob.h"
#include "text.h"

static struct index rules;

enum { ACCESS_PROBLEM_ROOM = 128 }; // of the words around the item that is at fault

// The spec taken apart, before there is memory for it.
struct parts {
    const struct route_def_spec *spec;
    struct str host;
    struct str path;
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
    return 0;
}

static int check_path(const struct parts *parts, struct err *err)
{
    if (!glob_is_pattern(parts->path))
        return 0;
    struct glob *glob = glob_new(parts->path, err);
    if (!glob)
        return err_wrap(err, "path");
    glob_free(glob);
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
    if (!is_path && value.len > 0 && !text_is_authority(value))
        return err_set(
            err, ERR_INVALID,
            "option host: not a name or address, with or without port, that can be sent");
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

// Copies into the rule's own memory, which was measured by room_for.
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
    size_t room = spec->service.len + parts->host.len + parts->path.len + spec->source_text.len + 4;
    for (size_t i = 0; i < spec->tag_count; i++)
        room += spec->tags[i].len + 1;
    if (parts->net_count > 0)
        room += parts->access_len + ACCESS_PROBLEM_ROOM;
    if (parts->option_count == 0)
        return room;
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

static void write_options(struct route_rule *rule, struct writer *w, struct str opts)
{
    struct str rest = opts, field, key, value;
    char *joined = w->at;
    while (text_field_next(&rest, &field)) {
        if (w->at > joined)
            *w->at++ = ' ';
        memcpy(w->at, field.ptr, field.len);
        w->at += field.len;
    }
    rule->opts = str_make(joined, (size_t)(w->at - joined));
    *w->at++ = '\0';
    rest = rule->opts;
    size_t count = 0;
    while (text_field_next(&rest, &field)) {
        split_option(field, &key, &value);
        struct str key_copy = write_str(w, key);
        rule->options[count++] = (struct route_option){key_copy, write_str(w, value)};
    }
    qsort(rule->options, count, sizeof rule->options[0], compare_keys);
    rule->option_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !str_eq(rule->options[i].key, rule->options[i - 1].key))
            rule->options[rule->option_count++] = rule->options[i];
    }
}

static struct str option_value(const struct route_rule *rule, struct str key)
{
    for (size_t i = 0; i < rule->option_count; i++) {
        if (str_eq(rule->options[i].key, key))
            return rule->options[i].value;
    }
    return STR("");
}

static void read_access(struct route_rule *rule, struct ip_net *nets, struct writer *w)
{
    struct str bad_item;
    access_parse(&rule->access, option_value(rule, STR("allow")), option_value(rule, STR("deny")),
                 nets, &bad_item);
    if (rule->access.kind != ACCESS_CLOSED)
        return;
    rule->access_problem =
        STR("allow and deny exclude each other on one route: all requests are answered 403");
    if (!bad_item.ptr)
        return;
    char *text = w->at;
    write_part(w, STR("allow or deny: \""));
    write_part(w, bad_item);
    write_part(w, STR("\" is not ip:ADDRESS or ip:ADDRESS/BITS: all requests are answered 403"));
    rule->access_problem = str_make(text, (size_t)(w->at - text));
    *w->at++ = '\0';
}

// Between ';' or '|' as in allow, as a comma ends nothing in a tag.
static void read_retry(struct route_rule *rule, struct str value)
{
    size_t from = 0;
    for (size_t i = 0; i <= value.len && value.len > 0; i++) {
        if (i < value.len && !memchr(",;|", value.ptr[i], 3))
            continue;
        uint64_t status;
        struct str item = str_make(value.ptr + from, i - from);
        uint8_t bit = str_to_u64(item, &status) && status < 600 ? route_retry_bit((int)status) : 0;
        rule->retried_statuses |= bit;
        rule->has_bad_retry = rule->has_bad_retry || bit == 0;
        from = i + 1;
    }
}

static void read_unhealthy(struct route_rule *rule, struct str value)
{
    static const struct {
        const char *word;
        enum route_unhealthy unhealthy;
    } WORDS[] = {
        {"503", ROUTE_UNHEALTHY_503},
        {"drop", ROUTE_UNHEALTHY_DROP},
        {"failopen", ROUTE_UNHEALTHY_FAILOPEN},
    };
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        if (str_eq(value, str_of(WORDS[i].word)))
            rule->unhealthy = (uint8_t)WORDS[i].unhealthy;
    }
    rule->has_bad_unhealthy = value.len > 0 && rule->unhealthy == ROUTE_UNHEALTHY_DEFAULT;
}

static void read_options(struct route_rule *rule)
{
    read_unhealthy(rule, option_value(rule, STR("unhealthy")));
    read_retry(rule, option_value(rule, STR("retry")));
    rule->strip = option_value(rule, STR("strip"));
    rule->prepend = option_value(rule, STR("prepend"));
    rule->host_option = option_value(rule, STR("host"));
    rule->auth = option_value(rule, STR("auth"));
    rule->register_name = option_value(rule, STR("register"));
    rule->skips_tls_verify = str_eq(option_value(rule, STR("tlsskipverify")), STR("true"));
    rule->sends_proxy_header = str_eq(option_value(rule, STR("pxyproto")), STR("true"));
    uint64_t code;
    if (str_to_u64(option_value(rule, STR("redirect")), &code) && code >= 300 && code <= 399)
        rule->redirect_code = (uint16_t)code;
}

static bool has_weight(const struct route_def_spec *spec)
{
    return spec->has_weight && spec->weight >= 0;
}

static double weight_of(const struct route_def_spec *spec)
{
    return has_weight(spec) ? spec->weight : 0;
}

static struct route_rule *rule_new(const struct parts *parts)
{
    const struct route_def_spec *spec = parts->spec;
    size_t arrays = spec->tag_count * sizeof(struct str) +
                    parts->option_count * sizeof(struct route_option) +
                    parts->net_count * sizeof(struct ip_net);
    struct route_rule *rule = mem_zalloc(sizeof *rule + arrays + room_for(parts));
    if (!rule)
        return NULL;
    rule->link.refs = 1;
    rule->tags = (struct str *)(rule + 1);
    rule->tag_count = spec->tag_count;
    rule->options = (struct route_option *)(void *)(rule->tags + spec->tag_count);
    struct ip_net *nets = (struct ip_net *)(void *)(rule->options + parts->option_count);
    struct writer w = {(char *)(nets + parts->net_count)};
    // Host and path side by side: "host\0path" is the key that routes are found under.
    rule->host = write_lower(&w, parts->host);
    rule->path = write_str(&w, parts->path);
    rule->service = write_str(&w, spec->service);
    for (size_t i = 0; i < spec->tag_count; i++)
        rule->tags[i] = write_str(&w, spec->tags[i]);
    rule->has_weight = has_weight(spec);
    rule->weight = weight_of(spec);
    if (parts->option_count > 0)
        write_options(rule, &w, spec->opts);
    else
        rule->opts = STR("");
    read_options(rule);
    read_access(rule, nets, &w);
    rule->source_text = write_optional(&w, spec->source_text);
    return rule;
}

static uint64_t hash_spec(const struct route_def_spec *spec)
{
    double weight = weight_of(spec);
    uint64_t hash = hash_bytes(&weight, sizeof weight, has_weight(spec));
    const struct str parts[] = {spec->service, spec->src, spec->opts, spec->source_text};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        hash = hash_str(parts[i], hash);
    for (size_t i = 0; i < spec->tag_count; i++)
        hash = hash_str(spec->tags[i], hash);
    return hash;
}

bool route_rule_has_tags(const struct route_rule *rule, const struct str *tags, size_t count)
{
    if (rule->tag_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(rule->tags[i], tags[i]))
            return false;
    }
    return true;
}

// Options that were written otherwise make another rule, even if they say the same.
static bool is_made_of(const struct route_rule *rule, const struct parts *parts)
{
    const struct route_def_spec *spec = parts->spec;
    return str_eq(rule->service, spec->service) && str_ieq(rule->host, parts->host) &&
           str_eq(rule->path, parts->path) && str_eq(rule->opts, spec->opts) &&
           str_eq(rule->source_text, spec->source_text) && rule->has_weight == has_weight(spec) &&
           route_weight_eq(rule->weight, weight_of(spec)) &&
           route_rule_has_tags(rule, spec->tags, spec->tag_count);
}

bool route_rule_eq(const struct route_rule *a, const struct route_rule *b)
{
    return a == b ||
           (str_eq(a->service, b->service) && str_eq(a->host, b->host) &&
            str_eq(a->path, b->path) && str_eq(a->opts, b->opts) &&
            str_eq(a->source_text, b->source_text) && a->has_weight == b->has_weight &&
            route_weight_eq(a->weight, b->weight) && route_rule_has_tags(a, b->tags, b->tag_count));
}

static struct route_rule *rule_of(struct index_link *link)
{
    return CONTAINER_OF(link, struct route_rule, link);
}

static void rule_free(struct route_rule *rule)
{
    mem_free(rule);
    if (rules.count == 0)
        index_fini(&rules);
}

const struct route_rule *route_rule_get(const struct route_def_spec *spec, struct err *err)
{
    struct parts parts = {.spec = spec};
    if (check_service(spec->service, err) != 0 || split_src(&parts, err) != 0)
        return NULL;
    uint64_t hash = hash_spec(spec);
    for (struct index_link *at = index_first(&rules, hash); at; at = index_again(at)) {
        if (is_made_of(rule_of(at), &parts))
            return route_rule_ref(rule_of(at));
    }
    if (check_path(&parts, err) != 0 || check_options(&parts, err) != 0)
        return NULL;
    struct route_rule *rule = rule_new(&parts);
    if (rule && index_add(&rules, &rule->link, hash) == 0)
        return rule;
    if (rule)
        rule_free(rule);
    err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    return NULL;
}

// Only the control thread counts, so that nobody sees what is not const about it.
static struct route_rule *counted(const struct route_rule *rule)
{
    return (struct route_rule *)(uintptr_t)rule;
}

const struct route_rule *route_rule_ref(const struct route_rule *rule)
{
    counted(rule)->link.refs++;
    return rule;
}

void route_rule_unref(const struct route_rule *rule)
{
    if (!rule || --counted(rule)->link.refs > 0)
        return;
    index_remove(&rules, &counted(rule)->link);
    rule_free(counted(rule));
}
