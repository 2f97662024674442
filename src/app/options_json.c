// SPDX-License-Identifier: Apache-2.0
// All values as one JSON object for /api/config, in the shape of fabio's: names of its structs,
// durations in nanoseconds, null for lists that are not set, secrets masked.
#include "app/cpus.h"
#include "options_row.h"

static const struct str MASK = STR_INIT("***");

static void print_member(struct buf *out, const char *name)
{
    buf_printf(out, "\"%s\":", name);
}

static void print_text(struct buf *out, const char *name, struct str text)
{
    print_member(out, name);
    buf_append_json(out, text);
    buf_append_char(out, ',');
}

static void print_number(struct buf *out, const char *name, uint64_t number)
{
    print_member(out, name);
    buf_append_u64(out, number);
    buf_append_char(out, ',');
}

static void print_ms(struct buf *out, const char *name, uint32_t ms)
{
    print_number(out, name, (uint64_t)ms * 1000000);
}

static void print_flag(struct buf *out, const char *name, bool is_set)
{
    print_member(out, name);
    buf_append_cstr(out, is_set ? "true," : "false,");
}

// Turns the comma behind the last member into the end of the object or list.
static void print_end(struct buf *out, char end)
{
    if (out->len && out->ptr[out->len - 1] == ',')
        out->len--;
    buf_append_char(out, end);
}

// --- listeners and certificate sources ---

static void print_header(struct buf *out, const struct cert_source *source)
{
    print_member(out, "Header");
    if (source->header_name.len) {
        buf_append_char(out, '{');
        buf_append_json(out, source->header_name);
        buf_append_cstr(out, ":[\"***\"]},");
    } else {
        buf_append_cstr(out, "null,");
    }
}

// Without what stands behind the '?', where the consul type has its token.
static struct str without_query(struct str url, struct buf *room)
{
    ptrdiff_t mark = str_find_char(url, '?');
    if (mark < 0)
        return url;
    buf_append_str(room, str_upto(url, (size_t)mark + 1));
    buf_append_str(room, MASK);
    return buf_str(room);
}

static void print_cert_source(struct buf *out, const struct cert_source *source)
{
    static const char *const TYPES[] = {"file", "path", "http", "consul", "vault", "vault-pki"};
    static const struct cert_source NONE = {0};
    struct buf room;
    buf_init(&room, 4096);
    bool is_set = source != NULL;
    if (!is_set)
        source = &NONE;
    buf_append_char(out, '{');
    print_header(out, source);
    print_text(out, "Name", source->name);
    print_text(out, "Type", is_set ? str_of(TYPES[source->type]) : STR(""));
    print_text(out, "CertPath", without_query(source->cert, &room));
    print_text(out, "KeyPath", source->key);
    buf_clear(&room);
    print_text(out, "ClientCAPath", without_query(source->client_ca, &room));
    print_text(out, "CAUpgradeCN", source->ca_upgrade_name);
    print_text(out, "VaultFetchToken", source->vault_token_source.len ? MASK : STR(""));
    print_ms(out, "Refresh", source->refresh_ms);
    print_end(out, '}');
    buf_fini(&room);
}

static void print_ciphers(struct buf *out, const struct listener_config *listener)
{
    print_member(out, "TLSCiphers");
    if (listener->tls_cipher_count == 0) {
        buf_append_cstr(out, "null,");
        return;
    }
    buf_append_char(out, '[');
    for (unsigned i = 0; i < listener->tls_cipher_count; i++)
        buf_printf(out, "%u,", listener->tls_ciphers[i]);
    print_end(out, ']');
    buf_append_char(out, ',');
}

