#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cpu/cpu.h"

enum { MAX_NAME = 32, PATH_BYTES = 4096 };

// "NAME" or "NAME:INDEX", a name being letters and digits.
static int split(const char *device, char name[MAX_NAME], int *index) {
    size_t len = strspn(device, "abcdefghijklmnopqrstuvwxyz0123456789");
    char *end = NULL;
    *index = 0;
    if (!len || len >= MAX_NAME || (device[len] && device[len] != ':')) return -1;
    memcpy(name, device, len);
    name[len] = 0;
    if (!device[len]) return 0;
    const char *digits = device + len + 1;
    if (!digits[strspn(digits, "0123456789")] && *digits && strlen(digits) <= 4)
        *index = (int)strtol(digits, &end, 10);
    return end ? 0 : -1;
}

// The shared object of a backend: beside the program, or in ../lib as `make install` lays it.
static void find_object(const char *name, char path[PATH_BYTES]) {
    char self[PATH_BYTES - 64];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len < 0 ? 0 : len] = 0;
    char *slash = strrchr(self, '/');
    if (slash) *slash = 0;
    snprintf(path, PATH_BYTES, "%s/../lib/stampede_%s.so", self, name);
    if (access(path, R_OK)) snprintf(path, PATH_BYTES, "%s/stampede_%s.so", self, name);
}

static const struct backend_ops *open_object(const char *name, const char *path,
                                             struct error *err) {
    // Never closed: the table and its functions are used until the program ends.
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        error_set(err, ERROR_CONFIG, "Device '%s' cannot be opened: %s.", name, dlerror());
        return NULL;
    }
    const struct backend_ops *ops = dlsym(object, KERNELS_SYMBOL);
    if (ops && ops->abi == KERNELS_ABI) return ops;
    if (ops)
        error_set(err, ERROR_CONFIG,
                  "%s was built for backend interface %u; this program has %d, so both must be "
                  "built from one source.",
                  path, ops->abi, KERNELS_ABI);
    else
        error_set(err, ERROR_CONFIG, "%s is no backend: it does not export " KERNELS_SYMBOL ".",
                  path);
    return NULL;
}

const struct backend_ops *kernels_find(const char *device, int *index, struct error *err) {
    char name[MAX_NAME], path[PATH_BYTES];
    if (split(device, name, index)) {
        error_set(err, ERROR_USAGE,
                  "Device '%s' is no name of one; expected cpu, NAME or NAME:INDEX.", device);
        return NULL;
    }
    if (strcmp(name, "cpu") == 0) {
        if (*index == 0) return &cpu_backend;
        error_set(err, ERROR_USAGE, "Device '%s' does not exist; there is one cpu.", device);
        return NULL;
    }
    find_object(name, path);
    if (access(path, R_OK) == 0) return open_object(name, path, err);
    error_set(err, ERROR_USAGE,
              "Device '%s' is not in this build: %s is not there; expected cpu or a device whose "
              "shared object is.",
              name, path);
    return NULL;
}
