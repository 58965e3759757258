#include "worker/commands/limits.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/processor.h"
#include "protocol/base/clock.h"
#include "protocol/base/memory.h"
#include "worker/commands/limits_amx.h"

enum { MAX_THREADS = 256, N_TRIES = 5, READ_BYTES = 256 << 20, ROUNDS = 1600000 };

// ---- the same work on several threads, timed as a whole

struct worker {
    void (*work)(struct worker *w);
    const uint64_t *words; // (n) of the reader
    size_t n;
    uint64_t sum; // of what was read or computed, so that nothing is dropped
};

static void *run_worker(void *arg) {
    struct worker *w = arg;
    w->work(w);
    return NULL;
}

// Seconds until the last of them is done.
static double run_all(struct worker *workers, int n) {
    pthread_t threads[MAX_THREADS];
    bool started[MAX_THREADS];
    int64_t started_us = clock_us();
    for (int i = 1; i < n; i++)
        started[i] = pthread_create(&threads[i], NULL, run_worker, &workers[i]) == 0;
    run_worker(&workers[0]);
    for (int i = 1; i < n; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
        else
            run_worker(&workers[i]);
    }
    return (double)(clock_us() - started_us + 1) / 1e6;
}

static int clamp_threads(int n) {
    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
}

// The shortest of some tries: whatever disturbs makes it longer.
static double best_seconds(struct worker *workers, int n) {
    double best = run_all(workers, n);
    for (int i = 1; i < N_TRIES; i++) {
        double seconds = run_all(workers, n);
        if (seconds < best) best = seconds;
    }
    return best;
}

// ---- reading

static void read_words(struct worker *w) {
    uint64_t sum = 0;
    for (size_t i = 0; i < w->n; i++) sum += w->words[i];
    w->sum = sum;
}

double limits_read_bandwidth(int n_threads) {
    struct worker workers[MAX_THREADS] = {0};
    int n = clamp_threads(n_threads);
    uint64_t *words = memory_take(READ_BYTES, 1);
    size_t part = READ_BYTES / sizeof *words / (size_t)n;
    memset(words, 1, READ_BYTES);
    for (int i = 0; i < n; i++)
        workers[i] =
            (struct worker){.work = read_words, .words = words + (size_t)i * part, .n = part};
    double seconds = best_seconds(workers, n);
    free(words);
    return (double)(part * sizeof *words * (size_t)n) / seconds;
}

// ---- multiply-adds: CHAINS vectors that do not wait for each other

enum { CHAINS = 12 };

struct path {
    void (*work)(struct worker *w);
    int lanes; // multiply-adds of an instruction
};

static void multiply_add_portable(struct worker *w) {
    enum { LANES = 8 };
    float sums[CHAINS][LANES], total = 0;
    for (int i = 0; i < CHAINS; i++)
        for (int j = 0; j < LANES; j++) sums[i][j] = (float)(i + j);
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < CHAINS; i++)
            for (int j = 0; j < LANES; j++) sums[i][j] = sums[i][j] * 0.999f + 0.001f;
    for (int i = 0; i < CHAINS; i++)
        for (int j = 0; j < LANES; j++) total += sums[i][j];
    w->sum = (uint64_t)total;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void multiply_add_avx2(struct worker *w) {
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    __m256 s[CHAINS];
    for (int i = 0; i < CHAINS; i++) s[i] = _mm256_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) s[i] = _mm256_fmadd_ps(s[i], a, b);
    }
    for (int i = 1; i < CHAINS; i++) s[0] = _mm256_add_ps(s[0], s[i]);
    w->sum = (uint64_t)_mm_cvtss_f32(_mm256_castps256_ps128(s[0]));
}

__attribute__((target("avx512f"))) static void multiply_add_avx512(struct worker *w) {
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    __m512 s[CHAINS];
    for (int i = 0; i < CHAINS; i++) s[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) s[i] = _mm512_fmadd_ps(s[i], a, b);
    }
    for (int i = 1; i < CHAINS; i++) s[0] = _mm512_add_ps(s[0], s[i]);
    w->sum = (uint64_t)_mm_cvtss_f32(_mm512_castps512_ps128(s[0]));
}

