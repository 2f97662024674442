// SPDX-License-Identifier: Apache-2.0
#include "discover/own_targets.h"

#include "discover/problems.h"
#include "upstream/registry.h"

void own_targets_report(struct own_targets *own, struct targets *targets, struct problems *problems)
{
    uint64_t version = targets_own_version(targets);
    if (version == own->version)
        return;
    own->version = version;
    problems_begin(problems, STR("own targets"));
    struct target *target = NULL;
    while ((target = targets_next(targets, target))) {
        if (!target->endpoint || !endpoint_is_own(target->endpoint))
            continue;
        problems_add(problems,
                     &(struct problem){
                         .source = STR("table"),
                         .service = target->rule->service,
                         .text = target_dst(target),
                         .reason = STR("the target is this proxy itself: requests would go in "
                                       "circles, so it is not used"),
                         .is_lost = true,
                     });
    }
    problems_end(problems);
}
