// SPDX-License-Identifier: Apache-2.0
#include "base/regexp.h"

#include "base/arena.h"
#include "base/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

// The expression is the operator's, the text often an origin's: bounds for what they may do
// together. Usual expressions need a few hundred steps.
enum { STEPS_MAX = 20000, DEPTH_MAX = 250, HEAP_MAX_KIB = 256 };

struct regexp {
    pcre2_code *code;
};

struct regexp_matcher {
    const struct regexp *regexp;
    pcre2_general_context *general;
    pcre2_match_context *limits;
    pcre2_match_data *data;
};

static void *take(size_t size, void *arena)
{
    return arena_alloc(arena, size);
}

static void keep(void *bytes, void *arena)
{
    (void)bytes; // dies with the arena
    (void)arena;
}

static void *get(size_t size, void *ignored)
{
    (void)ignored;
    return mem_alloc(size);
}

static void put(void *bytes, void *ignored)
{
    (void)ignored;
    mem_free(bytes);
}

int regexp_compile(struct arena *arena, struct str expression, const struct regexp **out,
                   struct err *err)
{
    // As in RE2: `$` is the very end, and the text cannot switch modes that make other demands.
    const uint32_t options = PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C;
    struct regexp *regexp = arena_alloc(arena, sizeof *regexp);
    pcre2_general_context *general = pcre2_general_context_create(take, keep, arena);
    pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
    if (!regexp || !context)
        return err_set(err, ERR_NOMEM, "out of memory");
    // What is compiled is bounded by PCRE2 itself: counts that make more than 64 KB are refused
    // before any memory is taken for them. What is read for it grows with the expression.
    pcre2_set_max_pattern_length(context, REGEXP_MAX);
    pcre2_set_parens_nest_limit(context, REGEXP_NESTING_MAX);
    int failure;
    PCRE2_SIZE at;
    regexp->code =
        pcre2_compile((PCRE2_SPTR)expression.ptr, expression.len, options, &failure, &at, context);
    if (regexp->code) {
        *out = regexp;
        return 0;
    }
    if (failure == PCRE2_ERROR_NOMEMORY || failure == PCRE2_ERROR_HEAP_FAILED)
        return err_set(err, ERR_NOMEM, "out of memory");
    PCRE2_UCHAR text[160];
    pcre2_get_error_message(failure, text, sizeof text);
    return err_set(err, ERR_INVALID, "%s at offset %zu", (const char *)text, (size_t)at);
}

struct regexp_matcher *regexp_matcher_new(const struct regexp *regexp)
{
    struct regexp_matcher *matcher = mem_zalloc(sizeof *matcher);
    if (!matcher)
        return NULL;
    matcher->regexp = regexp;
    matcher->general = pcre2_general_context_create(get, put, NULL);
    if (!matcher->general)
        goto fail;
    matcher->limits = pcre2_match_context_create(matcher->general);
    matcher->data = pcre2_match_data_create(1, matcher->general);
    if (!matcher->limits || !matcher->data)
        goto fail;
    pcre2_set_match_limit(matcher->limits, STEPS_MAX);
    pcre2_set_depth_limit(matcher->limits, DEPTH_MAX);
    pcre2_set_heap_limit(matcher->limits, HEAP_MAX_KIB);
    return matcher;
fail:
    regexp_matcher_free(matcher);
    return NULL;
}

void regexp_matcher_free(struct regexp_matcher *matcher)
{
    if (!matcher)
        return;
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->limits);
    pcre2_general_context_free(matcher->general);
    mem_free(matcher);
}

bool regexp_matcher_matches(struct regexp_matcher *matcher, struct str text)
{
    if (text.len > REGEXP_TEXT_MAX)
        return false;
    const char *bytes = text.len ? text.ptr : "";
    return pcre2_match(matcher->regexp->code, (PCRE2_SPTR)bytes, text.len, 0, 0, matcher->data,
                       matcher->limits) >= 0;
}