static void print_listener(struct buf *out, const struct listener_config *listener)
{
    buf_append_char(out, '{');
    print_member(out, "CertSource");
    print_cert_source(out, listener->cert_source);
    buf_append_char(out, ',');
    print_text(out, "Addr", listener->addr);
    print_text(out, "Proto", listener_protocol_name(listener->proto));
    print_ciphers(out, listener);
    print_ms(out, "ReadTimeout", listener->read_timeout_ms);
    print_ms(out, "WriteTimeout", listener->write_timeout_ms);
    print_ms(out, "IdleTimeout", listener->has_idle_timeout ? listener->idle_timeout_ms : 0);
    print_ms(out, "ProxyHeaderTimeout", listener->proxy_header_timeout_ms);
    print_ms(out, "Refresh", listener->refresh_ms);
    print_number(out, "TLSMinVersion", listener->tls_min);
    print_number(out, "TLSMaxVersion", listener->tls_max);
    print_flag(out, "StrictMatch", listener->is_match_strict);
    print_flag(out, "ProxyProto", listener->has_proxy_header);
    print_end(out, '}');
}

void option_print_listeners(const struct options *options, struct str text, struct buf *out)
{
    (void)text;
    const struct proxy_config *proxy = &options->proxy;
    for (unsigned i = 0; i < proxy->listener_count; i++) {
        buf_append_char(out, i ? ',' : '[');
        print_listener(out, &proxy->listeners[i]);
    }
    buf_append_cstr(out, proxy->listener_count ? "]" : "null");
}

void option_print_ui_addr(const struct options *options, struct str text, struct buf *out)
{
    (void)text;
    print_listener(out, &options->admin_listener);
}

void option_print_cert_sources(const struct options *options, struct str text, struct buf *out)
{
    (void)text;
    const struct proxy_config *proxy = &options->proxy;
    for (unsigned i = 0; i < proxy->cert_source_count; i++) {
        buf_append_char(out, i ? ',' : '[');
        print_cert_source(out, &proxy->cert_sources[i]);
    }
    buf_append_cstr(out, proxy->cert_source_count ? "]" : "null");
}

// --- other values that are more than their text ---

static void print_peer(struct buf *out, const struct value_entry *entry)
{
    struct str text = STR("");
    bool has_many_hops = false;
    const struct {
        const char *key, *name;
        int64_t preset;
    } NUMBERS[] = {
        {"port", "NeighborPort", 0}, {"asn", "Asn", 0}, {"multihoplength", "MultiHopLength", 2}};
    buf_append_char(out, '{');
    bool has_value = value_entry_get(entry, STR("address"), &text);
    print_text(out, "NeighborAddress", has_value ? text : STR(""));
    has_value = value_entry_get(entry, STR("password"), &text) && text.len;
    print_text(out, "Password", has_value ? MASK : STR(""));
    for (size_t i = 0; i < ARRAY_LEN(NUMBERS); i++) {
        int64_t number = 0;
        has_value =
            value_entry_get(entry, str_of(NUMBERS[i].key), &text) && value_to_int(text, &number);
        print_number(out, NUMBERS[i].name, (uint64_t)(has_value ? number : NUMBERS[i].preset));
    }
    has_value =
        value_entry_get(entry, STR("multihop"), &text) && value_to_bool(text, &has_many_hops);
    print_flag(out, "MultiHop", has_value && has_many_hops);
    print_end(out, '}');
}

void option_print_bgp_peers(const struct options *options, struct str text, struct buf *out)
{
    (void)options;
    struct arena arena;
    struct value_entries entries = {0};
    arena_init(&arena);
    int rc = value_to_entries(&arena, text, &entries, NULL);
    for (size_t i = 0; rc == 0 && i < entries.count; i++) {
        buf_append_char(out, i ? ',' : '[');
        print_peer(out, &entries.items[i]);
    }
    buf_append_cstr(out, rc == 0 && entries.count ? "]" : "null");
    arena_fini(&arena);
}

void option_print_text(const struct options *options, struct str text, struct buf *out)
{
    (void)options;
    buf_append_json(out, text);
}

static struct str entry_text(const struct value_entry *entry, const char *key)
{
    struct str text;
    return value_entry_get(entry, str_of(key), &text) ? text : STR("");
}

