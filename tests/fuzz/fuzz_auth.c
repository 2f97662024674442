// SPDX-License-Identifier: Apache-2.0
// What decides who may pass: htpasswd lines, Authorization fields, access rules and addresses. The
// first byte chooses; nothing may crash, and no rubbish may let anybody in.
#include "auth/htpasswd.h"
#include "http/basic.h"
#include "route/access.h"

#include <stdlib.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_htpasswd(struct str text)
{
    struct htpasswd *set = htpasswd_parse(text, NULL, NULL);
    if (!set)
        return;
    bool is_known;
    struct str name = str_upto(text, (size_t)MAX(str_find_char(text, ':'), (ptrdiff_t)0));
    struct str secret = htpasswd_secret(set, name, &is_known);
    BUG_ON(is_known && htpasswd_count(set) == 0);
    BUG_ON(secret.len > text.len);
    // A slow one would be no fuzzing.
    if (!htpasswd_is_slow(set, name)) {
        BUG_ON(htpasswd_verify(set, name, text) && !is_known);
        BUG_ON(htpasswd_verify(set, STR("no:body"), secret));
    }
    htpasswd_unref(set);
}

static void try_basic(struct str text)
{
    char room[HTTP_BASIC_MAX];
    struct str user, password;
    if (!http_basic_parse(text, room, &user, &password))
        return;
    BUG_ON(user.ptr != room || user.len + 1 + password.len > sizeof room);
    BUG_ON(password.ptr != user.ptr + user.len + 1);
    BUG_ON(str_find_char(user, ':') >= 0);
}

static void try_access(struct str text)
{
    struct access_rules rules;
    struct str bad_item;
    size_t room = access_room(text);
    struct ip_net *nets = mem_zalloc_array(room, sizeof *nets);
    if (!nets)
        return;
    access_parse(&rules, text, STR(""), nets, &bad_item);
    BUG_ON(rules.count > room || (rules.kind == ACCESS_CLOSED) != (bad_item.ptr != NULL));
    BUG_ON((rules.kind == ACCESS_OPEN) != (text.len == 0));
    uint8_t address[IP_LEN] = {0};
    for (size_t i = 0; i < text.len; i++)
        address[i % IP_LEN] ^= (uint8_t)text.ptr[i];
    bool is_allowed = access_permits(&rules, address);
    BUG_ON(is_allowed && rules.kind == ACCESS_CLOSED);
    for (size_t i = 0; i < rules.count && rules.kind == ACCESS_ALLOW; i++) {
        // A larger block may be written with an IPv4 address and yet be one of IPv6.
        BUG_ON(rules.nets[i].bits >= 96 && !access_permits(&rules, rules.nets[i].bytes));
    }
    // The same list turned round says the opposite.
    access_parse(&rules, STR(""), text, nets, &bad_item);
    if (rules.kind == ACCESS_DENY)
        BUG_ON(access_permits(&rules, address) == is_allowed);
    mem_free(nets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str text = str_make((const char *)data + 1, size - 1);
    switch (data[0] % 3) {
    case 0: try_htpasswd(text); break;
    case 1: try_basic(text); break;
    default: try_access(text);
    }
    return 0;
}

extern const int fuzz_survives_shortage;
const int fuzz_survives_shortage = 1;
