// SPDX-License-Identifier: Apache-2.0
#include "base/json_indent.h"

static void new_line(struct buf *out, size_t depth)
{
    buf_append_char(out, '\n');
    while (depth-- > 0)
        buf_append_cstr(out, "    ");
}

void json_indent(struct buf *out, struct str compact)
{
    size_t depth = 0;
    bool is_text = false;
    for (size_t i = 0; i < compact.len; i++) {
        char c = compact.ptr[i];
        if (is_text) {
            buf_append_char(out, c);
            if (c == '\\' && i + 1 < compact.len)
                buf_append_char(out, compact.ptr[++i]);
            else if (c == '"')
                is_text = false;
            continue;
        }
        switch (c) {
        case '"':
            is_text = true;
            buf_append_char(out, c);
            break;
        case '{':
        case '[':
            buf_append_char(out, c);
            if (i + 1 < compact.len && (compact.ptr[i + 1] == '}' || compact.ptr[i + 1] == ']'))
                buf_append_char(out, compact.ptr[++i]);
            else
                new_line(out, ++depth);
            break;
        case '}':
        case ']':
            new_line(out, --depth);
            buf_append_char(out, c);
            break;
        case ',':
            buf_append_char(out, c);
            new_line(out, depth);
            break;
        case ':': buf_append_cstr(out, ": "); break;
        default: buf_append_char(out, c);
        }
    }
}
