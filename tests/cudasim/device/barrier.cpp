// Barriers of a block (__syncthreads and its votes, bar.sync, bar.arrive), of a cluster, of a grid.
#include "tests/cudasim/device/counters.h"

namespace cudasim {

void barriers_reset(Block *b) {
    for (Barrier &barrier : b->barriers) {
        barrier.n_arrived = barrier.n_expected = 0;
        for (uint32_t &w : barrier.waiting) w = 0;
        race::clear(barrier.sync);
    }
    b->mbarriers.clear();
}

// All have come: those who wait go on, and the barrier is as new.
static void open(Block *b, Barrier *barrier) {
    barrier->result = barrier->kind == 0   ? barrier->count
                      : barrier->kind == 1 ? barrier->count == (int)barrier->n_arrived
                                           : barrier->count > 0;
    for (unsigned i = 0; i < b->n_warps; i++)
        for (uint32_t rest = barrier->waiting[i]; rest; rest &= rest - 1) {
            Thread *t = &b->warps[i].threads[__builtin_ctz(rest)];
            race::acquire(t, barrier->sync);
            wake(t);
        }
    for (unsigned i = 0; i < b->n_warps; i++) barrier->waiting[i] = 0;
    barrier->n_arrived = barrier->n_expected = 0;
    race::clear(barrier->sync);
    b->machine->progress++;
    if (settings.shuffle) b->current = (unsigned)(b->machine->random() % b->n_warps);
}

static void arrive(Thread *t, Barrier *barrier, bool waits) {
    race::release(t, barrier->sync);
    barrier->n_arrived++;
    if (waits) barrier->waiting[t->warp->number] |= t->bit;
}

// Threads that come to __syncthreads must come to the same one: it is called under conditions that
// are the same for the whole block.
static void check_same(Thread *t, Barrier *barrier, int line, int kind, const void *caller) {
    if (barrier->n_arrived == 0) {
        barrier->line = line;
        barrier->kind = kind;
        barrier->count = 0;
    } else if (barrier->line != line || barrier->kind != kind) {
        fail(caller,
             "threads of one block wait at different __syncthreads: %s at line %d, others at "
             "line %d",
             describe_thread(t).c_str(), line, barrier->line);
    }
}

static int block_sync(int kind, int predicate, int line, const void *caller) {
    Thread *t = current_thread("__syncthreads");
    Block *b = t->owner;
    Barrier *barrier = &b->barriers[0];
    if (b->n_live < b->n_threads)
        fail(caller, "__syncthreads after %u threads of the block have ended",
             b->n_threads - b->n_live);
    check_same(t, barrier, line, kind, caller);
    barrier->count += predicate != 0;
    count_barrier(b);
    arrive(t, barrier, true);
    bool last = barrier->n_arrived == b->n_live;
    if (last) open(b, barrier);
    if (!last)
        suspend("at __syncthreads", barrier, caller);
    else if (settings.shuffle)
        give_way(false, nullptr, caller);
    return barrier->result;
}

void block_barrier(int line) {
    block_sync(-1, 0, line, CALLER);
}
int block_vote(int kind, int predicate, int line) {
    return block_sync(kind, predicate, line, CALLER);
}

static Barrier *named(Thread *t, int id, int n_threads, const char *what, const void *caller) {
    Block *b = t->owner;
    if (id < 0 || id > 15) fail(caller, "%s: barrier %d; there are 0 to 15", what, id);
    if (n_threads <= 0 || n_threads % WARP || (unsigned)n_threads > b->n_warps * WARP)
        fail(caller, "%s: barrier %d for %d threads in a block of %u; whole warps are expected",
             what, id, n_threads, b->n_threads);
    Barrier *barrier = &b->barriers[id];
    if (barrier->n_expected && barrier->n_expected != (unsigned)n_threads)
        fail(caller, "%s: barrier %d for %d threads, but others came to it for %u", what, id,
             n_threads, barrier->n_expected);
    barrier->n_expected = (unsigned)n_threads;
    barrier->kind = -1;
    return barrier;
}

void barrier_sync(int id, int n_threads) {
    Thread *t = current_thread("bar.sync");
    Barrier *barrier = named(t, id, n_threads, "bar.sync", CALLER);
    count_barrier(t->owner);
    arrive(t, barrier, true);
    if (barrier->n_arrived == barrier->n_expected)
        open(t->owner, barrier);
    else
        suspend("at bar.sync", barrier, CALLER);
}

void barrier_arrive(int id, int n_threads) {
    Thread *t = current_thread("bar.arrive");
    Barrier *barrier = named(t, id, n_threads, "bar.arrive", CALLER);
    arrive(t, barrier, false);
    if (barrier->n_arrived == barrier->n_expected) open(t->owner, barrier);
}

void barriers_thread_ends(Thread *t) {
    Block *b = t->owner;
    Barrier *barrier = &b->barriers[0];
    if (barrier->n_arrived == 0 || barrier->n_expected) return;
    fail(nullptr, "%s has ended while %u threads wait at __syncthreads, line %d",
         describe_thread(t).c_str(), barrier->n_arrived, barrier->line);
}

// ---------------------------------------------------------------- a whole grid

void grid_barrier() {
    Thread *t = current_thread("the barrier of the grid");
    Grid *g = t->owner->grid;
    if (!g->cooperative)
        fail(CALLER, "the barrier of the grid needs a cooperative launch; %s was launched without",
             g->name.c_str());
    race::release(t, g->barrier_sync);
    uint64_t phase = g->barrier_phase;
    uint64_t n_threads = g->n_blocks * g->block.x * g->block.y * g->block.z;
    if (++g->n_arrived == n_threads) {
        g->n_arrived = 0;
        g->barrier_phase++;
        race::join(g->barrier_ended, g->barrier_sync);
        race::clear(g->barrier_sync);
        t->owner->machine->progress++;
        for (Block *b : t->owner->machine->resident)
            if (b->grid == g) wake_all(b, &g->barrier_phase);
    }
    while (g->barrier_phase == phase)
        suspend("at the barrier of the grid", &g->barrier_phase, CALLER);
    race::acquire(t, g->barrier_ended);
}

// ---------------------------------------------------------------- a cluster

static Cluster *cluster_of(Thread *t, const char *what, const void *caller) {
    if (!t->owner->cluster)
        fail(caller, "%s in a kernel that was launched without a cluster", what);
    return t->owner->cluster.get();
}

void cluster_arrive() {
    Thread *t = current_thread("barrier.cluster.arrive");
    Cluster *c = cluster_of(t, "barrier.cluster.arrive", CALLER);
    if (t->cluster_phase != c->phase || t->cluster_arrived)
        fail(CALLER, "barrier.cluster.arrive twice without barrier.cluster.wait between");
    t->cluster_arrived = true;
    race::release(t, c->sync);
    if (++c->n_arrived < c->n_threads) return;
    c->n_arrived = 0;
    c->phase++;
    race::join(c->ended, c->sync);
    race::clear(c->sync);
    t->owner->machine->progress++;
    for (Block *b : c->blocks) wake_all(b, &c->phase);
}

void cluster_wait() {
    Thread *t = current_thread("barrier.cluster.wait");
    Cluster *c = cluster_of(t, "barrier.cluster.wait", CALLER);
    if (!t->cluster_arrived) fail(CALLER, "barrier.cluster.wait without barrier.cluster.arrive");
    while (c->phase == t->cluster_phase) suspend("at barrier.cluster.wait", &c->phase, CALLER);
    t->cluster_phase++;
    t->cluster_arrived = false;
    race::acquire(t, c->ended);
}

uint32_t cluster_rank() {
    return current_thread("%cluster_ctarank")->owner->rank;
}

} // namespace cudasim
