// SPDX-License-Identifier: Apache-2.0
#include "discover/json_split.h"

#include "base/err.h"

// BEFORE -> INSIDE at the opening bracket -> AFTER at its closing one.
enum { BEFORE, INSIDE, AFTER };

void json_split_init(struct json_split *split, char open, json_element_fn on_element, void *ctx)
{
    *split = (struct json_split){.open = open, .on_element = on_element, .ctx = ctx};
    buf_init(&split->carry, JSON_ELEMENT_MAX);
}

void json_split_fini(struct json_split *split)
{
    buf_fini(&split->carry);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Hands over the element that ends here; `tail` is its part in the current bytes. is_last: at the
// closing bracket, where nothing at all means an empty list.
static int end_element(struct json_split *split, struct str tail, bool is_last)
{
    struct str element = tail;
    if (split->carry.len > 0) {
        buf_append_str(&split->carry, tail);
        int status = buf_status(&split->carry);
        if (status < 0)
            return status;
        element = buf_str(&split->carry);
    }
    element = str_trim(element);
    int status = 0;
    if (element.len > 0) {
        split->elements++;
        status = split->on_element(split->ctx, element);
    } else if (!is_last || split->elements > 0) {
        status = ERR_INVALID;
    }
    buf_clear(&split->carry);
    return status;
}

// Goes on within a string, from byte i; returns the first byte behind it, or the end.
static size_t skip_string(struct json_split *split, struct str bytes, size_t i)
{
    const char *text = bytes.ptr;
    if (split->is_escaped && i < bytes.len) {
        split->is_escaped = false;
        i++;
    }
    while (i < bytes.len) {
        if (text[i] == '"') {
            split->is_in_string = false;
            return i + 1;
        }
        if (text[i] == '\\' && ++i == bytes.len) {
            split->is_escaped = true;
            break;
        }
        i++;
    }
    return i;
}

int json_split_feed(struct json_split *split, struct str bytes)
{
    size_t start = 0; // of the current element within bytes
    size_t i = 0;
    if (split->is_in_string)
        i = skip_string(split, bytes, 0);
    for (; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (split->phase != INSIDE) {
            if (is_space(c))
                continue;
            if (split->phase == AFTER || c != split->open)
                return ERR_INVALID;
            split->phase = INSIDE;
            start = i + 1;
            continue;
        }

        int status = 0;
        struct str tail = {bytes.ptr + start, i - start};
        if (c == '"') {
            split->is_in_string = true;
            i = skip_string(split, bytes, i + 1) - 1;
        } else if (c == '[' || c == '{') {
            if (++split->depth > JSON_DEPTH_MAX)
                return ERR_TOO_LARGE;
        } else if ((c == ']' || c == '}') && split->depth > 0) {
            split->depth--;
        } else if (c == ']' || c == '}') {
            if (c != (split->open == '[' ? ']' : '}'))
                return ERR_INVALID;
            status = end_element(split, tail, true);
            split->phase = AFTER;
        } else if (c == ',' && split->depth == 0) {
            status = end_element(split, tail, false);
            start = i + 1;
        }
        if (status < 0)
            return status;
    }
    if (split->phase == INSIDE) {
        buf_append_str(&split->carry, str_from(bytes, start));
        return buf_status(&split->carry);
    }
    return 0;
}

int json_split_finish(const struct json_split *split)
{
    return split->phase == AFTER ? 0 : ERR_INVALID;
}

int json_split_all(struct str text, char open, json_element_fn on_element, void *ctx)
{
    struct json_split split;
    json_split_init(&split, open, on_element, ctx);
    int status = json_split_feed(&split, text);
    if (status == 0)
        status = json_split_finish(&split);
    json_split_fini(&split);
    return status;
}
