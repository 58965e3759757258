#include "kernels/cpu/attention.h"

#include <assert.h>

#include "kernels/cpu/avx2.h"
#include "kernels/math.h"

// The running softmax of a row. The sum of weights keeps 8 lanes until the end.
struct running {
    float max;
    __m256 sum;
};

// score[r][i] = scale * sum over d of q[r][d] * keys[d][i], for positions i, i + 1 .. of `lanes`
// groups of 8.
static AVX2_INLINE void score_lanes(const struct attention_rows *a, enum dtype kv, const char *keys,
                                    int rows, int lanes, int i,
                                    float score[ATTENTION_ROWS][ATTENTION_MAX_PAGE_TOKENS]) {
    __m256 s[ATTENTION_ROWS][2], scale = _mm256_set1_ps(a->scale);
    size_t size = dtype_bytes(kv), step = (size_t)a->page_tokens * size;
    const char *at = keys + (size_t)i * size;
    AVX2_UNROLL for (int r = 0; r < rows; r++) {
        AVX2_UNROLL for (int l = 0; l < lanes; l++) s[r][l] = _mm256_setzero_ps();
    }
    for (int d = 0; d < a->head_dim; d++, at += step) {
        __m256 k[2];
        AVX2_UNROLL for (int l = 0; l < lanes; l++) k[l] = avx2_load(kv, at + (size_t)l * 8 * size);
        AVX2_UNROLL for (int r = 0; r < rows; r++) {
            __m256 q = _mm256_broadcast_ss(a->q[r] + d);
            AVX2_UNROLL for (int l = 0; l < lanes; l++) s[r][l] = _mm256_fmadd_ps(q, k[l], s[r][l]);
        }
    }
    AVX2_UNROLL for (int r = 0; r < rows; r++) {
        AVX2_UNROLL for (int l = 0; l < lanes; l++)
            _mm256_storeu_ps(&score[r][i + l * 8], _mm256_mul_ps(s[r][l], scale));
    }
}

// Turns `n` scores of a page into weights and returns what earlier sums shrink by. Scores past n
// are of positions that do not exist: they become 0.
static AVX2_INLINE float weigh(struct running *w, int n, float *score) {
    int padded = (n + 7) & ~7;
    for (int i = n; i < padded; i++) score[i] = -math_infinity();
    __m256 top = _mm256_loadu_ps(score);
    for (int i = 8; i < padded; i += 8) top = _mm256_max_ps(top, _mm256_loadu_ps(score + i));
    float page_max = avx2_max(top), max = page_max > w->max ? page_max : w->max;
    float shrink = math_exp(w->max - max);
    w->max = max;
    w->sum = _mm256_mul_ps(w->sum, _mm256_set1_ps(shrink));
    __m256 m = _mm256_set1_ps(max);
    for (int i = 0; i < padded; i += 8) {
        __m256 p = avx2_exp(_mm256_sub_ps(_mm256_loadu_ps(score + i), m));
        _mm256_storeu_ps(score + i, p);
        w->sum = _mm256_add_ps(w->sum, p);
    }
    return shrink;
}

// out[d] = out[d] * shrink + sum over i < n of p[i] * values[i][d], for `lanes` groups of 8 d.
static AVX2_INLINE void mix_lanes(const struct attention_rows *a, enum dtype kv, const char *values,
                                  int lanes, int d, int n, const float *p, float shrink,
                                  float *out) {
    __m256 s[8], scale = _mm256_set1_ps(shrink);
    size_t size = dtype_bytes(kv), step = (size_t)a->head_dim * size;
    const char *at = values + (size_t)d * size;
    AVX2_UNROLL for (int l = 0; l < lanes; l++) s[l] =
        _mm256_mul_ps(_mm256_loadu_ps(out + d + l * 8), scale);
    for (int i = 0; i < n; i++, at += step) {
        __m256 w = _mm256_broadcast_ss(p + i);
        AVX2_UNROLL for (int l = 0; l < lanes; l++) s[l] =
            _mm256_fmadd_ps(w, avx2_load(kv, at + (size_t)l * 8 * size), s[l]);
    }
    AVX2_UNROLL for (int l = 0; l < lanes; l++) _mm256_storeu_ps(out + d + l * 8, s[l]);
}

static AVX2_INLINE void mix(const struct attention_rows *a, enum dtype kv, const char *values,
                            int n, const float *p, float shrink, float *out) {
    int d = 0;
    for (; d + 64 <= a->head_dim; d += 64) mix_lanes(a, kv, values, 8, d, n, p, shrink, out);
    for (; d + 32 <= a->head_dim; d += 32) mix_lanes(a, kv, values, 4, d, n, p, shrink, out);
    for (; d < a->head_dim; d += 8) mix_lanes(a, kv, values, 1, d, n, p, shrink, out);
}

static AVX2_INLINE void page(const struct attention_rows *a, enum dtype kv, int rows, int start,
                             struct running *w) {
    float score[ATTENTION_ROWS][ATTENTION_MAX_PAGE_TOKENS];
    size_t at = (size_t)a->pages[start / a->page_tokens] * a->page_bytes;
    int i = 0;
    for (; i + 16 <= a->page_tokens; i += 16) score_lanes(a, kv, a->keys + at, rows, 2, i, score);
    for (; i < a->page_tokens; i += 8) score_lanes(a, kv, a->keys + at, rows, 1, i, score);
    for (int r = 0; r < rows; r++) {
        int n = a->position[r] + 1 - start;
        if (n <= 0) continue;
        if (n > a->page_tokens) n = a->page_tokens;
        float shrink = weigh(&w[r], n, score[r]);
        mix(a, kv, a->values + at, n, score[r], shrink, a->out[r]);
    }
}

static AVX2_INLINE void attend(const struct attention_rows *a, enum dtype kv, int rows) {
    struct running w[ATTENTION_ROWS];
    int last = 0;
    for (int r = 0; r < rows; r++) {
        w[r] = (struct running){-math_infinity(), _mm256_setzero_ps()};
        for (int d = 0; d < a->head_dim; d++) a->out[r][d] = 0;
        if (a->position[r] > last) last = a->position[r];
    }
    for (int start = 0; start <= last; start += a->page_tokens) page(a, kv, rows, start, w);
    for (int r = 0; r < rows; r++) {
        float sum = avx2_sum(w[r].sum);
        for (int d = 0; d < a->head_dim; d++) a->out[r][d] /= sum;
    }
}

static AVX2_INLINE void any_rows(const struct attention_rows *a, enum dtype kv) {
    if (a->n_rows == 1)
        attend(a, kv, 1);
    else if (a->n_rows == 2)
        attend(a, kv, 2);
    else if (a->n_rows == 3)
        attend(a, kv, 3);
    else
        attend(a, kv, 4);
}

void attention_avx2(const struct attention_rows *a) {
    assert(a->head_dim % 8 == 0 && a->page_tokens % 8 == 0);
    if (a->kv == DTYPE_F32)
        any_rows(a, DTYPE_F32);
    else
        any_rows(a, DTYPE_BF16);
}
