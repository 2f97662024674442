# SPDX-License-Identifier: Apache-2.0
"""Holes that others have, or had, and the rows of the tables that show that we do not: test_parity.py plays them,
docs/security.md lists them."""

HOLES = {
    # nginx 1.22
    "nginx: any status is relayed": ["status_line:099", "status_line:000", "status_line:600"],
    "nginx: garbage is an HTTP/0.9 answer": ["status_line:http-0.9", "status_line:html", "status_line:tls-alert"],
    "nginx: a wrong length of an answer is believed": ["response_framing:length-twice-differ", "response_framing:length-minus"],
    "nginx: an answer with chunked, chunked is believed": ["response_framing:coding-chunked-twice"],
    "nginx: a 101 nobody asked for opens a tunnel": ["upgrade:unasked-101", "upgrade:bare-101"],
    "nginx: a 103 ends the answer": ["response_fields:103", "faults:closes-behind-103"],
    "nginx: fields that Connection names go on": ["connection:names-one", "connection:names-two"],
    "nginx: Host may be nearly anything": ["host:slash", "host:userinfo", "host:port-letters", "host:angle"],
    "nginx: a fragment is forwarded": ["request_line:fragment"],
    # HAProxy 2.6
    "haproxy: no Host is needed": ["host:missing"],
    "haproxy: Host may be nearly anything": ["host:query", "host:open-bracket", "host:two-ports"],
    "haproxy: NUL in values": ["fields:nul-in-value", "response_fields:nul-in-value"],
    "haproxy: any version": ["request_line:version-2.0", "request_line:version-9.9"],
    "haproxy: chunked and a comma": ["coding:comma-behind", "response_framing:coding-comma-behind"],
    "haproxy: Content-Length as a trailer": ["trailers:never-content-length"],
    "haproxy: CONNECT opens a tunnel": ["request_line:connect", "request_line:connect-path"],
    "haproxy: chunks for HTTP/1.0": ["response_bodies:chunked-to-1.0"],
    "haproxy: hop-by-hop fields go on": ["connection:hop-keep-alive", "connection:hop-proxy-authorization"],
    # fabio 1.7.3
    "fabio: a connection with length and coding lives on": ["length:and-coding", "length:behind-coding"],
    "fabio: a body in chunks of HTTP/1.0 becomes a request": ["coding:in-1.0", "coding:in-1.0-keep-alive"],
    "fabio: paths are decoded twice": ["request_line:double-escape", "options:strip-keeps-double-escape"],
    "fabio: strip, prepend and redirect decode a slash": [
        "options:strip-keeps-escaped-slash", "options:prepend-keeps-escaped-slash", "options:redirect-keeps-escaped-slash"],
    "fabio: h2c goes on": ["upgrade:h2c", "upgrade:101-for-h2c-that-was-stripped"],
    "fabio: CONNECT goes on": ["request_line:connect"],
    "fabio: what a client says of gzip is overridden": ["request_line:accept-encoding-stays", "response_bodies:gzip-as-it-comes"],
    # Pingora, Traefik, nghttpx
    "CVE-2026-2833: a tunnel before the 101": ["upgrade:declined", "upgrade:declined-with-error"],
    "CVE-2026-2835: a coding in a list or in HTTP/1.0": ["coding:gzip-chunked", "coding:in-1.0-with-length"],
    "CVE-2026-58055: an upgrade with a body": ["upgrade:websocket-with-length", "upgrade:websocket-with-chunks"],
    "CVE-2024-45410: Connection deletes X-Forwarded": ["connection:nominates-x-forwarded-for", "spoofing:x-forwarded-for-nominated"],
    "CONNECT's body becomes a request": ["request_line:connect-with-body"],
    "CVE-2021-32813: Connection deletes what the proxy sets": ["connection:nominates-x-real-ip", "connection:nominates-forwarded"],
    # What the HTTP Garden found in proxies
    "garden: an empty length, or one in hexadecimal": ["length:empty", "length:blank", "length:hex"],
    "garden: a chunk's size as far as it can be read": ["chunks:size-0x", "chunks:size-letters", "chunks:size-underscore", "chunks:size-plus"],
    "chunks: an extension that goes on behind its line": ["chunks:extension-hides-chunk-by-lf", "chunks:extension-hides-chunk-by-quotes"],
    "garden: a chunk's size too large to hold": ["chunks:size-2^64+1", "chunks:size-17-digits"],
    "garden: CR or NUL in values": ["fields:cr-in-value", "fields:nul-in-value"],
    "garden: LF ends a line": ["fields:lf-ends-field", "request_line:all-lines-end-lf", "chunks:line-ends-lf", "chunks:end-is-lf"],
    "garden: a line without a colon": ["fields:no-colon", "fields:no-colon-last"],
    "garden: a length beside an unknown coding": ["length:and-unknown-coding"],
    "garden: two codings": ["coding:two-lines", "coding:chunked-twice"],
    "garden: a comma and chunked": ["coding:comma-before", "coding:commas"],
    "garden: more CRLF than there should be": ["chunks:data-ends-twice", "request_line:three-empty-lines-first"],
    # How HTTP Request Smuggler hides a field
    "smuggler: a space or tab before the colon": ["fields:space-before-colon", "length:tab-before-colon", "coding:space-before-colon"],
    "smuggler: a fold": ["fields:fold", "length:folded-number", "coding:folded"],
    "smuggler: a blank before the first field": ["fields:fold-before-first-field", "fields:host-behind-blank"],
    "smuggler: Connection names a field of framing": ["connection:nominates-content-length", "connection:nominates-transfer-encoding",
                                                      "connection:nominates-host"],
    "smuggler: an underscore for a hyphen": ["length:shadow-underscore", "coding:shadow-underscore"],
    "smuggler: LF or CR hides a field": ["fields:lf-hides-length", "fields:cr-hides-coding", "fields:cr-hides-host"],
    "smuggler: Expect hides a body": ["expect:without-waiting", "expect:behind-a-bad-length", "expect:with-a-letter-more"],
    "smuggler: a request in a body": ["length:body-is-a-request", "sequence:get-with-hidden-request", "sequence:head-with-body"],
}
