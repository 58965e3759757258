#include "kernels/delta.h"

static uint64_t place(uint64_t *part, uint64_t at, uint64_t bytes) {
    *part = at;
    return (at + bytes + DELTA_ALIGN - 1) & ~(uint64_t)(DELTA_ALIGN - 1);
}

uint64_t delta_lay(struct weight_change *c, enum dtype dtype, uint64_t at) {
    uint64_t n_codes = c->code_bytes ? (uint64_t)c->n_codes : 0;
    uint64_t n_blocks = (uint64_t)delta_n_blocks((int64_t)n_codes);
    at = place(&c->codes, at, n_codes * (uint64_t)c->code_bytes);
    at = place(&c->anchors, at, n_blocks * sizeof(struct delta_anchor));
    return place(&c->values, at, (uint64_t)c->n_values * dtype_bytes(dtype));
}
