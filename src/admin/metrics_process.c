// SPDX-License-Identifier: Apache-2.0
// What Prometheus expects of every process.
#include <dirent.h>
#include <sys/resource.h>
#include <uv.h>

#include "admin/metrics_parts.h"
#include "base/mem.h"

void metrics_write_process(struct buf *out, uint64_t started_us)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        prom_family(out, "process_cpu_seconds_total", "counter", "User and system CPU time spent.");
        prom_sample_f64(out, "process_cpu_seconds_total", NULL, 0, seconds);
    }
    size_t resident;
    if (uv_resident_set_memory(&resident) == 0)
        metrics_gauge_u64(out, "process_resident_memory_bytes", "Resident memory size.", resident);
    metrics_gauge_u64(out, "tagway_heap_bytes",
                      "Memory in use by tagway itself, what libraries allocate not included.",
                      mem_in_use());
    DIR *dir = opendir("/proc/self/fd");
    if (dir) {
        uint64_t count = 0;
        while (readdir(dir))
            count++;
        closedir(dir);
        // ".", ".." and the directory's own descriptor.
        metrics_gauge_u64(out, "process_open_fds", "Open file descriptors.",
                          count > 3 ? count - 3 : 0);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metrics_gauge_f64(out, "process_max_fds", "Limit of open file descriptors.",
                          (double)limit.rlim_cur);
    metrics_gauge_f64(out, "process_start_time_seconds",
                      "Start time of the process since the Unix epoch.", (double)started_us / 1e6);
}
