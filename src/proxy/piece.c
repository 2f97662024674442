// SPDX-License-Identifier: Apache-2.0
#include "proxy/piece.h"

#include <stdio.h>
#include <string.h>

int piece_frame(char *data, size_t len, bool is_chunked, bool is_last, const struct buf *trailers,
                struct iovec *parts)
{
    static char END[] = "\r\n";
    int count = 0;
    char *start = data;
    char *end = data + len;
    if (is_chunked && len > 0) {
        char line[PIECE_ROOM];
        int line_len = snprintf(line, sizeof line, "%zx\r\n", len);
        start -= line_len;
        memcpy(start, line, (size_t)line_len);
        memcpy(end, "\r\n", 2);
        end += 2;
    }
    if (is_chunked && is_last) {
        memcpy(end, "0\r\n", 3);
        end += 3;
    }
    if (end > start)
        parts[count++] = (struct iovec){.iov_base = start, .iov_len = (size_t)(end - start)};
    if (!is_chunked || !is_last)
        return count;
    if (trailers && trailers->len)
        parts[count++] = (struct iovec){.iov_base = trailers->ptr, .iov_len = trailers->len};
    parts[count++] = (struct iovec){.iov_base = END, .iov_len = 2};
    return count;
}
