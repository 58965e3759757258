// The emulator inside: threads as fibers, warps, blocks, and the machine that runs them. See
// README.md for the rules; device.h for what kernels see.
#ifndef TESTS_CUDASIM_DEVICE_SIM_H
#define TESTS_CUDASIM_DEVICE_SIM_H

#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/cudasim/device/place.h"
#include "tests/cudasim/device/race.h"
#include "tests/cudasim/device/settings.h"

namespace cudasim {

struct Block;
struct Warp;
struct Grid;
struct Machine;
struct KernelCounts;
struct RequestTable; // counters.cpp

enum { WARP = 32, MAX_THREADS = 1024, MAX_WARPS = MAX_THREADS / WARP };

// What a thread that is not runnable waits for, for the report of a deadlock.
struct Wait {
    const char *what = nullptr;
    const void *key = nullptr; // of those that wait for the same: a barrier, a grid
    const void *caller = nullptr;
};

// A copy of cp.async that has not been waited for.
struct Copy {
    void *to;
    const void *from;
    uint8_t bytes, read_bytes;
    bool landed;
    uint32_t group; // number of the group that it belongs to
    race::Token token;
};

// A store of the bulk engine that still reads shared memory or has not written device memory.
struct Store;

struct Thread : Place {
    void *stack_pointer;
    Block *owner;
    Warp *warp;
    unsigned lane, bit; // bit: 1 << lane
    unsigned number;    // in the block
    bool waited_for_prior_grid, called_dependents, cluster_arrived;
    uint64_t cluster_phase;
    Wait wait;
    std::vector<Copy> copies; // cp.async, oldest first; those before first_copy are done
    size_t first_copy;
    uint32_t copy_group;      // the open one
    unsigned n_arrivals_pending; // of cp.async.mbarrier.arrive
    std::vector<std::shared_ptr<Store>> stores;
    uint32_t store_group;
    uint64_t n_products;                  // wgmma issued
    std::vector<uint64_t> product_groups; // n_products at the end of each group not waited for
    race::ThreadState race;
};

// One collective of lanes of a warp: each lane leaves a pointer to its operands, the last one that
// comes computes for all of them.
struct Meeting {
    uint32_t mask, arrived;
    void (*finish)(Meeting &);
    const void *caller; // of the first
    Warp *warp;
    void *operands[WARP];
};

struct Warp {
    Block *block;
    unsigned number, n_lanes;
    Thread *threads;
    uint32_t live, runnable, parked;
    std::vector<Meeting> meetings; // the first n_meetings are in use
    unsigned n_meetings;
    std::unique_ptr<RequestTable, void (*)(RequestTable *)> requests{nullptr, nullptr};
};

struct Barrier {
    unsigned n_arrived, n_expected;
    int line, kind, count; // of __syncthreads; kind -1: no vote
    int result;            // of the last vote
    uint32_t waiting[MAX_WARPS];
    race::Sync sync;
};

struct SharedArray {
    const void *key; // of a static array; null for a part of the dynamic memory
    const char *name;
    unsigned char *at;
    size_t begin, bytes, align; // begin: of a part, as the kernel counts
};

// Something that the copy engine has still to do.
struct Pending {
    std::function<void()> run;
    std::function<std::string()> describe;
};

struct Product; // wgmma.cpp
// Registers that a product wrote, and a hash of what was there then or at the last wgmma.fence.
struct Accumulator {
    const float *d;
    int n;
    uint64_t hash;
};
// Four warps and their products in flight.
struct Warpgroup {
    std::vector<std::shared_ptr<Product>> products; // issued, not computed; oldest first
    std::vector<std::shared_ptr<Product>> spare;    // records to use again
    uint64_t n_computed;
    int max_registers;      // of the last setmaxnreg; 0: none
    bool fenced[WARP * 4];  // per thread: a wgmma.fence since the last wait for all products
    std::vector<Accumulator> written[WARP * 4];
    race::Sync sync;
};

struct Mbarrier {
    uint64_t *at;
    unsigned slot;
    unsigned n_arrivals, n_pending;
    long long bytes_due;
    uint64_t phase; // number of the current one
    race::Sync sync, ended;
};

struct Cluster {
    std::vector<Block *> blocks; // by rank
    unsigned n_threads, n_arrived, n_done;
    uint64_t phase;
    race::Sync sync, ended;
};

struct Block : BlockPlace {
    Machine *machine;
    Grid *grid;
    uint64_t number; // in the grid
    unsigned n_threads, n_warps, n_live;
    std::vector<Thread> threads;
    Warp warps[MAX_WARPS];
    uint32_t runnable; // warps with a runnable lane
    unsigned current;  // the warp that runs
    Barrier barriers[16];
    unsigned char *stacks;
    unsigned char *window; // shared memory: static arrays and parts of the dynamic one
    size_t window_end, static_bytes;
    std::vector<SharedArray> arrays;
    std::vector<std::unique_ptr<Mbarrier>> mbarriers;
    std::vector<Pending> pending;
    Warpgroup warpgroups[MAX_WARPS / 4];
    std::shared_ptr<Cluster> cluster;
    unsigned rank; // in the cluster
    bool waited_for_prior_grid, triggered;
    unsigned n_dependents_calls;
    race::BlockState race;
};

// A kernel in flight.
struct Grid {
    std::string name;
    void (*call)(const void *arguments); // a thread's body
    std::shared_ptr<const void> arguments;
    size_t arguments_bytes = 0;
    dim3 grid, block;
    size_t shared_bytes = 0;
    bool cooperative = false, programmatic = false;
    unsigned cluster_blocks = 1;
    uint64_t n_blocks = 0, multiplier = 1, offset = 0; // the order in which blocks start
    uint64_t n_started = 0, n_done = 0, n_triggered = 0, n_waited = 0;
    unsigned n_arrived = 0; // at the barrier of the grid
    race::Sync barrier_sync, barrier_ended;
    uint64_t barrier_phase = 0;
    Grid *ahead = nullptr; // what a programmatic grid may overlap
    KernelCounts *counts = nullptr;
    race::GridState race;
    bool done() const { return n_done == n_blocks; }
};

// Runs grids on one host thread; the fibers of the resident blocks switch to one another.
struct Machine {
    std::vector<Block *> resident, idle;
    std::vector<Grid *> grids; // in stream order; each may overlap the one before
    Block *current = nullptr;
    void *host_stack_pointer = nullptr;
    uint64_t random_state = 0;
    uint64_t n_ticks = 0;
    uint64_t progress = 0; // counts events that another thread may wait for
    uint64_t progress_seen = 0, idle_rounds = 0;
    size_t n_resident_wanted = 1;
    bool restless = false; // fibers come back to the main loop now and then
    const void *host_stack_bottom = nullptr; // for the address sanitizer
    size_t host_stack_bytes = 0;

