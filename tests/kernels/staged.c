#include "tests/kernels/staged.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/digest.h"
#include "kernels/types/types.h"
#include "protocol/base/memory.h"

// ------------------------------------------------------------------ bits

uint32_t staged_bits_at(enum dtype t, const void *values, int64_t i) {
    return dtype_bytes(t) == 4 ? ((const uint32_t *)values)[i] : ((const uint16_t *)values)[i];
}

void staged_put_bits(enum dtype t, void *values, int64_t i, uint32_t bits) {
    if (dtype_bytes(t) == 4)
        ((uint32_t *)values)[i] = bits;
    else
        ((uint16_t *)values)[i] = (uint16_t)bits;
}

uint32_t staged_infinity(enum dtype t) {
    return t == DTYPE_F32 ? 0x7f800000u : t == DTYPE_BF16 ? 0x7f80u : 0x7c00u;
}

static uint32_t random_32(struct reference_random *r) {
    return (uint32_t)reference_below(r, 1 << 16) << 16 | (uint32_t)reference_below(r, 1 << 16);
}

// Any finite value: zeros of both signs and the smallest ones come up too. is_small: below 2, so
// that block types hold it.
static uint32_t random_bits(struct reference_random *r, enum dtype t, bool is_small) {
    uint32_t mask = dtype_bytes(t) == 4 ? 0xffffffffu : 0xffffu, sign = (mask >> 1) + 1;
    uint32_t bits = random_32(r) & mask;
    if (reference_below(r, 8) == 0) bits &= sign | 3;
    if (is_small) bits &= ~(sign >> 1);
    if (is_small && reference_below(r, 2))
        dtype_put(t, &bits, 0, (float)(reference_below(r, 2001) - 1000) / 1000);
    if ((bits & staged_infinity(t)) == staged_infinity(t))
        bits ^= staged_infinity(t) & (0u - staged_infinity(t));
    return bits;
}

int64_t staged_n_elements(const struct harness *h, int weight) {
    return weight_n(&h->model->list[weight]);
}

void *staged_read(struct harness *h, int weight) {
    int64_t n = staged_n_elements(h, weight);
    void *values = memory_new((size_t)n, dtype_bytes(h->dtypes[weight]));
    harness_read_weight(h, weight, 0, n, values);
    return values;
}

// ------------------------------------------------------------------ building

// Enough for every weight whole, with a code of 4 bytes for each value.
static uint64_t room_for(const struct model_shape *s) {
    struct weight *list;
    uint64_t bytes = 0;
    int n = weights_list(s, &list);
    for (int i = 0; i < n; i++) bytes += 8 * (uint64_t)weight_n(&list[i]) + 5 * DELTA_ALIGN;
    free(list);
    return bytes;
}

struct staged *staged_new(const struct model_shape *s, const struct harness_options *o,
                          uint64_t seed) {
    struct staged *u = memory_new(1, sizeof *u);
    struct harness_options with = *o;
    with.staging_bytes = u->staging_bytes = room_for(s);
    u->h = harness_open(s, &with, seed);
    u->random.state = seed + 17;
    int n = u->h->model->n;
    u->held = memory_new((size_t)n, sizeof *u->held);
    u->changes = memory_new((size_t)n, sizeof *u->changes);
    u->positions = memory_new((size_t)n, sizeof *u->positions);
    u->image = memory_new(u->staging_bytes, 1);
    for (int i = 0; i < n; i++) {
        int64_t many = staged_n_elements(u->h, i);
        void *values = staged_read(u->h, i);
        u->held[i] = memory_new((size_t)many, sizeof **u->held);
        for (int64_t k = 0; k < many; k++)
            u->held[i][k] = staged_bits_at(u->h->dtypes[i], values, k);
        free(values);
    }
    return u;
}

void staged_clear(struct staged *u) {
    for (int i = 0; i < u->n; i++) free(u->positions[i]);
    u->n = 0;
    u->bytes = 0;
}

