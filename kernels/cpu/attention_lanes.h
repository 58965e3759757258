// Attention 8 lanes at a time, for the *_avx2.c and *_neon.c files: the including file has lanes8
// (8 floats), its operations and LANES_INLINE from avx2.h or neon.h.
#ifndef KERNELS_CPU_ATTENTION_LANES_H
#define KERNELS_CPU_ATTENTION_LANES_H

#include "kernels/cpu/attention_parts.h"
#include "kernels/math.h"

enum { GROUP = 4 }; // rows whose scores are computed together

// The running softmax of a row. The sum of weights keeps 8 lanes until the end.
struct running {
    float max;
    lanes8 sum;
};

static LANES_INLINE float running_sum(const struct running *w) {
    return lanes8_sum(w->sum);
}

// Values of a type: `at` is where they lie, `scale` what those of q8_0 are multiplied by.
static LANES_INLINE lanes8 values8(enum dtype kv, const char *at, lanes8 scale) {
    return kv == DTYPE_Q8_0 ? lanes8_mul(lanes8_load_int8(at), scale) : lanes8_load(kv, at);
}

// The scales of 8 positions from `slot` on in a block.
static LANES_INLINE lanes8 scales8(const struct attention_rows *a, const char *page, int block,
                                   int slot) {
    return lanes8_load(DTYPE_F16, attention_scales(a, page, block) + 2 * slot);
}

// score[r][i] = scale * sum over d of q[r][d] * key[d], for 8 * lanes positions of one page,
// from `slot` on.
static LANES_INLINE void score_lanes(const struct attention_rows *a, enum dtype kv, bool few,
                                     const char *page, int slot, int first, int rows, int lanes,
                                     int i, float score[GROUP][ATTENTION_BLOCK]) {
    lanes8 s[GROUP][2], scale = lanes8_set(a->scale), block[2] = {scale, scale};
    size_t size = value_bytes(kv), step = (size_t)a->page_tokens * size;
    const char *key = page + (size_t)slot * size;
    const char *value = page + (a->values - a->keys) + (size_t)(slot * a->head_dim) * size;
    LANES_UNROLL for (int r = 0; r < rows; r++) {
        LANES_UNROLL for (int l = 0; l < lanes; l++) s[r][l] = lanes8_set(0);
    }
    for (int d = 0; d < a->head_dim; d++, key += step) {
        lanes8 k[2];
        if (few) __builtin_prefetch(value + (size_t)(d * 8 * lanes) * size, 0, 2);
        if (kv == DTYPE_Q8_0 && d % STATE_BLOCK == 0) {
            LANES_UNROLL for (int l = 0; l < lanes; l++) block[l] =
                scales8(a, page, d / STATE_BLOCK, slot + 8 * l);
        }
        LANES_UNROLL for (int l = 0; l < lanes; l++) k[l] =
            values8(kv, key + (size_t)l * 8 * size, block[l]);
        LANES_UNROLL for (int r = 0; r < rows; r++) {
            lanes8 q = lanes8_set(a->q[first + r][d]);
            LANES_UNROLL for (int l = 0; l < lanes; l++) s[r][l] = lanes8_fma(q, k[l], s[r][l]);
        }
    }
    LANES_UNROLL for (int r = 0; r < rows; r++) {
        LANES_UNROLL for (int l = 0; l < lanes; l++)
            lanes8_store(&score[r][i + l * 8], lanes8_mul(s[r][l], scale));
    }
}

// The scores of n positions from `start` on; up to 7 more are written, of no meaning.
static LANES_INLINE void scores(const struct attention_rows *a, enum dtype kv, bool few, int first,
                                int rows, int start, int n, float score[GROUP][ATTENTION_BLOCK]) {
    for (int i = 0; i < n;) {
        int slot = (start + i) % a->page_tokens;
        const char *page = a->keys + (size_t)a->pages[(start + i) / a->page_tokens] * a->page_bytes;
        if (n - i > 8 && a->page_tokens - slot >= 16) {
            score_lanes(a, kv, few, page, slot, first, rows, 2, i, score);
            i += 16;
        } else {
            score_lanes(a, kv, few, page, slot, first, rows, 1, i, score);
            i += 8;
        }
    }
}

