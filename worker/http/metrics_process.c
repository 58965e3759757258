// process_*: what every Prometheus client says of its process, from /proc.
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "worker/http/metrics.h"

struct process_facts {
    double cpu_s, start_s, virtual_bytes, resident_bytes, n_threads;
};

// Fields of /proc/self/stat behind the name, which may hold anything: 14 utime, 15 stime, 20
// threads, 22 start in ticks after boot, 23 bytes, 24 pages.
static void read_stat(struct process_facts *f) {
    char line[1024] = "";
    unsigned long long user = 0, system = 0, start = 0, bytes = 0, pages = 0, threads = 0;
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file) return;
    size_t n = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[n] = 0;
    const char *rest = strrchr(line, ')');
    double ticks = (double)sysconf(_SC_CLK_TCK);
    if (!rest || sscanf(rest + 1,
                        " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %*s %*s %*s %*s "
                        "%llu %*s %llu %llu %llu",
                        &user, &system, &threads, &start, &bytes, &pages) != 6)
        return;
    f->cpu_s = (double)(user + system) / ticks;
    f->start_s = (double)start / ticks;
    f->n_threads = (double)threads;
    f->virtual_bytes = (double)bytes;
    f->resident_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double boot_s(void) {
    char line[256];
    unsigned long long at = 0;
    FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "btime %llu", &at) == 1) break;
    if (file) fclose(file);
    return (double)at;
}

static double count_fds(void) {
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (const struct dirent *e; dir && (e = readdir(dir));) n += e->d_name[0] != '.';
    if (dir) closedir(dir);
    return n ? n - 1 : 0; // one is the folder itself
}

static void write_one(struct buffer *out, const char *name, enum metrics_kind kind,
                      const char *help, double value) {
    metrics_head(out, name, kind, help);
    metrics_value(out, name, "", value);
}

void metrics_write_process(struct buffer *out) {
    struct process_facts f = {0};
    struct rlimit fds = {0};
    read_stat(&f);
    getrlimit(RLIMIT_NOFILE, &fds);
    write_one(out, "process_cpu_seconds_total", METRICS_COUNTER, "User and system time.", f.cpu_s);
    write_one(out, "process_resident_memory_bytes", METRICS_GAUGE, "Resident memory.",
              f.resident_bytes);
    write_one(out, "process_virtual_memory_bytes", METRICS_GAUGE, "Virtual memory.",
              f.virtual_bytes);
    write_one(out, "process_start_time_seconds", METRICS_GAUGE, "When it started, since 1970.",
              boot_s() + f.start_s);
    write_one(out, "process_open_fds", METRICS_GAUGE, "Open descriptors.", count_fds());
    write_one(out, "process_max_fds", METRICS_GAUGE, "Descriptors that may be open.",
              fds.rlim_cur == RLIM_INFINITY ? -1 : (double)fds.rlim_cur);
    write_one(out, "process_threads", METRICS_GAUGE, "Threads.", f.n_threads);
}
