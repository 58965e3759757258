#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/isa.h"
#include "kernels/types/types.h"
#include "protocol/base/hash.h"
#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"

enum { N = 300, MAX_PAGES = 304 }; // positions: more than two blocks

#define KNOWN_BITS 0xabf4bbb8a2100a6ull

enum { N_TYPES = 4 };
static const enum dtype types[N_TYPES] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0};

struct problem {
    int heads, kv_heads, dim, page_tokens;
    enum dtype values, kv; // K and V are such as `values` holds, and lie in pages of type kv
    float *q, *out;        // (N, heads, dim)
    double *q64, *k64, *v64, *want;
    char *pages;
    int32_t table[MAX_PAGES];
};

static size_t head_bytes(const struct problem *p) {
    return state_head_bytes(p->kv, p->dim, p->page_tokens);
}

// What a type makes of a head's values, by the types' own functions.
static void round_to(enum dtype t, int dim, float *x) {
    float padded[128] = {0};
    char stored[512];
    int n = t == DTYPE_Q8_0 ? state_n_blocks(dim) * STATE_BLOCK : dim;
    memcpy(padded, x, (size_t)dim * sizeof *x);
    if (t == DTYPE_Q8_0) {
        type_pack(t, padded, n, stored);
        type_unpack(t, stored, n, padded);
    }
    for (int d = 0; d < dim; d++) {
        if (t != DTYPE_Q8_0) dtype_put(t, stored, d, x[d]);
        x[d] = t == DTYPE_Q8_0 ? padded[d] : dtype_get(t, stored, d);
    }
}

// K and V of one token and KV head.
static void store(const struct problem *p, int t, int h, const float *k, const float *v) {
    size_t page = (size_t)p->table[t / p->page_tokens] * (size_t)(2 * p->kv_heads);
    char *keys = p->pages + (page + (size_t)(2 * h)) * head_bytes(p);
    attention_store(p->kv, p->dim, p->page_tokens, t % p->page_tokens, k, v, keys,
                    keys + head_bytes(p));
}

static void random_values(struct reference_random *r, const struct problem *p, float *x,
                          double *x64) {
    float exact[128];
    for (int d = 0; d < p->dim; d++) exact[d] = x[d] = (float)reference_normal(r);
    round_to(p->values, p->dim, exact);
    for (int d = 0; d < p->dim; d++) x64[d] = (double)exact[d];
    // Other types get values that they hold.
    if (p->kv != p->values) memcpy(x, exact, sizeof exact);
}

static void fill(struct problem *p, uint64_t seed) {
    struct reference_random r = {seed};
    size_t nq = (size_t)(N * p->heads * p->dim), nkv = (size_t)(N * p->kv_heads * p->dim);
    p->q = memory_new(nq, sizeof *p->q);
    p->out = memory_new(nq, sizeof *p->out);
    p->q64 = memory_new(nq, sizeof *p->q64);
    p->want = memory_new(nq, sizeof *p->want);
    p->k64 = memory_new(nkv, sizeof *p->k64);
    p->v64 = memory_new(nkv, sizeof *p->v64);
    size_t bytes = MAX_PAGES * 2 * (size_t)p->kv_heads * head_bytes(p);
    p->pages = memory_new(bytes, 1);
    memset(p->pages, 0xff, bytes); // NaN wherever nothing is written
    for (int i = 0; i < MAX_PAGES; i++) p->table[i] = (i * 37 + 11) % MAX_PAGES;
    for (size_t i = 0; i < nq; i++) p->q64[i] = (double)(p->q[i] = (float)reference_normal(&r));
    for (int t = 0; t < N; t++)
        for (int h = 0; h < p->kv_heads; h++) {
            float k[128], v[128];
            int at = (t * p->kv_heads + h) * p->dim;
            random_values(&r, p, k, p->k64 + at);
            random_values(&r, p, v, p->v64 + at);
            store(p, t, h, k, v);
        }
}

static void drop(struct problem *p) {
    free(p->q);
    free(p->out);
    free(p->q64);
    free(p->want);
    free(p->k64);
    free(p->v64);
    free(p->pages);
}