// Turns the scores of a block into weights and returns what earlier sums shrink by. Scores past n
// are of positions that do not exist: they become 0.
static LANES_INLINE float weigh(struct running *w, int n, float *score) {
    int padded = (n + 7) & ~7;
    for (int i = n; i < padded; i++) score[i] = -math_infinity();
    lanes8 top = lanes8_load(DTYPE_F32, score);
    for (int i = 8; i < padded; i += 8) top = lanes8_max(top, lanes8_load(DTYPE_F32, score + i));
    float block_max = lanes8_top(top), max = block_max > w->max ? block_max : w->max;
    float shrink = math_exp(w->max - max);
    w->max = max;
    w->sum = lanes8_mul(w->sum, lanes8_set(shrink));
    lanes8 m = lanes8_set(max);
    for (int i = 0; i < padded; i += 8) {
        lanes8 p = lanes8_exp(lanes8_sub(lanes8_load(DTYPE_F32, score + i), m));
        lanes8_store(score + i, p);
        w->sum = lanes8_add(w->sum, p);
    }
    return shrink;
}

// Where K of 8 positions lies, one block behind p; NULL where there is none. It is asked for while
// V is read, since the hardware does not foresee the next page.
static LANES_INLINE const char *next_keys(const struct attention_rows *a, enum dtype kv, int p) {
    int next = p + ATTENTION_BLOCK;
    if (next > a->position[0]) return NULL;
    return a->keys + (size_t)a->pages[next / a->page_tokens] * a->page_bytes +
           (size_t)(next % a->page_tokens) * value_bytes(kv);
}

// out[r][d] = out[r][d] * shrink + sum over from <= i < to of p[r][i] * values[i][d], for `lanes`
// groups of 8 d.
static LANES_INLINE void mix_lanes(const struct attention_rows *a, enum dtype kv, bool few,
                                   int start, int from, int to, int rows, int lanes, int d,
                                   const struct mix *m) {
    lanes8 s[GROUP][8];
    size_t size = value_bytes(kv), step = (size_t)a->head_dim * size;
    size_t key_step = (size_t)a->page_tokens * size;
    LANES_UNROLL for (int r = 0; r < rows; r++) {
        LANES_UNROLL for (int l = 0; l < lanes; l++) s[r][l] =
            lanes8_mul(lanes8_load(DTYPE_F32, m->out[r] + d + l * 8), lanes8_set(m->shrink[r]));
    }
    for (int i = from; i < to;) {
        int slot = (start + i) % a->page_tokens, end = i + 8 - slot % 8;
        const char *page =
            a->values + (size_t)a->pages[(start + i) / a->page_tokens] * a->page_bytes;
        const char *at = page + (size_t)slot * step + (size_t)d * size;
        float scales[2][8]; // of the 8 positions, for each block of d
        for (int k = 0; kv == DTYPE_Q8_0 && k < (lanes + 3) / 4; k++)
            lanes8_store(scales[k], scales8(a, page, d / STATE_BLOCK + k, slot - slot % 8));
        const char *next = few && d == 0 ? next_keys(a, kv, start + i - slot % 8) : NULL;
        for (; i < to && i < end; i++, slot++, at += step) {
            for (int k = 0; few && next && k < a->head_dim / 8; k++, next += key_step)
                __builtin_prefetch(next, 0, 2);
            lanes8 w[GROUP];
            LANES_UNROLL for (int r = 0; r < rows; r++) w[r] = lanes8_set(m->p[r][i]);
            LANES_UNROLL for (int l = 0; l < lanes; l++) {
                lanes8 one = lanes8_set(kv == DTYPE_Q8_0 ? scales[l / 4][slot % 8] : 1);
                lanes8 v = values8(kv, at + (size_t)l * 8 * size, one);
                LANES_UNROLL for (int r = 0; r < rows; r++) s[r][l] = lanes8_fma(w[r], v, s[r][l]);
            }
        }
    }
    LANES_UNROLL for (int r = 0; r < rows; r++) {
        LANES_UNROLL for (int l = 0; l < lanes; l++) lanes8_store(m->out[r] + d + l * 8, s[r][l]);
    }
}

// 8 sums at once, of 1, 2 or 4 rows.
static LANES_INLINE void mix(const struct attention_rows *a, enum dtype kv, bool few, int start,
                             int from, int to, int rows, const struct mix *m) {
    int d = 0, lanes = 8 / rows;
    for (; d + 8 * lanes <= a->head_dim; d += 8 * lanes)
        mix_lanes(a, kv, few, start, from, to, rows, lanes, d, m);
    for (; d < a->head_dim; d += 8) mix_lanes(a, kv, few, start, from, to, rows, 1, d, m);
}

#include "kernels/cpu/attention_attend.h"

#endif
