// SPDX-License-Identifier: Apache-2.0
// Names of TLS versions and cipher suites as listeners give them (tlsmin, tlsmax, tlsciphers), to
// their numbers on the wire. Used by app/options, at start. Pure.
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

// "tls10" to "tls13", any case, or the number itself (0x0303). ERR_INVALID.
MUST_CHECK int tls_version_parse(struct str text, uint16_t *version, struct err *err);
// Comma list of names of Go's crypto/tls, any case, or numbers. ERR_INVALID.
MUST_CHECK int tls_ciphers_parse(struct str text, uint16_t *ciphers, unsigned max, unsigned *count,
                                 struct err *err);
