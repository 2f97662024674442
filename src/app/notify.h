// SPDX-License-Identifier: Apache-2.0
// Tells systemd how the process is, where it asks for that (Type=notify): see sd_notify(3), whose
// protocol is one datagram. Control thread.
#pragma once

#include "base/attr.h"

// "READY=1", "STOPPING=1", several separated by newlines. Nothing happens without NOTIFY_SOCKET.
void notify_send(const char *fmt, ...) PRINTF_LIKE(1, 2);
// What announces a reload; "READY=1" ends it.
void notify_reloading(void);
