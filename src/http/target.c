// SPDX-License-Identifier: Apache-2.0
// A path is matched in one form and sent in another, so both must mean the same to an origin,
// however it reads them. Where readers disagree the path is refused instead of guessed at:
//   %00, a backslash                  C strings; Windows origins take '\' for '/'
//   overlong UTF-8                    sloppy decoders see '.', '/' or '\'
//   "/..;x/", "/;x/"                  servlet containers cut parameters first
//   %2F together with a dot segment   many origins do not decode %2F before they resolve
//   ".." behind an empty segment      "/a//../b" is /b to one and /a/b to the other
#include "http/target.h"

#include <arpa/inet.h>

#include "base/err.h"
#include "scan.h"

// --- hosts

static bool is_ipv6(struct str text)
{
    char terminated[INET6_ADDRSTRLEN];
    unsigned char address[16];

    if (text.len >= sizeof(terminated) || str_find_char(text, '\0') >= 0)
        return false;
    memcpy(terminated, text.ptr, text.len);
    terminated[text.len] = '\0';
    return inet_pton(AF_INET6, terminated, address) == 1;
}

static bool is_reg_name(struct str name)
{
    if (name.len == 0) // then it may have no address either
        return false;
    const char *end = name.ptr + name.len;

    for (const char *at = name.ptr; (at = scan_host(at, end)) < end; at += 3) {
        if (*at != '%' || end - at < 3 || hex_value(at[1]) < 0 || hex_value(at[2]) < 0)
            return false;
    }
    return true;
}

bool http_split_host(struct str authority, struct str *name, struct str *port)
{
    struct str rest;

    if (authority.len && authority.ptr[0] == '[') {
        ptrdiff_t close = str_find_char(authority, ']');
        if (close < 0)
            return false;
        *name = str_upto(authority, (size_t)close + 1);
        rest = str_from(authority, (size_t)close + 1);
        if (!is_ipv6(str_make(name->ptr + 1, name->len - 2)))
            return false;
    } else {
        ptrdiff_t colon = str_find_char(authority, ':');
        size_t end = colon < 0 ? authority.len : (size_t)colon;
        *name = str_upto(authority, end);
        rest = str_from(authority, end);
        if (!is_reg_name(*name))
            return false;
    }
    *port = STR_NULL;
    if (rest.len == 0)
        return true;
    uint64_t number;
    *port = str_from(rest, 1);
    return rest.ptr[0] == ':' &&
           (port->len == 0 || (port->len <= 5 && str_to_u64(*port, &number) && number <= 65535));
}

// --- normal form

// The byte that `path` has at *at, percent-decoded, and *at behind it; -1 for a bad sequence.
static int next_byte(struct str path, size_t *at)
{
    char c = path.ptr[*at];

    if (c != '%') {
        (*at)++;
        return (uint8_t)c;
    }
    if (path.len - *at < 3)
        return -1;
    int high = hex_value(path.ptr[*at + 1]);
    int low = hex_value(path.ptr[*at + 2]);
    if (high < 0 || low < 0)
        return -1;
    *at += 3;
    return high << 4 | low;
}

bool http_path_is_normal(struct str path)
{
    if (path.len == 0 || path.ptr[0] != '/')
        return false;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (c == '/') {
            if (i + 1 < path.len &&
                (path.ptr[i + 1] == '/' || path.ptr[i + 1] == '.' || path.ptr[i + 1] == ';'))
                return false;
        } else if (c == '%' || c == '\\' || c == '\0' || (uint8_t)c >= 0x80) {
            return false;
        }
    }
    return true;
}

// Encodings of a code point in more bytes than it needs: 110, 1110 or 11110 followed by no
// significant bit.
static bool has_overlong(const char *bytes, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        uint8_t lead = (uint8_t)bytes[i];
        uint8_t next = (uint8_t)bytes[i + 1];
        if ((next & 0xc0) != 0x80)
            continue;
        if (lead == 0xc0 || lead == 0xc1 || (lead == 0xe0 && next < 0xa0) ||
            (lead == 0xf0 && next < 0x90))
            return true;
    }
    return false;
}

enum segment { SEGMENT_PLAIN, SEGMENT_DOT, SEGMENT_DOTS, SEGMENT_BAD };

static enum segment segment_kind(const char *segment, size_t len)
{
    size_t dots = 0;

    while (dots < len && dots < 3 && segment[dots] == '.')
        dots++;
    if (dots == 3)
        return SEGMENT_PLAIN;
    if (dots < len)
        return segment[dots] == ';' ? SEGMENT_BAD : SEGMENT_PLAIN;
    if (dots == 0)
        return SEGMENT_PLAIN;
    return dots == 1 ? SEGMENT_DOT : SEGMENT_DOTS;
}

