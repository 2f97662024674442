// SPDX-License-Identifier: Apache-2.0
// What single options mean beyond their type. Each function has its row in options_table.c.
#include "app/address.h"
#include "options_row.h"

static int out_of_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static struct str text_of(const struct option_storage *storage, const char *key)
{
    return option_value(storage, key)->text;
}

static uint32_t duration_of(const struct option_storage *storage, const char *key)
{
    uint32_t ms = 0;
    // The text has passed the same check before.
    return value_to_duration_ms(text_of(storage, key), &ms) ? ms : 0;
}

static bool flag_of(const struct option_storage *storage, const char *key)
{
    bool is_set = false;
    return value_to_bool(text_of(storage, key), &is_set) && is_set;
}

static int parse_protocol(struct str name, enum listener_proto *proto, struct err *err)
{
    static const char *const NAMES[] = {"http",    "https",       "tcp",
                                        "tcp+sni", "tcp-dynamic", "https+tcp+sni",
                                        "grpc",    "grpcs",       "prometheus"};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (str_eq(name, str_of(NAMES[i]))) {
            *proto = (enum listener_proto)i;
            return i == LISTENER_HTTP ? 0 : err_set(err, ERR_UNSUPPORTED, "proto=%s", NAMES[i]);
        }
    }
    return err_set(err, ERR_INVALID, "unknown protocol \"%.*s\"", (int)MIN(name.len, 40), name.ptr);
}

static int parse_duration_pair(const struct value_pair *pair, uint32_t *ms, struct err *err)
{
    if (value_to_duration_ms(pair->value, ms))
        return 0;
    return err_set(err, ERR_INVALID, "%.*s: \"%.*s\" is not a duration like 30s or 1m30s",
                   STR_FMT(pair->key), (int)MIN(pair->value.len, 40), pair->value.ptr);
}

static int apply_pair(struct listener_config *listener, const struct value_pair *pair,
                      struct err *err)
{
    static const char *const TLS_KEYS[] = {"strictmatch", "tlsmin", "tlsmax", "tlsciphers"};
    struct str key = pair->key;
    uint32_t unused;
    if (key.len == 0 || str_eq(key, STR("addr"))) {
        listener->addr = pair->value;
        return 0;
    }
    if (str_eq(key, STR("proto")))
        return parse_protocol(pair->value, &listener->proto, err);
    if (str_eq(key, STR("rt")))
        return parse_duration_pair(pair, &listener->read_timeout_ms, err);
    if (str_eq(key, STR("wt")))
        return parse_duration_pair(pair, &listener->write_timeout_ms, err);
    if (str_eq(key, STR("it")))
        return parse_duration_pair(pair, &listener->idle_timeout_ms, err);
    if (str_eq(key, STR("pxytimeout")) || str_eq(key, STR("refresh")))
        return parse_duration_pair(pair, &unused, err);
    if (str_eq(key, STR("cs")))
        return err_set(err, ERR_UNSUPPORTED, "cs (TLS)");
    if (str_eq(key, STR("pxyproto")))
        return str_eq(pair->value, STR("true")) ? err_set(err, ERR_UNSUPPORTED, "pxyproto=true")
                                                : 0;
    for (size_t i = 0; i < ARRAY_LEN(TLS_KEYS); i++) {
        if (str_eq(key, str_of(TLS_KEYS[i])))
            return 0; // without TLS they say nothing
    }
    return err_set(err, ERR_INVALID, "unknown key \"%.*s\"", (int)MIN(key.len, 40), key.ptr);
}

static int apply_entry(struct arena *arena, struct listener_config *listener,
                       const struct value_entry *entry, struct err *err)
{
    for (size_t i = 0; i < entry->count; i++) {
        int rc = apply_pair(listener, &entry->pairs[i], err);
        if (rc)
            return rc;
    }
    listener->addr = str_trim(listener->addr);
    if (listener->addr.len == 0)
        return err_set(err, ERR_INVALID, "need listening host:port");
    struct value_pair ignored = {0};
    if (!value_entry_get(entry, STR("it"), &ignored.value))
        listener->idle_timeout_ms = listener->read_timeout_ms;
    int rc = address_expand(arena, listener->addr, &listener->addr, err);
    if (rc == 0)
        rc = address_parse(listener->addr, &listener->sockaddr, err);
    return rc;
}

int option_apply_listeners(struct options *options, struct option_storage *storage,
                           const struct option_row *row, struct err *err)
{
    struct proxy_config *proxy = &options->proxy;
    struct value_entries entries;
    int rc = value_to_entries(&storage->arena, text_of(storage, row->key), &entries, err);
    if (rc)
        return rc;
    if (entries.count > LISTENERS_MAX)
        return err_set(err, ERR_INVALID, "more than %d listeners", LISTENERS_MAX);
    for (size_t i = 0; i < entries.count && rc == 0; i++) {
        struct listener_config *listener = &proxy->listeners[i];
        listener->read_timeout_ms = duration_of(storage, "proxy.readtimeout");
        listener->write_timeout_ms = duration_of(storage, "proxy.writetimeout");
        rc = apply_entry(&storage->arena, listener, &entries.items[i], err);
    }
    proxy->listener_count = (unsigned)entries.count;
    return rc;
}