// The scheme's own member of an object. fabio knows the file's time later.
static void print_auth_scheme(struct buf *out, const struct value_entry *entry)
{
    struct str name = entry_text(entry, "name");
    struct str realm = entry_text(entry, "realm");
    uint32_t refresh_ms = 0;
    if (value_to_duration_ms(entry_text(entry, "refresh"), &refresh_ms) && refresh_ms < 1000 &&
        refresh_ms)
        refresh_ms = 1000;
    buf_append_json(out, name);
    buf_append_cstr(out, ":{");
    print_text(out, "Name", name);
    print_text(out, "Type", entry_text(entry, "type"));
    buf_append_cstr(out, "\"Basic\":{\"ModTime\":\"0001-01-01T00:00:00Z\",");
    print_text(out, "Realm", realm.len ? realm : name);
    print_text(out, "File", entry_text(entry, "file"));
    print_ms(out, "Refresh", refresh_ms);
    print_end(out, '}');
    buf_append_char(out, '}');
}

void option_print_auth(const struct options *options, struct str text, struct buf *out)
{
    (void)options;
    struct arena arena;
    struct value_entries entries = {0};
    arena_init(&arena);
    int rc = value_to_entries(&arena, text, &entries, NULL);
    buf_append_char(out, '{');
    for (size_t i = 0; rc == 0 && i < entries.count; i++) {
        if (i)
            buf_append_char(out, ',');
        print_auth_scheme(out, &entries.items[i]);
    }
    buf_append_char(out, '}');
    arena_fini(&arena);
}

void option_print_regexp(const struct options *options, struct str text, struct buf *out)
{
    (void)options;
    if (text.len)
        buf_append_json(out, text);
    else
        buf_append_cstr(out, "null");
}

static bool is_consul_https(const struct options *options)
{
    return str_starts_with(options->consul.addr, STR("https://"));
}

void option_print_consul_addr(const struct options *options, struct str text, struct buf *out)
{
    (void)text;
    struct str addr = options->consul.addr;
    if (is_consul_https(options))
        addr = str_from(addr, STR("https://").len);
    else if (str_starts_with(addr, STR("http://")))
        addr = str_from(addr, STR("http://").len);
    buf_append_json(out, addr);
}

void option_print_register_addr(const struct options *options, struct str text, struct buf *out)
{
    (void)text;
    buf_append_json(out, options->consul.register_addr);
}

void option_print_routes_format(const struct options *options, struct str text, struct buf *out)
{
    static const char *const NAMES[] = {"delta", "all", "detail"};
    (void)text; // proxy.log.routes may rule over it
    buf_append_json(out, str_of(NAMES[options->feed.log_format]));
}

void option_print_local_ip(const struct options *options, struct str text, struct buf *out)
{
    (void)text;
    buf_append_json(out, options->proxy.compose.local_ip);
}

// As Go's runtime has it: what was asked for, else the number of CPUs.
void option_print_gomaxprocs(const struct options *options, struct str text, struct buf *out)
{
    (void)options;
    int64_t number = 0;
    bool is_set = value_to_int(text, &number) && number > 0;
    buf_append_u64(out, is_set ? (uint64_t)number : cpus_allowed());
}

// --- values as their type has them ---

// An empty list is null, as Go writes one that was never set.
static void print_list(struct buf *out, struct str text, bool is_numbers)
{
    size_t count = 0;
    for (struct str member; value_list_next(&text, &member); count++) {
        double number;
        buf_append_char(out, count ? ',' : '[');
        if (is_numbers && value_to_double(member, &number))
            buf_printf(out, "%g", number);
        else
            buf_append_json(out, member);
    }
    buf_append_cstr(out, count ? "]" : "null");
}

