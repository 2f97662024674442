// SPDX-License-Identifier: Apache-2.0
#include "url.h"

static bool is_alpha(char c)
{
    c = char_lower(c);
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    c = char_lower(c);
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool has_bad_percent(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '%' && (i + 2 >= s.len || !is_hex(s.ptr[i + 1]) || !is_hex(s.ptr[i + 2])))
            return true;
    }
    return false;
}

// Cuts "scheme:" off. A text whose first ':' does not follow a scheme name is relative.
static int cut_scheme(struct str *rest, struct str *scheme, struct err *err)
{
    *scheme = STR_NULL;
    for (size_t i = 0; i < rest->len; i++) {
        char c = rest->ptr[i];
        if (is_alpha(c) || (i > 0 && (is_digit(c) || c == '+' || c == '-' || c == '.')))
            continue;
        if (c != ':')
            return 0;
        if (i == 0)
            return err_set(err, ERR_INVALID, "missing protocol scheme");
        *scheme = str_upto(*rest, i);
        *rest = str_from(*rest, i + 1);
        return 0;
    }
    return 0;
}

static int parse_port(struct str text, struct url *url, struct err *err)
{
    if (text.len == 0)
        return 0;
    uint64_t port;
    struct str digits = str_from(text, 1);
    if (text.ptr[0] != ':' || (digits.len > 0 && !str_to_u64(digits, &port)))
        return err_set(err, ERR_INVALID, "invalid port \"%.*s\" after host", STR_FMT(text));
    if (digits.len == 0)
        return 0;
    if (port == 0 || port > UINT16_MAX)
        return err_set(err, ERR_INVALID, "port %.*s is out of range", STR_FMT(digits));
    url->port = (uint16_t)port;
    return 0;
}

// RFC 3986 section 3.2.2 as net/url reads it: unreserved, sub-delims, and []:<>"; percent escapes
// only for bytes outside ASCII, or any but %25 first in an IPv6 zone.
static bool is_host_byte(char c)
{
    return is_alpha(c) || is_digit(c) || (signed char)c < 0 || strchr("-_.~!$&'()*+,;=:[]<>\"%", c);
}

static int parse_authority(struct str authority, struct url *url, struct err *err)
{
    ptrdiff_t at = str_rfind_char(authority, '@');
    url->host = str_from(authority, (size_t)(at + 1));
    if (has_bad_percent(authority))
        return err_set(err, ERR_INVALID, "invalid URL escape in host");
    for (size_t i = 0; i < url->host.len; i++) {
        if (url->host.ptr[i] == '\0' || !is_host_byte(url->host.ptr[i]))
            return err_set(err, ERR_INVALID, "invalid character in host name");
    }
    if (url->host.len > 0 && url->host.ptr[0] == '[') {
        ptrdiff_t close = str_rfind_char(url->host, ']');
        if (close < 0)
            return err_set(err, ERR_INVALID, "missing ']' in host");
        url->name = str_from(str_upto(url->host, (size_t)close), 1);
        return parse_port(str_from(url->host, (size_t)close + 1), url, err);
    }
    ptrdiff_t colon = str_rfind_char(url->host, ':');
    url->name = colon < 0 ? url->host : str_upto(url->host, (size_t)colon);
    return colon < 0 ? 0 : parse_port(str_from(url->host, (size_t)colon), url, err);
}

int url_parse(struct str text, struct url *url, struct err *err)
{
    *url = (struct url){0};
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return err_set(err, ERR_INVALID, "invalid control character in URL");
    }
    ptrdiff_t hash = str_find_char(text, '#');
    if (hash >= 0 && has_bad_percent(str_from(text, (size_t)hash + 1)))
        return err_set(err, ERR_INVALID, "invalid URL escape in fragment");
    struct str rest = hash < 0 ? text : str_upto(text, (size_t)hash);
    if (cut_scheme(&rest, &url->scheme, err) != 0)
        return ERR_INVALID;
    ptrdiff_t question = str_find_char(rest, '?');
    if (question >= 0) {
        url->query = str_from(rest, (size_t)question + 1);
        rest = str_upto(rest, (size_t)question);
    }
    if (rest.len == 0 || rest.ptr[0] != '/') {
        if (url->scheme.len > 0)
            return 0; // opaque, such as "localhost:5000": a URL, but nothing to connect to
        ptrdiff_t colon = str_find_char(rest, ':');
        ptrdiff_t slash = str_find_char(rest, '/');
        if (colon >= 0 && (slash < 0 || colon < slash))
            return err_set(err, ERR_INVALID,
                           "first path segment in URL cannot contain colon (is http:// missing?)");
    }
    if (str_starts_with(rest, STR("//")) &&
        (url->scheme.len > 0 || !str_starts_with(rest, STR("///")))) {
        struct str authority = str_from(rest, 2);
        ptrdiff_t slash = str_find_char(authority, '/');
        rest = slash < 0 ? STR_NULL : str_from(authority, (size_t)slash);
        if (slash >= 0)
            authority = str_upto(authority, (size_t)slash);
        int rc = parse_authority(authority, url, err);
        if (rc != 0)
            return rc;
    }
    if (has_bad_percent(rest))
        return err_set(err, ERR_INVALID, "invalid URL escape in path");
    url->path = rest;
    return 0;
}
