// SPDX-License-Identifier: Apache-2.0
// The process's clocks. Monotonic for durations and deadlines, wall for people. Safe on any thread.
#pragma once

#include <stdint.h>

// Microseconds / milliseconds since an arbitrary start; never goes back.
uint64_t clock_now_us(void);
uint64_t clock_now_ms(void);

// Microseconds since the Unix epoch, UTC.
uint64_t clock_wall_us(void);
