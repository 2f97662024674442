// SPDX-License-Identifier: Apache-2.0
// A pattern becomes a small program. Without braces it is a row of pieces, each of a fixed number
// of characters, with stars between them: taking each piece where it first occurs is always right.
// With braces it is a set-of-states machine (Thompson): every step over one character of the text
// moves all live states at once. In both ways time is bounded by text times program. The literal
// text that every match must begin and end with is kept aside; comparing it first settles most
// texts without running anything, and all of them for "a*b".
#include "route/glob.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

enum {
    GLOB_MAX = 1024,                 // bytes of a pattern
    GLOB_OPS_MAX = 2 * GLOB_MAX + 2, // a ',' in braces makes two, anything else at most one
    GLOB_DEPTH_MAX = 100,            // of nested braces
};

enum glob_op {
    OP_CHAR,  // code point lo
    OP_ANY,   // any one character
    OP_STAR,  // any run: stays here, and goes on
    OP_RANGE, // [lo-hi]
    OP_SET,   // one of the code points set[lo .. lo+hi)
    OP_SPLIT, // goes on at lo and at hi
    OP_JUMP,  // goes on at lo
    OP_MATCH,
};

struct glob_step {
    uint8_t op;
    bool is_negated;
    uint32_t lo, hi;
};

struct glob {
    struct str head; // owned; what every match begins with
    struct str tail; // owned; what every match ends with, never overlapping head
    bool is_literal; // head is all there is
    bool is_simple;  // head, any run, tail
    bool is_flat;    // no braces
    uint64_t needs;  // glob_chars of what every match holds
    uint32_t count;
    uint32_t *set; // points behind the steps
    struct glob_step steps[];
};

// All that grows while a pattern is read.
struct compiler {
    struct str rest;
    struct err *err;
    uint32_t count;
    uint32_t set_count;
    uint32_t special_count; // steps that are not OP_CHAR, or stand in braces
    size_t head_len, tail_len;
    uint64_t needs;
    struct glob_step steps[GLOB_OPS_MAX];
    uint32_t set[GLOB_MAX];
    char head[GLOB_MAX], tail[GLOB_MAX];
};

bool glob_is_pattern(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] && strchr("*?[{\\", text.ptr[i]))
            return true;
    }
    return false;
}

uint64_t glob_chars(struct str text)
{
    uint64_t chars = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        // Letters and digits have a bit each, all else shares the rest.
        unsigned bit = 36U + c % 28U;
        if (c >= 'a' && c <= 'z')
            bit = c - (unsigned)'a';
        else if (c >= '0' && c <= '9')
            bit = 26U + c - (unsigned)'0';
        chars |= (uint64_t)1 << bit;
    }
    return chars;
}

// Takes one character off; a byte that is not UTF-8 is a character of its own, beyond Unicode.
static uint32_t take_char(struct str *rest)
{
    const unsigned char *p = (const unsigned char *)rest->ptr;
    size_t len = p[0] < 0x80 ? 1 : str_utf8_len(*rest);
    uint32_t code;
    switch (len) {
    case 1: code = p[0]; break;
    case 2: code = (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU); break;
    case 3: code = (p[0] & 0x0fU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU); break;
    case 4:
        code = (p[0] & 0x07U) << 18 | (p[1] & 0x3fU) << 12 | (p[2] & 0x3fU) << 6 | (p[3] & 0x3fU);
        break;
    default: code = 0x110000U + p[0]; len = 1;
    }
    *rest = str_from(*rest, len);
    return code;
}

static uint32_t emit(struct compiler *c, enum glob_op op, uint32_t lo, uint32_t hi)
{
    BUG_ON(c->count >= GLOB_OPS_MAX);
    c->steps[c->count] = (struct glob_step){.op = (uint8_t)op, .lo = lo, .hi = hi};
    return c->count++;
}

// A special step at the top level ends the literal head and begins the literal tail anew.
static void note_special(struct compiler *c)
{
    c->special_count++;
    c->tail_len = 0;
}

