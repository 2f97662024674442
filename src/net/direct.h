// SPDX-License-Identifier: Apache-2.0
// recv and send asked of the kernel by number: libc's let a thread be cancelled while they wait,
// which no thread of ours is, and take two locked exchanges each for that, a fiftieth of what a
// request takes. Errors as there: -1 and errno. Private to the net layer; any thread.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"

// Sanitizers know what libc's write to and read from.
static inline ssize_t direct_recv(int fd, void *bytes, size_t len, int flags)
{
    return IS_SANITIZED ? recv(fd, bytes, len, flags)
                        : syscall(SYS_recvfrom, fd, bytes, len, flags, NULL, NULL);
}

static inline ssize_t direct_send(int fd, const void *bytes, size_t len, int flags)
{
    return IS_SANITIZED ? send(fd, bytes, len, flags)
                        : syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}