__attribute__((target("avx512f,avx512bf16"))) static void multiply_add_bf16(struct worker *w) {
    const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f803f80); // ones
    __m512 s[CHAINS];
    for (int i = 0; i < CHAINS; i++) s[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) s[i] = _mm512_dpbf16_ps(s[i], a, a);
    }
    for (int i = 1; i < CHAINS; i++) s[0] = _mm512_add_ps(s[0], s[i]);
    w->sum = (uint64_t)_mm_cvtss_f32(_mm512_castps512_ps128(s[0]));
}

static void multiply_add_bf16_amx(struct worker *w) {
    (void)w;
    limits_amx_bf16(ROUNDS, CHAINS);
}

static void multiply_add_int8_amx(struct worker *w) {
    (void)w;
    limits_amx_int8(ROUNDS, CHAINS);
}

// What is multiplied are the sums themselves, so that nothing can be computed once for all rounds.
__attribute__((target("avx2"))) static void multiply_add_int8_avx2(struct worker *w) {
    const __m256i a = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
    __m256i s[CHAINS];
    for (int i = 0; i < CHAINS; i++) s[i] = _mm256_set1_epi32(i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            __m256i pairs = _mm256_maddubs_epi16(s[i], a);
            s[i] = _mm256_add_epi32(s[i], _mm256_madd_epi16(pairs, ones));
        }
    }
    for (int i = 1; i < CHAINS; i++) s[0] = _mm256_add_epi32(s[0], s[i]);
    w->sum = (uint64_t)_mm_cvtsi128_si32(_mm256_castsi256_si128(s[0]));
}

__attribute__((target("avx512f,avx512vnni"))) static void multiply_add_int8_vnni(struct worker *w) {
    const __m512i a = _mm512_set1_epi8(3);
    __m512i s[CHAINS];
    for (int i = 0; i < CHAINS; i++) s[i] = _mm512_set1_epi32(i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) s[i] = _mm512_dpbusd_epi32(s[i], a, a);
    }
    for (int i = 1; i < CHAINS; i++) s[0] = _mm512_add_epi32(s[0], s[i]);
    w->sum = (uint64_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(s[0]));
}
#endif

static struct path widest(void) {
#if defined(__x86_64__)
    if (processor_has_avx512()) return (struct path){multiply_add_avx512, 16};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct path){multiply_add_avx2, 8};
#endif
    return (struct path){multiply_add_portable, 8};
}

static double flops_of(struct path path, int n_threads) {
    struct worker workers[MAX_THREADS] = {0};
    int n = clamp_threads(n_threads);
    for (int i = 0; i < n; i++) workers[i].work = path.work;
    return 2.0 * CHAINS * path.lanes * ROUNDS * n / best_seconds(workers, n);
}

double limits_peak_flops(int n_threads) {
    return flops_of(widest(), n_threads);
}

double limits_peak_bf16_flops(int n_threads) {
#if defined(__x86_64__)
    if (limits_amx_is_there())
        return flops_of((struct path){multiply_add_bf16_amx, LIMITS_AMX_BF16}, n_threads);
    if (processor_has_avx512() && __builtin_cpu_supports("avx512bf16"))
        return flops_of((struct path){multiply_add_bf16, 32}, n_threads);
#endif
    (void)n_threads;
    return 0;
}

double limits_peak_int8_flops(int n_threads) {
#if defined(__x86_64__)
    if (limits_amx_is_there())
        return flops_of((struct path){multiply_add_int8_amx, LIMITS_AMX_INT8}, n_threads);
    if (processor_has_avx512())
        return flops_of((struct path){multiply_add_int8_vnni, 64}, n_threads);
    if (__builtin_cpu_supports("avx2"))
        return flops_of((struct path){multiply_add_int8_avx2, 32}, n_threads);
#endif
    return limits_peak_flops(n_threads);
}
