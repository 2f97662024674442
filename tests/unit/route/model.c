// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void model_line_text(const struct model_line *line, char *out, size_t room)
{
    static const char *const names[] = {"add", "del", "weight"};
    int used = snprintf(out, room, "route %s", names[line->kind]);
    const char *words[] = {line->service, line->src, line->dst};
    for (size_t i = 0; i < 3; i++) {
        if (words[i][0])
            used += snprintf(out + used, room - (size_t)used, " %s", words[i]);
    }
    if (line->weight[0])
        used += snprintf(out + used, room - (size_t)used, " weight %s", line->weight);
    if (line->tags[0])
        used += snprintf(out + used, room - (size_t)used, " tags \"%s\"", line->tags);
    if (line->opts[0])
        snprintf(out + used, room - (size_t)used, " opts \"%s\"", line->opts);
}

static void split_src(const char *src, char *host, char *path)
{
    const char *slash = src[0] == ':' ? NULL : strchr(src, '/');
    size_t len = slash ? (size_t)(slash - src) : strlen(src);
    for (size_t i = 0; i < len; i++)
        host[i] = (char)tolower((unsigned char)src[i]);
    host[len] = '\0';
    strcpy(path, slash ? slash : src[0] == ':' ? "" : "/");
}

static bool has_tags(const char *has, const char *wanted)
{
    char copy[32];
    strcpy(copy, wanted);
    for (char *save, *tag = strtok_r(copy, ",", &save); tag; tag = strtok_r(NULL, ",", &save)) {
        char list[40], one[40];
        snprintf(list, sizeof list, ",%s,", has);
        snprintf(one, sizeof one, ",%s,", tag);
        if (!strstr(list, one))
            return false;
    }
    return true;
}

static bool is_same_target(const struct model_target *a, const struct model_target *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0 &&
           strcmp(a->line->service, b->line->service) == 0 &&
           strcmp(a->line->dst, b->line->dst) == 0 && strcmp(a->line->tags, b->line->tags) == 0 &&
           !(a->fixed < b->fixed) && !(a->fixed > b->fixed);
}

static void add(struct model *model, const struct model_line *line)
{
    struct model_target target = {.line = line, .is_up = line->is_up};
    split_src(line->src, target.host, target.path);
    target.fixed = line->weight[0] ? atof(line->weight) : 0;
    if (target.fixed < 0)
        target.fixed = 0;
    for (size_t i = 0; i < model->count; i++) {
        if (model->at[i].is_up == target.is_up && is_same_target(&model->at[i], &target))
            return;
    }
    model->at[model->count++] = target;
}

static bool is_selected(const struct model_line *line, const struct model_target *target)
{
    char host[48], path[48];
    split_src(line->src, host, path);
    return (!line->service[0] || strcmp(line->service, target->line->service) == 0) &&
           (!line->src[0] ||
            (strcmp(host, target->host) == 0 && strcmp(path, target->path) == 0)) &&
           (line->kind != LINE_DEL || !line->dst[0] || strcmp(line->dst, target->line->dst) == 0) &&
           has_tags(target->line->tags, line->tags);
}

static void del(struct model *model, const struct model_line *line)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++) {
        if (!is_selected(line, &model->at[i]))
            model->at[kept++] = model->at[i];
    }
    model->count = kept;
}

static void weigh(struct model *model, const struct model_line *line)
{
    double count = 0, weight = atof(line->weight);
    for (size_t i = 0; i < model->count; i++)
        count += model->at[i].is_up && is_selected(line, &model->at[i]);
    for (size_t i = 0; i < model->count; i++) {
        if (model->at[i].is_up && is_selected(line, &model->at[i]))
            model->at[i].fixed = weight > 0 ? weight / count : 0;
    }
}

static bool is_same_route(const struct model_target *a, const struct model_target *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0;
}

static void share_out(struct model *model)
{
    for (size_t i = 0; i < model->count; i++) {
        struct model_target *target = &model->at[i];
        double sum = 0, all = 0, fixed = 0;
        for (size_t k = 0; k < model->count; k++) {
            const struct model_target *other = &model->at[k];
            if (!is_same_route(target, other) || !other->is_up)
                continue;
            all++;
            fixed += other->fixed > 0;
            sum += other->fixed;
        }
        bool is_scaled = sum > 1 || (fixed >= all && sum < 1);
        if (!target->is_up)
            target->weight = 0;
        else if (target->fixed > 0)
            target->weight = is_scaled ? target->fixed / sum : target->fixed;
        else
            target->weight = sum < 1 ? (1 - sum) / (all - fixed) : 0;
    }
}

// The line that is sorted: the host in lower case, and a negative weight is none.
static void sorted_text(const struct model_line *line, char *text)
{
    struct model_line plain = *line;
    for (char *p = plain.src; *p && *p != '/'; p++)
        *p = (char)tolower((unsigned char)*p);
    if (plain.weight[0] == '-')
        plain.weight[0] = '\0';
    model_line_text(&plain, text, MODEL_TEXT_MAX);
}

static int compare_lines(const void *a, const void *b)
{
    const struct model_line *const *left = a, *const *right = b;
    char left_text[MODEL_TEXT_MAX], right_text[MODEL_TEXT_MAX];
    sorted_text(*left, left_text);
    sorted_text(*right, right_text);
    int order = strcmp(right_text, left_text);
    return order ? order : (*right)->is_up - (*left)->is_up;
}

// A target that is down says nothing beside the same one that is up.
static void drop_shadowed(struct model *model)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++) {
        bool is_shadowed = false;
        for (size_t k = 0; k < model->count && !model->at[i].is_up; k++)
            is_shadowed =
                is_shadowed || (model->at[k].is_up && is_same_target(&model->at[i], &model->at[k]));
        if (!is_shadowed)
            model->at[kept++] = model->at[i];
    }
    model->count = kept;
}

