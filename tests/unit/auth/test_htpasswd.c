// SPDX-License-Identifier: Apache-2.0
// The hashes were made with openssl passwd, Python's crypt and hashlib.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "auth/htpasswd.h"
#include "base/mem.h"

static const char PASSWORD[] = "open sesame";

static struct htpasswd *parse(const char *text)
{
    struct htpasswd *set = htpasswd_parse(str_of(text), NULL, NULL);
    assert_non_null(set);
    return set;
}

static bool verify(const struct htpasswd *set, const char *user, const char *password)
{
    return htpasswd_verify(set, str_of(user), str_of(password));
}

static void every_format(void **state)
{
    (void)state;
    static const struct {
        const char *secret;
        bool is_slow;
    } rows[] = {
        {"$apr1$oN9bCdEf$fBoMq13AoOanPrlS1H2WN.", true},
        {"$1$oN9bCdEf$uR.ZqxcJRSuAxCkIrjtLj0", true},
        {"{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=", false},
        {"{SSHA}E49j48yRuk1EYsFBtSedDAV/S3NwZXBwZXIxMg==", false},
        {"$2a$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy", true},
        {"$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy", true},
        {"$2x$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy", true},
        {"$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy", true},
        {"$5$saltstring$sOFRiuqOzKEQCZAIFmMrCbPuMEMUPOi/BmBpBwWMgW3", true},
        {"$6$saltstring$b4SOQO.YI.BXjgbKQa.97c9EQud0NW8Txr5rCRGsAucjEsL95TW5MDF/"
         "7KcC3bcG5NoxZbmB6Lh82fxg8soAZ0",
         true},
        {"$5$rounds=1400$anotherlongsalts$y9/vYV8oUKplrnk6RiHlLDLj8VdTqjmX9lbSAshFl.1", true},
        {"$6$rounds=1400$anotherlongsalts$2l0jObIiaejfNiPOnS8UkCZybkbfORkEQ5QJcjK0ZKxrYceQQLT7m"
         "W1pzTjpmzy9m5pFl.PGA2y7rXxFKs0Zg.",
         true},
        // A salt longer than the 16 characters that count.
        {"$5$rounds=1400$anotherlongsaltstring$y9/vYV8oUKplrnk6RiHlLDLj8VdTqjmX9lbSAshFl.1", true},
        {"open sesame", false},
        {"{PLAIN}open sesame", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char line[256];
        snprintf(line, sizeof line, "ali:%s\n", rows[i].secret);
        struct htpasswd *set = parse(line);
        assert_int_equal(htpasswd_count(set), 1);
        assert_int_equal(htpasswd_is_slow(set, STR("ali")), rows[i].is_slow);
        assert_true(verify(set, "ali", PASSWORD));
        assert_false(verify(set, "ali", "open sesamE"));
        assert_false(verify(set, "ali", "open sesame "));
        assert_false(verify(set, "ali", "open sesam"));
        assert_false(verify(set, "ali", ""));
        assert_false(htpasswd_verify(set, STR("ali"), STR("open sesame\0x")));
        assert_false(verify(set, "Ali", PASSWORD));
        assert_false(verify(set, "", PASSWORD));
        // No hash is a password.
        if (rows[i].secret[0] == '$' || rows[i].secret[1] == 'S')
            assert_false(verify(set, "ali", rows[i].secret));
        htpasswd_unref(set);
    }
}

static void apr1_of_every_kind_of_length(void **state)
{
    (void)state;
    char hundred[101];
    memset(hundred, 'x', 100);
    hundred[100] = '\0';
    const struct {
        const char *password;
        const char *line;
    } rows[] = {
        {"", "u:$apr1$Zz$BdgTi7StQogMAqZ2hcReW0"},
        {"a", "u:$apr1$Zz$VCzJTCm2AN2Bq.dVFjIit1"},
        {"0123456789abcdef", "u:$apr1$Zz$Lr7E6WJwl/SaDuo3htrdn1"},
        {"0123456789abcdefg", "u:$apr1$Zz$QTL3wgb7ZdrkQSl4MQZTw/"},
        {hundred, "u:$apr1$Zz$aphCqLewwwXMSUDi/28Wx1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct htpasswd *set = parse(rows[i].line);
        assert_true(verify(set, "u", rows[i].password));
        assert_false(verify(set, "u", "b"));
        htpasswd_unref(set);
    }
}

static void plain_prefix_may_be_part_of_the_password(void **state)
{
    (void)state;
    struct htpasswd *set = parse("u:{PLAIN}x");
    assert_true(verify(set, "u", "x"));
    assert_true(verify(set, "u", "{PLAIN}x"));
    htpasswd_unref(set);
}

static void lines(void **state)
{
    (void)state;
    struct htpasswd *set = parse("\n"
                                 "  \t\r\n"
                                 "# a comment: with a colon\n"
                                 "  anna:one \r\n"
                                 "bert:with:colon\n"
                                 "anna:two\n"
                                 ":nobody\n"
                                 "empty:\n"
                                 "last:line");
    assert_int_equal(htpasswd_count(set), 5);
    assert_true(verify(set, "anna", "two"));
    assert_false(verify(set, "anna", "one"));
    assert_true(verify(set, "bert", "with:colon"));
    assert_true(verify(set, "", "nobody"));
    assert_true(verify(set, "empty", ""));
    assert_false(verify(set, "empty", "x"));
    assert_true(verify(set, "last", "line"));
    assert_false(verify(set, "# a comment", " with a colon"));
    htpasswd_unref(set);
}

static void an_empty_file_lets_nobody_in(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "\n", "# nobody"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct htpasswd *set = parse(rows[i]);
        bool is_known;
        assert_false(verify(set, "", ""));
        assert_false(verify(set, "u", "p"));
        assert_false(htpasswd_is_slow(set, STR("u")));
        assert_true(str_eq(htpasswd_secret(set, STR("u"), &is_known), STR("")));
        assert_false(is_known);
        htpasswd_unref(set);
    }
}

struct bad_line {
    uint32_t line;
    const char *reason;
    unsigned count;
};

static void on_bad_line(void *ctx, uint32_t line, const char *reason)
{
    struct bad_line *bad = ctx;
    bad->line = line;
    bad->reason = reason;
    bad->count++;
}

static void bad_lines_are_left_out(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "no colon here",
        "u:$apr1$onlysalt",
        "u:$1$onlysalt",
        "u:{SHA}short",
        "u:{SHA}AAAA",
        "u:{SHA}W8r/fyL/UzygmbNAjq2HbA67qacA",
        "u:{SSHA}AAAA",
        "u:{SSHA}not base64!!",
        "u:$2y$04$short",
        "u:$2y$xx$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy",
        "u:$2y$04.abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy",
        "u:$2y$17$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy",
        "u:$5$nosalt",
        "u:$6$nosalt",
        "u:$6$rounds=x$salt$hash",
        "u:$6$rounds=5000",
        "u:$6$rounds=10000001$salt$hash",
        "u:$6$rounds=99999999999999999999$salt$hash",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        struct bad_line bad = {0};
        snprintf(text, sizeof text, "good:one\n%s\ngood2:two\n", rows[i]);
        struct htpasswd *set = htpasswd_parse(str_of(text), on_bad_line, &bad);
        assert_non_null(set);
        assert_int_equal(bad.count, 1);
        assert_int_equal(bad.line, 2);
        assert_null(strstr(bad.reason, "salt$hash"));
        assert_int_equal(htpasswd_count(set), 2);
        assert_true(verify(set, "good", "one"));
        assert_true(verify(set, "good2", "two"));
        assert_false(verify(set, "u", ""));
        htpasswd_unref(set);
    }
    struct bad_line bad = {0};
    htpasswd_unref(htpasswd_parse(STR("u:p\0q\nv:w"), on_bad_line, &bad));
    assert_int_equal(bad.count, 1);
}

