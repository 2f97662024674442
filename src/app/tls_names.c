// SPDX-License-Identifier: Apache-2.0
#include "app/tls_names.h"

#include "app/value.h"

struct named {
    const char *name;
    uint16_t number;
};

static const struct named VERSIONS[] = {
    {"tls10", 0x0301}, {"tls11", 0x0302}, {"tls12", 0x0303}, {"tls13", 0x0304}};

// The suites that Go's crypto/tls knows, with their numbers in IANA's registry.
static const struct named CIPHERS[] = {
    {"TLS_RSA_WITH_RC4_128_SHA", 0x0005},
    {"TLS_RSA_WITH_3DES_EDE_CBC_SHA", 0x000a},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", 0x002f},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", 0x0035},
    {"TLS_RSA_WITH_AES_128_CBC_SHA256", 0x003c},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", 0x009c},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", 0x009d},
    {"TLS_AES_128_GCM_SHA256", 0x1301},
    {"TLS_AES_256_GCM_SHA384", 0x1302},
    {"TLS_CHACHA20_POLY1305_SHA256", 0x1303},
    {"TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", 0xc007},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0xc009},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", 0xc00a},
    {"TLS_ECDHE_RSA_WITH_RC4_128_SHA", 0xc011},
    {"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", 0xc012},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", 0xc013},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", 0xc014},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", 0xc023},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", 0xc027},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xc02c},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xc02f},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xc030},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca8},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca9},
};

static bool parse(struct str text, const struct named *names, size_t count, uint16_t *number)
{
    text = str_trim(text);
    for (size_t i = 0; i < count; i++) {
        if (str_ieq(text, str_of(names[i].name))) {
            *number = names[i].number;
            return true;
        }
    }
    int64_t value;
    if (!value_to_int(text, &value) || value < 0 || value > UINT16_MAX)
        return false;
    *number = (uint16_t)value;
    return true;
}

int tls_version_parse(struct str text, uint16_t *version, struct err *err)
{
    if (parse(text, VERSIONS, ARRAY_LEN(VERSIONS), version))
        return 0;
    return err_set(err, ERR_INVALID,
                   "unknown TLS version \"%.*s\": must be tls10, tls11, tls12, tls13 or a number",
                   (int)MIN(text.len, 40), text.ptr);
}

int tls_ciphers_parse(struct str text, uint16_t *ciphers, unsigned max, unsigned *count,
                      struct err *err)
{
    *count = 0;
    if (!text.ptr)
        text = STR("");
    for (struct str name; str_split_next(&text, ',', &name);) {
        if (*count == max)
            return err_set(err, ERR_INVALID, "more than %u cipher suites", max);
        if (!parse(name, CIPHERS, ARRAY_LEN(CIPHERS), &ciphers[(*count)++]))
            return err_set(err, ERR_INVALID, "unknown cipher suite \"%.*s\"",
                           (int)MIN(name.len, 60), name.ptr);
    }
    return 0;
}
