// SPDX-License-Identifier: Apache-2.0
#include "head_plain.h"

#include "scan.h"

#ifdef __SSE2__
// A step for the name, another that begins behind it and ": ", and what may follow that one.
enum { SURE_BYTES = 2 * SCAN_STEP + 2 };

// Reads one line of the form nearly all have: a name of letters and '-' that is shorter than a
// step, one space, a value that does not end with one. At least SURE_BYTES are there. NULL: it
// is another form.
static ALWAYS_INLINE const char *read_usual_field(struct http_field *field, const char *at,
                                                  const char *bytes_end)
{
    unsigned bits = scan_odd_in_name(at);
    if (UNLIKELY(bits == 0))
        return NULL;
    size_t name_len = (size_t)__builtin_ctz(bits);
    const char *value = at + name_len + 2;
    if (UNLIKELY(memcmp(value - 2, ": ", 2) != 0 || name_len == 0 || *value == ' '))
        return NULL;
    const char *end = value;
    while ((bits = scan_odd_in_text(end)) == 0) {
        end += SCAN_STEP;
        if (UNLIKELY(bytes_end - end <= SCAN_STEP)) // the line's end is to be looked at as well
            return NULL;
    }
    end += __builtin_ctz(bits);
    if (UNLIKELY(memcmp(end, "\r\n", 2) != 0 || end[-1] == ' '))
        return NULL;
    field->name = str_make(at, name_len);
    field->value = str_make(value, (size_t)(end - value));
    field->has_plain_name = true;
    return end + 2;
}
#endif

// Reads one line. NULL when it is not plain.
static const char *read_field(struct http_field *field, const char *at, const char *end)
{
    const char *name = at;
    at = scan_token(at, end);
    size_t name_len = (size_t)(at - name);
    if (at == end || *at != ':' || name_len == 0 || name_len > HTTP_NAME_MAX)
        return NULL;
    at++;
    while (at < end && *at == ' ')
        at++;
    const char *value = at;
    at = scan_text(at, end);
    if (end - at < 2 || memcmp(at, "\r\n", 2) != 0)
        return NULL;
    const char *value_end = at;
    while (value_end > value && value_end[-1] == ' ')
        value_end--;
    field->name = str_make(name, name_len);
    field->value = str_make(value, (size_t)(value_end - value));
    field->has_plain_name = false;
    return at + 2;
}

const char *http_read_plain_fields(struct http_head *head, const char *at, const char *end,
                                   size_t fields_max)
{
    size_t count = 0;
#ifdef __SSE2__
    while (count < fields_max && end - at >= SURE_BYTES) {
        const char *next = read_usual_field(&head->fields[count], at, end);
        if (!next)
            break;
        at = next;
        count++;
    }
#endif
    for (; end - at >= 2; count++) {
        if (memcmp(at, "\r\n", 2) == 0) {
            head->field_count = count;
            return at + 2;
        }
        if (count == fields_max)
            return NULL;
        at = read_field(&head->fields[count], at, end);
        if (!at)
            return NULL;
    }
    return NULL;
}
