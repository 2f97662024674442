// SPDX-License-Identifier: Apache-2.0
// The text, a line each; a value is the rest of its line, with \xHH for control bytes and the
// backslash:
//   tagway snapshot 1
//   saved 1764115200000000 2025-11-26T00:00:00Z
//   from consul http://localhost:8500 ...
//   page LINE                  any number, in order
//   manual LINE                likewise
//   service NAME
//   route HOST/PATH            with what belongs to it indented by one space: to, weight, tag,
//   opts,
//    to http://10.0.0.1:80/    instance, text, health, note
//   end CHECKSUM
// A reader accepts exactly what a writer of its version can have written.
#include "discover/snapshot_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

#define MAGIC "tagway snapshot "
enum { VERSION = 1, CHECKSUM_LEN = 16, TAGS_MAX = 10000 };

void snapshot_init(struct snapshot *snapshot)
{
    *snapshot = (struct snapshot){0};
    buf_init(&snapshot->manual, SNAPSHOT_TEXT_MAX);
    buf_init(&snapshot->page, SNAPSHOT_TEXT_MAX);
}

void snapshot_fini(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        mem_free(snapshot->services[i].key);
        def_list_fini(&snapshot->services[i].defs);
    }
    mem_free(snapshot->services);
    buf_fini(&snapshot->manual);
    buf_fini(&snapshot->page);
    snapshot_init(snapshot);
}

struct def_list *snapshot_add_service(struct snapshot *snapshot, struct str key)
{
    if (snapshot->count == snapshot->cap) {
        size_t cap = snapshot->cap ? snapshot->cap * 2 : 16;
        struct snapshot_service *services = mem_realloc(snapshot->services, cap * sizeof *services);
        if (!services)
            return NULL;
        snapshot->services = services;
        snapshot->cap = cap;
    }
    struct snapshot_service *service = &snapshot->services[snapshot->count];
    *service = (struct snapshot_service){.key = str_dup(key)};
    if (!service->key)
        return NULL;
    snapshot->count++;
    return &service->defs;
}

// FNV-1a (Fowler, Noll, Vo): against accidents, not against forgery.
static uint64_t checksum(struct str text)
{
    uint64_t sum = 0xcbf29ce484222325;
    for (size_t i = 0; i < text.len; i++)
        sum = (sum ^ (unsigned char)text.ptr[i]) * 0x100000001b3;
    return sum;
}

// --- writing ---

static bool is_plain(char c)
{
    return (unsigned char)c >= ' ' && c != 0x7f && c != '\\';
}

static void print_line(struct buf *out, const char *name, struct str value)
{
    buf_append_cstr(out, name);
    buf_append_char(out, ' ');
    size_t from = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (is_plain(value.ptr[i]))
            continue;
        buf_append(out, value.ptr + from, i - from);
        buf_printf(out, "\\x%02x", (unsigned char)value.ptr[i]);
        from = i + 1;
    }
    buf_append_str(out, str_from(value, from));
    buf_append_char(out, '\n');
}

static void print_optional(struct buf *out, const char *name, struct str value)
{
    if (value.len > 0)
        print_line(out, name, value);
}

static void print_text(struct buf *out, const char *name, struct str text)
{
    struct str line;
    while (text.len > 0) {
        ptrdiff_t end = str_find_char(text, '\n');
        line = end < 0 ? text : str_upto(text, (size_t)end);
        print_line(out, name, line);
        text = str_from(text, line.len + 1);
        if (end >= 0 && text.len == 0)
            print_line(out, name, STR(""));
    }
}

static void print_def(struct buf *out, const struct route_def *def)
{
    // Host and path lie side by side, but for the terminator.
    struct buf src;
    buf_init(&src, SNAPSHOT_TEXT_MAX);
    buf_append_str(&src, def->rule->host);
    buf_append_str(&src, def->rule->path);
    print_line(out, "route", buf_str(&src));
    if (buf_status(&src) < 0)
        out->failure = buf_status(&src);
    buf_fini(&src);
    print_line(out, " to", route_def_dst(def));
    if (def->rule->has_weight)
        buf_printf(out, " weight %.17g\n", def->rule->weight);
    for (size_t i = 0; i < def->rule->tag_count; i++)
        print_line(out, " tag", def->rule->tags[i]);
    print_optional(out, " opts", def->rule->opts);
    print_optional(out, " instance", route_def_instance(def));
    print_optional(out, " text", def->rule->source_text);
    if (def->health != ROUTE_UP)
        print_line(out, " health", str_of(route_health_text(def->health)));
    print_optional(out, " note", route_def_health_note(def));
}

static int by_key(const void *a, const void *b)
{
    const struct snapshot_service *left = a, *right = b;
    return strcmp(left->key, right->key);
}

void snapshot_seal(struct buf *text)
{
    uint64_t sum = checksum(buf_str(text));
    buf_printf(text, "end %016" PRIx64 "\n", sum);
}

