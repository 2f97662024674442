// SPDX-License-Identifier: Apache-2.0
// Response heads; the first byte of the input chooses the method they answer.
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "http/head.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static void check_accepted(const struct http_head *head, const char *bytes, size_t len,
                           enum http_method method)
{
    size_t lines = 0;

    require(head->head_len <= len && head->status >= 100 && head->status <= 599);
    for (size_t i = 0; i < head->head_len; i++) {
        uint8_t c = (uint8_t)bytes[i];
        require(c >= 0x20 ? c != 0x7f : c == '\t' || c == '\r' || c == '\n');
        require(c != '\r' || bytes[i + 1] == '\n');
        require(c != '\n' || bytes[i - 1] == '\r');
        lines += c == '\n';
    }
    require(lines == head->field_count + 2);

    unsigned lengths = 0;
    unsigned codings = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        lengths += str_ieq(head->fields[i].name, STR("content-length"));
        codings += str_ieq(head->fields[i].name, STR("transfer-encoding"));
    }
    require(lengths + codings <= 1);
    bool is_bare = head->status < 200 || head->status == 204 || head->status == 304 ||
                   method == HTTP_METHOD_HEAD;
    require((head->framing == HTTP_BODY_NONE) == is_bare);
    if (!is_bare) {
        require((head->framing == HTTP_BODY_LENGTH) == (lengths == 1));
        require((head->framing == HTTP_BODY_CHUNKED) == (codings == 1));
    }
    require(head->framing != HTTP_BODY_CLOSE || !head->is_keep_alive);
    require(!head->is_upgrade || head->status == 101);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_limits limits = {2048, 0, 40};
    static struct http_head head;

    if (size == 0)
        return 0;
    enum http_method method = data[0] == 'H' ? HTTP_METHOD_HEAD : HTTP_METHOD_GET;
    const char *bytes = (const char *)data + 1;
    size--;
    int whole = http_parse_response(&head, bytes, size, &limits, method);
    require(whole == ERR_AGAIN || (whole >= 0 && whole < HTTP_REFUSAL_COUNT));
    if (whole == HTTP_ACCEPTED)
        check_accepted(&head, bytes, size, method);
    size_t head_len = whole == HTTP_ACCEPTED ? head.head_len : size;
    for (size_t i = 0; i < 4 && head_len > 0; i++) {
        size_t part = (i * 2654435761u + size * 31) % head_len;
        int rc = http_parse_response(&head, bytes, part, &limits, method);
        require(rc == ERR_AGAIN || (rc == whole && rc != HTTP_ACCEPTED));
    }
    return 0;
}
