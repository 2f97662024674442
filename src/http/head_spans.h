// SPDX-License-Identifier: Apache-2.0
// Has llhttp read the field lines of a head and proves that its spans, and the separators between
// them, account for every byte of it: a fold, in whatever form, is a byte that belongs to no span.
// Called by head.c alone, with a start line that was accepted. Pure.
#pragma once

#include <stdbool.h>

#include "http/head.h"

// Fills in names and values and the head's length. HTTP_ACCEPTED, a refusal, or ERR_AGAIN when the
// head is not complete.
MUST_CHECK int http_read_any_fields(struct http_head *head, bool is_request, const char *bytes,
                                    size_t len, size_t line_len, size_t fields_max);
