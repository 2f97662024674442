// SPDX-License-Identifier: Apache-2.0
// Reading, in this order: 1. every key gets its default; 2. flags are collected; 3. the file they
// name is parsed; 4. for each key the best source is chosen, its text checked against the type and
// stored; 5. what single options mean beyond their type is applied (options_apply.c); 6. keys that
// have no effect are warned of. The first mistake ends it.
#include "app/options.h"

#include <stdarg.h>

#include "app/config_source.h"
#include "app/properties.h"
#include "base/mem.h"
#include "options_row.h"

enum { LABEL_MAX = 60 }; // bytes of the file's name in messages

struct reader {
    struct options *options;
    struct option_storage *storage;
    struct err *err;
    bool *is_usage_error;
    struct str cfg_path;  // as given
    struct str cfg_label; // as shown
    bool has_cfg;
    const struct options *running; // NULL at start
};

static const struct option_row *find_row(struct str key)
{
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        if (str_eq(str_of(OPTION_ROWS[i].key), key))
            return &OPTION_ROWS[i];
    }
    return NULL;
}

static struct option_value *value_of(const struct option_storage *storage,
                                     const struct option_row *row)
{
    return &storage->values[row - OPTION_ROWS];
}

const struct option_value *option_value(const struct option_storage *storage, const char *key)
{
    const struct option_row *row = find_row(str_of(key));
    BUG_ON(!row);
    return value_of(storage, row);
}

struct str option_text(const struct option_storage *storage, const char *key)
{
    return option_value(storage, key)->text;
}

int option_entries(struct option_storage *storage, const struct option_row *row, size_t max,
                   const char *what, struct value_entries *entries, struct err *err)
{
    int rc = value_to_entries(&storage->arena, option_text(storage, row->key), entries, err);
    if (rc == 0 && entries->count > max)
        rc = err_set(err, ERR_INVALID, "more than %zu %s", max, what);
    return rc;
}

struct str option_environment(const struct option_storage *storage, const char *name)
{
    struct str prefix = str_of(name);
    for (char *const *at = storage->environ_list; at && *at; at++) {
        struct str entry = str_of(*at);
        if (str_starts_with(entry, prefix) && entry.len > prefix.len &&
            entry.ptr[prefix.len] == '=')
            return str_from(entry, prefix.len + 1);
    }
    return STR_NULL;
}

PRINTF_LIKE(2, 0) static struct str vprint(struct arena *arena, const char *fmt, va_list args)
{
    char text[512];
    int len = vsnprintf(text, sizeof text, fmt, args);
    return arena_str(arena, str_make(text, MIN((size_t)MAX(len, 0), sizeof text - 1)));
}

PRINTF_LIKE(2, 3) static struct str print(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct str text = vprint(arena, fmt, args);
    va_end(args);
    return text;
}

void option_warn(struct option_storage *storage, const char *fmt, ...)
{
    if (storage->warning_count == WARNINGS_MAX)
        return;
    va_list args;
    va_start(args, fmt);
    struct str text = vprint(&storage->arena, fmt, args);
    va_end(args);
    if (text.ptr)
        storage->warnings[storage->warning_count++] = text;
}

static int out_of_memory(struct reader *reader)
{
    return err_set(reader->err, ERR_NOMEM, "out of memory");
}

static int set_value(struct reader *reader, const struct option_row *row, struct str text,
                     enum option_source source, struct str origin)
{
    if (!origin.ptr)
        return out_of_memory(reader);
    *value_of(reader->storage, row) = (struct option_value){text, source, origin};
    return 0;
}

// A password may stand in a URL.
static struct str without_user(struct str text, const char **mark)
{
    ptrdiff_t at = str_rfind_char(text, '@');
    *mark = at < 0 ? "" : "***@";
    return str_from(text, (size_t)(at + 1));
}

