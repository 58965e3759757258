#include "tests/cudasim/device/block.h"

#include "tests/cudasim/device/counters.h"

#include <string.h>
#include <sys/mman.h>

namespace cudasim {

static const uint64_t CANARY = 0x5ca1ab1e0ddba11;

static unsigned char *map(size_t bytes) {
    void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail(nullptr, "no %zu MB for the stacks of a block", bytes >> 20);
    return (unsigned char *)p;
}

Block *block_make(Machine *machine) {
    Block *b = new Block();
    b->machine = machine;
    b->threads.resize(MAX_THREADS);
    b->stacks = map((size_t)STACK_STRIDE * MAX_THREADS);
    b->window = map(WINDOW_BYTES);
    memset(b->window, 0xff, WINDOW_BYTES);
    b->window_end = 0;
    return b;
}

static void start_thread(Block *b, unsigned i) {
    Thread *t = &b->threads[i];
    Warp *w = &b->warps[i / WARP];
    const dim3 &d = b->block_dim;
    t->thread_index = {i % d.x, i / d.x % d.y, i / d.x / d.y};
    t->block = b;
    t->owner = b;
    t->warp = w;
    t->lane = i % WARP;
    t->bit = 1u << t->lane;
    t->number = i;
    t->waited_for_prior_grid = t->called_dependents = t->cluster_arrived = false;
    t->cluster_phase = 0;
    t->wait = Wait();
    t->copies.clear();
    t->first_copy = 0;
    t->stores.clear();
    t->product_groups.clear();
    t->copy_group = t->store_group = 0;
    t->n_products = 0;
    t->n_arrivals_pending = 0;
    unsigned char *bottom = block_stack(b, i);
    memcpy(bottom, &CANARY, sizeof CANARY);
    sanitizer_open(bottom, STACK_BYTES);
    void **sp = (void **)(((uintptr_t)bottom + (size_t)STACK_BYTES) / 64 * 64 - 64);
    *--sp = nullptr; // where a return address would be
    *--sp = (void *)thread_main;
    t->stack_pointer = sp;
    w->live |= t->bit;
    w->runnable |= t->bit;
    race::thread_begins(t);
}

void block_start(Block *b, Grid *grid, uint64_t number) {
    const dim3 &g = grid->grid;
    b->grid = grid;
    b->number = number;
    b->block_index = {(unsigned)(number % g.x), (unsigned)(number / g.x % g.y),
                      (unsigned)(number / g.x / g.y)};
    b->grid_dim = g;
    b->block_dim = grid->block;
    b->n_threads = b->n_live = grid->block.x * grid->block.y * grid->block.z;
    b->n_warps = (b->n_threads + WARP - 1) / WARP;
    b->runnable = ~0u >> (32 - b->n_warps);
    b->current = 0;
    b->waited_for_prior_grid = b->triggered = false;
    b->n_dependents_calls = 0;
    b->pending.clear();
    for (unsigned i = 0; i < b->n_warps; i++) {
        Warp *w = &b->warps[i];
        w->block = b;
        w->number = i;
        w->n_lanes = i + 1 < b->n_warps ? (unsigned)WARP : b->n_threads - i * WARP;
        w->threads = &b->threads[i * WARP];
        w->live = w->runnable = w->parked = 0;
        w->n_meetings = 0;
    }
    if (b->cluster) b->cluster->n_threads += b->n_threads;
    shared_reset(b);
    barriers_reset(b);
    products_reset(b);
    race::block_begins(b);
    for (unsigned i = 0; i < b->n_threads; i++) start_thread(b, i);
}

static void trigger(Block *b) {
    if (b->triggered) return;
    b->triggered = true;
    b->grid->n_triggered++;
    b->machine->progress++;
}

void thread_ends(Thread *t) {
    Block *b = t->owner;
    uint64_t canary;
    memcpy(&canary, block_stack(b, t->number), sizeof canary);
    if (canary != CANARY) fail(nullptr, "a thread used more than %d KB of stack", (int)STACK_BYTES >> 10);
    copies_check_end(t);
    stores_check_end(t);
    b->n_live--;
    warp_lane_ends(t);
    barriers_thread_ends(t);
    if (!t->called_dependents && ++b->n_dependents_calls == b->n_threads) trigger(b);
    if (b->n_live > 0) return;
    for (unsigned i = 0; i < b->n_warps; i++) requests_end(&b->warps[i]);
    if (!b->pending.empty())
        fail(nullptr, "the block ended while %s had not landed; nobody waited for it",
             b->pending[0].describe().c_str());
    products_check_end(b);
    mbarriers_check_end(b);
    if (b->cluster) b->cluster->n_done++;
}

// ---------------------------------------------------------------- programmatic launches

void launch_dependents() {
    Thread *t = current_thread("griddepcontrol.launch_dependents");
    if (t->called_dependents) return;
    t->called_dependents = true;
    if (++t->owner->n_dependents_calls == t->owner->n_threads) trigger(t->owner);
}

void wait_for_prior_grid() {
    Thread *t = current_thread("griddepcontrol.wait");
    Block *b = t->owner;
    Grid *ahead = b->grid->ahead;
    while (ahead && !ahead->done()) suspend("at griddepcontrol.wait", ahead, CALLER);
    if (!b->waited_for_prior_grid) {
        b->waited_for_prior_grid = true;
        b->grid->n_waited++;
    }
    t->waited_for_prior_grid = true;
}

} // namespace cudasim
