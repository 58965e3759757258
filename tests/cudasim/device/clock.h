// Vector clocks of the race mode. A block in flight is known by a number of its own; its clock has
// a count for each thread and, behind those, for each mbarrier and each warpgroup.
#ifndef TESTS_CUDASIM_DEVICE_CLOCK_H
#define TESTS_CUDASIM_DEVICE_CLOCK_H

#include <stdint.h>

#include <map>
#include <memory>
#include <vector>

namespace cudasim {
namespace race {

// When something was done: at this count of this slot of this block.
struct Stamp {
    uint32_t block; // 0: never
    uint32_t slot;
    uint32_t count;
    uint32_t caller; // where, as a number of race.cpp's table of places
};

// What somebody has seen: of each block, the count up to which each slot is known.
struct Clock {
    struct Part {
        uint32_t block;
        std::vector<uint32_t> counts;
    };
    std::vector<Part> parts; // of a thread: its own block first

    bool has_seen(const Stamp &s) const {
        for (const Part &p : parts)
            if (p.block == s.block) return s.slot < p.counts.size() && p.counts[s.slot] >= s.count;
        return false;
    }
    std::vector<uint32_t> &of(uint32_t block, size_t n_slots);
    void join(const Clock &other);
};

// What is handed over by a barrier: what was seen, and of it what the copy engine may read.
struct Sync {
    Clock seen, proxied;
};

struct ThreadState {
    Clock seen, proxied;
    Sync fenced;       // as of the last __threadfence
    Sync fenced_block; // as of the last fence, of whatever scope
    Sync observed;     // by relaxed atomic operations, until the next fence
    bool has_fenced, has_fenced_block, has_observed;
};
struct BlockState {
    uint32_t number;
    size_t n_slots;
};

struct Operation;
struct GridState {
    std::shared_ptr<Operation> operation;
};

} // namespace race
} // namespace cudasim

#endif
