// SPDX-License-Identifier: Apache-2.0
// Tells of targets that lead back to this process (endpoint.is_own), as problems. Called by app
// after each published table and every second, as names may come to lead here; costs nothing while
// nothing has changed. Control thread.
#pragma once

#include <stdint.h>

struct problems;
struct targets;

struct own_targets {
    uint64_t version; // that the problems speak of; starts with 0
};

void own_targets_report(struct own_targets *own, struct targets *targets,
                        struct problems *problems);
