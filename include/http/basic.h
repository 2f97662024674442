// SPDX-License-Identifier: Apache-2.0
// The credentials of HTTP Basic authentication (RFC 7617) as they stand in an Authorization field.
// Pure; any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum { HTTP_BASIC_MAX = 1024 }; // of user and password together; longer ones are not credentials

// Takes apart "Basic <base64 of user:password>"; both lie in room. False when it is anything else.
bool http_basic_parse(struct str authorization, char room[HTTP_BASIC_MAX], struct str *user,
                      struct str *password);
