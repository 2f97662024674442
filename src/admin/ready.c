// SPDX-License-Identifier: Apache-2.0
#include "admin/ready.h"

#include <stdio.h>

#include "admin/api.h"

uint64_t ready_data_age_ms(const struct api *api)
{
    const struct backend *backend = api->sources.backend;
    return backend ? backend->ops->data_age_ms(backend->self) : UINT64_MAX;
}

bool ready_check(const struct api *api, char reason[READY_REASON_MAX])
{
    uint64_t age_ms = ready_data_age_ms(api);
    if (api->is_draining)
        snprintf(reason, READY_REASON_MAX, "draining");
    else if (!feed_is_synced(api->sources.feed))
        snprintf(reason, READY_REASON_MAX, "no routing table yet");
    else if (api->sources.is_listening && !api->sources.is_listening(api->sources.ctx))
        snprintf(reason, READY_REASON_MAX, "the listeners are not open yet");
    else if (api->config.stale_ready_ms > 0 && age_ms > api->config.stale_ready_ms)
        snprintf(reason, READY_REASON_MAX, "data is %llu s old",
                 (unsigned long long)(age_ms / 1000));
    else {
        snprintf(reason, READY_REASON_MAX, "ready");
        return true;
    }
    return false;
}
