#include "worker/load/bpe.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/memory.h"

// A part of the piece; id -1 once it was merged into its left neighbour.
struct bpe_symbol {
    int32_t id, before, after; // places of the neighbours, -1 at the ends
};

struct bpe_candidate {
    int32_t rank, at; // merge `at` with what stands behind it
    int32_t id;       // what they become
};

void bpe_init(struct bpe *b, size_t n_merges) {
    *b = (struct bpe){.n_slots = 16};
    while (b->n_slots < 2 * n_merges) b->n_slots *= 2;
    b->merges = memory_new(b->n_slots, sizeof *b->merges);
    for (size_t i = 0; i < b->n_slots; i++) b->merges[i].left = -1;
}

void bpe_free(struct bpe *b) {
    free(b->merges);
    *b = (struct bpe){0};
}

void bpe_scratch_free(struct bpe_scratch *s) {
    free(s->symbols);
    free(s->heap);
    *s = (struct bpe_scratch){0};
}

static size_t slot_of(const struct bpe *b, int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t at = (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (b->n_slots - 1);
    while (b->merges[at].left >= 0 && (b->merges[at].left != left || b->merges[at].right != right))
        at = (at + 1) & (b->n_slots - 1);
    return at;
}

void bpe_add_merge(struct bpe *b, struct bpe_merge merge) {
    b->merges[slot_of(b, merge.left, merge.right)] = merge;
}

static const struct bpe_merge *find(const struct bpe *b, int32_t left, int32_t right) {
    const struct bpe_merge *m = &b->merges[slot_of(b, left, right)];
    return m->left >= 0 ? m : NULL;
}

static bool goes_first(struct bpe_candidate a, struct bpe_candidate b) {
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void push(struct bpe_candidate *heap, size_t *n, struct bpe_candidate c) {
    size_t i = (*n)++;
    while (i > 0 && goes_first(c, heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = c;
}

static struct bpe_candidate pop(struct bpe_candidate *heap, size_t *n) {
    struct bpe_candidate top = heap[0], last = heap[--*n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= *n) break;
        if (child + 1 < *n && goes_first(heap[child + 1], heap[child])) child++;
        if (!goes_first(heap[child], last)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

static void reserve(struct bpe_scratch *s, size_t n) {
    if (n <= s->capacity) return;
    s->capacity = n < 64 ? 64 : 2 * n;
    s->symbols = memory_resize(s->symbols, s->capacity, sizeof *s->symbols);
    // n - 1 pairs at first, and each of at most n - 1 merges adds two.
    s->heap = memory_resize(s->heap, 3 * s->capacity, sizeof *s->heap);
}

static void offer(const struct bpe *b, struct bpe_scratch *s, size_t *n_heap, int32_t at) {
    const struct bpe_symbol *left = &s->symbols[at];
    if (left->after < 0) return;
    const struct bpe_merge *m = find(b, left->id, s->symbols[left->after].id);
    if (m) push(s->heap, n_heap, (struct bpe_candidate){m->rank, at, m->id});
}

// Takes the candidate unless its parts have changed since: then the pair there makes another id.
static void merge(const struct bpe *b, struct bpe_scratch *s, size_t *n_heap,
                  struct bpe_candidate c) {
    struct bpe_symbol *left = &s->symbols[c.at];
    if (left->id < 0 || left->after < 0) return;
    struct bpe_symbol *right = &s->symbols[left->after];
    const struct bpe_merge *m = find(b, left->id, right->id);
    if (!m || m->id != c.id) return;
    left->id = c.id;
    left->after = right->after;
    right->id = -1;
    if (left->after >= 0) s->symbols[left->after].before = c.at;
    if (left->before >= 0) offer(b, s, n_heap, left->before);
    offer(b, s, n_heap, c.at);
}

int32_t bpe_whole_piece(const struct vocab *v, struct slice piece) {
    char small[512];
    char *text = piece.len <= sizeof small / 2 ? small : memory_new(2 * piece.len + 4, 1);
    size_t n = 0;
    for (size_t i = 0; i < piece.len; i++) {
        char one[4];
        int len = vocab_write_byte((uint8_t)piece.ptr[i], one);
        for (int k = 0; k < len; k++) text[n++] = one[k];
    }
    int32_t id = vocab_find(v, (struct slice){text, n});
    if (text != small) free(text);
    return id;
}

void bpe_encode(const struct bpe *b, const struct vocab *v, struct slice piece,
                struct bpe_scratch *s, struct token_list *out) {
    assert(piece.len > 0 && piece.len < (size_t)1 << 30);
    if (b->ignore_merges) {
        int32_t id = bpe_whole_piece(v, piece);
        if (id >= 0) {
            token_list_add(out, id);
            return;
        }
    }
    int32_t n = (int32_t)piece.len;
    size_t n_heap = 0;
    reserve(s, piece.len);
    for (int32_t i = 0; i < n; i++) {
        int32_t id = b->byte_ids[(uint8_t)piece.ptr[i]];
        assert(id >= 0);
        s->symbols[i] = (struct bpe_symbol){id, i - 1, i + 1 < n ? i + 1 : -1};
    }
    for (int32_t i = 0; i < n; i++) offer(b, s, &n_heap, i);
    while (n_heap > 0) merge(b, s, &n_heap, pop(s->heap, &n_heap));
    for (int32_t i = 0; i >= 0; i = s->symbols[i].after) token_list_add(out, s->symbols[i].id);
}
