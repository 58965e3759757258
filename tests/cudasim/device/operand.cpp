#include "tests/cudasim/device/operand.h"

namespace cudasim {

struct Operand {
    uint32_t start;           // shared address
    uint32_t leading, stride; // bytes
    int row_bytes;            // of a swizzled pattern: 32, 64, 128; 16 without swizzling
    bool trans;
};

static Operand decode(uint64_t d, int trans, const char *name, const void *caller) {
    static const int ROW_BYTES[4] = {16, 128, 64, 32};
    Operand o;
    o.start = (uint32_t)(d & 0x3fff) << 4;
    o.leading = (uint32_t)(d >> 16 & 0x3fff) << 4;
    o.stride = (uint32_t)(d >> 32 & 0x3fff) << 4;
    o.row_bytes = ROW_BYTES[d >> 62];
    o.trans = trans != 0;
    if (d & 0x3ff1c000c000c000ull)
        fail(caller, "the descriptor %#llx of %s has bits set that mean nothing",
             (unsigned long long)d, name);
    if (d >> 49 & 7)
        fail(caller,
             "the descriptor of %s has a base offset: the emulator takes 0 alone, so a "
             "pattern starts at a multiple of its size",
             name);
    int pattern = 8 * o.row_bytes;
    if (o.row_bytes > 16 && o.start % (unsigned)pattern >= (unsigned)o.row_bytes)
        fail(caller,
             "the descriptor of %s starts at shared address %u, in row %u of a swizzle "
             "pattern of %d bytes; patterns start at multiples of their size",
             name, o.start, o.start % (unsigned)pattern / (unsigned)o.row_bytes, pattern);
    return o;
}

// Bits 4 and up are exchanged with bits 7 and up of the same address.
static inline uint32_t swizzle(uint32_t address, int row_bytes) {
    uint32_t mask = (uint32_t)(row_bytes / 16 - 1);
    return address ^ (address >> 7 & mask) << 4;
}

// Eight elements: of row r, columns 8 c to 8 c + 7 of K (c: 0, 1).
static inline uint32_t piece_k(const Operand &o, int r, int c) {
    uint32_t row8 = o.start + (uint32_t)(r / 8) * o.stride;
    if (o.row_bytes == 16) return row8 + (uint32_t)c * o.leading + (uint32_t)(r % 8) * 16;
    return swizzle(row8 + (uint32_t)(r % 8 * o.row_bytes + c * 16), o.row_bytes);
}
// Eight elements: of column k of K, rows 8 m to 8 m + 7.
static inline uint32_t piece_mn(const Operand &o, int k, int m) {
    if (o.row_bytes == 16)
        return o.start + (uint32_t)m * o.stride + (uint32_t)(k / 8) * o.leading +
               (uint32_t)(k % 8) * 16;
    int wide = o.row_bytes / 16; // pieces along M or N in one pattern
    return swizzle(o.start + (uint32_t)(m / wide) * o.leading + (uint32_t)(k / 8) * o.stride +
                       (uint32_t)(k % 8 * o.row_bytes + m % wide * 16),
                   o.row_bytes);
}

template <class F> static void each_piece(const Operand &o, int rows, F f) {
    if (!o.trans) {
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < 2; c++) f(r, c, piece_k(o, r, c));
    } else {
        for (int k = 0; k < 16; k++)
            for (int m = 0; m < rows / 8; m++) f(k, m, piece_mn(o, k, m));
    }
}

void operand_will_read(race::Token token, Block *b, uint64_t descriptor, int rows, int trans,
                       const char *name, const void *caller) {
    Operand o = decode(descriptor, trans, name, caller);
    const SharedArray *array = nullptr;
    each_piece(o, rows, [&](int, int, uint32_t address) {
        unsigned char *p = (unsigned char *)shared_pointer(b, address);
        if (!array || p < array->at || p + 16 > array->at + array->bytes) {
            array = shared_find(b, p, 16);
            if (!array)
                fail(caller, "wgmma: the descriptor of %s reaches %s, outside of all arrays", name,
                     describe(p).c_str());
        }
        race::will_read(token, p, 16);
    });
}

static inline Float8 widen(Block *b, uint32_t address) {
    const uint16_t *h = (const uint16_t *)shared_pointer(b, address);
    typedef uint32_t Word8 __attribute__((vector_size(32)));
    Word8 w = {h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]};
    return (Float8)(w << 16);
}

void operand_gather_rows(Block *b, uint64_t descriptor, int rows, int trans, float (*out)[16]) {
    Operand o = decode(descriptor, trans, "A", nullptr);
    each_piece(o, rows, [&](int i, int j, uint32_t address) {
        Float8 f = widen(b, address);
        if (!o.trans)
            *(Float8Loose *)&out[i][8 * j] = f;
        else
            for (int e = 0; e < 8; e++) out[8 * j + e][i] = f[e];
    });
}

void operand_gather_columns(Block *b, uint64_t descriptor, int rows, int trans,
                            float (*out)[OPERAND_MAX_N]) {
    Operand o = decode(descriptor, trans, "B", nullptr);
    each_piece(o, rows, [&](int i, int j, uint32_t address) {
        Float8 f = widen(b, address);
        if (o.trans)
            *(Float8Loose *)&out[i][8 * j] = f;
        else
            for (int e = 0; e < 8; e++) out[8 * j + e][i] = f[e];
    });
}

} // namespace cudasim
