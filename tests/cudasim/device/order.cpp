// Ordered and atomic accesses, fences, and what else lets time pass.
#include <math.h>
#include <string.h>

#include "tests/cudasim/device/counters.h"
#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/device/sim.h"
#include "tests/cudasim/device/vector.h"

namespace cudasim {

static void check(const void *address, int bytes, const char *what, const void *caller) {
    Block *b = current_thread(what)->owner;
    if ((uintptr_t)address % (unsigned)bytes)
        fail(caller, "%s at %s, which is not aligned to its %d bytes", what,
             describe(address).c_str(), bytes);
    if (!memory_holds(address, (size_t)bytes) && !shared_find(b, address, (size_t)bytes))
        fail(caller, "%s at %s, outside of all buffers and arrays", what,
             describe(address).c_str());
}

// Now and then another thread comes first.
static void mix() {
    Machine *m = current_thread()->owner->machine;
    if (settings.shuffle && m->one_in(4)) give_way(false, nullptr, nullptr);
}

static uint64_t get(const void *address, int bytes) {
    uint64_t value = 0;
    memcpy(&value, address, (size_t)bytes);
    return value;
}

uint32_t load_acquire(const uint32_t *global) {
    check(global, 4, "ld.acquire", CALLER);
    // Loops that ask for another block's progress go through here.
    give_way(settings.shuffle ? current_thread()->owner->machine->one_in(2) : true, "at ld.acquire",
             CALLER);
    count_bytes(global, 4, false);
    race::atomic_access(global, 4, true, false, CALLER);
    return (uint32_t)get(global, 4);
}

void store_release(uint32_t *global, uint32_t value) {
    check(global, 4, "st.release", CALLER);
    mix();
    count_bytes(global, 4, true);
    race::atomic_access(global, 4, false, true, CALLER);
    memcpy(global, &value, 4);
    race::filled(global, 4);
    current_thread()->owner->machine->progress++;
}

static uint64_t combine_integers(Kind kind, Atomic operation, int bytes, uint64_t a, uint64_t b,
                                 uint64_t compare) {
    int64_t sa = bytes == 4 ? (int32_t)a : (int64_t)a, sb = bytes == 4 ? (int32_t)b : (int64_t)b;
    bool less = kind == SIGNED ? sa < sb : a < b;
    switch (operation) {
    case ADD:
        return a + b;
    case EXCHANGE:
        return b;
    case MIN:
        return less ? a : b;
    case MAX:
        return less ? b : a;
    case AND:
        return a & b;
    case OR:
        return a | b;
    case XOR:
        return a ^ b;
    case COMPARE:
        return a == compare ? b : a;
    case INCREMENT:
        return a >= b ? 0 : a + 1;
    case DECREMENT:
        return a == 0 || a > b ? b : a - 1;
    }
    return a;
}

static uint64_t combine_floats(Atomic operation, int bytes, uint64_t a, uint64_t b) {
    if (operation == EXCHANGE) return b;
    if (operation != ADD) fail(CALLER, "the emulator has only addition and exchange of floats");
    uint64_t result = 0;
    if (bytes == 4) {
        float x, y;
        memcpy(&x, &a, 4);
        memcpy(&y, &b, 4);
        x += y;
        memcpy(&result, &x, 4);
    } else {
        double x, y;
        memcpy(&x, &a, 8);
        memcpy(&y, &b, 8);
        x += y;
        memcpy(&result, &x, 8);
    }
    return result;
}

static uint64_t change(void *address, int bytes, Kind kind, Atomic operation, uint64_t operand,
                       uint64_t compare, bool ordered, const void *caller) {
    check(address, bytes, "an atomic operation", caller);
    mix();
    Block *b = current_thread()->owner;
    b->grid->counts->atomics++;
    b->grid->counts->float_atomics += kind == FLOAT && operation == ADD;
    if (!shared_holds(b, address)) count_bytes(address, (uint64_t)bytes, true);
    race::atomic_access(address, bytes, ordered, ordered, caller);
    uint64_t before = get(address, bytes), after;
    if (kind == FLOAT)
        after = combine_floats(operation, bytes, before, operand);
    else
        after = combine_integers(kind, operation, bytes, before, operand, compare);
    memcpy(address, &after, (size_t)bytes);
    race::filled(address, (size_t)bytes);
    b->machine->progress++;
    return before;
}

uint64_t atomic(void *address, int bytes, Kind kind, Atomic operation, uint64_t operand,
                uint64_t compare) {
    return change(address, bytes, kind, operation, operand, compare, false, CALLER);
}

uint32_t atomic_add_acq_rel(uint32_t *global, uint32_t value) {
    return (uint32_t)change(global, 4, UNSIGNED, ADD, value, 0, true, CALLER);
}

void fence(bool whole_device) {
    race::memory_fence(current_thread("__threadfence"), whole_device);
}
void fence_proxy_async() {
    race::proxy_fence(current_thread("fence.proxy.async"));
}

void sleep(unsigned) {
    current_thread("__nanosleep");
    give_way(true, "at __nanosleep", CALLER);
}

long long clock_ticks() {
    Thread *t = current_thread("clock64");
    give_way(false, nullptr, nullptr);
    return (long long)(t->owner->machine->n_ticks += 16);
}

uint4 load_streamed_16(const void *global) {
    if ((uintptr_t)global % 16 || !memory_holds(global, 16))
        fail(CALLER, "ld.global.nc of 16 bytes at %s, not aligned or outside of all buffers",
             describe(global).c_str());
    count_bytes(global, 16, false);
    if (settings.count) count_request(global, 16, false, CALLER);
    race::reads(global, 16, CALLER, true);
    uint4 v;
    memcpy(&v, global, 16);
    return v;
}

float exp2_approx(float x) {
    // .ftz: denormal operands and results count as zero.
    if (fabsf(x) < 1.17549435e-38f) x = 0;
    float y = exp2f(x);
    return y < 1.17549435e-38f ? 0 : y;
}

void copy_bytes(void *to, const void *from, size_t n) {
    if (race::IS_ON && place) {
        race::range(from, n, false, CALLER);
        race::range(to, n, true, CALLER);
    }
    ::memcpy(to, from, n);
}

void set_bytes(void *to, int value, size_t n) {
    if (race::IS_ON && place) race::range(to, n, true, CALLER);
    ::memset(to, value, n);
}

} // namespace cudasim
