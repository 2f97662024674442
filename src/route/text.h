// SPDX-License-Identifier: Apache-2.0
// Small readers shared by tags, commands and definitions: fields at Unicode white space, weights,
// and which bytes may stand where. Private to the route layer; control thread; pure.
#pragma once

#include <stdbool.h>

#include "base/str.h"

// Next run of bytes without white space, in Unicode's sense as in fabio; false when none is left.
bool text_field_next(struct str *rest, struct str *field);
// Without leading and trailing Unicode white space.
struct str text_trim(struct str s);

// Whether s has a byte <= 0x20 or 0x7f: what would break a line of commands or a header.
bool text_has_control(struct str s);
// Whether s has any byte that may not stand in a request target as it is (RFC 9112 section 3.2
// allows visible ASCII; '#' would begin a fragment).
bool text_breaks_target(struct str s);
// Whether s is a name or an address (IPv6 without brackets and zone) that can be sent as Host.
bool text_is_host(struct str s);
// The same for "host[:port]", IPv6 in brackets.
bool text_is_authority(struct str s);

// A decimal weight with exponent, as Go reads it. False when it is not a number, not finite or
// beyond 1e9. NaN is read as 0, which fabio treats alike.
MUST_CHECK bool text_to_weight(struct str s, double *weight);
