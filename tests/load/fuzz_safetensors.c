// A safetensors file from an enemy. Whatever is accepted must lie in the file, cover its data
// exactly, and have each name once.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/load/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct safetensor *items, int n, struct slice file) {
    uint64_t header = 0, total = 0;
    for (int i = 0; i < 8; i++) header |= (uint64_t)(unsigned char)file.ptr[i] << (8 * i);
    for (int i = 0; i < n; i++) {
        const char *at = items[i].data;
        if (items[i].n_bytes < 0 || at < file.ptr + 8 + header) abort();
        if ((uint64_t)items[i].n_bytes > (uint64_t)(file.ptr + file.len - at)) abort();
        if (i && slice_equal(items[i].name, items[i - 1].name)) abort();
        total += (uint64_t)items[i].n_bytes;
        volatile char touched = items[i].n_bytes ? at[items[i].n_bytes - 1] : 0;
        (void)touched;
    }
    if (total != file.len - 8 - header) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice file = {(const char *)data, size};
    struct arena arena = {0};
    struct safetensor *items;
    struct error err = {0};
    int n = safetensors_parse(file, &arena, &items, &err);
    if (n >= 0) {
        check(items, n, file);
        free(items);
    } else if (err.code != ERROR_CONFIG) {
        abort();
    }
    arena_clear(&arena);
    return 0;
}
