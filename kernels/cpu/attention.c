#include "kernels/cpu/attention.h"

#include <string.h>

#include "kernels/math.h"
#include "kernels/types/types.h"

// Values first .. of the position in `slot`, one block of them or what is left: the elements `at`,
// at + step, ... of what `head` points to. Returns how many.
static int read_block(const struct attention_rows *a, const char *head, int first, int slot, int at,
                      int step, float x[STATE_BLOCK]) {
    int n = a->head_dim - first < STATE_BLOCK ? a->head_dim - first : STATE_BLOCK;
    if (a->kv != DTYPE_Q8_0) {
        for (int i = 0; i < n; i++) x[i] = dtype_get(a->kv, head, at + i * step);
        return n;
    }
    float scale = dtype_get(DTYPE_F16, attention_scales(a, head, first / STATE_BLOCK), slot);
    for (int i = 0; i < n; i++) x[i] = (float)(int8_t)head[at + i * step] * scale;
    return n;
}

static size_t page_at(const struct attention_rows *a, int p) {
    return (size_t)a->pages[p / a->page_tokens] * a->page_bytes;
}

static void row(const struct attention_rows *a, int r) {
    const float *q = a->q[r];
    float *out = a->out[r], max = -math_infinity(), sum = 0;
    int head_dim = a->head_dim, n_positions = a->position[r] + 1;
    for (int d = 0; d < head_dim; d++) out[d] = 0;
    for (int start = 0; start < n_positions; start += ATTENTION_BLOCK) {
        int n = n_positions - start < ATTENTION_BLOCK ? n_positions - start : ATTENTION_BLOCK;
        float score[ATTENTION_BLOCK], next = max;
        for (int i = 0; i < n; i++) {
            const char *keys = a->keys + page_at(a, start + i);
            int slot = (start + i) % a->page_tokens;
            float s = 0, key[STATE_BLOCK];
            for (int d = 0; d < head_dim; d += STATE_BLOCK) {
                int at = d * a->page_tokens + slot;
                int n_values = read_block(a, keys, d, slot, at, a->page_tokens, key);
                for (int k = 0; k < n_values; k++) s += q[d + k] * key[k];
            }
            score[i] = s * a->scale;
            if (score[i] > next) next = score[i];
        }
        float shrink = math_exp(max - next);
        max = next;
        sum *= shrink;
        for (int d = 0; d < head_dim; d++) out[d] *= shrink;
        for (int i = 0; i < n; i++) {
            const char *values = a->values + page_at(a, start + i);
            int slot = (start + i) % a->page_tokens;
            float p = math_exp(score[i] - max), value[STATE_BLOCK];
            sum += p;
            for (int d = 0; d < head_dim; d += STATE_BLOCK) {
                int n_values = read_block(a, values, d, slot, slot * head_dim + d, 1, value);
                for (int k = 0; k < n_values; k++) out[d + k] += p * value[k];
            }
        }
    }
    for (int d = 0; d < head_dim; d++) out[d] /= sum;
}

void attention_portable(const struct attention_rows *a) {
    for (int r = 0; r < a->n_rows; r++) row(a, r);
}

// One block of up to STATE_BLOCK values: a float16 scale and 8-bit numbers.
static void quantise(const float *x, int n, char block[2 + STATE_BLOCK]) {
    float padded[STATE_BLOCK] = {0};
    memcpy(padded, x, (size_t)n * sizeof *x);
    type_q8_0.pack(padded, block);
    // The packing is of finite values: what is none would come back as a number.
    if (dtype_find_not_finite(DTYPE_F32, padded, STATE_BLOCK) >= 0)
        memcpy(block, &(uint16_t){0x7e00}, 2);
}

static void store_q8_0(int head_dim, int page_tokens, int slot, const float *x, char *head,
                       int step, int first) {
    char *scales = head + (size_t)head_dim * (size_t)page_tokens, block[2 + STATE_BLOCK];
    for (int d = 0; d < head_dim; d += STATE_BLOCK) {
        int n = head_dim - d < STATE_BLOCK ? head_dim - d : STATE_BLOCK;
        quantise(x + d, n, block);
        memcpy(scales + 2 * (d / STATE_BLOCK * page_tokens + slot), block, 2);
        for (int i = 0; i < n; i++) head[first + (d + i) * step] = block[2 + i];
    }
}

void attention_store(enum dtype kv, int head_dim, int page_tokens, int slot, const float *k,
                     const float *v, char *keys, char *values) {
    if (kv == DTYPE_Q8_0) {
        store_q8_0(head_dim, page_tokens, slot, k, keys, page_tokens, slot);
        store_q8_0(head_dim, page_tokens, slot, v, values, 1, slot * head_dim);
        return;
    }
    for (int d = 0; d < head_dim; d++) {
        dtype_put(kv, keys, (int64_t)d * page_tokens + slot, k[d]);
        dtype_put(kv, values, (int64_t)slot * head_dim + d, v[d]);
    }
}
