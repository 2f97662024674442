// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <string.h>

const char *err_text(int code)
{
    switch (code) {
#define X(name, value, text) \
    case name: return text;
        ERR_LIST(X)
#undef X
    case 0: return "no error";
    default: return "unknown error";
    }
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    err->code = code;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    if (!err)
        return 0;
    char context[sizeof err->text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(context, sizeof context, fmt, args);
    va_end(args);

    size_t used = strlen(context);
    if (used + 3 > sizeof err->text)
        used = sizeof err->text - 3;
    size_t room = sizeof err->text - used - 3; // for the old text, behind ": " and before the end
    size_t kept = MIN(strlen(err->text), room);
    memmove(err->text + used + 2, err->text, kept);
    memcpy(err->text, context, used);
    memcpy(err->text + used, ": ", 2);
    err->text[used + 2 + kept] = '\0';
    return err->code;
}
