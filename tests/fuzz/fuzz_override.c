// SPDX-License-Identifier: Apache-2.0
// What comes with a request about overrides. The first byte chooses: the JSON body of a write, the
// query that names a document, the text that is to be checked.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/check.h"
#include "admin/manual_body.h"
#include "base/attr.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_body(struct str text)
{
    struct manual_body body;
    if (manual_body_read(&body, text)) {
        // A text that was cut at a NUL would be shorter than what was sent without a word.
        BUG_ON(strlen(body.value.ptr) != body.value.len || body.value.len > text.len);
        BUG_ON(!body.version.ptr);
    }
    manual_body_fini(&body);
}

static void try_path(struct str query)
{
    // Of an accepted head, which holds no such bytes.
    for (size_t i = 0; i < query.len; i++) {
        if ((uint8_t)query.ptr[i] <= ' ')
            return;
    }
    struct buf path;
    buf_init(&path, query.len + 1);
    if (manual_path_read(query, &path))
        BUG_ON(path.len > query.len || memchr(path.ptr ? path.ptr : "", '\0', path.len));
    buf_fini(&path);
}

static void try_check(struct str text)
{
    struct buf json;
    buf_init(&json, 8 << 20);
    check_write(&json, text);
    // JSON as a whole: nothing in it that would end a string early or is no text.
    for (size_t i = 0; buf_status(&json) == 0 && i < json.len; i++)
        BUG_ON((uint8_t)json.ptr[i] < ' ' && json.ptr[i] != '\n');
    buf_fini(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str text = str_make((const char *)data + 1, size - 1);
    switch (data[0] % 3) {
    case 0: try_body(text); break;
    case 1: try_path(text); break;
    default: try_check(text); break;
    }
    return 0;
}

extern const int fuzz_survives_shortage;
const int fuzz_survives_shortage = 1;