// Turns "what is wrong" into a text for people; keeps the code. What a type's check says about a
// secret may quote it.
static int explain(struct reader *reader, const struct option_row *row, bool may_quote)
{
    struct err *err = reader->err;
    const struct option_value *value = value_of(reader->storage, row);
    if (err->code == ERR_NOMEM)
        return err->code;
    const struct err copy = *err;
    const char *what = row->is_secret && may_quote ? "malformed" : copy.text;
    if (err->code == ERR_UNSUPPORTED)
        return err_set(err, err->code, "%s: %s from %.*s is not supported yet", row->key, copy.text,
                       (int)MIN(value->origin.len, 80), value->origin.ptr);
    const char *mark;
    struct str text = without_user(row->is_secret ? STR("***") : value->text, &mark);
    return err_set(err, err->code, "%s: bad value \"%s%.*s\" from %.*s: %s", row->key, mark,
                   (int)MIN(text.len, 48), text.ptr, (int)MIN(value->origin.len, 80),
                   value->origin.ptr, what);
}

static bool is_name(struct str arg, const char *name)
{
    return str_eq(arg, str_of(name));
}

// "-x" or "--x" without the dashes; false for anything else.
static bool strip_dashes(struct str arg, struct str *name)
{
    if (arg.len < 2 || *arg.ptr != '-')
        return false;
    *name = str_from(arg, arg.ptr[1] == '-' ? 2 : 1);
    return name->len != 0 && *name->ptr != '-' && *name->ptr != '=';
}

// -v and -h rule wherever they stand.
static void find_requests(struct options *options, int argc, char *const *argv)
{
    for (int i = 1; i < argc; i++) {
        struct str name;
        if (!strip_dashes(str_of(argv[i]), &name))
            continue;
        options->shows_version |= is_name(name, "v") || is_name(name, "version");
        options->shows_help |= is_name(name, "h") || is_name(name, "help");
    }
}

PRINTF_LIKE(2, 3) static int usage_error(struct reader *reader, const char *fmt, ...)
{
    char text[sizeof reader->err->text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    *reader->is_usage_error = true;
    return err_set(reader->err, ERR_INVALID, "%s", text);
}

static struct str unquoted(struct str text)
{
    if (text.len >= 2 && (*text.ptr == '\'' || *text.ptr == '"') &&
        text.ptr[text.len - 1] == *text.ptr)
        return str_make(text.ptr + 1, text.len - 2);
    return text;
}

static int take_flag(struct reader *reader, const struct option_row *row, struct str text)
{
    int rc = option_check_type(row, text, reader->err);
    if (rc == ERR_INVALID) {
        struct err what = *reader->err;
        text = row->is_secret ? STR("***") : text;
        return usage_error(reader, "invalid value \"%.*s\" for flag -%s: %s",
                           (int)MIN(text.len, 48), text.ptr, row->key,
                           row->is_secret ? "malformed" : what.text);
    }
    if (rc)
        return rc;
    return set_value(reader, row, text, SOURCE_FLAG,
                     print(&reader->storage->arena, "flag -%s", row->key));
}

// One flag at argv[*at], which is moved on when the value is an argument of its own.
static int read_flag(struct reader *reader, int argc, char *const *argv, int *at)
{
    struct str arg = str_of(argv[*at]);
    struct str name;
    if (!strip_dashes(arg, &name))
        return usage_error(reader, "unexpected argument \"%.*s\" (a bool is set with -flag=true)",
                           (int)MIN(arg.len, 64), arg.ptr);
    ptrdiff_t equals = str_find_char(name, '=');
    struct str text = STR_NULL;
    if (equals >= 0) {
        text = str_from(name, (size_t)equals + 1);
        name = str_upto(name, (size_t)equals);
    }
    bool is_cfg = is_name(name, "cfg");
    const struct option_row *row = find_row(name);
    if (!row && !is_cfg)
        return usage_error(reader, "flag provided but not defined: -%.*s", (int)MIN(name.len, 64),
                           name.ptr);
    if (equals < 0 && row && row->type == OPTION_BOOL) {
        text = STR("true");
    } else if (equals < 0) {
        if (*at + 1 < argc)
            text = str_of(argv[++*at]);
        else if (!is_cfg)
            return usage_error(reader, "flag needs an argument: -%.*s", STR_FMT(name));
    }
    if (!is_cfg)
        return take_flag(reader, row, text);
    reader->cfg_path = unquoted(text);
    reader->has_cfg = true;
    if (reader->cfg_path.len == 0)
        return err_set(reader->err, ERR_INVALID, "invalid or missing path to config file");
    return 0;
}

static int read_flags(struct reader *reader, int argc, char *const *argv)
{
    int rc = 0;
    for (int i = 1; i < argc && rc == 0; i++) {
        if (strcmp(argv[i], "--") == 0 && i + 1 == argc)
            break;
        if (str_starts_with(str_of(argv[i]), STR("-test.")))
            continue; // fabio drops them
        rc = read_flag(reader, argc, argv, &i);
    }
    return rc;
}

// Whether `name` is the environment's form of the key: any case, '_' for '.'.
static bool is_environment_name(struct str name, struct str key)
{
    if (name.len != key.len)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i] == '.' ? '_' : char_lower(key.ptr[i]);
        if (char_lower(name.ptr[i]) != c)
            return false;
    }
    return true;
}

