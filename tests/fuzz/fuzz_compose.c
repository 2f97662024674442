// SPDX-License-Identifier: Apache-2.0
// Received head -> composed head -> parsed again: the same message, for requests and responses. The
// first two bytes of the input choose what the proxy knows of the exchange.
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "http/compose.h"
#include "http/target.h"
#include "http/verify.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static const struct http_compose_config CONFIG = {.local_ip = {"2001:db8::9", 11},
                                                  .client_ip_header = {"X-Cip", 5},
                                                  .tls_header = {"X-Tls", 5},
                                                  .tls_header_value = {"1", 1},
                                                  .request_id_header = {"X-Request-Id", 12}};

static char out[1 << 17];
static struct http_head head;

static void compose_request(uint8_t bits, const char *bytes, size_t size)
{
    static char normal_path[1 << 15];
    static char path[1 << 17];

    if (http_parse_request(&head, bytes, size, &HTTP_REQUEST_LIMITS) != HTTP_ACCEPTED)
        return;
    struct http_forward forward = {
        .client_ip = bits & 1 ? STR("2001:db8::7") : STR("192.0.2.7"),
        .is_peer_trusted = bits & 2,
        .is_tls = bits & 4,
        .is_websocket = head.is_upgrade,
        .path = head.path,
        .dst_query = bits & 8 ? STR("d=1") : STR_NULL,
        .host = head.host.len ? head.host : STR("up:80"),
        .asks_gzip = bits & 64 && !http_find(&head, HTTP_FIELD_ACCEPT_ENCODING),
        .strip = bits & 16 ? STR("/a") : STR_NULL,
        .request_id = STR("id"),
        .tls_details = bits & 4 ? STR("; tlsver=tls13; tlscipher=0x1301") : STR_NULL,
    };
    struct str scheme = http_client_scheme(&head, &forward);
    require(scheme.len > 0 && !memchr(scheme.ptr, '\r', scheme.len));
    struct str normal;
    if (http_normalise_path(head.path, normal_path, &normal) >= 0) {
        int len = http_rewrite_path(head.path, normal, forward.strip,
                                    bits & 32 ? STR("/p") : STR_NULL, path, sizeof(path));
        require(len > 0 && path[0] == '/');
        forward.path = str_make(path, (size_t)len);
    }
    int len = http_compose_request(&head, &forward, &CONFIG, out, sizeof(out));
    if (len == ERR_LIMIT && forward.is_peer_trusted && http_find(&head, HTTP_FIELD_FORWARDED))
        return; // too many hops
    require(len > 0);
    require(http_verify_request(&head, &forward, &CONFIG, out, (size_t)len));
}

static void compose_response(uint8_t bits, const char *bytes, size_t size)
{
    enum http_method method = bits & 1 ? HTTP_METHOD_HEAD : HTTP_METHOD_GET;

    if (http_parse_response(&head, bytes, size, &HTTP_RESPONSE_LIMITS, method) != HTTP_ACCEPTED)
        return;
    struct http_answer answer = {
        .client_minor = bits & 2 ? 0 : 1,
        .closes = bits & 4,
        .says_keep_alive = bits & 2,
        .framing = head.framing,
        .sts = bits & 8 ? STR("max-age=1") : STR_NULL,
        .date = bits & 16 ? STR("Sun, 06 Nov 1994 08:49:37 GMT") : STR_NULL,
    };
    // What the proxy makes of a body for the client's version.
    if (answer.framing == HTTP_BODY_CLOSE && answer.client_minor)
        answer.framing = HTTP_BODY_CHUNKED;
    if (answer.framing == HTTP_BODY_CHUNKED && !answer.client_minor)
        answer.framing = HTTP_BODY_CLOSE;
    answer.closes |= answer.framing == HTTP_BODY_CLOSE;
    int len = http_compose_response(&head, &answer, out, sizeof(out));
    require(len > 0);
    require(http_verify_response(&head, &answer, method, out, (size_t)len));
}

// An answer of our own is one that we would accept.
static void compose_error(uint8_t bits, int status)
{
    bool is_head = bits & 1;
    bool has_body = bits & 2;
    int len = http_compose_error(
        status, bits & 4, is_head, (bits & 8) != 0, STR("Sun, 06 Nov 1994 08:49:37 GMT"),
        bits & 16 ? STR("Retry-After: 1\r\n") : STR_NULL, has_body ? STR("text/plain") : STR_NULL,
        has_body ? STR("text") : STR_NULL, out, bits & 32 ? 8 : sizeof out);
    if (bits & 32) {
        require(len < 0);
        return;
    }
    enum http_method method = is_head ? HTTP_METHOD_HEAD : HTTP_METHOD_GET;
    require(http_parse_response(&head, out, (size_t)len, &HTTP_RESPONSE_LIMITS, method) ==
            HTTP_ACCEPTED);
    require(head.status == status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    compose_error(data[1], 200 + (int)(size % 400));
    for (int status = 200; size == 2 && status < 600; status++)
        compose_error(data[1], status); // every reason
    if (data[0] & 1)
        compose_response(data[1], (const char *)data + 2, size - 2);
    else
        compose_request(data[1], (const char *)data + 2, size - 2);
    return 0;
}