void staged_free(struct staged *u) {
    staged_clear(u);
    for (int i = 0; i < u->h->model->n; i++) free(u->held[i]);
    harness_close(&u->h);
    free(u->held);
    free(u->changes);
    free(u->positions);
    free(u->image);
    free(u);
}

struct backend_options staged_plan_options(const struct staged *u, const struct model_shape *s) {
    return (struct backend_options){.shape = *s,
                                    .weight_dtypes = u->h->resident,
                                    .weight_hashes = u->h->hashes,
                                    .page_tokens = 16,
                                    .max_tokens = 16,
                                    .max_segments = 1,
                                    .staging_bytes = 1 << 20,
                                    .n_threads = 1};
}

void staged_put_code(void *codes, int code_bytes, int64_t i, uint32_t code) {
    memcpy((char *)codes + i * code_bytes, &code, (size_t)code_bytes); // little-endian
}

// Codes of the positions, and skips at the end where `trailing`; NULL: only counts them.
static int64_t encode(const uint32_t *positions, int64_t n, int code_bytes, int64_t size,
                      bool trailing, void *codes) {
    uint64_t cursor = 0, skip = delta_skip(code_bytes);
    int64_t n_codes = 0;
    for (int64_t i = 0; i < n; i++, cursor++) {
        for (; positions[i] - cursor >= skip; cursor += skip, n_codes++)
            if (codes) staged_put_code(codes, code_bytes, n_codes, (uint32_t)skip);
        if (codes) staged_put_code(codes, code_bytes, n_codes, (uint32_t)(positions[i] - cursor));
        n_codes++;
        cursor = positions[i];
    }
    if (trailing && cursor + skip <= (uint64_t)size && n_codes < size) {
        if (codes) staged_put_code(codes, code_bytes, n_codes, (uint32_t)skip);
        n_codes++;
    }
    return n_codes;
}

// Where each block begins, by reading every code.
static void lay_anchors(const struct weight_change *c, char *image) {
    struct delta_anchor at = {0, 0}, *anchors = (struct delta_anchor *)(void *)(image + c->anchors);
    for (int64_t i = 0; i < c->n_codes; i++) {
        if (i % DELTA_BLOCK == 0) anchors[i / DELTA_BLOCK] = at;
        uint32_t code = delta_code(image + c->codes, c->code_bytes, i);
        bool is_skip = code == delta_skip(c->code_bytes);
        at.cursor += (uint64_t)code + !is_skip;
        at.n_values += !is_skip;
    }
}

// Adds a change of `weight` at these positions (the update's from now on) to any new values.
void staged_add(struct staged *u, int weight, int code_bytes, uint32_t *positions, int64_t n_values,
                bool trailing) {
    enum dtype t = u->h->dtypes[weight];
    int64_t size = staged_n_elements(u->h, weight);
    struct weight_change *c = &u->changes[u->n];
    *c = (struct weight_change){.weight = weight, .code_bytes = code_bytes, .n_values = n_values};
    if (code_bytes) c->n_codes = encode(positions, n_values, code_bytes, size, trailing, NULL);
    uint64_t end = delta_lay(c, t, u->bytes);
    assert_true(end <= u->staging_bytes);
    memset(u->image + u->bytes, 0xa5, end - u->bytes); // what lies between the parts means nothing
    u->bytes = end;
    if (code_bytes) {
        encode(positions, n_values, code_bytes, size, trailing, u->image + c->codes);
        lay_anchors(c, u->image);
    }
    for (int64_t i = 0; i < n_values; i++)
        staged_put_bits(t, u->image + c->values, i, random_bits(&u->random, t, u->h->has_master));
    u->positions[u->n++] = positions;
}

static bool is_changed(struct staged *u, enum pattern pattern, int64_t i, int64_t size, int rare) {
    switch (pattern) {
    case PATTERN_RANDOM:
        return reference_below(&u->random, rare) == 0;
    case PATTERN_CLUSTERED:
        return i / 37 % 5 == 2;
    case PATTERN_FIRST_AND_LAST:
        return i == 0 || i == size - 1;
    case PATTERN_EDGES:
        return i % 96 == 0 || i % 96 == 31 || i % 768 == 255;
    default:
        return true;
    }
}