static const struct option_row *find_row_by_environment(struct str name)
{
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        if (is_environment_name(name, str_of(OPTION_ROWS[i].key)))
            return &OPTION_ROWS[i];
    }
    return NULL;
}

// Takes the variables with the prefix (which may be empty). The first of several spellings rules.
static int read_environment(struct reader *reader, struct str prefix)
{
    for (char *const *at = reader->storage->environ_list; at && *at; at++) {
        struct str entry = str_of(*at);
        ptrdiff_t equals = str_find_char(entry, '=');
        if (equals < 0 || !str_istarts_with(entry, prefix))
            continue;
        struct str name = str_upto(entry, (size_t)equals);
        if (name.len <= prefix.len)
            continue;
        const struct option_row *row = find_row_by_environment(str_from(name, prefix.len));
        if (!row && prefix.len)
            option_warn(reader->storage, "environment %.*s: there is no such option",
                        (int)MIN(name.len, 100), name.ptr);
        if (!row || value_of(reader->storage, row)->source >= SOURCE_ENVIRONMENT)
            continue;
        int rc = set_value(reader, row, str_from(entry, (size_t)equals + 1), SOURCE_ENVIRONMENT,
                           print(&reader->storage->arena, "environment %.*s", STR_FMT(name)));
        if (rc)
            return rc;
    }
    return 0;
}

// fabio ignores them, so files have them: of older versions, of its documentation's, mistyped.
static void warn_unknown_property(struct reader *reader, const struct property *property,
                                  struct str file)
{
    const char *similar = NULL;
    for (size_t i = 0; i < OPTION_ROW_COUNT && !similar; i++) {
        if (str_ieq(str_of(OPTION_ROWS[i].key), property->key))
            similar = OPTION_ROWS[i].key;
    }
    char hint[100] = "";
    if (similar)
        snprintf(hint, sizeof hint, "; did you mean \"%s\"?", similar);
    option_warn(reader->storage, "%.*s line %u: unknown key \"%.*s\" has no effect%s",
                STR_FMT(file), property->line, (int)MIN(property->key.len, 64), property->key.ptr,
                hint);
}

static int take_property(struct reader *reader, const struct property *property)
{
    const struct option_row *row = find_row(property->key);
    struct str file = reader->cfg_label;
    if (row)
        return value_of(reader->storage, row)->source > SOURCE_FILE
                   ? 0
                   : set_value(reader, row, property->value, SOURCE_FILE,
                               print(&reader->storage->arena, "%.*s line %u", STR_FMT(file),
                                     property->line));
    if (property->is_variable)
        return 0; // only there for ${...}
    warn_unknown_property(reader, property, file);
    return 0;
}

