// SPDX-License-Identifier: Apache-2.0
// Everything that is written from the table: help, documentation, sample file and /api/config.
#include "base/mem.h"
#include "options_row.h"

static int compare_keys(const void *a, const void *b)
{
    const struct option_row *const *left = a;
    const struct option_row *const *right = b;
    return strcasecmp((*left)->key, (*right)->key);
}

// All rows in the order of their keys; to be given to mem_free. NULL when memory is short.
static const struct option_row **sorted_rows(void)
{
    const struct option_row **rows = mem_zalloc_array(OPTION_ROW_COUNT, sizeof *rows);
    if (!rows)
        return NULL;
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++)
        rows[i] = &OPTION_ROWS[i];
    qsort(rows, OPTION_ROW_COUNT, sizeof *rows, compare_keys);
    return rows;
}

static const char *type_name(const struct option_row *row)
{
    switch (row->type) {
    case OPTION_STRING:
    case OPTION_ENUM:
    case OPTION_CHOICE: return "string";
    case OPTION_BOOL: return "bool";
    case OPTION_INT:
    case OPTION_SIZE: return "int";
    case OPTION_DURATION: return "duration";
    case OPTION_LIST:
    case OPTION_FLOATS: return "list";
    case OPTION_ENTRIES: return "key-value list";
    }
    return "";
}

static void print_meaning(struct buf *out, const struct option_row *row)
{
    buf_append_cstr(out, row->help);
    if (row->state == OPTION_IGNORED)
        buf_printf(out, " %c%s.", row->note[0] & ~0x20, row->note + 1);
    if (row->state == OPTION_REFUSED)
        buf_append_cstr(out, " Not supported yet.");
}

void options_print_help(struct buf *out)
{
    const struct option_row **rows = sorted_rows();
    if (!rows)
        return;
    buf_append_cstr(out, "Usage: tagway [-cfg file] [-key value]...\n\n"
                         "  -cfg string\n    \tfile with properties\n"
                         "  -h, -help\n    \tthis text\n"
                         "  -v, -version\n    \tthe version\n");
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        buf_printf(out, "  -%s", rows[i]->key);
        if (rows[i]->type != OPTION_BOOL)
            buf_printf(out, " %s", type_name(rows[i]));
        buf_append_cstr(out, "\n    \t");
        print_meaning(out, rows[i]);
        if (*rows[i]->preset)
            buf_printf(out, " (default %s)", rows[i]->preset);
        buf_append_char(out, '\n');
    }
    mem_free(rows);
}

static void print_table(struct buf *out, const struct option_row **rows, enum option_state state,
                        bool has_defaults)
{
    buf_append_cstr(out, has_defaults ? "\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n"
                                      : "\n| Key | Type | Instead |\n|---|---|---|\n");
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        const struct option_row *row = rows[i];
        if (row->state != state)
            continue;
        buf_printf(out, "| `%s` | %s | ", row->key, type_name(row));
        if (has_defaults)
            buf_printf(out, *row->preset ? "`%s` | %s |\n" : "%s | %s |\n", row->preset, row->help);
        else
            buf_printf(out, "%s |\n", row->note ? row->note : "");
    }
}

static const char INTRODUCTION[] =
    "# Configuration\n"
    "\n"
    "<!-- Written from src/app/options_table.c; tests/unit/app/test_docs.c says how. -->\n"
    "\n"
    "Every option has a key. Its value comes from the first of these that has it:\n"
    "\n"
    "1. the command line: `-proxy.strategy rr` or `-proxy.strategy=rr`; a bool alone is true and\n"
    "   is made false with `-insecure=false`;\n"
    "2. the environment with a prefix: `FABIO_PROXY_STRATEGY=rr`, any case;\n"
    "3. the environment without: `PROXY_STRATEGY=rr`, any case;\n"
    "4. the properties file that `-cfg` names;\n"
    "5. the default.\n"
    "\n"
    "A bad value or an unknown key in the file is an error that names key, value and place; the\n"
    "program then exits with status 1 before it listens, or with 2 when a flag is at fault. An\n"
    "unknown variable with the prefix `FABIO_` is warned of. `-v` prints the version, `-h` all\n"
    "options.\n"
    "\n"
    "## Values\n"
    "\n"
    "| Type | Form |\n"
    "|---|---|\n"
    "| duration | `300ms`, `1.5h`, `1m30s`; units `ns`, `us`, `ms`, `s`, `m`, `h`; `0` |\n"
    "| int | `10000`, `0x2710`, `0b101`, `0o17` |\n"
    "| bool | `true`, `false`, `1`, `0`, `t`, `f` |\n"
    "| list | members separated by commas; blanks around them do not count |\n"
    "| key-value list | `key=val;key=val,key=val`: commas separate entries, semicolons pairs; the "
    "first pair may leave out its key; a value in quotes may contain both |\n"
    "\n"
    "## The file\n"
    "\n"
    "    # a comment\n"
    "    proxy.addr = :9999;rt=30s\n"
    "    registry.static.routes = route add web /a http://10.0.0.1:80/\\n\\\n"
    "                             route add web /b http://10.0.0.2:80/\n"
    "    domain = example.com\n"
    "    ui.title = ${domain} on ${HOSTNAME}\n"
    "\n"
    "A key ends at a blank, `:` or `=`. A backslash at the end of a line continues it; `\\n`, "
    "`\\t`,\n"
    "`\\r`, `\\f` and `\\uXXXX` are escapes, any other escaped character is itself. Blanks at the "
    "end\n"
    "of a value do not count. Of equal keys the last rules. `${name}` is the value of another key "
    "of\n"
    "the file, else of an environment variable, else nothing.\n"
    "\n"
    "## Keys\n";

