// SPDX-License-Identifier: Apache-2.0
// Parts of metric names made of texts from outside (names of services, hosts, paths). Nothing that
// comes out of here can end a line or a field of any metrics protocol. Pure; appends to a buf.
#pragma once

#include "base/buf.h"
#include "base/str.h"

// fabio's clean: lower case, '_' for '.' and ':' and for nothing at all.
void metric_clean(struct buf *out, struct str text);
// Ours: one node of a dotted name, [a-z0-9_-] only, '_' for everything else and for nothing at all.
void metric_tidy(struct buf *out, struct str text);
// The text as it is but for bytes that would break the line: '_' for those in `breaking`, for
// blanks and for control bytes.
void metric_escape(struct buf *out, struct str text, const char *breaking);
// A Prometheus name: '_' for every byte that it cannot have.
void metric_prometheus(struct buf *out, struct str text);
