// SPDX-License-Identifier: Apache-2.0
// Formats of the access log: compiled once, at start, into a list of pieces that is walked for each
// line. The language is fabio's: `$` and a name is a field, which ends at the first byte that
// cannot be in a name; `$header.` goes on with the name of a header; a `$` before anything else is
// text, and text goes on to the next `$`.
#include "base/arena.h"
#include "http/target.h"
#include "proxy/access_line.h"

#define COMMON   "$remote_host - - [$time_common] \"$request\" $response_status $response_body_size"
#define COMBINED COMMON " \"$header.Referer\" \"$header.User-Agent\""

enum { FORMAT_MAX = 4096, URL_PATH_MAX = 4096 };

typedef void put_fn(struct line *line, const struct access_entry *entry);

struct access_piece {
    put_fn *put;     // NULL: text, or a header
    struct str text; // verbatim, or the header's name
    bool is_header;
};

struct access_format {
    bool is_json;
    bool needs_received_head;
    bool needs_sent_head;
    size_t count;
    struct access_piece pieces[];
};

static bool is_ipv6(struct str ip)
{
    return str_find_char(ip, ':') >= 0;
}

// "host[:port]" at its port's colon; an IPv6 address keeps its brackets.
static void split_address(struct str addr, struct str *host, struct str *port)
{
    ptrdiff_t colon = str_rfind_char(addr, ':');
    bool has_port = colon >= 0 && addr.ptr[addr.len - 1] != ']';
    *host = has_port ? str_upto(addr, (size_t)colon) : addr;
    *port = has_port ? str_from(addr, (size_t)colon + 1) : STR_NULL;
}

static void put_remote_host(struct line *line, const struct access_entry *entry)
{
    bool has_brackets = is_ipv6(entry->client_ip);
    if (has_brackets)
        line_put_cstr(line, "[");
    line_put_escaped(line, entry->client_ip, LINE_SHORT_MAX);
    if (has_brackets)
        line_put_cstr(line, "]");
}

static void put_remote_port(struct line *line, const struct access_entry *entry)
{
    line_put_u64(line, entry->client_port);
}

static void put_remote_addr(struct line *line, const struct access_entry *entry)
{
    put_remote_host(line, entry);
    line_put_cstr(line, ":");
    put_remote_port(line, entry);
}

static void put_request_method(struct line *line, const struct access_entry *entry)
{
    line_put_escaped(line, entry->method, LINE_SHORT_MAX);
}

static void put_request_uri(struct line *line, const struct access_entry *entry)
{
    line_put_escaped(line, entry->target, LINE_TARGET_MAX);
}

static void put_request_proto(struct line *line, const struct access_entry *entry)
{
    line_put_cstr(line, entry->minor_version ? "HTTP/1.1" : "HTTP/1.0");
}

static void put_request(struct line *line, const struct access_entry *entry)
{
    put_request_method(line, entry);
    line_put_cstr(line, " ");
    put_request_uri(line, entry);
    line_put_cstr(line, " ");
    put_request_proto(line, entry);
}

static void put_request_args(struct line *line, const struct access_entry *entry)
{
    if (entry->received)
        line_put_escaped(line, entry->received->query, LINE_TARGET_MAX);
}

static void put_request_host(struct line *line, const struct access_entry *entry)
{
    line_put_escaped(line, entry->sent ? entry->sent->host : entry->host, LINE_NAME_MAX);
}

static void put_request_scheme(struct line *line, const struct access_entry *entry)
{
    line_put_escaped(line, entry->scheme, LINE_SHORT_MAX);
}

static void put_request_url(struct line *line, const struct access_entry *entry)
{
    const struct http_head *head = entry->received;
    if (!head)
        return;
    put_request_scheme(line, entry);
    line_put_cstr(line, "://");
    line_put_escaped(line, head->host, LINE_NAME_MAX);
    char room[URL_PATH_MAX], encoded[3 * URL_PATH_MAX + 2];
    struct str path = head->path;
    struct str normal;
    if (path.len < sizeof room && http_normalise_path(path, room, &normal) >= 0) {
        int len = http_rewrite_path(path, normal, STR_NULL, STR_NULL, encoded, sizeof encoded);
        if (len >= 0)
            path = str_make(encoded, (size_t)len);
    }
    line_put_escaped(line, path, LINE_TARGET_MAX);
    if (head->query.len) {
        line_put_cstr(line, "?");
        line_put_escaped(line, head->query, LINE_TARGET_MAX);
    }
}

static void put_response_status(struct line *line, const struct access_entry *entry)
{
    line_put_u64(line, (uint64_t)entry->status);
}

static void put_response_body_size(struct line *line, const struct access_entry *entry)
{
    line_put_u64(line, entry->bytes_sent);
}

static void put_upstream_addr(struct line *line, const struct access_entry *entry)
{
    line_put_escaped(line, entry->upstream, LINE_NAME_MAX);
}

