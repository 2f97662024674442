// SPDX-License-Identifier: Apache-2.0
// Request targets and authorities: three lines, the path (and query), an authority or strip, a
// destination or prepend. What is matched and what is sent on must be the same place, and a
// redirect must lead nowhere but where its author said.
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "http/target.h"

enum { ROOM = 1 << 16 };

static char normal_room[ROOM], again_room[ROOM], out[4 * ROOM];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_dot_segment(struct str path)
{
    struct str rest = path;
    struct str segment;
    while (rest.len > 0 && str_split_next(&rest, '/', &segment)) {
        if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return true;
    }
    return false;
}

static void check_clean(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        BUG_ON((uint8_t)text.ptr[i] <= ' ' || (uint8_t)text.ptr[i] >= 0x7f);
}

static void try_path(struct str path, struct str strip, struct str prepend)
{
    struct str normal, again;
    int rc = http_normalise_path(path, normal_room, &normal);
    if (rc < 0)
        return;
    BUG_ON(normal.len > path.len || normal.len == 0 || normal.ptr[0] != '/');
    BUG_ON(has_dot_segment(normal) || str_find(normal, STR("//")) >= 0);
    BUG_ON(memchr(normal.ptr, '\0', normal.len) || memchr(normal.ptr, '\\', normal.len));
    int len = http_rewrite_path(path, normal, STR_NULL, STR_NULL, out, sizeof out);
    BUG_ON(len <= 0 || out[0] != '/');
    // Whoever reads what is sent on comes to the path that was matched.
    BUG_ON(http_normalise_path(str_make(out, (size_t)len), again_room, &again) < 0);
    BUG_ON(!str_eq(again, normal));
    len = http_rewrite_path(path, normal, strip, prepend, out, sizeof out);
    if (len >= 0)
        BUG_ON(len == 0 || out[0] != '/');
}

static bool is_received(struct str path)
{
    for (size_t i = 0; i < path.len; i++) {
        if ((uint8_t)path.ptr[i] <= ' ' || (uint8_t)path.ptr[i] >= 0x7f || path.ptr[i] == '#' ||
            path.ptr[i] == '?')
            return false;
    }
    return path.len > 0 && path.ptr[0] == '/' && path.len < ROOM;
}

static void try_redirect(struct str path, struct str query, bool has_query, struct str host,
                         struct str dst)
{
    struct str normal, name, port;
    if (http_normalise_path(path, normal_room, &normal) < 0 || !http_split_host(host, &name, &port))
        return;
    int len = http_redirect_location(dst, STR_NULL, STR_NULL, host, path, normal, has_query, query,
                                     out, sizeof out);
    if (len >= 0)
        check_clean(str_make(out, (size_t)len));
}

static void try_host(struct str authority)
{
    struct str name, port;
    if (!http_split_host(authority, &name, &port))
        return;
    BUG_ON(name.len == 0 || name.len > authority.len || port.len > authority.len);
    check_clean(authority);
    for (size_t i = 0; i < port.len; i++)
        BUG_ON(port.ptr[i] < '0' || port.ptr[i] > '9');
    BUG_ON(str_find_char(authority, '@') >= 0 || str_find_char(authority, '/') >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > ROOM / 4)
        return 0;
    struct str rest = str_make((const char *)data, size);
    struct str lines[3] = {{0}};
    for (int i = 0; i < 3 && rest.len > 0; i++)
        if (!str_split_next(&rest, '\n', &lines[i]))
            break;
    ptrdiff_t mark = str_find_char(lines[0], '?');
    struct str path = mark < 0 ? lines[0] : str_upto(lines[0], (size_t)mark);
    struct str query = mark < 0 ? STR_NULL : str_from(lines[0], (size_t)mark + 1);
    try_host(lines[1]);
    if (!is_received(path))
        return 0;
    try_path(path, lines[1], lines[2]);
    bool is_query_received = query.len == 0;
    for (size_t i = 0; i < query.len; i++)
        is_query_received = (uint8_t)query.ptr[i] > ' ' && (uint8_t)query.ptr[i] < 0x7f;
    if (is_query_received)
        try_redirect(path, query, mark >= 0, lines[1], lines[2]);
    return 0;
}
