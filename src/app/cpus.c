// SPDX-License-Identifier: Apache-2.0
#include "app/cpus.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

unsigned cpus_of_quota(struct str text)
{
    struct str quota_text, period_text;
    uint64_t quota, period;
    if (!str_token_next(&text, &quota_text) || !str_token_next(&text, &period_text) ||
        !str_to_u64(quota_text, &quota) || !str_to_u64(period_text, &period) || period == 0)
        return 0;
    uint64_t cpus = quota / period + (quota % period != 0);
    return (unsigned)MIN(MAX(cpus, (uint64_t)1), (uint64_t)UINT16_MAX);
}

// A short file as text; empty when it cannot be read.
static struct str read_text(const char *path, char *room, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STR_NULL;
    ssize_t len = read(fd, room, size);
    close(fd);
    return len > 0 ? str_make(room, (size_t)len) : STR_NULL;
}

// Control groups version 2: the process's own group, as its namespace shows it, and all above it.
static unsigned quota_v2(void)
{
    char room[4096];
    struct str text = read_text("/proc/self/cgroup", room, sizeof room);
    ptrdiff_t at = str_find(text, STR("0::"));
    if (at < 0)
        return 0;
    struct str group = str_from(text, (size_t)at + 3);
    ptrdiff_t end = str_find_char(group, '\n');
    group = str_trim(end < 0 ? group : str_upto(group, (size_t)end));
    unsigned least = 0;
    while (str_starts_with(group, STR("/"))) {
        char path[4352];
        char quota[64];
        snprintf(path, sizeof path, "/sys/fs/cgroup%.*s/cpu.max", STR_FMT(group));
        unsigned cpus = cpus_of_quota(read_text(path, quota, sizeof quota));
        least = cpus && (least == 0 || cpus < least) ? cpus : least;
        group = str_upto(group, (size_t)str_rfind_char(group, '/'));
    }
    return least;
}

static unsigned quota_v1(void)
{
    char quota[64], period[64], both[160];
    struct str q = read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota);
    struct str p = read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period);
    int len = snprintf(both, sizeof both, "%.*s %.*s", STR_FMT(str_trim(q)), STR_FMT(str_trim(p)));
    return cpus_of_quota(str_make(both, (size_t)len)); // "-1 100000" is no quota
}

unsigned cpus_allowed(void)
{
    unsigned cpus = MAX(uv_available_parallelism(), 1U);
    unsigned quota = quota_v2();
    if (quota == 0)
        quota = quota_v1();
    return quota ? MIN(cpus, quota) : cpus;
}