    void run(const std::vector<Grid *> &chain);
    uint64_t random() { // xorshift64
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        return random_state ^= random_state << 17;
    }
    bool one_in(unsigned n) { return random() % n == 0; }

  private:
    bool step();
    bool start_blocks(Grid *grid);
    bool start_next(bool beyond_wanted);
    bool run_pending(Block *block);
    bool run_pending_of_any();
    bool unpark();
    void enter(Block *block);
    void retire();
    [[noreturn]] void deadlock(const char *kind);
};

// ---------------------------------------------------------------- machine.cpp

inline Thread *current_thread() { return static_cast<Thread *>(place); }
Thread *current_thread(const char *what); // fails outside of kernels
// The current thread does not run until wake.
void suspend(const char *what, const void *key, const void *caller);
void wake(Thread *thread);
void wake_all(Block *block, const void *key);
// Lets others run first. park: it only asks whether others got on; it comes back when nothing
// else runs.
void give_way(bool park, const char *what, const void *caller);
size_t blocks_per_sm(const Grid &grid, size_t static_bytes);

// ---------------------------------------------------------------- block.cpp

Block *block_make(Machine *machine);
void block_start(Block *block, Grid *grid, uint64_t number);
void thread_ends(Thread *thread); // of warp.cpp, barrier.cpp: those who wait may go on

// ---------------------------------------------------------------- warp.cpp

// All lanes of the mask that are live meet; then finish runs once. aligned: all 32 lanes are meant.
void meet(uint32_t mask, bool aligned, void (*finish)(Meeting &), void *operands, const char *name,
          const void *caller);
void warp_lane_ends(Thread *thread);

// ---------------------------------------------------------------- barrier.cpp

void barriers_reset(Block *block);
void barriers_thread_ends(Thread *thread);
Mbarrier *mbarrier_find(Block *block, const uint64_t *at, const char *what, const void *caller);
void mbarrier_complete_bytes(Block *block, Mbarrier *m, long long bytes);
void mbarrier_arrives(Block *block, Mbarrier *m);
void mbarriers_check_end(Block *block);
std::string mbarrier_text(const Block *block, const void *at);

// ---------------------------------------------------------------- shared.cpp

void shared_reset(Block *block);
// The array of this block, or of another of its cluster, that holds all the bytes; else null.
const SharedArray *shared_find(const Block *block, const void *address, size_t bytes);
void *shared_pointer(Block *block, uint32_t address); // the opposite of shared_address
bool shared_holds(const Block *block, const void *address);
// The same place in the shared memory of another block of the cluster.
void *shared_of_rank(Block *block, void *address, unsigned rank, const void *caller);

// ---------------------------------------------------------------- the end of a thread or a block

void copies_check_end(Thread *thread);
void stores_check_end(Thread *thread);
void products_check_end(Block *block);
void products_reset(Block *block);

// ---------------------------------------------------------------- report.cpp

// Prints one sentence with the place in the kernel and ends the process. caller: a return address
// in the kernel, or null.
[[noreturn]] void fail(const void *caller, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
std::string source_line(const void *caller); // "gemm.cu:77", or "" when it is not known
std::string describe(const void *address);   // "byte 12 of the shared array sums"
std::string describe_thread(const Thread *thread);
std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

} // namespace cudasim

#endif
