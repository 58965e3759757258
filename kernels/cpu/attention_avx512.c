#include "kernels/cpu/attention_parts.h"
#include "kernels/cpu/avx512.h"
#include "kernels/math.h"

enum { GROUP = 8, WIDE = 16 }; // rows whose scores are computed together; positions in a vector

// The running softmax of a row. The sum of weights keeps 8 lanes until the end, as
// attention_avx2's.
struct running {
    float max;
    __m256 sum;
};

static LANES_INLINE float running_sum(const struct running *w) {
    return avx2_sum(w->sum);
}

// Where a position lies: K and V, and of q8_0 their scales in the first block.
struct place {
    const char *key, *value, *key_scales, *value_scales;
};

static LANES_INLINE struct place place_of(const struct attention_rows *a, enum dtype kv, int p) {
    size_t page = (size_t)a->pages[p / a->page_tokens] * a->page_bytes;
    size_t slot = (size_t)(p % a->page_tokens), size = value_bytes(kv);
    struct place at = {a->keys + page + slot * size,
                       a->values + page + slot * (size_t)a->head_dim * size, NULL, NULL};
    if (kv != DTYPE_Q8_0) return at;
    at.key_scales = attention_scales(a, a->keys + page, 0) + 2 * slot;
    at.value_scales = attention_scales(a, a->values + page, 0) + 2 * slot;
    return at;
}

// The scales of 16 positions in a block.
static LANES_INLINE __m512 scales(const struct attention_rows *a, const char *first, int block) {
    return avx512_load(DTYPE_F16, first + (size_t)(2 * block) * (size_t)a->page_tokens);
}

// Values of a type, those of q8_0 times `scale`.
static LANES_INLINE __m512 values(enum dtype kv, const char *at, __m512 scale) {
    return kv == DTYPE_Q8_0 ? _mm512_mul_ps(avx512_load_int8(at), scale) : avx512_load(kv, at);
}

// score[r][i] = scale * sum over d of q[r][d] * key[d], for `wide` vectors of positions. The values
// of the same positions, which come next, are asked for meanwhile.
static LANES_INLINE void score_wide(const struct attention_rows *a, enum dtype kv,
                                    const struct place *at, int first, int rows, int wide, int i,
                                    float score[GROUP][ATTENTION_BLOCK]) {
    __m512 s[GROUP][2], scale = _mm512_set1_ps(a->scale), block[2] = {scale, scale};
    size_t size = value_bytes(kv), step = (size_t)a->page_tokens * size, next = 0;
    LANES_UNROLL for (int r = 0; r < rows; r++) {
        LANES_UNROLL for (int l = 0; l < wide; l++) s[r][l] = _mm512_setzero_ps();
    }
    for (int d = 0; d < a->head_dim; d++, next += WIDE * size) {
        __m512 k[2];
        LANES_UNROLL for (int l = 0; l < wide; l++) {
            if (kv == DTYPE_Q8_0 && d % STATE_BLOCK == 0)
                block[l] = scales(a, at[l].key_scales, d / STATE_BLOCK);
            k[l] = values(kv, at[l].key + (size_t)d * step, block[l]);
            _mm_prefetch(at[l].value + next, _MM_HINT_T1);
        }
        LANES_UNROLL for (int r = 0; r < rows; r++) {
            __m512 q = _mm512_set1_ps(a->q[first + r][d]);
            LANES_UNROLL for (int l = 0; l < wide; l++) s[r][l] = _mm512_fmadd_ps(q, k[l], s[r][l]);
        }
    }
    LANES_UNROLL for (int r = 0; r < rows; r++) {
        LANES_UNROLL for (int l = 0; l < wide; l++)
            _mm512_storeu_ps(&score[r][i + l * WIDE], _mm512_mul_ps(s[r][l], scale));
    }
}

// The scores of n positions from `start` on; up to 15 more are written, of no meaning. For many
// rows too V is asked for.
static LANES_INLINE void scores(const struct attention_rows *a, enum dtype kv, bool few, int first,
                                int rows, int start, int n, float score[GROUP][ATTENTION_BLOCK]) {
    int i = 0;
    (void)few;
    for (; i + WIDE < n; i += 2 * WIDE) {
        struct place at[2] = {place_of(a, kv, start + i), place_of(a, kv, start + i + WIDE)};
        score_wide(a, kv, at, first, rows, 2, i, score);
    }
    for (; i < n; i += WIDE) {
        struct place at = place_of(a, kv, start + i);
        score_wide(a, kv, &at, first, rows, 1, i, score);
    }
}

