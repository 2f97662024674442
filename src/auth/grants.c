// SPDX-License-Identifier: Apache-2.0
#include "auth/grants.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/mem.h"

enum { DIGEST_LEN = 32 };

struct grants {
    unsigned char key[DIGEST_LEN];
    unsigned char slots[GRANTS_MAX][DIGEST_LEN]; // all zero: free
};

struct grants *grants_new(void)
{
    struct grants *grants = mem_zalloc(sizeof *grants);
    if (grants && RAND_bytes(grants->key, sizeof grants->key) != 1) {
        mem_free(grants);
        return NULL;
    }
    return grants;
}

void grants_free(struct grants *grants)
{
    mem_free(grants);
}

static bool add_part(EVP_MD_CTX *md, struct str part)
{
    uint64_t len = part.len; // tells ("ab", "c") from ("a", "bc")
    return EVP_DigestUpdate(md, &len, sizeof len) == 1 &&
           EVP_DigestUpdate(md, part.ptr, part.len) == 1;
}

static bool digest(const struct grants *grants, const struct htpasswd *set, struct str user,
                   struct str password, unsigned char out[DIGEST_LEN])
{
    bool is_known;
    struct str secret = htpasswd_secret(set, user, &is_known);
    if (!is_known)
        return false;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool is_ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                 EVP_DigestUpdate(md, grants->key, sizeof grants->key) == 1 && add_part(md, user) &&
                 add_part(md, password) && add_part(md, secret) &&
                 EVP_DigestFinal_ex(md, out, NULL) == 1;
    EVP_MD_CTX_free(md);
    return is_ok;
}

static size_t slot_of(const unsigned char bytes[DIGEST_LEN])
{
    return (bytes[0] | (size_t)bytes[1] << 8) % GRANTS_MAX;
}

bool grants_has(const struct grants *grants, const struct htpasswd *set, struct str user,
                struct str password)
{
    unsigned char bytes[DIGEST_LEN];
    return digest(grants, set, user, password, bytes) &&
           CRYPTO_memcmp(grants->slots[slot_of(bytes)], bytes, DIGEST_LEN) == 0;
}

void grants_add(struct grants *grants, const struct htpasswd *set, struct str user,
                struct str password)
{
    unsigned char bytes[DIGEST_LEN];
    if (digest(grants, set, user, password, bytes))
        memcpy(grants->slots[slot_of(bytes)], bytes, DIGEST_LEN);
}