void snapshot_print(struct snapshot *snapshot, struct str from, struct buf *out)
{
    char time_text[32] = "";
    time_t seconds = (time_t)(snapshot->saved_us / 1000000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts))
        strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (snapshot->count > 0)
        qsort(snapshot->services, snapshot->count, sizeof *snapshot->services, by_key);
    buf_printf(out, MAGIC "%d\nsaved %" PRIu64 " %s\n", VERSION, snapshot->saved_us, time_text);
    print_line(out, "from", from);
    print_text(out, "page", buf_str(&snapshot->page));
    print_text(out, "manual", buf_str(&snapshot->manual));
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_service *service = &snapshot->services[i];
        print_line(out, "service", str_of(service->key));
        for (size_t k = 0; k < service->defs.count; k++)
            print_def(out, service->defs.items[k]);
    }
    snapshot_seal(out);
}

// --- reading ---

struct reader {
    struct snapshot *snapshot;
    struct str from;
    struct err *err;
    struct str service;    // empty: none yet
    struct def_list *defs; // of the service
    bool has_route;        // spec is being collected
    struct route_def_spec spec;
    struct str *tags; // owned; of spec
    size_t tag_cap;
    bool has_saved, has_from, has_page, has_manual;
    size_t line;
};

static int refuse(struct reader *reader, const char *reason)
{
    return err_set(reader->err, ERR_INVALID, "line %zu: %s", reader->line, reason);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// In place: the text only gets shorter.
static int unescape(char *ptr, size_t len, struct str *value)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        if (is_plain(ptr[i])) {
            ptr[to++] = ptr[i];
            continue;
        }
        if (ptr[i] != '\\' || len - i < 4 || ptr[i + 1] != 'x')
            return ERR_INVALID;
        int high = hex_value(ptr[i + 2]), low = hex_value(ptr[i + 3]);
        if (high < 0 || low < 0)
            return ERR_INVALID;
        ptr[to++] = (char)(high * 16 + low);
        i += 3;
    }
    *value = str_make(ptr, to);
    return 0;
}

// What was collected of a route becomes a definition.
static int finish_route(struct reader *reader)
{
    if (!reader->has_route)
        return 0;
    reader->has_route = false;
    reader->spec.tags = reader->tags;
    struct err reason = {0};
    struct route_def *def = route_def_new(&reader->spec, &reason);
    if (!def)
        return err_set(reader->err, reason.code, "line %zu: %s", reader->line, reason.text);
    return def_list_add(reader->defs, def);
}

static int add_tag(struct reader *reader, struct str tag)
{
    if (reader->spec.tag_count == TAGS_MAX)
        return refuse(reader, "too many tags");
    if (reader->spec.tag_count == reader->tag_cap) {
        size_t cap = reader->tag_cap ? reader->tag_cap * 2 : 16;
        struct str *tags = mem_realloc(reader->tags, cap * sizeof *tags);
        if (!tags)
            return ERR_NOMEM;
        reader->tags = tags;
        reader->tag_cap = cap;
    }
    reader->tags[reader->spec.tag_count++] = tag;
    return 0;
}

static int read_weight(struct reader *reader, struct str value)
{
    char text[40];
    char *end;
    if (value.len == 0 || value.len >= sizeof text)
        return refuse(reader, "bad weight");
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    reader->spec.weight = strtod(text, &end);
    reader->spec.has_weight = true;
    return *end == '\0' && reader->spec.weight >= 0 ? 0 : refuse(reader, "bad weight");
}

static int read_health(struct reader *reader, struct str value)
{
    static const enum route_health ALL[] = {ROUTE_CRITICAL, ROUTE_MAINTENANCE, ROUTE_NODE_DOWN};
    for (size_t i = 0; i < ARRAY_LEN(ALL); i++) {
        if (str_eq(value, str_of(route_health_text(ALL[i])))) {
            reader->spec.health = ALL[i];
            return 0;
        }
    }
    return refuse(reader, "unknown health");
}

static int read_detail(struct reader *reader, struct str name, struct str value)
{
    struct route_def_spec *spec = &reader->spec;
    if (!reader->has_route)
        return refuse(reader, "belongs to no route");
    if (str_eq(name, STR(" to")))
        spec->dst = value;
    else if (str_eq(name, STR(" weight")))
        return read_weight(reader, value);
    else if (str_eq(name, STR(" tag")))
        return add_tag(reader, value);
    else if (str_eq(name, STR(" opts")))
        spec->opts = value;
    else if (str_eq(name, STR(" instance")))
        spec->instance = value;
    else if (str_eq(name, STR(" text")))
        spec->source_text = value;
    else if (str_eq(name, STR(" health")))
        return read_health(reader, value);
    else if (str_eq(name, STR(" note")))
        spec->health_note = value;
    else
        return refuse(reader, "unknown word");
    return 0;
}

