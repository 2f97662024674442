// SPDX-License-Identifier: Apache-2.0
#include "auth/htpasswd.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "md5_crypt.h"

enum { SHA1_LEN = 20, SSHA_MAX = 256, BCRYPT_HASH_LEN = 31, BCRYPT_LEN = 60 };

enum scheme {
    SCHEME_PLAIN, // the fast ones come first
    SCHEME_SHA,
    SCHEME_SSHA,
    SCHEME_MD5,
    SCHEME_SHA_CRYPT,
    SCHEME_BCRYPT,
};

struct user {
    struct str name;   // both lie in the set's text
    struct str secret; // terminated
    enum scheme scheme;
};

struct htpasswd {
    atomic_uint refs;
    char *text;         // owned copy of the file, lines cut into strings
    struct user *users; // owned
    struct map by_name; // to users
    // Checked in place of a user that is unknown: the slowest of all. NULL: there are no users.
    const struct user *decoy;
};

static bool has_same_bytes(struct str a, struct str b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

// --- what a line says ---

static const char *check_sha(struct str encoded, bool is_salted)
{
    char bytes[SSHA_MAX];
    size_t len;
    if (BASE64_ROOM(encoded.len) > sizeof bytes || !base64_decode(encoded, bytes, &len) ||
        (is_salted ? len < SHA1_LEN : len != SHA1_LEN))
        return is_salted ? "malformed {SSHA} password" : "malformed {SHA} password";
    return NULL;
}

static const char *check_bcrypt(struct str secret)
{
    uint64_t cost;
    if (secret.len != BCRYPT_LEN || secret.ptr[6] != '$' ||
        !str_to_u64(str_make(secret.ptr + 4, 2), &cost) ||
        crypt_checksalt(secret.ptr) == CRYPT_SALT_INVALID)
        return "malformed bcrypt password";
    return cost > HTPASSWD_BCRYPT_COST_MAX ? "bcrypt password with a cost above 16" : NULL;
}

static const char *check_sha_crypt(struct str secret)
{
    struct str rest = str_from(secret, 3);
    uint64_t rounds;
    if (str_starts_with(rest, STR("rounds="))) {
        rest = str_from(rest, 7);
        ptrdiff_t end = str_find_char(rest, '$');
        if (end < 0 || !str_to_u64(str_upto(rest, (size_t)end), &rounds))
            return "malformed SHA crypt password";
        if (rounds > HTPASSWD_SHA_ROUNDS_MAX)
            return "SHA crypt password with more than 10000000 rounds";
        rest = str_from(rest, (size_t)end + 1);
    }
    if (str_find_char(rest, '$') < 0 || crypt_checksalt(secret.ptr) == CRYPT_SALT_INVALID)
        return "malformed SHA crypt password";
    return NULL;
}

// The scheme of the user's secret, or what is wrong with it.
static const char *classify(struct user *user)
{
    struct str secret = user->secret;
    user->scheme = SCHEME_PLAIN;
    if (str_starts_with(secret, STR("$apr1$")) || str_starts_with(secret, STR("$1$"))) {
        user->scheme = SCHEME_MD5;
        struct str rest = str_from(secret, secret.ptr[1] == '1' ? 3 : 6);
        return str_find_char(rest, '$') < 0 ? "malformed MD5 password" : NULL;
    }
    if (str_starts_with(secret, STR("{SHA}"))) {
        user->scheme = SCHEME_SHA;
        return check_sha(str_from(secret, 5), false);
    }
    if (str_starts_with(secret, STR("{SSHA}"))) {
        user->scheme = SCHEME_SSHA;
        return check_sha(str_from(secret, 6), true);
    }
    if (secret.len > 4 && str_starts_with(secret, STR("$2")) && secret.ptr[3] == '$' &&
        memchr("abxy", secret.ptr[2], 4)) {
        user->scheme = SCHEME_BCRYPT;
        return check_bcrypt(secret);
    }
    if (str_starts_with(secret, STR("$5$")) || str_starts_with(secret, STR("$6$"))) {
        user->scheme = SCHEME_SHA_CRYPT;
        return check_sha_crypt(secret);
    }
    return NULL;
}

// True when the line names a user.
static bool read_line(char *line, size_t len, struct user *user, const char **problem)
{
    struct str text = str_trim(str_make(line, len));
    *problem = NULL;
    if (text.len == 0 || text.ptr[0] == '#')
        return false;
    ptrdiff_t colon = str_find_char(text, ':');
    if (colon < 0) {
        *problem = "no colon between user and password";
        return false;
    }
    if (str_find_char(text, '\0') >= 0) {
        *problem = "a NUL byte";
        return false;
    }
    user->name = str_upto(text, (size_t)colon);
    user->secret = str_from(text, (size_t)colon + 1);
    // The line's own end, or the terminator of the text: both are the set's.
    ((char *)user->secret.ptr)[user->secret.len] = '\0';
    *problem = classify(user);
    return *problem == NULL;
}

static size_t count_lines(struct str text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    return count;
}

struct htpasswd *htpasswd_parse(struct str text, htpasswd_bad_line_fn on_bad_line, void *ctx)
{
    struct htpasswd *set = mem_zalloc(sizeof *set);
    if (!set)
        return NULL;
    atomic_init(&set->refs, 1);
    map_init(&set->by_name);
    set->text = str_dup(text);
    set->users = mem_zalloc_array(count_lines(text), sizeof set->users[0]);
    if (!set->text || !set->users)
        goto fail;
    size_t count = 0;
    uint32_t number = 0;
    for (char *line = set->text, *end = set->text + text.len; line < end;) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t len = (size_t)((newline ? newline : end) - line);
        struct user *user = &set->users[count];
        const char *problem;
        number++;
        if (read_line(line, len, user, &problem)) {
            count++;
            if (map_put(&set->by_name, user->name, user) != 0)
                goto fail;
            if (!set->decoy || user->scheme > set->decoy->scheme)
                set->decoy = user;
        } else if (problem && on_bad_line) {
            on_bad_line(ctx, number, problem);
        }
        line += len + 1;
    }
    return set;

fail:
    htpasswd_unref(set);
    return NULL;
}