void staged_add_pattern(struct staged *u, int weight, int code_bytes, enum pattern pattern) {
    int64_t size = staged_n_elements(u->h, weight), n = 0;
    uint32_t *positions = memory_new((size_t)size, sizeof *positions);
    static const int shares[] = {2, 30, 700};
    int rare = shares[reference_below(&u->random, 3)];
    for (int64_t i = 0; i < size; i++)
        if (is_changed(u, pattern, i, size, rare)) positions[n++] = (uint32_t)i;
    if (n == 0) positions[n++] = (uint32_t)(size / 2);
    staged_add(u, weight, code_bytes, positions, n, reference_below(&u->random, 2));
}

void staged_add_dense(struct staged *u, int weight) {
    int64_t size = staged_n_elements(u->h, weight);
    uint32_t *positions = memory_new((size_t)size, sizeof *positions);
    for (int64_t i = 0; i < size; i++) positions[i] = (uint32_t)i;
    staged_add(u, weight, 0, positions, size, false);
}

void staged_add_turn(struct staged *u, int turn) {
    static const int codes[] = {1, 2, 4, 0};
    for (int i = 0; i < u->h->model->n; i++) {
        int form = (i + turn) % 5;
        if (form == 4) continue; // skipped
        if (codes[form])
            staged_add_pattern(u, i, codes[form],
                               (enum pattern)reference_below(&u->random, N_PATTERNS));
        else
            staged_add_dense(u, i);
    }
}

// ------------------------------------------------------------------ against the model

void staged_stage(struct staged *u, uint64_t from, uint64_t n, const void *bytes) {
    struct error err = {0};
    assert_int_equal(u->h->backend->ops->stage(u->h->backend, from, n, bytes, &err), 0);
}

// In pieces of any size, whose memory is another's as soon as the call returns.
void staged_stage_all(struct staged *u) {
    char *piece = memory_new(3 << 20, 1);
    for (uint64_t at = 0; at < u->bytes;) {
        int most = reference_below(&u->random, 4) ? 70000 : 3 << 20;
        uint64_t n = 1 + (uint64_t)reference_below(&u->random, most);
        if (n > u->bytes - at) n = u->bytes - at;
        memcpy(piece, u->image + at, n);
        staged_stage(u, at, n, piece);
        memset(piece, 0x5a, n);
        at += n;
    }
    free(piece);
}

int staged_check(struct staged *u, struct change_sums *sums, int *bad, struct error *err) {
    *err = (struct error){0};
    struct backend *b = u->h->backend;
    if (b->ops->check(b, u->changes, u->n, sums, bad, err)) return -1;
    return b->ops->remake ? b->ops->remake(b, u->changes, u->n, bad, err) : 0;
}

struct change_sums staged_sums_of(const struct staged *u, int i) {
    const struct weight_change *c = &u->changes[i];
    uint64_t hash = u->h->hashes[c->weight];
    struct change_sums sums = {0, 0};
    for (int64_t k = 0; k < c->n_values; k++) {
        uint32_t p = u->positions[i][k];
        uint32_t bits = staged_bits_at(u->h->dtypes[c->weight], u->image + c->values, k);
        sums.staged += digest_mix(hash, p, bits);
        if (c->code_bytes) sums.resident += digest_mix(hash, p, u->held[c->weight][p]);
    }
    return sums;
}

void staged_expect_sums(struct staged *u) {
    struct change_sums *sums = memory_new((size_t)u->n, sizeof *sums);
    struct error err;
    int bad = 77, rc = staged_check(u, sums, &bad, &err);
    if (rc) print_message("change %d: %s\n", bad, err.text);
    assert_int_equal(rc, 0);
    for (int i = 0; i < u->n; i++) {
        struct change_sums want = staged_sums_of(u, i);
        assert_true(sums[i].staged == want.staged && sums[i].resident == want.resident);
    }
    free(sums);
}

