// SPDX-License-Identifier: Apache-2.0
// What is written from the table for people: help, documentation and sample file.
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
    if (row->is_fixed)
        buf_append_cstr(out, " Not changed by a reload.");
    if (row->state == OPTION_IGNORED)
        buf_printf(out, " %c%s.", row->note[0] & ~0x20, row->note + 1);
}

void options_print_help(struct buf *out)
{
    const struct option_row **rows = sorted_rows();
    if (!rows)
        return;
    buf_append_cstr(out, "Usage: tagway [-cfg file] [-key value]...\n"
                         "       tagway check [-consul] [-cfg file] [-key value]...\n\n"
                         "check judges the configuration without starting; with -consul it also "
                         "says which\npermissions the token has at Consul.\n\n"
                         "  -cfg string\n    \tfile or URL with properties\n"
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
            buf_printf(out, *row->preset ? "`%s` | %s%s |\n" : "%s | %s%s |\n", row->preset,
                       row->help, row->is_fixed ? " *(restart)*" : "");
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
    "4. the properties that `-cfg` names: a file or an `http://` or `https://` URL;\n"
    "5. the default.\n"
    "\n"
    "SIGHUP has all of them read again and put into effect, but for the options marked "
    "*(restart)*,\n"
    "which need a restart or an upgrade (docs/operations.md).\n"
    "\n"
    "A bad value is an error that names key, value and place; the program then exits with status "
    "1\n"
    "before it listens. So is an unknown flag. An unknown key in the file and an unknown variable\n"
    "with the prefix `FABIO_` are warned of. `-v` prints the version, `-h` all options.\n"
    "\n"
    "`tagway check`, with the same flags and environment, judges the configuration and the routes "
    "of\n"
    "the static and file backends without starting: it prints warnings, each bad route with its\n"
    "line, and `configuration OK`, or exits 1 with what the start would say. `tagway check "
    "-consul`\n"
    "also asks Consul which permissions the token lacks ([consul.md](consul.md)).\n"
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
    "A URL is fetched once, at start, within 10 s: it must answer 200 with `text/plain` (latin1\n"
    "unless it says `charset=utf-8`) or without a content type. Redirects are followed, and the\n"
    "environment's `http_proxy` is used. 1 MiB is the most a file or an answer may have.\n"
    "\n"
    "## Templates in addresses\n"
    "\n"
    "`proxy.addr`, `ui.addr`, `proxy.localip` and `registry.consul.register.addr` may name an\n"
    "address of the machine by a template:\n"
    "\n"
    "| Template | Address |\n"
    "|---|---|\n"
    "| `{{ GetPrivateIP }}`, `{{ GetPublicIP }}` | the first of that kind, the interface with the "
    "default route first |\n"
    "| `{{ GetInterfaceIP \"eth0\" }}` | the first of that interface; a regular expression where "
    "no interface has that name |\n"
    "| `{{ GetAllInterfaces \\| include \"network\" \"10.0.0.0/8\" \\| attr \"address\" }}` | "
    "the first in that network |\n"
    "\n"
    "Pipelines begin with `GetAllInterfaces`, `GetPrivateInterfaces`, `GetPublicInterfaces` or\n"
    "`GetDefaultInterfaces`, go on with `include` and `exclude` (by `name`, `address`, `network`,\n"
    "`type`, `flags` or `rfc` `1918`), `sort` and `limit`, and end with `attr` or `join`. A value\n"
    "with `,`, `;` or `=` in it has to be quoted as a whole, as in any key-value list. `name` and\n"
    "`address` are asked for by a regular expression that is found anywhere in them; it is read "
    "as\n"
    "that of content types, with the same [bounds](http.md#the-expression).\n"
    "\n"
    "## Keys\n";

void options_print_markdown(struct buf *out)
{
    const struct option_row **rows = sorted_rows();
    if (!rows)
        return;
    buf_append_cstr(out, INTRODUCTION);
    print_table(out, rows, OPTION_USED, true);
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