static void compile_char(struct compiler *c, unsigned depth)
{
    struct str before = c->rest;
    uint32_t code = take_char(&c->rest);
    size_t len = before.len - c->rest.len;
    emit(c, OP_CHAR, code, 0);
    if (depth > 0)
        return;
    c->needs |= glob_chars(str_upto(before, len));
    if (c->special_count == 0) {
        memcpy(c->head + c->head_len, before.ptr, len);
        c->head_len += len;
    } else {
        memcpy(c->tail + c->tail_len, before.ptr, len);
        c->tail_len += len;
    }
}

// Behind '['. One range or one list of characters, as in fabio's dialect.
static int compile_class(struct compiler *c)
{
    bool is_negated = c->rest.len > 0 && c->rest.ptr[0] == '!';
    if (is_negated)
        c->rest = str_from(c->rest, 1);
    if (c->rest.len == 0)
        return err_set(c->err, ERR_INVALID, "bad pattern: '[' without ']'");
    struct str ahead = c->rest;
    uint32_t lo = take_char(&ahead);
    if (ahead.len > 0 && ahead.ptr[0] == '-') {
        ahead = str_from(ahead, 1);
        if (ahead.len == 0)
            return err_set(c->err, ERR_INVALID, "bad pattern: '[' without ']'");
        uint32_t hi = take_char(&ahead);
        if (hi < lo)
            return err_set(c->err, ERR_INVALID, "bad pattern: range in [] runs backwards");
        emit(c, OP_RANGE, lo, hi);
        c->rest = ahead;
        if (c->rest.len == 0 || c->rest.ptr[0] != ']')
            return err_set(c->err, ERR_INVALID, "bad pattern: ']' expected behind the range");
    } else {
        uint32_t from = c->set_count;
        while (c->rest.len > 0 && c->rest.ptr[0] != ']') {
            if (c->rest.ptr[0] == '\\' && c->rest.len > 1)
                c->rest = str_from(c->rest, 1);
            c->set[c->set_count++] = take_char(&c->rest);
        }
        if (c->rest.len == 0)
            return err_set(c->err, ERR_INVALID, "bad pattern: '[' without ']'");
        if (c->set_count == from)
            return err_set(c->err, ERR_INVALID, "bad pattern: empty []");
        emit(c, OP_SET, from, c->set_count - from);
    }
    c->rest = str_from(c->rest, 1);
    c->steps[c->count - 1].is_negated = is_negated;
    return 0;
}

static int compile_sequence(struct compiler *c, unsigned depth);

// Behind '{': each alternative but the last is split off; all of them jump to the end.
static int compile_braces(struct compiler *c, unsigned depth)
{
    if (depth > GLOB_DEPTH_MAX)
        return err_set(c->err, ERR_INVALID, "bad pattern: braces nested too deep");
    uint32_t jumps = UINT32_MAX; // chain through the jumps' lo
    for (;;) {
        uint32_t split = emit(c, OP_SPLIT, c->count + 1, c->count + 1);
        int rc = compile_sequence(c, depth);
        if (rc != 0)
            return rc;
        if (c->rest.len == 0)
            return err_set(c->err, ERR_INVALID, "bad pattern: '{' without '}'");
        char stop = c->rest.ptr[0];
        c->rest = str_from(c->rest, 1);
        if (stop == '}')
            break;
        jumps = emit(c, OP_JUMP, jumps, 0);
        c->steps[split].hi = c->count;
    }
    while (jumps != UINT32_MAX) {
        uint32_t next = c->steps[jumps].lo;
        c->steps[jumps].lo = c->count;
        jumps = next;
    }
    return 0;
}