static int parse_file(struct reader *reader, struct str text)
{
    struct properties properties;
    int rc = properties_parse(&reader->storage->arena, text, reader->storage->environ_list,
                              &properties, reader->err);
    if (rc) {
        err_wrap(reader->err, "%.*s", (int)MIN(reader->cfg_label.len, 80), reader->cfg_label.ptr);
        return rc;
    }
    for (size_t i = 0; i < properties.count && rc == 0; i++)
        rc = take_property(reader, &properties.items[i]);
    return rc;
}

static int read_file(struct reader *reader)
{
    struct buf text;
    struct str label = config_source_label(&reader->storage->arena, reader->cfg_path);
    if (label.len > LABEL_MAX) // the end tells more than the beginning
        label =
            print(&reader->storage->arena, "...%.*s", LABEL_MAX, label.ptr + label.len - LABEL_MAX);
    reader->cfg_label = label;
    if (!label.ptr)
        return out_of_memory(reader);
    buf_init(&text, PROPERTIES_MAX);
    int rc = config_source_load(reader->cfg_path, &text, reader->err);
    if (rc == 0)
        rc = parse_file(reader, buf_str(&text));
    buf_fini(&text);
    return rc;
}

static int name_index(const struct option_row *row, struct str text)
{
    for (int i = 0; row->names[i]; i++) {
        if (str_eq(text, str_of(row->names[i])))
            return i;
    }
    return -1;
}

static int fail_name(const struct option_row *row, struct err *err)
{
    char list[128] = "";
    size_t used = 0;
    for (size_t i = 0; row->names[i]; i++) {
        const char *glue = i == 0 ? "" : row->names[i + 1] ? ", " : " or ";
        const char *name = *row->names[i] ? row->names[i] : "empty";
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", glue, name);
    }
    return err_set(err, ERR_INVALID, "must be %s", list);
}

static int check_list(const struct option_row *row, struct str text, struct err *err)
{
    double number;
    if (row->type != OPTION_FLOATS)
        return 0;
    for (struct str member; value_list_next(&text, &member);) {
        if (!value_to_double(member, &number))
            return err_set(err, ERR_INVALID, "must be numbers separated by commas");
    }
    return 0;
}

static int check_entries(struct str text, struct err *err)
{
    struct arena arena;
    arena_init(&arena);
    struct value_entries entries;
    int rc = value_to_entries(&arena, text, &entries, err);
    arena_fini(&arena);
    return rc;
}

int option_check_type(const struct option_row *row, struct str text, struct err *err)
{
    int64_t number;
    uint32_t ms;
    bool is_set;
    switch (row->type) {
    case OPTION_STRING:
    case OPTION_ENUM:
    case OPTION_CHOICE: return 0;
    case OPTION_BOOL:
        return value_to_bool(text, &is_set) ? 0
                                            : err_set(err, ERR_INVALID, "must be true or false");
    case OPTION_INT:
    case OPTION_SIZE:
        if (!value_to_int(text, &number))
            return err_set(err, ERR_INVALID, "must be a whole number");
        if (number < row->min || number > row->max)
            return err_set(err, ERR_INVALID, "must be from %lld to %lld", (long long)row->min,
                           (long long)row->max);
        return 0;
    case OPTION_DURATION:
        return value_to_duration_ms(text, &ms)
                   ? 0
                   : err_set(err, ERR_INVALID, "must be a duration like 30s or 1m30s");
    case OPTION_LIST:
    case OPTION_FLOATS: return check_list(row, text, err);
    case OPTION_ENTRIES: return check_entries(text, err);
    }
    return 0;
}

