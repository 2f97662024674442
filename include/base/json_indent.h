// SPDX-License-Identifier: Apache-2.0
// Compact JSON made readable, as fabio's ?pretty does. Pure; any thread.
#pragma once

#include "base/buf.h"
#include "base/str.h"

// Appends valid compact JSON with line feeds and 4 spaces per level.
void json_indent(struct buf *out, struct str compact);
