// SPDX-License-Identifier: Apache-2.0
// Listeners (proxy.addr, ui.addr) and where their certificates come from (proxy.cs). Everything is
// read and judged by fabio's rules, also what is not served yet; only then is a listener refused
// that needs such a thing.
#include "app/address.h"
#include "app/address_template.h"
#include "app/tls_names.h"
#include "options_row.h"

enum { PROXY_HEADER_TIMEOUT_MS = 250, CERT_REFRESH_MS = 3000 }; // fabio's defaults

static int parse_duration_pair(const struct value_pair *pair, uint32_t *ms, struct err *err)
{
    if (value_to_duration_ms(pair->value, ms))
        return 0;
    return err_set(err, ERR_INVALID, "%.*s: \"%.*s\" is not a duration like 30s or 1m30s",
                   STR_FMT(pair->key), (int)MIN(pair->value.len, 40), pair->value.ptr);
}

// --- certificate sources ---

static const char *const CERT_TYPES[] = {"file",   "path",  "http",
                                         "consul", "vault", "vault-pki"}; // as cert_source_type

static int parse_header_pair(struct cert_source *source, struct str text, struct err *err)
{
    ptrdiff_t colon = str_find(text, STR(": "));
    if (colon < 0)
        return err_set(err, ERR_INVALID, "hdr must be \"Name: value\"");
    source->header_name = str_upto(text, (size_t)colon);
    source->header_value = str_from(text, (size_t)colon + 2);
    return 0;
}

static int parse_cert_type(struct cert_source *source, struct str name, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(CERT_TYPES); i++) {
        if (str_eq(name, str_of(CERT_TYPES[i]))) {
            source->type = (enum cert_source_type)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID,
                   "unknown type \"%.*s\": must be file, path, http, consul, vault or vault-pki",
                   (int)MIN(name.len, 40), name.ptr);
}

static int apply_cert_pair(struct cert_source *source, const struct value_pair *pair,
                           struct option_storage *storage, struct err *err)
{
    const struct {
        struct str key;
        struct str *to;
    } texts[] = {
        {STR("cs"), &source->name},
        {STR("cert"), &source->cert},
        {STR("key"), &source->key},
        {STR("clientca"), &source->client_ca},
        {STR("caupgcn"), &source->ca_upgrade_name},
        {STR("vaultfetchtoken"), &source->vault_token_source},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (str_eq(pair->key, texts[i].key)) {
            *texts[i].to = pair->value;
            return 0;
        }
    }
    if (str_eq(pair->key, STR("type")))
        return parse_cert_type(source, pair->value, err);
    if (str_eq(pair->key, STR("refresh")))
        return parse_duration_pair(pair, &source->refresh_ms, err);
    if (str_eq(pair->key, STR("hdr")))
        return parse_header_pair(source, pair->value, err);
    option_warn(storage, "proxy.cs: unknown key \"%.*s\" has no effect",
                (int)MIN(pair->key.len, 40), pair->key.ptr);
    return 0;
}

static int apply_cert_source(struct cert_source *source, const struct value_entry *entry,
                             struct option_storage *storage, struct err *err)
{
    source->refresh_ms = CERT_REFRESH_MS;
    for (size_t i = 0; i < entry->count; i++) {
        int rc = apply_cert_pair(source, &entry->pairs[i], storage, err);
        if (rc)
            return rc;
    }
    struct str type;
    const char *missing = source->name.len == 0                         ? "cs"
                          : source->cert.len == 0                       ? "cert"
                          : !value_entry_get(entry, STR("type"), &type) ? "type"
                                                                        : NULL;
    if (missing)
        return err_set(err, ERR_INVALID, "missing '%s' in certificate source \"%.*s\"", missing,
                       (int)MIN(source->name.len, 40), source->name.ptr);
    if (source->type == CERT_SOURCE_FILE || source->type == CERT_SOURCE_CONSUL)
        source->refresh_ms = 0;
    return 0;
}

// The last one of equal names, as with fabio.
static const struct cert_source *find_cert_source(const struct proxy_config *proxy, struct str name)
{
    for (unsigned i = proxy->cert_source_count; i > 0; i--) {
        if (str_eq(proxy->cert_sources[i - 1].name, name))
            return &proxy->cert_sources[i - 1];
    }
    return NULL;
}

int option_apply_cert_sources(struct options *options, struct option_storage *storage,
                              const struct option_row *row, struct err *err)
{
    struct proxy_config *proxy = &options->proxy;
    struct value_entries entries;
    int rc = option_entries(storage, row, CERT_SOURCES_MAX, "certificate sources", &entries, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < entries.count && rc == 0; i++)
        rc = apply_cert_source(&proxy->cert_sources[i], &entries.items[i], storage, err);
    proxy->cert_source_count = (unsigned)entries.count;
    // A listener that uses one says more than this.
    if (rc == 0 && entries.count)
        option_warn(storage,
                    "proxy.cs from %.*s has no effect: listeners with TLS are not supported yet",
                    STR_FMT(str_upto(option_value(storage, row->key)->origin, 100)));
    return rc;
}

