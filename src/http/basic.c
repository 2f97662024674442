// SPDX-License-Identifier: Apache-2.0
#include "http/basic.h"

#include "base/base64.h"

bool http_basic_parse(struct str authorization, char room[HTTP_BASIC_MAX], struct str *user,
                      struct str *password)
{
    if (!str_istarts_with(authorization, STR("Basic ")))
        return false;
    struct str encoded = str_trim(str_from(authorization, 6));
    size_t len;
    if (BASE64_ROOM(encoded.len) > HTTP_BASIC_MAX || !base64_decode(encoded, room, &len))
        return false;
    struct str both = str_make(room, len);
    ptrdiff_t colon = str_find_char(both, ':');
    if (colon < 0)
        return false;
    *user = str_upto(both, (size_t)colon);
    *password = str_from(both, (size_t)colon + 1);
    return true;
}
