#include "tests/protocol/vectors.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

#define VECTORS "tests/protocol/golden"

static struct vector read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s is missing: run from the root of the repository.\n", path);
        abort();
    }
    struct vector v = {.bytes = memory_new(1 << 20, 1)};
    size_t len = fread(v.bytes, 1, 1 << 20, file);
    fclose(file);
    uint32_t header_len;
    memcpy(&header_len, v.bytes, sizeof header_len);
    v.header = (struct slice){v.bytes + 4, header_len};
    size_t payload_len = len - 4 - header_len;
    if (payload_len > 0) {
        v.aligned = aligned_alloc(64, (payload_len + 63) / 64 * 64);
        memcpy(v.aligned, v.bytes + 4 + header_len, payload_len);
        v.payload = (struct slice){v.aligned, payload_len};
    }
    return v;
}

struct vector vector_read(enum message_type type) {
    return vector_read_named(message_type_name(type));
}

struct vector vector_read_named(const char *name) {
    char path[256];
    snprintf(path, sizeof path, VECTORS "/%d.%d/%s.bin", MESSAGE_MAJOR, MESSAGE_MINOR, name);
    return read_file(path);
}

int vector_read_all(int minor, void (*take)(const struct vector *v)) {
    char folder[64], path[512];
    int n = 0;
    snprintf(folder, sizeof folder, VECTORS "/%d.%d", MESSAGE_MAJOR, minor);
    DIR *dir = opendir(folder);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        struct vector v = read_file(path);
        take(&v);
        vector_free(&v);
        n++;
    }
    if (dir) closedir(dir);
    return n;
}

void vector_free(struct vector *v) {
    free(v->bytes);
    free(v->aligned);
    *v = (struct vector){0};
}
