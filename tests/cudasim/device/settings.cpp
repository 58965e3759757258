#include "tests/cudasim/device/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace cudasim {

static const size_t GB = 1000000000, GIB = (size_t)1 << 30;
static const Device DEVICES[] = {
    {"a100", "NVIDIA A100-SXM4-80GB", 8, 0, 108, 80 * GIB, 164 << 10, 163 << 10, 2048, 32, 40 << 20,
     1410000, 1593000, 5120},
    {"l40s", "NVIDIA L40S", 8, 9, 142, 48 * GB, 100 << 10, 99 << 10, 1536, 24, 96 << 20, 2520000,
     9001000, 384},
    {"4090", "NVIDIA GeForce RTX 4090", 8, 9, 128, 24 * GB, 100 << 10, 99 << 10, 1536, 24, 72 << 20,
     2520000, 10501000, 384},
    {"h100", "NVIDIA H100 80GB HBM3", 9, 0, 132, 80 * GB, 228 << 10, 227 << 10, 2048, 32, 50 << 20,
     1980000, 2619000, 5120},
    {"h200", "NVIDIA H200", 9, 0, 132, 141 * GB, 228 << 10, 227 << 10, 2048, 32, 60 << 20, 1980000,
     3201000, 6144},
    {"b200", "NVIDIA B200", 10, 0, 148, 180 * GB, 228 << 10, 227 << 10, 2048, 32, 126 << 20,
     1965000, 3996000, 8192},
    {"5090", "NVIDIA GeForce RTX 5090", 12, 0, 170, 32 * GB, 100 << 10, 99 << 10, 1536, 24,
     96 << 20, 2407000, 14001000, 512},
};

Settings settings;

const Device *device_named(const char *name) {
    for (const Device &d : DEVICES)
        if (strcmp(d.name, name) == 0) return &d;
    return nullptr;
}

[[noreturn]] static void refuse(const char *variable, const char *value, const char *expected) {
    fprintf(stderr, "cudasim: %s is \"%s\"; expected %s.\n", variable, value, expected);
    abort();
}

static bool read_number(const char *variable, uint64_t *value) {
    const char *text = getenv(variable);
    if (!text || !*text) return false;
    char *end;
    *value = strtoull(text, &end, 10);
    if (*end || *text == '-') refuse(variable, text, "a number");
    return true;
}

static void read_when(const char *variable, When *when) {
    const char *text = getenv(variable);
    if (!text || !*text) return;
    if (strcmp(text, "late") == 0)
        *when = When::late;
    else if (strcmp(text, "early") == 0)
        *when = When::early;
    else if (strcmp(text, "random") == 0)
        *when = When::random;
    else
        refuse(variable, text, "late, early or random");
}

void settings_from_environment() {
    uint64_t n;
    const char *name = getenv("CUDASIM_DEVICE");
    const Device *device = device_named(name && *name ? name : "h100");
    if (!device) refuse("CUDASIM_DEVICE", name, "a100, l40s, 4090, h100, h200, b200 or 5090");
    settings.device = *device;
    if (read_number("CUDASIM_SEED", &n)) settings.seed = n;
    if (read_number("CUDASIM_SMS", &n) && n > 0) settings.device.n_sms = (int)n;
    if (read_number("CUDASIM_MEMORY", &n)) settings.device.memory_bytes = n;
    if (read_number("CUDASIM_THREADS", &n) && n > 0) settings.n_threads = (int)n;
    if (read_number("CUDASIM_COUNT", &n)) settings.count = n != 0;
    if (read_number("CUDASIM_SHUFFLE", &n)) settings.shuffle = n != 0;
    read_when("CUDASIM_COPIES", &settings.copies);
    read_when("CUDASIM_STREAMS", &settings.streams);
}

// Before anything of this module is called.
__attribute__((constructor)) static void at_load() {
    settings_from_environment();
}

} // namespace cudasim