// Turns the scores of a block into weights and returns what earlier sums shrink by. Scores past n
// are of positions that do not exist: they become 0.
static LANES_INLINE float weigh(struct running *w, int n, float *score) {
    int padded = (n + WIDE - 1) & ~(WIDE - 1);
    for (int i = n; i < padded; i++) score[i] = -math_infinity();
    __m512 top = _mm512_loadu_ps(score);
    for (int i = WIDE; i < padded; i += WIDE) top = _mm512_max_ps(top, _mm512_loadu_ps(score + i));
    float block_max = avx2_max(_mm256_max_ps(avx512_low(top), avx512_high(top)));
    float max = block_max > w->max ? block_max : w->max, shrink = math_exp(w->max - max);
    w->max = max;
    w->sum = _mm256_mul_ps(w->sum, _mm256_set1_ps(shrink));
    __m512 m = _mm512_set1_ps(max);
    for (int i = 0; i < padded; i += WIDE) {
        __m512 p = avx512_exp(_mm512_sub_ps(_mm512_loadu_ps(score + i), m));
        _mm512_storeu_ps(score + i, p);
        w->sum = _mm256_add_ps(_mm256_add_ps(w->sum, avx512_low(p)), avx512_high(p));
    }
    return shrink;
}

// Where K of 16 positions lies, one block behind p; NULL where there is none. It is asked for while
// V is read, since the hardware does not foresee the next page.
static LANES_INLINE const char *next_keys(const struct attention_rows *a, enum dtype kv, int p) {
    return p + ATTENTION_BLOCK <= a->position[0] ? place_of(a, kv, p + ATTENTION_BLOCK).key : NULL;
}

// out[r][d] = out[r][d] * shrink + sum over from <= i < to of p[r][i] * values[i][d], for `lanes`
// vectors of d.
static LANES_INLINE void mix_lanes(const struct attention_rows *a, enum dtype kv, bool few,
                                   int start, int from, int to, int rows, int lanes, int d,
                                   const struct mix *m) {
    __m512 s[MIX][4];
    size_t size = value_bytes(kv), step = (size_t)a->head_dim * size;
    size_t key_step = (size_t)a->page_tokens * size;
    LANES_UNROLL for (int r = 0; r < rows; r++) {
        LANES_UNROLL for (int l = 0; l < lanes; l++) s[r][l] =
            _mm512_mul_ps(_mm512_loadu_ps(m->out[r] + d + l * WIDE), _mm512_set1_ps(m->shrink[r]));
    }
    for (int i = from; i < to;) {
        int slot = (start + i) % WIDE, end = i + WIDE - slot;
        struct place place = place_of(a, kv, start + i - slot);
        const char *at = place.value + (size_t)slot * step + (size_t)d * size;
        float scale[2][WIDE]; // of the positions, for each block of d
        for (int k = 0; kv == DTYPE_Q8_0 && k < (lanes + 1) / 2; k++)
            _mm512_storeu_ps(scale[k], scales(a, place.value_scales, d / STATE_BLOCK + k));
        const char *next = few ? next_keys(a, kv, start + i - slot) : NULL;
        for (; i < to && i < end; i++, slot++, at += step) {
            __m512 v[4];
            for (int k = 0; few && next && k < a->head_dim / WIDE; k++, next += key_step)
                _mm_prefetch(next, _MM_HINT_T1);
            LANES_UNROLL for (int l = 0; l < lanes; l++) {
                __m512 one = _mm512_set1_ps(kv == DTYPE_Q8_0 ? scale[l / 2][slot] : 1);
                v[l] = values(kv, at + (size_t)l * WIDE * size, one);
            }
            LANES_UNROLL for (int r = 0; r < rows; r++) {
                __m512 w = _mm512_set1_ps(m->p[r][i]);
                LANES_UNROLL for (int l = 0; l < lanes; l++) s[r][l] =
                    _mm512_fmadd_ps(w, v[l], s[r][l]);
            }
        }
    }
    LANES_UNROLL for (int r = 0; r < rows; r++) {
        LANES_UNROLL for (int l = 0; l < lanes; l++)
            _mm512_storeu_ps(m->out[r] + d + l * WIDE, s[r][l]);
    }
}

static LANES_INLINE void mix(const struct attention_rows *a, enum dtype kv, bool few, int start,
                             int from, int to, int rows, const struct mix *m) {
    int d = 0;
    for (; d + 64 <= a->head_dim; d += 64) mix_lanes(a, kv, few, start, from, to, rows, 4, d, m);
    for (; d < a->head_dim; d += 16) mix_lanes(a, kv, few, start, from, to, rows, 1, d, m);
}

#include "kernels/cpu/attention_attend.h"

void attention_avx512(const struct attention_rows *a) {
    if (a->head_dim % WIDE != 0 || a->page_tokens % WIDE != 0)
        attention_avx2(a);
    else
        attend_rows(a);
}
