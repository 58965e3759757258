#include "kernels/cpu/attention.h"

#include "kernels/math.h"

// Where position `p` lies: K (its element 0, the next one page_tokens further) and V.
static const char *key_at(const struct attention_rows *a, int p) {
    return a->keys + (size_t)a->pages[p / a->page_tokens] * a->page_bytes +
           (size_t)(p % a->page_tokens) * dtype_bytes(a->kv);
}
static const char *value_at(const struct attention_rows *a, int p) {
    return a->values + (size_t)a->pages[p / a->page_tokens] * a->page_bytes +
           (size_t)(p % a->page_tokens * a->head_dim) * dtype_bytes(a->kv);
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
            const char *key = key_at(a, start + i);
            float s = 0;
            for (int d = 0; d < head_dim; d++)
                s += q[d] * dtype_get(a->kv, key, (int64_t)d * a->page_tokens);
            score[i] = s * a->scale;
            if (score[i] > next) next = score[i];
        }
        float shrink = math_exp(max - next);
        max = next;
        sum *= shrink;
        for (int d = 0; d < head_dim; d++) out[d] *= shrink;
        for (int i = 0; i < n; i++) {
            const char *value = value_at(a, start + i);
            float p = math_exp(score[i] - max);
            sum += p;
            for (int d = 0; d < head_dim; d++) out[d] += p * dtype_get(a->kv, value, d);
        }
    }
    for (int d = 0; d < head_dim; d++) out[d] /= sum;
}

void attention_portable(const struct attention_rows *a) {
    for (int r = 0; r < a->n_rows; r++) row(a, r);
}

void attention_store(enum dtype kv, int head_dim, int page_tokens, int slot, const float *k,
                     const float *v, char *keys, char *values) {
    for (int d = 0; d < head_dim; d++) {
        dtype_put(kv, keys, (int64_t)d * page_tokens + slot, k[d]);
        dtype_put(kv, values, (int64_t)slot * head_dim + d, v[d]);
    }
}
