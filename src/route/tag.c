// SPDX-License-Identifier: Apache-2.0
#include "route/tag.h"

#include "base/mem.h"
#include "text.h"

bool tag_is_route(struct str tag, struct str prefix)
{
    return str_starts_with(text_trim(tag), prefix);
}

static bool is_alnum(char c)
{
    c = char_lower(c);
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

bool tag_is_near_miss(struct str tag, struct str prefix)
{
    tag = text_trim(tag);
    if (prefix.len == 0 || str_starts_with(tag, prefix))
        return false;
    // The prefix's letters and digits in their order, whatever the case and whatever stands
    // between.
    size_t at = 0;
    for (size_t i = 0; i < prefix.len; i++) {
        if (!is_alnum(prefix.ptr[i]))
            continue;
        while (at < tag.len && strchr("-_:. ", tag.ptr[at]) && tag.ptr[at])
            at++;
        if (at == tag.len || char_lower(tag.ptr[at]) != char_lower(prefix.ptr[i]))
            return false;
        at++;
    }
    struct str rest = str_from(tag, at);
    return at > 0 && (rest.len == 0 || !is_alnum(rest.ptr[0]) || str_find_char(rest, '/') >= 0);
}

static bool is_name_char(char c)
{
    return is_alnum(c) || c == '_';
}

// Behind '$': the variable's name, cut off *rest. False when the '$' stands for itself.
static bool take_variable(struct str *rest, struct str *name)
{
    *name = STR_NULL;
    if (rest->len == 0)
        return false;
    char first = rest->ptr[0];
    if (first == '{') {
        ptrdiff_t close = str_find_char(*rest, '}');
        bool is_closed = close > 0;
        if (is_closed)
            *name = str_from(str_upto(*rest, (size_t)close), 1);
        *rest = str_from(*rest, is_closed ? (size_t)close + 1 : 1);
        return true;
    }
    if (strchr("*#$@!?-", first) || (first >= '0' && first <= '9')) {
        *rest = str_from(*rest, 1); // a shell's special parameter, always unknown here
        return true;
    }
    size_t len = 0;
    while (len < rest->len && is_name_char(rest->ptr[len]))
        len++;
    *name = str_upto(*rest, len);
    *rest = str_from(*rest, len);
    return len > 0;
}

int tag_expand(struct str text, struct str datacenter, char *out, size_t room)
{
    size_t used = 0;
    while (text.len > 0) {
        struct str piece = str_upto(text, 1), name;
        text = str_from(text, 1);
        if (piece.ptr[0] == '$' && take_variable(&text, &name))
            piece = str_eq(name, STR("DC")) ? datacenter : STR_NULL;
        if (piece.len > room - used)
            return ERR_TOO_LARGE;
        if (piece.len)
            memcpy(out + used, piece.ptr, piece.len);
        used += piece.len;
    }
    return (int)used;
}

// Everything that is the same for all tags of one instance.
struct expansion {
    const struct tag_instance *instance;
    struct str prefix;
    tag_def_fn on_def;
    tag_problem_fn on_problem;
    void *ctx;
    struct str *plain; // owned; the plain tags, split at ','
    size_t plain_count;
};

static void report(const struct expansion *x, struct str tag, const char *reason, bool is_lost)
{
    if (x->on_problem)
        x->on_problem(x->ctx, tag, reason, is_lost);
}

// redirect=<code>,<url>, also with ';' or '|'. False when the field is to be ignored.
static bool split_redirect(const struct expansion *x, struct str tag, struct str value,
                           struct str *code, struct str *url)
{
    size_t at = 0;
    while (at < value.len && !strchr(",;|", value.ptr[at]))
        at++;
    *code = str_upto(value, at);
    *url = str_from(value, at + 1);
    if (at == value.len || url->len == 0) {
        report(
            x, tag,
            "redirect: a URL is missing behind the code; the route proxies. If the tag was cut at "
            "a comma (registrator does that), write redirect=301;https://...",
            false);
        return false;
    }
    if (value.ptr[at] == ',' && str_find_char(*url, ',') >= 0) {
        report(x, tag, "redirect: exactly one comma is allowed; the route proxies", false);
        return false;
    }
    return true;
}

// One tag on its way to a definition.
struct draft {
    char route[2 * TAG_LEN_MAX]; // variables expanded
    char opts[TAG_LEN_MAX];      // what is left of the options, fields joined by ' '
    char address[512];           // the default destination
    size_t opts_len;
    struct route_def_spec spec;
};

static void pass_on(struct draft *draft, struct str field)
{
    if (draft->opts_len > 0)
        draft->opts[draft->opts_len++] = ' ';
    memcpy(draft->opts + draft->opts_len, field.ptr, field.len);
    draft->opts_len += field.len;
}

static int set_address(const struct tag_instance *instance, const char *scheme, struct draft *draft,
                       struct err *err)
{
    bool is_v6 = str_find_char(instance->address, ':') >= 0;
    int len = snprintf(draft->address, sizeof draft->address, "%s://%s%.*s%s:%u%s", scheme,
                       is_v6 ? "[" : "", STR_FMT(instance->address), is_v6 ? "]" : "",
                       (unsigned)instance->port, strcmp(scheme, "http") == 0 ? "/" : "");
    if (len < 0 || (size_t)len >= sizeof draft->address)
        return err_set(err, ERR_INVALID, "the address is too long");
    draft->spec.dst = str_make(draft->address, (size_t)len);
    return 0;
}

// The scheme that "proto=tcp" and so on asks for, or NULL when the field means nothing here.
static const char *scheme_of(struct str field)
{
    static const char *const schemes[] = {"tcp", "https", "grpc", "grpcs"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (str_starts_with(field, STR("proto=")) && str_eq(str_from(field, 6), str_of(schemes[i])))
            return schemes[i];
    }
    return NULL;
}

// Some options make the command, the others are passed on in it.
static int read_options(const struct expansion *x, struct str tag, struct str text,
                        struct draft *draft, struct err *err)
{
    struct route_def_spec *spec = &draft->spec;
    const char *scheme = "http";
    struct str rest = text, field, code, url, redirect = STR_NULL;
    while (text_field_next(&rest, &field)) {
        if (scheme_of(field)) {
            scheme = scheme_of(field);
            redirect = STR_NULL;
        } else if (str_starts_with(field, STR("weight="))) {
            spec->has_weight = field.len > 7;
            if (spec->has_weight && !text_to_weight(str_from(field, 7), &spec->weight))
                return err_set(err, ERR_INVALID, "syntax error: weight value invalid");
        } else if (str_starts_with(field, STR("redirect="))) {
            if (split_redirect(x, tag, str_from(field, 9), &code, &url)) {
                redirect = url;
                pass_on(draft, str_upto(field, 9 + code.len));
            }
        } else {
            pass_on(draft, field);
        }
    }
    spec->opts = str_make(draft->opts, draft->opts_len);
    spec->dst = redirect;
    return redirect.ptr ? 0 : set_address(x->instance, scheme, draft, err);
}

// Host and path of a tag, with their variables expanded apart.
static int read_route(const struct expansion *x, struct str text, struct draft *draft,
                      struct err *err)
{
    draft->spec.src = text;
    if (text.len == 0)
        return err_set(err, ERR_INVALID, "nothing stands behind the prefix");
    ptrdiff_t slash = text.ptr[0] == ':' ? -1 : str_find_char(text, '/');
    if (slash < 0)
        return 0;
    struct str host = str_upto(text, (size_t)slash), path = str_from(text, (size_t)slash + 1);
    struct str dc = x->instance->datacenter;
    int host_len = tag_expand(host, dc, draft->route, sizeof draft->route - 1);
    if (host_len < 0)
        return err_set(err, ERR_INVALID, "too long with its variables expanded");
    size_t used = (size_t)host_len;
    draft->route[used++] = '/';
    int path_len = tag_expand(path, dc, draft->route + used, sizeof draft->route - used);
    if (path_len < 0)
        return err_set(err, ERR_INVALID, "too long with its variables expanded");
    draft->spec.src = str_make(draft->route, used + (size_t)path_len);
    return 0;
}

// One route tag to one definition. 0 also when the tag is lost; ERR_NOMEM.
static int expand_tag(const struct expansion *x, struct str tag)
{
    const struct tag_instance *instance = x->instance;
    struct str text = text_trim(str_from(tag, x->prefix.len));
    ptrdiff_t space = str_find_char(text, ' ');
    struct str route = space < 0 ? text : str_upto(text, (size_t)space);
    struct str options = space < 0 ? STR_NULL : str_from(text, (size_t)space + 1);

    struct err err = {0};
    struct draft draft;
    draft.opts_len = 0;
    draft.spec = (struct route_def_spec){
        .service = instance->service,
        .tags = x->plain,
        .tag_count = x->plain_count,
        .instance = instance->instance,
        .source_text = tag,
        .health = instance->health,
        .health_note = instance->health_note,
    };
    struct route_def *def = NULL;
    if (read_route(x, route, &draft, &err) == 0 && read_options(x, tag, options, &draft, &err) == 0)
        def = route_def_new(&draft.spec, &err);
    if (!def && err.code == ERR_NOMEM)
        return ERR_NOMEM;
    if (!def) {
        report(x, tag, err.text, true);
        return 0;
    }
    const char *warning = route_def_warning(def);
    if (warning)
        report(x, tag, warning, false);
    x->on_def(x->ctx, def);
    return 0;
}

// The plain tags as the command would carry them: joined by ',' and split there again.
static int collect_plain(struct expansion *x, size_t tag_count)
{
    size_t count = 0, pieces = 0, bytes = 0;
    const struct str *tags = x->instance->tags;
    for (size_t i = 0; i < tag_count; i++) {
        pieces++;
        for (size_t k = 0; k < tags[i].len; k++)
            pieces += tags[i].ptr[k] == ',';
    }
    x->plain = mem_zalloc_array(pieces, sizeof *x->plain);
    if (!x->plain)
        return ERR_NOMEM;
    for (size_t i = 0; i < tag_count; i++) {
        struct str tag = text_trim(tags[i]);
        if (str_starts_with(tag, x->prefix))
            continue;
        if (tag.len > TAG_LEN_MAX) {
            report(x, str_upto(tag, 256), "the tag is longer than 2048 bytes", true);
            continue;
        }
        if (tag.len == 0)
            tag = STR("");
        struct str piece;
        while (str_split_next(&tag, ',', &piece)) {
            x->plain[count++] = text_trim(piece);
            bytes += piece.len;
        }
    }
    x->plain_count = count == 1 && bytes == 0 ? 0 : count;
    return 0;
}

// What is left when a list in a route tag was cut at a comma.
static bool is_list_rest(struct str tag)
{
    return str_starts_with(tag, STR("ip:"));
}

int tag_parse_instance(const struct tag_instance *instance, struct str prefix, tag_def_fn on_def,
                       tag_problem_fn on_problem, void *ctx)
{
    struct expansion x = {
        .instance = instance,
        .prefix = prefix,
        .on_def = on_def,
        .on_problem = on_problem,
        .ctx = ctx,
    };
    size_t count = MIN(instance->tag_count, (size_t)TAGS_PER_INSTANCE_MAX);
    if (count < instance->tag_count)
        report(&x, instance->tags[count], "tags beyond the first 10000 of an instance are lost",
               true);
    int rc = collect_plain(&x, count);
    bool has_list = false;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct str tag = text_trim(instance->tags[i]);
        if (!str_starts_with(tag, prefix))
            continue;
        has_list = has_list || str_find(tag, STR(" allow=ip:")) >= 0 ||
                   str_find(tag, STR(" deny=ip:")) >= 0;
        if (tag.len > TAG_LEN_MAX)
            report(&x, str_upto(tag, 256), "the tag is longer than 2048 bytes", true);
        else
            rc = expand_tag(&x, tag);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct str tag = text_trim(instance->tags[i]);
        if (has_list && is_list_rest(tag))
            report(&x, tag,
                   "looks like the rest of an allow= or deny= list that was cut at a comma "
                   "(registrator does that); write allow=ip:a;ip:b",
                   false);
    }
    mem_free(x.plain);
    return rc;
}