// All heads of all tokens, rows_at_once query rows a call.
static void run(const struct problem *p, const struct isa *isa, int rows_at_once, float *out) {
    int group = p->heads / p->kv_heads;
    for (int h = 0; h < p->kv_heads; h++)
        for (int i = 0; i < N * group; i += rows_at_once) {
            struct attention_rows a = {.head_dim = p->dim,
                                       .page_tokens = p->page_tokens,
                                       .scale = (float)(1 / sqrt(p->dim)),
                                       .kv = p->kv,
                                       .pages = p->table};
            a.page_bytes = (size_t)(2 * p->kv_heads) * head_bytes(p);
            a.keys = p->pages + (size_t)(2 * h) * head_bytes(p);
            a.values = a.keys + head_bytes(p);
            a.n_rows = N * group - i < rows_at_once ? N * group - i : rows_at_once;
            for (int j = 0; j < a.n_rows; j++) {
                int t = (i + j) / group, at = (t * p->heads + h * group + (i + j) % group) * p->dim;
                a.q[j] = p->q + at;
                a.out[j] = out + at;
                a.position[j] = t;
            }
            isa->attention(&a);
        }
}

static void test_attention(void **state) {
    (void)state;
    static const int shapes[][4] = {{4, 2, 16, 16}, {2, 2, 64, 8},  {6, 2, 64, 32}, {4, 1, 128, 16},
                                    {8, 8, 8, 24},  {3, 1, 72, 40}, {6, 2, 24, 32}};
    for (int path = 0; harness_isa(path); path++)
        for (int i = 0; i < 7; i++)
            for (int kv = 0; kv < N_TYPES; kv++) {
                const struct isa *isa = isa_find(harness_isa(path));
                struct problem p = {.heads = shapes[i][0], .kv_heads = shapes[i][1]};
                p.dim = shapes[i][2];
                p.page_tokens = shapes[i][3];
                p.values = p.kv = types[kv];
                fill(&p, (uint64_t)i);
                reference_attention(N, p.heads, p.kv_heads, p.dim, p.q64, p.k64, p.v64, p.want);
                size_t n = (size_t)(N * p.heads * p.dim);
                run(&p, isa, ATTENTION_ROWS, p.out);
                // Scores of size 10 with roundings of 1e-6 move weights by as much.
                for (size_t k = 0; k < n; k++)
                    assert_true(fabs((double)p.out[k] - p.want[k]) < 1e-5);
                float *other = memory_new(n, sizeof *other);
                static const int rows[] = {1, 2, 3, 5, 8, 13, 31};
                // Company changes no bits. Plain C takes a row by itself anyway, and its time.
                for (int k = path ? 0 : 6; k < 7; k++) {
                    run(&p, isa, rows[k], other);
                    assert_memory_equal(p.out, other, n * sizeof *other);
                }
                free(other);
                drop(&p);
            }
}

// Neither the size of a page nor the path, where its name of bits is the same, changes bits.
static void test_bits(void **state) {
    (void)state;
    static const int pages[] = {16, 8, 48, 256};
    for (int kv = 0; kv < N_TYPES; kv++) {
        float *first = NULL;
        for (int i = 0; i < 4; i++) {
            struct problem p = {.heads = 6, .kv_heads = 2, .dim = 80, .page_tokens = pages[i]};
            p.values = p.kv = types[kv];
            fill(&p, 9);
            size_t n = (size_t)(N * p.heads * p.dim);
            for (int path = 1; harness_isa(path); path++) {
                const struct isa *isa = isa_find(harness_isa(path));
                if (strcmp(isa->bits, "fma") != 0) continue;
                run(&p, isa, 24, p.out);
                if (!first) first = memcpy(memory_new(n, sizeof *first), p.out, n * sizeof *first);
                assert_memory_equal(first, p.out, n * sizeof *first);
            }
            drop(&p);
        }
        free(first);
    }
}

