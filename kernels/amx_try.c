// One product of each kind, beside plain C. It needs AMX.
#include <math.h>
#include <string.h>

#include "kernels/amx.h"

// Rows of a and c; words of a row of a, which are rows of b; outputs.
enum { M = 13, K = AMX_ROW_BYTES / 4, N = AMX_ROW_BYTES / 4 };

struct trial {
    _Alignas(64) uint8_t a[M * AMX_ROW_BYTES], b[K * AMX_ROW_BYTES];
    _Alignas(64) uint32_t c[M * N];
};

static void configure(void) {
    struct amx_sizes sizes = {0};
    amx_size(&sizes, 0, M, AMX_ROW_BYTES);
    amx_size(&sizes, 2, M, AMX_ROW_BYTES);
    amx_size(&sizes, 4, K, AMX_ROW_BYTES);
    AMX_CONFIGURE(&sizes);
}

static void fill_bytes(uint8_t *bytes, int n, uint32_t seed) {
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

// Whole numbers: exact, whatever the order.
static bool is_right_int8(const struct trial *t) {
    bool is_right = true;
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) {
            int32_t sum = 0;
            for (int k = 0; k < AMX_ROW_BYTES; k++)
                sum += (int8_t)t->a[m * AMX_ROW_BYTES + k] *
                       (int8_t)t->b[k / 4 * AMX_ROW_BYTES + 4 * n + k % 4];
            is_right &= t->c[m * N + n] == (uint32_t)sum;
        }
    return is_right;
}

static bool try_int8(void) {
    struct trial t;
    fill_bytes(t.a, sizeof t.a, 1);
    fill_bytes(t.b, sizeof t.b, 2);
    configure();
    AMX_ZERO(0);
    AMX_LOAD(2, t.a, AMX_ROW_BYTES);
    AMX_LOAD(4, t.b, AMX_ROW_BYTES);
    AMX_DOT_INT8(0, 2, 4);
    AMX_STORE(0, t.c, AMX_ROW_BYTES);
    AMX_RELEASE();
    return is_right_int8(&t);
}

// Between 1/2 and 2, of either sign: none of the sums is a subnormal.
static void fill_bf16(uint8_t *bytes, int n, uint32_t seed) {
    fill_bytes(bytes, n, seed);
    for (int i = 1; i < n; i += 2) bytes[i] = (uint8_t)(0x3f | (bytes[i] & 0x80));
}

static float bf16_at(const uint8_t *bytes, int i) {
    uint32_t bits = (uint32_t)bytes[2 * i] << 16 | (uint32_t)bytes[2 * i + 1] << 24;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

// In the order that amx.h tells.
static bool is_right_bf16(const struct trial *t) {
    bool is_right = true;
    for (int m = 0; m < M; m++)
        for (int n = 0; n < N; n++) {
            float sums[2] = {0, 0}, got;
            for (int k = 0; k < 2 * K; k++)
                sums[k % 2] =
                    fmaf(bf16_at(t->a + m * AMX_ROW_BYTES, k),
                         bf16_at(t->b + k / 2 * AMX_ROW_BYTES, 2 * n + k % 2), sums[k % 2]);
            memcpy(&got, &t->c[m * N + n], sizeof got);
            is_right &= got == sums[0] + sums[1];
        }
    return is_right;
}

static bool try_bf16(void) {
    struct trial t;
    fill_bf16(t.a, sizeof t.a, 3);
    fill_bf16(t.b, sizeof t.b, 4);
    configure();
    AMX_ZERO(0);
    AMX_LOAD(2, t.a, AMX_ROW_BYTES);
    AMX_LOAD(4, t.b, AMX_ROW_BYTES);
    AMX_DOT_BF16(0, 2, 4);
    AMX_STORE(0, t.c, AMX_ROW_BYTES);
    AMX_RELEASE();
    return is_right_bf16(&t);
}

bool amx_try(void) {
    return try_int8() && try_bf16();
}
