// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rng.h"
#include "http/target.h"

static void splits_hosts(void **state)
{
    static const struct {
        const char *authority;
        const char *name; // NULL: refused
        const char *port;
    } rows[] = {
        {"a", "a", ""},
        {"a.example.com:80", "a.example.com", "80"},
        {"a:", "a", ""},
        {"a_b-c~d!$&'()*+,;=:1", "a_b-c~d!$&'()*+,;=", "1"},
        {"%41b:65535", "%41b", "65535"},
        {"10.0.0.1:8080", "10.0.0.1", "8080"},
        {"[::1]", "[::1]", ""},
        {"[2001:db8::1]:443", "[2001:db8::1]", "443"},
        {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", ""},
        {"", NULL, NULL},
        {":80", NULL, NULL},
        {"a:b", NULL, NULL},
        {"a:-1", NULL, NULL},
        {"a:65536", NULL, NULL},
        {"a:000080", NULL, NULL},
        {"a:80:81", NULL, NULL},
        {"u@a", NULL, NULL},
        {"a b", NULL, NULL},
        {"a/b", NULL, NULL},
        {"a?b", NULL, NULL},
        {"a#b", NULL, NULL},
        {"a\\b", NULL, NULL},
        {"a<b", NULL, NULL},
        {"\xc3\xa4", NULL, NULL},
        {"%4", NULL, NULL},
        {"%4g", NULL, NULL},
        {"%", NULL, NULL},
        {"[::1", NULL, NULL},
        {"[]", NULL, NULL},
        {"[::1]80", NULL, NULL},
        {"[::1]]", NULL, NULL},
        {"[::g]", NULL, NULL},
        {"[v1.x]", NULL, NULL},
        {"[fe80::1%25eth0]", NULL, NULL},
        {"[1.2.3.4]", NULL, NULL},
        {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", NULL, NULL},
        {"::1", NULL, NULL},
    };
    struct str name, port;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_valid = http_split_host(str_of(rows[i].authority), &name, &port);
        if (is_valid != (rows[i].name != NULL))
            fail_msg("%s", rows[i].authority);
        if (is_valid) {
            assert_true(str_eq(name, str_of(rows[i].name)));
            assert_true(str_eq(port, str_of(rows[i].port)));
        }
    }
    // What C takes for the end of an address is none.
    assert_false(http_split_host(STR("[::1\0x]:80"), &name, &port));
}

// Normalises in memory of exactly the promised size. The result lives in *out, to be freed.
static int normalise(struct str path, char **out, struct str *result)
{
    *out = malloc(path.len + 1);
    assert_non_null(*out);
    return http_normalise_path(path, *out, result);
}

static void normalises(void **state)
{
    static const struct {
        const char *path;
        const char *want; // NULL: refused
    } rows[] = {
        {"/", "/"},
        {"/a/b/", "/a/b/"},
        {"/a.b/..c/c../.d", "/a.b/..c/c../.d"},
        {"/.../x", "/.../x"},
        {"/.well-known/x", "/.well-known/x"},
        {"/a//b/../c/", "/a/c/"},
        {"/..", "/"},
        {"/%2e%2e/x", "/x"},
        {"/.%2E/x", "/x"},
        {"/a%2Fb", "/a/b"},
        {"/foo%2fbar", "/foo/bar"},
        {"/a%252Fb", "/a%2Fb"},
        {"/a%2520b", "/a%20b"},
        {"/a%3Fb", "/a?b"},
        {"/a%23b", "/a#b"},
        {"//evil.com/foo", "/evil.com/foo"},
        {"///", "/"},
        {"/%FC", "/\xfc"},
        {"/%C3%A4", "/\xc3\xa4"},
        {"/a[b]{c}", "/a[b]{c}"},
        {"/a/./b/.", "/a/b/"},
        {"/a/b/..", "/a/"},
        {"/a/../..", "/"},
        {"/../../a", "/a"},
        {"/a/b/../../c", "/c"},
        {"/a//", "/a/"},
        {"/%2F%2Fa", "/a"},
        {"/%61bc", "/abc"},
        {"/a;b=c/d", "/a;b=c/d"},
        {"/..a;b", "/..a;b"},
        // Readers disagree on these.
        {"/a%00b", NULL},
        {"/a\\b", NULL},
        {"/a%5cb", NULL},
        {"/a/..;/b", NULL},
        {"/a/.;x/b", NULL},
        {"/;x/secret", NULL},
        {"/%3bx/secret", NULL},
        {"/a/..%3bx/b", NULL},
        {"/secret%2f..%2fopen", NULL},
        {"/open%2fx/../secret", NULL},
        {"/secret//../open", NULL},
        {"/secret//./../open", NULL},
        {"/a/%c0%ae%c0%ae/b", NULL},
        {"/a%c0%afb", NULL},
        {"/a%e0%80%afb", NULL},
        {"/a%f0%80%80%afb", NULL},
        {"/a%c1%9cb", NULL},
        // Not paths.
        {"", NULL},
        {"a", NULL},
        {"*", NULL},
        {"/a%", NULL},
        {"/a%4", NULL},
        {"/a%zz", NULL},
        {"/a%4z", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str result;
        char *out;
        int rc = normalise(str_of(rows[i].path), &out, &result);
        if (!rows[i].want) {
            if (rc != ERR_INVALID)
                fail_msg("%s: got %d", rows[i].path, rc);
        } else {
            struct str want = str_of(rows[i].want);
            if (rc != (int)want.len || !str_eq(result, want))
                fail_msg("%s: got %d %.*s", rows[i].path, rc, STR_FMT(result));
            // A path that is normal is handed back, not copied.
            assert_int_equal(result.ptr == rows[i].path, str_eq(str_of(rows[i].path), want));
        }
        free(out);
    }
}

// A path made of the pieces that matter.
static struct str random_path(struct rng *rng, char *path)
{
    static const char *const pieces[] = {"/",      "..",   ".",   "a",   "secret", "open", "%2f",
                                         "%2e",    "%5c",  "\\",  ";x",  "%252f",  "//",   "%2F",
                                         "%c0%ae", "/../", "/./", "%61", "%00",    "%25",  "\xff"};
    size_t len = 1;

    path[0] = '/';
    size_t count = rng_below(rng, 12);
    for (size_t i = 0; i < count; i++) {
        const char *piece = pieces[rng_below(rng, ARRAY_LEN(pieces))];
        memcpy(path + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return str_make(path, len);
}

// How an origin may read a path.
struct reader {
    bool decodes_slash;   // %2F is '/'
    bool merges_first;    // "//" is collapsed before ".." is resolved, else after
    bool takes_backslash; // '\' is '/'
    bool cuts_parameters; // ";x" is cut before ".." is resolved
    bool takes_overlong;  // C0 AE is '.'
};

static struct str read_as(struct str path, const struct reader *reader, char *out)
{
    char text[512];
    size_t len = 0;

    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        unsigned value;
        char hex[3] = {0};
        if (c == '%' && path.len - i > 2) {
            memcpy(hex, path.ptr + i + 1, 2);
            if (strspn(hex, "0123456789abcdefABCDEF") == 2) {
                sscanf(hex, "%2x", &value);
                if (value != '/' || reader->decodes_slash) {
                    c = (unsigned char)value;
                    i += 2;
                }
            }
        }
        if (c == '\\' && reader->takes_backslash)
            c = '/';
        if (reader->takes_overlong && c == 0xae && len && (unsigned char)text[len - 1] == 0xc0) {
            len--;
            c = '.';
        }
        text[len++] = (char)c;
    }
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        size_t end = i + 1;
        while (end < len && text[end] != '/')
            end++;
        size_t stop = end;
        if (reader->cuts_parameters) {
            char *mark = memchr(text + i, ';', end - i);
            if (mark)
                stop = (size_t)(mark - text);
        }
        struct str segment = str_make(text + i + 1, stop - i - 1);
        if (str_eq(segment, STR(".."))) {
            while (n > 0 && out[--n] != '/')
                ;
        } else if (!str_eq(segment, STR(".")) && !(segment.len == 0 && reader->merges_first)) {
            memcpy(out + n, text + i, stop - i);
            n += stop - i;
        }
        i = end;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (out[i] != '/' || kept == 0 || out[kept - 1] != '/')
            out[kept++] = out[i];
    }
    return str_make(out, kept);
}

// Idempotent, and free of everything that could be resolved again.
static void normal_paths_are_normal(void **state)
{
    struct rng rng;
    char path[256];
    char again[256];
    unsigned accepted = 0;

    (void)state;
    rng_init(&rng, 1);
    for (int i = 0; i < 200000; i++) {
        struct str raw = random_path(&rng, path);
        struct str result, second;
        char *out;
        int rc = normalise(raw, &out, &result);
        if (rc >= 0) {
            accepted++;
            assert_int_equal(result.ptr[0], '/');
            assert_true(str_find(result, STR("//")) < 0);
            assert_true(str_find(result, STR("/../")) < 0);
            assert_true(str_find(result, STR("/./")) < 0);
            assert_false(str_ends_with(result, STR("/..")));
            assert_false(str_ends_with(result, STR("/.")));
            assert_true(str_find_char(result, '\\') < 0);
            // What was decoded may hold a '%', so only without one is a second pass the same.
            if (str_find_char(result, '%') < 0) {
                assert_int_equal(http_normalise_path(result, again, &second), rc);
                assert_true(str_eq(result, second));
            }
        }
        free(out);
    }
    assert_in_range(accepted, 20000, 190000);
}

// Wire rule 14: a path that some origin reads as one under /secret is matched as one, or refused.
static void nothing_reaches_the_treasure(void **state)
{
    struct rng rng;
    char path[256];
    char read[512];
    char sent[1024];

    (void)state;
    rng_init(&rng, 2);
    for (int i = 0; i < 300000; i++) {
        struct str raw = random_path(&rng, path);
        struct str normal;
        char *out;
        if (normalise(raw, &out, &normal) >= 0 && !str_starts_with(normal, STR("/secret"))) {
            int len = http_rewrite_path(raw, normal, STR_NULL, STR_NULL, sent, sizeof(sent));
            assert_true(len > 0);
            for (unsigned bits = 0; bits < 32; bits++) {
                const struct reader reader = {bits & 1, bits & 2, bits & 4, bits & 8, bits & 16};
                struct str seen = read_as(str_make(sent, (size_t)len), &reader, read);
                if (str_starts_with(seen, STR("/secret")))
                    fail_msg("%.*s: matched as %.*s, read as %.*s by %u", STR_FMT(raw),
                             STR_FMT(normal), STR_FMT(seen), bits);
            }
            // Nor does anybody leave the directory that `prepend` puts a route in.
            len = http_rewrite_path(raw, normal, STR_NULL, STR("/pub"), sent, sizeof(sent));
            assert_true(len > 0);
            for (unsigned bits = 0; bits < 32; bits++) {
                const struct reader reader = {bits & 1, bits & 2, bits & 4, bits & 8, bits & 16};
                struct str seen = read_as(str_make(sent, (size_t)len), &reader, read);
                assert_true(str_starts_with(seen, STR("/pub")));
            }
        }
        free(out);
    }
}

static void rewrites(void **state)
{
    static const struct {
        const char *path;
        const char *strip;
        const char *prepend;
        const char *want; // NULL: ERR_INVALID
    } rows[] = {
        // Byte for byte.
        {"/a/b", "", "", "/a/b"},
        {"/a%2Fb/%7e", "", "", "/a%2Fb/%7e"},
        {"/a//b", "", "", "/a//b"},
        {"/a%252Fb", "", "", "/a%252Fb"},
        {"/a[b]{c}", "", "", "/a[b]{c}"},
        // Dot segments do not leave us.
        {"/a/../b%20c", "", "", "/b%20c"},
        {"/%2e%2e/x", "", "", "/x"},
        // strip.
        {"/foo/bar", "/foo", "", "/bar"},
        {"/foo", "/foo", "", "/"},
        {"/stripallfoo", "/stripall", "", "/foo"},
        {"/other", "/foo", "", "/other"},
        {"/foo/a%2Fb", "/foo", "", "/a%2Fb"},
        {"/foo%2Fbar", "/foo", "", "/bar"},
        {"/%66oo/bar%20x", "/foo", "", "/bar%20x"},
        {"/%66oo/bar%2Fx[]", "/foo", "", "/bar/x%5B%5D"},
        {"/foo//bar", "/foo", "", "/bar"},
        {"/foo/../foo/x", "/foo", "", "/x"},
        {"/x/../foo/y", "/foo", "", "/y"},
        {"/foo/../x", "/foo", "", "/x"},
        {"/%78", "/foo", "", "/%78"},
        // prepend.
        {"/a", "", "/p", "/p/a"},
        {"/a", "", "p", "/p/a"},
        {"/foo/a", "/foo", "/p", "/p/a"},
        {"/foo", "/foo", "/p", "/p/"},
        {"/foo/../foo/x", "", "/p", "/p/foo/x"},
        {"/a//b", "", "/p", "/p/a/b"},
        {"/\xc3\xa4/..", "", "/p", "/p/"},
        {"/a/%c3%a4/.", "", "/p", "/p/a/%C3%A4/"},
        {"/a", "", "/p q", NULL},
        {"/a", "", "/p?q", NULL},
        {"/a", "", "/p#q", NULL},
        {"/a", "", "/p\r\n", NULL},
        {"/a", "", "/\xe4", NULL},
    };
    char sent[128];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str raw = str_of(rows[i].path);
        struct str normal;
        char *out;
        assert_true(normalise(raw, &out, &normal) > 0);
        int len = http_rewrite_path(raw, normal, str_of(rows[i].strip), str_of(rows[i].prepend),
                                    sent, sizeof(sent));
        if (!rows[i].want) {
            assert_int_equal(len, ERR_INVALID);
        } else {
            if (len < 0 || !str_eq(str_make(sent, (size_t)len), str_of(rows[i].want)))
                fail_msg("%s: got %d %.*s", rows[i].path, len, len < 0 ? 0 : len, sent);
            for (int room = 0; room < len; room++)
                assert_int_equal(http_rewrite_path(raw, normal, str_of(rows[i].strip),
                                                   str_of(rows[i].prepend), sent, (size_t)room),
                                 ERR_TOO_LARGE);
        }
        free(out);
    }
    // A raw path that is not the one that was normalised is not trusted.
    int len = http_rewrite_path(STR("/a%zz"), STR("/a"), STR_NULL, STR_NULL, sent, sizeof(sent));
    assert_true(len == 2 && memcmp(sent, "/a", 2) == 0);
}

static void composes_locations(void **state)
{
    static const struct {
        const char *dst;
        const char *strip;
        const char *prepend;
        const char *host;
        const char *path;
        const char *query; // NULL: none
        const char *want;  // NULL: ERR_INVALID
    } rows[] = {
        // The rows of fabio.
        {"http://bar.com/", "", "", "foo.com", "/a", "x=1", "http://bar.com/"},
        {"http://bar.com/a?foo=bar", "", "", "foo.com", "/x", "y", "http://bar.com/a?foo=bar"},
        {"https://$host$path", "", "", "foo.com", "/abc/", "a=1", "https://foo.com/abc/?a=1"},
        {"http://bar.com/bbb/$path", "", "", "foo.com", "/a/b", NULL, "http://bar.com/bbb/a/b"},
        {"http://bar.com/$path", "", "", "foo.com", "/a%2fbc", NULL, "http://bar.com/a%2fbc"},
        {"https://bar.com/bbb$path", "/s", "", "foo.com", "/s", NULL, "https://bar.com/bbb"},
        {"https://bar.com/bbb$path", "/s", "", "foo.com", "/s/x", NULL, "https://bar.com/bbb/x"},
        {"http://bar.com/$path", "/s", "/p", "foo.com", "/s/x", NULL, "http://bar.com/p/x"},
        {"/other", "", "", "foo.com", "/any", "q", "/other"},
        // Around them.
        {"http://bar.com", "", "", "foo.com", "/a", NULL, "http://bar.com/"},
        {"http://bar.com?x", "", "", "foo.com", "/a", "y", "http://bar.com/?x"},
        {"http://bar.com$path", "", "", "foo.com", "/a", "q", "http://bar.com/a?q"},
        {"http://bar.com$path?x=1", "", "", "foo.com", "/a", "q", "http://bar.com/a?x=1"},
        {"http://bar.com$path", "", "", "foo.com", "/a", "", "http://bar.com/a?"},
        {"http://bar.com$path", "/a", "", "foo.com", "/a", NULL, "http://bar.com/"},
        {"http://bar.com$path", "/a", "", "foo.com", "/abc", NULL, "http://bar.com/bc"},
        {"http://bar.com/x$path/y", "", "p", "foo.com", "/a", NULL, "http://bar.com/x/p/a/y"},
        {"http://bar.com/$path/$path", "", "", "foo.com", "/a", NULL, "http://bar.com/a/$path"},
        {"http://bar.com/#/$path", "", "", "foo.com", "/a", "q", "http://bar.com/#/$path"},
        {"http://bar.com/$path#frag", "", "", "foo.com", "/a", "q", "http://bar.com/a?q#frag"},
        {"HTTPS://$host:8443/", "", "", "foo.com", "/a", NULL, "HTTPS://foo.com:8443/"},
        {"https://$host/", "", "", "foo.com:8080", "/a", NULL, "https://foo.com:8080/"},
        {"https://www.$host/", "", "", "[::1]", "/a", NULL, NULL},
        {"https://$host/", "", "", "[::1]:80", "/a", NULL, "https://[::1]:80/"},
        {"/x$path", "", "", "foo.com", "/a//b/../c", NULL, "/x/a/c"},
        // No way to another authority.
        {"/$path", "", "", "foo.com", "//evil.com/x", NULL, "/evil.com/x"},
        {"/$path", "", "", "foo.com", "/%2Fevil.com/x", NULL, "/evil.com/x"},
        {"$path", "", "", "foo.com", "/x", NULL, NULL},
        {"http://bar.com$path", "", "", "foo.com", "/@evil.com", NULL, "http://bar.com/@evil.com"},
        {"//evil.com/", "", "", "foo.com", "/x", NULL, NULL},
        {"/$path", "/a", "", "foo.com", "/a%2Fevil.com", NULL, "/evil.com"},
        {"https://$host/", "", "", "", "/a", NULL, NULL},
        {"https://$host:80/", "", "", "foo.com:8080", "/a", NULL, NULL},
        {"https://u@bar.com/", "", "", "foo.com", "/a", NULL, NULL},
        {"javascript:alert(1)", "", "", "foo.com", "/a", NULL, NULL},
        {"ftp://bar.com/", "", "", "foo.com", "/a", NULL, NULL},
        {"", "", "", "foo.com", "/a", NULL, NULL},
        {"http://bar.com/a b", "", "", "foo.com", "/a", NULL, NULL},
        {"http://bar.com/a\r\nX: y", "", "", "foo.com", "/a", NULL, NULL},
        {"http://bar.com/#a b", "", "", "foo.com", "/a", NULL, NULL},
        {"http://bar.com/$path", "", "/p q", "foo.com", "/a", NULL, NULL},
    };
    char location[256];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str raw = str_of(rows[i].path);
        struct str normal;
        char *out;
        assert_true(normalise(raw, &out, &normal) > 0);
        int len = http_redirect_location(str_of(rows[i].dst), str_of(rows[i].strip),
                                         str_of(rows[i].prepend), str_of(rows[i].host), raw, normal,
                                         rows[i].query != NULL, str_of(rows[i].query), location,
                                         sizeof(location));
        if (!rows[i].want) {
            if (len != ERR_INVALID)
                fail_msg("row %zu %s: got %d %.*s", i, rows[i].dst, len, len < 0 ? 0 : len,
                         location);
        } else {
            if (len < 0 || !str_eq(str_make(location, (size_t)len), str_of(rows[i].want)))
                fail_msg("row %zu %s: got %d %.*s", i, rows[i].dst, len, len < 0 ? 0 : len,
                         location);
            for (int room = 0; room < len; room++)
                assert_int_equal(
                    http_redirect_location(str_of(rows[i].dst), str_of(rows[i].strip),
                                           str_of(rows[i].prepend), str_of(rows[i].host), raw,
                                           normal, rows[i].query != NULL, str_of(rows[i].query),
                                           location, (size_t)room),
                    ERR_TOO_LARGE);
        }
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_hosts),
        cmocka_unit_test(normalises),
        cmocka_unit_test(normal_paths_are_normal),
        cmocka_unit_test(nothing_reaches_the_treasure),
        cmocka_unit_test(rewrites),
        cmocka_unit_test(composes_locations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