static void put_upstream_host(struct line *line, const struct access_entry *entry)
{
    struct str host, port;
    split_address(entry->upstream, &host, &port);
    line_put_escaped(line, host, LINE_NAME_MAX);
}

static void put_upstream_port(struct line *line, const struct access_entry *entry)
{
    struct str host, port;
    split_address(entry->upstream, &host, &port);
    line_put_escaped(line, port, LINE_SHORT_MAX);
}

static void put_upstream_request_scheme(struct line *line, const struct access_entry *entry)
{
    line_put_escaped(line, entry->upstream_scheme, LINE_SHORT_MAX);
}

static void put_upstream_request_uri(struct line *line, const struct access_entry *entry)
{
    if (entry->sent)
        line_put_escaped(line, entry->sent->target, LINE_TARGET_MAX);
}

static void put_upstream_request_url(struct line *line, const struct access_entry *entry)
{
    if (!entry->sent)
        return;
    put_upstream_request_scheme(line, entry);
    line_put_cstr(line, "://");
    put_upstream_addr(line, entry);
    put_upstream_request_uri(line, entry);
}

static void put_upstream_service(struct line *line, const struct access_entry *entry)
{
    line_put_escaped(line, entry->service, LINE_NAME_MAX);
}

static void put_time_common(struct line *line, const struct access_entry *entry)
{
    line_put_time_common(line, entry->ended_at_us);
}

#define TIME_FIELDS(unit, decimals)                                                           \
    static void put_time_rfc3339_##unit(struct line *line, const struct access_entry *entry)  \
    {                                                                                         \
        line_put_time_rfc3339(line, entry->ended_at_us, decimals);                            \
    }                                                                                         \
    static void put_response_time_##unit(struct line *line, const struct access_entry *entry) \
    {                                                                                         \
        line_put_seconds(line, entry->duration_us, decimals);                                 \
    }

TIME_FIELDS(ms, 3)
TIME_FIELDS(us, 6)
TIME_FIELDS(ns, 9)

static void put_time_rfc3339(struct line *line, const struct access_entry *entry)
{
    line_put_time_rfc3339(line, entry->ended_at_us, 0);
}

static void put_time_unix_ms(struct line *line, const struct access_entry *entry)
{
    line_put_u64(line, entry->ended_at_us / 1000);
}

static void put_time_unix_us(struct line *line, const struct access_entry *entry)
{
    line_put_u64(line, entry->ended_at_us);
}

static void put_time_unix_ns(struct line *line, const struct access_entry *entry)
{
    line_put_u64(line, entry->ended_at_us);
    line_put_cstr(line, "000");
}

// Fields that tell of the request as it was sent on.
#define SENT_FIELDS(X)      \
    X(request_host)         \
    X(upstream_request_uri) \
    X(upstream_request_url)

// Fields that tell more of the request as it came than its first line.
#define RECEIVED_FIELDS(X) \
    X(request_args)        \
    X(request_scheme)      \
    X(request_url)

#define OTHER_FIELDS(X)        \
    X(remote_addr)             \
    X(remote_host)             \
    X(remote_port)             \
    X(request)                 \
    X(request_method)          \
    X(request_proto)           \
    X(request_uri)             \
    X(response_body_size)      \
    X(response_status)         \
    X(response_time_ms)        \
    X(response_time_ns)        \
    X(response_time_us)        \
    X(time_common)             \
    X(time_rfc3339)            \
    X(time_rfc3339_ms)         \
    X(time_rfc3339_ns)         \
    X(time_rfc3339_us)         \
    X(time_unix_ms)            \
    X(time_unix_ns)            \
    X(time_unix_us)            \
    X(upstream_addr)           \
    X(upstream_host)           \
    X(upstream_port)           \
    X(upstream_request_scheme) \
    X(upstream_service)

static const struct {
    struct str name;
    put_fn *put;
    bool needs_received_head;
    bool needs_sent_head;
} FIELDS[] = {
#define X(name) {STR_INIT("$" #name), put_##name, true, true},
    SENT_FIELDS(X)
#undef X
#define X(name) {STR_INIT("$" #name), put_##name, true, false},
        RECEIVED_FIELDS(X)
#undef X
#define X(name) {STR_INIT("$" #name), put_##name, false, false},
            OTHER_FIELDS(X)
#undef X
};