static void print_value(struct buf *out, const struct options *options,
                        const struct option_row *row, struct str text)
{
    int64_t number = 0;
    bool is_set = false;
    // The texts were checked when they were read; one that is not fit leaves the zero.
    bool is_valid = true;
    if (row->print) {
        row->print(options, text, out);
        return;
    }
    if (row->is_secret && text.len) {
        buf_append_json(out, MASK);
        return;
    }
    switch (row->type) {
    case OPTION_STRING:
    case OPTION_ENUM:
    case OPTION_CHOICE: buf_append_json(out, text); break;
    case OPTION_BOOL:
        is_valid = value_to_bool(text, &is_set);
        buf_append_cstr(out, is_valid && is_set ? "true" : "false");
        break;
    case OPTION_INT:
    case OPTION_SIZE:
        is_valid = value_to_int(text, &number);
        buf_printf(out, "%lld", (long long)(is_valid ? number : 0));
        break;
    case OPTION_DURATION:
        is_valid = value_to_duration_ns(text, &number);
        buf_printf(out, "%lld", (long long)(is_valid ? number : 0));
        break;
    case OPTION_LIST: print_list(out, text, false); break;
    case OPTION_FLOATS: print_list(out, text, true); break;
    case OPTION_ENTRIES: buf_append_cstr(out, "null"); break;
    }
}

// Members that fabio shows beside a row's and that no key sets.
static void print_derived(struct buf *out, const struct options *options, struct str path)
{
    if (str_eq(path, STR("Registry.Consul.Addr")))
        buf_printf(out, ",\"Scheme\":\"%s\",\"CheckScheme\":\"%s\"",
                   is_consul_https(options) ? "https" : "http",
                   options->consul.register_check_is_https ? "https" : "http");
    if (str_eq(path, STR("BGP.GOBGPDCfgFile")))
        buf_append_cstr(out, ",\"CertFile\":\"\",\"KeyFile\":\"\",\"GRPCTLS\":false");
}

// Length of the objects' part of a path: "Registry.Consul." of "Registry.Consul.Addr".
static size_t objects_len(struct str path)
{
    return (size_t)(str_rfind_char(path, '.') + 1);
}

static size_t count_dots(struct str text)
{
    size_t dots = 0;
    for (size_t i = 0; i < text.len; i++)
        dots += text.ptr[i] == '.';
    return dots;
}

// Closes and opens objects on the way from one path to the next.
static void print_step(struct buf *out, struct str from, struct str to)
{
    struct str old_objects = str_upto(from, objects_len(from));
    struct str new_objects = str_upto(to, objects_len(to));
    size_t same = 0; // length of what both have, whole names only
    for (size_t i = 0; i < MIN(old_objects.len, new_objects.len); i++) {
        if (old_objects.ptr[i] != new_objects.ptr[i])
            break;
        if (old_objects.ptr[i] == '.')
            same = i + 1;
    }
    for (size_t left = count_dots(str_from(old_objects, same)); left; left--)
        buf_append_char(out, '}');
    if (from.len)
        buf_append_char(out, ',');
    struct str rest = str_from(new_objects, same);
    for (ptrdiff_t dot; (dot = str_find_char(rest, '.')) >= 0;
         rest = str_from(rest, (size_t)dot + 1)) {
        buf_append_json(out, str_upto(rest, (size_t)dot));
        buf_append_cstr(out, ":{");
    }
}

void options_print_json(const struct options *options, struct buf *out)
{
    struct str last = STR("");
    buf_append_char(out, '{');
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        const struct option_row *row = &OPTION_ROWS[i];
        if (!row->json)
            continue;
        struct str path = str_of(row->json);
        print_step(out, last, path);
        buf_append_json(out, str_from(path, objects_len(path)));
        buf_append_char(out, ':');
        print_value(out, options, row, options->storage->values[i].text);
        print_derived(out, options, path);
        last = path;
    }
    for (size_t left = count_dots(last); left; left--)
        buf_append_char(out, '}');
    buf_append_char(out, '}');
}
