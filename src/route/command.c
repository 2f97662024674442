// SPDX-License-Identifier: Apache-2.0
#include "route/command.h"

#include "base/arena.h"
#include "base/mem.h"
#include "text.h"
#include "url.h"

struct command_list {
    struct arena arena; // the texts of `del` and `weight`, and the tags of all
    struct command *at; // owned
    size_t count;
    size_t cap;
};

// One text on its way through the parser.
struct parser {
    struct command_list *list;
    struct str origin;
    command_problem_fn on_problem;
    void *ctx;
    char key_origin[256]; // of the KV key that the lines at hand belong to
};

// What is left of one line. Each take_ function either takes its clause off or leaves all as it
// was.
struct clause {
    struct str rest;
};

static bool is_at_end(const struct clause *c)
{
    struct str rest = c->rest, word;
    return !str_token_next(&rest, &word);
}

static bool take_word(struct clause *c, struct str *word)
{
    return str_token_next(&c->rest, word);
}

static bool take_keyword(struct clause *c, struct str keyword)
{
    struct str rest = c->rest, word;
    if (!str_token_next(&rest, &word) || !str_eq(word, keyword))
        return false;
    c->rest = rest;
    return true;
}

// keyword "text without quotes", followed by white space or the end.
static bool take_quoted(struct clause *c, struct str keyword, struct str *text)
{
    struct clause ahead = *c;
    if (!take_keyword(&ahead, keyword))
        return false;
    struct str rest = str_trim(ahead.rest);
    if (rest.len < 2 || rest.ptr[0] != '"')
        return false;
    rest = str_from(rest, 1);
    ptrdiff_t close = str_find_char(rest, '"');
    if (close < 0)
        return false;
    struct str behind = str_from(rest, (size_t)close + 1);
    if (behind.len > 0 && str_trim(behind).ptr == behind.ptr)
        return false;
    *text = str_upto(rest, (size_t)close);
    c->rest = behind;
    return true;
}

static bool take_weight(struct clause *c, struct str *text)
{
    struct clause ahead = *c;
    if (!take_keyword(&ahead, STR("weight")) || !take_word(&ahead, text))
        return false;
    *c = ahead;
    return true;
}

// "a, b" to an array in the arena; an empty text is no tags.
static int split_tags(struct parser *p, struct str text, struct str **tags, size_t *count)
{
    *tags = NULL;
    *count = 0;
    if (text.len == 0)
        return 0;
    size_t room = 1;
    for (size_t i = 0; i < text.len; i++)
        room += text.ptr[i] == ',';
    struct str rest = arena_str(&p->list->arena, text), piece;
    *tags = arena_alloc_array(&p->list->arena, room, sizeof **tags);
    if (!rest.ptr || !*tags)
        return ERR_NOMEM;
    while (str_split_next(&rest, ',', &piece))
        (*tags)[(*count)++] = text_trim(piece);
    return 0;
}

// host and path of `del` and `weight`, one behind the other as in a definition: "host\0path\0".
static int set_src(struct command_list *list, struct str src, struct command *command)
{
    char *text = arena_alloc(&list->arena, src.len + 3);
    if (!text)
        return ERR_NOMEM;
    ptrdiff_t slash = src.ptr[0] == ':' ? (ptrdiff_t)src.len : str_find_char(src, '/');
    size_t host_len = slash < 0 ? src.len : (size_t)slash;
    for (size_t i = 0; i < host_len; i++)
        text[i] = char_lower(src.ptr[i]);
    struct str path = slash < 0 ? STR("/") : str_from(src, host_len);
    if (path.len)
        memcpy(text + host_len + 1, path.ptr, path.len);
    command->has_src = true;
    command->host = str_make(text, host_len);
    command->path = str_make(text + host_len + 1, path.len);
    return 0;
}

static int keep(struct command_list *list, struct str *text)
{
    if (text->len == 0)
        return 0;
    *text = arena_str(&list->arena, *text);
    return text->ptr ? 0 : ERR_NOMEM;
}

// The destination of `del`, in the form in which definitions keep theirs.
static int set_dst(struct command_list *list, struct str dst, struct command *command,
                   struct err *err)
{
    struct url url;
    if (url_parse(dst, &url, err) != 0)
        return err_wrap(err, "route: invalid target. %.*s", STR_FMT(dst));
    char *text = arena_alloc(&list->arena, 3 * dst.len);
    if (!text)
        return ERR_NOMEM;
    command->dst = str_make(text, url_print(dst, &url, text));
    return 0;
}

static int invalid(struct err *err, const char *clause)
{
    return err_set(err, ERR_INVALID, "syntax error: '%s' invalid", clause);
}

static int parse_weight_value(struct str text, double *weight, struct err *err)
{
    if (text_to_weight(text, weight))
        return 0;
    return err_set(err, ERR_INVALID, "syntax error: weight value invalid");
}