// Resolves dot segments in place (RFC 3986 section 5.2.4). *len is the result's; false when ".."
// stands behind an empty segment or a segment is bad.
static bool resolve_dots(char *path, size_t *len, bool *has_dots)
{
    size_t out = 0;

    for (size_t at = 0; at < *len;) {
        size_t end = at + 1;
        while (end < *len && path[end] != '/')
            end++;
        enum segment kind = segment_kind(path + at + 1, end - at - 1);
        if (kind == SEGMENT_BAD)
            return false;
        if (kind == SEGMENT_PLAIN) {
            memmove(path + out, path + at, end - at);
            out += end - at;
        } else {
            *has_dots = true;
            if (kind == SEGMENT_DOTS && out > 0) {
                if (path[out - 1] == '/')
                    return false;
                while (path[--out] != '/')
                    ;
            }
            if (end == *len)
                path[out++] = '/';
        }
        at = end;
    }
    *len = out;
    return true;
}

int http_normalise_path(struct str path, char *out, struct str *result)
{
    bool has_encoded_slash = false;
    bool has_dots = false;
    size_t len = 0;

    if (path.len == 0 || path.ptr[0] != '/')
        return ERR_INVALID;
    if (http_path_is_normal(path)) {
        *result = path;
        return (int)path.len;
    }
    for (size_t at = 0; at < path.len;) {
        bool is_encoded = path.ptr[at] == '%';
        int byte = next_byte(path, &at);
        if (byte <= 0 || byte == '\\')
            return ERR_INVALID;
        has_encoded_slash |= is_encoded && byte == '/';
        out[len++] = (char)byte;
    }
    if (has_overlong(out, len) || !resolve_dots(out, &len, &has_dots) ||
        (has_encoded_slash && has_dots))
        return ERR_INVALID;

    size_t kept = 1;
    for (size_t i = 1; i < len; i++) {
        if (out[i] != '/' || out[kept - 1] != '/')
            out[kept++] = out[i];
    }
    *result = str_eq(path, str_make(out, kept)) ? path : str_make(out, kept);
    return (int)kept;
}

// --- rewriting

struct writer {
    char *at;
    char *end;
    bool is_full;
};

static void put(struct writer *writer, const char *bytes, size_t len)
{
    if ((size_t)(writer->end - writer->at) < len) {
        writer->is_full = true;
        return;
    }
    if (len)
        memcpy(writer->at, bytes, len);
    writer->at += len;
}

static void put_str(struct writer *writer, struct str s)
{
    put(writer, s.ptr, s.len);
}

static void put_encoded(struct writer *writer, struct str path)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < path.len; i++) {
        uint8_t byte = (uint8_t)path.ptr[i];
        if (char_is(path.ptr[i], CHAR_PATH))
            put(writer, &path.ptr[i], 1);
        else
            put(writer, (char[]){'%', hex[byte >> 4], hex[byte & 15]}, 3);
    }
}

// Whether the raw path has no dot segments and, unless `merges`, no empty ones: then it is the
// normal path but for its percent-encoding, and may be sent on as it is.
static bool is_faithful(struct str raw, struct str normal, bool merges)
{
    size_t matched = 0;
    char before = '\0';

    for (size_t at = 0; at < raw.len;) {
        int byte = next_byte(raw, &at);
        if (byte < 0)
            return false;
        char c = (char)byte;
        if (!(merges && c == '/' && before == '/')) {
            if (matched == normal.len || normal.ptr[matched] != c)
                return false;
            matched++;
        }
        before = c;
    }
    return matched == normal.len;
}

// A path, or the rest of one, and whether it is to be encoded when written.
struct piece {
    struct str text;
    bool is_decoded;
};

// The path to write, minus `strip` where it begins with it.
static struct piece choose_path(struct str raw, struct str normal, struct str strip, bool merges)
{
    bool is_raw_usable = is_faithful(raw, normal, merges);

    if (strip.len == 0)
        return is_raw_usable ? (struct piece){raw, false} : (struct piece){normal, true};
    if (is_raw_usable && str_starts_with(raw, strip)) {
        struct str rest = str_from(raw, strip.len);
        // A rest that begins with %2F would get a second slash in front.
        if (!str_istarts_with(rest, STR("%2f")))
            return (struct piece){rest, false};
    }
    if (str_starts_with(normal, strip))
        return (struct piece){str_from(normal, strip.len), true};
    return is_raw_usable ? (struct piece){raw, false} : (struct piece){normal, true};
}

static void put_piece(struct writer *writer, struct piece piece)
{
    if (piece.is_decoded)
        put_encoded(writer, piece.text);
    else
        put_str(writer, piece.text);
}

// Whether an option's text may stand in a path.
static bool is_path_text(struct str text)
{
    return http_chars_are(text, CHAR_TARGET) && str_find_char(text, '?') < 0;
}

