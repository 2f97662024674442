// SPDX-License-Identifier: Apache-2.0
// How many client connections each address has, in memory of a fixed size: a count-min sketch. Two
// rows of counters, in each an address has one cell, and the smaller of the two is its number. It
// can only be too high, when others share both cells. The hash is seeded, so nobody can choose whom
// to share with. An IPv6 network of 64 bits is one address. Each worker has its own.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

enum { ADDRESS_ROWS = 2, ADDRESS_CELLS = 4096 };

struct address_counts {
    uint64_t seed;
    uint32_t cells[ADDRESS_ROWS][ADDRESS_CELLS];
};

// Where an address is counted; kept by what was counted until it is dropped.
struct address_mark {
    uint16_t cell[ADDRESS_ROWS];
    bool is_counted;
};

// Counts one more, unless there are `max` already.
bool address_counts_add(struct address_counts *counts, const uint8_t bytes[IP_LEN], uint32_t max,
                        struct address_mark *mark);
// Idempotent; of a mark that was never counted too.
void address_counts_drop(struct address_counts *counts, struct address_mark *mark);
