// SPDX-License-Identifier: Apache-2.0
#include "proxy/address_counts.h"

#include <string.h>

#include "base/attr.h"
#include "base/hash.h"

static const uint8_t V4_PREFIX[12] = {[10] = 0xff, [11] = 0xff};

bool address_counts_add(struct address_counts *counts, const uint8_t bytes[IP_LEN], uint32_t max,
                        struct address_mark *mark)
{
    bool is_v4 = memcmp(bytes, V4_PREFIX, sizeof V4_PREFIX) == 0;
    uint64_t hash = hash_bytes(bytes, is_v4 ? IP_LEN : 8, counts->seed);
    uint32_t number = UINT32_MAX;
    for (unsigned row = 0; row < ADDRESS_ROWS; row++) {
        mark->cell[row] = (uint16_t)((hash >> (row * 32)) % ADDRESS_CELLS);
        number = MIN(number, counts->cells[row][mark->cell[row]]);
    }
    mark->is_counted = number < max;
    for (unsigned row = 0; row < ADDRESS_ROWS && mark->is_counted; row++)
        counts->cells[row][mark->cell[row]]++;
    return mark->is_counted;
}

void address_counts_drop(struct address_counts *counts, struct address_mark *mark)
{
    for (unsigned row = 0; row < ADDRESS_ROWS && mark->is_counted; row++)
        counts->cells[row][mark->cell[row]]--;
    mark->is_counted = false;
}
