// SPDX-License-Identifier: Apache-2.0
// What single options mean beyond their type. Each function has its row in options_table.c.
#include "app/address.h"
#include "app/address_template.h"
#include "base/regexp.h"
#include "options_row.h"
#include "proxy/access_log.h"

static int out_of_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static bool flag_of(const struct option_storage *storage, const char *key)
{
    bool is_set = false;
    return value_to_bool(option_text(storage, key), &is_set) && is_set;
}

// proxy.workers > GOMAXPROCS of the environment > runtime.gomaxprocs, as with fabio; what is no
// number there Go ignores.
int option_apply_gomaxprocs(struct options *options, struct option_storage *storage,
                            const struct option_row *row, struct err *err)
{
    (void)err;
    int64_t number = 0;
    options->worker_source = option_value(storage, "proxy.workers")->origin;
    if (options->proxy.worker_count)
        return 0;
    if (value_to_int(option_environment(storage, "GOMAXPROCS"), &number) && number > 0) {
        options->worker_source = STR("environment GOMAXPROCS");
    } else if (value_to_int(option_text(storage, row->key), &number) && number > 0) {
        options->worker_source = option_value(storage, row->key)->origin;
    } else {
        options->worker_source = STR("the CPUs it may use");
        return 0;
    }
    if (number > WORKERS_MAX)
        option_warn(storage, "%lld workers from %.*s are more than the %d that there can be",
                    (long long)number, STR_FMT(options->worker_source), WORKERS_MAX);
    options->proxy.worker_count = (unsigned)MIN(number, (int64_t)WORKERS_MAX);
    return 0;
}

// There is no BGP speaker, but a peer that fabio would not take is a mistake here too.
int option_apply_bgp_peers(struct options *options, struct option_storage *storage,
                           const struct option_row *row, struct err *err)
{
    (void)options;
    static const char *const NUMBERS[] = {"port", "asn", "multihoplength"};
    struct value_entries entries;
    int rc = option_entries(storage, row, SIZE_MAX, "peers", &entries, err);
    for (size_t i = 0; rc == 0 && i < entries.count; i++) {
        struct str text;
        uint64_t number;
        bool is_set;
        for (size_t j = 0; j < ARRAY_LEN(NUMBERS); j++) {
            if (value_entry_get(&entries.items[i], str_of(NUMBERS[j]), &text) &&
                (!str_to_u64(text, &number) || number > UINT32_MAX))
                return err_set(err, ERR_INVALID, "%s must be a whole number", NUMBERS[j]);
        }
        if (value_entry_get(&entries.items[i], STR("multihop"), &text) &&
            !value_to_bool(text, &is_set))
            return err_set(err, ERR_INVALID, "multihop must be true or false");
    }
    return rc;
}

int option_apply_trusted(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    struct proxy_config *proxy = &options->proxy;
    struct str rest = option_text(storage, row->key);
    for (struct str member; value_list_next(&rest, &member);) {
        if (proxy->trusted_count == TRUSTED_NETS_MAX)
            return err_set(err, ERR_INVALID, "more than %d address blocks", TRUSTED_NETS_MAX);
        if (!ip_net_parse(member, &proxy->trusted[proxy->trusted_count++]))
            return err_set(err, ERR_INVALID, "\"%.*s\" is not an address block like 10.0.0.0/8",
                           (int)MIN(member.len, 64), member.ptr);
    }
    return 0;
}

int option_apply_local_ip(struct options *options, struct option_storage *storage,
                          const struct option_row *row, struct err *err)
{
    struct str text = option_text(storage, row->key);
    struct str *local_ip = &options->proxy.compose.local_ip;
    if (str_eq(text, STR("auto"))) {
        *local_ip = interface_local_ip(&storage->arena);
        return local_ip->ptr ? 0 : out_of_memory(err);
    }
    int rc = address_template_expand(&storage->arena, text, NULL, local_ip, err);
    if (rc == 0 && local_ip->len && !address_is_ip(*local_ip))
        rc = err_set(err, ERR_INVALID, "must be an address");
    return rc;
}

