// SPDX-License-Identifier: Apache-2.0
// A request head and, behind its empty line, the head of its response: whatever they say, what
// compressing or unpacking adds and takes away leaves a head that parses to the same message.
#include <stdint.h>
#include <stdlib.h>

#include "http/compose.h"
#include "http/verify.h"
#include "proxy/gzip_rules.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static void check_answer(struct http_head *head, enum gzip_change change, bool may_vary)
{
    static char out[1 << 17];
    char fields[GZIP_FIELDS_ROOM];
    struct str extra = gzip_fields(head, change, may_vary, fields);
    require(extra.len < GZIP_FIELDS_ROOM);
    struct http_answer answer = {.client_minor = 1, .framing = head->framing, .extra = extra};
    if (change != GZIP_AS_IS || head->framing == HTTP_BODY_CLOSE)
        answer.framing = HTTP_BODY_CHUNKED;
    int len = http_compose_response(head, &answer, out, sizeof out);
    require(len > 0);
    require(http_verify_response(head, &answer, HTTP_METHOD_GET, out, (size_t)len));
    static struct http_head sent;
    const struct http_limits limits = {sizeof out, 0, HTTP_FIELDS_MAX};
    if (http_parse_response(&sent, out, (size_t)len, &limits, HTTP_METHOD_GET) != HTTP_ACCEPTED)
        return; // more fields than are read
    require(!may_vary || http_find(&sent, HTTP_FIELD_VARY) != NULL);
    require(change != GZIP_UNPACKED || !http_find(&sent, HTTP_FIELD_CONTENT_ENCODING));
    require(change != GZIP_PACKED ||
            str_eq(http_find(&sent, HTTP_FIELD_CONTENT_ENCODING)->value, STR("gzip")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head request, response;
    const char *bytes = (const char *)data;
    if (http_parse_request(&request, bytes, size, &HTTP_REQUEST_LIMITS) != HTTP_ACCEPTED)
        return 0;
    bool is_accepted = gzip_is_accepted(&request);
    require(!is_accepted || http_find(&request, HTTP_FIELD_ACCEPT_ENCODING));
    int rc = http_parse_response(&response, bytes + request.head_len, size - request.head_len,
                                 &HTTP_RESPONSE_LIMITS, HTTP_METHOD_GET);
    if (rc != HTTP_ACCEPTED || response.status < 200)
        return 0;
    bool may_code = gzip_may_code(&response);
    bool must_unpack = gzip_must_unpack(&response);
    require(!must_unpack || !may_code);
    check_answer(&response, GZIP_AS_IS, true);
    if (is_accepted && may_code)
        check_answer(&response, GZIP_PACKED, true);
    if (gzip_may_ask(&request) && must_unpack)
        check_answer(&response, GZIP_UNPACKED, size & 1);
    return 0;
}
