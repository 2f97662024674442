// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fields.h"

static const struct {
    const char *name;
    enum http_field_id id;
} KNOWN[] = {
    {"Host", HTTP_FIELD_HOST},
    {"Connection", HTTP_FIELD_CONNECTION},
    {"Keep-Alive", HTTP_FIELD_KEEP_ALIVE},
    {"Proxy-Connection", HTTP_FIELD_PROXY_CONNECTION},
    {"Proxy-Authenticate", HTTP_FIELD_PROXY_AUTHENTICATE},
    {"Proxy-Authorization", HTTP_FIELD_PROXY_AUTHORIZATION},
    {"TE", HTTP_FIELD_TE},
    {"Trailer", HTTP_FIELD_TRAILER},
    {"Transfer-Encoding", HTTP_FIELD_TRANSFER_ENCODING},
    {"Upgrade", HTTP_FIELD_UPGRADE},
    {"HTTP2-Settings", HTTP_FIELD_HTTP2_SETTINGS},
    {"Content-Length", HTTP_FIELD_CONTENT_LENGTH},
    {"Content-Type", HTTP_FIELD_CONTENT_TYPE},
    {"Content-Encoding", HTTP_FIELD_CONTENT_ENCODING},
    {"Expect", HTTP_FIELD_EXPECT},
    {"Date", HTTP_FIELD_DATE},
    {"Authorization", HTTP_FIELD_AUTHORIZATION},
    {"User-Agent", HTTP_FIELD_USER_AGENT},
    {"Referer", HTTP_FIELD_REFERER},
    {"Accept", HTTP_FIELD_ACCEPT},
    {"Accept-Encoding", HTTP_FIELD_ACCEPT_ENCODING},
    {"Range", HTTP_FIELD_RANGE},
    {"Forwarded", HTTP_FIELD_FORWARDED},
    {"X-Forwarded-For", HTTP_FIELD_X_FORWARDED_FOR},
    {"X-Forwarded-Proto", HTTP_FIELD_X_FORWARDED_PROTO},
    {"X-Forwarded-Port", HTTP_FIELD_X_FORWARDED_PORT},
    {"X-Forwarded-Host", HTTP_FIELD_X_FORWARDED_HOST},
    {"X-Forwarded-Prefix", HTTP_FIELD_X_FORWARDED_PREFIX},
    {"X-Forwarded-Ssl", HTTP_FIELD_X_FORWARDED_OTHER},
    {"X-Real-Ip", HTTP_FIELD_X_REAL_IP},
    {"Via", HTTP_FIELD_VIA},
    {"Max-Forwards", HTTP_FIELD_MAX_FORWARDS},
    {"Location", HTTP_FIELD_LOCATION},
    {"Strict-Transport-Security", HTTP_FIELD_STRICT_TRANSPORT_SECURITY},
    {"Vary", HTTP_FIELD_VARY},
};

static bool is_token_by_rfc(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void every_id_has_a_name(void **state)
{
    bool is_seen[HTTP_FIELD_COUNT] = {[HTTP_FIELD_OTHER] = true};

    (void)state;
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++)
        is_seen[KNOWN[i].id] = true;
    for (int id = 0; id < HTTP_FIELD_COUNT; id++)
        assert_true(is_seen[id]);
}