static int parse_add(struct parser *p, struct clause c, struct command *command, struct err *err)
{
    struct route_def_spec spec = {0};
    struct str weight = STR_NULL, tags = STR_NULL;
    if (!take_word(&c, &spec.service) || !take_word(&c, &spec.src) || !take_word(&c, &spec.dst))
        return invalid(err, "route add");
    spec.has_weight = take_weight(&c, &weight);
    take_quoted(&c, STR("tags"), &tags);
    take_quoted(&c, STR("opts"), &spec.opts);
    if (!is_at_end(&c))
        return invalid(err, "route add");
    if (spec.has_weight && parse_weight_value(weight, &spec.weight, err) != 0)
        return ERR_INVALID;
    struct str *list;
    char origin[256];
    if (split_tags(p, tags, &list, &spec.tag_count) != 0)
        return ERR_NOMEM;
    spec.tags = list;
    snprintf(origin, sizeof origin, "%.*s line %u", STR_FMT(str_upto(p->origin, 200)),
             command->line);
    spec.instance = str_of(origin);
    spec.source_text = command->text;
    command->def = route_def_new(&spec, err);
    return command->def ? 0 : err->code;
}

// The forms with tags before the plain one.
static int parse_del(struct parser *p, struct clause c, struct command *command, struct err *err)
{
    struct str tags = STR_NULL, src = STR_NULL, dst = STR_NULL;
    struct clause with_service = c;
    bool has_form = take_word(&with_service, &command->service) &&
                    take_quoted(&with_service, STR("tags"), &tags) && is_at_end(&with_service);
    if (!has_form) {
        struct clause only_tags = c;
        has_form = take_quoted(&only_tags, STR("tags"), &tags) && is_at_end(&only_tags);
        if (has_form) {
            command->service = STR_NULL;
            if (tags.len == 0)
                return err_set(err, ERR_INVALID, "'route del' names neither a service nor tags");
        }
    }
    if (!has_form) {
        tags = STR_NULL;
        has_form = take_word(&c, &command->service);
        if (has_form && take_word(&c, &src))
            take_word(&c, &dst);
        if (!has_form || !is_at_end(&c))
            return invalid(err, "route del");
    }
    if (keep(p->list, &command->service) != 0 ||
        split_tags(p, tags, &command->tags, &command->tag_count) != 0 ||
        (src.len > 0 && set_src(p->list, src, command) != 0))
        return ERR_NOMEM;
    return dst.len > 0 ? set_dst(p->list, dst, command, err) : 0;
}

static int parse_weight(struct parser *p, struct clause c, struct command *command, struct err *err)
{
    struct str src, weight, tags = STR_NULL;
    struct clause with_service = c;
    bool has_form = take_word(&with_service, &command->service) && take_word(&with_service, &src) &&
                    take_weight(&with_service, &weight);
    if (has_form) {
        take_quoted(&with_service, STR("tags"), &tags);
        has_form = is_at_end(&with_service);
    }
    if (!has_form) {
        command->service = STR_NULL;
        if (!take_word(&c, &src) || !take_weight(&c, &weight) ||
            !take_quoted(&c, STR("tags"), &tags) || !is_at_end(&c))
            return invalid(err, "route weight");
    }
    if (parse_weight_value(weight, &command->weight, err) != 0)
        return ERR_INVALID;
    if (keep(p->list, &command->service) != 0 || set_src(p->list, src, command) != 0 ||
        split_tags(p, tags, &command->tags, &command->tag_count) != 0)
        return ERR_NOMEM;
    return 0;
}

// Keywords are recognised by prefix: "route addx" is a broken `route add`.
static int parse_line(struct parser *p, struct command *command, struct err *err)
{
    static const struct {
        const char *keyword;
        const char *clause;
        enum command_kind kind;
        int (*parse)(struct parser *, struct clause, struct command *, struct err *);
    } kinds[] = {
        {"add", "route add", COMMAND_ADD, parse_add},
        {"del", "route del", COMMAND_DEL, parse_del},
        {"weight", "route weight", COMMAND_WEIGHT, parse_weight},
    };
    struct clause c = {command->text};
    struct str word = STR_NULL;
    if (take_keyword(&c, STR("route")) && take_word(&c, &word)) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            if (!str_starts_with(word, str_of(kinds[i].keyword)))
                continue;
            command->kind = kinds[i].kind;
            return str_eq(word, str_of(kinds[i].keyword)) ? kinds[i].parse(p, c, command, err)
                                                          : invalid(err, kinds[i].clause);
        }
    }
    return err_set(err, ERR_INVALID, "syntax error: 'route' expected");
}

static int append(struct command_list *list, const struct command *command)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 16;
        struct command *at = mem_realloc(list->at, cap * sizeof *at);
        if (!at)
            return ERR_NOMEM;
        list->at = at;
        list->cap = cap;
    }
    list->at[list->count++] = *command;
    return 0;
}

