// SPDX-License-Identifier: Apache-2.0
// The snapshot's reader: as it comes, and sealed, so that what lies behind the checksum is reached
// too. What is accepted must survive being written and read again.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "discover/snapshot_text.h"

#define FROM STR("fuzz")

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static int parse(struct str text, bool is_sealed_here, struct snapshot *snapshot)
{
    struct buf copy;
    struct err err = {0};
    buf_init(&copy, SNAPSHOT_TEXT_MAX);
    buf_append_str(&copy, text);
    if (is_sealed_here)
        snapshot_seal(&copy);
    require(buf_status(&copy) == 0);
    int status = snapshot_parse(&copy, FROM, snapshot, &err);
    require(status == 0 || (err.code == status && err.text[0] && snapshot->count == 0));
    buf_fini(&copy);
    return status;
}

static void print(struct snapshot *snapshot, struct buf *out)
{
    buf_init(out, SNAPSHOT_TEXT_MAX);
    snapshot_print(snapshot, FROM, out);
    require(buf_status(out) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    struct snapshot snapshot, again;
    if (parse(text, false, &snapshot) == 0)
        snapshot_fini(&snapshot);
    if (parse(text, true, &snapshot) < 0)
        return 0;
    struct buf once, twice;
    print(&snapshot, &once);
    require(parse(buf_str(&once), false, &again) == 0);
    print(&again, &twice);
    // Two services of one name have no order of their own.
    require(once.len == twice.len && again.count == snapshot.count);
    buf_fini(&once);
    buf_fini(&twice);
    snapshot_fini(&snapshot);
    snapshot_fini(&again);
    return 0;
}
