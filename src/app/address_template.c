// SPDX-License-Identifier: Apache-2.0
// A template is a pipeline: a source makes a list of interface addresses, filters shorten or sort
// it, attr or join makes text of it. The sources Get...IP are whole pipelines of their own.
#include "app/address_template.h"

#include <string.h>

#include "app/template.h"
#include "base/buf.h"
#include "base/ip.h"
#include "base/regexp.h"

enum { EXPANDED_MAX = 1024, WORDS_MAX = 4 };

struct stage {
    struct str words[WORDS_MAX]; // the first is the function; without quotes
    unsigned count;
};

struct pipeline {
    struct arena *arena;
    const struct interface_list *interfaces;
    struct interface_list list; // its own copy
    struct str text;            // once attr or join has made it
    bool is_text;
    struct err *err;
};

static int fail(struct pipeline *pipeline, const char *what, struct str quoted)
{
    return err_set(pipeline->err, ERR_INVALID, "%s \"%.*s\"", what, (int)MIN(quoted.len, 60),
                   quoted.ptr ? quoted.ptr : "");
}

static int out_of_memory(struct pipeline *pipeline)
{
    return err_set(pipeline->err, ERR_NOMEM, "out of memory");
}

// --- filters ---

// Whether an address is as wanted.
typedef bool fits_fn(const struct interface_address *at, const void *want);

static void keep(struct pipeline *pipeline, fits_fn *fits, const void *want, bool is_wanted)
{
    size_t kept = 0;
    for (size_t i = 0; i < pipeline->list.count; i++) {
        if (fits(&pipeline->list.items[i], want) == is_wanted)
            pipeline->list.items[kept++] = pipeline->list.items[i];
    }
    pipeline->list.count = kept;
}

static bool fits_name(const struct interface_address *at, const void *want)
{
    struct regexp_matcher *const *matcher = want;
    return regexp_matcher_matches(*matcher, at->name);
}

static bool fits_text(const struct interface_address *at, const void *want)
{
    struct regexp_matcher *const *matcher = want;
    return regexp_matcher_matches(*matcher, at->text);
}

static bool fits_net(const struct interface_address *at, const void *want)
{
    const struct ip_net *net = want;
    return ip_net_has(net, at->bytes);
}

static bool fits_family(const struct interface_address *at, const void *want)
{
    return at->is_ipv6 == *(const bool *)want;
}

static bool fits_scope(const struct interface_address *at, const void *want)
{
    return at->scope == *(const enum address_scope *)want;
}

static bool fits_default(const struct interface_address *at, const void *want)
{
    (void)want;
    return at->has_default_route;
}

