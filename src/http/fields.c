// SPDX-License-Identifier: Apache-2.0
#include "fields.h"

#define IS_ALNUM(c) \
    (((c) >= '0' && (c) <= '9') || ((c) >= 'A' && (c) <= 'Z') || ((c) >= 'a' && (c) <= 'z'))
#define IS_UNRESERVED(c) (IS_ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
#define IS_TOKEN(c)                                                                          \
    (IS_ALNUM(c) || (c) == '!' || ((c) >= '#' && (c) <= '\'') || (c) == '*' || (c) == '+' || \
     (c) == '-' || (c) == '.' || ((c) >= '^' && (c) <= '`') || (c) == '|' || (c) == '~')
#define IS_TARGET(c) ((c) > 0x20 && (c) < 0x7f && (c) != '#')
#define IS_HOST(c)                                                                               \
    (IS_UNRESERVED(c) || (c) == '!' || (c) == '$' || ((c) >= '&' && (c) <= ',') || (c) == ';' || \
     (c) == '=')
#define IS_TEXT(c) ((c) == '\t' || ((c) >= 0x20 && (c) != 0x7f))
// What fabio leaves as it is when it encodes a path.
#define IS_PATH(c)                                                                               \
    (IS_UNRESERVED(c) || (c) == '$' || (c) == '&' || ((c) >= '+' && (c) <= '/') || (c) == ':' || \
     (c) == ';' || (c) == '=' || (c) == '@')

#define CLASS(c)                                                         \
    ((IS_TOKEN(c) ? CHAR_TOKEN : 0) | (IS_TARGET(c) ? CHAR_TARGET : 0) | \
     (IS_HOST(c) ? CHAR_HOST : 0) | (IS_TEXT(c) ? CHAR_TEXT : 0) | (IS_PATH(c) ? CHAR_PATH : 0))
#define CLASS4(c)  CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASS16(c) CLASS4(c), CLASS4((c) + 4), CLASS4((c) + 8), CLASS4((c) + 12)
#define CLASS64(c) CLASS16(c), CLASS16((c) + 16), CLASS16((c) + 32), CLASS16((c) + 48)

const uint8_t HTTP_CHAR_CLASS[256] = {CLASS64(0), CLASS64(64), CLASS64(128), CLASS64(192)};

bool http_chars_are(struct str s, enum char_class char_class)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!char_is(s.ptr[i], char_class))
            return false;
    }
    return true;
}

#define NAME(literal, id)                                 \
    if (is_lower(name.ptr, literal, sizeof(literal) - 1)) \
        return id;

enum http_field_id http_field_lookup(struct str name)
{
    switch (name.len) {
    case 2: NAME("te", HTTP_FIELD_TE) break;
    case 3: NAME("via", HTTP_FIELD_VIA) break;
    case 4:
        NAME("host", HTTP_FIELD_HOST)
        NAME("date", HTTP_FIELD_DATE)
        NAME("vary", HTTP_FIELD_VARY)
        break;
    case 5: NAME("range", HTTP_FIELD_RANGE) break;
    case 6:
        NAME("accept", HTTP_FIELD_ACCEPT)
        NAME("expect", HTTP_FIELD_EXPECT)
        break;
    case 7:
        NAME("referer", HTTP_FIELD_REFERER)
        NAME("upgrade", HTTP_FIELD_UPGRADE)
        NAME("trailer", HTTP_FIELD_TRAILER)
        break;
    case 8: NAME("location", HTTP_FIELD_LOCATION) break;
    case 9:
        NAME("x-real-ip", HTTP_FIELD_X_REAL_IP)
        NAME("forwarded", HTTP_FIELD_FORWARDED)
        break;
    case 10:
        NAME("connection", HTTP_FIELD_CONNECTION)
        NAME("user-agent", HTTP_FIELD_USER_AGENT)
        NAME("keep-alive", HTTP_FIELD_KEEP_ALIVE)
        break;
    case 12:
        NAME("content-type", HTTP_FIELD_CONTENT_TYPE)
        NAME("max-forwards", HTTP_FIELD_MAX_FORWARDS)
        break;
    case 13: NAME("authorization", HTTP_FIELD_AUTHORIZATION) break;
    case 14:
        NAME("content-length", HTTP_FIELD_CONTENT_LENGTH)
        NAME("http2-settings", HTTP_FIELD_HTTP2_SETTINGS)
        break;
    case 15:
        NAME("accept-encoding", HTTP_FIELD_ACCEPT_ENCODING)
        NAME("x-forwarded-for", HTTP_FIELD_X_FORWARDED_FOR)
        break;
    case 16:
        NAME("content-encoding", HTTP_FIELD_CONTENT_ENCODING)
        NAME("x-forwarded-port", HTTP_FIELD_X_FORWARDED_PORT)
        NAME("x-forwarded-host", HTTP_FIELD_X_FORWARDED_HOST)
        NAME("proxy-connection", HTTP_FIELD_PROXY_CONNECTION)
        break;
    case 17:
        NAME("transfer-encoding", HTTP_FIELD_TRANSFER_ENCODING)
        NAME("x-forwarded-proto", HTTP_FIELD_X_FORWARDED_PROTO)
        break;
    case 18:
        NAME("x-forwarded-prefix", HTTP_FIELD_X_FORWARDED_PREFIX)
        NAME("proxy-authenticate", HTTP_FIELD_PROXY_AUTHENTICATE)
        break;
    case 19: NAME("proxy-authorization", HTTP_FIELD_PROXY_AUTHORIZATION) break;
    case 25: NAME("strict-transport-security", HTTP_FIELD_STRICT_TRANSPORT_SECURITY) break;
    default: break;
    }
    if (name.len > 12)
        NAME("x-forwarded-", HTTP_FIELD_X_FORWARDED_OTHER)
    return HTTP_FIELD_OTHER;
}