// Stores a text that has passed option_check_type; fails only for a name that is none of the row's.
static int store(struct options *options, const struct option_row *row, struct str text,
                 struct err *err)
{
    char *field = (char *)options + row->offset;
    int64_t number = 0;
    uint32_t ms = 0;
    bool is_set = false;
    bool is_valid = true;
    if (row->names) {
        int index = name_index(row, text);
        if (index < 0)
            return fail_name(row, err);
        number = index;
        is_set = index == 1;
    }
    if (!row->has_field)
        return 0;
    switch (row->type) {
    case OPTION_STRING:
    case OPTION_LIST: memcpy(field, &text, sizeof text); break;
    case OPTION_BOOL:
        is_valid = value_to_bool(text, &is_set);
        memcpy(field, &is_set, sizeof is_set);
        break;
    case OPTION_CHOICE: memcpy(field, &is_set, sizeof is_set); break;
    case OPTION_ENUM: memcpy(field, &(int32_t){(int32_t)number}, sizeof(int32_t)); break;
    case OPTION_INT:
        is_valid = value_to_int(text, &number);
        memcpy(field, &(int32_t){(int32_t)number}, sizeof(int32_t));
        break;
    case OPTION_SIZE:
        is_valid = value_to_int(text, &number);
        memcpy(field, &(size_t){(size_t)number}, sizeof(size_t));
        break;
    case OPTION_DURATION:
        is_valid = value_to_duration_ms(text, &ms);
        memcpy(field, &ms, sizeof ms);
        break;
    case OPTION_FLOATS:
    case OPTION_ENTRIES: break;
    }
    BUG_ON(!is_valid);
    return 0;
}

static int check_row(struct reader *reader, const struct option_row *row)
{
    const struct option_value *value = value_of(reader->storage, row);
    int rc = option_check_type(row, value->text, reader->err);
    if (rc == 0)
        rc = store(reader->options, row, value->text, reader->err);
    if (rc)
        return explain(reader, row, true);
    if (row->state == OPTION_USED || str_eq(value->text, str_of(row->preset)))
        return 0;
    option_warn(reader->storage, "%s from %.*s has no effect: %s", row->key,
                (int)MIN(value->origin.len, 100), value->origin.ptr, row->note);
    return 0;
}

static struct str masked(const struct option_row *row, struct str text)
{
    return row->is_secret && text.len ? STR("***") : text;
}

// A value that cannot take effect now stays what it is, also where it is shown. It must be one that
// a restart would take.
static int keep_fixed(struct reader *reader, const struct option_row *row)
{
    const struct option_value before = *value_of(reader->running->storage, row);
    const struct option_value now = *value_of(reader->storage, row);
    if (!row->is_fixed || str_eq(before.text, now.text))
        return 0;
    int rc = check_row(reader, row);
    if (rc)
        return rc;
    struct str old_text = masked(row, before.text), new_text = masked(row, now.text);
    option_warn(reader->storage,
                "%s from %.*s needs a restart or an upgrade: \"%.*s\" stays, \"%.*s\" is not used",
                row->key, (int)MIN(now.origin.len, 100), now.origin.ptr, (int)MIN(old_text.len, 64),
                old_text.ptr, (int)MIN(new_text.len, 64), new_text.ptr);
    struct arena *arena = &reader->storage->arena;
    struct str text = arena_str(arena, before.text);
    return text.ptr ? set_value(reader, row, text, before.source, arena_str(arena, before.origin))
                    : out_of_memory(reader);
}

unsigned options_print_changes(const struct options *before, const struct options *after,
                               struct buf *out)
{
    unsigned count = 0;
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        const struct option_row *row = &OPTION_ROWS[i];
        struct str old_text = before->storage->values[i].text;
        struct str new_text = after->storage->values[i].text;
        if (str_eq(old_text, new_text))
            continue;
        old_text = masked(row, old_text);
        new_text = masked(row, new_text);
        buf_printf(out, "%s%s \"%.*s\" -> \"%.*s\"", count ? ", " : "", row->key,
                   (int)MIN(old_text.len, 64), old_text.ptr, (int)MIN(new_text.len, 64),
                   new_text.ptr);
        count++;
    }
    return count;
}

