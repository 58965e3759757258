#include "tests/load/made.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/hash.h"
#include "protocol/base/memory.h"

char *made_directory(void) {
    const char *parent = getenv("TMPDIR");
    struct buffer path = {0};
    buffer_printf(&path, "%s/stampede-test-XXXXXX", parent ? parent : P_tmpdir);
    if (!mkdtemp(path.ptr)) {
        perror("mkdtemp");
        abort();
    }
    return path.ptr;
}

void made_remove(char **directory) {
    DIR *d = opendir(*directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        struct buffer path = {0};
        buffer_printf(&path, "%s/%s", *directory, e->d_name);
        if (unlink(path.ptr)) rmdir(path.ptr);
        buffer_free(&path);
    }
    if (d) closedir(d);
    rmdir(*directory);
    free(*directory);
    *directory = NULL;
}

void made_write(const char *directory, const char *name, const void *bytes, size_t len) {
    struct buffer path = {0};
    buffer_printf(&path, "%s/%s", directory, name);
    FILE *f = fopen(path.ptr, "wb");
    if (!f || fwrite(bytes, 1, len, f) != len || fclose(f)) {
        perror(path.ptr);
        abort();
    }
    buffer_free(&path);
}

void made_write_text(const char *directory, const char *name, const char *text) {
    made_write(directory, name, text, strlen(text));
}

void made_add_raw(struct made *m, const char *member) {
    buffer_printf(&m->header, "%s%s", m->header.len ? "," : "{", member);
}

void made_add(struct made *m, const char *name, const char *dtype, int n_dims, const int64_t *dims,
              const void *data, size_t n_bytes) {
    struct buffer b = {0};
    buffer_printf(&b, "\"%s\":{\"dtype\":\"%s\",\"shape\":[", name, dtype);
    for (int i = 0; i < n_dims; i++) buffer_printf(&b, "%s%lld", i ? "," : "", (long long)dims[i]);
    buffer_printf(&b, "],\"data_offsets\":[%zu,%zu]}", m->data.len, m->data.len + n_bytes);
    made_add_raw(m, b.ptr);
    buffer_free(&b);
    buffer_add(&m->data, data, n_bytes);
}

struct buffer made_file(const struct made *m) {
    struct buffer b = {0};
    size_t n = m->header.len ? m->header.len + 1 : 2;
    for (int i = 0; i < 8; i++) {
        char byte = (char)(n >> (8 * i) & 255);
        buffer_add(&b, &byte, 1);
    }
    buffer_add_text(&b, m->header.len ? m->header.ptr : "{");
    buffer_add_text(&b, "}");
    buffer_add_slice(&b, buffer_slice(&m->data));
    return b;
}

void made_write_file(const struct made *m, const char *directory, const char *name) {
    struct buffer b = made_file(m);
    made_write(directory, name, b.ptr, b.len);
    buffer_free(&b);
}

void made_clear(struct made *m) {
    buffer_free(&m->header);
    buffer_free(&m->data);
}

struct buffer made_values(const struct weight *w, enum dtype dtype, uint64_t seed) {
    char name[NAMES_MAX_BYTES];
    uint64_t x = seed ^ hash_bytes(name, (size_t)names_write(w, name));
    struct buffer b = {0};
    int64_t n = weight_n(w);
    char *to = buffer_extend(&b, (size_t)n * dtype_bytes(dtype));
    for (int64_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        dtype_put(dtype, to, i, ((float)(x >> 57) - 63.5f) / 64);
    }
    return b;
}

const char *made_dtype_name(enum dtype t) {
    return t == DTYPE_F32 ? "F32" : t == DTYPE_BF16 ? "BF16" : "F16";
}
