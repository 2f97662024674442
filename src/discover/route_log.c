// SPDX-License-Identifier: Apache-2.0
#include "discover/route_log.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum {
    LINES_MAX = 10 * 1000, // of one change: the log is written on the control thread
    BYTES_MAX = 4 * 1024 * 1024,
    LAST_LINE_MAX = 64,
};

void route_log_init(struct route_log *log)
{
    *log = (struct route_log){0};
    buf_init(&log->lines, BYTES_MAX);
}

void route_log_fini(struct route_log *log)
{
    buf_fini(&log->lines);
}

static void note(struct route_log *log, char sign, struct str line)
{
    if (log->line_count == LINES_MAX ||
        log->lines.len + line.len + 3 + LAST_LINE_MAX > log->lines.max) {
        log->dropped++;
        return;
    }
    buf_append_char(&log->lines, sign);
    buf_append_char(&log->lines, ' ');
    buf_append_str(&log->lines, line);
    buf_append_char(&log->lines, '\n');
    log->line_count++;
}

// The lines of one side, sorted; all point into `text`.
struct side {
    struct buf text;
    struct str *lines; // owned
    size_t count;
};

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int by_place(const void *a, const void *b)
{
    const struct str *left = a, *right = b;
    return left->ptr < right->ptr ? -1 : left->ptr > right->ptr;
}

static int side_split(struct side *side)
{
    if (buf_status(&side->text) < 0)
        return ERR_NOMEM;
    size_t count = 0;
    for (size_t i = 0; i < side->text.len; i++)
        count += side->text.ptr[i] == '\n';
    side->lines = mem_zalloc_array(count + 1, sizeof *side->lines);
    if (!side->lines)
        return ERR_NOMEM;
    struct str rest = buf_str(&side->text);
    struct str line;
    while (str_split_next(&rest, '\n', &line)) {
        if (line.len > 0)
            side->lines[side->count++] = line;
    }
    qsort(side->lines, side->count, sizeof *side->lines, by_text);
    return 0;
}

static void side_fini(struct side *side)
{
    buf_fini(&side->text);
    mem_free(side->lines);
}

// Leaves only those lines that the other side has not.
static void strike_common(struct side *before, struct side *after)
{
    size_t i = 0, k = 0, removed = 0, added = 0;
    while (i < before->count || k < after->count) {
        int order = i == before->count  ? 1
                    : k == after->count ? -1
                                        : str_cmp(before->lines[i], after->lines[k]);
        if (order < 0)
            before->lines[removed++] = before->lines[i++];
        else if (order > 0)
            after->lines[added++] = after->lines[k++];
        else
            i++, k++;
    }
    before->count = removed;
    after->count = added;
}

// Removed lines, then added ones, each in the order of their text, so that the headings of KV keys
// stay with what they head.
static void note_difference(struct route_log *log, struct side *before, struct side *after)
{
    if (side_split(before) < 0 || side_split(after) < 0)
        return;
    strike_common(before, after);
    qsort(before->lines, before->count, sizeof *before->lines, by_place);
    qsort(after->lines, after->count, sizeof *after->lines, by_place);
    for (size_t i = 0; i < before->count; i++)
        note(log, '-', before->lines[i]);
    for (size_t i = 0; i < after->count; i++)
        note(log, '+', after->lines[i]);
}

static void side_print(struct side *side, struct route_def *const *defs, size_t count)
{
    buf_init(&side->text, SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        if (defs[i]->health != ROUTE_UP)
            continue;
        route_def_print(defs[i], defs[i]->rule->weight, &side->text);
        buf_append_char(&side->text, '\n');
    }
}

void route_log_defs(struct route_log *log, struct route_def *const *before, size_t before_count,
                    struct route_def *const *after, size_t after_count)
{
    struct side old = {0}, new = {0};
    side_print(&old, before, before_count);
    side_print(&new, after, after_count);
    note_difference(log, &old, &new);
    side_fini(&old);
    side_fini(&new);
}

void route_log_texts(struct route_log *log, struct str before, struct str after)
{
    struct side old = {0}, new = {0};
    buf_init(&old.text, SIZE_MAX);
    buf_init(&new.text, SIZE_MAX);
    buf_append_str(&old.text, before);
    buf_append_str(&new.text, after);
    note_difference(log, &old, &new);
    side_fini(&old);
    side_fini(&new);
}

void route_log_flush(struct route_log *log)
{
    if (log->dropped > 0)
        buf_printf(&log->lines, "... and %zu more changes\n", log->dropped);
    if (log->line_count > 0)
        log_block(LOG_INFO, "Config updates", buf_str(&log->lines));
    buf_fini(&log->lines);
    log->line_count = 0;
    log->dropped = 0;
}

void route_log_whole(struct str text)
{
    log_block(LOG_INFO, "Updated config to", text);
}