void model_build(struct model *model, const struct model_line *services, size_t service_count,
                 const struct model_line *manual, size_t manual_count)
{
    const struct model_line *sorted[MODEL_LINES_MAX];
    for (size_t i = 0; i < service_count; i++)
        sorted[i] = &services[i];
    qsort(sorted, service_count, sizeof(const struct model_line *), compare_lines);
    model->count = 0;
    for (size_t i = 0; i < service_count; i++)
        add(model, sorted[i]);
    drop_shadowed(model);
    for (size_t i = 0; i < manual_count; i++) {
        switch (manual[i].kind) {
        case LINE_ADD: add(model, &manual[i]); break;
        case LINE_DEL: del(model, &manual[i]); break;
        case LINE_WEIGHT: weigh(model, &manual[i]); break;
        }
    }
    share_out(model);
}

static int compare_opts(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void print_target(const struct model_target *target, char *out, size_t room)
{
    const struct model_line *line = target->line;
    int used = snprintf(out, room, "%sroute add %s %s%s %s", out[-1] ? "\n" : "", line->service,
                        target->host, target->path, line->dst);
    if (target->fixed > 0)
        used += snprintf(out + used, room - (size_t)used, " weight %.4f", target->fixed);
    if (line->tags[0])
        used += snprintf(out + used, room - (size_t)used, " tags \"%s\"", line->tags);
    if (!line->opts[0])
        return;
    char words[4][16], copy[32];
    size_t count = 0;
    strcpy(copy, line->opts);
    for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        strcpy(words[count++], word);
    qsort(words, count, sizeof words[0], compare_opts);
    for (size_t i = 0; i < count; i++)
        used += snprintf(out + used, room - (size_t)used, "%s%s", i ? " " : " opts \"", words[i]);
    snprintf(out + used, room - (size_t)used, "\"");
}

// Negative when a's route is printed before b's.
static int print_order(const struct model_target *a, const struct model_target *b)
{
    int order = strcmp(b->host, a->host);
    return order ? order : strcmp(b->path, a->path);
}

void model_print(const struct model *model, char *out, size_t room)
{
    bool is_done[MODEL_LINES_MAX] = {0};
    *out++ = '\0'; // stands before the first line; nothing is printed then
    room--;
    for (size_t n = 0; n < model->count; n++) {
        size_t next = model->count;
        for (size_t i = 0; i < model->count; i++) {
            if (!is_done[i] &&
                (next == model->count || print_order(&model->at[i], &model->at[next]) < 0))
                next = i;
        }
        is_done[next] = true;
        if (model->at[next].weight > 0) {
            print_target(&model->at[next], out, room);
            room -= strlen(out);
            out += strlen(out);
        }
    }
    *out = '\0';
}

static bool matches(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*') {
        for (;; text++) {
            if (matches(pattern + 1, text))
                return true;
            if (*text == '\0')
                return false;
        }
    }
    if (*pattern == '[') {
        const char *end = strchr(pattern, ']');
        bool is_in = *text && memchr(pattern + 1, *text, (size_t)(end - pattern - 1));
        return is_in && matches(end + 1, text + 1);
    }
    if (*pattern == '{') {
        const char *end = strchr(pattern, '}');
        for (const char *from = pattern + 1; from <= end;) {
            const char *to = from + strcspn(from, ",}");
            char joined[128];
            snprintf(joined, sizeof joined, "%.*s%s", (int)(to - from), from, end + 1);
            if (matches(joined, text))
                return true;
            from = to + 1;
        }
        return false;
    }
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           matches(pattern + 1, text + 1);
}

static void cut_port(const char *host, char *out)
{
    size_t len = strlen(host);
    if (len >= 3 && strcmp(host + len - 3, ":80") == 0)
        len -= 3;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)tolower((unsigned char)host[i]);
    out[len] = '\0';
}

// The key that matching hosts are sorted by, descending: exact names, then patterns, then no host.
static void sort_key(const char *host, char *key)
{
    const char *colon = strchr(host, ':');
    size_t len = colon ? (size_t)(colon - host) : strlen(host);
    *key++ = host[0] == '\0' ? '0' : strpbrk(host, "*?[{") ? '1' : '2';
    for (size_t i = 0; i < len; i++)
        key[i] = host[len - 1 - i];
    strcpy(key + len, host + len);
}

static bool path_matches(const char *prefix, const char *path, bool is_ignoring_case)
{
    return is_ignoring_case ? strncasecmp(prefix, path, strlen(prefix)) == 0
                            : strncmp(prefix, path, strlen(prefix)) == 0;
}

const struct model_target *model_lookup(const struct model *model, const char *host,
                                        const char *path, bool is_ignoring_case)
{
    const struct model_target *best = NULL;
    char best_key[64] = "", wanted[64];
    cut_port(host, wanted);
    for (size_t i = 0; i < model->count; i++) {
        const struct model_target *target = &model->at[i];
        char key[64], pattern[64];
        cut_port(target->host, pattern);
        sort_key(target->host, key);
        if ((target->host[0] && !matches(pattern, wanted)) ||
            !path_matches(target->path, path, is_ignoring_case))
            continue;
        int order = best ? strcmp(best_key, key) : 1;
        if (!best || order < 0 || (order == 0 && strcmp(best->path, target->path) < 0)) {
            best = target;
            strcpy(best_key, key);
        }
    }
    return best;
}

size_t model_route_count(const struct model *model, const struct model_target *of, bool only_up)
{
    size_t count = 0;
    for (size_t i = 0; i < model->count; i++)
        count += is_same_route(&model->at[i], of) && (model->at[i].is_up || !only_up);
    return count;
}