static bool fits_rfc1918(const struct interface_address *at, const void *want)
{
    (void)want;
    static const char *const NETS[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"};
    struct ip_net net;
    for (size_t i = 0; i < ARRAY_LEN(NETS); i++) {
        if (ip_net_parse(str_of(NETS[i]), &net) && fits_net(at, &net))
            return true;
    }
    return false;
}

struct flags_wanted {
    unsigned interface; // all of these
    bool is_forwardable, is_loopback;
};

static bool fits_flags(const struct interface_address *at, const void *want)
{
    const struct flags_wanted *flags = want;
    bool is_loopback = (at->flags & IFF_LOOPBACK) != 0;
    return (flags->interface && (at->flags & flags->interface) == flags->interface) ||
           (flags->is_forwardable && at->scope != SCOPE_LOCAL) ||
           (flags->is_loopback && is_loopback);
}

static int filter_regexp(struct pipeline *pipeline, fits_fn *fits, struct str pattern,
                         bool is_wanted)
{
    struct arena arena; // of this filter alone: one text can have a thousand of them
    arena_init(&arena);
    const struct regexp *regexp;
    int rc = regexp_compile(&arena, pattern, &regexp, pipeline->err);
    struct regexp_matcher *matcher = rc == 0 ? regexp_matcher_new(regexp) : NULL;
    if (matcher)
        keep(pipeline, fits, &matcher, is_wanted);
    else if (rc == ERR_INVALID)
        err_wrap(pipeline->err, "not a regular expression: \"%.*s\"", (int)MIN(pattern.len, 60),
                 pattern.ptr);
    else
        rc = out_of_memory(pipeline);
    regexp_matcher_free(matcher);
    arena_fini(&arena);
    return rc;
}

static int filter_flags(struct pipeline *pipeline, struct str names, bool is_wanted)
{
    struct flags_wanted flags = {0};
    const struct str all = names;
    for (struct str name; str_split_next(&names, '|', &name);) {
        if (str_ieq(name, STR("up")))
            flags.interface |= IFF_UP;
        else if (str_ieq(name, STR("broadcast")))
            flags.interface |= IFF_BROADCAST;
        else if (str_ieq(name, STR("multicast")))
            flags.interface |= IFF_MULTICAST;
        else if (str_ieq(name, STR("point-to-point")))
            flags.interface |= IFF_POINTOPOINT;
        else if (str_ieq(name, STR("forwardable")))
            flags.is_forwardable = true;
        else if (str_ieq(name, STR("loopback")))
            flags.is_loopback = true;
        else
            return fail(pipeline, "unknown flags", all);
    }
    keep(pipeline, fits_flags, &flags, is_wanted);
    return 0;
}

// include and exclude: a property and what it should be.
static int filter(struct pipeline *pipeline, struct str property, struct str value, bool is_wanted)
{
    struct ip_net net;
    if (str_ieq(property, STR("name")))
        return filter_regexp(pipeline, fits_name, value, is_wanted);
    if (str_ieq(property, STR("address")))
        return filter_regexp(pipeline, fits_text, value, is_wanted);
    if (str_ieq(property, STR("flags")) || str_ieq(property, STR("flag")))
        return filter_flags(pipeline, value, is_wanted);
    if (str_ieq(property, STR("network"))) {
        if (!ip_net_parse(value, &net))
            return fail(pipeline, "not a network:", value);
        keep(pipeline, fits_net, &net, is_wanted);
        return 0;
    }
    if (str_ieq(property, STR("type"))) {
        bool is_ipv6 = str_ieq(value, STR("ipv6"));
        bool is_any = str_ieq(value, STR("ip"));
        if (!is_ipv6 && !is_any && !str_ieq(value, STR("ipv4")))
            return fail(pipeline, "unknown type", value);
        if (is_any && !is_wanted)
            pipeline->list.count = 0;
        if (!is_any)
            keep(pipeline, fits_family, &is_ipv6, is_wanted);
        return 0;
    }
    if (str_ieq(property, STR("rfc")) && str_eq(value, STR("1918"))) {
        keep(pipeline, fits_rfc1918, NULL, is_wanted);
        return 0;
    }
    return fail(pipeline, "unknown property", property);
}

// --- order ---

static int compare_by(const struct interface_address *a, const struct interface_address *b,
                      struct str key)
{
    if (str_eq(key, STR("default")))
        return (int)b->has_default_route - (int)a->has_default_route;
    if (str_eq(key, STR("type")))
        return (int)a->is_ipv6 - (int)b->is_ipv6;
    if (str_eq(key, STR("size"))) // the smaller network first
        return (int)b->bits - (int)a->bits;
    if (str_eq(key, STR("name")))
        return str_cmp(a->name, b->name);
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static int compare(const struct interface_address *a, const struct interface_address *b,
                   struct str keys)
{
    int order = 0;
    for (struct str key; order == 0 && str_split_next(&keys, ',', &key);) {
        bool is_falling = str_starts_with(key, STR("-"));
        key = str_from(key, is_falling || str_starts_with(key, STR("+")));
        order = is_falling ? compare_by(b, a, key) : compare_by(a, b, key);
    }
    return order;
}

// By insertion: a machine has few addresses, and equal ones must keep their order.
static int sort(struct pipeline *pipeline, struct str keys)
{
    static const char *const KEYS[] = {"default", "type", "size", "name", "address"};
    struct str rest = keys;
    for (struct str key; str_split_next(&rest, ',', &key);) {
        bool is_known = false;
        key = str_from(key, str_starts_with(key, STR("-")) || str_starts_with(key, STR("+")));
        for (size_t i = 0; i < ARRAY_LEN(KEYS); i++)
            is_known |= str_eq(key, str_of(KEYS[i]));
        if (!is_known)
            return fail(pipeline, "cannot sort by", key);
    }
    struct interface_address *items = pipeline->list.items;
    for (size_t i = 1; i < pipeline->list.count; i++) {
        struct interface_address moved = items[i];
        size_t to = i;
        for (; to > 0 && compare(&moved, &items[to - 1], keys) < 0; to--)
            items[to] = items[to - 1];
        items[to] = moved;
    }
    return 0;
}

// --- from list to text ---

static int join(struct pipeline *pipeline, struct str property, struct str glue, size_t max)
{
    struct buf out;
    bool is_name = str_ieq(property, STR("name"));
    if (!is_name && !str_ieq(property, STR("address")))
        return fail(pipeline, "unknown property", property);
    buf_init(&out, EXPANDED_MAX);
    for (size_t i = 0; i < MIN(pipeline->list.count, max); i++) {
        if (i)
            buf_append_str(&out, glue);
        buf_append_str(&out, is_name ? pipeline->list.items[i].name : pipeline->list.items[i].text);
    }
    pipeline->is_text = true;
    pipeline->text = out.len ? arena_str(pipeline->arena, buf_str(&out)) : STR("");
    bool has_failed = buf_status(&out) || !pipeline->text.ptr;
    buf_fini(&out);
    return has_failed ? out_of_memory(pipeline) : 0;
}

// --- sources ---

static int take_all(struct pipeline *pipeline)
{
    size_t count = pipeline->interfaces->count;
    pipeline->list.items =
        arena_alloc_array(pipeline->arena, count + 1, sizeof *pipeline->list.items);
    if (!pipeline->list.items)
        return out_of_memory(pipeline);
    if (count)
        memcpy(pipeline->list.items, pipeline->interfaces->items,
               count * sizeof *pipeline->list.items);
    pipeline->list.count = count;
    return 0;
}

// As go-sockaddr: what is up and can be reached, the interface of the default route first.
static int take_reachable(struct pipeline *pipeline, enum address_scope scope)
{
    const struct flags_wanted up = {.interface = IFF_UP};
    keep(pipeline, fits_flags, &up, true);
    keep(pipeline, fits_scope, &scope, true);
    return sort(pipeline, STR("default,type,size"));
}

// A name, or an expression that names match.
static int take_named(struct pipeline *pipeline, struct str name)
{
    for (size_t i = 0; i < pipeline->list.count; i++) {
        if (!str_eq(pipeline->list.items[i].name, name))
            continue;
        size_t kept = 0;
        for (i = 0; i < pipeline->list.count; i++) {
            if (str_eq(pipeline->list.items[i].name, name))
                pipeline->list.items[kept++] = pipeline->list.items[i];
        }
        pipeline->list.count = kept;
        return sort(pipeline, STR("type"));
    }
    int rc = filter_regexp(pipeline, fits_name, name, true);
    return rc ? rc : sort(pipeline, STR("type"));
}

static int run_source(struct pipeline *pipeline, const struct stage *stage)
{
    struct str name = stage->words[0];
    bool is_list = str_ends_with(name, STR("Interfaces"));
    bool is_many = str_ends_with(name, STR("IPs"));
    bool is_named = str_eq(name, STR("GetInterfaceIP")) || str_eq(name, STR("GetInterfaceIPs"));
    int rc = take_all(pipeline);
    if (rc)
        return rc;
    if (stage->count != (is_named ? 2 : 1))
        return fail(pipeline, "wrong number of arguments of", name);
    if (is_named)
        rc = take_named(pipeline, stage->words[1]);
    else if (str_eq(name, STR("GetPrivateIP")) || str_eq(name, STR("GetPrivateIPs")) ||
             str_eq(name, STR("GetPrivateInterfaces")))
        rc = take_reachable(pipeline, SCOPE_PRIVATE);
    else if (str_eq(name, STR("GetPublicIP")) || str_eq(name, STR("GetPublicIPs")) ||
             str_eq(name, STR("GetPublicInterfaces")))
        rc = take_reachable(pipeline, SCOPE_PUBLIC);
    else if (str_eq(name, STR("GetDefaultInterfaces")))
        keep(pipeline, fits_default, NULL, true);
    else if (!str_eq(name, STR("GetAllInterfaces")))
        rc = fail(pipeline, "unknown function", name);
    if (rc == 0 && !is_list)
        rc = join(pipeline, STR("address"), STR(" "), is_many ? SIZE_MAX : 1);
    return rc;
}

// --- the pipeline ---

static int run_stage(struct pipeline *pipeline, const struct stage *stage)
{
    struct str name = stage->words[0];
    struct str first = stage->words[1];
    if (pipeline->is_text)
        return fail(pipeline, "there is only an address left for", name);
    bool is_include = str_eq(name, STR("include"));
    if ((is_include || str_eq(name, STR("exclude"))) && stage->count == 3)
        return filter(pipeline, first, stage->words[2], is_include);
    if (str_eq(name, STR("sort")) && stage->count == 2)
        return sort(pipeline, first);
    if (str_eq(name, STR("attr")) && stage->count == 2)
        return join(pipeline, first, STR(""), 1);
    if (str_eq(name, STR("join")) && stage->count == 3)
        return join(pipeline, first, stage->words[2], SIZE_MAX);
    uint64_t number;
    if (str_eq(name, STR("limit")) && stage->count == 2 && str_to_u64(first, &number)) {
        pipeline->list.count = (size_t)MIN(number, (uint64_t)pipeline->list.count);
        return 0;
    }
    return fail(pipeline, "unknown function or wrong arguments of", name);
}

// One stage up to the next '|'.
static int take_stage(struct pipeline *pipeline, struct str *rest, struct stage *stage)
{
    *stage = (struct stage){0};
    for (;;) {
        while (rest->len && (*rest->ptr == ' ' || *rest->ptr == '\t'))
            *rest = str_from(*rest, 1);
        if (rest->len == 0 || *rest->ptr == '|')
            break;
        char quote = *rest->ptr == '"' || *rest->ptr == '`' ? *rest->ptr : '\0';
        *rest = str_from(*rest, quote != '\0');
        size_t len = 0;
        while (len < rest->len &&
               (quote ? rest->ptr[len] != quote : !strchr(" \t|", rest->ptr[len])))
            len++;
        if (quote && len == rest->len)
            return fail(pipeline, "unbalanced quotes in front of", *rest);
        if (stage->count == WORDS_MAX)
            return fail(pipeline, "too many arguments:", *rest);
        stage->words[stage->count] = arena_str(pipeline->arena, str_upto(*rest, len));
        if (!stage->words[stage->count++].ptr)
            return out_of_memory(pipeline);
        *rest = str_from(*rest, len + (quote != '\0'));
    }
    return stage->count ? 0 : fail(pipeline, "nothing to do in front of", *rest);
}

// The text between the braces to the text it stands for.
static int run(struct pipeline *pipeline, struct str text)
{
    struct str rest = text;
    struct stage stage;
    int rc = take_stage(pipeline, &rest, &stage);
    if (rc == 0)
        rc = run_source(pipeline, &stage);
    while (rc == 0 && rest.len) {
        rest = str_from(rest, 1); // '|'
        rc = take_stage(pipeline, &rest, &stage);
        if (rc == 0)
            rc = run_stage(pipeline, &stage);
    }
    if (rc == 0 && !pipeline->is_text)
        rc = fail(pipeline, "a list needs attr \"address\" to become an address:", text);
    if (rc == 0 && pipeline->text.len == 0)
        rc = fail(pipeline, "this machine has no address for", str_trim(text));
    return rc;
}

struct machine {
    struct arena *arena;
    const struct interface_list *interfaces;
};

static int expand_expression(void *ctx, struct buf *out, struct str expression, struct str rest,
                             struct err *err)
{
    const struct machine *machine = ctx;
    struct pipeline pipeline = {
        .arena = machine->arena, .interfaces = machine->interfaces, .err = err};
    int rc = run(&pipeline, expression);
    if (rc)
        return err->code == ERR_NOMEM ? rc : err_wrap(err, "template");
    bool needs_brackets = str_find_char(pipeline.text, ':') >= 0 && str_starts_with(rest, STR(":"));
    buf_printf(out, needs_brackets ? "[%.*s]" : "%.*s", STR_FMT(pipeline.text));
    return 0;
}

int address_template_expand(struct arena *arena, struct str text,
                            const struct interface_list *interfaces, struct str *expanded,
                            struct err *err)
{
    *expanded = text;
    if (str_find(text, STR("{{")) < 0)
        return 0;
    struct interface_list own;
    if (!interfaces) {
        int rc = interface_list_read(arena, &own, err);
        if (rc)
            return rc;
        interfaces = &own;
    }
    struct machine machine = {.arena = arena, .interfaces = interfaces};
    struct buf out;
    buf_init(&out, EXPANDED_MAX);
    int rc = template_expand(&out, text, expand_expression, &machine, err);
    if (rc == 0) {
        *expanded = arena_str(arena, buf_str(&out));
        if (!expanded->ptr)
            rc = err_set(err, ERR_NOMEM, "out of memory");
    }
    buf_fini(&out);
    return rc;
}