// Up to the end, or in braces up to ',' or '}', which is left.
static int compile_sequence(struct compiler *c, unsigned depth)
{
    while (c->rest.len > 0) {
        char first = c->rest.ptr[0];
        if (depth > 0 && (first == ',' || first == '}'))
            return 0;
        int rc = 0;
        switch (first) {
        case '*':
            while (c->rest.len > 0 && c->rest.ptr[0] == '*')
                c->rest = str_from(c->rest, 1);
            emit(c, OP_STAR, 0, 0);
            note_special(c);
            break;
        case '?':
            c->rest = str_from(c->rest, 1);
            emit(c, OP_ANY, 0, 0);
            note_special(c);
            break;
        case '[':
            c->rest = str_from(c->rest, 1);
            rc = compile_class(c);
            note_special(c);
            break;
        case '{':
            c->rest = str_from(c->rest, 1);
            note_special(c);
            rc = compile_braces(c, depth + 1);
            note_special(c);
            break;
        case '\\':
            c->rest = str_from(c->rest, 1);
            if (c->rest.len > 0)
                compile_char(c, depth);
            break;
        default: compile_char(c, depth);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

static struct glob *glob_of(const struct compiler *c)
{
    size_t steps_size = c->count * sizeof c->steps[0];
    size_t set_size = c->set_count * sizeof c->set[0];
    struct glob *glob = mem_alloc(sizeof *glob + steps_size + set_size + c->head_len + c->tail_len);
    if (!glob)
        return NULL;
    glob->count = c->count;
    glob->set = (uint32_t *)(void *)((char *)glob->steps + steps_size);
    char *text = (char *)glob->set + set_size;
    memcpy(glob->steps, c->steps, steps_size);
    memcpy(glob->set, c->set, set_size);
    memcpy(text, c->head, c->head_len);
    memcpy(text + c->head_len, c->tail, c->tail_len);
    glob->head = str_make(text, c->head_len);
    glob->tail = str_make(text + c->head_len, c->tail_len);
    glob->is_literal = c->special_count == 0;
    // One star and literals: counted in steps, as a run of stars was merged into one.
    size_t stars = 0, chars = 0;
    glob->is_flat = true;
    glob->needs = c->needs;
    for (uint32_t i = 0; i < c->count; i++) {
        stars += c->steps[i].op == OP_STAR;
        chars += c->steps[i].op == OP_CHAR;
        glob->is_flat = glob->is_flat && c->steps[i].op != OP_SPLIT && c->steps[i].op != OP_JUMP;
    }
    glob->is_simple = stars == 1 && chars + stars + 1 == c->count;
    return glob;
}

static bool is_utf8(struct str s)
{
    while (s.len > 0) {
        size_t len = str_utf8_len(s);
        if (len == 0)
            return false;
        s = str_from(s, len);
    }
    return true;
}

struct glob *glob_new(struct str pattern, struct err *err)
{
    if (pattern.len > GLOB_MAX) {
        err_set(err, ERR_INVALID, "bad pattern: longer than %d bytes", GLOB_MAX);
        return NULL;
    }
    // Else the literal ends, which are compared as bytes, could cut a character of the text in two.
    if (!is_utf8(pattern)) {
        err_set(err, ERR_INVALID, "bad pattern: not UTF-8");
        return NULL;
    }
    struct compiler *c = mem_alloc(sizeof *c);
    if (!c) {
        err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        return NULL;
    }
    c->rest = pattern;
    c->err = err;
    c->count = c->set_count = c->special_count = 0;
    c->head_len = c->tail_len = 0;
    c->needs = 0;
    struct glob *glob = NULL;
    if (compile_sequence(c, 0) == 0) {
        emit(c, OP_MATCH, 0, 0);
        glob = glob_of(c);
        if (!glob)
            err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    }
    mem_free(c);
    return glob;
}

void glob_free(struct glob *glob)
{
    mem_free(glob);
}

struct str glob_tail(const struct glob *glob)
{
    return glob->is_literal ? glob->head : glob->tail;
}

uint64_t glob_needs(const struct glob *glob)
{
    return glob->needs;
}

// Live states of one position in the text.
struct states {
    uint32_t count;
    uint16_t at[GLOB_OPS_MAX];
};

struct machine {
    const struct glob *glob;
    bool has_match;
    uint32_t position;            // counts steps; marks which states are already in the set
    uint32_t marks[GLOB_OPS_MAX]; // position + 1 at which a state was entered
};

// Adds a state and all that it reaches without reading. Recursion is bounded by nesting of braces.
static void enter(struct machine *m, struct states *set, uint32_t at)
{
    for (;;) {
        if (m->marks[at] == m->position)
            return;
        m->marks[at] = m->position;
        const struct glob_step *step = &m->glob->steps[at];
        switch ((enum glob_op)step->op) {
        case OP_SPLIT:
            if (step->hi != step->lo)
                enter(m, set, step->lo);
            at = step->hi;
            break;
        case OP_JUMP: at = step->lo; break;
        case OP_STAR:
            set->at[set->count++] = (uint16_t)at;
            at++;
            break;
        case OP_MATCH: m->has_match = true; return;
        default: set->at[set->count++] = (uint16_t)at; return;
        }
    }
}

static bool takes(const struct glob *glob, const struct glob_step *step, uint32_t code)
{
    switch ((enum glob_op)step->op) {
    case OP_CHAR: return step->lo == code;
    case OP_RANGE: return (code >= step->lo && code <= step->hi) != step->is_negated;
    case OP_SET:
        for (uint32_t i = 0; i < step->hi; i++) {
            if (glob->set[step->lo + i] == code)
                return !step->is_negated;
        }
        return step->is_negated;
    default: return true;
    }
}

static bool run(const struct glob *glob, struct str text)
{
    struct machine m;
    m.glob = glob;
    m.has_match = false;
    m.position = 1;
    memset(m.marks, 0, glob->count * sizeof m.marks[0]);
    struct states sets[2];
    struct states *now = &sets[0], *next = &sets[1];
    now->count = 0;
    enter(&m, now, 0);
    while (text.len > 0 && now->count > 0) {
        uint32_t code = take_char(&text);
        m.has_match = false;
        m.position++;
        next->count = 0;
        for (uint32_t i = 0; i < now->count; i++) {
            uint32_t at = now->at[i];
            const struct glob_step *step = &glob->steps[at];
            if (takes(glob, step, code))
                enter(&m, next, step->op == OP_STAR ? at : at + 1);
        }
        struct states *spare = now;
        now = next;
        next = spare;
    }
    return text.len == 0 && m.has_match;
}

// Whether the text begins with what the steps [from, to) take, a character each; *rest is behind
// it.
static bool begins_with(const struct glob *glob, uint32_t from, uint32_t to, struct str text,
                        struct str *rest)
{
    for (uint32_t at = from; at < to; at++) {
        if (text.len == 0 || !takes(glob, &glob->steps[at], take_char(&text)))
            return false;
    }
    *rest = text;
    return true;
}

// The first place in the text where the steps [from, to) match; *rest is behind it.
static bool find_piece(const struct glob *glob, uint32_t from, uint32_t to, struct str text,
                       struct str *rest)
{
    const struct glob_step *first = &glob->steps[from];
    bool begins_with_byte = first->op == OP_CHAR && first->lo < 0x80; // no part of another
    while (text.len > 0) {
        if (begins_with_byte) {
            const char *at = memchr(text.ptr, (int)first->lo, text.len);
            if (!at)
                return false;
            text = str_from(text, (size_t)(at - text.ptr));
        }
        if (begins_with(glob, from, to, text, rest))
            return true;
        take_char(&text);
    }
    return false;
}

// The steps from `from` to the end of the program match the end of the text.
static bool ends_with(const struct glob *glob, uint32_t from, struct str text)
{
    size_t left = 0;
    for (struct str rest = text; rest.len > 0; left++)
        take_char(&rest);
    uint32_t end = glob->count - 1; // OP_MATCH
    for (; left > end - from; left--)
        take_char(&text);
    return begins_with(glob, from, end, text, &text) && text.len == 0;
}

static bool match_pieces(const struct glob *glob, struct str text)
{
    uint32_t from = 0;
    bool is_first = true;
    for (uint32_t at = 0; at + 1 < glob->count; at++) {
        if (glob->steps[at].op != OP_STAR)
            continue;
        bool is_found = is_first     ? begins_with(glob, from, at, text, &text)
                        : from == at ? true
                                     : find_piece(glob, from, at, text, &text);
        if (!is_found)
            return false;
        is_first = false;
        from = at + 1;
    }
    if (is_first)
        return begins_with(glob, from, glob->count - 1, text, &text) && text.len == 0;
    return ends_with(glob, from, text);
}

bool glob_match(const struct glob *glob, struct str text)
{
    if (glob->is_literal)
        return str_eq(glob->head, text);
    if (text.len < glob->head.len + glob->tail.len || !str_starts_with(text, glob->head) ||
        !str_ends_with(text, glob->tail))
        return false;
    return glob->is_simple || (glob->is_flat ? match_pieces(glob, text) : run(glob, text));
}
