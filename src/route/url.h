// SPDX-License-Identifier: Apache-2.0
// Takes a destination URL apart, with the same idea of what is a URL as fabio (Go's net/url), so
// that both accept and refuse the same destinations. Private to the route layer; pure.
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct url {
    struct str scheme; // as written; empty when relative
    struct str host;   // "name[:port]" or "[v6][:port]" as written, without user information
    struct str name;   // without brackets and port
    uint16_t port;     // 0: none
    struct str path;   // as written; empty when the URL is opaque ("localhost:5000")
    struct str query;  // without '?'
};

// The spans of *url point into text. 0, or ERR_INVALID with a reason.
MUST_CHECK int url_parse(struct str text, struct url *url, struct err *err);

// How net/url prints what it parsed, which is how fabio shows and compares destinations: the scheme
// in lower case, in host and path what may not stand there escaped, an empty fragment left out.
// Writes at most 3 * text.len bytes to out, without terminator, and returns how many.
size_t url_print(struct str text, const struct url *url, char *out);
