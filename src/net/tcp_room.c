// SPDX-License-Identifier: Apache-2.0
#include "tcp_room.h"

#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/attr.h"

uint32_t tcp_room(int socket, uint32_t notsent_max)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;
    struct tcp_info info = {0}; // an older kernel leaves out what it does not know
    socklen_t info_size = sizeof info;
    if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0 ||
        getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &info_size) != 0)
        return notsent_max;
    uint32_t used = memory[SK_MEMINFO_WMEM_QUEUED];
    // The kernel counts its own overhead too, up to as much again.
    uint32_t room = memory[SK_MEMINFO_SNDBUF] > used ? (memory[SK_MEMINFO_SNDBUF] - used) / 2 : 0;
    // Who reads has a window that takes more than is ever kept here; who does not has none left.
    uint64_t mss = info.tcpi_snd_mss;
    uint64_t window = MIN(info.tcpi_snd_cwnd * mss, (uint64_t)info.tcpi_snd_wnd);
    uint64_t on_its_way = info.tcpi_unacked * mss;
    uint64_t takes = notsent_max + (window > on_its_way ? window - on_its_way : 0);
    takes -= MIN(takes, (uint64_t)info.tcpi_notsent_bytes);
    return (uint32_t)MIN((uint64_t)room, takes);
}