int http_rewrite_path(struct str path, struct str normal_path, struct str strip, struct str prepend,
                      char *out, size_t room)
{
    struct writer writer = {out, out + room, false};

    if (!is_path_text(prepend))
        return ERR_INVALID;
    bool is_unchanged = strip.len == 0 && prepend.len == 0;
    struct piece rest = choose_path(path, normal_path, strip, is_unchanged);
    if (prepend.len && prepend.ptr[0] != '/')
        put(&writer, "/", 1);
    put_str(&writer, prepend);
    if (rest.text.len == 0 || rest.text.ptr[0] != '/')
        put(&writer, "/", 1);
    put_piece(&writer, rest);
    return writer.is_full ? ERR_TOO_LARGE : (int)(writer.at - out);
}

// --- redirects

// Writes `text` with the first `$host` of it replaced.
static void put_authority(struct writer *writer, struct str text, struct str host)
{
    ptrdiff_t at = str_find(text, STR("$host"));

    if (at < 0) {
        put_str(writer, text);
        return;
    }
    put_str(writer, str_upto(text, (size_t)at));
    put_str(writer, host);
    put_str(writer, str_from(text, (size_t)at + 5));
}

// A destination URL in its parts; scheme with "://", query with '?', fragment with '#'.
struct redirect {
    struct str scheme;
    struct str authority;
    struct str path;
    struct str query;
    struct str fragment;
};

static bool split_redirect(struct str dst, struct redirect *parts)
{
    static const struct str path_variable = {"$path", 5};

    *parts = (struct redirect){0};
    size_t scheme = str_istarts_with(dst, STR("http://"))    ? 7
                    : str_istarts_with(dst, STR("https://")) ? 8
                                                             : 0;
    if (!scheme && !str_starts_with(dst, STR("/")))
        return false;
    parts->scheme = str_upto(dst, scheme);
    struct str rest = str_from(dst, scheme);

    ptrdiff_t at = str_find_char(rest, '#');
    if (at >= 0) {
        parts->fragment = str_from(rest, (size_t)at);
        rest = str_upto(rest, (size_t)at);
    }
    at = str_find_char(rest, '?');
    if (at >= 0) {
        parts->query = str_from(rest, (size_t)at);
        rest = str_upto(rest, (size_t)at);
    }
    if (scheme) {
        at = str_find_char(rest, '/');
        parts->authority = at < 0 ? rest : str_upto(rest, (size_t)at);
        rest = str_from(rest, parts->authority.len);
        if (str_ends_with(parts->authority, path_variable)) {
            parts->authority.len -= path_variable.len;
            rest = path_variable;
        }
    }
    parts->path = rest;
    return true;
}

// Writes the path with its first `$path` (or "/$path") replaced.
static void put_redirect_path(struct writer *writer, struct str path, struct piece rest,
                              struct str prepend)
{
    ptrdiff_t at = str_find(path, STR("$path"));

    if (at < 0) {
        put_str(writer, path);
        return;
    }
    struct str before = str_upto(path, (size_t)at);
    struct str after = str_from(path, (size_t)at + 5);
    if (before.len && before.ptr[before.len - 1] == '/')
        before.len--;
    put_str(writer, before);
    if (prepend.len && prepend.ptr[0] != '/')
        put(writer, "/", 1);
    put_str(writer, prepend);
    if (rest.text.len && rest.text.ptr[0] != '/')
        put(writer, "/", 1);
    put_piece(writer, rest);
    put_str(writer, after);
}

int http_redirect_location(struct str dst, struct str strip, struct str prepend, struct str host,
                           struct str raw_path, struct str normal_path, bool has_query,
                           struct str query, char *out, size_t room)
{
    struct writer writer = {out, out + room, false};
    struct redirect parts;

    if (!split_redirect(dst, &parts) || !is_path_text(prepend))
        return ERR_INVALID;
    put_str(&writer, parts.scheme);
    char *authority = writer.at;
    put_authority(&writer, parts.authority, host);
    char *path = writer.at;
    put_redirect_path(&writer, parts.path, choose_path(raw_path, normal_path, strip, false),
                      prepend);
    if (writer.at == path)
        put(&writer, "/", 1);
    size_t path_len = (size_t)(writer.at - path);
    if (parts.query.len) {
        put_str(&writer, parts.query);
    } else if (has_query && str_find(parts.path, STR("$path")) >= 0) {
        put(&writer, "?", 1);
        put_str(&writer, query);
    }
    struct str head = str_make(out, (size_t)(writer.at - out));
    put_str(&writer, parts.fragment);
    if (writer.is_full)
        return ERR_TOO_LARGE;

    struct str name, port;
    bool is_sound = http_chars_are(head, CHAR_TARGET) && path[0] == '/' &&
                    http_chars_are(str_from(parts.fragment, 1), CHAR_TARGET);
    if (parts.scheme.len)
        is_sound &= http_split_host(str_make(authority, (size_t)(path - authority)), &name, &port);
    else
        is_sound &= path_len < 2 || path[1] != '/'; // would be read as an authority
    return is_sound ? (int)(writer.at - out) : ERR_INVALID;
}
