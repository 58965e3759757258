// Files of a model: one, or several of a split one.
#include "worker/load/gguf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/hash.h"
#include "worker/load/file.h"

bool gguf_is_file(const char *path) {
    char magic[4];
    int fd = file_exists(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    bool is = fd >= 0 && read(fd, magic, 4) == 4 && memcmp(magic, "GGUF", 4) == 0;
    if (fd >= 0) close(fd);
    return is;
}

void gguf_free(struct gguf **g) {
    if (!*g) return;
    for (int i = 0; i < (*g)->n_files; i++) file_unmap(&(*g)->files[i]);
    free((*g)->files);
    free((*g)->keys);
    free((*g)->tensors);
    free(*g);
    *g = NULL;
}

uint64_t gguf_fingerprint(const struct gguf *g) {
    uint64_t h = 0;
    for (int i = 0; i < g->n_keys; i++) {
        const struct gguf_key *k = &g->keys[i];
        uint64_t parts[3] = {h, hash_bytes(k->name.ptr, k->name.len),
                             hash_bytes(k->bytes.ptr, k->bytes.len)};
        h = hash_bytes(parts, sizeof parts);
    }
    return h;
}

// Maps and checks one file; what it holds goes to *part.
static int open_file(struct gguf *g, const char *path, struct gguf *part, struct error *err) {
    struct slice bytes;
    if (file_map(path, &bytes, &g->stamp, err)) return -1;
    g->files = memory_resize(g->files, (size_t)g->n_files + 1, sizeof *g->files);
    g->files[g->n_files++] = bytes;
    return gguf_parse(bytes, part, err) ? error_prefix(err, "%s", path) : 0;
}

// A key of a split model: where it is missing, what stands for it.
static int read_count(const struct gguf *g, const char *name, int64_t missing, int64_t *out,
                      struct error *err) {
    const struct gguf_key *k = gguf_find(g, name);
    *out = missing;
    if (!k || (gguf_int(k, 0, out) == 0 && *out >= 0 && *out <= GGUF_MAX_FILES)) return 0;
    return error_set(err, ERROR_CONFIG, "Key \"%s\" is no number of files; 0 to %d was expected.",
                     name, GGUF_MAX_FILES);
}

static int add_tensors(struct gguf *g, const struct gguf *part, struct error *err) {
    size_t n = (size_t)g->n_tensors, more = (size_t)part->n_tensors;
    for (size_t i = 0; i < more; i++) {
        struct gguf_tensor t = part->tensors[i];
        char *name = memory_copy(t.name.ptr, t.name.len);
        bool is_there = gguf_find_tensor(g, name);
        free(name);
        if (is_there)
            return error_set(err, ERROR_CONFIG,
                             "Tensor \"%.*s\" is in an earlier file too; each tensor once was "
                             "expected.",
                             SLICE_ARG(t.name));
    }
    // Both are sorted: merged from their ends.
    g->tensors = memory_resize(g->tensors, n + more, sizeof *g->tensors);
    g->n_tensors = (int)(n + more);
    for (size_t a = n, b = more; b > 0;) {
        const struct gguf_tensor *x = a ? &g->tensors[a - 1] : NULL, *y = &part->tensors[b - 1];
        size_t shorter = x && x->name.len < y->name.len ? x->name.len : y->name.len;
        int c = x ? memcmp(x->name.ptr, y->name.ptr, shorter) : -1;
        bool x_last = x && (c > 0 || (c == 0 && x->name.len > y->name.len));
        g->tensors[a + b - 1] = x_last ? *x : *y;
        *(x_last ? &a : &b) -= 1;
    }
    return 0;
}

// NAME-00001-of-00003.gguf becomes NAME-0000I-of-00003.gguf; NULL for another name.
static char *name_of_part(const char *path, int i, int n) {
    char ending[48], first[48];
    snprintf(first, sizeof first, "-00001-of-%05d.gguf", n);
    snprintf(ending, sizeof ending, "-%05d-of-%05d.gguf", i + 1, n);
    size_t len = strlen(path), end = strlen(first);
    if (len < end || strcmp(path + len - end, first) != 0) return NULL;
    char *out = memory_copy(path, len);
    memcpy(out + len - end, ending, end);
    return out;
}

static int open_parts(struct gguf *g, const char *path, int n, struct error *err) {
    for (int i = 1; i < n; i++) {
        struct gguf part = {0};
        int64_t no = -1, count = -1;
        char *name = name_of_part(path, i, n);
        if (!name)
            return error_set(err, ERROR_CONFIG,
                             "%s is the first of %d files; a name that ends with "
                             "-00001-of-%05d.gguf was expected.",
                             path, n, n);
        int failed = open_file(g, name, &part, err);
        if (!failed && (read_count(&part, "split.no", -1, &no, err) ||
                        read_count(&part, "split.count", -1, &count, err)))
            failed = error_prefix(err, "%s", name);
        if (!failed && (no != i || count != n))
            failed = error_set(err, ERROR_CONFIG,
                               "%s says that it is file %lld of %lld; %d of %d was expected.", name,
                               (long long)no, (long long)count, i, n);
        if (!failed && add_tensors(g, &part, err)) failed = error_prefix(err, "%s", name);
        free(part.keys);
        free(part.tensors);
        free(name);
        if (failed) return -1;
    }
    return 0;
}

static int open_all(struct gguf *g, const char *path, struct error *err) {
    struct gguf first = {0};
    int64_t no, count;
    if (open_file(g, path, &first, err)) return -1;
    g->keys = first.keys;
    g->n_keys = first.n_keys;
    g->tensors = first.tensors;
    g->n_tensors = first.n_tensors;
    if (read_count(g, "split.no", 0, &no, err) || read_count(g, "split.count", 1, &count, err))
        return error_prefix(err, "%s", path);
    if (no != 0)
        return error_set(err, ERROR_CONFIG,
                         "%s is file %lld of %lld; the first of them was expected.", path,
                         (long long)no + 1, (long long)count);
    return open_parts(g, path, (int)count, err);
}

int gguf_open(const char *path, struct gguf **out, struct error *err) {
    struct gguf *g = memory_new(1, sizeof *g);
    if (open_all(g, path, err)) {
        gguf_free(&g);
        return -1;
    }
    *out = g;
    return 0;
}
