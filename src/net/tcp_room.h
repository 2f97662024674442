// SPDX-License-Identifier: Apache-2.0
// How much the kernel would take for a TCP socket now. Pure but for two system calls; sock.c asks
// it before it reads what is to go there. In a file of its own because the kernel's header, which
// alone knows the peer's window, cannot stand beside the one that libuv's brings.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Bytes: what may be sent at once, and `notsent_max` beyond, which TCP_NOTSENT_LOWAT lets wait.
uint32_t tcp_room(int socket, uint32_t notsent_max);
