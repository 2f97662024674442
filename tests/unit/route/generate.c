// SPDX-License-Identifier: Apache-2.0
#include "generate.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"

#define ONE_OF(rng, array)        (array)[rng_below(rng, ARRAY_LEN(array))]
#define SET(field, ...)           snprintf(field, sizeof(field), __VA_ARGS__)
#define SET_ONE_OF(rng, to, from) SET(to, "%s", ONE_OF(rng, from))

static const char *const SERVICES[] = {"s", "s-a", "t", "u"};

static const char *const HOSTS[] = {
    "",         "a.com",       "A.com", "b.a.com", "*.a.com",  "*.com",   "{a,b}.com",
    "a.com:80", "?.com",       "a*",    "x.*",     "[ab].com", "*",       ":1234",
    "*.com:80", "{a,b}.a.com", "b.com", "c.org",   "*a.com",   "b.?.com",
};
static const char *const PATHS[] = {"/",      "/a",   "/a/b", "/b", "/A", "/ab",
                                    "/a/b/c", "/B/c", "/c",   "/d", "/e"};

static void plain_src(struct rng *rng, struct model_line *line)
{
    const char *host = ONE_OF(rng, HOSTS);
    SET(line->src, "%s%s", host, host[0] == ':' ? "" : ONE_OF(rng, PATHS));
}

static void plain_words(struct rng *rng, struct model_line *line)
{
    static const char *const weights[] = {"", "", "", "0.2", "0.25", "0.5", "1", "3", "0", "-1"};
    static const char *const tags[] = {"", "", "x", "y", "x,y"};
    static const char *const opts[] = {"", "", "strip=/a", "host=dst", "strip=/b host=dst"};
    plain_src(rng, line);
    SET_ONE_OF(rng, line->service, SERVICES);
    SET(line->dst, "http://h:%u/", 1 + rng_below(rng, 3));
    SET_ONE_OF(rng, line->weight, weights);
    SET_ONE_OF(rng, line->tags, tags);
    SET_ONE_OF(rng, line->opts, opts);
}

void generate_definition(struct rng *rng, struct model_line *line)
{
    *line = (struct model_line){.kind = LINE_ADD, .is_up = rng_below(rng, 5) > 0};
    plain_words(rng, line);
}

// Leaves the words that make one of the forms of the line's kind.
static void choose_form(struct rng *rng, struct model_line *line)
{
    if (line->kind == LINE_ADD)
        return;
    line->opts[0] = '\0';
    if (line->kind == LINE_WEIGHT) {
        line->dst[0] = '\0';
        if (!line->weight[0])
            strcpy(line->weight, "0.4");
        if (line->tags[0] && rng_below(rng, 2))
            line->service[0] = '\0';
        return;
    }
    line->weight[0] = '\0';
    if (line->tags[0]) {
        line->src[0] = line->dst[0] = '\0';
        if (rng_below(rng, 2))
            line->service[0] = '\0';
    } else if (rng_below(rng, 3) > 0) {
        if (rng_below(rng, 2))
            line->dst[0] = '\0';
    } else if (rng_below(rng, 4) == 0) {
        line->src[0] = line->dst[0] = '\0';
    } else {
        line->dst[0] = '\0';
    }
}

void generate_command(struct rng *rng, struct model_line *line)
{
    *line = (struct model_line){.is_up = true};
    plain_words(rng, line);
    line->kind = rng_below(rng, 3);
    choose_form(rng, line);
}

static void lower_host(char *src)
{
    for (; *src && *src != '/'; src++)
        *src = (char)tolower((unsigned char)*src);
}

static void rich_src(struct rng *rng, const struct generate_text *how, struct model_line *line)
{
    static const char *const hosts[] = {"",        "a.com",     "A.Com",    "b.a.com",
                                        "*.a.com", "*",         "a.com:80", "a.com:8080",
                                        "[!a]?.x", "{a,B}.com", "10.0.0.1", "xn--4ca"};
    static const char *const paths[] = {"/",      "/a",   "/A",   "/a/b", "/a/",
                                        "/a?b",   "/*",   "/a%",  "//a",  "/[ab]/c",
                                        "/{a,b}", "/\\*", "/%41", "/a=b", "/\xc3\xa9"};
    const char *host = ONE_OF(rng, hosts);
    unsigned form = rng_below(rng, 8);
    if (form == 0)
        SET(line->src, ":%u", 1234 + how->number);
    else if (form == 1 && how->number > 0)
        SET(line->src, "%s.%u", host[0] ? host : "no", how->number);
    else if (form == 1)
        SET(line->src, "%s", host[0] ? host : "no");
    else if (how->number > 0)
        SET(line->src, "%s/%u%s", host, how->number, ONE_OF(rng, paths));
    else
        SET(line->src, "%s%s", host, ONE_OF(rng, paths));
    if (line->kind != LINE_ADD && !how->has_differences)
        lower_host(line->src);
}

static void rich_tags(struct rng *rng, const struct generate_text *how, struct model_line *line)
{
    // Of each two letters one stands for the text's own tag.
    static const char *const forms[] = {"x",   "y",     "x,y", "x, y", " y ,x", "x,x",
                                        "y,x", "x-\\y", "x y", "x=1",  "x,\ty", "\xc3\xa9x"};
    const char *form = ONE_OF(rng, forms);
    size_t used = 0;
    for (; *form && used + 8 < sizeof line->tags; form++) {
        line->tags[used++] = *form;
        if (how->number > 0 && (*form == 'x' || *form == 'y'))
            used +=
                (size_t)snprintf(line->tags + used, sizeof line->tags - used, "%u", how->number);
    }
    line->tags[used] = '\0';
}

