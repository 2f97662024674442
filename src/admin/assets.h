// SPDX-License-Identifier: Apache-2.0
// The UI's files (src/admin/ui), made part of the program by embed.py.
#pragma once

#include "base/str.h"

struct asset {
    struct str name; // file name without folder
    struct str type; // media type
    struct str bytes;
};

extern const struct asset ASSETS[];
extern const size_t ASSET_COUNT;

// NULL when there is none of that name.
const struct asset *asset_find(struct str name);
