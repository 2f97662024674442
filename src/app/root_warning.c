// SPDX-License-Identifier: Apache-2.0
#include "root_warning.h"

#include <unistd.h>

#include "base/log.h"

void root_warning_log(bool is_insecure)
{
    if (getuid() != 0)
        return;
    log_info("Running tagway as UID=%u EUID=%u GID=%u", getuid(), geteuid(), getgid());
    if (is_insecure)
        log_warn("You are running tagway as root with the '-insecure' flag");
    else
        log_warn("You are running tagway as root without the '-insecure' flag: give it a user of "
                 "its own, and CAP_NET_BIND_SERVICE for ports below 1024");
}
