// SPDX-License-Identifier: Apache-2.0
// Tells who runs the process as root that it need not be, as fabio does: at the start, once the
// listeners are open, and every hour. Control thread.
#pragma once

#include <stdbool.h>

enum { ROOT_WARNING_INTERVAL_MS = 60 * 60 * 1000 };

// Silent for any other user. is_insecure: the operator has said that it is intended.
void root_warning_log(bool is_insecure);
