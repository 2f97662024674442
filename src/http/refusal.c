// SPDX-License-Identifier: Apache-2.0
#include "http/refusal.h"

#include "base/attr.h"

struct refusal_row {
    int status;
    const char *label;
    const char *text;
};

static const struct refusal_row ROWS[HTTP_REFUSAL_COUNT] = {
    [HTTP_ACCEPTED] = {200, "accepted", "accepted"},
#define X(name, status, label, text) [name] = {status, label, text},
    HTTP_REFUSALS(X)
#undef X
};

static const struct refusal_row *row_of(enum http_refusal refusal)
{
    BUG_ON((unsigned)refusal >= HTTP_REFUSAL_COUNT);
    return &ROWS[refusal];
}

int http_refusal_status(enum http_refusal refusal)
{
    return row_of(refusal)->status;
}

const char *http_refusal_label(enum http_refusal refusal)
{
    return row_of(refusal)->label;
}

const char *http_refusal_text(enum http_refusal refusal)
{
    return row_of(refusal)->text;
}
