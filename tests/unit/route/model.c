// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { OPT_LEN_MAX = 24 };

void model_line_text(const struct model_line *line, char *out, size_t room)
{
    static const char *const names[] = {"add", "del", "weight"};
    if (line->kind == LINE_WITHOUT_EFFECT) {
        snprintf(out, room, "%s", line->text);
        return;
    }
    const char *gap = line->gap[0] ? line->gap : " ";
    int used = snprintf(out, room, "%sroute%s%s", line->edge, gap, names[line->kind]);
    const char *words[] = {line->service, line->src, line->dst};
    for (size_t i = 0; i < 3; i++) {
        if (words[i][0])
            used += snprintf(out + used, room - (size_t)used, "%s%s", gap, words[i]);
    }
    if (line->weight[0])
        used += snprintf(out + used, room - (size_t)used, "%sweight%s%s", gap, gap, line->weight);
    if (line->tags[0])
        used += snprintf(out + used, room - (size_t)used, "%stags%s\"%s\"", gap, gap, line->tags);
    if (line->opts[0])
        used += snprintf(out + used, room - (size_t)used, "%sopts%s\"%s\"", gap, gap, line->opts);
    snprintf(out + used, room - (size_t)used, "%s", line->edge);
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

// "x, y" to its members, each without the white space around it.
static size_t split_tags(const char *text, char tags[MODEL_TAGS_MAX][16])
{
    size_t count = 0;
    while (text[0]) {
        size_t len = strcspn(text, ","), from = 0, to = len;
        while (from < to && isspace((unsigned char)text[from]))
            from++;
        while (to > from && isspace((unsigned char)text[to - 1]))
            to--;
        snprintf(tags[count++], 16, "%.*s", (int)(to - from), text + from);
        text += len;
        if (strcmp(text, ",") == 0)
            tags[count++][0] = '\0'; // nothing behind the last comma is a member, too
        text += text[0] == ',';
    }
    return count;
}

// The scheme in lower case; in the path, what a URL may not hold there escaped.
static void print_url(const char *url, char *out)
{
    const char *path = strchr(strstr(url, "://") ? strstr(url, "://") + 3 : url, '/');
    size_t scheme = strcspn(url, ":/");
    for (const char *p = url; *p; p++) {
        bool is_escaped = path && p > path && !strchr(path, '?') &&
                          (strchr("{}|", *p) || (unsigned char)*p >= 0x80);
        if (is_escaped)
            out += sprintf(out, "%%%02X", (unsigned char)*p);
        else
            *out++ = (char)(p < url + scheme ? tolower((unsigned char)*p) : *p);
    }
    *out = '\0';
}

static bool has_tags(const struct model_target *target, const char *wanted)
{
    char tags[MODEL_TAGS_MAX][16];
    size_t count = split_tags(wanted, tags);
    for (size_t i = 0; i < count; i++) {
        bool has = false;
        for (size_t k = 0; k < target->tag_count; k++)
            has = has || strcmp(target->tags[k], tags[i]) == 0;
        if (!has)
            return false;
    }
    return true;
}

static bool is_same_target(const struct model_target *a, const struct model_target *b)
{
    if (a->tag_count != b->tag_count)
        return false;
    for (size_t i = 0; i < a->tag_count; i++) {
        if (strcmp(a->tags[i], b->tags[i]) != 0)
            return false;
    }
    return strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0 &&
           strcmp(a->line->service, b->line->service) == 0 && strcmp(a->dst, b->dst) == 0 &&
           !(a->fixed < b->fixed) && !(a->fixed > b->fixed);
}

static void add(struct model *model, const struct model_line *line)
{
    struct model_target target = {.line = line, .is_up = line->is_up};
    split_src(line->src, target.host, target.path);
    print_url(line->dst, target.dst);
    target.tag_count = split_tags(line->tags, target.tags);
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
    char host[48], path[48], dst[96];
    split_src(line->src, host, path);
    print_url(line->dst, dst);
    return (!line->service[0] || strcmp(line->service, target->line->service) == 0) &&
           (!line->src[0] ||
            (strcmp(host, target->host) == 0 && strcmp(path, target->path) == 0)) &&
           (line->kind != LINE_DEL || !line->dst[0] || strcmp(dst, target->dst) == 0) &&
           has_tags(target, line->tags);
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
            model->at[i].fixed = weight / count;
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
            sum += other->fixed > 0 ? other->fixed : 0;
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
        case LINE_WITHOUT_EFFECT: break;
        }
    }
    share_out(model);
}

// By the key alone; of equal keys the one written later goes first.
static int compare_opts(const void *a, const void *b)
{
    const char *left = a, *right = b;
    size_t left_len = strcspn(left, "="), right_len = strcspn(right, "=");
    int order = memcmp(left, right, left_len < right_len ? left_len : right_len);
    if (order == 0 && left_len != right_len)
        order = left_len < right_len ? -1 : 1;
    return order ? order : (int)right[OPT_LEN_MAX - 1] - (int)left[OPT_LEN_MAX - 1];
}

static void print_opts(const char *opts, char *out, size_t room)
{
    char words[6][OPT_LEN_MAX], copy[48];
    size_t count = 0;
    int used = 0;
    strcpy(copy, opts);
    for (char *save, *word = strtok_r(copy, " \t", &save); word;
         word = strtok_r(NULL, " \t", &save)) {
        strcpy(words[count], word);
        words[count][OPT_LEN_MAX - 1] = (char)count;
        count++;
    }
    qsort(words, count, sizeof words[0], compare_opts);
    const char *before = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(words[i], "=");
        bool is_repeated =
            before && strncmp(before, words[i], len) == 0 && strcspn(before, "=") == len;
        before = words[i];
        if (!is_repeated)
            used += snprintf(out + used, room - (size_t)used, "%s%s%s", used ? " " : " opts \"",
                             words[i], words[i][len] ? "" : "=");
    }
    if (used)
        snprintf(out + used, room - (size_t)used, "\"");
}

static void print_target(const struct model_target *target, char *out, size_t room)
{
    const struct model_line *line = target->line;
    int used = snprintf(out, room, "%sroute add %s %s%s %s", out[-1] ? "\n" : "", line->service,
                        target->host, target->path, target->dst);
    if (target->fixed > 0)
        used += snprintf(out + used, room - (size_t)used, " weight %.4f", target->fixed);
    for (size_t i = 0; i < target->tag_count; i++) {
        used += snprintf(out + used, room - (size_t)used, "%s", i ? "," : " tags \"");
        for (const char *p = target->tags[i]; *p; p++) // Go's quoting
            used += snprintf(out + used, room - (size_t)used, "%s%c", *p == '\\' ? "\\" : "", *p);
    }
    if (target->tag_count)
        used += snprintf(out + used, room - (size_t)used, "\"");
    print_opts(line->opts, out + used, room - (size_t)used);
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
