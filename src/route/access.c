// SPDX-License-Identifier: Apache-2.0
#include "route/access.h"

static bool is_separator(char c)
{
    return c == ',' || c == ';' || c == '|';
}

size_t access_room(struct str list)
{
    size_t count = 1;
    for (size_t i = 0; i < list.len; i++)
        count += is_separator(list.ptr[i]);
    return count;
}

static bool item_next(struct str *rest, struct str *item)
{
    if (rest->len == 0)
        return false;
    size_t end = 0;
    while (end < rest->len && !is_separator(rest->ptr[end]))
        end++;
    *item = str_trim(str_upto(*rest, end));
    *rest = str_from(*rest, end + 1);
    return true;
}

static bool parse_item(struct str item, struct ip_net *net)
{
    ptrdiff_t colon = str_find_char(item, ':');
    return colon >= 0 && str_ieq(str_trim(str_upto(item, (size_t)colon)), STR("ip")) &&
           ip_net_parse(str_trim(str_from(item, (size_t)colon + 1)), net);
}

void access_parse(struct access_rules *rules, struct str allow, struct str deny,
                  struct ip_net *room, struct str *bad_item)
{
    *rules = (struct access_rules){.kind = ACCESS_OPEN, .nets = room};
    *bad_item = STR_NULL;
    struct str rest = allow.len ? allow : deny, item = rest;
    if (rest.len == 0)
        return;
    rules->kind = allow.len && deny.len ? ACCESS_CLOSED : allow.len ? ACCESS_ALLOW : ACCESS_DENY;
    while (rules->kind != ACCESS_CLOSED && item_next(&rest, &item)) {
        if (item.len == 0)
            continue; // a separator too many
        if (parse_item(item, &rules->nets[rules->count])) {
            rules->count++;
        } else {
            rules->kind = ACCESS_CLOSED;
            *bad_item = item;
        }
    }
    if (rules->kind != ACCESS_CLOSED && rules->count == 0) {
        rules->kind = ACCESS_CLOSED; // nothing but separators
        *bad_item = allow.len ? allow : deny;
    }
}

bool access_permits(const struct access_rules *rules, const uint8_t address[IP_LEN])
{
    if (rules->kind == ACCESS_OPEN || rules->kind == ACCESS_CLOSED)
        return rules->kind == ACCESS_OPEN;
    for (size_t i = 0; i < rules->count; i++) {
        if (ip_net_has(&rules->nets[i], address))
            return rules->kind == ACCESS_ALLOW;
    }
    return rules->kind == ACCESS_DENY;
}