// The check of an unknown user costs as much as that of the slowest known one.
static void unknown_users_are_checked_against_the_slowest(void **state)
{
    (void)state;
    static const char MD5[] = "$apr1$oN9bCdEf$fBoMq13AoOanPrlS1H2WN.";
    char text[128];
    snprintf(text, sizeof text, "fast:open sesame\nslow:%s\nother:x\n", MD5);
    struct htpasswd *set = parse(text);
    bool is_known;
    assert_false(htpasswd_is_slow(set, STR("fast")));
    assert_true(htpasswd_is_slow(set, STR("slow")));
    assert_true(htpasswd_is_slow(set, STR("stranger")));
    assert_true(str_eq(htpasswd_secret(set, STR("stranger"), &is_known), str_of(MD5)));
    assert_false(is_known);
    assert_true(str_eq(htpasswd_secret(set, STR("fast"), &is_known), str_of(PASSWORD)));
    assert_true(is_known);
    assert_false(verify(set, "stranger", PASSWORD)); // though it is slow's
    htpasswd_unref(set);
}

static void files(void **state)
{
    (void)state;
    char path[] = "/tmp/htpasswd-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "u:p\n", 4), 4);
    close(fd);
    struct err err = {0};
    struct htpasswd *set = htpasswd_load(path, NULL, NULL, &err);
    assert_non_null(set);
    assert_true(verify(set, "u", "p"));
    htpasswd_unref(htpasswd_ref(set));
    htpasswd_unref(set);
    unlink(path);

    assert_null(htpasswd_load(path, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, path));
    assert_null(htpasswd_load("/tmp", NULL, NULL, &err));
    assert_int_equal(err.code, ERR_IO);
    htpasswd_unref(NULL);
}

static void shortage_is_survived(void **state)
{
    (void)state;
    static const char TEXT[] = "a:1\nb:2\nc:$2y$04$abcdefghijklmnopqrstuu/"
                               "LVz6MZlItEy42I2juLihZ66HnQx/cy\n";
    struct htpasswd *set = NULL;
    for (int64_t n = 0; !set; n++) {
        assert_true(n < 20);
        mem_fail_after(n);
        set = htpasswd_parse(str_of(TEXT), NULL, NULL);
        mem_fail_after(-1);
    }
    for (int64_t n = 0; n < 2; n++) {
        mem_fail_after(n);
        assert_false(verify(set, "c", PASSWORD)); // never the other way round
        mem_fail_after(-1);
    }
    assert_true(verify(set, "c", PASSWORD));
    htpasswd_unref(set);
    struct err err;
    mem_fail_after(0);
    assert_null(htpasswd_load("/dev/null", NULL, NULL, &err));
    mem_fail_after(-1);
    assert_int_equal(err.code, ERR_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format),
        cmocka_unit_test(apr1_of_every_kind_of_length),
        cmocka_unit_test(plain_prefix_may_be_part_of_the_password),
        cmocka_unit_test(lines),
        cmocka_unit_test(an_empty_file_lets_nobody_in),
        cmocka_unit_test(bad_lines_are_left_out),
        cmocka_unit_test(unknown_users_are_checked_against_the_slowest),
        cmocka_unit_test(files),
        cmocka_unit_test(shortage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
