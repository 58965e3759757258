// AMX as Intel's manual has it, in plain C, for programs that are compiled with AMX_EMULATED. What
// would raise a fault, or what no product means, aborts.
#define AMX_EMULATED
#include "kernels/amx.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tile {
    int rows, row_bytes;
    _Alignas(64) uint8_t data[AMX_ROWS][AMX_ROW_BYTES];
};
static _Thread_local struct tile tiles[AMX_TILES];

static void expect(bool is_so, const char *what) {
    if (is_so) return;
    fprintf(stderr, "amx: %s\n", what);
    abort();
}

static struct tile *tile_of(int tile) {
    expect(tile >= 0 && tile < AMX_TILES && tiles[tile].rows, "a tile that was not configured.");
    return &tiles[tile];
}

void amx_emulated_configure(const struct amx_sizes *s) {
    memset(tiles, 0, sizeof tiles);
    if (!s) return;
    expect(s->palette == 1 && s->start_row == 0, "a palette that is not 1, or a start row.");
    for (int i = 0; i < 14; i++) expect(!s->reserved[i], "a reserved byte that is not 0.");
    for (int i = 0; i < 16; i++) {
        int rows = s->rows[i], bytes = s->row_bytes[i];
        expect(i < AMX_TILES || (!rows && !bytes), "sizes of a tile that there is not.");
        expect(rows <= AMX_ROWS && bytes <= AMX_ROW_BYTES && !rows == !bytes, "a size of a tile.");
        if (i < AMX_TILES) tiles[i].rows = rows, tiles[i].row_bytes = bytes;
    }
}

void amx_emulated_zero(int tile) {
    memset(tile_of(tile)->data, 0, sizeof tiles->data);
}

// Of a row all that is behind row_bytes becomes zero, and so do rows that are none.
void amx_emulated_load(int tile, const void *base, size_t stride) {
    struct tile *t = tile_of(tile);
    memset(t->data, 0, sizeof t->data);
    for (int i = 0; i < t->rows; i++)
        memcpy(t->data[i], (const char *)base + (size_t)i * stride, (size_t)t->row_bytes);
}

void amx_emulated_store(int tile, void *base, size_t stride) {
    const struct tile *t = tile_of(tile);
    for (int i = 0; i < t->rows; i++)
        memcpy((char *)base + (size_t)i * stride, t->data[i], (size_t)t->row_bytes);
}

static void expect_product(int c, int a, int b) {
    const struct tile *to = tile_of(c), *x = tile_of(a), *w = tile_of(b);
    expect(c != a && c != b && a != b, "a product of a tile with itself.");
    expect(to->row_bytes % 4 == 0 && x->row_bytes % 4 == 0 && w->row_bytes % 4 == 0,
           "a row of a product that is not of whole words.");
    expect(to->rows == x->rows && to->row_bytes == w->row_bytes && x->row_bytes == 4 * w->rows,
           "tiles whose sizes do not fit a product.");
}

void amx_emulated_dot_int8(int c, int a, int b) {
    expect_product(c, a, b);
    for (int m = 0; m < tiles[c].rows; m++) {
        int32_t sums[AMX_ROW_BYTES / 4];
        memcpy(sums, tiles[c].data[m], sizeof sums);
        for (int k = 0; k < tiles[b].rows; k++)
            for (int n = 0; n < tiles[c].row_bytes / 4; n++)
                for (int i = 0; i < 4; i++)
                    sums[n] +=
                        (int8_t)tiles[a].data[m][4 * k + i] * (int8_t)tiles[b].data[k][4 * n + i];
        memcpy(tiles[c].data[m], sums, (size_t)tiles[c].row_bytes);
    }
}

static float flush(float x) {
    return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}

enum { ROW_PAIRS = AMX_ROW_BYTES / 4 };

static void to_floats(const uint8_t *row, float out[2 * ROW_PAIRS]) {
    for (int i = 0; i < 2 * ROW_PAIRS; i++) {
        uint32_t bits = (uint32_t)row[2 * i] << 16 | (uint32_t)row[2 * i + 1] << 24;
        memcpy(&out[i], &bits, sizeof out[i]);
        out[i] = flush(out[i]);
    }
}

void amx_emulated_dot_bf16(int c, int a, int b) {
    expect_product(c, a, b);
    float x[2 * ROW_PAIRS], w[AMX_ROWS][2 * ROW_PAIRS];
    for (int k = 0; k < tiles[b].rows; k++) to_floats(tiles[b].data[k], w[k]);
    for (int m = 0; m < tiles[c].rows; m++) {
        to_floats(tiles[a].data[m], x);
        for (int n = 0; n < tiles[c].row_bytes / 4; n++) {
            float even = 0, odd = 0, *at = (float *)(void *)tiles[c].data[m] + n;
            for (int k = 0; k < tiles[b].rows; k++) {
                even = flush(fmaf(x[2 * k], w[k][2 * n], even));
                odd = flush(fmaf(x[2 * k + 1], w[k][2 * n + 1], odd));
            }
            *at = flush(flush(*at) + flush(even + odd));
        }
    }
}
