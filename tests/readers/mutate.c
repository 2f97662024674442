// SPDX-License-Identifier: Apache-2.0
#include "mutate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

enum { LINES_MAX = 160 };

// A text under change: it moves between the two rooms.
struct draft {
    struct mutator *by;
    char *bytes;
    size_t len;
};

static uint32_t below(struct mutator *mutator, size_t bound)
{
    return rng_below(&mutator->rng, (uint32_t)bound);
}

static _Noreturn void fail(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s\n", path, what);
    exit(2);
}

static void add(struct str *list, uint32_t *count, struct str text, const char *path)
{
    if (*count == MUTATE_SEEDS_MAX || text.len > MUTATE_ROOM / 2)
        fail(path, "too much");
    list[(*count)++] = text;
}

// Records of a letter, four bytes of length (little endian) and the text.
static void take_records(struct mutator *mutator, struct str rest, const char *path)
{
    while (rest.len >= 5) {
        uint32_t len;
        char kind = rest.ptr[0];
        memcpy(&len, rest.ptr + 1, sizeof len);
        if (len > rest.len - 5)
            fail(path, "cut");
        struct str text = str_make(rest.ptr + 5, len);
        rest = str_from(rest, 5 + (size_t)len);
        if (kind == 's')
            add(mutator->seeds, &mutator->seed_count, text, path);
        else if (kind == 't')
            add(mutator->tokens, &mutator->token_count, text, path);
        else
            add(mutator->lines, &mutator->line_count, text, path);
    }
    if (!mutator->seed_count || !mutator->token_count || !mutator->line_count)
        fail(path, "no seeds");
}

void mutator_init(struct mutator *mutator, const char *path, uint64_t seed)
{
    memset(mutator, 0, sizeof *mutator);
    rng_init(&mutator->rng, seed);
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail(path, "cannot be read");
    long size = ftell(file);
    mutator->file = size > 0 ? malloc((size_t)size) : NULL;
    if (!mutator->file || fseek(file, 0, SEEK_SET) != 0 ||
        fread(mutator->file, 1, (size_t)size, file) != (size_t)size)
        fail(path, "cannot be read");
    fclose(file);
    take_records(mutator, str_make(mutator->file, (size_t)size), path);
}

void mutator_fini(struct mutator *mutator)
{
    free(mutator->file);
}

// Puts text in place of `len` bytes at `at`; nothing when it would not fit.
static void put(struct draft *draft, size_t at, size_t len, struct str text)
{
    len = MIN(len, draft->len - at);
    if (draft->len - len + text.len > MUTATE_ROOM)
        return;
    memmove(draft->bytes + at + text.len, draft->bytes + at + len, draft->len - at - len);
    memcpy(draft->bytes + at, text.ptr, text.len);
    draft->len = draft->len - len + text.len;
}

static struct str token(struct mutator *mutator)
{
    return mutator->tokens[below(mutator, mutator->token_count)];
}

// Some place where one of these bytes stands; the draft's length when there is none.
static size_t find_any(struct draft *draft, const char *wanted)
{
    size_t from = below(draft->by, draft->len);
    for (size_t i = 0; i < draft->len; i++) {
        size_t at = (from + i) % draft->len;
        if (draft->bytes[at] && strchr(wanted, draft->bytes[at]))
            return at;
    }
    return draft->len;
}

static void flip_case(struct draft *draft)
{
    size_t at = below(draft->by, draft->len);
    size_t end = at + 1 + below(draft->by, 12);
    for (; at < end && at < draft->len; at++) {
        char letter = draft->bytes[at] | 0x20;
        if (letter >= 'a' && letter <= 'z')
            draft->bytes[at] ^= 0x20;
    }
}

static void insert(struct draft *draft)
{
    put(draft, below(draft->by, draft->len + 1), 0, token(draft->by));
}

// Where names, values and lines meet: where readers differ.
static void insert_at_joint(struct draft *draft)
{
    size_t at = find_any(draft, ":\r\n; ,");
    at += below(draft->by, 2);
    put(draft, MIN(draft->len, at), 0, token(draft->by));
}

static void delete (struct draft *draft)
{
    put(draft, below(draft->by, draft->len), 1 + below(draft->by, 2), STR(""));
}

static void replace(struct draft *draft)
{
    put(draft, below(draft->by, draft->len), 1, str_upto(token(draft->by), 1));
}

static void put_underscore(struct draft *draft)
{
    size_t at = find_any(draft, "-");
    if (at < draft->len)
        draft->bytes[at] = '_';
}

// The lines of the head, without their ends. Returns their number.
static unsigned split(const struct draft *draft, struct str *lines)
{
    unsigned count = 0;
    struct str rest = str_make(draft->bytes, draft->len);
    while (count < LINES_MAX) {
        ptrdiff_t end = str_find(rest, STR("\r\n"));
        if (end <= 0)
            break;
        lines[count++] = str_upto(rest, (size_t)end);
        rest = str_from(rest, (size_t)end + 2);
    }
    return count;
}