// What a type holds is read exactly: the same values as f32 give the same bits, on every path.
static void test_types(void **state) {
    (void)state;
    static const int dims[] = {64, 128, 16, 40};
    for (int path = 0; harness_isa(path); path++)
        for (int kv = 1; kv < N_TYPES; kv++)
            for (int i = path ? 0 : 3; i < 4; i++) {
                const struct isa *isa = isa_find(harness_isa(path));
                struct problem p = {.heads = 6, .kv_heads = 2, .dim = dims[i], .page_tokens = 16};
                struct problem f = p;
                p.values = p.kv = f.values = types[kv];
                fill(&p, 21);
                fill(&f, 21);
                run(&p, isa, ATTENTION_ROWS, p.out);
                run(&f, isa, ATTENTION_ROWS, f.out);
                assert_memory_equal(p.out, f.out, (size_t)(N * p.heads * p.dim) * sizeof *p.out);
                drop(&p);
                drop(&f);
            }
}

// A V that is not finite, or a K that is no number, makes every output that meets it not finite,
// and no other. (An infinite K may give a weight of 0.)
static void test_not_finite(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY, 1e36f};
    for (int path = 0; harness_isa(path); path++)
        for (int kv = 0; kv < N_TYPES; kv++)
            for (int i = 0; i < 5; i++) {
                struct problem p = {.heads = 1, .kv_heads = 1, .dim = 40, .page_tokens = 16};
                float k[40] = {1, -2}, v[40] = {0.5f, 3};
                p.values = p.kv = types[kv];
                fill(&p, 5);
                (i < 4 ? v : k)[35] = bad[i % 4];
                store(&p, 200, 0, k, v);
                run(&p, isa_find(harness_isa(path)), ATTENTION_ROWS, p.out);
                bool holds = i == 3 && (types[kv] == DTYPE_F32 || types[kv] == DTYPE_BF16);
                for (int t = 0; t < N && !holds; t++)
                    assert_int_equal(isfinite(p.out[t * 40 + 35]) != 0, t < 200);
                drop(&p);
            }
}

// The bits that "fma" stands for, on whatever machine: inputs without libm, the hash of the
// outputs.
static void test_known_bits(void **state) {
    (void)state;
    struct reference_random r = {11};
    struct problem p = {.heads = 4, .kv_heads = 2, .dim = 64, .page_tokens = 16};
    fill(&p, 1);
    for (int i = 0; i < N * p.heads * p.dim; i++)
        p.q[i] = (float)(reference_below(&r, 4001) - 2000) / 512;
    int64_t n_kv = (int64_t)(MAX_PAGES * 4 * head_bytes(&p) / sizeof(float));
    for (int64_t i = 0; i < n_kv; i++)
        dtype_put(DTYPE_F32, p.pages, i, (float)(reference_below(&r, 4001) - 2000) / 1024);
    for (int path = 1; harness_isa(path); path++) {
        const struct isa *isa = isa_find(harness_isa(path));
        if (strcmp(isa->bits, "fma") != 0) continue;
        run(&p, isa, 24, p.out);
        uint64_t hash = hash_bytes(p.out, (size_t)(N * p.heads * p.dim) * sizeof *p.out);
        if (hash != KNOWN_BITS)
            print_message("%s has 0x%llx\n", isa->name, (unsigned long long)hash);
        assert_true(hash == KNOWN_BITS);
    }
    drop(&p);
}

// Shapes that only the plain code takes.
static void test_odd(void **state) {
    (void)state;
    static const int shapes[][4] = {{2, 1, 10, 1}, {5, 5, 6, 7}, {2, 2, 2, 256}};
    for (int i = 0; i < 3; i++) {
        struct problem p = {.heads = shapes[i][0], .kv_heads = shapes[i][1]};
        p.dim = shapes[i][2];
        p.page_tokens = shapes[i][3];
        p.values = p.kv = types[i + 1];
        fill(&p, (uint64_t)i);
        reference_attention(N, p.heads, p.kv_heads, p.dim, p.q64, p.k64, p.v64, p.want);
        run(&p, &isa_portable, 3, p.out);
        for (int k = 0; k < N * p.heads * p.dim; k++)
            assert_true(fabs((double)p.out[k] - p.want[k]) < 1e-5);
        drop(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),  cmocka_unit_test(test_bits),
        cmocka_unit_test(test_types),      cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_known_bits), cmocka_unit_test(test_odd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
