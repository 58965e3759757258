// NUMA nodes: parts of the memory, each near to some processors. Where the system tells of none,
// there is one.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/machine.h"

enum { MAX_LISTED = 4096, LIST_BYTES = 4096, MAX_NODES = 64 };

// A set of numbers as the kernel lists it: "0-3,8,10-11".
struct listed {
    uint64_t bits[MAX_LISTED / 64];
};

static bool holds(const struct listed *l, unsigned long i) {
    return l->bits[i / 64] >> (i % 64) & 1;
}

// What is no list ends it; numbers beyond MAX_LISTED are left out.
static struct listed parse_list(const char *at) {
    struct listed l = {{0}};
    for (;;) {
        char *end;
        if (*at < '0' || *at > '9') return l;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (*end == '-') last = strtoul(end + 1, &end, 10);
        for (unsigned long i = first; i <= last && i < MAX_LISTED; i++)
            l.bits[i / 64] |= 1ull << (i % 64);
        if (*end != ',') return l;
        at = end + 1;
    }
}

static struct listed read_list(const char *root, const char *path) {
    char whole[1024], text[LIST_BYTES] = "";
    snprintf(whole, sizeof whole, "%s%s", root, path);
    FILE *file = fopen(whole, "r");
    if (!file) return (struct listed){{0}};
    if (!fgets(text, sizeof text, file)) text[0] = 0;
    fclose(file);
    return parse_list(text);
}

// The list behind `name` in /proc/self/status.
static struct listed read_allowed(const char *root, const char *name) {
    struct listed l = {{0}};
    char path[1024], line[LIST_BYTES];
    snprintf(path, sizeof path, "%s/proc/self/status", root);
    FILE *file = fopen(path, "r");
    size_t n = strlen(name);
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, n) == 0) l = parse_list(line + n + strspn(line + n, "\t "));
    if (file) fclose(file);
    return l;
}

static bool meet(const struct listed *a, const struct listed *b) {
    for (int i = 0; i < MAX_LISTED / 64; i++)
        if (a->bits[i] & b->bits[i]) return true;
    return false;
}

uint64_t machine_nodes_at(const char *root) {
    struct listed online = read_list(root, "/sys/devices/system/node/online");
    struct listed memory = read_allowed(root, "Mems_allowed_list:");
    struct listed processors = read_allowed(root, "Cpus_allowed_list:");
    uint64_t nodes = 0;
    for (unsigned i = 0; i < MAX_NODES; i++) {
        char path[64];
        if (!holds(&online, i) || !holds(&memory, i)) continue;
        snprintf(path, sizeof path, "/sys/devices/system/node/node%u/cpulist", i);
        struct listed near = read_list(root, path);
        if (meet(&near, &processors)) nodes |= 1ull << i;
    }
    return nodes ? nodes : 1;
}

uint64_t machine_nodes(void) {
    return machine_nodes_at("");
}
