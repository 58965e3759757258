#include "worker/weights/update.h"

#include <assert.h>
#include <stdlib.h>

#include "kernels/digest.h"
#include "protocol/base/hash.h"
#include "protocol/base/memory.h"

struct staged {
    int weight; // index, -1: skipped
    enum dtype dtype;
    uint64_t n_bytes, hash;
    uint64_t pulled; // bytes asked for
    uint64_t n_here; // bytes that came
    uint64_t digest; // of the values, once verified
    char *bytes;     // (n_bytes), taken with the first pull
};

struct pending {
    bool used;
    uint32_t tensor;
    uint64_t offset, n_bytes;
    int64_t asked_ms;
};

struct update {
    const struct names *names;
    uint64_t id, version;
    uint32_t n, n_verified, next; // tensors: all, verified, the first not fully asked for
    struct staged *tensors;       // (n)
    struct pending window[UPDATE_WINDOW];
};

static int blame(char tensor[NAMES_MAX_BYTES], struct slice name) {
    size_t len = name.len < NAMES_MAX_BYTES - 1 ? name.len : NAMES_MAX_BYTES - 1;
    memcpy(tensor, name.ptr, len);
    tensor[len] = 0;
    return -1;
}

static enum column_dtype wire_dtype(enum dtype t) {
    return t == DTYPE_F32 ? COLUMN_F32 : t == DTYPE_BF16 ? COLUMN_BF16 : COLUMN_F16;
}

static int check_shape(const struct message_weights_begin *m, uint32_t i, const struct weight *w,
                       struct slice name, struct error *err) {
    const int64_t *dims = column_i64(m->shapes) + 4 * (size_t)i;
    int rank = column_u8(m->ranks)[i];
    bool same = rank == w->n_dims;
    for (int d = 0; same && d < rank; d++) same = dims[d] == w->dims[d];
    if (same) return 0;
    char found[NAMES_MAX_DIMS_BYTES], expected[NAMES_MAX_DIMS_BYTES];
    return error_set(err, ERROR_INPUT, "Tensor '%.*s' comes with shape %s; expected %s.",
                     SLICE_ARG(name), names_write_dims(dims, rank, found),
                     names_write_dims(w->dims, w->n_dims, expected));
}

static int check_tensor(const struct message_weights_begin *m, uint32_t i,
                        const struct update_target *t, struct staged *out, struct slice name,
                        struct error *err) {
    struct name_match match = names_find(t->names, name);
    if (match.form != NAME_WEIGHT)
        return error_set(err, ERROR_INPUT, "Tensor '%.*s' is none of this model's.",
                         SLICE_ARG(name));
    const struct weight *w = &t->names->weights[match.index];
    enum dtype dtype = t->dtypes[match.index];
    out->weight = column_u8(m->modes)[i] == TENSOR_DENSE ? match.index : -1;
    if (out->weight < 0) return 0;
    if (check_shape(m, i, w, name, err)) return -1;
    if (dtype_is_block(dtype))
        return error_set(err, ERROR_INPUT,
                         "Tensor '%.*s' is resident as %s, which updates cannot write; a worker "
                         "with weights of f32, bf16 or f16 was expected.",
                         SLICE_ARG(name), dtype_name(dtype));
    enum column_dtype found = column_u8(m->dtypes)[i];
    if (found != wire_dtype(dtype))
        return error_set(err, ERROR_INPUT, "Tensor '%.*s' comes as %s; it is resident as %s.",
                         SLICE_ARG(name), column_dtype_name(found), dtype_name(dtype));
    uint64_t expected = (uint64_t)weight_n(w) * dtype_bytes(dtype);
    out->n_bytes = column_u64(m->bytes)[i];
    out->hash = column_u64(m->hashes)[i];
    out->dtype = dtype;
    if (out->n_bytes == expected) return 0;
    return error_set(err, ERROR_INPUT, "Tensor '%.*s' comes with %llu bytes; expected %llu.",
                     SLICE_ARG(name), (unsigned long long)out->n_bytes,
                     (unsigned long long)expected);
}

static int check_offer(const struct message_weights_begin *m, const struct update_target *t,
                       struct error *err) {
    if (m->base != t->version)
        return error_set(err, ERROR_INPUT,
                         "The update is based on policy version %llu; version %llu is served.",
                         (unsigned long long)m->base, (unsigned long long)t->version);
    if (m->version <= t->version && !t->is_inherited)
        return error_set(err, ERROR_INPUT,
                         "The update leads to policy version %llu; version %llu is served, and "
                         "versions only rise within an epoch.",
                         (unsigned long long)m->version, (unsigned long long)t->version);
    return 0;
}

static int check_tensors(struct update *u, const struct message_weights_begin *m,
                         const struct update_target *t, char tensor[NAMES_MAX_BYTES],
                         struct error *err) {
    uint8_t *seen = memory_new((size_t)t->names->n, 1);
    uint64_t total = 0;
    int failed = 0;
    for (uint32_t i = 0; i < u->n && !failed; i++) {
        struct slice name = column_text(m->names, m->name_offsets, i);
        struct staged *s = &u->tensors[i];
        failed = check_tensor(m, i, t, s, name, err);
        if (!failed && s->weight >= 0 && seen[s->weight]++)
            failed = error_set(err, ERROR_INPUT, "Tensor '%.*s' comes twice.", SLICE_ARG(name));
        if (failed) blame(tensor, name);
        total += s->n_bytes;
    }
    free(seen);
    if (failed) return -1;
    if (total != m->total_bytes)
        return error_set(err, ERROR_INPUT, "The tensors have %llu bytes; %llu were announced.",
                         (unsigned long long)total, (unsigned long long)m->total_bytes);
    if (total > t->staging_bytes)
        return error_set(err, ERROR_INPUT, "The update has %llu bytes; --staging-memory is %llu.",
                         (unsigned long long)total, (unsigned long long)t->staging_bytes);
    return 0;
}

