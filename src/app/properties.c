// SPDX-License-Identifier: Apache-2.0
// Two passes: the text is cut into raw keys and values (comments, continuations, escapes), then
// every value is expanded. A reference to a property expands that one first; `is_busy` finds
// circles. Depth and size of the expansion are bounded, so that a file cannot ask for more than the
// process has.
#include "app/properties.h"

#include "app/value.h"
#include "base/buf.h"
#include "base/map.h"

enum { REFERENCE_DEPTH_MAX = 64 };

struct raw {
    struct property property;
    bool is_busy; // being expanded, further up the stack
    bool is_expanded;
};

struct parser {
    struct arena *arena;
    struct str rest;
    uint32_t line;
    char *const *environ_list;
    struct raw *items;
    size_t count;
    struct map by_key; // struct raw
    unsigned depth;    // of nested references
    size_t expanded;   // bytes of all expanded values
    struct err *err;
};

static int fail(struct parser *parser, uint32_t line, const char *what)
{
    return err_set(parser->err, ERR_INVALID, "line %u: %s", line, what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static bool is_at_line_end(const struct parser *parser)
{
    return parser->rest.len == 0 || is_line_end(*parser->rest.ptr);
}

static void skip_blanks(struct parser *parser)
{
    while (parser->rest.len && is_blank(*parser->rest.ptr))
        parser->rest = str_from(parser->rest, 1);
}

// CR LF, CR and LF each end a line.
static void skip_line_end(struct parser *parser)
{
    if (parser->rest.len == 0)
        return;
    bool is_crlf = str_starts_with(parser->rest, STR("\r\n"));
    parser->rest = str_from(parser->rest, is_crlf ? 2 : 1);
    parser->line++;
}

static void skip_line(struct parser *parser)
{
    while (!is_at_line_end(parser))
        parser->rest = str_from(parser->rest, 1);
    skip_line_end(parser);
}

// \uXXXX behind the `u`; two of them may form a surrogate pair.
static int take_unicode(struct parser *parser, char *out, size_t *len)
{
    uint32_t code;
    if (!value_to_hex(parser->rest, 4, &code))
        return fail(parser, parser->line, "invalid unicode literal");
    parser->rest = str_from(parser->rest, 4);
    uint32_t low;
    if (code >= 0xd800 && code <= 0xdbff && str_starts_with(parser->rest, STR("\\u")) &&
        value_to_hex(str_from(parser->rest, 2), 4, &low) && low >= 0xdc00 && low <= 0xdfff) {
        parser->rest = str_from(parser->rest, 6);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    size_t put = code ? value_put_utf8(code, out) : 0;
    if (put == 0)
        return fail(parser, parser->line, "invalid unicode literal");
    *len += put;
    return 0;
}

// An escape, its backslash consumed and not at the end of a line. out has room for 4 bytes.
static int take_escape(struct parser *parser, char *out, size_t *len)
{
    char c = *parser->rest.ptr;
    parser->rest = str_from(parser->rest, 1);
    switch (c) {
    case 'u': return take_unicode(parser, out, len);
    case 'n': c = '\n'; break;
    case 't': c = '\t'; break;
    case 'r': c = '\r'; break;
    case 'f': c = '\f'; break;
    default: break;
    }
    *out = c;
    (*len)++;
    return 0;
}

// Bytes up to the line end that no backslash stands before.
static size_t logical_len(struct str text)
{
    size_t len = 0;
    while (len < text.len && !is_line_end(text.ptr[len])) {
        if (text.ptr[len] == '\\')
            len += str_starts_with(str_from(text, len + 1), STR("\r\n")) ? 2 : 1;
        len++;
    }
    return MIN(len, text.len);
}

// Reads a key (up to a blank, ':' or '=') or a value (up to the end of the line). Escaped blanks at
// the end of a value stay.
static int take_text(struct parser *parser, bool is_key, struct str *text)
{
    // An escape never grows: \uXXXX is 6 bytes for at most 3, a pair 12 for 4. The 4 are for the
    // last.
    size_t room = logical_len(parser->rest);
    char *bytes = arena_alloc(parser->arena, room + 4);
    if (!bytes)
        return err_set(parser->err, ERR_NOMEM, "out of memory");
    size_t len = 0;
    size_t kept = 0; // bytes that trimming must leave
    while (!is_at_line_end(parser)) {
        char c = *parser->rest.ptr;
        if (is_key && (is_blank(c) || c == ':' || c == '='))
            break;
        parser->rest = str_from(parser->rest, 1);
        if (c == '\0')
            return fail(parser, parser->line, "NUL byte");
        if (c != '\\') {
            bytes[len++] = c;
        } else if (is_at_line_end(parser)) {
            skip_line_end(parser);
            skip_blanks(parser);
        } else {
            int rc = take_escape(parser, bytes + len, &len);
            if (rc)
                return rc;
            kept = len;
        }
    }
    while (len > kept && is_blank(bytes[len - 1]))
        len--;
    *text = str_make(bytes, len);
    return 0;
}

static int add_property(struct parser *parser, const struct property *property)
{
    struct raw *raw = map_get(&parser->by_key, property->key);
    if (!raw) {
        raw = &parser->items[parser->count++];
        if (map_put(&parser->by_key, property->key, raw))
            return err_set(parser->err, ERR_NOMEM, "out of memory");
    }
    raw->property = *property;
    return 0;
}

static int take_line(struct parser *parser)
{
    skip_blanks(parser);
    if (is_at_line_end(parser) || *parser->rest.ptr == '#' || *parser->rest.ptr == '!') {
        skip_line(parser);
        return 0;
    }
    struct property property = {.line = parser->line};
    int rc = take_text(parser, true, &property.key);
    if (rc)
        return rc;
    skip_blanks(parser);
    if (!is_at_line_end(parser) && (*parser->rest.ptr == ':' || *parser->rest.ptr == '='))
        parser->rest = str_from(parser->rest, 1);
    skip_blanks(parser);
    rc = take_text(parser, false, &property.value);
    if (rc == 0 && property.key.len == 0)
        rc = fail(parser, property.line, "no key");
    if (rc == 0)
        rc = add_property(parser, &property);
    skip_line_end(parser);
    return rc;
}

static struct str environment_get(char *const *list, struct str name)
{
    for (; list && *list; list++) {
        struct str entry = str_of(*list);
        if (str_starts_with(entry, name) && entry.len > name.len && entry.ptr[name.len] == '=')
            return str_from(entry, name.len + 1);
    }
    return STR("");
}

static int expand(struct parser *parser, struct raw *raw);

// Appends what ${name} stands for.
static int append_reference(struct parser *parser, const struct raw *from, struct str name,
                            struct buf *out)
{
    struct raw *raw = map_get(&parser->by_key, name);
    if (!raw) {
        buf_append_str(out, environment_get(parser->environ_list, name));
        return 0;
    }
    if (raw->is_busy)
        return fail(parser, from->property.line, "circular reference");
    if (parser->depth == REFERENCE_DEPTH_MAX)
        return fail(parser, from->property.line, "references nested too deep");
    raw->property.is_variable = true;
    parser->depth++;
    int rc = expand(parser, raw);
    parser->depth--;
    if (rc == 0)
        buf_append_str(out, raw->property.value);
    return rc;
}

static int expand_into(struct parser *parser, struct raw *raw, struct buf *out)
{
    struct str rest = raw->property.value;
    for (ptrdiff_t at; (at = str_find(rest, STR("${"))) >= 0;) {
        buf_append_str(out, str_upto(rest, (size_t)at));
        rest = str_from(rest, (size_t)at + 2);
        ptrdiff_t end = str_find_char(rest, '}');
        if (end < 0 || str_find(str_upto(rest, (size_t)end), STR("${")) >= 0)
            return fail(parser, raw->property.line, "malformed expression");
        int rc = append_reference(parser, raw, str_upto(rest, (size_t)end), out);
        if (rc)
            return rc;
        rest = str_from(rest, (size_t)end + 1);
    }
    buf_append_str(out, rest);
    int rc = buf_status(out);
    if (rc == ERR_TOO_LARGE)
        return err_set(parser->err, rc, "line %u: value too large", raw->property.line);
    if (rc)
        return err_set(parser->err, rc, "out of memory");
    struct str value = arena_str(parser->arena, buf_str(out));
    if (!value.ptr)
        return err_set(parser->err, ERR_NOMEM, "out of memory");
    raw->property.value = value;
    parser->expanded += value.len;
    return 0;
}

static int expand(struct parser *parser, struct raw *raw)
{
    if (raw->is_expanded || str_find(raw->property.value, STR("${")) < 0)
        return 0;
    struct buf out;
    buf_init(&out, PROPERTIES_MAX - MIN(parser->expanded, (size_t)PROPERTIES_MAX));
    raw->is_busy = true;
    int rc = expand_into(parser, raw, &out);
    raw->is_busy = false;
    raw->is_expanded = true;
    buf_fini(&out);
    return rc;
}

static size_t count_lines(struct str text)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += is_line_end(text.ptr[i]);
    return lines;
}

static int parse(struct parser *parser, struct properties *properties)
{
    parser->items =
        arena_alloc_array(parser->arena, count_lines(parser->rest), sizeof *parser->items);
    if (!parser->items)
        return err_set(parser->err, ERR_NOMEM, "out of memory");
    while (parser->rest.len) {
        int rc = take_line(parser);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < parser->count; i++) {
        int rc = expand(parser, &parser->items[i]);
        if (rc)
            return rc;
    }
    properties->items =
        arena_alloc_array(parser->arena, parser->count + 1, sizeof *properties->items);
    if (!properties->items)
        return err_set(parser->err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < parser->count; i++)
        properties->items[i] = parser->items[i].property;
    properties->count = parser->count;
    return 0;
}

int properties_parse(struct arena *arena, struct str text, char *const *environ_list,
                     struct properties *properties, struct err *err)
{
    *properties = (struct properties){NULL, 0};
    if (text.len > PROPERTIES_MAX)
        return err_set(err, ERR_TOO_LARGE, "larger than %d bytes", PROPERTIES_MAX);
    if (str_starts_with(text, STR("\xef\xbb\xbf"))) // a byte order mark is no part of the first key
        text = str_from(text, 3);
    struct parser parser = {
        .arena = arena, .rest = text, .line = 1, .environ_list = environ_list, .err = err};
    map_init(&parser.by_key);
    int rc = parse(&parser, properties);
    map_fini(&parser.by_key);
    return rc;
}

const struct property *properties_find(const struct properties *properties, struct str key)
{
    for (size_t i = 0; i < properties->count; i++) {
        if (str_eq(properties->items[i].key, key))
            return &properties->items[i];
    }
    return NULL;
}
