// ldmatrix, stmatrix and mma.sync: instructions of a whole warp on small matrices.
#include <string.h>

#include "tests/cudasim/device/counters.h"
#include "tests/cudasim/device/product.h"
#include "tests/cudasim/device/sim.h"
#include "tests/cudasim/device/vector.h"

namespace cudasim {

// ---------------------------------------------------------------- ldmatrix, stmatrix

struct Matrices {
    uint32_t *r;
    unsigned char *row; // 16 bytes: row lane % 8 of matrix lane / 8
    int n;
    bool trans;
    const void *caller;
};

static void check_rows(Meeting &m, const char *name) {
    int n = ((Matrices *)m.operands[0])->n;
    for (int lane = 0; lane < 8 * n; lane++) {
        Matrices *o = (Matrices *)m.operands[lane];
        if ((uintptr_t)o->row % 16 == 0 && shared_find(m.warp->block, o->row, 16)) continue;
        place = &m.warp->threads[lane];
        fail(o->caller, "%s: the row at %s is no 16 aligned bytes inside of an array", name,
             describe(o->row).c_str());
    }
}

static void count_rows(Meeting &m) {
    // Eight rows of 16 bytes are one pass when they lie in different banks.
    int n = ((Matrices *)m.operands[0])->n;
    KernelCounts *counts = m.warp->block->grid->counts;
    counts->shared_requests++;
    counts->shared_passes_ideal += (uint64_t)n;
    for (int i = 0; i < n; i++) {
        int most = 0;
        for (int a = 0; a < 8; a++) {
            uintptr_t row = (uintptr_t)((Matrices *)m.operands[8 * i + a])->row;
            int same = 0;
            for (int b = 0; b < 8; b++) {
                uintptr_t other = (uintptr_t)((Matrices *)m.operands[8 * i + b])->row;
                bool again = false; // the same row is read once
                for (int c = 0; c < b; c++)
                    again = again || (uintptr_t)((Matrices *)m.operands[8 * i + c])->row == other;
                same += !again && other / 16 % 8 == row / 16 % 8;
            }
            most = same > most ? same : most;
        }
        counts->shared_passes += (uint64_t)most;
    }
}

static void finish_ldmatrix(Meeting &m) {
    check_rows(m, "ldmatrix");
    if (settings.count) count_rows(m);
    const Matrices *first = (Matrices *)m.operands[0];
    for (int i = 0; i < first->n; i++)
        for (int lane = 0; lane < WARP; lane++) {
            uint32_t *r = ((Matrices *)m.operands[lane])->r + i;
            int row = lane / 4, column = 2 * (lane % 4);
            if (!first->trans) {
                memcpy(r, ((Matrices *)m.operands[8 * i + row])->row + 2 * column, 4);
                continue;
            }
            uint16_t pair[2];
            for (int e = 0; e < 2; e++)
                memcpy(&pair[e], ((Matrices *)m.operands[8 * i + column + e])->row + 2 * row, 2);
            memcpy(r, pair, 4);
        }
}

static void finish_stmatrix(Meeting &m) {
    check_rows(m, "stmatrix");
    if (settings.count) count_rows(m);
    const Matrices *first = (Matrices *)m.operands[0];
    for (int i = 0; i < first->n; i++)
        for (int lane = 0; lane < WARP; lane++) {
            const uint32_t *r = ((Matrices *)m.operands[lane])->r + i;
            int row = lane / 4, column = 2 * (lane % 4);
            if (!first->trans) {
                memcpy(((Matrices *)m.operands[8 * i + row])->row + 2 * column, r, 4);
                continue;
            }
            uint16_t pair[2];
            memcpy(pair, r, 4);
            for (int e = 0; e < 2; e++)
                memcpy(((Matrices *)m.operands[8 * i + column + e])->row + 2 * row, &pair[e], 2);
        }
}

void ldmatrix(uint32_t *r, int n, bool trans, const void *shared) {
    Matrices o = {r, (unsigned char *)shared, n, trans, CALLER};
    Thread *t = current_thread("ldmatrix");
    if ((int)t->lane < 8 * n) race::reads(shared, 16, CALLER, false);
    meet(~0u, true, finish_ldmatrix, &o, "at ldmatrix", CALLER);
}

void stmatrix(void *shared, const uint32_t *r, int n, bool trans) {
    Matrices o = {(uint32_t *)r, (unsigned char *)shared, n, trans, CALLER};
    Thread *t = current_thread("stmatrix");
    if (!settings.device.has(90))
        fail(CALLER, "stmatrix needs sm_90, the device is %s", settings.device.full_name);
    if ((int)t->lane < 8 * n) race::writes(shared, 16, CALLER);
    meet(~0u, true, finish_stmatrix, &o, "at stmatrix", CALLER);
}

// ---------------------------------------------------------------- mma.sync

struct Mma {
    float *d;             // (n_m, n_n, 4)
    const uint32_t *a, *b; // (n_m, 4), (n_n, 2)
    int n_m, n_n;
};

static void gather_a(const Meeting &m, int tile, float (*a)[16]) {
    for (int lane = 0; lane < WARP; lane++) {
        const uint32_t *r = ((const Mma *)m.operands[lane])->a + 4 * tile;
        int g = lane / 4, q = 2 * (lane % 4);
        for (int h = 0; h < 2; h++) { // the low and the high half of a register
            a[g][q + h] = bf16_half(r[0], h);
            a[g + 8][q + h] = bf16_half(r[1], h);
            a[g][q + 8 + h] = bf16_half(r[2], h);
            a[g + 8][q + 8 + h] = bf16_half(r[3], h);
        }
    }
}

static void gather_b(const Meeting &m, int tile, float (*b)[8]) {
    for (int lane = 0; lane < WARP; lane++) {
        const uint32_t *r = ((const Mma *)m.operands[lane])->b + 2 * tile;
        int g = lane / 4, q = 2 * (lane % 4);
        for (int h = 0; h < 2; h++) {
            b[q + h][g] = bf16_half(r[0], h);
            b[q + 8 + h][g] = bf16_half(r[1], h);
        }
    }
}

// Operands of one instruction with their exponents.
struct Left {
    alignas(32) float a[16][16];
    alignas(32) int32_t exponents[16][16];
};
struct Right {
    alignas(32) float b[16][8];
    alignas(32) int32_t exponents[16][8];
};

static void multiply(const Meeting &m, int tile, const Left &left, const Right &right) {
    alignas(32) float c[16][8];
    for (int lane = 0; lane < WARP; lane++) {
        const float *d = ((const Mma *)m.operands[lane])->d + 4 * tile;
        int g = lane / 4, q = 2 * (lane % 4);
        memcpy(&c[g][q], d, 8);
        memcpy(&c[g + 8][q], d + 2, 8);
    }
    product_add(c[0], 8, left.a, left.exponents, 16, {right.b[0], right.exponents[0], 8, 8});
    for (int lane = 0; lane < WARP; lane++) {
        float *d = ((const Mma *)m.operands[lane])->d + 4 * tile;
        int g = lane / 4, q = 2 * (lane % 4);
        memcpy(d, &c[g][q], 8);
        memcpy(d + 2, &c[g + 8][q], 8);
    }
}

static void finish_mma(Meeting &m) {
    enum { MOST = 16 };
    Left left;
    Right right[MOST];
    const Mma first = *(const Mma *)m.operands[0];
    for (int j = 0; j < first.n_n; j++) {
        gather_b(m, j, right[j].b);
        product_exponents(right[j].b[0], right[j].exponents[0], 16 * 8);
    }
    for (int i = 0; i < first.n_m; i++) {
        gather_a(m, i, left.a);
        product_exponents(left.a[0], left.exponents[0], 16 * 16);
        for (int j = 0; j < first.n_n; j++) multiply(m, i * first.n_n + j, left, right[j]);
    }
    m.warp->block->grid->counts->mma_flops +=
        2ull * 16 * 8 * 16 * (unsigned)(first.n_m * first.n_n);
}

void mma_m16n8k16_bf16(float *d, const uint32_t *a, const uint32_t *b, int n_m, int n_n) {
    Mma o = {d, a, b, n_m, n_n};
    if (n_n > 16) fail(CALLER, "mma_tile of %d products side by side; 16 is the limit", n_n);
    meet(~0u, true, finish_mma, &o, "at mma.sync", CALLER);
}

} // namespace cudasim