// All spellings by case are the field; any other token in one place is not.
static void recognises_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++) {
        size_t len = strlen(KNOWN[i].name);
        // Exactly as large as the name, so that a sanitizer sees every read beyond it.
        char *name = malloc(len);
        assert_non_null(name);
        memcpy(name, KNOWN[i].name, len);
        assert_int_equal(http_field_lookup(str_make(name, len)), KNOWN[i].id);
        for (size_t at = 0; at < len; at++)
            name[at] = (char)(at % 2                               ? char_lower(name[at])
                              : name[at] >= 'a' && name[at] <= 'z' ? name[at] & ~0x20
                                                                   : name[at]);
        assert_int_equal(http_field_lookup(str_make(name, len)), KNOWN[i].id);
        size_t own = KNOWN[i].id == HTTP_FIELD_X_FORWARDED_OTHER ? 12 : len;
        assert_int_not_equal(http_field_lookup(str_make(name, own - 1)), KNOWN[i].id);
        for (size_t at = 0; at < own; at++) {
            char was = name[at];
            for (int c = 0; c < 256; c++) {
                if (!is_token_by_rfc(c) || char_lower((char)c) == char_lower(was))
                    continue;
                name[at] = (char)c;
                assert_int_not_equal(http_field_lookup(str_make(name, len)), KNOWN[i].id);
            }
            name[at] = was;
        }
        free(name);
    }
    assert_int_equal(http_field_lookup(STR("")), HTTP_FIELD_OTHER);
    assert_int_equal(http_field_lookup(STR("X-Forwarded-")), HTTP_FIELD_OTHER);
    assert_int_equal(http_field_lookup(STR("Cookie")), HTTP_FIELD_OTHER);
}

static void sees_shadows(void **state)
{
    (void)state;
    assert_true(http_field_is_shadow(STR("content_length")));
    assert_true(http_field_is_shadow(STR("Transfer_Encoding")));
    assert_true(http_field_is_shadow(STR("X_Forwarded-For")));
    assert_true(http_field_is_shadow(STR("X_REAL_IP")));
    assert_true(http_field_is_shadow(STR("keep_alive")));
    assert_true(http_field_is_shadow(STR("x_forwarded_whatever")));
    assert_false(http_field_is_shadow(STR("content-length")));
    assert_false(http_field_is_shadow(STR("user_agent")));
    assert_false(http_field_is_shadow(STR("x_y")));
    // The '_' in every place of names of every length: the shadow is seen wherever it is.
    static const char family[] = "X-Forwarded-Abcdefghijklmnopqrstuvwxyz";
    for (size_t len = 13; len < sizeof(family); len++) {
        for (size_t at = 0; at < len; at++) {
            char *name = malloc(len);
            assert_non_null(name);
            memcpy(name, family, len);
            bool is_shadow = at > 11 || name[at] == '-';
            name[at] = '_';
            assert_int_equal(http_field_is_shadow(str_make(name, len)), is_shadow);
            free(name);
        }
    }
    assert_false(http_field_is_shadow(STR("")));
    char *longest = malloc(HTTP_NAME_MAX + 1);
    assert_non_null(longest);
    memset(longest, '_', HTTP_NAME_MAX + 1);
    assert_false(http_field_is_shadow(str_make(longest, HTTP_NAME_MAX)));
    assert_false(http_field_is_shadow(str_make(longest, HTTP_NAME_MAX + 1)));
    free(longest);
    assert_true(http_name_resembles(STR("X-Request_Id"), STR("x_request-ID")));
    assert_false(http_name_resembles(STR("a-b"), STR("a-c")));
    assert_false(http_name_resembles(STR("a-b"), STR("a-bc")));
}

static void classifies_bytes(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        assert_int_equal(char_is((char)c, CHAR_TOKEN), is_token_by_rfc(c));
        assert_int_equal(char_is((char)c, CHAR_TARGET), c > 0x20 && c < 0x7f && c != '#');
        assert_int_equal(char_is((char)c, CHAR_TEXT), c == '\t' || (c >= 0x20 && c != 0x7f));
        assert_int_equal(char_is((char)c, CHAR_HOST),
                         is_alnum || (c && strchr("-._~!$&'()*+,;=", c)));
        assert_int_equal(char_is((char)c, CHAR_PATH),
                         is_alnum || (c && strchr("-._~$&+,/:;=@", c)));
    }
    assert_int_equal(hex_value('0'), 0);
    assert_int_equal(hex_value('9'), 9);
    assert_int_equal(hex_value('a'), 10);
    assert_int_equal(hex_value('F'), 15);
    assert_int_equal(hex_value('g'), -1);
    assert_int_equal(hex_value('/'), -1);
    assert_int_equal(hex_value(':'), -1);
    assert_int_equal(hex_value('@'), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_id_has_a_name),
        cmocka_unit_test(recognises_names),
        cmocka_unit_test(sees_shadows),
        cmocka_unit_test(classifies_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