int option_apply_ui_addr(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    struct value_entries entries;
    int rc = value_to_entries(&storage->arena, text_of(storage, row->key), &entries, err);
    if (rc)
        return rc;
    if (entries.count != 1)
        return err_set(err, ERR_INVALID, "must contain one listener and only one");
    struct listener_config listener = {0};
    rc = apply_entry(&storage->arena, &listener, &entries.items[0], err);
    options->admin.addr = listener.addr;
    return rc;
}

int option_apply_trusted(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    struct proxy_config *proxy = &options->proxy;
    struct str rest = text_of(storage, row->key);
    for (struct str member; value_list_next(&rest, &member);) {
        if (proxy->trusted_count == TRUSTED_NETS_MAX)
            return err_set(err, ERR_INVALID, "more than %d address blocks", TRUSTED_NETS_MAX);
        if (!address_parse_net(member, &proxy->trusted[proxy->trusted_count++]))
            return err_set(err, ERR_INVALID, "\"%.*s\" is not an address block like 10.0.0.0/8",
                           (int)MIN(member.len, 64), member.ptr);
    }
    return 0;
}

int option_apply_local_ip(struct options *options, struct option_storage *storage,
                          const struct option_row *row, struct err *err)
{
    struct str text = text_of(storage, row->key);
    struct str *local_ip = &options->proxy.compose.local_ip;
    if (str_eq(text, STR("auto"))) {
        *local_ip = address_local_ip(&storage->arena);
        return local_ip->ptr ? 0 : out_of_memory(err);
    }
    int rc = address_expand(&storage->arena, text, local_ip, err);
    if (rc == 0 && local_ip->len && !address_is_ip(*local_ip))
        rc = err_set(err, ERR_INVALID, "must be an address");
    return rc;
}

int option_apply_sts(struct options *options, struct option_storage *storage,
                     const struct option_row *row, struct err *err)
{
    int64_t max_age = 0;
    if (!value_to_int(text_of(storage, row->key), &max_age) || max_age == 0)
        return 0;
    char text[96];
    int len = snprintf(text, sizeof text, "max-age=%lld%s%s", (long long)max_age,
                       flag_of(storage, "proxy.header.sts.subdomains") ? "; includeSubdomains" : "",
                       flag_of(storage, "proxy.header.sts.preload") ? "; preload" : "");
    options->proxy.sts_value = arena_str(&storage->arena, str_make(text, (size_t)len));
    return options->proxy.sts_value.ptr ? 0 : out_of_memory(err);
}

int option_apply_backend(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    (void)row;
    if (str_eq(text_of(storage, "registry.backend"), STR("custom")))
        return err_set(err, ERR_UNSUPPORTED, "custom");
    if (options->backend == BACKEND_FILE && options->file.path.len == 0)
        return err_set(err, ERR_INVALID, "registry.file.path is needed too");
    return 0;
}

int option_apply_consul_addr(struct options *options, struct option_storage *storage,
                             const struct option_row *row, struct err *err)
{
    struct str text = str_trim(text_of(storage, row->key));
    bool is_socket = str_starts_with(text, STR("unix://"));
    struct str copy = arena_str(&storage->arena, text);
    if (!copy.ptr)
        return out_of_memory(err);
    if (!is_socket) {
        for (size_t i = 0; i < copy.len; i++)
            ((char *)copy.ptr)[i] = char_lower(copy.ptr[i]);
        size_t scheme = str_starts_with(copy, STR("http://"))    ? 7
                        : str_starts_with(copy, STR("https://")) ? 8
                                                                 : 0;
        ptrdiff_t slash = str_find_char(str_from(copy, scheme), '/');
        if (slash >= 0)
            copy = str_upto(copy, scheme + (size_t)slash);
        text = str_from(copy, scheme);
    }
    if (text.len == 0)
        return err_set(err, ERR_INVALID, "must be host:port or a URL");
    options->consul.addr = copy;
    return 0;
}

int option_apply_kv_path(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    (void)options;
    if (!str_starts_with(text_of(storage, row->key), STR("/")))
        return err_set(err, ERR_INVALID, "must begin with /");
    return 0;
}

int option_apply_register_addr(struct options *options, struct option_storage *storage,
                               const struct option_row *row, struct err *err)
{
    struct arena *arena = &storage->arena;
    struct str text = text_of(storage, row->key);
    if (text.len == 0)
        text = options->admin.addr;
    struct str host;
    uint16_t port;
    int rc = address_expand(arena, text, &text, err);
    if (rc == 0)
        rc = address_split(text, &host, &port, err);
    if (rc)
        return rc;
    if (!address_is_ip(host)) {
        host = address_local_ip(arena);
        if (!host.ptr)
            return out_of_memory(err);
        if (host.len == 0)
            host = STR("127.0.0.1");
    }
    char addr[128];
    bool is_ipv6 = str_find_char(host, ':') >= 0;
    int len = snprintf(addr, sizeof addr, is_ipv6 ? "[%.*s]:%u" : "%.*s:%u", STR_FMT(host), port);
    options->consul.register_addr = arena_str(arena, str_make(addr, (size_t)len));
    return options->consul.register_addr.ptr ? 0 : out_of_memory(err);
}

