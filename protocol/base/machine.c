#include "protocol/base/machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, MAX_CORES = 4096 };

// ---- control groups: version 2 has one tree, version 1 one for each controller

struct group {
    char path[PATH_BYTES]; // of the directory
    size_t root_bytes;     // length of the mount point in front
};

// The directory of this process's group below `mount`, by the line of /proc/self/cgroup with
// `controller` ("" for version 2). Where the mount shows only the group itself (a container), the
// path of the line does not exist below it and the mount is the group.
static bool find_group(const char *root, const char *controller, const char *mount,
                       struct group *out) {
    char path[PATH_BYTES], line[PATH_BYTES];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "r");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        char *names = strchr(line, ':'), *at = names ? strchr(names + 1, ':') : NULL;
        if (!at) continue;
        *at++ = 0;
        at[strcspn(at, "\n")] = 0;
        found = false;
        for (char *name = names + 1, *next; name && !found; name = next) {
            next = strchr(name, ',');
            if (next) *next++ = 0;
            found = strcmp(name, controller) == 0;
        }
        if (!found) continue;
        int n = snprintf(out->path, sizeof out->path, "%s%s", root, mount);
        out->root_bytes = (size_t)n;
        snprintf(path, sizeof path, "%.500s%.500s", out->path, at);
        if (access(path, R_OK) == 0 && strlen(at) < 500)
            snprintf(out->path, PATH_BYTES, "%s", path);
    }
    if (file) fclose(file);
    return found && access(out->path, R_OK) == 0;
}

// To the parent group; false at the root.
static bool go_up(struct group *g) {
    char *slash = strrchr(g->path, '/');
    if (strlen(g->path) <= g->root_bytes || !slash || (size_t)(slash - g->path) < g->root_bytes)
        return false;
    *slash = 0;
    return true;
}

static bool read_text(const struct group *g, const char *name, char out[64]) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", g->path, name);
    FILE *file = fopen(path, "r");
    bool got = file && fgets(out, 64, file);
    if (file) fclose(file);
    return got;
}

static bool read_number(const struct group *g, const char *name, uint64_t *out) {
    char text[64], *end;
    if (!read_text(g, name, text) || text[0] < '0' || text[0] > '9') return false;
    *out = strtoull(text, &end, 10);
    return true;
}

// ---- processors

static int smaller(int a, int b) {
    return a < b ? a : b;
}

// quota / period, rounded up.
static int cores_of(uint64_t quota, uint64_t period, int n) {
    if (!period || quota / period >= MAX_CORES) return n;
    int cores = (int)((quota + period - 1) / period);
    return smaller(n, cores < 1 ? 1 : cores);
}

int machine_n_cores_at(const char *root, int n_allowed) {
    struct group g;
    char text[64];
    unsigned long long quota, period;
    uint64_t old_quota, old_period;
    int n = n_allowed < 1 ? 1 : n_allowed;
    if (find_group(root, "", "/sys/fs/cgroup", &g)) do {
            if (read_text(&g, "cpu.max", text) && sscanf(text, "%llu %llu", &quota, &period) == 2)
                n = cores_of(quota, period, n);
        } while (go_up(&g));
    if (find_group(root, "cpu", "/sys/fs/cgroup/cpu", &g)) do {
            if (read_number(&g, "cpu.cfs_quota_us", &old_quota) &&
                read_number(&g, "cpu.cfs_period_us", &old_period))
                n = cores_of(old_quota, old_period, n);
        } while (go_up(&g));
    return n;
}

int machine_n_cores(void) {
    // A mask that is larger than the kernel's is filled as far as the kernel's goes.
    size_t bytes = CPU_ALLOC_SIZE(MAX_CORES);
    cpu_set_t *set = CPU_ALLOC(MAX_CORES);
    int n = set && sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 1;
    CPU_FREE(set);
    return machine_n_cores_at("", n);
}

// ---- memory

static uint64_t lesser(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

// A field of memory.stat, in bytes.
static uint64_t stat_field(const struct group *g, const char *name) {
    char path[PATH_BYTES + 64], line[128], found[64];
    unsigned long long value, bytes = 0;
    snprintf(path, sizeof path, "%s/memory.stat", g->path);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%63s %llu", found, &value) == 2 && strcmp(found, name) == 0)
            bytes = value;
    if (file) fclose(file);
    return bytes;
}

// What is left in a group and those above it, of `have`. `cache` is what memory.stat calls the page
// cache that is given back when it is needed.
static uint64_t left_in(struct group *g, const char *limit_name, const char *used_name,
                        const char *cache, uint64_t have) {
    do {
        uint64_t limit, used;
        if (!read_number(g, limit_name, &limit) || !read_number(g, used_name, &used)) continue;
        used -= lesser(used, stat_field(g, cache));
        have = lesser(have, limit > used ? limit - used : 1);
    } while (go_up(g));
    return have;
}

uint64_t machine_available_bytes_at(const char *root) {
    unsigned long long kib = 0;
    char path[PATH_BYTES], line[128];
    struct group g;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (file) fclose(file);
    uint64_t have = kib ? (uint64_t)kib * 1024 : UINT64_MAX;
    if (find_group(root, "", "/sys/fs/cgroup", &g))
        have = left_in(&g, "memory.max", "memory.current", "inactive_file", have);
    if (find_group(root, "memory", "/sys/fs/cgroup/memory", &g))
        have = left_in(&g, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
                       have);
    return have == UINT64_MAX ? 0 : have;
}

uint64_t machine_available_bytes(void) {
    return machine_available_bytes_at("");
}
