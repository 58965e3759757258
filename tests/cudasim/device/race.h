// The race mode: who has seen what. Kernels compiled with -fsanitize=thread call __tsan_read4 and
// the like for each access (tsan.cpp); everything else that touches memory or orders threads calls
// the functions below. In the other modes they are empty.
//
// Each thread has a vector clock of its block's threads (and of other blocks, once it has
// synchronised with them). A second one holds what it has seen and passed through
// fence.proxy.async: what the copy engine and wgmma may read on its behalf.
//
// An asynchronous access is pending from its start: whatever conflicts with it is a race, whoever
// does it. When it ends it counts as an access of a slot of the clock, which those get who wait for
// it: of the thread itself (cp.async, stores), of an mbarrier, or of a warpgroup.
#ifndef TESTS_CUDASIM_DEVICE_RACE_H
#define TESTS_CUDASIM_DEVICE_RACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef CUDASIM_RACE
#include "tests/cudasim/device/clock.h"
#endif

namespace cudasim {

struct Thread;
struct Block;
struct Grid;

namespace race {

#ifdef CUDASIM_RACE
constexpr bool IS_ON = true;
#define CUDASIM_RACE_BODY ;
#else
constexpr bool IS_ON = false;
#define CUDASIM_RACE_BODY                                                                          \
    {}
struct Sync {};
struct ThreadState {};
struct BlockState {};
struct GridState {};
struct Stamp {};
#endif
typedef uint32_t Token; // an asynchronous access; 0: none

// Slots of a block's clock behind those of its threads.
enum { MBARRIER_SLOTS = 64, WARPGROUP_SLOTS = 8 };

#ifdef CUDASIM_RACE
#define HOOK
#else
#define HOOK inline
#endif

// ---------------------------------------------------------------- order

HOOK void grid_begins(Grid *) CUDASIM_RACE_BODY HOOK void grid_ends(Grid *) CUDASIM_RACE_BODY HOOK
    void block_begins(Block *) CUDASIM_RACE_BODY HOOK void thread_begins(Thread *) CUDASIM_RACE_BODY
    // What the thread has done so far becomes known to whoever acquires.
    HOOK void release(Thread *, Sync &) CUDASIM_RACE_BODY HOOK
    void acquire(Thread *, const Sync &) CUDASIM_RACE_BODY HOOK
    void clear(Sync &) CUDASIM_RACE_BODY HOOK void join(Sync &, const Sync &) CUDASIM_RACE_BODY
    // Adds to what sync holds: the slot has reached this count.
    HOOK void slot_reaches(Block *, unsigned slot, uint32_t count, Sync &) CUDASIM_RACE_BODY HOOK
    void proxy_fence(Thread *) CUDASIM_RACE_BODY HOOK
    void memory_fence(Thread *, bool whole_device) CUDASIM_RACE_BODY
    // An atomic operation on this address; relaxed ones order only through memory fences.
    HOOK void atomic_access(const void *address, int bytes, bool acquires, bool releases,
                            const void *caller) CUDASIM_RACE_BODY
    // The same without an effect on order: mbarriers, which have clocks of their own.
    HOOK void atomic_touches(const void *address, int bytes, const void *caller) CUDASIM_RACE_BODY

    // ---------------------------------------------------------------- accesses

    // Of the current thread, at once. looks: what nobody has written may not be read.
    HOOK void reads(const void *address, size_t bytes, const void *caller,
                    bool looks) CUDASIM_RACE_BODY HOOK
    void writes(const void *address, size_t bytes, const void *caller) CUDASIM_RACE_BODY

    // Ordinary accesses of a kernel, wherever they go: the hooks of the compiler.
    HOOK
    void range(const void *address, size_t bytes, bool writes, const void *caller) CUDASIM_RACE_BODY

#ifdef CUDASIM_RACE
    // The start of an asynchronous access by the current thread. what: "cp.async". By proxy: it
    // reads only what has passed through fence.proxy.async.
    Token begins(const char *what, bool by_proxy, const void *caller);
#else
    inline Token begins(const char *, bool, const void *) {
    return 0;
}
#endif
HOOK void will_read(Token, const void *address, size_t bytes) CUDASIM_RACE_BODY HOOK
    void will_write(Token, const void *address, size_t bytes) CUDASIM_RACE_BODY
    // It was only a check of what may be accessed now.
    HOOK void drops(Token) CUDASIM_RACE_BODY
    // It ended: it counts as an access of this slot of the block at this count, or of a thread at
    // its present time.
    HOOK void ends(Token, Block *, unsigned slot, uint32_t count) CUDASIM_RACE_BODY HOOK
    void ends(Token, Thread *) CUDASIM_RACE_BODY
    // An mbarrier that the copy engine uses: its init has passed through a proxy fence.
    HOOK void proxy_sees(const void *address, size_t bytes, const char *what,
                         const void *caller) CUDASIM_RACE_BODY

    // ---------------------------------------------------------------- contents

    // Memory that nobody has touched: new allocations, the shared memory of a new block.
    HOOK void forget(const void *address, size_t bytes) CUDASIM_RACE_BODY
    // Bytes that moved without being looked at keep whether they were ever written.
    HOOK void moved(void *to, const void *from, size_t bytes) CUDASIM_RACE_BODY HOOK
    void filled(void *to, size_t bytes) CUDASIM_RACE_BODY
    // By the operation of a stream that runs: a copy, a memset, a library.
    HOOK void host_accesses(const void *address, size_t bytes, bool writes,
                            const char *what) CUDASIM_RACE_BODY

#undef HOOK
#undef CUDASIM_RACE_BODY

} // namespace race
} // namespace cudasim

#endif