int option_apply_consistency(struct options *options, struct option_storage *storage,
                             const struct option_row *row, struct err *err)
{
    (void)row;
    const struct option_value *stale = option_value(storage, "registry.consul.allowStale");
    if (!options->consul.is_consistent)
        return 0;
    if (options->consul.allows_stale && stale->source != SOURCE_DEFAULT)
        return err_set(err, ERR_INVALID, "cannot be combined with registry.consul.allowStale=true");
    options->consul.allows_stale = false;
    return 0;
}

int option_apply_access_log(struct options *options, struct option_storage *storage,
                            const struct option_row *row, struct err *err)
{
    static const char *const NAMES[] = {"common", "combined", "json"};
    struct str text = text_of(storage, row->key);
    bool is_on = text_of(storage, "log.access.target").len != 0;
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (str_eq(text, str_of(NAMES[i]))) {
            options->proxy.access_log =
                is_on ? (enum access_log_format)(ACCESS_LOG_COMMON + i) : ACCESS_LOG_OFF;
            return 0;
        }
    }
    if (str_find_char(text, '$') >= 0)
        return err_set(err, ERR_UNSUPPORTED, "a format of one's own");
    return err_set(err, ERR_INVALID, "must be common, combined or json");
}

int option_apply_access_target(struct options *options, struct option_storage *storage,
                               const struct option_row *row, struct err *err)
{
    (void)options;
    struct str text = text_of(storage, row->key);
    if (text.len == 0 || str_eq(text, STR("stdout")))
        return 0;
    return err_set(err, ERR_INVALID, "must be stdout or empty");
}

int option_apply_log_level(struct options *options, struct option_storage *storage,
                           const struct option_row *row, struct err *err)
{
    if (log_level_parse(text_of(storage, row->key), &options->log_level))
        return 0;
    return err_set(err, ERR_INVALID, "must be TRACE, DEBUG, INFO, WARN, ERROR or FATAL");
}

int option_apply_routes_log(struct options *options, struct option_storage *storage,
                            const struct option_row *row, struct err *err)
{
    static const char *const NAMES[] = {"delta", "all", "detail"};
    struct str text = text_of(storage, row->key);
    if (text.len == 0)
        return 0;
    option_warn(storage, "proxy.log.routes is an old name; use log.routes.format");
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (str_eq(text, str_of(NAMES[i]))) {
            options->feed.log_format = (enum routes_log_format)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "must be delta, all or detail");
}

int option_apply_metrics_target(struct options *options, struct option_storage *storage,
                                const struct option_row *row, struct err *err)
{
    (void)options;
    static const char *const LATER[] = {"stdout", "graphite", "statsd", "dogstatsd", "circonus"};
    struct str rest = text_of(storage, row->key);
    for (struct str member; value_list_next(&rest, &member);) {
        for (size_t i = 0; i < ARRAY_LEN(LATER); i++) {
            if (str_eq(member, str_of(LATER[i])))
                return err_set(err, ERR_UNSUPPORTED, "%s", LATER[i]);
        }
        if (!str_eq(member, STR("prometheus")))
            return err_set(err, ERR_INVALID, "must be prometheus or empty");
    }
    return 0;
}

int option_apply_ui_path(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    struct str text = text_of(storage, row->key);
    if (text.len && *text.ptr != '/')
        return err_set(err, ERR_INVALID, "must begin with /");
    while (str_ends_with(text, STR("/")))
        text.len--;
    options->admin.path = text;
    return 0;
}

int option_apply_header_name(struct options *options, struct option_storage *storage,
                             const struct option_row *row, struct err *err)
{
    (void)options;
    struct str text = text_of(storage, row->key);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_alnum = (c >= '0' && c <= '9') || (char_lower(c) >= 'a' && char_lower(c) <= 'z');
        if (!is_alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return err_set(err, ERR_INVALID, "is not a header name");
    }
    return 0;
}

int option_apply_header_value(struct options *options, struct option_storage *storage,
                              const struct option_row *row, struct err *err)
{
    (void)options;
    struct str text = text_of(storage, row->key);
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return err_set(err, ERR_INVALID, "has a control character");
    }
    return 0;
}

int option_apply_duration_text(struct options *options, struct option_storage *storage,
                               const struct option_row *row, struct err *err)
{
    (void)options;
    uint32_t ms;
    struct str text = text_of(storage, row->key);
    if (text.len == 0 || value_to_duration_ms(text, &ms))
        return 0;
    return err_set(err, ERR_INVALID, "must be a duration like 30s or 1m30s");
}