struct htpasswd *htpasswd_load(const char *path, htpasswd_bad_line_fn on_bad_line, void *ctx,
                               struct err *err)
{
    struct htpasswd *set = NULL;
    struct buf content;
    buf_init(&content, HTPASSWD_FILE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    ssize_t got = 0;
    int status;
    while ((status = buf_reserve(&content, 64 << 10)) == 0 &&
           (got = read(fd, content.ptr + content.len, 64 << 10)) > 0)
        content.len += (size_t)got;
    if (status == 0 && got < 0)
        status = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    else if (status == 0 && !(set = htpasswd_parse(buf_str(&content), on_bad_line, ctx)))
        status = ERR_NOMEM;
    if (status == ERR_NOMEM || status == ERR_TOO_LARGE)
        err_set(err, status, "%s: %s", path, err_text(status));
    close(fd);
    buf_fini(&content);
    return set;
}

struct htpasswd *htpasswd_ref(struct htpasswd *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void htpasswd_unref(struct htpasswd *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    map_fini(&set->by_name);
    mem_free(set->text);
    mem_free(set->users);
    mem_free(set);
}

size_t htpasswd_count(const struct htpasswd *set)
{
    return set->by_name.count;
}

// --- the check ---

static bool matches_sha(struct str encoded, struct str password)
{
    char stored[SSHA_MAX];
    unsigned char digest[SHA1_LEN];
    size_t len;
    EVP_MD_CTX *sha1 = EVP_MD_CTX_new();
    bool is_right = false;
    if (sha1 && base64_decode(encoded, stored, &len) &&
        EVP_DigestInit_ex(sha1, EVP_sha1(), NULL) == 1) {
        EVP_DigestUpdate(sha1, password.ptr, password.len);
        EVP_DigestUpdate(sha1, stored + SHA1_LEN, len - SHA1_LEN); // the salt, if any
        EVP_DigestFinal_ex(sha1, digest, NULL);
        is_right = CRYPTO_memcmp(digest, stored, SHA1_LEN) == 0;
    }
    EVP_MD_CTX_free(sha1);
    return is_right;
}

static bool matches_md5(struct str secret, struct str password)
{
    struct str prefix = str_upto(secret, secret.ptr[1] == '1' ? 3 : 6);
    struct str rest = str_from(secret, prefix.len);
    ptrdiff_t end = str_find_char(rest, '$');
    char hash[MD5_CRYPT_LEN];
    return md5_crypt(password, prefix, str_upto(rest, (size_t)end), hash) &&
           has_same_bytes(str_make(hash, sizeof hash), str_from(rest, (size_t)end + 1));
}

// Salt and cost may come back written in another way: only the hash at the end is compared.
static struct str hash_of(struct str secret, enum scheme scheme)
{
    if (scheme == SCHEME_BCRYPT)
        return str_from(secret, secret.len - MIN(secret.len, (size_t)BCRYPT_HASH_LEN));
    return str_from(secret, (size_t)(str_rfind_char(secret, '$') + 1));
}

static bool matches_crypt(const struct user *user, struct str password)
{
    if (str_find_char(password, '\0') >= 0)
        return false; // libcrypt would see less of it than was given
    char *phrase = str_dup(password);
    struct crypt_data *data = mem_zalloc(sizeof *data);
    bool is_right = false;
    const char *result = phrase && data ? crypt_r(phrase, user->secret.ptr, data) : NULL;
    if (result && result[0] != '*')
        is_right = has_same_bytes(hash_of(str_of(result), user->scheme),
                                  hash_of(user->secret, user->scheme));
    if (data)
        OPENSSL_cleanse(data, sizeof *data);
    if (phrase)
        OPENSSL_cleanse(phrase, password.len);
    mem_free(data);
    mem_free(phrase);
    return is_right;
}

static bool matches_plain(struct str secret, struct str password)
{
    bool is_right = has_same_bytes(secret, password);
    if (str_starts_with(secret, STR("{PLAIN}")))
        is_right |= has_same_bytes(str_from(secret, 7), password);
    return is_right;
}

static const struct user *find(const struct htpasswd *set, struct str name, bool *is_known)
{
    const struct user *user = map_get(&set->by_name, name);
    *is_known = user != NULL;
    return user ? user : set->decoy;
}

bool htpasswd_is_slow(const struct htpasswd *set, struct str name)
{
    bool is_known;
    const struct user *user = find(set, name, &is_known);
    return user && user->scheme >= SCHEME_MD5;
}

struct str htpasswd_secret(const struct htpasswd *set, struct str name, bool *is_known)
{
    const struct user *user = find(set, name, is_known);
    return user ? user->secret : STR("");
}

bool htpasswd_verify(const struct htpasswd *set, struct str name, struct str password)
{
    bool is_known;
    const struct user *user = find(set, name, &is_known);
    bool is_right = false;
    if (!user)
        return false;
    switch (user->scheme) {
    case SCHEME_PLAIN: is_right = matches_plain(user->secret, password); break;
    case SCHEME_SHA: is_right = matches_sha(str_from(user->secret, 5), password); break;
    case SCHEME_SSHA: is_right = matches_sha(str_from(user->secret, 6), password); break;
    case SCHEME_MD5: is_right = matches_md5(user->secret, password); break;
    case SCHEME_SHA_CRYPT:
    case SCHEME_BCRYPT: is_right = matches_crypt(user, password); break;
    }
    return is_known && is_right;
}
