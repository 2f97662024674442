// SPDX-License-Identifier: Apache-2.0
// Request targets: the normalised path that routes are matched against, the rewritten path that is
// sent on, and redirect locations. Pure.
#pragma once

#include <stdbool.h>

#include "base/str.h"

// Writes the path used for matching into out (room for path.len + 1 bytes): percent-decoded ONCE,
// "//" collapsed, "." and ".." resolved and never above the root, a trailing slash kept. Returns
// its length, or a negative err_code: ERR_INVALID for a bad percent sequence. When `path` is
// already normal, *result is path itself and nothing is written; else *result is the text in out.
// See docs/routing.md, "Paths".
MUST_CHECK int http_normalise_path(struct str path, char *out, struct str *result);

// Composes the path sent upstream: `path` as received (raw bytes), minus `strip` if it starts with
// it (a prefix of bytes, no segment boundary), `prepend` in front, and a '/' at the start in any
// case. out has room for path.len + prepend.len + 1 bytes. Bytes that must not stand in a target
// (controls, space, '#', 0x7f-0xff) inside prepend are percent-encoded by whoever validated the
// option; here they are refused: ERR_INVALID. Returns the length. When the raw path does not begin
// with `strip` but its normalised form does (for example /%61bc with strip=/abc), the normalised,
// re-encoded path is used instead, so that strip cannot be evaded.
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