static int set_defaults(struct reader *reader)
{
    struct option_storage *storage = reader->storage;
    storage->values = arena_alloc_array(&storage->arena, OPTION_ROW_COUNT, sizeof *storage->values);
    if (!storage->values)
        return out_of_memory(reader);
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++)
        storage->values[i] = (struct option_value){str_of(OPTION_ROWS[i].preset), SOURCE_DEFAULT,
                                                   STR("the defaults")};
    // Without a key of their own: how changes are gathered (design: 20 ms, at most 200 ms).
    reader->options->feed.coalesce_ms = 20;
    reader->options->feed.coalesce_max_ms = 200;
    return 0;
}

static int read_all(struct reader *reader, int argc, char *const *argv)
{
    int rc = set_defaults(reader);
    if (rc == 0)
        rc = read_flags(reader, argc, argv);
    if (rc == 0)
        rc = read_environment(reader, STR("FABIO_"));
    if (rc == 0)
        rc = read_environment(reader, STR(""));
    if (rc == 0 && reader->has_cfg)
        rc = read_file(reader);
    for (size_t i = 0; i < OPTION_ROW_COUNT && rc == 0 && reader->running; i++)
        rc = keep_fixed(reader, &OPTION_ROWS[i]);
    for (size_t i = 0; i < OPTION_ROW_COUNT && rc == 0; i++)
        rc = check_row(reader, &OPTION_ROWS[i]);
    for (size_t i = 0; i < OPTION_ROW_COUNT && rc == 0; i++) {
        const struct option_row *row = &OPTION_ROWS[i];
        if (row->apply && row->apply(reader->options, reader->storage, row, reader->err))
            rc = explain(reader, row, false);
    }
    return rc;
}

static int options_read_as(struct options *options, const struct options *running, int argc,
                           char *const *argv, char *const *environ_list, struct err *err,
                           bool *is_usage_error)
{
    *options = (struct options){.log_level = LOG_INFO};
    *is_usage_error = false;
    find_requests(options, argc, argv);
    if (options->shows_version || options->shows_help)
        return 0;
    options->storage = mem_zalloc(sizeof *options->storage);
    if (!options->storage)
        return err_set(err, ERR_NOMEM, "out of memory");
    arena_init(&options->storage->arena);
    options->storage->environ_list = environ_list;
    struct reader reader = {.options = options,
                            .storage = options->storage,
                            .err = err,
                            .is_usage_error = is_usage_error,
                            .running = running};
    return read_all(&reader, argc, argv);
}

int options_read(struct options *options, int argc, char *const *argv, char *const *environ_list,
                 struct err *err, bool *is_usage_error)
{
    return options_read_as(options, NULL, argc, argv, environ_list, err, is_usage_error);
}

int options_read_again(struct options *options, const struct options *running, int argc,
                       char *const *argv, char *const *environ_list, struct err *err)
{
    bool is_usage_error;
    int rc = options_read_as(options, running, argc, argv, environ_list, err, &is_usage_error);
    options->admin.version = running->admin.version;
    // What the machine has decided at start, or was decided with a key that is fixed.
    options->proxy.worker_count = running->proxy.worker_count;
    if (rc == 0) {
        options->worker_source = arena_str(&options->storage->arena, running->worker_source);
        if (!options->worker_source.ptr)
            rc = err_set(err, ERR_NOMEM, "out of memory");
    }
    return rc;
}

void options_fini(struct options *options)
{
    if (options->storage)
        arena_fini(&options->storage->arena);
    mem_free(options->storage);
    *options = (struct options){0};
}

size_t options_warning_count(const struct options *options)
{
    return options->storage ? options->storage->warning_count : 0;
}

struct str options_warning_at(const struct options *options, size_t index)
{
    return options->storage->warnings[index];
}
