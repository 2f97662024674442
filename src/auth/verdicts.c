// SPDX-License-Identifier: Apache-2.0
#include "auth/verdicts.h"

#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

enum { WAYS = 4, RIGHT_BUCKETS = 128, WRONG_BUCKETS = 32 };

// Of one bucket the entry that was written longest ago gives way.
struct bucket {
    uint8_t keys[WAYS][VERDICT_KEY_LEN];
    uint8_t used; // entries in use
    uint8_t next; // to be overwritten
};

struct verdicts {
    uint8_t random[VERDICT_KEY_LEN];
    EVP_MD_CTX *digest; // owned
    struct bucket right[RIGHT_BUCKETS];
    struct bucket wrong[WRONG_BUCKETS];
};

struct verdicts *verdicts_new(void)
{
    struct verdicts *verdicts = mem_zalloc(sizeof *verdicts);
    if (!verdicts)
        return NULL;
    verdicts->digest = EVP_MD_CTX_new();
    if (!verdicts->digest || getrandom(verdicts->random, sizeof verdicts->random, 0) !=
                                 (ssize_t)sizeof verdicts->random) {
        verdicts_free(verdicts);
        return NULL;
    }
    return verdicts;
}

void verdicts_free(struct verdicts *verdicts)
{
    if (!verdicts)
        return;
    EVP_MD_CTX_free(verdicts->digest);
    mem_free(verdicts);
}

bool verdicts_key(struct verdicts *verdicts, const struct htpasswd *set, struct str user,
                  struct str password, uint8_t key[VERDICT_KEY_LEN])
{
    bool is_known;
    struct str secret = htpasswd_secret(set, user, &is_known);
    // Lengths in front, so that no two questions are the same bytes.
    const uint64_t lengths[] = {is_known, secret.len, user.len};
    EVP_MD_CTX *digest = verdicts->digest;
    return EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
           EVP_DigestUpdate(digest, verdicts->random, sizeof verdicts->random) == 1 &&
           EVP_DigestUpdate(digest, lengths, sizeof lengths) == 1 &&
           EVP_DigestUpdate(digest, secret.ptr, secret.len) == 1 &&
           EVP_DigestUpdate(digest, user.ptr, user.len) == 1 &&
           EVP_DigestUpdate(digest, password.ptr, password.len) == 1 &&
           EVP_DigestFinal_ex(digest, key, NULL) == 1;
}

static bool has_key(const struct bucket *bucket, const uint8_t key[VERDICT_KEY_LEN])
{
    for (unsigned i = 0; i < bucket->used; i++) {
        if (memcmp(bucket->keys[i], key, VERDICT_KEY_LEN) == 0)
            return true;
    }
    return false;
}

enum verdict verdicts_get(const struct verdicts *verdicts, const uint8_t key[VERDICT_KEY_LEN])
{
    if (has_key(&verdicts->right[key[0] % RIGHT_BUCKETS], key))
        return VERDICT_RIGHT;
    return has_key(&verdicts->wrong[key[0] % WRONG_BUCKETS], key) ? VERDICT_WRONG : VERDICT_UNKNOWN;
}

void verdicts_put(struct verdicts *verdicts, const uint8_t key[VERDICT_KEY_LEN], bool is_right)
{
    struct bucket *bucket = is_right ? &verdicts->right[key[0] % RIGHT_BUCKETS]
                                     : &verdicts->wrong[key[0] % WRONG_BUCKETS];
    if (has_key(bucket, key))
        return;
    memcpy(bucket->keys[bucket->next], key, VERDICT_KEY_LEN);
    bucket->next = (uint8_t)((bucket->next + 1) % WAYS);
    bucket->used = MIN((uint8_t)(bucket->used + 1), (uint8_t)WAYS);
}
