#include "kernels/cuda/nccl.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/error.h"

static struct nccl library; // version 0: not open

// ISO C has no way from dlsym's result to a function but through memory.
static int find(void *handle, const char *path, const char *name, void *function,
                struct error *err) {
    void *symbol = dlsym(handle, name);
    memcpy(function, &symbol, sizeof symbol);
    if (symbol) return 0;
    return error_set(err, ERROR_CONFIG, "%s is no NCCL: it has no %s.", path, name);
}

static int find_all(struct nccl *n, void *handle, const char *path, struct error *err) {
    return find(handle, path, "ncclGetVersion", &n->get_version, err) ||
           find(handle, path, "ncclCommInitRankConfig", &n->init, err) ||
           find(handle, path, "ncclCommGetAsyncError", &n->async_error, err) ||
           find(handle, path, "ncclBroadcast", &n->broadcast, err) ||
           find(handle, path, "ncclCommAbort", &n->abort, err) ||
           find(handle, path, "ncclGetErrorString", &n->error_string, err) ||
           find(handle, path, "ncclGetLastError", &n->last_error, err);
}

static int check_version(struct nccl *n, const char *path, struct error *err) {
    int version = 0;
    if (n->get_version(&version) != ncclSuccess || version < NCCL_LEAST_VERSION)
        return error_set(err, ERROR_CONFIG, "%s is NCCL %d.%d; 2.18 or later is needed.", path,
                         version / 10000, version / 100 % 100);
    n->version = version;
    return 0;
}

const struct nccl *nccl_open(struct error *err) {
    const char *path = getenv("STAMPEDE_NCCL");
    struct nccl n = {0};
    if (library.version) return &library;
    if (!path || !*path) path = "libnccl.so.2";
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        error_set(err, ERROR_CONFIG, "NCCL cannot be opened (STAMPEDE_NCCL names its file): %s.",
                  dlerror());
        return NULL;
    }
    if (find_all(&n, handle, path, err) || check_version(&n, path, err)) {
        dlclose(handle);
        return NULL;
    }
    library = n;
    return &library;
}
