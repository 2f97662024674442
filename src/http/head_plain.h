// SPDX-License-Identifier: Apache-2.0
// Reads field lines of the plain shape, which almost all heads have: name, colon, spaces, value,
// CRLF, no tab and nothing else that anybody reads in two ways. Called by head.c alone, for both
// directions; what is not plain is left to llhttp there, which also finds the reason. Pure.
#pragma once

#include "http/head.h"

// Fills in names and values of the fields from `at` on. Returns the first byte behind the empty
// line, or NULL: a line is not plain, there are more than fields_max, or the bytes end first.
const char *http_read_plain_fields(struct http_head *head, const char *at, const char *end,
                                   size_t fields_max);
