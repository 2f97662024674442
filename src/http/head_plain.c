// SPDX-License-Identifier: Apache-2.0
#include "head_plain.h"

#include "scan.h"

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
    return at + 2;
}

const char *http_read_plain_fields(struct http_head *head, const char *at, const char *end,
                                   size_t fields_max)
{
    for (size_t count = 0; end - at >= 2; count++) {
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
