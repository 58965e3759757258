// Fibers and the main loop. A fiber that cannot go on picks the next one of its block and switches
// to it; everything about blocks happens on the host's stack.
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/cudasim/device/block.h"
#include "tests/cudasim/device/sanitizer.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {

thread_local Place *place __attribute__((tls_model("initial-exec")));

// Saves this stack in *save and goes on where `to` was saved. No call or return is involved, so
// the processor's return predictor stays right. The red zone below the pointer is skipped.
static inline __attribute__((always_inline)) void swap_stacks(void **save, void *to) {
    asm volatile("lea -128(%%rsp), %%rsp\n push %%rbp\n lea 1f(%%rip), %%rax\n push %%rax\n"
                 "mov %%rsp, (%0)\n mov %1, %%rsp\n pop %%rax\n jmp *%%rax\n"
                 "1: pop %%rbp\n lea 128(%%rsp), %%rsp\n"
                 : "+D"(save), "+S"(to)
                 :
                 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                   "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

// From the current stack, whose pointer goes to *save, to the thread, or to the host when null.
__attribute__((no_sanitize("address"))) static inline __attribute__((always_inline)) void
switch_to(Machine *m, void **save, Thread *thread) {
    place = thread;
#if CUDASIM_ASAN
    void *fake_stack;
    if (thread)
        __sanitizer_start_switch_fiber(&fake_stack, block_stack(thread->owner, thread->number),
                                       STACK_BYTES);
    else
        __sanitizer_start_switch_fiber(&fake_stack, m->host_stack_bottom, m->host_stack_bytes);
#endif
    swap_stacks(save, thread ? thread->stack_pointer : m->host_stack_pointer);
#if CUDASIM_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

Thread *current_thread(const char *what) {
    if (!place) fail(nullptr, "%s is called outside of a kernel", what);
    return current_thread();
}

// The next thread of this block, the same warp first; null: none, or the main loop wants to run.
static inline Thread *pick(Block *b) {
    if (!b->runnable) return nullptr;
    Warp *w = &b->warps[b->current];
    if (!settings.shuffle) {
        if (!w->runnable) w = &b->warps[b->current = (unsigned)__builtin_ctz(b->runnable)];
        return &w->threads[__builtin_ctz(w->runnable)];
    }
    uint64_t r = b->machine->random();
    if (b->machine->restless && (r >> 16 & 31) == 0) return nullptr;
    if (!w->runnable || (r >> 8 & 31) == 0) {
        unsigned by = r >> 24 & 31;
        uint32_t turned = by ? b->runnable >> by | b->runnable << (32 - by) : b->runnable;
        w = &b->warps[b->current = ((unsigned)__builtin_ctz(turned) + by) & 31];
    }
    unsigned by = r & 31;
    uint32_t turned = by ? w->runnable >> by | w->runnable << (32 - by) : w->runnable;
    return &w->threads[((unsigned)__builtin_ctz(turned) + by) & 31];
}

static inline void stop(Thread *t) {
    Warp *w = t->warp;
    w->runnable &= ~t->bit;
    if (!w->runnable) t->owner->runnable &= ~(1u << w->number);
}

void wake(Thread *t) {
    t->warp->runnable |= t->bit;
    t->owner->runnable |= 1u << t->warp->number;
    t->wait = Wait();
}

void wake_all(Block *b, const void *key) {
    for (unsigned i = 0; i < b->n_threads; i++)
        if (b->threads[i].wait.key == key) wake(&b->threads[i]);
}

// The thread leaves the processor; it comes back when somebody picks it.
static inline void leave(Thread *t) {
    Thread *next = pick(t->owner);
    if (next != t) switch_to(t->owner->machine, &t->stack_pointer, next);
}

void suspend(const char *what, const void *key, const void *caller) {
    Thread *t = current_thread();
    t->wait = {what, key, caller};
    stop(t);
    leave(t);
}

void give_way(bool park, const char *what, const void *caller) {
    Thread *t = current_thread();
    if (park) {
        t->wait = {what, nullptr, caller};
        t->warp->parked |= t->bit;
        stop(t);
    }
    leave(t);
}

// The first function on each fiber's stack.
void thread_main() {
#if CUDASIM_ASAN
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
    Thread *t = current_thread();
    Grid *g = t->owner->grid;
    g->call(g->arguments.get());
    thread_ends(t);
    stop(t);
    void *gone;
    switch_to(t->owner->machine, &gone, t->owner->n_live ? pick(t->owner) : nullptr);
    abort();
}

// ---------------------------------------------------------------- the main loop

void Machine::enter(Block *block) {
    current = block;
    Thread *t = pick(block);
    if (!t) { // the main loop was wanted at once: take any
        Warp *w = &block->warps[__builtin_ctz(block->runnable)];
        t = &w->threads[__builtin_ctz(w->runnable)];
    }
    switch_to(this, &host_stack_pointer, t);
    current = nullptr;
}

bool Machine::run_pending(Block *block) {
    if (block->pending.empty()) return false;
    size_t i = settings.shuffle ? random() % block->pending.size() : 0;
    std::function<void()> run = std::move(block->pending[i].run);
    if (settings.shuffle) { // the others' order is none
        std::swap(block->pending[i], block->pending.back());
        block->pending.pop_back();
    } else {
        block->pending.erase(block->pending.begin());
    }
    run();
    progress++;
    return true;
}

bool Machine::run_pending_of_any() {
    size_t n = resident.size(), first = settings.shuffle && n ? random() % n : 0;
    for (size_t i = 0; i < n; i++)
        if (run_pending(resident[(first + i) % n])) return true;
    return false;
}

// Starts a cluster of blocks, or one block, of the grid.
bool Machine::start_blocks(Grid *grid) {
    if (grid->n_started == grid->n_blocks) return false;
    std::shared_ptr<Cluster> cluster;
    unsigned n = grid->cluster_blocks;
    if (n > 1) cluster = std::make_shared<Cluster>();
    uint64_t group = grid->n_started / n;
    group = (group * grid->multiplier + grid->offset) % (grid->n_blocks / n);
    for (unsigned rank = 0; rank < n; rank++) {
        Block *b;
        if (idle.empty()) {
            b = block_make(this);
        } else {
            b = idle.back();
            idle.pop_back();
        }
        b->cluster = cluster;
        b->rank = rank;
        if (cluster) cluster->blocks.push_back(b);
        block_start(b, grid, group * n + rank);
        resident.push_back(b);
        grid->n_started++;
    }
    progress++;
    return true;
}

// Starts blocks where the grids allow it. Blocks beyond those wanted are started only when nothing
// else goes on: a resident block may wait for them.
bool Machine::start_next(bool beyond_wanted) {
    for (size_t i = 0; i < grids.size(); i++) {
        Grid *g = grids[i];
        if (g->done()) continue;
        if (i > 0 && !grids[i - 1]->done()) {
            Grid *ahead = grids[i - 1];
            if (!g->programmatic || ahead->n_triggered != ahead->n_blocks) return false;
        }
        uint64_t limit = blocks_per_sm(*g, 0) * (size_t)settings.device.n_sms;
        uint64_t n_here = g->n_started - g->n_done;
        if (g->n_started == g->n_blocks || n_here >= limit) continue;
        size_t wanted = n_resident_wanted + (i > 0 && settings.copies != When::early ? 4 : 0);
        if (g->cooperative || beyond_wanted || resident.size() < wanted) return start_blocks(g);
        return false;
    }
    return false;
}

bool Machine::unpark() {
    idle_rounds = progress == progress_seen ? idle_rounds + 1 : 0;
    progress_seen = progress;
    if (idle_rounds > settings.stuck_rounds)
        deadlock("stuck: every thread that runs only asks whether another has got on");
    bool any = false;
    for (Block *b : resident)
        for (unsigned i = 0; i < b->n_warps; i++) {
            Warp *w = &b->warps[i];
            if (!w->parked) continue;
            w->runnable |= w->parked;
            w->parked = 0;
            b->runnable |= 1u << i;
            any = true;
        }
    return any;
}

void Machine::retire() {
    for (size_t i = 0; i < resident.size();) {
        Block *b = resident[i];
        if (b->n_live > 0 || (b->cluster && b->cluster->n_done < b->cluster->blocks.size())) {
            i++;
            continue;
        }
        b->cluster.reset();
        b->grid->n_done++;
        progress++;
        if (b->grid->done()) {
            race::grid_ends(b->grid);
            for (Block *other : resident) wake_all(other, b->grid);
        }
        idle.push_back(b);
        resident.erase(resident.begin() + (long)i);
    }
}

// One decision of the main loop; false: all grids have ended.
bool Machine::step() {
    retire();
    bool all_done = true;
    for (Grid *g : grids) all_done = all_done && g->done();
    if (all_done) return false;
    if (start_next(false)) return true;
    size_t n_pending = 0;
    for (Block *b : resident) n_pending += b->pending.size();
    restless = resident.size() > 1 || (settings.copies == When::random && n_pending);
    if (settings.copies == When::random && n_pending && one_in(4)) return run_pending_of_any();
    size_t n = resident.size(), first = settings.shuffle && n ? random() % n : 0;
    for (size_t i = 0; i < n; i++) {
        Block *b = resident[(first + i) % n];
        if (!b->runnable) continue;
        enter(b);
        return true;
    }
    if (run_pending_of_any() || start_next(true) || unpark()) return true;
    deadlock("deadlock: every thread waits");
}

void Machine::run(const std::vector<Grid *> &chain) {
#if CUDASIM_ASAN
    pthread_attr_t attributes;
    void *bottom = nullptr;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &bottom, &host_stack_bytes);
    pthread_attr_destroy(&attributes);
    host_stack_bottom = bottom;
#endif
    grids = chain;
    idle_rounds = 0;
    random_state = settings.seed * 0x9e3779b97f4a7c15ull + 0x632be59bd9b4e019ull + progress;
    for (int i = 0; i < 8; i++) random();
    // Side by side: else the first block of a grid takes every ticket before another one begins.
    n_resident_wanted = settings.shuffle ? 1 + random() % 3 : 1;
    while (step()) {
    }
    grids.clear();
}

} // namespace cudasim
