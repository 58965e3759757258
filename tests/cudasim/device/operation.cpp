#include "tests/cudasim/device/operation.h"

namespace cudasim {
namespace race {

static std::shared_ptr<Operation> current;

std::shared_ptr<Operation> operation_current() {
    return current;
}
void operation_set_current(std::shared_ptr<Operation> operation) {
    current = operation;
}
void operation_ends(Operation *operation, bool all_waited) {
    if (operation) operation->all_waited = all_waited;
}

static bool holds(const Known &known, const Operation &a, const Operation &b) {
    if (a.stream == b.stream && a.place == b.place) // nodes of one launch of a graph
        return a.node >= 0 && (size_t)a.node < known.nodes.size() && known.nodes[(size_t)a.node];
    return a.stream < known.streams.size() && known.streams[a.stream] >= a.place;
}

bool operation_is_before(const Operation &a, const Operation &b, bool b_has_waited) {
    if (holds(b.at_start, a, b)) return true;
    if (!b.ahead || !b_has_waited) return false;
    return &a == b.ahead.get() || operation_is_before(a, *b.ahead, b.ahead->all_waited);
}

} // namespace race
} // namespace cudasim