static void rich_words(struct rng *rng, const struct generate_text *how, struct model_line *line)
{
    static const char *const dsts[] = {
        "http://h:1/",        "http://h:2/",      "HTTP://h:1/",    "http://h:1",
        "https://h/",         "http://h:1/x",     "http://h:1/{x}", "http://h:1/x?q=1",
        "tcp://h:1",          "http://[::1]:80/", "http://H:1/",    "https://$host$path",
        "http://b.com/$path", "/other",           "grpc://h:1",     "http://h:1/\xc3\xa9",
    };
    static const char *const weights[] = {"0.2",    "0.25", "0.5", ".5",   "1",   "3",
                                          "0",      "-1",   "+1",  "1e-1", "2E0", "0x1p-2",
                                          "0.0001", "1.",   "nan", "-0"};
    static const char *const opts[] = {
        "strip=/a",
        "host=dst",
        "strip=/b host=dst",
        "flag",
        " ",
        "a=1 b=2 a=3",
        "redirect=301",
        "redirect=9 x",
        "p=/x?y=z",
        "x==1",
        "b=\\ a=\xc3\xa9",
        "tlsskipverify=true",
        "pxyproto=true\tproto=https",
    };
    rich_src(rng, how, line);
    SET_ONE_OF(rng, line->service, SERVICES);
    if (how->number > 0) {
        char service[sizeof line->service];
        strcpy(service, line->service);
        SET(line->service, "%.3s.%u", service, how->number);
    }
    // Mostly the first few, so that commands meet what others added.
    SET(line->dst, "%s", dsts[rng_below(rng, rng_below(rng, 2) ? 4 : ARRAY_LEN(dsts))]);
    if (rng_below(rng, 3) == 0)
        SET_ONE_OF(rng, line->weight, weights);
    if (rng_below(rng, 2) == 0)
        rich_tags(rng, how, line);
    if (rng_below(rng, 2) == 0)
        SET_ONE_OF(rng, line->opts, opts);
    if (rng_below(rng, 8) == 0) {
        static const char *const gaps[] = {"  ", "\t", " \t "};
        static const char *const edges[] = {" ", "\t", "\r", " \r"};
        SET_ONE_OF(rng, line->gap, gaps);
        SET_ONE_OF(rng, line->edge, edges);
    }
}

static void without_effect(struct rng *rng, bool has_differences, struct model_line *line)
{
    static const char *const skipped[] = {"",     " ",   "# route add s / http://h/",
                                          "// x", "\t#", "#\r"};
    static const char *const bad[] = {
        "route",
        "route add",
        "route add s /",
        "route addx s / http://h/",
        "rout add s / http://h/",
        "route del",
        "route del s / http://h/ x",
        "route del s / http://h/%zz",
        "route weight s / weight",
        "route weight / weight 0.5",
        "route weight s / weight a",
        "route add s / http://h/ weight x",
        "route add s / http://h/ weight 0x10",
        "route add s / http://h/ tags \"x",
        "route add s / http://h/ tags \"x\"opts \"y\"",
        "route add s / http://h/ opts \"x\" tags \"y\"",
        "route add s / http://h/ # comment",
        "route add s / 1.2.3.4:80",
        "route add s / http://h/%zz",
        "route add s /t[a http://h/",
        "route add s [x/ http://h/",
        "route del s [x/",
    };
    *line = (struct model_line){.kind = LINE_WITHOUT_EFFECT};
    if (has_differences && rng_below(rng, 3) > 0)
        SET_ONE_OF(rng, line->text, bad);
    else
        SET_ONE_OF(rng, line->text, skipped);
}

size_t generate_text(struct rng *rng, const struct generate_text *how, struct model_line *lines)
{
    size_t count = 1 + rng_below(rng, GENERATE_LINES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct model_line *line = &lines[i];
        unsigned dice = rng_below(rng, 10);
        if (dice == 0) {
            without_effect(rng, how->has_differences, line);
            continue;
        }
        *line = (struct model_line){.kind = dice < 7   ? LINE_ADD
                                            : dice < 8 ? LINE_DEL
                                                       : LINE_WEIGHT,
                                    .is_up = true};
        rich_words(rng, how, line);
        // Half of the commands speak of what an earlier line added.
        const struct model_line *earlier = i > 0 ? &lines[rng_below(rng, (uint32_t)i)] : line;
        if (line->kind != LINE_ADD && earlier->kind == LINE_ADD && rng_below(rng, 2) == 0) {
            strcpy(line->service, earlier->service);
            strcpy(line->src, earlier->src);
            strcpy(line->dst, earlier->dst);
            if (!how->has_differences)
                lower_host(line->src);
        }
        choose_form(rng, line);
    }
    return count;
}

size_t generate_print(const struct model_line *lines, size_t count, char *out, size_t room)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        model_line_text(&lines[i], out + used, room - used - 2);
        used += strlen(out + used);
        out[used++] = '\n';
        out[used] = '\0';
    }
    return used;
}
