// SPDX-License-Identifier: Apache-2.0
#include "head_plain.h"

#include "scan.h"

#ifdef __SSE2__
// A step for the name, another that begins behind it and ": ", and the LF that may follow that one.
enum { SURE_BYTES = 2 * SCAN_STEP + 3 };

// Reads one line of the form nearly all have: a name of letters and '-' that is not longer than a
// step, one space, a value of printable ASCII that does not end with one. At least SURE_BYTES are
// there. NULL: it is another form.
static ALWAYS_INLINE const char *read_usual_field(struct http_field *field, const char *at,
                                                  const char *bytes_end)
{
    // The bit behind the step: a name may be as long as that.
    size_t name_len = scan_first(scan_odd_in_name(at) | 1U << SCAN_STEP);
    const char *value = at + name_len + 2;
    if (UNLIKELY(memcmp(value - 2, ": ", 2) != 0 || name_len == 0 || *value == ' '))
        return NULL;
    const char *end = value;
    const char *last = bytes_end - SCAN_STEP; // the line's end is to be looked at as well
    unsigned bits;
    while ((bits = scan_odd_in_ascii(end)) == 0) {
        end += SCAN_STEP;
        if (UNLIKELY(end >= last))
            return NULL;
    }
    end += scan_first(bits);
    if (UNLIKELY(memcmp(end, "\r\n", 2) != 0 || end[-1] == ' '))
        return NULL;
    field->name = str_make(at, name_len);
    field->value = str_make(value, (size_t)(end - value));
    field->has_plain_name = true;
    return end + 2;
}
#endif

// Reads one line. NULL when it is not plain. Apart, as few come here and none shall pay for it.
static NOINLINE const char *read_field(struct http_field *field, const char *at, const char *end)
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
    for (size_t count = 0;; count++) {
        const char *next = NULL;
#ifdef __SSE2__
        if (count < fields_max && end - at >= SURE_BYTES)
            next = read_usual_field(&head->fields[count], at, end);
#endif
        if (!next) {
            if (end - at < 2)
                return NULL;
            if (memcmp(at, "\r\n", 2) == 0) {
                head->field_count = count;
                return at + 2;
            }
            if (count == fields_max)
                return NULL;
            next = read_field(&head->fields[count], at, end);
            if (!next)
                return NULL;
        }
        at = next;
    }
}