int option_apply_sts(struct options *options, struct option_storage *storage,
                     const struct option_row *row, struct err *err)
{
    int64_t max_age = 0;
    if (!value_to_int(option_text(storage, row->key), &max_age) || max_age == 0)
        return 0;
    char text[96];
    int len = snprintf(text, sizeof text, "max-age=%lld%s%s", (long long)max_age,
                       flag_of(storage, "proxy.header.sts.subdomains") ? "; includeSubdomains" : "",
                       flag_of(storage, "proxy.header.sts.preload") ? "; preload" : "");
    options->proxy.sts_value = arena_str(&storage->arena, str_make(text, (size_t)len));
    return options->proxy.sts_value.ptr ? 0 : out_of_memory(err);
}

int option_apply_consul_addr(struct options *options, struct option_storage *storage,
                             const struct option_row *row, struct err *err)
{
    struct str text = str_trim(option_text(storage, row->key));
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
    if (!is_socket && str_find_char(text, '@') >= 0)
        return err_set(err, ERR_INVALID, "cannot have a user; see registry.consul.token");
    options->consul.addr = copy;
    return 0;
}

int option_apply_kv_path(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    (void)options;
    if (!str_starts_with(option_text(storage, row->key), STR("/")))
        return err_set(err, ERR_INVALID, "must begin with /");
    return 0;
}

int option_apply_register_addr(struct options *options, struct option_storage *storage,
                               const struct option_row *row, struct err *err)
{
    struct arena *arena = &storage->arena;
    struct str text = option_text(storage, row->key);
    if (text.len == 0)
        text = options->admin.addr;
    struct str host;
    uint16_t port;
    int rc = address_template_expand(arena, text, NULL, &text, err);
    if (rc == 0)
        rc = address_split(text, &host, &port, err);
    if (rc)
        return rc;
    if (!address_is_ip(host)) {
        host = interface_local_ip(arena);
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
    const struct access_format *format;
    int rc = access_format_compile(&storage->arena, option_text(storage, row->key), &format, err);
    if (rc == 0 && option_text(storage, "log.access.target").len != 0)
        options->proxy.access_log = format;
    return rc;
}

int option_apply_gzip_types(struct options *options, struct option_storage *storage,
                            const struct option_row *row, struct err *err)
{
    struct str text = option_text(storage, row->key);
    if (text.len == 0)
        return 0;
    int rc = regexp_compile(&storage->arena, text, &options->proxy.gzip_types, err);
    return rc == ERR_INVALID ? err_wrap(err, "invalid expression for content types") : rc;
}

int option_apply_access_target(struct options *options, struct option_storage *storage,
                               const struct option_row *row, struct err *err)
{
    (void)options;
    struct str text = option_text(storage, row->key);
    if (text.len == 0 || str_eq(text, STR("stdout")))
        return 0;
    return err_set(err, ERR_INVALID, "must be stdout or empty");
}

int option_apply_log_level(struct options *options, struct option_storage *storage,
                           const struct option_row *row, struct err *err)
{
    if (log_level_parse(option_text(storage, row->key), &options->log_level))
        return 0;
    return err_set(err, ERR_INVALID, "must be TRACE, DEBUG, INFO, WARN, ERROR or FATAL");
}

int option_apply_routes_log(struct options *options, struct option_storage *storage,
                            const struct option_row *row, struct err *err)
{
    static const char *const NAMES[] = {"delta", "all", "detail"};
    struct str text = option_text(storage, row->key);
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

int option_apply_ui_path(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    struct str text = option_text(storage, row->key);
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
    struct str text = option_text(storage, row->key);
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
    struct str text = option_text(storage, row->key);
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
    struct str text = option_text(storage, row->key);
    if (text.len == 0 || value_to_duration_ms(text, &ms))
        return 0;
    return err_set(err, ERR_INVALID, "must be a duration like 30s or 1m30s");
}
