// SPDX-License-Identifier: Apache-2.0
// Tags of one instance, one per line; the first line is the data centre. Whatever they are, each
// route tag gives a definition or a problem, and what a definition prints is read back as the same
// one.
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/target.h"
#include "route/command.h"
#include "route/tag.h"

enum { TAGS_MAX = 64 };

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

struct counts {
    size_t defs;
    size_t lost;
};

static void on_bad_line(void *ctx, struct str origin, uint32_t line, struct str text,
                        const char *reason)
{
    (void)ctx, (void)origin, (void)line, (void)text, (void)reason;
    abort();
}

// Only what has no quote, backslash or byte that is printed escaped can be read back: commands know
// no escapes. A weight is printed with four digits.
static void check_round_trip(const struct route_def *def)
{
    struct buf out;
    buf_init(&out, 1 << 24);
    route_def_print(def, def->rule->weight, &out);
    require(buf_status(&out) == 0);
    // Options are printed as they are, like fabio does.
    bool has_quote = str_find_char(def->rule->opts, '"') >= 0;
    if (!has_quote && str_find_char(buf_str(&out), '\\') < 0 && out.len < COMMAND_LINE_MAX) {
        struct command_list *list = command_list_parse(buf_str(&out), STR("x"), on_bad_line, NULL);
        require(list && command_list_count(list) == 1);
        const struct route_def *again = command_list_at(list, 0)->def;
        require(str_eq(again->rule->host, def->rule->host) &&
                str_eq(again->rule->path, def->rule->path));
        require(str_eq(route_def_dst(again), route_def_dst(def)) &&
                again->rule->option_count == def->rule->option_count);
        require(again->rule->redirect_code == def->rule->redirect_code &&
                again->dst_port == def->dst_port);
        require(route_def_order(def, def) == 0);
        require((route_def_order(def, again) < 0) == (route_def_order(again, def) > 0));
        command_list_free(list);
    }
    buf_fini(&out);
}

static void check_target_bytes(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        require(s.ptr[i] > 0x20 && s.ptr[i] < 0x7f && s.ptr[i] != '#');
}

// Whether it is sound as a Host.
static void check_host(struct str host)
{
    struct str name, port;
    require(host.len == 0 || http_split_host(host, &name, &port));
}

static void on_def(void *ctx, struct route_def *def)
{
    struct counts *counts = ctx;
    counts->defs++;
    const char *warning = route_def_warning(def);
    require(!warning || warning[0] != '\0');
    check_target_bytes(def->rule->strip);
    check_target_bytes(def->rule->prepend);
    check_host(def->rule->host_option);
    check_target_bytes(route_def_dst_query(def));
    require(def->rule->weight >= 0 &&
            def->rule->path.ptr == def->rule->host.ptr + def->rule->host.len + 1);
    check_round_trip(def);
    route_def_unref(def);
}

static void on_problem(void *ctx, struct str tag, const char *reason, bool is_lost)
{
    struct counts *counts = ctx;
    require(reason[0] != '\0' && tag.len <= TAG_LEN_MAX);
    counts->lost += is_lost;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make(size ? (const char *)data : "", size), dc, tags[TAGS_MAX], line;
    size_t count = 0, expected = 0;
    str_split_next(&rest, '\n', &dc);
    while (count < TAGS_MAX && str_split_next(&rest, '\n', &line)) {
        tags[count++] = line;
        expected += tag_is_route(line, STR("p-"));
        bool is_near_miss = tag_is_near_miss(line, STR("p-"));
        require(!is_near_miss || !tag_is_route(line, STR("p-")));
    }
    struct tag_instance instance = {
        .service = STR("service"),
        .address = size % 2 ? STR("10.0.0.1") : STR("2001:db8::1"),
        .port = 8080,
        .datacenter = dc,
        .tags = tags,
        .tag_count = count,
    };
    struct counts counts = {0};
    require(tag_parse_instance(&instance, STR("p-"), on_def, on_problem, &counts) == 0);
    require(counts.defs + counts.lost >= expected && counts.defs <= expected);
    return 0;
}
