// SPDX-License-Identifier: Apache-2.0
// Why a message is refused. One row per rule; each has a metric label and a test. A refusal of a
// request is answered with its status and ends the connection; a refusal of a response is always
// 502 (RFC 9112 section 6.3, RFC 9110 section 15.6.3).
#pragma once

// name, status for a request, metric label, text for people
#define HTTP_REFUSALS(X)                                                                    \
    X(HTTP_BAD_SYNTAX, 400, "syntax", "malformed message")                                  \
    X(HTTP_BAD_METHOD, 400, "method", "malformed method")                                   \
    X(HTTP_UNKNOWN_METHOD, 501, "unknown_method", "method not implemented")                 \
    X(HTTP_METHOD_REFUSED, 405, "method_refused", "method not allowed")                     \
    X(HTTP_BAD_TARGET, 400, "target", "invalid request target")                             \
    X(HTTP_TARGET_TOO_LONG, 414, "target_too_long", "request target too long")              \
    X(HTTP_BAD_VERSION, 505, "version", "unsupported HTTP version")                         \
    X(HTTP_BAD_STATUS, 502, "status", "invalid status code")                                \
    X(HTTP_BAD_FIELD_NAME, 400, "field_name", "invalid field name")                         \
    X(HTTP_BAD_FIELD_VALUE, 400, "field_value", "invalid field value")                      \
    X(HTTP_FOLDED_FIELD, 400, "obs_fold", "folded field line")                              \
    X(HTTP_HEAD_TOO_LARGE, 431, "head_too_large", "head too large")                         \
    X(HTTP_TOO_MANY_FIELDS, 431, "too_many_fields", "too many fields")                      \
    X(HTTP_HOST_MISSING, 400, "host_missing", "missing required Host header")               \
    X(HTTP_HOST_REPEATED, 400, "host_repeated", "more than one Host header")                \
    X(HTTP_BAD_HOST, 400, "host", "invalid Host header")                                    \
    X(HTTP_BAD_LENGTH, 400, "content_length", "invalid Content-Length")                     \
    X(HTTP_LENGTH_REPEATED, 400, "content_length_repeated", "more than one Content-Length") \
    X(HTTP_LENGTH_AND_CODING, 400, "length_and_coding",                                     \
      "both Content-Length and Transfer-Encoding")                                          \
    X(HTTP_BAD_CODING, 400, "transfer_encoding", "invalid Transfer-Encoding")               \
    X(HTTP_UNKNOWN_CODING, 501, "unknown_coding", "transfer coding not implemented")        \
    X(HTTP_CODING_IN_1_0, 400, "coding_in_1_0", "Transfer-Encoding in HTTP/1.0")            \
    X(HTTP_BAD_UPGRADE, 400, "upgrade", "invalid upgrade")                                  \
    X(HTTP_BAD_EXPECT, 417, "expect", "unsupported expectation")                            \
    X(HTTP_BAD_CHUNK, 400, "chunk", "invalid chunk")                                        \
    X(HTTP_BAD_TRAILER, 400, "trailer", "invalid trailer")                                  \
    X(HTTP_SHADOWED_FIELD, 400, "shadowed_field", "field name imitates another with '_'")   \
    X(HTTP_BAD_CONTENT, 502, "content_coding", "body is not what its Content-Encoding says")

// HTTP_ACCEPTED is 0; refusals are positive, so that one int can also carry a negative err_code.
enum http_refusal {
    HTTP_ACCEPTED = 0,
#define X(name, status, label, text) name,
    HTTP_REFUSALS(X)
#undef X
        HTTP_REFUSAL_COUNT,
};

// The status to answer a refused request with.
int http_refusal_status(enum http_refusal refusal);
// Metric label and text; never NULL.
const char *http_refusal_label(enum http_refusal refusal);
const char *http_refusal_text(enum http_refusal refusal);
