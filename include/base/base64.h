// SPDX-License-Identifier: Apache-2.0
// Base64 with the standard alphabet and padding (RFC 4648 section 4). Pure; any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

// Room that text of so many characters may need.
#define BASE64_ROOM(chars) ((chars) / 4 * 3)

// Decodes all of text to out, which holds BASE64_ROOM(text.len) bytes, and sets *len. False when it
// is anything but padded base64, white space included.
MUST_CHECK bool base64_decode(struct str text, char *out, size_t *len);