void options_print_markdown(struct buf *out)
{
    const struct option_row **rows = sorted_rows();
    if (!rows)
        return;
    buf_append_cstr(out, INTRODUCTION);
    print_table(out, rows, OPTION_USED, true);
    buf_append_cstr(out, "\n## Not supported yet\n\nAny value but the default ends the program.\n");
    print_table(out, rows, OPTION_REFUSED, true);
    buf_append_cstr(out, "\n## Without effect\n\nTaken from fabio and checked; a value other than "
                         "the default is warned of once.\n");
    print_table(out, rows, OPTION_IGNORED, false);
    mem_free(rows);
}

// "# " comment lines of at most 100 characters.
static void print_comment(struct buf *out, struct str text)
{
    size_t column = 0;
    for (struct str word; str_token_next(&text, &word); column += word.len + 1) {
        if (column == 0 || column + word.len > 98) {
            buf_append_cstr(out, column ? "\n#" : "#");
            column = 1;
        }
        buf_append_char(out, ' ');
        buf_append_str(out, word);
    }
    buf_append_char(out, '\n');
}

void options_print_properties(struct buf *out)
{
    buf_append_cstr(out,
                    "# tagway: sample configuration. Every line shows a default; take away the "
                    "# in front of a key to\n# change it. docs/configuration.md has all keys.\n");
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        const struct option_row *row = &OPTION_ROWS[i];
        if (row->state != OPTION_USED)
            continue;
        buf_append_char(out, '\n');
        print_comment(out, str_of(row->help));
        buf_printf(out, *row->preset ? "#%s = %s\n" : "#%s =%s\n", row->key, row->preset);
    }
}

static void print_ns(struct buf *out, uint32_t ms)
{
    buf_append_u64(out, (uint64_t)ms * 1000000);
}

static void print_listener(struct buf *out, const struct listener_config *listener)
{
    buf_append_cstr(out, "{\"Addr\":");
    buf_append_json(out, listener->addr);
    buf_append_cstr(out, ",\"Proto\":\"http\",\"ReadTimeout\":");
    print_ns(out, listener->read_timeout_ms);
    buf_append_cstr(out, ",\"WriteTimeout\":");
    print_ns(out, listener->write_timeout_ms);
    buf_append_cstr(out, ",\"IdleTimeout\":");
    print_ns(out, listener->idle_timeout_ms);
    buf_append_char(out, '}');
}

static void print_listeners(struct buf *out, const struct options *options)
{
    buf_append_char(out, '[');
    for (unsigned i = 0; i < options->proxy.listener_count; i++) {
        if (i)
            buf_append_char(out, ',');
        print_listener(out, &options->proxy.listeners[i]);
    }
    buf_append_char(out, ']');
}

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
    uint32_t ms = 0;
    bool is_set = false;
    // The texts were checked when they were read; one that is not fit leaves the zero.
    bool is_valid = true;
    if (row->is_secret && text.len) {
        buf_append_json(out, STR("***"));
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
        is_valid = value_to_duration_ms(text, &ms);
        print_ns(out, is_valid ? ms : 0);
        break;
    case OPTION_LIST: print_list(out, text, false); break;
    case OPTION_FLOATS: print_list(out, text, true); break;
    case OPTION_ENTRIES:
        if (str_eq(str_of(row->key), STR("proxy.addr")))
            print_listeners(out, options);
        else if (str_eq(str_of(row->key), STR("ui.addr")))
            print_listener(out, &(struct listener_config){.addr = options->admin.addr});
        else
            buf_append_cstr(out, "null");
        break;
    }
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
        last = path;
    }
    for (size_t left = count_dots(last); left; left--)
        buf_append_char(out, '}');
    buf_append_char(out, '}');
}
