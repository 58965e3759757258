// Attention over KV pages: softmax(q k / sqrt(head_dim)) v, causal, grouped heads.
//
// A page of one layer and KV head holds K as (head_dim, page_tokens), so that positions are lanes
// and a score is one sum over head_dim in order, and V as (page_tokens, head_dim). Of q8_0 these
// are the 8-bit numbers, and behind those of K, and of V, stand the scales (blocks, page_tokens). A
// value is the product of both, which float32 holds exactly, so that attention has the bits that it
// has over the same values in f32, whatever the type. The softmax
// runs over blocks of ATTENTION_BLOCK positions in order with a running maximum, and inside a block
// over positions in order: what a position computes depends on the positions up to its own alone,
// not on who computes beside it or how large a page is.
#ifndef KERNELS_CPU_ATTENTION_H
#define KERNELS_CPU_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/state.h"
#include "kernels/tensor.h"

enum { ATTENTION_ROWS = 64, ATTENTION_BLOCK = 128, ATTENTION_MAX_PAGE_TOKENS = 256 };

// Query heads of one sequence that share a KV head; their tokens may differ. All rows meet a block
// of positions before the next one is read.
struct attention_rows {
    int n_rows; // 1 .. ATTENTION_ROWS
    int head_dim, page_tokens;
    float scale;
    enum dtype kv;
    const char *keys, *values;      // of this layer and KV head in page 0
    size_t page_bytes;              // from a page to the next
    const int32_t *pages;           // of the sequence
    const float *q[ATTENTION_ROWS]; // (head_dim) after norm and rope
    float *out[ATTENTION_ROWS];     // (head_dim)
    int position[ATTENTION_ROWS];   // attends to 0 .. position
};

// Of q8_0: where the scales of a block begin in a head's K, or V, of a page. They stand behind all
// values, one for each of its positions.
static inline const char *attention_scales(const struct attention_rows *a, const char *head,
                                           int block) {
    return head + (size_t)(a->head_dim + 2 * block) * (size_t)a->page_tokens;
}

void attention_portable(const struct attention_rows *a);
// Only for head_dim and page_tokens that are multiples of 8.
void attention_avx2(const struct attention_rows *a);
void attention_neon(const struct attention_rows *a);   // likewise
void attention_avx512(const struct attention_rows *a); // the bits of attention_avx2

// Writes K and V (head_dim each) of one position into its page, rounded to `kv`; `keys` and
// `values` are this layer's and KV head's in that page, `slot` the position's place in it. What is
// not finite stays so: in q8_0 all of its block.
void attention_store(enum dtype kv, int head_dim, int page_tokens, int slot, const float *k,
                     const float *v, char *keys, char *values);

#endif
