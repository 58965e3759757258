// Intel's matrix extensions, AMX. A processor has 8 tiles of up to 16 rows of 64 bytes; their sizes
// are set together, for a thread, and one instruction multiplies two tiles into a third:
//
//   AMX_DOT_INT8(c, a, b)   c[m][n] += sum over k of a[m][4k .. 4k+3] * b[k][4n .. 4n+3]
//   AMX_DOT_BF16(c, a, b)   c[m][n] += (sum over k of a[m][2k] * b[k][2n])
//                                    + (sum over k of a[m][2k+1] * b[k][2n+1])
//
// of signed bytes into int32, exactly, and of bf16 into float32, k in order, by fused
// multiply-adds, rounded to nearest even, subnormals as zeros (Intel's Software Developer's Manual,
// volume 2, TDPBSSD and TDPBF16PS). So rows of weights are the columns n of b, which lies as all
// tiles of this tree do, and rows m of a are tokens: what a row of c becomes depends on no other
// row of a.
//
// One instruction a macro: tiles are written into it, 0 to 7. With AMX_EMULATED (tests/amx) they
// are plain C that does what the manual says, and aborts where a processor would raise a fault.
#ifndef KERNELS_AMX_H
#define KERNELS_AMX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AMX_TILES = 8, AMX_ROWS = 16, AMX_ROW_BYTES = 64 };

// What LDTILECFG reads; sizes of 0 are of tiles that are not used.
struct amx_sizes {
    uint8_t palette; // 1
    uint8_t start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static inline void amx_size(struct amx_sizes *s, int tile, int rows, int row_bytes) {
    s->palette = 1;
    s->rows[tile] = (uint8_t)rows;
    s->row_bytes[tile] = (uint16_t)row_bytes;
}

// Whether this processor and its system have AMX for whole numbers and bf16, and a trial of both
// products gave what is written above. The system is asked for it once, for all threads.
bool amx_is_there(void);

// Whether the products of a trial are right; called where the instructions are there.
bool amx_try(void);

#if defined(AMX_EMULATED)
#define AMX_CONFIGURE(sizes)          amx_emulated_configure(sizes)
#define AMX_RELEASE()                 amx_emulated_configure(NULL)
#define AMX_ZERO(tile)                amx_emulated_zero(tile)
#define AMX_LOAD(tile, base, stride)  amx_emulated_load(tile, base, stride)
#define AMX_STORE(tile, base, stride) amx_emulated_store(tile, base, stride)
#define AMX_DOT_INT8(c, a, b)         amx_emulated_dot_int8(c, a, b)
#define AMX_DOT_BF16(c, a, b)         amx_emulated_dot_bf16(c, a, b)

// Of tests/amx/emulated.c. NULL: the initial state, in which there is no tile.
void amx_emulated_configure(const struct amx_sizes *sizes);
void amx_emulated_zero(int tile);
void amx_emulated_load(int tile, const void *base, size_t stride);
void amx_emulated_store(int tile, void *base, size_t stride);
void amx_emulated_dot_int8(int c, int a, int b);
void amx_emulated_dot_bf16(int c, int a, int b);
#elif defined(__AMX_TILE__) || defined(__AMXTILE__) // the second is clang 14
#include <immintrin.h>
#define AMX_CONFIGURE(sizes)          _tile_loadconfig(sizes)
#define AMX_RELEASE()                 _tile_release()
#define AMX_ZERO(tile)                _tile_zero(tile)
#define AMX_LOAD(tile, base, stride)  _tile_loadd(tile, base, stride)
#define AMX_STORE(tile, base, stride) _tile_stored(tile, base, stride)
#define AMX_DOT_INT8(c, a, b)         _tile_dpbssd(c, a, b)
#define AMX_DOT_BF16(c, a, b)         _tile_dpbf16ps(c, a, b)
#endif

#endif
