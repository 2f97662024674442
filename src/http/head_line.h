// SPDX-License-Identifier: Apache-2.0
// Reads the start line of a head, so that every fault in it has its own reason and the versions,
// spaces and methods that llhttp lets through are refused. Called by head.c alone, first of all.
// Pure.
#pragma once

#include "http/head.h"

// Each returns HTTP_ACCEPTED with *line_len bytes through the CRLF, a refusal, or ERR_AGAIN when
// the bytes end first.
MUST_CHECK int http_read_request_line(struct http_head *head, const char *bytes, size_t len,
                                      size_t target_max, size_t *line_len);
MUST_CHECK int http_read_status_line(struct http_head *head, const char *bytes, size_t len,
                                     size_t *line_len);