static bool is_name_char(char c)
{
    char lower = char_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static size_t name_len(struct str s)
{
    size_t len = 0;
    while (len < s.len && is_name_char(s.ptr[len]))
        len++;
    return len;
}

// Cuts the next piece off; false when what begins like a field is none.
static bool next_piece(struct str *rest, struct access_piece *piece, struct access_format *format)
{
    static const struct str header = STR_INIT("$header.");
    struct str text = *rest;
    *piece = (struct access_piece){0};
    size_t name = text.ptr[0] == '$' ? name_len(str_from(text, 1)) : 0;
    if (name == 0) {
        // A first `$` is text, whatever follows.
        ptrdiff_t end = text.len > 2 ? str_find_char(str_from(text, 2), '$') : -1;
        if (text.ptr[0] != '$')
            end = str_find_char(text, '$');
        else if (end >= 0)
            end += 2;
        piece->text = end < 0 ? text : str_upto(text, (size_t)end);
    } else if (str_starts_with(text, header) && name + 2 == header.len) {
        piece->is_header = true;
        piece->text = str_from(text, header.len);
        piece->text.len = name_len(piece->text);
        *rest = str_from(text, header.len + piece->text.len);
        format->needs_received_head = true;
        // These two of the combined format are never changed: no need to keep more for them.
        format->needs_sent_head |=
            !str_ieq(piece->text, STR("Referer")) && !str_ieq(piece->text, STR("User-Agent"));
        return piece->text.len > 0;
    } else {
        piece->text = str_upto(text, 1 + name);
        for (size_t i = 0; i < ARRAY_LEN(FIELDS); i++) {
            if (str_eq(piece->text, FIELDS[i].name)) {
                piece->put = FIELDS[i].put;
                format->needs_received_head |= FIELDS[i].needs_received_head;
                format->needs_sent_head |= FIELDS[i].needs_sent_head;
            }
        }
    }
    *rest = str_from(text, piece->text.len);
    return piece->put || name == 0;
}

// Fields and the texts between them: not more than two for each `$`.
static size_t max_pieces(struct str text)
{
    size_t max = 1;
    for (size_t i = 0; i < text.len; i++)
        max += text.ptr[i] == '$' ? 2 : 0;
    return max;
}

static int bad_field(struct str text, size_t at, struct err *err)
{
    size_t len = 1 + name_len(str_from(text, at + 1));
    return err_set(err, ERR_INVALID, "invalid field \"%.*s\"", (int)MIN(len, (size_t)64),
                   text.ptr + at);
}

int access_format_compile(struct arena *arena, struct str text, const struct access_format **out,
                          struct err *err)
{
    bool is_json = str_eq(text, STR("json"));
    if (text.len == 0)
        return err_set(err, ERR_INVALID, "empty log format");
    if (text.len > FORMAT_MAX)
        return err_set(err, ERR_INVALID, "is longer than %d bytes", FORMAT_MAX);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return err_set(err, ERR_INVALID, "has a control character");
    }
    if (str_eq(text, STR("common")))
        text = STR(COMMON);
    else if (str_eq(text, STR("combined")))
        text = STR(COMBINED);
    text = arena_str(arena, text);
    struct access_format *format =
        arena_alloc(arena, sizeof *format + max_pieces(text) * sizeof format->pieces[0]);
    if (!text.ptr || !format)
        return err_set(err, ERR_NOMEM, "out of memory");
    format->is_json = is_json;
    bool has_field = is_json;
    for (struct str rest = text; rest.len > 0 && !is_json;) {
        struct access_piece *piece = &format->pieces[format->count++];
        size_t at = (size_t)(rest.ptr - text.ptr);
        if (!next_piece(&rest, piece, format))
            return bad_field(text, at, err);
        has_field |= piece->put || piece->is_header;
    }
    if (!has_field)
        return err_set(err, ERR_INVALID,
                       "must be common, combined, json or a text with fields like $request");
    *out = format;
    return 0;
}

bool access_format_needs_received_head(const struct access_format *format)
{
    return format->is_json || format->needs_received_head;
}

bool access_format_needs_sent_head(const struct access_format *format)
{
    return format->needs_sent_head;
}

struct str access_entry_field(const struct access_entry *entry, struct str name)
{
    if (entry->request_id.len && str_ieq(name, entry->request_id_name))
        return entry->request_id; // also of requests that went no further
    const struct http_head *head = entry->sent ? entry->sent : entry->received;
    const struct http_field *field = head ? http_find_name(head, name) : NULL;
    return field ? field->value : STR_NULL;
}

void line_put_format(struct line *line, const struct access_format *format,
                     const struct access_entry *entry)
{
    for (size_t i = 0; i < format->count; i++) {
        const struct access_piece *piece = &format->pieces[i];
        if (piece->put)
            piece->put(line, entry);
        else if (piece->is_header)
            line_put_escaped(line, access_entry_field(entry, piece->text), LINE_TEXT_MAX);
        else
            line_put(line, piece->text);
    }
}

size_t access_log_format(const struct access_format *format, const struct access_entry *entry,
                         char *out, size_t room)
{
    if (room < ACCESS_LINE_MAX)
        return 0;
    struct line line = {.out = out, .max = ACCESS_LINE_MAX - 1};
    if (format->is_json)
        line_put_json(&line, entry);
    else
        line_put_format(&line, format, entry);
    if (line.len == 0)
        return 0;
    out[line.len] = '\n';
    return line.len + 1;
}
