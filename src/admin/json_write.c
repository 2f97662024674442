// SPDX-License-Identifier: Apache-2.0
#include "admin/json_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void json_key(struct buf *out, const char *name)
{
    if (out->len > 0 && out->ptr[out->len - 1] != '{')
        buf_append_char(out, ',');
    buf_append_char(out, '"');
    buf_append_cstr(out, name);
    buf_append_cstr(out, "\":");
}

void json_field_str(struct buf *out, const char *name, struct str value)
{
    json_key(out, name);
    buf_append_json(out, value);
}

void json_field_u64(struct buf *out, const char *name, uint64_t value)
{
    json_key(out, name);
    buf_append_u64(out, value);
}

void json_field_f64(struct buf *out, const char *name, double value)
{
    json_key(out, name);
    json_f64(out, value);
}

void json_field_bool(struct buf *out, const char *name, bool value)
{
    json_key(out, name);
    buf_append_cstr(out, value ? "true" : "false");
}

void json_f64(struct buf *out, double value)
{
    char text[32] = "0";
    if (isfinite(value)) {
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, value);
            if (strtod(text, NULL) == value)
                break;
        }
    }
    buf_append_cstr(out, text);
}

void json_time(struct buf *out, uint64_t wall_us)
{
    char text[40];
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    buf_printf(out, "\"%s.%03uZ\"", text, (unsigned)(wall_us / 1000 % 1000));
}
