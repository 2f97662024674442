// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <stdint.h>

// The six bits of a character, or -1.
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct str text, char *out, size_t *len)
{
    *len = 0;
    if (text.len % 4 != 0)
        return false;
    size_t padding = str_ends_with(text, STR("==")) ? 2 : str_ends_with(text, STR("="));
    for (size_t i = 0; i < text.len; i += 4) {
        size_t used = i + 4 == text.len ? 4 - padding : 4;
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) {
            int value = k < used ? value_of(text.ptr[i + k]) : 0;
            if (value < 0)
                return false;
            bits = bits << 6 | (uint32_t)value;
        }
        for (size_t k = 0; k < used - 1; k++)
            out[(*len)++] = (char)(bits >> (16 - 8 * k));
    }
    return true;
}
