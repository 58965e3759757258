// In which types weights are resident.
#include <stdio.h>
#include <string.h>

#include "kernels/types/types.h"
#include "worker/load/checkpoint.h"

int checkpoint_types_parse(const char *text, int *out, struct error *err) {
    enum dtype t = DTYPE_F32;
    bool is_known = type_parse(text, &t) == 0;
    *out = is_known ? (int)t : CHECKPOINT_AS_IS;
    if (is_known || strcmp(text, "as-is") == 0) return 0;
    return error_set(err, ERROR_USAGE,
                     "\"%.80s\" is no type of weights; as-is, f32, bf16, f16, q8_0, q4_0, q4_k, "
                     "q5_k or q6_k was expected.",
                     text);
}

static bool is_matrix(const struct weight *w) {
    return w->n_dims == 2 && w->kind != WEIGHT_ROUTER;
}

// The block type, or what stands for it where rows are no whole blocks.
static enum dtype fitting(enum dtype t, int64_t columns) {
    if (columns % type_elements(t) == 0) return t;
    return columns % type_elements(DTYPE_Q8_0) == 0 ? DTYPE_Q8_0 : DTYPE_F16;
}

enum dtype checkpoint_resident(const struct weight *w, int types, enum dtype own) {
    enum dtype t = types == CHECKPOINT_AS_IS ? own : (enum dtype)types;
    if (w->kind == WEIGHT_EXPERT_BIAS) return DTYPE_F32;
    if (!dtype_is_block(t)) return t;
    if (!is_matrix(w)) return DTYPE_F32;
    if (types == CHECKPOINT_AS_IS) return t;
    bool is_head = w->kind == WEIGHT_EMBED || w->kind == WEIGHT_HEAD;
    return fitting(is_head && t != DTYPE_Q8_0 ? DTYPE_Q6_K : t, w->dims[1]);
}

void checkpoint_resident_all(const struct names *names, int types, enum dtype *dtypes) {
    for (int i = 0; i < names->n; i++)
        dtypes[i] = checkpoint_resident(&names->weights[i], types, dtypes[i]);
    for (int i = 0; i < names->n; i++) { // w1, w3 and w2 stand in a row
        if (names->weights[i].kind != WEIGHT_W1) continue;
        bool is_block = dtype_is_block(dtypes[i]);
        if (dtype_is_block(dtypes[i + 1]) == is_block && dtype_is_block(dtypes[i + 2]) == is_block)
            continue;
        for (int k = 0; k < 3; k++) dtypes[i + k] = DTYPE_F32;
    }
}

void checkpoint_synthetic_dtypes(const struct names *names, int types, enum dtype *dtypes) {
    for (int i = 0; i < names->n; i++) dtypes[i] = DTYPE_BF16;
    checkpoint_resident_all(names, types, dtypes);
}

void checkpoint_dtype_name(const struct names *names, const enum dtype *dtypes,
                           char out[CHECKPOINT_TYPES_BYTES]) {
    static const enum dtype order[N_DTYPES] = {DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K,
                                               DTYPE_Q8_0, DTYPE_BF16, DTYPE_F16,  DTYPE_F32};
    bool used[N_DTYPES] = {false};
    size_t len = 0;
    for (int i = 0; i < names->n; i++)
        if (names->weights[i].kind != WEIGHT_EXPERT_BIAS) used[dtypes[i]] = true;
    for (int i = 0; i < N_DTYPES; i++)
        if (used[order[i]])
            len += (size_t)snprintf(out + len, CHECKPOINT_TYPES_BYTES - len, "%s%s", len ? "+" : "",
                                    dtype_name(order[i]));
}
