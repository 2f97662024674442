// SPDX-License-Identifier: Apache-2.0
#include "md5_crypt.h"

#include <openssl/evp.h>

enum { MD5_LEN = 16, ROUNDS = 1000 };

static bool start(EVP_MD_CTX *md5)
{
    return EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1;
}

static void add(EVP_MD_CTX *md5, struct str bytes)
{
    EVP_DigestUpdate(md5, bytes.ptr, bytes.len);
}

static void end(EVP_MD_CTX *md5, unsigned char digest[MD5_LEN])
{
    EVP_DigestFinal_ex(md5, digest, NULL);
}

// Six bits per character, the lowest first: not base64.
static void write_digest(const unsigned char digest[MD5_LEN], char out[MD5_CRYPT_LEN])
{
    static const char ALPHABET[] =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const unsigned char ORDER[5][3] = {
        {0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}};
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(ORDER); i++) {
        unsigned bits = (unsigned)digest[ORDER[i][0]] << 16 | (unsigned)digest[ORDER[i][1]] << 8 |
                        digest[ORDER[i][2]];
        for (int k = 0; k < 4; k++, bits >>= 6)
            out[at++] = ALPHABET[bits & 0x3f];
    }
    out[at++] = ALPHABET[digest[11] & 0x3f];
    out[at] = ALPHABET[digest[11] >> 6];
}

bool md5_crypt(struct str password, struct str prefix, struct str salt, char out[MD5_CRYPT_LEN])
{
    unsigned char digest[MD5_LEN];
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    if (!md5 || !start(md5)) { // a library without MD5 knows no such password
        EVP_MD_CTX_free(md5);
        return false;
    }
    struct str last = str_make((const char *)digest, sizeof digest);
    add(md5, password);
    add(md5, salt);
    add(md5, password);
    end(md5, digest);

    start(md5);
    add(md5, password);
    add(md5, prefix);
    add(md5, salt);
    for (size_t left = password.len; left > 0; left -= MIN(left, (size_t)MD5_LEN))
        add(md5, str_upto(last, left));
    for (size_t i = password.len; i > 0; i >>= 1)
        add(md5, i & 1 ? STR("\0") : str_upto(password, 1));
    end(md5, digest);

    for (int i = 0; i < ROUNDS; i++) {
        start(md5);
        add(md5, i & 1 ? password : last);
        if (i % 3)
            add(md5, salt);
        if (i % 7)
            add(md5, password);
        add(md5, i & 1 ? last : password);
        end(md5, digest);
    }
    EVP_MD_CTX_free(md5);
    write_digest(digest, out);
    return true;
}