// --- listeners ---

static const char *const PROTOCOLS[] = {"http",        "https",         "tcp",  "tcp+sni",
                                        "tcp-dynamic", "https+tcp+sni", "grpc", "grpcs",
                                        "prometheus"}; // as listener_proto

struct str listener_protocol_name(enum listener_proto proto)
{
    return str_of(PROTOCOLS[proto]);
}

static bool is_served(enum listener_proto proto)
{
    return proto == LISTENER_HTTP || proto == LISTENER_PROMETHEUS;
}

static bool may_have_cert_source(enum listener_proto proto)
{
    return proto == LISTENER_HTTPS || proto == LISTENER_TCP || proto == LISTENER_TCP_DYNAMIC ||
           proto == LISTENER_GRPCS || proto == LISTENER_PROMETHEUS ||
           proto == LISTENER_HTTPS_TCP_SNI;
}

static int parse_protocol(struct str name, enum listener_proto *proto, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(PROTOCOLS); i++) {
        if (str_eq(name, str_of(PROTOCOLS[i]))) {
            *proto = (enum listener_proto)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "unknown protocol \"%.*s\"", (int)MIN(name.len, 40), name.ptr);
}

static int parse_cert_pair(struct listener_config *listener, const struct proxy_config *proxy,
                           struct str name, struct err *err)
{
    listener->cert_source = find_cert_source(proxy, name);
    if (listener->cert_source)
        return 0;
    return err_set(err, ERR_INVALID, "unknown certificate source \"%.*s\"", (int)MIN(name.len, 40),
                   name.ptr);
}

static int apply_pair(struct listener_config *listener, const struct proxy_config *proxy,
                      const struct value_pair *pair, struct err *err)
{
    struct str key = pair->key;
    if (key.len == 0 || str_eq(key, STR("addr")))
        listener->addr = str_trim(pair->value);
    else if (str_eq(key, STR("proto")))
        return parse_protocol(pair->value, &listener->proto, err);
    else if (str_eq(key, STR("cs")))
        return parse_cert_pair(listener, proxy, pair->value, err);
    else if (str_eq(key, STR("rt")))
        return parse_duration_pair(pair, &listener->read_timeout_ms, err);
    else if (str_eq(key, STR("wt")))
        return parse_duration_pair(pair, &listener->write_timeout_ms, err);
    else if (str_eq(key, STR("it")))
        return parse_duration_pair(pair, &listener->idle_timeout_ms, err);
    else if (str_eq(key, STR("strictmatch")))
        listener->is_match_strict = str_eq(pair->value, STR("true"));
    else if (str_eq(key, STR("tlsmin")))
        return tls_version_parse(pair->value, &listener->tls_min, err);
    else if (str_eq(key, STR("tlsmax")))
        return tls_version_parse(pair->value, &listener->tls_max, err);
    else if (str_eq(key, STR("tlsciphers")))
        return tls_ciphers_parse(pair->value, listener->tls_ciphers, TLS_CIPHERS_MAX,
                                 &listener->tls_cipher_count, err);
    else if (str_eq(key, STR("pxyproto")))
        listener->has_proxy_header = str_eq(pair->value, STR("true"));
    else if (str_eq(key, STR("pxytimeout")))
        return parse_duration_pair(pair, &listener->proxy_header_timeout_ms, err);
    else if (str_eq(key, STR("refresh")))
        return parse_duration_pair(pair, &listener->refresh_ms, err);
    else
        return ERR_NOT_FOUND;
    return 0;
}

// What the pairs mean together.
static int judge_listener(struct listener_config *listener, const struct value_entry *entry,
                          struct err *err)
{
    struct str unused;
    if (listener->addr.len == 0)
        return err_set(err, ERR_INVALID, "need listening host:port");
    if (listener->cert_source && !value_entry_get(entry, STR("proto"), &unused))
        listener->proto = LISTENER_HTTPS;
    if (listener->cert_source && !may_have_cert_source(listener->proto))
        return err_set(err, ERR_INVALID,
                       "cert source requires proto 'https', 'tcp', 'tcp-dynamic', "
                       "'https+tcp+sni', 'prometheus', or 'grpcs'");
    // fabio takes https+tcp+sni without one and fails with the first connection.
    if (!listener->cert_source &&
        (listener->proto == LISTENER_HTTPS || listener->proto == LISTENER_GRPCS ||
         listener->proto == LISTENER_HTTPS_TCP_SNI))
        return err_set(err, ERR_INVALID, "proto '%s' requires cert source",
                       PROTOCOLS[listener->proto]);
    if (listener->cert_source && listener->cert_source->type == CERT_SOURCE_VAULT_PKI)
        listener->is_match_strict = true; // else the first certificate would serve every name
    if (listener->has_proxy_header && listener->proxy_header_timeout_ms == 0)
        listener->proxy_header_timeout_ms = PROXY_HEADER_TIMEOUT_MS;
    return 0;
}

