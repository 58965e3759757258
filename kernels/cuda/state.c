// Moves of pages and conv slots, as if one followed the other: a launch copies moves that do not
// touch each other's state, further launches what follows.
#include <assert.h>

#include "kernels/cuda/backend.h"

enum { COPIES = BACKEND_COPIES };

// What a move reads or writes: its memory, and its number among all pages and slots.
struct place {
    char *at;
    int number;
};

static struct place page(const struct cuda *c, int i) {
    assert(i >= 0 && i < c->d.n_pages);
    return (struct place){c->pages + i * c->d.page_bytes, i};
}
static struct place slot(const struct cuda *c, int i) {
    assert(i >= 0 && i < c->d.n_conv_slots);
    return (struct place){c->slots + i * c->d.slot_bytes, c->d.n_pages + i};
}
static struct place arena_page(const struct cuda *c, int i) {
    assert(i >= 0 && i < c->d.arena_pages);
    return (struct place){c->arena + i * c->d.page_bytes, c->d.n_pages + c->d.n_conv_slots + i};
}
// The arena's slots lie behind its pages.
static struct place arena_slot(const struct cuda *c, int i) {
    assert(i >= 0 && i < c->d.arena_slots);
    int before = c->d.n_pages + c->d.n_conv_slots + c->d.arena_pages;
    return (struct place){c->arena + c->d.arena_pages * c->d.page_bytes + i * c->d.slot_bytes,
                          before + i};
}

static void places(const struct cuda *c, const struct state_move *m, struct place *from,
                   struct place *to) {
    bool is_page =
        m->kind == MOVE_PAGE_COPY || m->kind == MOVE_PAGE_SUSPEND || m->kind == MOVE_PAGE_RESUME;
    bool from_arena = m->kind == MOVE_PAGE_RESUME || m->kind == MOVE_CONV_RESUME;
    bool to_arena = m->kind == MOVE_PAGE_SUSPEND || m->kind == MOVE_CONV_SUSPEND;
    if (is_page) {
        *from = from_arena ? arena_page(c, m->from) : page(c, m->from);
        *to = to_arena ? arena_page(c, m->to) : page(c, m->to);
    } else {
        *from = from_arena ? arena_slot(c, m->from) : slot(c, m->from);
        *to = to_arena ? arena_slot(c, m->to) : slot(c, m->to);
    }
}

// touched[2 * i]: the last batch that wrote place i; touched[2 * i + 1]: that read it.
static bool is_independent(const struct cuda *c, const struct place *from, const struct place *to) {
    return c->touched[2 * from->number] != c->batch && c->touched[2 * to->number] != c->batch &&
           c->touched[2 * to->number + 1] != c->batch;
}

// Launches copies first .. n_copies - 1 as a batch.
static void flush(struct cuda *c, int first) {
    if (c->n_copies > first)
        backend_note(c, state_launch(&c->queue, c->copies + first, c->n_copies - first),
                     "moving state");
    c->batch++;
}

void cuda_move(struct backend *b, const struct state_move *moves, size_t n) {
    struct cuda *c = (struct cuda *)b;
    if (c->failed || n == 0) return;
    int first = c->n_copies;
    c->batch++;
    for (size_t i = 0; i < n; i++) {
        struct place from, to;
        places(c, &moves[i], &from, &to);
        if (from.number == to.number) continue;
        bool is_full = c->n_copies == COPIES;
        if (is_full || !is_independent(c, &from, &to)) {
            flush(c, first);
            if (is_full) {
                // Kernels read the list where it lies.
                backend_note(c, cudaStreamSynchronize(c->stream), "moving state");
                c->n_copies = 0;
            }
            first = c->n_copies;
        }
        bool is_page = moves[i].kind <= MOVE_PAGE_RESUME;
        c->copies[c->n_copies++] =
            (struct state_copy){from.at, to.at, is_page ? c->d.page_bytes : c->d.slot_bytes};
        c->touched[2 * from.number + 1] = c->touched[2 * to.number] = c->batch;
    }
    flush(c, first);
}
