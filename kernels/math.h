// Functions whose bits must not depend on the C library: exp, log, sqrt, sin and cos, Philox, and
// the Gumbel draw (D5). Plain C arithmetic without contraction (-ffp-contract=off), so that
// every backend that includes this file computes the same bits; also valid CUDA C++.
//
// Accuracy: exp and log within 1.5 units in the last place of float32, sqrt correctly rounded,
// sin and cos of a float32 angle correctly rounded but for rare ties. tests/kernels/test_math.c
// holds them to it. The series are Taylor's; the splits of ln 2 and pi/2 keep n * high part exact.
#ifndef KERNELS_MATH_H
#define KERNELS_MATH_H

#include <stdint.h>
#include <string.h>

static inline uint32_t math_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

static inline float math_float(uint32_t u) {
    float x;
    memcpy(&x, &u, 4);
    return x;
}

static inline float math_infinity(void) {
    return math_float(0x7f800000u);
}

static inline int math_is_finite(float x) {
    return (math_bits(x) & 0x7f800000u) != 0x7f800000u;
}

// ------------------------------------------------------------------ float32

// e^x. Overflows to infinity, underflows through the subnormals to 0; NaN gives NaN.
static inline float math_exp(float x) {
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    // Adding 1.5 * 2^23 leaves the nearest integer n in the low bits of the sum.
    float t = x * 0x1.715476p+0f + 12582912.0f, n = t - 12582912.0f;
    float r = x - n * 0x1.62ep-1f;
    r = r - n * 0x1.0bfbe8p-15f;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * (r * r) + r;
    p = p + 1.0f;
    // 2^n in two factors, since n reaches from -150 to 128.
    int32_t k = (int32_t)(math_bits(t) - 0x4b400000u), half = k >> 1;
    float a = math_float(((uint32_t)half + 127u) << 23);
    float b = math_float(((uint32_t)k - (uint32_t)half + 127u) << 23);
    return p * a * b;
}

