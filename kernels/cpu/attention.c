#include "kernels/cpu/attention.h"

#include "kernels/math.h"

static void row(const struct attention_rows *a, int r) {
    const float *q = a->q[r];
    float *out = a->out[r], max = -math_infinity(), sum = 0;
    int head_dim = a->head_dim, n_positions = a->position[r] + 1;
    for (int d = 0; d < head_dim; d++) out[d] = 0;
    for (int start = 0; start < n_positions; start += a->page_tokens) {
        size_t page = (size_t)a->pages[start / a->page_tokens] * a->page_bytes;
        const char *keys = a->keys + page, *values = a->values + page;
        int n = n_positions - start < a->page_tokens ? n_positions - start : a->page_tokens;
        float score[ATTENTION_MAX_PAGE_TOKENS], next = max;
        for (int i = 0; i < n; i++) {
            float s = 0;
            for (int d = 0; d < head_dim; d++)
                s += q[d] * dtype_get(a->kv, keys, (int64_t)d * a->page_tokens + i);
            score[i] = s * a->scale;
            if (score[i] > next) next = score[i];
        }
        float shrink = math_exp(max - next);
        max = next;
        sum *= shrink;
        for (int d = 0; d < head_dim; d++) out[d] *= shrink;
        for (int i = 0; i < n; i++) {
            float p = math_exp(score[i] - max);
            sum += p;
            for (int d = 0; d < head_dim; d++)
                out[d] += p * dtype_get(a->kv, values, (int64_t)i * head_dim + d);
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