static int take_line(struct parser *p, struct str line, uint32_t number)
{
    struct err err = {0};
    struct command command = {.line = number, .text = text_trim(line)};
    bool is_comment =
        str_starts_with(command.text, STR("#")) || str_starts_with(command.text, STR("//"));
    if (command.text.len == 0 || is_comment)
        return 0;
    int rc;
    if (command.text.len > COMMAND_LINE_MAX) {
        command.text = str_upto(command.text, 256);
        rc = err_set(&err, ERR_INVALID, "the line is longer than 64 KB");
    } else {
        rc = parse_line(p, &command, &err);
    }
    // A definition has its own copy of the line.
    if (rc == 0 && command.def)
        command.text = command.def->rule->source_text;
    else if (rc == 0)
        rc = keep(p->list, &command.text);
    if (rc == 0)
        rc = append(p->list, &command);
    if (rc != 0)
        route_def_unref(command.def);
    if (rc == ERR_INVALID && p->on_problem)
        p->on_problem(p->ctx, p->origin, number, command.text, err.text);
    return rc == ERR_NOMEM ? ERR_NOMEM : 0;
}

struct command_list *command_list_new(void)
{
    struct command_list *list = mem_zalloc(sizeof *list);
    if (list)
        arena_init(&list->arena);
    return list;
}

// What fabio's functions behind `del` and `weight` make of the parts: tags come before a place.
static int check_spec(enum command_kind kind, const struct route_def_spec *spec, struct err *err)
{
    if (kind == COMMAND_WEIGHT)
        return spec->src.len > 0 ? 0 : err_set(err, ERR_INVALID, "route: prefix must not be empty");
    if (spec->tag_count > 0)
        return 0;
    if (spec->service.len == 0)
        return err_set(err, ERR_INVALID, "'route del' names neither a service nor tags");
    if (spec->src.len == 0 && spec->dst.len > 0)
        return err_set(err, ERR_INVALID, "route: prefix must not be empty");
    return 0;
}

static int copy_spec(struct command_list *list, const struct route_def_spec *spec,
                     struct command *command, struct err *err)
{
    bool has_place = command->kind == COMMAND_WEIGHT || spec->tag_count == 0;
    bool has_dst = command->kind == COMMAND_DEL && has_place && spec->dst.len > 0;
    command->service = spec->service;
    command->weight = spec->weight;
    command->text = spec->source_text;
    command->tags = arena_alloc_array(&list->arena, spec->tag_count, sizeof *command->tags);
    if (!command->tags || keep(list, &command->service) != 0 || keep(list, &command->text) != 0 ||
        (has_place && spec->src.len > 0 && set_src(list, spec->src, command) != 0))
        return ERR_NOMEM;
    for (; command->tag_count < spec->tag_count; command->tag_count++) {
        command->tags[command->tag_count] = spec->tags[command->tag_count];
        if (keep(list, &command->tags[command->tag_count]) != 0)
            return ERR_NOMEM;
    }
    return has_dst ? set_dst(list, spec->dst, command, err) : 0;
}

int command_list_add(struct command_list *list, enum command_kind kind,
                     const struct route_def_spec *spec, uint32_t line, struct err *err)
{
    struct command command = {.kind = kind, .line = line};
    int rc;
    if (kind == COMMAND_ADD) {
        command.def = route_def_new(spec, err);
        if (!command.def)
            return err->code;
        command.text = command.def->rule->source_text;
    } else {
        rc = check_spec(kind, spec, err);
        if (rc != 0)
            return rc;
        rc = copy_spec(list, spec, &command, err);
        if (rc == ERR_NOMEM)
            err_set(err, rc, "%s", err_text(rc));
        if (rc != 0)
            return rc;
    }
    rc = append(list, &command);
    if (rc != 0) {
        route_def_unref(command.def);
        err_set(err, rc, "%s", err_text(rc));
    }
    return rc;
}

// The line `# --- KEY` that begins the text of a KV key.
static bool take_heading(struct parser *p, struct str line)
{
    if (!str_starts_with(line, STR("# --- ")))
        return false;
    struct str key = str_trim(str_from(line, strlen("# --- ")));
    int len = snprintf(p->key_origin, sizeof p->key_origin, "kv %.*s",
                       STR_FMT(str_upto(key, sizeof p->key_origin - 4)));
    p->origin = str_make(p->key_origin, (size_t)len);
    return true;
}

struct command_list *command_list_parse(struct str text, struct str origin,
                                        command_problem_fn on_problem, void *ctx)
{
    struct command_list *list = command_list_new();
    if (!list)
        return NULL;
    struct parser p = {.list = list, .origin = origin, .on_problem = on_problem, .ctx = ctx};
    bool is_keyed = origin.len == 0;
    struct str line;
    for (uint32_t number = 1; str_split_next(&text, '\n', &line); number++) {
        if (is_keyed && take_heading(&p, line)) {
            number = 0;
        } else if (take_line(&p, line, number) != 0) {
            command_list_free(list);
            return NULL;
        }
    }
    return list;
}

void command_list_free(struct command_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        route_def_unref(list->at[i].def);
    mem_free(list->at);
    arena_fini(&list->arena);
    mem_free(list);
}

size_t command_list_count(const struct command_list *list)
{
    return list ? list->count : 0;
}

const struct command *command_list_at(const struct command_list *list, size_t index)
{
    return &list->at[index];
}
