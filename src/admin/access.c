// SPDX-License-Identifier: Apache-2.0
#include "admin/access.h"

#include <arpa/inet.h>

#include "http/target.h"

static bool is_ip_literal(struct str name)
{
    char text[64];
    unsigned char address[16];
    if (name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = str_make(name.ptr + 1, name.len - 2);
    if (name.len >= sizeof text)
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool iends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_ieq(str_from(s, s.len - suffix.len), suffix);
}

bool access_host_is_ours(const struct access_hosts *hosts, struct str authority)
{
    struct str name, port;
    if (!http_split_host(authority, &name, &port) || name.len == 0)
        return false;
    if (name.ptr[name.len - 1] == '.')
        name.len--;
    if (is_ip_literal(name) || str_ieq(name, STR("localhost")) || iends_with(name, STR(".consul")))
        return true;
    if ((hosts->hostname.len > 0 && str_ieq(name, hosts->hostname)) ||
        (hosts->fqdn.len > 0 && str_ieq(name, hosts->fqdn)))
        return true;
    struct str rest = hosts->more;
    struct str item;
    while (rest.len > 0 && str_split_next(&rest, ',', &item)) {
        item = str_trim(item);
        if (str_eq(item, STR("*")) || (item.len > 0 && str_ieq(name, item)))
            return true;
    }
    return false;
}

static bool is_own_origin(struct str value, struct str host)
{
    if (str_istarts_with(value, STR("http://"))) // "null" for a page without an origin
        value = str_from(value, 7);
    else if (str_istarts_with(value, STR("https://")))
        value = str_from(value, 8);
    else
        return false;
    return str_ieq(value, host);
}

bool access_is_same_origin(const struct http_head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (str_ieq(field->name, STR("Sec-Fetch-Site")) &&
            !str_ieq(field->value, STR("same-origin")))
            return false;
        if (str_ieq(field->name, STR("Origin")) && !is_own_origin(field->value, head->host))
            return false;
    }
    return true;
}

// By a proxy on this machine, one of our own routes included, on behalf of somebody who may be
// anywhere.
static bool is_forwarded(const struct http_head *head)
{
    static const struct str NAMES[] = {STR_INIT("X-Forwarded-For"), STR_INIT("Forwarded"),
                                       STR_INIT("X-Real-Ip")};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (http_find_name(head, NAMES[i]))
            return true;
    }
    return false;
}

enum access_verdict access_check_page(enum ui_access access)
{
    return access == UI_ACCESS_RO ? ACCESS_READ_ONLY : ACCESS_GRANTED;
}

enum access_verdict access_check_manual(enum ui_access access, const struct http_head *head,
                                        bool is_peer_loopback)
{
    if (access == UI_ACCESS_RO)
        return ACCESS_READ_ONLY;
    if (head->method == HTTP_METHOD_GET || head->method == HTTP_METHOD_HEAD)
        return ACCESS_GRANTED;
    if (!access_is_same_origin(head))
        return ACCESS_CROSS_SITE;
    if (access == UI_ACCESS_DEFAULT && (!is_peer_loopback || is_forwarded(head)))
        return ACCESS_NOT_LOOPBACK;
    return ACCESS_GRANTED;
}

bool access_path_is_clean(struct str path, struct buf *out)
{
    size_t start = out->len;
    struct str rest = str_from(path, 1);
    struct str segment;
    while (str_split_next(&rest, '/', &segment)) {
        if (segment.len == 0 || str_eq(segment, STR(".")))
            continue;
        if (str_eq(segment, STR(".."))) {
            struct str done = str_from(buf_str(out), start);
            ptrdiff_t slash = str_rfind_char(done, '/');
            out->len = start + (size_t)MAX(slash, (ptrdiff_t)0);
            continue;
        }
        buf_append_char(out, '/');
        buf_append_str(out, segment);
    }
    if (out->len == start || path.ptr[path.len - 1] == '/')
        buf_append_char(out, '/');
    bool is_clean = str_eq(str_from(buf_str(out), start), path);
    if (is_clean)
        out->len = start;
    return is_clean;
}
