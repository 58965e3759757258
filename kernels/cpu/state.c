#include <assert.h>
#include <string.h>

#include "kernels/cpu/backend.h"

static char *at(const struct region *r, int n, int i, size_t bytes) {
    assert(i >= 0 && i < n);
    return r->data + (size_t)i * bytes;
}

static char *page(struct cpu *c, int i) {
    return at(&c->pages, c->n_pages, i, c->page_bytes);
}

static char *arena_page(struct cpu *c, int i) {
    return at(&c->arena, c->arena_pages, i, c->page_bytes);
}

static char *slot(struct cpu *c, int i) {
    return at(&c->convs, c->n_conv_slots, i, c->conv_bytes);
}

// The arena's slots lie behind its pages.
static char *arena_slot(struct cpu *c, int i) {
    assert(i >= 0 && i < c->arena_slots);
    return c->arena.data + (size_t)c->arena_pages * c->page_bytes + (size_t)i * c->conv_bytes;
}

static void move(struct cpu *c, const struct state_move *m) {
    switch (m->kind) {
    case MOVE_PAGE_COPY:
        memmove(page(c, m->to), page(c, m->from), c->page_bytes);
        break;
    case MOVE_PAGE_SUSPEND:
        memcpy(arena_page(c, m->to), page(c, m->from), c->page_bytes);
        break;
    case MOVE_PAGE_RESUME:
        memcpy(page(c, m->to), arena_page(c, m->from), c->page_bytes);
        break;
    case MOVE_CONV_COPY:
        memmove(slot(c, m->to), slot(c, m->from), c->conv_bytes);
        break;
    case MOVE_CONV_SUSPEND:
        memcpy(arena_slot(c, m->to), slot(c, m->from), c->conv_bytes);
        break;
    case MOVE_CONV_RESUME:
        memcpy(slot(c, m->to), arena_slot(c, m->from), c->conv_bytes);
        break;
    }
}

void cpu_move(struct backend *b, const struct state_move *moves, size_t n) {
    for (size_t i = 0; i < n; i++) move((struct cpu *)b, &moves[i]);
}
