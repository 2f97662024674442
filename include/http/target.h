// SPDX-License-Identifier: Apache-2.0
// Request targets: the normalised path that routes are matched against, the rewritten path that is
// sent on, and redirect locations. Pure.
#pragma once

#include <stdbool.h>

#include "base/str.h"

// Writes the path used for matching into out (room for path.len + 1 bytes): percent-decoded ONCE,
// "//" collapsed, "." and ".." resolved and never above the root, a trailing slash kept. Returns
// its length, or a negative err_code: ERR_INVALID for a bad percent sequence and for what origins
// read in different ways: NUL, backslash, overlong UTF-8, "..;x" and ";x" segments, %2F beside a
// dot segment,
// ".." behind an empty segment. When `path` is already normal, *result is path itself; else *result
// is the text in out. See docs/routing.md, "Paths".
MUST_CHECK int http_normalise_path(struct str path, char *out, struct str *result);

// Whether http_normalise_path gives such a path itself, so that no room for another is needed.
// False says nothing.
bool http_path_is_normal(struct str path);

// Composes the path sent upstream: `path` as received (raw bytes), minus `strip` if it starts with
// it (a prefix of bytes, no segment boundary), `prepend` in front, and a '/' at the start in any
// case. normal_path is what http_normalise_path made of it. The normal path, encoded again, takes
// the place of the raw one where the raw one could be read as a path that was not matched: when it
// has dot segments, and with strip or prepend also when it has empty segments or begins with
// `strip` only once decoded (/%61bc with strip=/abc). Room for 3 * path.len + prepend.len + 2 bytes
// is always enough; ERR_TOO_LARGE when it is not. Bytes that must not stand in a path (controls,
// space, '#', '?', 0x7f-0xff) inside prepend are percent-encoded by whoever validated the option;
// here they are refused: ERR_INVALID. Returns the length.
MUST_CHECK int http_rewrite_path(struct str path, struct str normal_path, struct str strip,
                                 struct str prepend, char *out, size_t room);

// Location of a redirect route: `dst` is the route's destination URL text with $path and $host;
// rules in docs/routing.md, "Redirects". host is the request's Host with port. Appends nothing
// else. Returns the length written to out, ERR_TOO_LARGE, or ERR_INVALID when the result would hold
// a control byte, space or an authority other than the configured one.
MUST_CHECK int http_redirect_location(struct str dst, struct str strip, struct str prepend,
                                      struct str host, struct str raw_path, struct str normal_path,
                                      bool has_query, struct str query, char *out, size_t room);

// Splits an authority "name[:port]", "[v6][:port]". port is empty when there is none. False when it
// is not a valid uri-host [":" port] (RFC 3986 section 3.2.2; no userinfo).
MUST_CHECK bool http_split_host(struct str authority, struct str *name, struct str *port);
