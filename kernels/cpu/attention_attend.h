// Attention over blocks of positions, for the files that have a path's operations, which come
// before this: GROUP (rows whose scores are computed together, 4 or more), struct running (the
// running softmax of a row: its maximum, and a sum that begins as zeros), running_sum(), scores(),
// weigh() and mix().
#ifndef KERNELS_CPU_ATTENTION_ATTEND_H
#define KERNELS_CPU_ATTENTION_ATTEND_H

#include <assert.h>

#include "kernels/cpu/attention_parts.h"
#include "kernels/math.h"

// Positions of the block that all rows see are mixed together, the rest of each row alone: what
// lies in a page behind a row's own position may be no number.
static LANES_INLINE void mix_rows(const struct attention_rows *a, enum dtype kv, bool few,
                                  int start, int rows, const int *n, const struct mix *m) {
    int all = n[0];
    for (int r = 1; r < rows; r++)
        if (n[r] < all) all = n[r];
    if (all > 0) mix(a, kv, few, start, 0, all, rows, m);
    for (int r = 0; r < rows; r++) {
        if (n[r] <= all || n[r] <= 0) continue;
        struct mix one = {{m->p[r]}, {all > 0 ? 1 : m->shrink[r]}, {m->out[r]}};
        mix(a, kv, few, start, all > 0 ? all : 0, n[r], 1, &one);
    }
}

// Rows first .. first + rows - 1 over the block at `start`.
static LANES_INLINE void group(const struct attention_rows *a, enum dtype kv, bool few, int first,
                               int rows, int start, struct running *w) {
    float score[GROUP][ATTENTION_BLOCK];
    int n[GROUP], most = 0;
    for (int r = 0; r < rows; r++) {
        n[r] = a->position[first + r] + 1 - start;
        if (n[r] > ATTENTION_BLOCK) n[r] = ATTENTION_BLOCK;
        if (n[r] > most) most = n[r];
    }
    scores(a, kv, few, first, rows, start, most, score);
    for (int r = 0; r < rows; r += MIX) {
        int part = rows - r < MIX ? rows - r : MIX;
        struct mix m;
        for (int k = 0; k < part; k++) {
            m.p[k] = score[r + k];
            m.out[k] = a->out[first + r + k];
            m.shrink[k] = n[r + k] > 0 ? weigh(&w[first + r + k], n[r + k], score[r + k]) : 1;
        }
        if (part == 4)
            mix_rows(a, kv, few, start, 4, n + r, &m);
        else if (part == 2)
            mix_rows(a, kv, few, start, 2, n + r, &m);
        else
            mix_rows(a, kv, few, start, 1, n + r, &m);
    }
}

static LANES_INLINE void attend(const struct attention_rows *a, enum dtype kv, bool few) {
    struct running w[ATTENTION_ROWS];
    int last = 0;
    for (int r = 0; r < a->n_rows; r++) {
        w[r] = (struct running){.max = -math_infinity()};
        for (int d = 0; d < a->head_dim; d++) a->out[r][d] = 0;
        if (a->position[r] > last) last = a->position[r];
    }
    for (int start = 0; start <= last; start += ATTENTION_BLOCK) {
        int r = 0;
        for (; r + GROUP <= a->n_rows; r += GROUP) group(a, kv, few, r, GROUP, start, w);
        for (; GROUP > 4 && r + 4 <= a->n_rows; r += 4) group(a, kv, few, r, 4, start, w);
        for (; r + 2 <= a->n_rows; r += 2) group(a, kv, few, r, 2, start, w);
        for (; r < a->n_rows; r++) group(a, kv, few, r, 1, start, w);
    }
    for (int r = 0; r < a->n_rows; r++) {
        float sum = running_sum(&w[r]);
        for (int d = 0; d < a->head_dim; d++) a->out[r][d] /= sum;
    }
}

// A function for each type, and for few rows, which wait for memory and so fetch ahead.
#define ATTEND(name, kv, few)                                                                      \
    static __attribute__((noinline)) void name(const struct attention_rows *a) {                   \
        attend(a, kv, few);                                                                        \
    }
ATTEND(few_f32, DTYPE_F32, true)
ATTEND(few_bf16, DTYPE_BF16, true)
ATTEND(few_f16, DTYPE_F16, true)
ATTEND(few_q8_0, DTYPE_Q8_0, true)
ATTEND(many_f32, DTYPE_F32, false)
ATTEND(many_bf16, DTYPE_BF16, false)
ATTEND(many_f16, DTYPE_F16, false)
ATTEND(many_q8_0, DTYPE_Q8_0, false)

static void attend_rows(const struct attention_rows *a) {
    static void (*const few[])(const struct attention_rows *) = {[DTYPE_F32] = few_f32,
                                                                 [DTYPE_BF16] = few_bf16,
                                                                 [DTYPE_F16] = few_f16,
                                                                 [DTYPE_Q8_0] = few_q8_0};
    static void (*const many[])(const struct attention_rows *) = {[DTYPE_F32] = many_f32,
                                                                  [DTYPE_BF16] = many_bf16,
                                                                  [DTYPE_F16] = many_f16,
                                                                  [DTYPE_Q8_0] = many_q8_0};
    assert(a->n_rows <= ATTENTION_ROWS && a->kv <= DTYPE_Q8_0);
    (a->n_rows <= MIX ? few : many)[a->kv](a);
}

#endif
