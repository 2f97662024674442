// SPDX-License-Identifier: Apache-2.0
//
// X-Forwarded-For is read from its end, where the trusted peer has written whom it speaks for.
// While members are trusted proxies themselves, the next one is as good as the peer's word; from
// the first that is not, all further ones may be the client's invention. They count like the
// others, as any of them can only close the route; but whether they are addresses at all says
// nothing there, while in the vouched-for part what is no address closes it.
#include "proxy/guard.h"

#include "base/ip.h"
#include "proxy/stream.h"

enum { MEMBERS_MAX = 64 }; // longer chains are no honest ones, and cost too much to judge

struct walk {
    const struct access_rules *rules;
    const struct proxy_config *config;
    bool is_vouched_for; // every member seen so far is a trusted proxy
    unsigned members;
};

static bool is_trusted(const struct proxy_config *config, const uint8_t address[IP_LEN])
{
    for (unsigned i = 0; i < config->trusted_count; i++) {
        if (ip_net_has(&config->trusted[i], address))
            return true;
    }
    return false;
}

// Some balancers add a port: "1.2.3.4:5", "[::1]:5".
static bool parse_member(struct str text, uint8_t address[IP_LEN])
{
    ptrdiff_t colon = str_rfind_char(text, ':');
    if (ip_parse(text, address))
        return true;
    if (text.len > 0 && text.ptr[0] == '[') {
        ptrdiff_t end = str_find_char(text, ']');
        return end > 0 && ip_parse(str_make(text.ptr + 1, (size_t)end - 1), address);
    }
    return colon > 0 && ip_parse(str_upto(text, (size_t)colon), address);
}

static bool permits_member(struct walk *walk, struct str member)
{
    uint8_t address[IP_LEN];
    member = str_trim(member);
    if (member.len == 0)
        return true;
    if (++walk->members > MEMBERS_MAX)
        return false;
    if (!parse_member(member, address))
        return !walk->is_vouched_for;
    walk->is_vouched_for = walk->is_vouched_for && is_trusted(walk->config, address);
    return access_permits(walk->rules, address);
}

static bool permits_list(struct walk *walk, struct str list)
{
    for (bool is_last = false; !is_last;) {
        ptrdiff_t comma = str_rfind_char(list, ',');
        is_last = comma < 0;
        if (!permits_member(walk, str_from(list, (size_t)(comma + 1))))
            return false;
        list = is_last ? list : str_upto(list, (size_t)comma);
    }
    return true;
}

bool guard_permits(const struct route_def *def, const struct http_head *head,
                   const struct stream *stream, const struct proxy_config *config)
{
    const struct access_rules *rules = &def->rule->access;
    uint8_t peer[IP_LEN];
    if (rules->kind == ACCESS_OPEN)
        return true;
    if (!ip_parse(stream_peer_ip(stream), peer) || !access_permits(rules, peer))
        return false;
    if (!stream->is_peer_trusted)
        return true;
    struct walk walk = {.rules = rules, .config = config, .is_vouched_for = true};
    for (size_t i = head->field_count; i > 0; i--) {
        const struct http_field *field = &head->fields[i - 1];
        if (field->id == HTTP_FIELD_X_FORWARDED_FOR && !permits_list(&walk, field->value))
            return false;
    }
    return true;
}
