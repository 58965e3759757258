#include "kernels/cpu/draw.h"

#include "kernels/cpu/avx2.h"
#include "kernels/math.h"

enum { ROUNDS = 10 };

struct round_keys {
    __m256i k0[ROUNDS], k1[ROUNDS];
};

static struct round_keys round_keys(uint64_t seed) {
    struct round_keys r;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int i = 0; i < ROUNDS; i++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        r.k0[i] = _mm256_set1_epi64x(k0);
        r.k1[i] = _mm256_set1_epi64x(k1);
    }
    return r;
}

// First output words of math_philox for 4 counters (id, position, sample, 0). Each word of the
// state is the low half of a 64-bit lane; what is above it is never looked at.
static AVX2_INLINE __m256i philox(__m256i id, __m256i position, __m256i sample,
                                  const struct round_keys *keys) {
    __m256i c0 = id, c1 = position, c2 = sample, c3 = _mm256_setzero_si256();
    AVX2_UNROLL for (int i = 0; i < ROUNDS; i++) {
        __m256i a = _mm256_mul_epu32(c0, _mm256_set1_epi64x(0xD2511F53));
        __m256i b = _mm256_mul_epu32(c2, _mm256_set1_epi64x(0xCD9E8D57));
        c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(b, 32), c1), keys->k0[i]);
        c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(a, 32), c3), keys->k1[i]);
        c1 = b;
        c3 = a;
    }
    return c0;
}

// The words of ids i .. i + 7: even and odd ids are two streams that overlap.
static AVX2_INLINE __m256i words(__m256i id, __m256i position, __m256i sample,
                                 const struct round_keys *keys) {
    __m256i even = philox(id, position, sample, keys);
    __m256i odd = philox(_mm256_srli_epi64(id, 32), position, sample, keys);
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

static AVX2_INLINE __m256 gumbel(__m256i word) {
    __m256 sign = _mm256_set1_ps(-0.0f), w = _mm256_cvtepi32_ps(_mm256_srli_epi32(word, 9));
    __m256 u = _mm256_add_ps(w, _mm256_set1_ps(0.5f));
    u = _mm256_mul_ps(u, _mm256_set1_ps(0x1p-23f));
    __m256 inner = _mm256_xor_ps(avx2_log_normal(u), sign);
    return _mm256_xor_ps(avx2_log_normal(inner), sign);
}

// The best of each lane so far. Two vectors of ids go side by side, to hide the latency of both
// logarithms; each keeps its own.
enum { WIDTH = 2, IDS = 8 * WIDTH };

struct best {
    __m256 value[WIDTH];
    __m256i id[WIDTH];
};

// The largest; the lowest id wins among equal ones, as it was the first.
static int lowest(const struct best *b) {
    float values[IDS];
    int32_t ids[IDS];
    for (int j = 0; j < WIDTH; j++) {
        _mm256_storeu_ps(values + 8 * j, b->value[j]);
        _mm256_storeu_si256((__m256i *)(ids + 8 * j), b->id[j]);
    }
    int k = 0;
    for (int i = 1; i < IDS; i++)
        if (values[i] > values[k] || (values[i] == values[k] && ids[i] < ids[k])) k = i;
    return ids[k];
}

int draw_gumbel_avx2(int n, const float *x, uint64_t seed, uint32_t position, uint32_t sample) {
    struct round_keys keys = round_keys(seed);
    __m256i at_position = _mm256_set1_epi64x(position), of_sample = _mm256_set1_epi64x(sample);
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256 reach = _mm256_set1_ps(-math_infinity());
    struct best best = {{reach, reach}, {_mm256_setzero_si256(), _mm256_setzero_si256()}};
    for (int i = 0; i < n; i += IDS) {
        float tail[IDS];
        const float *from = x + i;
        if (i + IDS > n) {
            for (int k = 0; k < IDS; k++) tail[k] = i + k < n ? x[i + k] : -math_infinity();
            from = tail;
        }
        __m256 v[WIDTH] = {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
        __m256 most = _mm256_max_ps(v[0], v[1]);
        if (_mm256_movemask_ps(_mm256_cmp_ps(most, reach, _CMP_GT_OQ)) == 0) continue;
        AVX2_UNROLL for (int j = 0; j < WIDTH; j++) {
            __m256i id = _mm256_add_epi32(lanes, _mm256_set1_epi32(i + 8 * j));
            __m256 sum = _mm256_add_ps(v[j], gumbel(words(id, at_position, of_sample, &keys)));
            __m256 better = _mm256_cmp_ps(sum, best.value[j], _CMP_GT_OQ);
            best.value[j] = _mm256_blendv_ps(best.value[j], sum, better);
            best.id[j] = _mm256_blendv_epi8(best.id[j], id, _mm256_castps_si256(better));
        }
        // Half a unit more than the noise, for the rounding of both sums.
        float top = avx2_max(_mm256_max_ps(best.value[0], best.value[1]));
        reach = _mm256_set1_ps(top - (DRAW_MAX_NOISE + 0.5f));
    }
    return lowest(&best);
}
