// Collectives of a warp: shuffles, votes, matches, reductions, __syncwarp.
#include <set>

#include "tests/cudasim/device/sim.h"

namespace cudasim {

static std::string lanes_text(uint32_t mask) {
    return text("%#010x", mask);
}

// Lanes that meet must come from one line of the source: the compiler may have doubled it.
static void check_line(const Meeting &m, uint32_t mask, const char *name, const void *caller) {
    static std::set<std::pair<const void *, const void *>> known;
    if (known.count({m.caller, caller})) return;
    std::string there = source_line(m.caller), here = source_line(caller);
    if (there != here)
        fail(caller,
             "lanes of one warp meet from different lines: one is %s with lanes %s, lane %d "
             "came from %s",
             name, lanes_text(mask).c_str(), __builtin_ctz(m.arrived), there.c_str());
    known.insert({m.caller, caller});
}

static inline Meeting *join(Thread *t, uint32_t mask, void (*finish)(Meeting &), const char *name,
                            const void *caller) {
    Warp *w = t->warp;
    for (unsigned i = 0; i < w->n_meetings; i++) {
        Meeting *m = &w->meetings[i];
        if (m->mask != mask || m->finish != finish || m->arrived & t->bit) continue;
        if (m->caller != caller) check_line(*m, mask, name, caller);
        return m;
    }
    if (w->n_meetings == w->meetings.size()) w->meetings.resize(w->n_meetings + 1);
    Meeting *m = &w->meetings[w->n_meetings++];
    m->mask = mask;
    m->arrived = 0;
    m->finish = finish;
    m->caller = caller;
    m->warp = w;
    return m;
}

static inline void end_meeting(Meeting *m) {
    Warp *w = m->warp;
    uint32_t arrived = m->arrived;
    m->finish(*m);
    Meeting *last = &w->meetings[--w->n_meetings];
    if (m != last) *m = *last;
    w->runnable |= arrived;
    w->block->runnable |= 1u << w->number;
    w->block->machine->progress++;
}

void meet(uint32_t mask, bool aligned, void (*finish)(Meeting &), void *operands, const char *name,
          const void *caller) {
    Thread *t = current_thread(name);
    Warp *w = t->warp;
    if (aligned && w->live != ~0u)
        fail(caller, "all 32 lanes of the warp are needed %s; lanes %s have ended or do not exist",
             name, lanes_text(~w->live).c_str());
    if (!(mask & t->bit))
        fail(caller, "lane %u comes with lanes %s, which it is not among, %s", t->lane,
             lanes_text(mask).c_str(), name);
    Meeting *m = join(t, mask, finish, name, caller);
    m->operands[t->lane] = operands;
    m->arrived |= t->bit;
    if (m->arrived == (mask & w->live))
        end_meeting(m);
    else
        suspend(name, nullptr, caller);
}

void warp_lane_ends(Thread *t) {
    Warp *w = t->warp;
    w->live &= ~t->bit;
    for (unsigned i = 0; i < w->n_meetings; i++) {
        Meeting *m = &w->meetings[i];
        if (!(m->mask & t->bit) || m->arrived != (m->mask & w->live)) continue;
        end_meeting(m);
        i = ~0u; // from the start again
    }
}

// ---------------------------------------------------------------- the collectives

template <class F> static void each(const Meeting &m, F f) {
    for (uint32_t rest = m.arrived; rest; rest &= rest - 1) {
        int lane = __builtin_ctz(rest);
        f(lane, m.operands[lane]);
    }
}

struct Shuffle {
    uint64_t value, result;
    int from;
};

static void finish_shuffle(Meeting &m) {
    each(m, [&](int, void *o) {
        Shuffle *s = (Shuffle *)o;
        bool given = s->from >= 0 && s->from < WARP && m.arrived >> s->from & 1;
        s->result = given ? ((Shuffle *)m.operands[s->from])->value : ~(uint64_t)0;
    });
}

uint64_t shuffle(uint32_t mask, uint64_t value, int from) {
    Shuffle s = {value, 0, from};
    meet(mask, false, finish_shuffle, &s, "at __shfl_sync", CALLER);
    return s.result;
}

struct Vote {
    uint64_t value;
    uint32_t result;
    int all, operation;
};

static void finish_ballot(Meeting &m) {
    uint32_t result = 0;
    each(m, [&](int lane, void *o) { result |= (uint32_t)((Vote *)o)->value << lane; });
    each(m, [&](int, void *o) { ((Vote *)o)->result = result; });
}

uint32_t ballot(uint32_t mask, bool predicate) {
    Vote v = {predicate, 0, 0, 0};
    meet(mask, false, finish_ballot, &v, "at a vote (__ballot_sync, __any_sync, __all_sync)",
         CALLER);
    return v.result;
}

static void finish_match(Meeting &m) {
    each(m, [&](int, void *o) {
        Vote *mine = (Vote *)o;
        mine->result = 0;
        each(m, [&](int lane, void *other) {
            if (((Vote *)other)->value == mine->value) mine->result |= 1u << lane;
        });
        mine->all = mine->result == m.arrived;
    });
}

uint32_t match(uint32_t mask, uint64_t value, int *all) {
    Vote v = {value, 0, 0, 0};
    meet(mask, false, finish_match, &v, "at __match_any_sync or __match_all_sync", CALLER);
    if (!all) return v.result;
    *all = v.all;
    return v.all ? v.result : 0;
}

static uint32_t reduce_two(int operation, uint32_t a, uint32_t b) {
    switch (operation) {
    case 0:
        return a + b;
    case 1:
        return a < b ? a : b;
    case 2:
        return (int)a < (int)b ? a : b;
    case 3:
        return a > b ? a : b;
    case 4:
        return (int)a > (int)b ? a : b;
    case 5:
        return a & b;
    case 6:
        return a | b;
    default:
        return a ^ b;
    }
}

static void finish_reduce(Meeting &m) {
    Vote *first = (Vote *)m.operands[__builtin_ctz(m.arrived)];
    uint32_t result = (uint32_t)first->value;
    each(m, [&](int, void *o) {
        Vote *v = (Vote *)o;
        if (v != first) result = reduce_two(v->operation, result, (uint32_t)v->value);
    });
    each(m, [&](int, void *o) { ((Vote *)o)->result = result; });
}

uint32_t reduce(uint32_t mask, uint32_t value, int operation) {
    Vote v = {value, 0, 0, operation};
    meet(mask, false, finish_reduce, &v, "at a __reduce_sync", CALLER);
    return v.result;
}

static void finish_warp_barrier(Meeting &m) {
    race::Sync sync = {};
    each(m, [&](int lane, void *) { race::release(&m.warp->threads[lane], sync); });
    each(m, [&](int lane, void *) { race::acquire(&m.warp->threads[lane], sync); });
}

void warp_barrier(uint32_t mask) {
    meet(mask, false, finish_warp_barrier, nullptr, "at __syncwarp", CALLER);
}

static void finish_elect(Meeting &m) {
    // Any lane may be the one, but always the same.
    uint32_t leader = settings.shuffle ? (uint32_t)(settings.seed * 7 % 32) : 0;
    each(m, [&](int lane, void *o) { *(bool *)o = (uint32_t)lane == leader; });
}

bool elect_one() {
    bool elected = false;
    meet(~0u, true, finish_elect, &elected, "at elect.sync", CALLER);
    return elected;
}

// Nothing is promised about who is converged: this lane, and any of the others that live.
uint32_t active_lanes() {
    Thread *t = current_thread("__activemask");
    return (t->warp->live & (uint32_t)t->owner->machine->random()) | t->bit;
}

int lane() {
    return (int)current_thread("a shuffle")->lane;
}

} // namespace cudasim
