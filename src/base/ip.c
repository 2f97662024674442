// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

enum { V4_OFFSET = 12 };

static const uint8_t V4_PREFIX[V4_OFFSET] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// A fraction of the work of inet_pton and no terminator, which counts with 100,000 addresses.
bool ip_parse_v4(struct str text, uint8_t bytes[4])
{
    unsigned value = 0, count = 0;
    bool has_digit = false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit <= 9) {
            if (has_digit && value == 0)
                return false; // a leading zero, which some read as octal
            value = value * 10 + digit;
            if (value > 255)
                return false;
            has_digit = true;
        } else if (text.ptr[i] == '.' && has_digit && count < 3) {
            bytes[count++] = (uint8_t)value;
            value = 0;
            has_digit = false;
        } else {
            return false;
        }
    }
    bytes[count] = (uint8_t)value;
    return has_digit && count == 3;
}

static bool parse(struct str text, uint8_t bytes[IP_LEN], bool *is_dotted)
{
    char room[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof room || str_find_char(text, '\0') >= 0)
        return false;
    memcpy(room, text.ptr, text.len);
    room[text.len] = '\0';
    memcpy(bytes, V4_PREFIX, sizeof V4_PREFIX);
    *is_dotted = ip_parse_v4(text, bytes + V4_OFFSET);
    return *is_dotted || inet_pton(AF_INET6, room, bytes) == 1;
}

bool ip_parse(struct str text, uint8_t bytes[IP_LEN])
{
    bool is_dotted;
    return parse(text, bytes, &is_dotted);
}

bool ip_net_parse(struct str text, struct ip_net *net)
{
    ptrdiff_t slash = str_find_char(text, '/');
    bool is_dotted;
    if (!parse(slash < 0 ? text : str_upto(text, (size_t)slash), net->bytes, &is_dotted))
        return false;
    uint64_t bits = is_dotted ? 32 : 128;
    uint64_t max = bits;
    if (slash >= 0 && (!str_to_u64(str_from(text, (size_t)slash + 1), &bits) || bits > max))
        return false;
    net->bits = (uint8_t)(bits + (is_dotted ? 8 * V4_OFFSET : 0));
    return true;
}

static bool is_v4(const uint8_t bytes[IP_LEN])
{
    return memcmp(bytes, V4_PREFIX, sizeof V4_PREFIX) == 0;
}

bool ip_net_has(const struct ip_net *net, const uint8_t bytes[IP_LEN])
{
    unsigned whole = net->bits / 8;
    unsigned rest = net->bits % 8;
    if (whole < V4_OFFSET && is_v4(bytes))
        return false;
    return memcmp(bytes, net->bytes, whole) == 0 &&
           (rest == 0 || (bytes[whole] ^ net->bytes[whole]) >> (8 - rest) == 0);
}