// Natural logarithm of a positive normal number; vector code computes exactly this.
static inline float math_log_normal(float x) {
    uint32_t u = math_bits(x) - 0x3f3504f3u; // x = 2^k * m with m in [sqrt(1/2), sqrt(2))
    float k = (float)((int32_t)u >> 23);
    float f = math_float((u & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
    float s = f / (2.0f + f), z = s * s, h = 0.5f * f * f;
    float r = 2.0f / 9.0f;
    r = r * z + 2.0f / 7.0f;
    r = r * z + 2.0f / 5.0f;
    r = r * z + 2.0f / 3.0f;
    r = r * z;
    // log(1 + f) = f - (h - s * (h + r)): log(1 + f) = 2 atanh(s), with 2 s = f - s f
    return k * 0x1.62ep-1f - ((h - (s * (h + r) + k * 0x1.0bfbe8p-15f)) - f);
}

static inline float math_log(float x) {
    if (x != x || x == math_infinity()) return x;
    if (x == 0.0f) return -math_infinity();
    if (x < 0.0f) return math_float(0x7fc00000u);
    if (x < 0x1p-126f) return math_log_normal(x * 0x1p25f) - 0x1.154246p+4f; // 25 ln 2
    return math_log_normal(x);
}

// Correctly rounded: the double is good to 2^-52, and no root of a float32 lies that near to the
// middle between two float32.
static inline float math_sqrt(float x) {
    if (x != x || x == 0.0f || x == math_infinity()) return x;
    if (x < 0.0f) return math_float(0x7fc00000u);
    double v = x;
    uint64_t u;
    memcpy(&u, &v, 8);
    u = (u >> 1) + 0x1ff8000000000000u; // within 7% of the root
    double y;
    memcpy(&y, &u, 8);
    for (int i = 0; i < 5; i++) y = 0.5 * (y + v / y);
    return (float)y;
}

static inline float math_sigmoid(float x) {
    return 1.0f / (1.0f + math_exp(-x));
}

// ------------------------------------------------------------------ float64

// e^x for |x| < 700.
static inline double math_exp64(double x) {
    int n = (int)(x * 0x1.71547652b82fep+0 + (x < 0 ? -0.5 : 0.5));
    double r = x - n * 0x1.62e42fefp-1;
    r = r - n * 0x1.473de6af278edp-34;
    double p = 1.0;
    for (int i = 16; i > 0; i--) p = p * r / i + 1.0;
    uint64_t u = (uint64_t)(n + 1023) << 52;
    double scale;
    memcpy(&scale, &u, 8);
    return p * scale;
}

// Natural logarithm of a positive normal number.
static inline double math_log64(double x) {
    uint64_t u;
    memcpy(&u, &x, 8);
    u -= 0x3fe6a09e667f3bcdu;
    int k = (int)((int64_t)u >> 52);
    u = (u & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu;
    double m;
    memcpy(&m, &u, 8);
    double f = m - 1.0, s = f / (2.0 + f), z = s * s, r = 0.0;
    for (int i = 23; i > 1; i -= 2) r = (r + 2.0 / i) * z;
    double h = 0.5 * f * f;
    return k * 0x1.62e42fefp-1 - ((h - (s * (h + r) + k * 0x1.473de6af278edp-34)) - f);
}

// Sine and cosine of a float32 angle up to 2^20 rad: the range reduction is exact to 2^-60.
static inline void math_sin_cos(float angle, float *sine, float *cosine) {
    double x = angle, t = x * 0x1.45f306dc9c883p-1;
    int64_t n = (int64_t)(t + (t < 0 ? -0.5 : 0.5));
    double q = (double)n;
    double r = x - q * 0x1.921fb544p+0;
    r = r - q * 0x1.0b4611a6p-34;
    r = r - q * 0x1.3198a2e037073p-69;
    double z = -r * r, s = 1.0, c = 1.0;
    for (int i = 20; i > 0; i -= 2) {
        s = s * z / (i * (i + 1)) + 1.0;
        c = c * z / ((i - 1) * i) + 1.0;
    }
    s = s * r;
    double a = n & 1 ? c : s, b = n & 1 ? s : c;
    *sine = (float)(n & 2 ? -a : a);
    *cosine = (float)((n + 1) & 2 ? -b : b);
}

// Entry d of the `dim` / 2 inverse frequencies 1 / theta^(2d / dim), rounded to float32 where
// transformers rounds: the exponent, the power, the quotient.
static inline float math_inverse_frequency(float theta, int d, int dim) {
    float exponent = (float)(2 * d) / (float)dim;
    return 1.0f / (float)math_exp64((double)exponent * math_log64((double)theta));
}

// ------------------------------------------------------------------ draws

struct math_words {
    uint32_t w[4];
};

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
static inline struct math_words math_philox(struct math_words counter, uint32_t key0,
                                            uint32_t key1) {
    struct math_words c = counter;
    for (int i = 0; i < 10; i++) {
        uint64_t a = (uint64_t)0xD2511F53u * c.w[0], b = (uint64_t)0xCD9E8D57u * c.w[2];
        struct math_words next;
        next.w[0] = (uint32_t)(b >> 32) ^ c.w[1] ^ key0;
        next.w[1] = (uint32_t)b;
        next.w[2] = (uint32_t)(a >> 32) ^ c.w[3] ^ key1;
        next.w[3] = (uint32_t)a;
        c = next;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return c;
}

// Gumbel noise of one random word: -ln(-ln u), u in [2^-24, 1 - 2^-24] exactly representable.
static inline float math_gumbel(uint32_t word) {
    float u = ((float)(word >> 9) + 0.5f) * 0x1p-23f;
    return -math_log_normal(-math_log_normal(u));
}

// The noise of one id (D5).
static inline float math_gumbel_of(uint64_t seed, uint32_t id, uint32_t position, uint32_t sample) {
    struct math_words counter = {{id, position, sample, 0}};
    return math_gumbel(math_philox(counter, (uint32_t)seed, (uint32_t)(seed >> 32)).w[0]);
}

#endif
