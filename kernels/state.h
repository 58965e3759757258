// The state of sequences: the types in which it is held, and its movements.
//
// K and V are f32, bf16, f16 or q8_0. They are rounded, or quantised, once, when a position is
// written (K behind the rotation), and always read from there. In q8_0 a head's values stand in
// blocks of 32 along the head's dimension, the last one shorter where 32 does not divide it, each
// with a float16 scale, as kernels/types/q8_0.c packs them. Conv state, which is small and feeds
// back into itself, is bf16 where K and V are, else f32.
#ifndef KERNELS_STATE_H
#define KERNELS_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/tensor.h"

enum { STATE_BLOCK = 32 }; // values that share a scale

static inline int state_n_blocks(int head_dim) {
    return (head_dim + STATE_BLOCK - 1) / STATE_BLOCK;
}

// Bytes of K, or of V, of one KV head and layer in a page.
static inline size_t state_head_bytes(enum dtype kv, int head_dim, int page_tokens) {
    size_t position = kv == DTYPE_Q8_0 ? (size_t)(head_dim + 2 * state_n_blocks(head_dim))
                                       : (size_t)head_dim * dtype_bytes(kv);
    return (size_t)page_tokens * position;
}

static inline enum dtype state_conv_dtype(enum dtype kv) {
    return kv == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F32;
}

// One movement of the state of sequences. Pages and conv slots of the arena are numbered by
// themselves, from 0.
enum move_kind {
    MOVE_PAGE_COPY,    // page `from` -> page `to`
    MOVE_PAGE_SUSPEND, // page `from` -> arena page `to`
    MOVE_PAGE_RESUME,  // arena page `from` -> page `to`
    MOVE_CONV_COPY,    // conv slot `from` -> conv slot `to`
    MOVE_CONV_SUSPEND, // conv slot `from` -> arena slot `to`
    MOVE_CONV_RESUME,  // arena slot `from` -> conv slot `to`
};
struct state_move {
    enum move_kind kind;
    int32_t from, to;
};

#endif