// Whether one of eight bytes is '_'.
static inline bool word_has_underscore(const char *bytes)
{
    const uint64_t ones = 0x0101010101010101;
    uint64_t word;

    memcpy(&word, bytes, 8);
    word ^= ones * '_'; // a byte that was '_' is zero now
    return (word - ones) & ~word & ones << 7;
}

// Asked of every name that is not in the list, hence by words; the last one may overlap.
static bool has_underscore(struct str name)
{
    if (name.len < 8) {
        for (size_t i = 0; i < name.len; i++) {
            if (name.ptr[i] == '_')
                return true;
        }
        return false;
    }
    for (size_t i = 0; i + 8 < name.len; i += 8) {
        if (word_has_underscore(name.ptr + i))
            return true;
    }
    return word_has_underscore(name.ptr + name.len - 8);
}

bool http_field_is_shadow(struct str name)
{
    char dashed[HTTP_NAME_MAX];

    if (LIKELY(!has_underscore(name)) || name.len > sizeof(dashed))
        return false;
    for (size_t i = 0; i < name.len; i++)
        dashed[i] = (char)(name.ptr[i] == '_' ? '-' : name.ptr[i]);
    enum http_field_id id = http_field_lookup(str_make(dashed, name.len));
    return http_field_is_hop(id) || http_field_is_protected(id) || id == HTTP_FIELD_EXPECT;
}

bool http_name_resembles(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        char x = char_lower(a.ptr[i]);
        char y = char_lower(b.ptr[i]);
        if ((x == '_' ? '-' : x) != (y == '_' ? '-' : y))
            return false;
    }
    return true;
}

#define BIT(id) (UINT64_C(1) << (id))

bool http_field_is_hop(enum http_field_id id)
{
    static const uint64_t hop =
        BIT(HTTP_FIELD_CONNECTION) | BIT(HTTP_FIELD_KEEP_ALIVE) | BIT(HTTP_FIELD_PROXY_CONNECTION) |
        BIT(HTTP_FIELD_PROXY_AUTHENTICATE) | BIT(HTTP_FIELD_PROXY_AUTHORIZATION) |
        BIT(HTTP_FIELD_TE) | BIT(HTTP_FIELD_TRAILER) | BIT(HTTP_FIELD_TRANSFER_ENCODING) |
        BIT(HTTP_FIELD_UPGRADE) | BIT(HTTP_FIELD_HTTP2_SETTINGS);
    return hop & BIT(id);
}

bool http_field_is_forwarding(enum http_field_id id)
{
    static const uint64_t forwarding =
        BIT(HTTP_FIELD_FORWARDED) | BIT(HTTP_FIELD_X_FORWARDED_FOR) |
        BIT(HTTP_FIELD_X_FORWARDED_PROTO) | BIT(HTTP_FIELD_X_FORWARDED_PORT) |
        BIT(HTTP_FIELD_X_FORWARDED_HOST) | BIT(HTTP_FIELD_X_FORWARDED_PREFIX) |
        BIT(HTTP_FIELD_X_FORWARDED_OTHER) | BIT(HTTP_FIELD_X_REAL_IP);
    return forwarding & BIT(id);
}

bool http_field_is_protected(enum http_field_id id)
{
    return http_field_is_forwarding(id) || id == HTTP_FIELD_HOST ||
           id == HTTP_FIELD_CONTENT_LENGTH || id == HTTP_FIELD_TRANSFER_ENCODING ||
           id == HTTP_FIELD_VIA;
}

bool http_list_next(struct str *rest, struct str *member)
{
    if (!str_split_next(rest, ',', member))
        return false;
    *member = str_trim(*member);
    return true;
}
