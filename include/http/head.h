// SPDX-License-Identifier: Apache-2.0
// Parses one HTTP/1.x message head and decides its framing. This is the only place where framing is
// decided and where a message is refused for how it is written; everything behind it sees either a
// clean head or a refusal (RFC 9112; the project's rule: ambiguous means refused, never repaired).
//
// Called by the proxy for both directions, on a worker, with a complete or growing run of bytes.
// The spans in struct http_head point into the caller's bytes. Pure: no allocation, no state
// between calls; what is not plain llhttp (strict) reads, the rules it lacks are ours.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/refusal.h"

enum {
    HTTP_FIELDS_MAX = 128, // hard maximum of field lines in a head
    HTTP_NAME_MAX = 256,   // hard maximum of a field name, bytes
};

enum http_method {
    HTTP_METHOD_OTHER, // a token that llhttp knows and we have no rule for; forwarded as it came
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_PUT,
    HTTP_METHOD_DELETE,
    HTTP_METHOD_OPTIONS,
    HTTP_METHOD_PATCH,
};

// How the end of the body is found (RFC 9112 section 6.3).
enum http_framing {
    HTTP_BODY_NONE,    // no body at all
    HTTP_BODY_LENGTH,  // content_length bytes
    HTTP_BODY_CHUNKED, // chunked transfer coding
    HTTP_BODY_CLOSE,   // response only: until the connection closes
};

// Fields some rule looks at. Everything else is HTTP_FIELD_OTHER.
enum http_field_id {
    HTTP_FIELD_OTHER,
    HTTP_FIELD_HOST,
    HTTP_FIELD_CONNECTION,
    HTTP_FIELD_KEEP_ALIVE,
    HTTP_FIELD_PROXY_CONNECTION,
    HTTP_FIELD_PROXY_AUTHENTICATE,
    HTTP_FIELD_PROXY_AUTHORIZATION,
    HTTP_FIELD_TE,
    HTTP_FIELD_TRAILER,
    HTTP_FIELD_TRANSFER_ENCODING,
    HTTP_FIELD_UPGRADE,
    HTTP_FIELD_HTTP2_SETTINGS,
    HTTP_FIELD_CONTENT_LENGTH,
    HTTP_FIELD_CONTENT_TYPE,
    HTTP_FIELD_CONTENT_ENCODING,
    HTTP_FIELD_EXPECT,
    HTTP_FIELD_DATE,
    HTTP_FIELD_AUTHORIZATION,
    HTTP_FIELD_USER_AGENT,
    HTTP_FIELD_REFERER,
    HTTP_FIELD_ACCEPT,
    HTTP_FIELD_ACCEPT_ENCODING,
    HTTP_FIELD_RANGE,
    HTTP_FIELD_FORWARDED,
    HTTP_FIELD_X_FORWARDED_FOR,
    HTTP_FIELD_X_FORWARDED_PROTO,
    HTTP_FIELD_X_FORWARDED_PORT,
    HTTP_FIELD_X_FORWARDED_HOST,
    HTTP_FIELD_X_FORWARDED_PREFIX,
    HTTP_FIELD_X_FORWARDED_OTHER, // any other name that begins with X-Forwarded-
    HTTP_FIELD_X_REAL_IP,
    HTTP_FIELD_VIA,
    HTTP_FIELD_MAX_FORWARDS,
    HTTP_FIELD_LOCATION,
    HTTP_FIELD_STRICT_TRANSPORT_SECURITY,
    HTTP_FIELD_VARY,
    HTTP_FIELD_COUNT,
};

struct http_field {
    struct str name;       // as received
    struct str value;      // without surrounding white space
    enum http_field_id id; // by name, case-insensitive
    bool is_hop;           // hop-by-hop: of the fixed list or named in Connection; never forwarded
    bool has_plain_name;   // known to be of letters and '-' alone
};

struct http_head {
    // Request only.
    enum http_method method;
    struct str method_name; // as received
    struct str target;      // as received
    struct str path;        // origin-form path, begins with '/'; "*" for OPTIONS *; absolute-form
                            // without path gives "/", or "*" with OPTIONS and without query
    struct str query;       // behind the first '?', which is not part of it
    bool has_query;         // tells "/x?" from "/x"
    struct str host;        // authority that rules: absolute-form's, else Host; may be empty
    bool is_absolute_form;

    // Response only.
    uint16_t status;     // 100-599
    struct str reason;   // may be empty
    bool announces_body; // has none by rule (HEAD, 204, 304), but its fields speak of one, which
                         // some origins then send

    // Both.
    uint8_t minor_version; // 0 or 1
    enum http_framing framing;
    uint64_t content_length; // valid with HTTP_BODY_LENGTH; also set for HEAD and 304 answers that
                             // announce one (framing is then HTTP_BODY_NONE)
    bool has_content_length;
    bool is_keep_alive;    // persistence as this message's sender asks for it
    bool is_upgrade;       // websocket request (1.1, GET, no body) or 101, with Connection:
                           // upgrade and one Upgrade field
    struct str upgrade;    // value of the Upgrade field when is_upgrade
    bool expects_continue; // request: Expect: 100-continue (HTTP/1.1 only)
    bool accepts_trailers; // request: TE names trailers
    uint16_t glitches;     // request: what is legal but nothing a sound client does: empty lines in
                           // front, Connection options that name a protected field

    size_t head_len; // bytes of the head, through the empty line
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

// Maxima; larger messages are refused, not cut.
struct http_limits {
    size_t head_max;   // bytes of the whole head; above: 431 (or 414 while still in the target)
    size_t target_max; // bytes of the request target; above: 414
    size_t fields_max; // field lines, at most HTTP_FIELDS_MAX; above: 431
};

extern const struct http_limits HTTP_REQUEST_LIMITS;  // 32 KiB, 16 KiB, 128
extern const struct http_limits HTTP_RESPONSE_LIMITS; // 64 KiB, -, 128

// Parses a request head at the start of `bytes`. Up to two empty lines (CRLF) in front of it are
// skipped and counted in head_len (RFC 9112 section 2.2 lets a server ignore at least one).
// Returns HTTP_ACCEPTED, a positive http_refusal, or ERR_AGAIN when the head is not complete: call
// again with more bytes from the same start. (A caller saves work by waiting for the next LF.)
// CONNECT and TRACE are refused (405).
MUST_CHECK int http_parse_request(struct http_head *head, const char *bytes, size_t len,
                                  const struct http_limits *limits);

// Parses a response head. `request` is the method it answers, which decides whether a body follows
// (HEAD); 1xx, 204 and 304 never have one, whatever their fields say. A 101 is accepted here;
// whether it was asked for is the caller's check. Same return values; no skipping of empty lines.
MUST_CHECK int http_parse_response(struct http_head *head, const char *bytes, size_t len,
                                   const struct http_limits *limits, enum http_method request);

// First field with that id, or NULL.
const struct http_field *http_find(const struct http_head *head, enum http_field_id id);
// First field with that name (any case), or NULL.
const struct http_field *http_find_name(const struct http_head *head, struct str name);
// Whether the comma-separated list in `value` has the member `token` (any case, parameters
// ignored).
bool http_list_has(struct str value, struct str token);

// Whether the method is idempotent (RFC 9110 section 9.2.2), that is, may be replayed.
bool http_method_is_idempotent(const struct http_head *head);