static int read_listener(struct listener_config *listener, const struct proxy_config *proxy,
                         struct option_storage *storage, const char *option,
                         const struct value_entry *entry, struct err *err)
{
    for (size_t i = 0; i < entry->count; i++) {
        const struct value_pair *pair = &entry->pairs[i];
        int rc = apply_pair(listener, proxy, pair, err);
        if (rc == ERR_NOT_FOUND)
            option_warn(storage, "%s: unknown key \"%.*s\" has no effect", option,
                        (int)MIN(pair->key.len, 40), pair->key.ptr);
        else if (rc)
            return rc;
    }
    int rc = judge_listener(listener, entry, err);
    if (rc == 0)
        rc = address_template_expand(&storage->arena, listener->addr, NULL, &listener->addr, err);
    if (rc == 0)
        rc = address_parse(listener->addr, &listener->sockaddr, err);
    return rc;
}

// ERR_UNSUPPORTED with the name of what the listener needs and nobody serves yet.
static int refuse_unserved(const struct listener_config *listener, bool is_admin, struct err *err)
{
    int len = (int)MIN(listener->addr.len, 60);
    if (listener->cert_source && (is_admin || listener->proto == LISTENER_PROMETHEUS))
        return err_set(err, ERR_UNSUPPORTED, "listener \"%.*s\" with cs=%.*s (TLS)", len,
                       listener->addr.ptr, STR_FMT(str_upto(listener->cert_source->name, 40)));
    if (!is_admin && !is_served(listener->proto))
        return err_set(err, ERR_UNSUPPORTED, "listener \"%.*s\" with proto=%s%s", len,
                       listener->addr.ptr, PROTOCOLS[listener->proto],
                       listener->cert_source ? " (TLS)" : "");
    if (listener->has_proxy_header)
        return err_set(err, ERR_UNSUPPORTED, "listener \"%.*s\" with pxyproto=true", len,
                       listener->addr.ptr);
    return 0;
}

static uint32_t duration_of(const struct option_storage *storage, const char *key)
{
    uint32_t ms = 0;
    // The text has passed the same check before.
    return value_to_duration_ms(option_text(storage, key), &ms) ? ms : 0;
}

int option_apply_listeners(struct options *options, struct option_storage *storage,
                           const struct option_row *row, struct err *err)
{
    struct proxy_config *proxy = &options->proxy;
    struct value_entries entries;
    int rc = option_entries(storage, row, LISTENERS_MAX, "listeners", &entries, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < entries.count && rc == 0; i++) {
        struct listener_config *listener = &proxy->listeners[i];
        listener->read_timeout_ms = duration_of(storage, "proxy.readtimeout");
        listener->write_timeout_ms = duration_of(storage, "proxy.writetimeout");
        rc = read_listener(listener, proxy, storage, row->key, &entries.items[i], err);
        struct str unused;
        listener->has_idle_timeout = value_entry_get(&entries.items[i], STR("it"), &unused);
        if (!listener->has_idle_timeout)
            listener->idle_timeout_ms = listener->read_timeout_ms;
    }
    proxy->listener_count = (unsigned)entries.count;
    for (unsigned i = 0; i < proxy->listener_count && rc == 0; i++) {
        rc = refuse_unserved(&proxy->listeners[i], false, err);
        if (proxy->listeners[i].proto == LISTENER_PROMETHEUS) // the admin's to serve
            options->admin.metrics.listeners[options->admin.metrics.listener_count++] =
                proxy->listeners[i].addr;
    }
    return rc;
}

int option_apply_ui_addr(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    struct listener_config *listener = &options->admin_listener;
    struct value_entries entries;
    int rc = option_entries(storage, row, LISTENERS_MAX, "listeners", &entries, err);
    if (rc)
        return rc;
    if (entries.count != 1)
        return err_set(err, ERR_INVALID, "ui.addr must contain only one listener");
    rc = read_listener(listener, &options->proxy, storage, row->key, &entries.items[0], err);
    if (rc == 0)
        rc = refuse_unserved(listener, true, err);
    if (rc == 0 && (listener->read_timeout_ms || listener->write_timeout_ms ||
                    listener->idle_timeout_ms || listener->proto != LISTENER_HTTP))
        option_warn(storage, "ui.addr: proto, rt, wt and it have no effect: UI and API are HTTP "
                             "with limits of their own");
    options->admin.addr = listener->addr;
    return rc;
}