void *staged_pack(const struct staged *u, int weight) {
    enum dtype t = u->h->dtypes[weight], resident = u->h->resident[weight];
    int64_t n = staged_n_elements(u->h, weight), size = type_elements(resident);
    char *blocks = memory_new((size_t)n, sizeof(float));
    for (int64_t at = 0; at < n; at += size) {
        float x[TYPE_MAX_ELEMENTS];
        for (int64_t i = 0; i < size; i++) x[i] = dtype_get(t, &u->held[weight][at + i], 0);
        if (dtype_is_block(resident))
            type_find(resident)->pack(x, blocks + type_size(resident, at));
        else
            dtype_put(resident, blocks, at, x[0]);
    }
    return blocks;
}

// Resident blocks are those that the whole master would be packed to, all of them.
static void expect_blocks(const struct staged *u, int weight) {
    struct backend *b = u->h->backend;
    struct error err = {0};
    int64_t n = staged_n_elements(u->h, weight);
    size_t bytes = type_size(u->h->resident[weight], n), n_wrong = 0;
    char *want = staged_pack(u, weight), *found = memory_new((size_t)n, sizeof(float));
    assert_int_equal(b->ops->weight_read(b, weight, 0, n, found, &err), 0);
    for (size_t i = 0; i < bytes; i++) n_wrong += want[i] != found[i];
    if (n_wrong) print_message("weight %d: %d bytes of blocks differ\n", weight, (int)n_wrong);
    assert_true(n_wrong == 0);
    free(want);
    free(found);
}

// In two parts, as the scrub asks.
static void expect_digest(const struct staged *u, int weight, const void *values) {
    struct backend *b = u->h->backend;
    struct error err = {0};
    int64_t n = staged_n_elements(u->h, weight), cut = n / 2 / TYPE_MAX_ELEMENTS;
    uint64_t parts[2] = {0}, hash = u->h->hashes[weight];
    cut *= TYPE_MAX_ELEMENTS;
    if (cut) assert_int_equal(b->ops->weight_digest(b, weight, 0, cut, &parts[0], &err), 0);
    assert_int_equal(b->ops->weight_digest(b, weight, cut, n - cut, &parts[1], &err), 0);
    if (parts[0] + parts[1] != type_digest(hash, 0, n, u->h->dtypes[weight], values))
        fail_msg("weight %d: its digest is not that of its values", weight);
}

void staged_expect_weights(const struct staged *u) {
    for (int i = 0; i < u->h->model->n; i++) {
        void *values = staged_read(u->h, i);
        int64_t n = staged_n_elements(u->h, i), n_wrong = 0;
        for (int64_t k = 0; k < n; k++)
            n_wrong += staged_bits_at(u->h->dtypes[i], values, k) != u->held[i][k];
        if (n_wrong) print_message("weight %d: %ld elements differ\n", i, (long)n_wrong);
        assert_int_equal(n_wrong, 0);
        expect_digest(u, i, values);
        free(values);
        if (u->h->has_master) expect_blocks(u, i);
    }
}

// The same exchange in the model and its image of the staging memory.
void staged_apply(struct staged *u) {
    struct backend *b = u->h->backend;
    struct error err = {0};
    assert_int_equal(b->ops->apply(b, u->changes, u->n, &err), 0);
    for (int i = 0; i < u->n; i++) {
        const struct weight_change *c = &u->changes[i];
        enum dtype t = u->h->dtypes[c->weight];
        for (int64_t k = 0; k < c->n_values; k++) {
            uint32_t *held = &u->held[c->weight][u->positions[i][k]], was = *held;
            *held = staged_bits_at(t, u->image + c->values, k);
            staged_put_bits(t, u->image + c->values, k, was);
        }
    }
}

void staged_exchange_twice(struct staged *u) {
    staged_stage_all(u);
    staged_expect_sums(u);
    staged_apply(u);
    staged_apply(u);
    staged_expect_weights(u);
    staged_apply(u);
    staged_expect_weights(u);
    if (u->h->keeps_staged) staged_stage_all(u);
    staged_expect_sums(u);
    staged_apply(u);
    staged_expect_weights(u);
}
