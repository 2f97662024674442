// SPDX-License-Identifier: Apache-2.0
// How many CPUs the process may use, for the number of workers. At start.
#pragma once

#include "base/str.h"

// CPUs of the affinity mask, or fewer when the process's control group has a quota below that. At
// least 1.
unsigned cpus_allowed(void);

// CPUs of a quota, rounded up, at least 1: "200000 100000" (cpu.max) is 2. 0 for "max ..." and what
// is no quota.
unsigned cpus_of_quota(struct str text);