static void put_line(struct draft *draft, const struct str *lines, unsigned count, struct str line)
{
    char text[MUTATE_ROOM];
    if (count == 0 || line.len + 2 > sizeof text)
        return;
    memcpy(text, line.ptr, line.len);
    memcpy(text + line.len, "\r\n", 2);
    struct str before = lines[below(draft->by, count)];
    size_t at = (size_t)(before.ptr + before.len + 2 - draft->bytes);
    put(draft, at, 0, str_make(text, line.len + 2));
}

static void double_line(struct draft *draft)
{
    struct str lines[LINES_MAX];
    unsigned count = split(draft, lines);
    if (count > 0)
        put_line(draft, lines, count, lines[below(draft->by, count)]);
}

static void add_line(struct draft *draft)
{
    struct str lines[LINES_MAX];
    unsigned count = split(draft, lines);
    put_line(draft, lines, count, draft->by->lines[below(draft->by, draft->by->line_count)]);
}

// Moves one field line in front of another.
static void move_line(struct draft *draft)
{
    struct str lines[LINES_MAX];
    unsigned count = split(draft, lines);
    if (count < 3)
        return;
    char text[MUTATE_ROOM];
    struct str line = lines[1 + below(draft->by, count - 1)];
    size_t at = (size_t)(line.ptr - draft->bytes);
    size_t len = line.len;
    memcpy(text, line.ptr, len);
    put(draft, at, len + 2, STR(""));
    count = split(draft, lines);
    put_line(draft, lines, count, str_make(text, len));
}

static void fold(struct draft *draft)
{
    static const struct str FOLDS[] = {STR_INIT("\r\n "), STR_INIT("\r\n\t"), STR_INIT("\n "),
                                       STR_INIT("\r ")};
    size_t at = find_any(draft, ": ");
    put(draft, MIN(draft->len, at + 1), 0, FOLDS[below(draft->by, ARRAY_LEN(FOLDS))]);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

// A number at the end of a line: a length, a chunk's size, a port, a version.
static void change_number(struct draft *draft)
{
    static const char *const FORMS[] = {"0",
                                        "00",
                                        "1",
                                        "2",
                                        "+%.*s",
                                        "0x%.*s",
                                        "%.*s ",
                                        " %.*s",
                                        "0000000000000000%.*s",
                                        "ffffffffffffffff",
                                        "%.*s;a",
                                        "-1",
                                        "18446744073709551617",
                                        "%.*s,%.*s",
                                        "\t%.*s",
                                        "%.*s\t"};
    size_t end = find_any(draft, "\r");
    size_t at = end;
    while (at > 0 && is_hex(draft->bytes[at - 1]) && end - at < 64)
        at--;
    if (end == draft->len || at == end) {
        insert_at_joint(draft);
        return;
    }
    char digits[65], text[256];
    int len = (int)(end - at);
    memcpy(digits, draft->bytes + at, (size_t)len);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int text_len = snprintf(text, sizeof text, FORMS[below(draft->by, ARRAY_LEN(FORMS))], len,
                            digits, len, digits);
#pragma GCC diagnostic pop
    put(draft, at, (size_t)len, str_make(text, (size_t)text_len));
}

typedef void (*technique_fn)(struct draft *draft);

static const technique_fn TECHNIQUES[] = {
    flip_case,   insert,   insert_at_joint, insert_at_joint, delete, replace,       put_underscore,
    double_line, add_line, add_line,        move_line,       fold,   change_number, change_number,
};

static struct draft begin(struct mutator *mutator, unsigned room)
{
    struct str seed = mutator->seeds[below(mutator, mutator->seed_count)];
    memcpy(mutator->room[room], seed.ptr, seed.len);
    return (struct draft){mutator, mutator->room[room], seed.len};
}

static void mutate(struct draft *draft)
{
    static const uint8_t TIMES[] = {1, 1, 1, 2, 3};
    for (unsigned i = TIMES[below(draft->by, ARRAY_LEN(TIMES))]; i > 0 && draft->len > 0; i--)
        TECHNIQUES[below(draft->by, ARRAY_LEN(TECHNIQUES))](draft);
}

struct str mutator_next(struct mutator *mutator)
{
    size_t len = 0;
    for (unsigned left = 1 + below(mutator, 3); left > 0; left--) {
        struct draft draft = begin(mutator, 0);
        if (left == 1 || below(mutator, 2))
            mutate(&draft);
        if (draft.len > 0 && below(mutator, 16) == 0) {
            // The beginning of one and the end of another.
            struct draft other = begin(mutator, 1);
            size_t from = below(mutator, other.len + 1);
            put(&draft, below(mutator, draft.len), draft.len,
                str_make(other.bytes + from, other.len - from));
        }
        memcpy(mutator->out + len, draft.bytes, draft.len);
        len += draft.len;
    }
    return str_make(mutator->out, len);
}
