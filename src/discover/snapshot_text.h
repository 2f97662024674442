// SPDX-License-Identifier: Apache-2.0
// The routes that a registry said last as a text that outlives the process: definitions by service,
// manual commands and the page for requests without a route. For people to read, one thing a line;
// sealed by a checksum, so that a file that was cut or changed is refused as a whole. Used by
// snapshot.c and, for what is in it, by backends that restore. Pure; printing may happen on any
// thread as long as nobody else uses the snapshot.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "discover/defs.h"

enum { SNAPSHOT_TEXT_MAX = 256 * 1024 * 1024 };

struct snapshot_service {
    char *key; // owned
    struct def_list defs;
};

struct snapshot {
    uint64_t saved_us;                 // wall clock
    struct snapshot_service *services; // owned
    size_t count, cap;
    struct buf manual; // commands as text; empty: none
    struct buf page;   // empty: none
};

void snapshot_init(struct snapshot *snapshot);
void snapshot_fini(struct snapshot *snapshot);
// The new service's definitions, empty, until the next call; NULL when memory is short.
MUST_CHECK struct def_list *snapshot_add_service(struct snapshot *snapshot, struct str key);

// Prints it, services in the order of their names, and seals the text. from: the registry it comes
// from. Failures are remembered by the buffer.
void snapshot_print(struct snapshot *snapshot, struct str from, struct buf *out);
// Appends the last line, which covers all before it. For the tests that make texts of their own.
void snapshot_seal(struct buf *text);

// Reads a sealed text, which is changed on the way; from: the registry it must come from. 0 and a
// snapshot to be finished by the caller, or a negative code, a reason for people, and none.
MUST_CHECK int snapshot_parse(struct buf *text, struct str from, struct snapshot *snapshot,
                              struct err *err);
