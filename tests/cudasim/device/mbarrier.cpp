// mbarriers: a phase ends when all have arrived and no bytes are due.
//
// The barrier's state is a record of the block; the 64 bits in shared memory hold a number that
// finds it again, so that a barrier which was overwritten, or never initialised, is noticed.
#include "tests/cudasim/device/block.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {

static uint64_t mark_of(const uint64_t *at) {
    return 0x6d62617200000000ull ^ (uint64_t)(uintptr_t)at;
}

static Block *block_of(Block *b, const uint64_t *at) {
    if (shared_holds(b, at) || !b->cluster) return b;
    for (Block *other : b->cluster->blocks)
        if (shared_holds(other, at)) return other;
    return b;
}

Mbarrier *mbarrier_find(Block *b, const uint64_t *at, const char *what, const void *caller) {
    Block *owner = block_of(b, at);
    if (owner != b && owner->n_live == 0)
        fail(caller, "%s: the block of the cluster that has the mbarrier %s has ended", what,
             describe(at).c_str());
    if (!shared_find(owner, at, 8) || (uintptr_t)at % 8)
        fail(caller, "%s: %s is no 8 aligned bytes of shared memory", what, describe(at).c_str());
    for (auto &m : owner->mbarriers)
        if (m->at == at) {
            if (*at != mark_of(at))
                fail(caller, "%s: the mbarrier at %s was overwritten", what, describe(at).c_str());
            return m.get();
        }
    fail(caller, "%s: the mbarrier at %s was not initialised", what, describe(at).c_str());
}

std::string mbarrier_text(const Block *b, const void *at) {
    for (auto &m : b->mbarriers)
        if (m->at == at)
            return text(" (phase %llu, %u of %u have still to arrive, %lld bytes are due)",
                        (unsigned long long)m->phase, m->n_pending, m->n_arrivals, m->bytes_due);
    return "";
}

void mbarrier_init(uint64_t *at, int n_arrivals) {
    Thread *t = current_thread("mbarrier.init");
    Block *b = t->owner;
    if (!shared_find(b, at, 8) || (uintptr_t)at % 8)
        fail(CALLER, "mbarrier.init: %s is no 8 aligned bytes of shared memory",
             describe(at).c_str());
    if (n_arrivals < 1 || n_arrivals >= 1 << 20)
        fail(CALLER, "mbarrier.init for %d arrivals; 1 to 1048575 are expected", n_arrivals);
    for (auto &m : b->mbarriers)
        if (m->at == at && *at == mark_of(at))
            fail(CALLER, "mbarrier.init of %s, which is an mbarrier already", describe(at).c_str());
    if (b->mbarriers.size() == race::MBARRIER_SLOTS)
        fail(CALLER, "more than %d mbarriers in one block", race::MBARRIER_SLOTS);
    race::writes(at, 8, CALLER);
    *at = mark_of(at);
    std::unique_ptr<Mbarrier> m(new Mbarrier());
    m->at = at;
    m->slot = b->n_threads + (unsigned)b->mbarriers.size();
    m->n_arrivals = m->n_pending = (unsigned)n_arrivals;
    b->mbarriers.push_back(std::move(m));
}

void mbarrier_invalidate(uint64_t *at) {
    Thread *t = current_thread("mbarrier.inval");
    Mbarrier *m = mbarrier_find(t->owner, at, "mbarrier.inval", CALLER);
    if (m->bytes_due)
        fail(CALLER, "mbarrier.inval of %s, which waits for %lld bytes", describe(at).c_str(),
             m->bytes_due);
    race::writes(at, 8, CALLER);
    *at = ~(uint64_t)0;
    m->at = nullptr; // the slot stays used
}

// An atomic access: it conflicts with ordinary ones, so that others must have seen the init.
static Mbarrier *use(Thread *t, uint64_t *at, const char *what, const void *caller) {
    Mbarrier *m = mbarrier_find(t->owner, at, what, caller);
    race::atomic_touches(at, 8, caller);
    return m;
}

