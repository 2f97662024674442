// SPDX-License-Identifier: Apache-2.0
// The MD5-based password hash of FreeBSD's crypt, which Apache took over under another prefix.
// libcrypt knows it under the first ("$1$") only. For auth/htpasswd.c. Pure.
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

enum { MD5_CRYPT_LEN = 22 };

// Writes the 22 characters behind the salt. prefix is "$1$" or "$apr1$". False when memory is
// short.
MUST_CHECK bool md5_crypt(struct str password, struct str prefix, struct str salt,
                          char out[MD5_CRYPT_LEN]);
