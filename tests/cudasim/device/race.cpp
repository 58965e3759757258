// The order of accesses: vector clocks, pending accesses, operations of streams.
#ifdef CUDASIM_RACE
#include "tests/cudasim/device/race.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/device/operation.h"
#include "tests/cudasim/device/shadow.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {
namespace race {

// ---------------------------------------------------------------- clocks

std::vector<uint32_t> &Clock::of(uint32_t block, size_t n_slots) {
    for (Part &p : parts)
        if (p.block == block) {
            if (p.counts.size() < n_slots) p.counts.resize(n_slots);
            return p.counts;
        }
    parts.push_back({block, std::vector<uint32_t>(n_slots)});
    return parts.back().counts;
}

void Clock::join(const Clock &other) {
    for (const Part &p : other.parts) {
        std::vector<uint32_t> &mine = of(p.block, p.counts.size());
        for (size_t i = 0; i < p.counts.size(); i++) mine[i] = std::max(mine[i], p.counts[i]);
    }
}

static void join_both(Sync *into, const Clock &seen, const Clock &proxied) {
    into->seen.join(seen);
    into->proxied.join(proxied);
}

// ---------------------------------------------------------------- blocks, places

// What stamps refer to by number: blocks in flight, and operations of streams that are no kernels.
struct Actor {
    std::shared_ptr<Operation> operation;
    std::string kernel;
    uint3 block_index;
    dim3 block_dim;
    unsigned n_threads; // 0: no kernel
};
static std::vector<Actor> actors(1);
static std::vector<const void *> callers(1);
static std::unordered_map<const void *, uint32_t> caller_numbers;

static uint32_t number_of(const void *caller) {
    uint32_t &n = caller_numbers[caller];
    if (!n) {
        n = (uint32_t)callers.size();
        callers.push_back(caller);
    }
    return n;
}

static std::string describe_stamp(const Stamp &s) {
    const Actor &a = actors[s.block];
    if (!a.n_threads) return a.kernel;
    std::string who;
    if (s.slot < a.n_threads) {
        const dim3 &d = a.block_dim;
        who = text("thread (%u,%u,%u)", s.slot % d.x, s.slot / d.x % d.y, s.slot / d.x / d.y);
    } else {
        who = s.slot < a.n_threads + MBARRIER_SLOTS ? "the copy engine" : "wgmma";
    }
    who += text(" of block (%u,%u,%u)", a.block_index.x, a.block_index.y, a.block_index.z);
    Thread *t = current_thread();
    if (!t || t->owner->grid->name != a.kernel) who += " of " + a.kernel;
    std::string line = source_line(callers[s.caller]);
    return line.empty() ? who : who + ", " + line;
}

void grid_begins(Grid *g) {
    g->race.operation = operation_current();
}
void grid_ends(Grid *g) {
    operation_ends(g->race.operation.get(), g->n_waited == g->n_blocks);
}

void block_begins(Block *b) {
    b->race.number = (uint32_t)actors.size();
    b->race.n_slots = b->n_threads + MBARRIER_SLOTS + WARPGROUP_SLOTS;
    actors.push_back(
        {b->grid->race.operation, b->grid->name, b->block_index, b->block_dim, b->n_threads});
}

static uint32_t &own_count(Thread *t) {
    return t->race.seen.parts[0].counts[t->number];
}

void thread_begins(Thread *t) {
    const BlockState &b = t->owner->race;
    t->race = ThreadState();
    t->race.seen.of(b.number, b.n_slots)[t->number] = 1;
    t->race.proxied.of(b.number, b.n_slots);
}

// ---------------------------------------------------------------- order

void release(Thread *t, Sync &s) {
    join_both(&s, t->race.seen, t->race.proxied);
    own_count(t)++;
}
void acquire(Thread *t, const Sync &s) {
    t->race.seen.join(s.seen);
    t->race.proxied.join(s.proxied);
}
void clear(Sync &s) {
    s = Sync();
}
void join(Sync &into, const Sync &from) {
    join_both(&into, from.seen, from.proxied);
}

void slot_reaches(Block *b, unsigned slot, uint32_t count, Sync &s) {
    for (Clock *c : {&s.seen, &s.proxied}) {
        uint32_t &have = c->of(b->race.number, b->race.n_slots)[slot];
        have = std::max(have, count);
    }
}

void proxy_fence(Thread *t) {
    t->race.proxied.join(t->race.seen);
    own_count(t)++;
}

void memory_fence(Thread *t, bool whole_device) {
    ThreadState *r = &t->race;
    if (r->has_observed) {
        acquire(t, r->observed);
        r->observed = Sync();
        r->has_observed = false;
    }
    r->fenced_block = {r->seen, r->proxied};
    r->has_fenced_block = true;
    if (whole_device) {
        r->fenced = r->fenced_block;
        r->has_fenced = true;
    }
    own_count(t)++;
}

// What the last operations on an address released, to everybody and to threads of one block.
struct Released {
    Sync all, of_block;
    uint32_t block;
};
static std::unordered_map<const void *, Released> released;

void prior_grid_ended(Thread *) {}

static void observe(Thread *t, const Sync &s, bool now) {
    if (now) return acquire(t, s);
    join(t->race.observed, s);
    t->race.has_observed = true;
}

static void order_atomic(Thread *t, const void *address, bool acquires, bool releases) {
    Released *r = &released[address];
    uint32_t me = t->owner->race.number;
    // Operations of earlier grids are known anyway, and their blocks mean nothing here.
    observe(t, r->all, acquires);
    if (r->block == me) observe(t, r->of_block, acquires);
    if (releases) {
        release(t, r->all);
    } else {
        if (t->race.has_fenced) join(r->all, t->race.fenced);
        if (t->race.has_fenced_block) {
            if (r->block != me) r->of_block = Sync();
            r->block = me;
            join(r->of_block, t->race.fenced_block);
        }
    }
}

// ---------------------------------------------------------------- conflicts

// Whether what the stamp stands for is before what the current thread does now, as `clock` (the
// thread's seen or proxied) knows it.
static bool is_before(const Stamp &s, const Thread *t, const Clock &clock) {
    if (s.block == 0) return true;
    const Operation *now = t ? t->owner->grid->race.operation.get() : operation_current().get();
    const Operation *then = actors[s.block].operation.get();
    if (then != now) return operation_is_before(*then, *now, !t || t->waited_for_prior_grid);
    return !t || clock.has_seen(s); // an operation that is no kernel does one thing after another
}

[[noreturn]] static void report(const void *address, const void *caller, const char *does,
                                const char *did, const Stamp &other) {
    fail(caller, "a race on %s: it %s here and %s by %s, and nothing orders the two",
         describe(address).c_str(), does, did, describe_stamp(other).c_str());
}

// A pending access: who began it, and the bytes.
struct Range {
    const void *address;
    size_t bytes;
};
struct PendingAccess {
    const char *what;
    bool by_proxy;
    Stamp stamp; // of the thread that began it
    const void *caller;
    std::vector<Range> reads, writes;
};
static std::unordered_map<Token, PendingAccess> pending;
static Token last_token;

[[noreturn]] static void report_pending(const void *address, const void *caller, const char *does,
                                        const char *still, Token token) {
    const PendingAccess &p = pending[token];
    fail(caller, "a race on %s: it %s here while a %s still %s it, begun by %s and not waited for",
         describe(address).c_str(), does, p.what, still, describe_stamp(p.stamp).c_str());
}

struct Access {
    const void *address;
    const void *caller;
    const char *does; // "is read"
    Thread *thread;   // null: an operation of a stream
    const Clock *clock;
    bool atomic, writes;
};

static void check(const Access &a, const Cell &c) {
    if (c.pending_write) report_pending(a.address, a.caller, a.does, "writes", c.pending_write);
    if (!is_before(c.write, a.thread, *a.clock))
        report(a.address, a.caller, a.does, "was written", c.write);
    if (!c.marks) return;
    for (const Mark &m : *c.marks) {
        if (!a.writes && !m.writes) continue;
        if (a.atomic && m.atomic) continue;
        if (m.pending) report_pending(a.address, a.caller, a.does, "reads", m.stamp.slot);
        if (!is_before(m.stamp, a.thread, *a.clock))
            report(a.address, a.caller, a.does,
                   m.writes ? "was changed by an atomic operation" : "was read", m.stamp);
    }
}

// Adds a mark; those before it say no more than it does.
static void add_mark(Cell *c, const Mark &mark, Thread *t, const Clock &clock) {
    enum { MOST = 2048 };
    if (!c->marks) c->marks = new std::vector<Mark>();
    std::vector<Mark> &marks = *c->marks;
    size_t kept = 0;
    for (Mark &m : marks) {
        bool same = !m.pending && m.stamp.block == mark.stamp.block &&
                    m.stamp.slot == mark.stamp.slot && m.writes == mark.writes &&
                    m.atomic == mark.atomic;
        bool older = !m.pending && is_before(m.stamp, t, clock) && m.writes <= mark.writes;
        if (!same && !older) marks[kept++] = m;
    }
    marks.resize(kept);
    if (kept < MOST) marks.push_back(mark);
}

static Stamp stamp_now(Thread *t, const void *caller) {
    return {t->owner->race.number, t->number, own_count(t), number_of(caller)};
}

static void write_cell(Cell *c, const Stamp &stamp) {
    c->write = stamp;
    c->pending_write = 0;
    delete c->marks;
    c->marks = nullptr;
}

static void check_written(const void *address, size_t bytes, const void *caller) {
    for (size_t i = 0; i < bytes; i++) {
        const char *p = (const char *)address + i;
        if (!page_of(p)->written[(uintptr_t)p % PAGE_BYTES])
            fail(caller, "a read of %s, which nobody has written", describe(p).c_str());
    }
}

void reads(const void *address, size_t bytes, const void *caller, bool looks) {
    Thread *t = current_thread();
    if (!t) return;
    Access a = {address, caller, "is read", t, &t->race.seen, false, false};
    Mark mark = {stamp_now(t, caller), false, false, false};
    each_cell(address, bytes, [&](Cell *c) {
        check(a, *c);
        add_mark(c, mark, t, t->race.seen);
    });
    if (looks) check_written(address, bytes, caller);
}

void writes(const void *address, size_t bytes, const void *caller) {
    Thread *t = current_thread();
    if (!t) return;
    Access a = {address, caller, "is written", t, &t->race.seen, false, true};
    Stamp stamp = stamp_now(t, caller);
    each_cell(address, bytes, [&](Cell *c) {
        check(a, *c);
        write_cell(c, stamp);
    });
    filled((void *)address, bytes);
}

void atomic_touches(const void *address, int bytes, const void *caller) {
    Thread *t = current_thread();
    Access a = {address, caller, "is changed by an atomic operation", t, &t->race.seen, true, true};
    Mark mark = {stamp_now(t, caller), false, true, true};
    each_cell(address, (size_t)bytes, [&](Cell *c) {
        check(a, *c);
        add_mark(c, mark, t, t->race.seen);
    });
}

void atomic_access(const void *address, int bytes, bool acquires, bool releases,
                   const void *caller) {
    atomic_touches(address, bytes, caller);
    order_atomic(current_thread(), address, acquires, releases);
}

void proxy_sees(const void *address, size_t bytes, const char *what, const void *caller) {
    Thread *t = current_thread();
    each_cell(address, bytes, [&](Cell *c) {
        if (!is_before(c->write, t, t->race.proxied))
            fail(caller,
                 "%s uses %s, which %s wrote: no fence.proxy.async or fence.mbarrier_init "
                 "and barrier are between",
                 what, describe(address).c_str(), describe_stamp(c->write).c_str());
    });
}

// ---------------------------------------------------------------- pending accesses

Token begins(const char *what, bool by_proxy, const void *caller) {
    Token token = ++last_token;
    PendingAccess *p = &pending[token];
    *p = {what, by_proxy, stamp_now(current_thread(), caller), caller, {}, {}};
    return token;
}

void will_read(Token token, const void *address, size_t bytes) {
    Thread *t = current_thread();
    PendingAccess *p = &pending[token];
    Access a = {address, p->caller, "is read", t, &t->race.seen, false, false};
    Mark mark = {p->stamp, true, false, false};
    mark.stamp.slot = token;
    each_cell(address, bytes, [&](Cell *c) {
        check(a, *c);
        if (p->by_proxy && !is_before(c->write, t, t->race.proxied))
            fail(p->caller,
                 "%s reads %s, which was written by %s: a fence.proxy.async of the "
                 "writer is missing",
                 p->what, describe(address).c_str(), describe_stamp(c->write).c_str());
        add_mark(c, mark, t, t->race.seen);
    });
    p->reads.push_back({address, bytes});
}

void will_write(Token token, const void *address, size_t bytes) {
    Thread *t = current_thread();
    PendingAccess *p = &pending[token];
    Access a = {address, p->caller, "is written", t, &t->race.seen, false, true};
    each_cell(address, bytes, [&](Cell *c) {
        check(a, *c);
        c->pending_write = token;
    });
    p->writes.push_back({address, bytes});
}

static void drop_mark(Cell *c, Token token) {
    if (!c->marks) return;
    c->marks->erase(
        std::remove_if(c->marks->begin(), c->marks->end(),
                       [&](const Mark &m) { return m.pending && m.stamp.slot == token; }),
        c->marks->end());
}

static void end(Token token, const Stamp &stamp) {
    auto found = pending.find(token);
    if (found == pending.end()) return;
    for (const Range &r : found->second.reads)
        each_cell(r.address, r.bytes, [&](Cell *c) {
            drop_mark(c, token);
            if (!stamp.block) return;
            if (!c->marks) c->marks = new std::vector<Mark>();
            c->marks->push_back({stamp, false, false, false});
        });
    for (const Range &r : found->second.writes)
        each_cell(r.address, r.bytes, [&](Cell *c) {
            if (c->pending_write == token) write_cell(c, stamp);
        });
    pending.erase(found);
}

void drops(Token token) {
    end(token, Stamp());
}
void ends(Token token, Block *b, unsigned slot, uint32_t count) {
    end(token, {b->race.number, slot, count, number_of(pending[token].caller)});
}
void ends(Token token, Thread *t) {
    end(token, stamp_now(t, pending[token].caller));
}

// ---------------------------------------------------------------- operations of streams

void host_accesses(const void *address, size_t bytes, bool writes, const char *what) {
    if (!memory_is_device(address) && !memory_is_pinned(address)) return;
    static const Clock none;
    Stamp stamp = {(uint32_t)actors.size(), 0, 1, 0};
    actors.push_back({operation_current(), what, {}, {}, 0});
    Access a = {address, nullptr, writes ? "is written" : "is read", nullptr, &none, false, writes};
    each_cell(address, bytes, [&](Cell *c) {
        check(a, *c);
        if (writes)
            write_cell(c, stamp);
        else
            add_mark(c, {stamp, false, false, false}, nullptr, none);
    });
}

} // namespace race
} // namespace cudasim
#endif
