// SPDX-License-Identifier: Apache-2.0
// Whether the process should be sent traffic: /ready and the metric. Control thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct api;

enum { READY_REASON_MAX = 80 };

// The answer and, terminated in `reason`, "ready" or why not.
bool ready_check(const struct api *api, char reason[READY_REASON_MAX]);
// Age of the registry's data; UINT64_MAX when never read or not known.
uint64_t ready_data_age_ms(const struct api *api);