int update_begin(const struct message_weights_begin *m, const struct update_target *t,
                 struct update **out, char tensor[NAMES_MAX_BYTES], struct error *err) {
    tensor[0] = 0;
    if (check_offer(m, t, err)) return -1;
    struct update *u = memory_new(1, sizeof *u);
    u->names = t->names;
    u->id = m->update;
    u->version = m->version;
    u->n = (uint32_t)m->dtypes.n;
    u->tensors = memory_new(u->n, sizeof *u->tensors);
    if (check_tensors(u, m, t, tensor, err)) {
        update_free(&u);
        return -1;
    }
    for (uint32_t i = 0; i < u->n; i++) u->n_verified += u->tensors[i].weight < 0;
    *out = u;
    return 0;
}

void update_free(struct update **update) {
    struct update *u = *update;
    if (!u) return;
    for (uint32_t i = 0; i < u->n; i++) free(u->tensors[i].bytes);
    free(u->tensors);
    free(u);
    *update = NULL;
}

uint64_t update_id(const struct update *u) {
    return u->id;
}

uint64_t update_version(const struct update *u) {
    return u->version;
}

static void ask(const struct update *u, struct pending *p, int64_t now_ms,
                struct message_weights_pull *pull) {
    p->asked_ms = now_ms;
    *pull = (struct message_weights_pull){
        .update = u->id, .tensor = p->tensor, .offset = p->offset, .n_bytes = p->n_bytes};
}

static bool next_chunk(struct update *u, struct pending *p) {
    while (u->next < u->n) {
        struct staged *s = &u->tensors[u->next];
        if (s->weight >= 0 && s->pulled < s->n_bytes) {
            uint64_t left = s->n_bytes - s->pulled;
            if (!s->bytes) s->bytes = memory_new(s->n_bytes, 1);
            *p = (struct pending){.used = true, .tensor = u->next, .offset = s->pulled};
            p->n_bytes = left < MESSAGE_MAX_CHUNK ? left : MESSAGE_MAX_CHUNK;
            s->pulled += p->n_bytes;
            return true;
        }
        u->next++;
    }
    return false;
}

bool update_next_pull(struct update *u, int64_t now_ms, struct message_weights_pull *pull) {
    for (int i = 0; i < UPDATE_WINDOW; i++) {
        struct pending *p = &u->window[i];
        bool due = p->used ? now_ms - p->asked_ms >= UPDATE_PULL_TIMEOUT_MS : next_chunk(u, p);
        if (!due) continue;
        ask(u, p, now_ms, pull);
        return true;
    }
    return false;
}

static int verify(struct update *u, struct staged *s, char tensor[NAMES_MAX_BYTES],
                  struct error *err) {
    char name[NAMES_MAX_BYTES];
    names_write(&u->names->weights[s->weight], name);
    blame(tensor, slice_of(name));
    uint64_t hash = hash_bytes(s->bytes, s->n_bytes);
    if (hash != s->hash)
        return error_set(err, ERROR_INPUT,
                         "Tensor '%s' has checksum %016llx; %016llx was announced.", name,
                         (unsigned long long)hash, (unsigned long long)s->hash);
    int64_t n = (int64_t)(s->n_bytes / dtype_bytes(s->dtype));
    if (dtype_find_not_finite(s->dtype, s->bytes, n) >= 0)
        return error_set(err, ERROR_INPUT, "Tensor '%s' holds a value that is not finite.", name);
    s->digest = digest_range(u->names->hashes[s->weight], 0, n, s->dtype, s->bytes);
    u->n_verified++;
    return 0;
}

int update_chunk(struct update *u, const struct message_weights_chunk *m,
                 char tensor[NAMES_MAX_BYTES], struct error *err) {
    tensor[0] = 0;
    for (int i = 0; i < UPDATE_WINDOW; i++) {
        struct pending *p = &u->window[i];
        if (!p->used || p->tensor != m->tensor || p->offset != m->offset) continue;
        struct staged *s = &u->tensors[m->tensor];
        if (m->data.n != p->n_bytes)
            return error_set(err, ERROR_INPUT, "A chunk has %llu bytes; %llu were asked for.",
                             (unsigned long long)m->data.n, (unsigned long long)p->n_bytes);
        memcpy(s->bytes + p->offset, m->data.data, p->n_bytes);
        s->n_here += p->n_bytes;
        p->used = false;
        return s->n_here == s->n_bytes ? verify(u, s, tensor, err) : 0;
    }
    return 0;
}

bool update_is_staged(const struct update *u) {
    return u->n_verified == u->n;
}

void update_apply(const struct update *u, struct resident *r, struct backend *b) {
    assert(update_is_staged(u));
    for (uint32_t i = 0; i < u->n; i++) {
        const struct staged *s = &u->tensors[i];
        if (s->weight < 0) continue;
        int64_t n = (int64_t)(s->n_bytes / dtype_bytes(s->dtype));
        b->ops->weight_write(b, s->weight, 0, n, s->bytes);
        r->digest += s->digest - r->tensor_digests[s->weight];
        r->tensor_digests[s->weight] = s->digest;
    }
}
