#include "worker/load/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/json.h"
#include "worker/load/file.h"
#include "worker/load/shards.h"

// Types of the format with their bits an element; types that are ours are marked.
struct type {
    const char *name;
    int bits;
    bool is_float;
    enum dtype dtype;
};

static const struct type *find_type(struct slice name) {
    static const struct type types[] = {
        {"F32", 32, true, DTYPE_F32},     {"BF16", 16, true, DTYPE_BF16},
        {"F16", 16, true, DTYPE_F16},     {"F64", 64, false, DTYPE_F32},
        {"I64", 64, false, DTYPE_F32},    {"I32", 32, false, DTYPE_F32},
        {"I16", 16, false, DTYPE_F32},    {"I8", 8, false, DTYPE_F32},
        {"U64", 64, false, DTYPE_F32},    {"U32", 32, false, DTYPE_F32},
        {"U16", 16, false, DTYPE_F32},    {"U8", 8, false, DTYPE_F32},
        {"BOOL", 8, false, DTYPE_F32},    {"C64", 64, false, DTYPE_F32},
        {"F8_E4M3", 8, false, DTYPE_F32}, {"F8_E5M2", 8, false, DTYPE_F32},
        {"F8_E8M0", 8, false, DTYPE_F32}, {"F6_E2M3", 6, false, DTYPE_F32},
        {"F6_E3M2", 6, false, DTYPE_F32}, {"F4", 4, false, DTYPE_F32},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (slice_is(name, types[i].name)) return &types[i];
    return NULL;
}

struct parser {
    struct slice data; // behind the header
    struct arena *arena;
    struct error *err;
};

static int refuse(const struct parser *p, struct slice tensor, const char *key,
                  const struct json *v, const char *expected) {
    if (!v)
        return error_set(p->err, ERROR_CONFIG, "Tensor \"%.*s\" has no \"%s\"; %s was expected.",
                         SLICE_ARG(tensor), key, expected);
    return error_set(p->err, ERROR_CONFIG, "\"%s\" of tensor \"%.*s\" is %.*s; %s was expected.",
                     key, SLICE_ARG(tensor), SLICE_ARG(v->text), expected);
}

// Dimensions, and their product times the type's bits as bytes; all in range of an int64.
static int read_shape(const struct parser *p, const struct json *v, const struct type *type,
                      struct safetensor *t, int64_t *n_bytes) {
    if (!v || v->type != JSON_ARRAY)
        return refuse(p, t->name, "shape", v, "an array of dimensions");
    if (v->n_children > SAFETENSORS_MAX_DIMS)
        return refuse(p, t->name, "shape", v, "at most 8 dimensions");
    int64_t n_bits = type->bits;
    for (const struct json *d = v->first; d; d = d->next) {
        int64_t dim;
        if (d->type != JSON_NUMBER || json_int64(d, &dim) || dim < 0)
            return refuse(p, t->name, "shape", v, "dimensions from 0 on");
        if (__builtin_mul_overflow(n_bits, dim, &n_bits))
            return refuse(p, t->name, "shape", v, "a product below 2^63 bits");
        t->dims[t->n_dims++] = dim;
    }
    if (n_bits % 8) return refuse(p, t->name, "shape", v, "a whole number of bytes");
    *n_bytes = n_bits / 8;
    return 0;
}

static int read_offsets(const struct parser *p, const struct json *v, struct safetensor *t,
                        int64_t n_bytes) {
    uint64_t begin, end;
    if (!v || v->type != JSON_ARRAY || v->n_children != 2 || v->first->type != JSON_NUMBER ||
        v->first->next->type != JSON_NUMBER || json_uint64(v->first, &begin) ||
        json_uint64(v->first->next, &end) || begin > end)
        return refuse(p, t->name, "data_offsets", v, "[begin, end] with 0 <= begin <= end");
    if (end > p->data.len)
        return error_set(p->err, ERROR_CONFIG,
                         "\"data_offsets\" of tensor \"%.*s\" is %.*s, but the file ends after "
                         "%zu bytes of data; a file that is not cut short was expected.",
                         SLICE_ARG(t->name), SLICE_ARG(v->text), p->data.len);
    if (end - begin != (uint64_t)n_bytes)
        return error_set(p->err, ERROR_CONFIG,
                         "\"data_offsets\" of tensor \"%.*s\" spans %llu bytes; %lld were "
                         "expected, as its shape and type say.",
                         SLICE_ARG(t->name), (unsigned long long)(end - begin), (long long)n_bytes);
    t->data = p->data.ptr + begin;
    t->n_bytes = n_bytes;
    return 0;
}

static int read_tensor(const struct parser *p, const struct json *member, struct safetensor *t) {
    t->name = member->key;
    if (member->type != JSON_OBJECT)
        return error_set(p->err, ERROR_CONFIG,
                         "Tensor \"%.*s\" is described by %s; an object was expected.",
                         SLICE_ARG(t->name), json_type_name(member));
    const struct json *v = json_get(member, "dtype");
    if (!v || v->type != JSON_STRING) return refuse(p, t->name, "dtype", v, "the name of a type");
    t->dtype_name = json_string(v, p->arena);
    const struct type *type = find_type(t->dtype_name);
    if (!type) return refuse(p, t->name, "dtype", v, "a type of the safetensors format");
    t->is_float = type->is_float;
    t->dtype = type->dtype;
    int64_t n_bytes = 0;
    if (read_shape(p, json_get(member, "shape"), type, t, &n_bytes)) return -1;
    return read_offsets(p, json_get(member, "data_offsets"), t, n_bytes);
}

static int by_data(const void *a, const void *b) {
    const struct safetensor *x = a, *y = b;
    const char *p = x->data, *q = y->data;
    if (p != q) return p < q ? -1 : 1;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

static int compare_names(struct slice a, struct slice b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int by_name(const void *a, const void *b) {
    const struct safetensor *x = a, *y = b;
    return compare_names(x->name, y->name);
}

// The format wants the data covered without holes or overlaps.
static int check_cover(const struct parser *p, struct safetensor *items, int n) {
    qsort(items, (size_t)n, sizeof *items, by_data);
    const char *at = p->data.ptr;
    for (int i = 0; i < n; i++) {
        const char *begin = items[i].data;
        if (begin < at)
            return error_set(p->err, ERROR_CONFIG,
                             "The data of tensor \"%.*s\" overlaps that of \"%.*s\"; tensors side "
                             "by side were expected.",
                             SLICE_ARG(items[i].name), SLICE_ARG(items[i - 1].name));
        if (begin > at)
            return error_set(p->err, ERROR_CONFIG,
                             "%td bytes of data before tensor \"%.*s\" belong to no tensor; data "
                             "without holes was expected.",
                             begin - at, SLICE_ARG(items[i].name));
        at = begin + items[i].n_bytes;
    }
    ptrdiff_t rest = p->data.ptr + p->data.len - at;
    if (rest)
        return error_set(p->err, ERROR_CONFIG,
                         "%td bytes at the end of the file belong to no tensor; the end of the "
                         "last tensor's data was expected.",
                         rest);
    return 0;
}

static int check_names(const struct parser *p, struct safetensor *items, int n) {
    qsort(items, (size_t)n, sizeof *items, by_name);
    for (int i = 1; i < n; i++)
        if (slice_equal(items[i].name, items[i - 1].name))
            return error_set(p->err, ERROR_CONFIG,
                             "Tensor \"%.*s\" is there twice; each name once was expected.",
                             SLICE_ARG(items[i].name));
    return 0;
}

static int parse_members(const struct parser *p, const struct json *root,
                         struct safetensor *items) {
    int n = 0;
    for (const struct json *m = root->first; m; m = m->next)
        if (!slice_is(m->key, "__metadata__") && read_tensor(p, m, &items[n++])) return -1;
    if (check_cover(p, items, n) || check_names(p, items, n)) return -1;
    return n;
}

int safetensors_parse(struct slice file, struct arena *arena, struct safetensor **out,
                      struct error *err) {
    uint64_t n_header = 0;
    if (file.len < 8)
        return error_set(err, ERROR_CONFIG,
                         "The file has %zu bytes; 8 bytes with the header's length were expected.",
                         file.len);
    for (int i = 0; i < 8; i++) n_header |= (uint64_t)(unsigned char)file.ptr[i] << (8 * i);
    if (n_header > SAFETENSORS_MAX_HEADER_BYTES)
        return error_set(err, ERROR_CONFIG,
                         "The header's length is %llu; at most %d bytes were expected.",
                         (unsigned long long)n_header, SAFETENSORS_MAX_HEADER_BYTES);
    if (n_header > file.len - 8)
        return error_set(err, ERROR_CONFIG,
                         "The header's length is %llu, but only %zu bytes follow; a file that is "
                         "not cut short was expected.",
                         (unsigned long long)n_header, file.len - 8);
    struct slice header = {file.ptr + 8, (size_t)n_header};
    const struct json *root = json_parse(header, arena, err);
    if (!root) {
        if (err) err->code = ERROR_CONFIG;
        return error_prefix(err, "The header");
    }
    if (root->type != JSON_OBJECT)
        return error_set(err, ERROR_CONFIG, "The header is %s; a JSON object was expected.",
                         json_type_name(root));
    struct parser p = {{header.ptr + header.len, file.len - 8 - header.len}, arena, err};
    struct safetensor *items = memory_new((size_t)root->n_children + 1, sizeof *items);
    int n = parse_members(&p, root, items);
    if (n < 0) {
        free(items);
        return -1;
    }
    *out = items;
    return n;
}

bool safetensors_present(const char *directory) {
    char *single = file_join(directory, slice_of("model.safetensors"));
    char *index = file_join(directory, slice_of(SHARDS_INDEX));
    bool present = file_exists(single) || file_exists(index);
    free(single);
    free(index);
    return present;
}

// Maps one file and adds its tensors behind those of the files before.
static int add_file(struct safetensors *s, const char *directory, struct slice name,
                    struct error *err) {
    s->files = memory_resize(s->files, (size_t)s->n_files + 1, sizeof *s->files);
    struct safetensors_file *f = &s->files[s->n_files];
    *f = (struct safetensors_file){file_join(directory, name), {NULL, 0}};
    s->n_files++;
    if (file_map(f->path, &f->bytes, &s->stamp, err)) return -1;
    struct safetensor *items;
    int n = safetensors_parse(f->bytes, &s->arena, &items, err);
    if (n < 0) return error_prefix(err, "%s", f->path);
    s->items = memory_resize(s->items, (size_t)s->n + (size_t)n + 1, sizeof *s->items);
    for (int i = 0; i < n; i++) {
        items[i].file = s->n_files - 1;
        s->items[s->n++] = items[i];
    }
    free(items);
    return 0;
}

static int open_shards(struct safetensors *s, const char *directory, const char *index,
                       struct error *err) {
    struct shards shards;
    if (shards_read(index, &s->arena, &shards, err)) return -1;
    int rc = 0;
    for (int i = 0; i < shards.n_files && !rc; i++)
        rc = add_file(s, directory, shards.files[i], err);
    if (!rc) {
        struct parser p = {{NULL, 0}, NULL, err};
        rc = check_names(&p, s->items, s->n);
        if (rc) error_prefix(err, "%s", directory);
    }
    if (!rc && shards_check(&shards, s, err)) rc = error_prefix(err, "%s", index);
    shards_free(&shards);
    return rc;
}

int safetensors_open(const char *directory, struct safetensors **out, struct error *err) {
    struct safetensors *s = memory_new(1, sizeof *s);
    struct slice name = slice_of("model.safetensors");
    char *single = file_join(directory, name),
         *index = file_join(directory, slice_of(SHARDS_INDEX));
    int rc;
    if (file_exists(single)) // transformers prefers it to the index too
        rc = add_file(s, directory, name, err);
    else if (file_exists(index))
        rc = open_shards(s, directory, index, err);
    else
        rc =
            error_set(err, ERROR_CONFIG, "%s has no weights; model.safetensors or %s was expected.",
                      directory, SHARDS_INDEX);
    free(single);
    free(index);
    if (rc) {
        safetensors_free(&s);
        return -1;
    }
    *out = s;
    return 0;
}

void safetensors_free(struct safetensors **s) {
    if (!*s) return;
    for (int i = 0; i < (*s)->n_files; i++) {
        file_unmap(&(*s)->files[i].bytes);
        free((*s)->files[i].path);
    }
    free((*s)->files);
    free((*s)->items);
    arena_clear(&(*s)->arena);
    free(*s);
    *s = NULL;
}

const struct safetensor *safetensors_find(const struct safetensors *s, struct slice name) {
    struct safetensor key = {.name = name};
    return s->n ? bsearch(&key, s->items, (size_t)s->n, sizeof key, by_name) : NULL;
}
