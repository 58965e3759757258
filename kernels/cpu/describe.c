// The processor's name, and what this process may use of the machine.
#include <stdio.h>
#include <string.h>

#include "kernels/cpu/backend.h"
#include "protocol/base/machine.h"

// "model name : NAME" of /proc/cpuinfo.
static void read_name(char *name, size_t size) {
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(name, size, "processor");
    while (f && fgets(line, sizeof line, f)) {
        char *at = strncmp(line, "model name", 10) == 0 ? strstr(line, ": ") : NULL;
        if (!at) continue;
        at[strcspn(at, "\n")] = 0;
        snprintf(name, size, "%s", at + 2);
        break;
    }
    if (f) fclose(f);
}

int cpu_describe(int device, const char *path, struct device_facts *out, struct error *err) {
    (void)device; // there is one
    const struct isa *isa = cpu_isa(path, err);
    *out = (struct device_facts){0};
    if (!isa) return -1;
    read_name(out->name, sizeof out->name);
    snprintf(out->path, sizeof out->path, "%s", isa->name);
    out->n_units = machine_n_cores();
    out->n_nodes = __builtin_popcountll(machine_nodes());
    out->memory_bytes = out->free_bytes = machine_available_bytes();
    return 0;
}
