// SPDX-License-Identifier: Apache-2.0
#include "admin/manual_body.h"

#include <string.h>

#include <cjson/cJSON.h>

// cJSON ends a text at a NUL, which would cut the document short without a word.
static bool has_nul(struct str json)
{
    for (size_t i = 0; i < json.len; i++) {
        if (json.ptr[i] == '\0')
            return true;
        if (json.ptr[i] == '\\' && str_starts_with(str_from(json, ++i), STR("u0000")))
            return true;
    }
    return false;
}

bool manual_body_read(struct manual_body *body, struct str text)
{
    *body = (struct manual_body){.version = STR("0")};
    // As Go reads it: names without regard to case, whatever follows the object unread.
    body->json = has_nul(text) ? NULL : cJSON_ParseWithLength(text.ptr, text.len);
    const cJSON *value = cJSON_GetObjectItem(body->json, "value");
    const cJSON *version = cJSON_GetObjectItem(body->json, "version");
    if (!cJSON_IsString(value) || (version && !cJSON_IsString(version) && !cJSON_IsNull(version)))
        return false;
    body->value = str_of(value->valuestring);
    if (version && cJSON_IsString(version))
        body->version = str_of(version->valuestring);
    return true;
}

void manual_body_fini(struct manual_body *body)
{
    cJSON_Delete(body->json);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = char_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool manual_path_read(struct str query, struct buf *out)
{
    struct str rest = query;
    struct str item;
    while (rest.len > 0 && str_split_next(&rest, '&', &item)) {
        if (!str_starts_with(item, STR("path=")))
            continue;
        for (size_t i = strlen("path="); i < item.len; i++) {
            char c = item.ptr[i];
            if (c == '%') {
                int high = i + 2 < item.len ? hex_digit(item.ptr[i + 1]) : -1;
                int low = i + 2 < item.len ? hex_digit(item.ptr[i + 2]) : -1;
                c = (char)(high * 16 + low);
                if (high < 0 || low < 0 || c == '\0')
                    return false;
                i += 2;
            } else if (c == '+') {
                c = ' ';
            }
            buf_append_char(out, c);
        }
        return buf_status(out) == 0;
    }
    return false;
}
