// The order of the operations of streams, for the race mode: which kernel or copy is before which.
#ifndef TESTS_CUDASIM_DEVICE_OPERATION_H
#define TESTS_CUDASIM_DEVICE_OPERATION_H

#include <stdint.h>

#include <memory>
#include <vector>

namespace cudasim {
namespace race {

// What is before an operation: per stream the operations up to a place, and nodes of its graph.
struct Known {
    std::vector<uint64_t> streams;
    std::vector<bool> nodes;
};

struct Operation {
    unsigned stream;
    uint64_t place;
    int node; // of a graph, whose launch is the operation; -1: none
    Known at_start;
    // A kernel that may overlap the one ahead of it: that one, and what it knows, are before it
    // only once it has waited.
    std::shared_ptr<Operation> ahead;
    bool all_waited; // each block did; known at the end
};

bool operation_is_before(const Operation &a, const Operation &b, bool b_has_waited);
void operation_ends(Operation *operation, bool all_waited);
// The one that runs; set by whoever runs it.
std::shared_ptr<Operation> operation_current();
void operation_set_current(std::shared_ptr<Operation> operation);

} // namespace race
} // namespace cudasim

#endif