static void end_phase(Block *b, Mbarrier *m) {
    m->phase++;
    m->n_pending = m->n_arrivals;
    race::slot_reaches(b, m->slot, (uint32_t)m->phase, m->sync);
    race::join(m->ended, m->sync);
    race::clear(m->sync);
    b->machine->progress++;
    wake_all(b, m->at);
}

static void maybe_end_phase(Block *b, Mbarrier *m) {
    if (m->n_pending == 0 && m->bytes_due == 0) end_phase(b, m);
}

void mbarrier_complete_bytes(Block *b, Mbarrier *m, long long bytes) {
    m->bytes_due -= bytes;
    maybe_end_phase(b, m);
}

void mbarrier_arrives(Block *b, Mbarrier *m) {
    if (m->n_pending == 0)
        fail(nullptr, "more arrivals at the mbarrier at %s than the %u it was initialised for",
             describe(m->at).c_str(), m->n_arrivals);
    m->n_pending--;
    maybe_end_phase(b, m);
}

void mbarrier_arrive(uint64_t *at) {
    Thread *t = current_thread("mbarrier.arrive");
    Mbarrier *m = use(t, at, "mbarrier.arrive", CALLER);
    race::release(t, m->sync);
    mbarrier_arrives(t->owner, m);
}

void mbarrier_arrive_expect(uint64_t *at, int bytes) {
    Thread *t = current_thread("mbarrier.arrive.expect_tx");
    Mbarrier *m = use(t, at, "mbarrier.arrive.expect_tx", CALLER);
    if (bytes < 0 || bytes >= 1 << 20)
        fail(CALLER, "mbarrier.arrive.expect_tx of %d bytes; 0 to 1048575 are expected", bytes);
    m->bytes_due += bytes;
    race::release(t, m->sync);
    mbarrier_arrives(t->owner, m);
}

void mbarrier_arrive_remote(uint64_t *at, uint32_t rank) {
    Thread *t = current_thread("mbarrier.arrive of another block");
    uint64_t *there = (uint64_t *)shared_of_rank(t->owner, at, rank, CALLER);
    Mbarrier *m = use(t, there, "mbarrier.arrive of another block", CALLER);
    race::release(t, m->sync);
    mbarrier_arrives(t->owner->cluster->blocks[rank], m);
}

// The phase of this parity has ended when the current one has the other parity.
static bool has_ended(const Mbarrier *m, int parity) {
    return (int)(m->phase & 1) != parity;
}

static bool wait_for(uint64_t *at, int parity, bool suspends, const char *what,
                     const void *caller) {
    Thread *t = current_thread(what);
    Mbarrier *m = use(t, at, what, caller);
    if (parity != 0 && parity != 1)
        fail(caller, "%s for parity %d; 0 or 1 is expected", what, parity);
    if (!has_ended(m, parity)) {
        // It may come back early: callers must ask again.
        if (!suspends || (settings.shuffle && t->owner->machine->one_in(8)))
            give_way(true, what, caller);
        else
            suspend(what, at, caller);
        if (!suspends && !has_ended(m, parity)) return false;
    }
    if (!has_ended(m, parity)) return false;
    race::acquire(t, m->ended);
    return true;
}

bool mbarrier_test_wait(uint64_t *at, int parity) {
    return wait_for(at, parity, false, "at mbarrier.test_wait", CALLER);
}
bool mbarrier_try_wait(uint64_t *at, int parity) {
    return wait_for(at, parity, true, "at mbarrier.try_wait", CALLER);
}

void fence_mbarrier_init() {
    race::proxy_fence(current_thread("fence.mbarrier_init"));
}

void mbarriers_check_end(Block *b) {
    for (auto &m : b->mbarriers)
        if (m->at && m->bytes_due)
            fail(nullptr,
                 "the block ended while the mbarrier at %s had %lld bytes due: other bytes "
                 "were expected than came",
                 describe(m->at).c_str(), m->bytes_due);
}

} // namespace cudasim
