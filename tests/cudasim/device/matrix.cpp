// ldmatrix, stmatrix and mma.sync: instructions of a whole warp on small matrices.
#include <string.h>

#include "tests/cudasim/device/counters.h"
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
    if ((int)t->lane < 8 * n) race::reads(shared, 16, CALLER);
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
    float *d;
    const uint32_t *a, *b;
};

// A product of 16 is summed in float32 along k, then added to d. The hardware sums in an order and
// with a rounding of its own.
static void finish_mma(Meeting &m) {
    alignas(32) float a[16][16], b[16][8], c[16][8];
    for (int lane = 0; lane < WARP; lane++) {
        const Mma *o = (const Mma *)m.operands[lane];
        int g = lane / 4, q = 2 * (lane % 4);
        for (int h = 0; h < 2; h++) { // the low and the high half of a register
            a[g][q + h] = bf16_half(o->a[0], h);
            a[g + 8][q + h] = bf16_half(o->a[1], h);
            a[g][q + 8 + h] = bf16_half(o->a[2], h);
            a[g + 8][q + 8 + h] = bf16_half(o->a[3], h);
            b[q + h][g] = bf16_half(o->b[0], h);
            b[q + 8 + h][g] = bf16_half(o->b[1], h);
            c[g][q + h] = o->d[h];
            c[g + 8][q + h] = o->d[2 + h];
        }
    }
    for (int i = 0; i < 16; i++) {
        Float8 sum = {};
        for (int k = 0; k < 16; k++) sum += a[i][k] * *(const Float8 *)b[k];
        *(Float8 *)c[i] += sum;
    }
    for (int lane = 0; lane < WARP; lane++) {
        const Mma *o = (const Mma *)m.operands[lane];
        int g = lane / 4, q = 2 * (lane % 4);
        o->d[0] = c[g][q];
        o->d[1] = c[g][q + 1];
        o->d[2] = c[g + 8][q];
        o->d[3] = c[g + 8][q + 1];
    }
    m.warp->block->grid->counts->mma_flops += 2 * 16 * 8 * 16;
}

void mma_m16n8k16_bf16(float *d, const uint32_t *a, const uint32_t *b) {
    Mma o = {d, a, b};
    meet(~0u, true, finish_mma, &o, "at mma.sync", CALLER);
}

} // namespace cudasim