static int add_text_line(struct buf *text, bool *has_line, struct str line)
{
    if (*has_line)
        buf_append_char(text, '\n');
    *has_line = true;
    buf_append_str(text, line);
    return buf_status(text);
}

static int read_line(struct reader *reader, struct str name, struct str value)
{
    if (name.len > 0 && name.ptr[0] == ' ')
        return read_detail(reader, name, value);
    int status = finish_route(reader);
    if (status < 0)
        return status;
    if (str_eq(name, STR("saved"))) {
        ptrdiff_t space = str_find_char(value, ' ');
        reader->has_saved =
            space > 0 && str_to_u64(str_upto(value, (size_t)space), &reader->snapshot->saved_us);
        return reader->has_saved ? 0 : refuse(reader, "bad time");
    }
    if (str_eq(name, STR("from"))) {
        reader->has_from = true;
        if (str_eq(value, reader->from))
            return 0;
        return err_set(reader->err, ERR_INVALID, "it is of another registry: %.*s",
                       STR_FMT(str_upto(value, 150)));
    }
    if (!reader->has_saved || !reader->has_from)
        return refuse(reader, "time and origin are missing");
    if (str_eq(name, STR("page")))
        return add_text_line(&reader->snapshot->page, &reader->has_page, value);
    if (str_eq(name, STR("manual")))
        return add_text_line(&reader->snapshot->manual, &reader->has_manual, value);
    if (str_eq(name, STR("service"))) {
        if (value.len == 0 || memchr(value.ptr, '\0', value.len))
            return refuse(reader, "bad name of a service");
        reader->service = value;
        reader->defs = snapshot_add_service(reader->snapshot, value);
        return reader->defs ? 0 : ERR_NOMEM;
    }
    if (!str_eq(name, STR("route")))
        return refuse(reader, "unknown word");
    if (!reader->defs)
        return refuse(reader, "belongs to no service");
    reader->has_route = true;
    reader->spec = (struct route_def_spec){.service = reader->service, .src = value};
    return 0;
}

static int read_lines(struct reader *reader, char *ptr, size_t len)
{
    while (len > 0) {
        char *end = memchr(ptr, '\n', len);
        size_t line_len = end ? (size_t)(end - ptr) : len;
        char *space = line_len > 1 ? memchr(ptr + 1, ' ', line_len - 1) : NULL;
        reader->line++;
        if (!end || !space)
            return refuse(reader, "not a word and a value");
        struct str name = str_make(ptr, (size_t)(space - ptr));
        struct str value;
        if (unescape(space + 1, line_len - name.len - 1, &value) < 0)
            return refuse(reader, "bad escape");
        int status = read_line(reader, name, value);
        if (status < 0)
            return status;
        ptr += line_len + 1;
        len -= line_len + 1;
    }
    int status = finish_route(reader);
    if (status == 0 && !(reader->has_saved && reader->has_from))
        status = refuse(reader, "time and origin are missing");
    return status;
}

// The lines between the first and the seal.
static int check_frame(struct buf *text, struct str *body, struct err *err)
{
    char expected[CHECKSUM_LEN + 6];
    struct str all = buf_str(text);
    ptrdiff_t first_end = str_find_char(all, '\n');
    if (!str_starts_with(all, STR(MAGIC)) || first_end < 0)
        return err_set(err, ERR_INVALID, "it is no snapshot");
    struct str version =
        str_make(all.ptr + sizeof MAGIC - 1, (size_t)first_end - (sizeof MAGIC - 1));
    uint64_t number;
    if (!str_to_u64(version, &number) || number != VERSION)
        return err_set(err, ERR_UNSUPPORTED, "its version is %.*s; this program reads %d",
                       STR_FMT(str_upto(version, 20)), VERSION);
    size_t seal_len = CHECKSUM_LEN + 5; // "end " and newline
    if (all.len - (size_t)first_end - 1 < seal_len)
        return err_set(err, ERR_INVALID, "it is cut short");
    struct str sealed = str_upto(all, all.len - seal_len);
    snprintf(expected, sizeof expected, "end %016" PRIx64 "\n", checksum(sealed));
    if (!str_eq(str_from(all, sealed.len), str_of(expected)))
        return err_set(err, ERR_INVALID, "it is cut short or was changed");
    *body = str_from(sealed, (size_t)first_end + 1);
    return 0;
}

int snapshot_parse(struct buf *text, struct str from, struct snapshot *snapshot, struct err *err)
{
    struct str body = STR_NULL;
    snapshot_init(snapshot);
    int status = check_frame(text, &body, err);
    if (status < 0)
        return status;
    struct reader reader = {.snapshot = snapshot, .from = from, .err = err, .line = 1};
    status = read_lines(&reader, text->ptr + (body.ptr - text->ptr), body.len);
    mem_free(reader.tags);
    if (status < 0) {
        snapshot_fini(snapshot);
        if (err->code != status)
            err_set(err, status, "%s", err_text(status));
    }
    return status;
}
