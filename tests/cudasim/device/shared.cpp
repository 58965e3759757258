// Shared memory of a block: a window of addresses, in which static arrays and parts of the dynamic
// memory lie in the order in which they are declared; each has closed bytes behind it and the
// alignment that it asks for and no more.
#include <string.h>

#include <algorithm>

#include "tests/cudasim/device/block.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {

enum { RED_ZONE = 64 };

void shared_reset(Block *b) {
    sanitizer_open(b->window, WINDOW_BYTES);
    memset(b->window, 0xff, b->window_end);
    sanitizer_close(b->window, WINDOW_BYTES);
    b->window_end = 0;
    b->static_bytes = 0;
    b->arrays.clear();
    race::forget(b->window, WINDOW_BYTES);
}

// The first place behind `end` that is a multiple of align and, where it matters, of no more.
static size_t place_for(size_t end, size_t align) {
    end = (end + RED_ZONE + align - 1) / align * align;
    if (align >= 16 && align < 1024 && end % (2 * align) == 0) end += align;
    return end;
}

// Blocks of a cluster reach one another's arrays by their own addresses: all have the same layout.
static void *place_array(Block *b, SharedArray array, const void *caller) {
    size_t end = b->window_end, known = 0;
    if (b->cluster)
        for (const Block *other : b->cluster->blocks) {
            end = std::max(end, other->window_end);
            for (const SharedArray &a : other->arrays)
                if (a.key == array.key && a.begin == array.begin && a.bytes == array.bytes)
                    known = (size_t)(a.at - other->window);
        }
    size_t at = known ? known : place_for(end, array.align); // 0 is a red zone
    if (at + array.bytes > WINDOW_BYTES)
        fail(caller, "the emulator has no room for so many arrays of shared memory");
    b->window_end = std::max(b->window_end, at + array.bytes);
    array.at = b->window + at;
    b->arrays.push_back(array);
    sanitizer_open(array.at, array.bytes);
    return array.at;
}

static void check_total(Block *b, const void *caller) {
    size_t total = b->static_bytes + b->grid->shared_bytes;
    if (b->static_bytes > 48 << 10)
        fail(caller, "%zu bytes of static shared memory; 49152 is the limit", b->static_bytes);
    if (total > (size_t)settings.device.shared_per_block)
        fail(caller, "%zu bytes of static and %zu of dynamic shared memory; %s has %d a block",
             b->static_bytes, b->grid->shared_bytes, settings.device.full_name,
             settings.device.shared_per_block);
}

void *shared_array(const void *key, size_t bytes, size_t align, const char *name) {
    Block *b = current_thread("SHARED")->owner;
    for (const SharedArray &a : b->arrays)
        if (a.key == key) return a.at;
    b->static_bytes += bytes;
    check_total(b, CALLER);
    return place_array(b, {key, name, nullptr, 0, bytes, align}, CALLER);
}

void *shared_take(int index, size_t begin, size_t bytes, size_t align) {
    Block *b = current_thread("DYNAMIC_SHARED")->owner;
    int i = 0;
    for (const SharedArray &a : b->arrays) {
        if (a.key || i++ != index) continue;
        if (a.begin != begin || a.bytes != bytes)
            fail(CALLER, "threads take different parts of the dynamic shared memory: %zu bytes at "
                         "%zu, others %zu at %zu", bytes, begin, a.bytes, a.begin);
        return a.at;
    }
    if (begin + bytes > b->grid->shared_bytes)
        fail(CALLER, "%zu bytes at %zu of the dynamic shared memory; the launch gave %zu", bytes,
             begin, b->grid->shared_bytes);
    return place_array(b, {nullptr, nullptr, nullptr, begin, bytes, align}, CALLER);
}

bool shared_holds(const Block *b, const void *address) {
    const unsigned char *p = (const unsigned char *)address;
    return p >= b->window && p < b->window + WINDOW_BYTES;
}

const SharedArray *shared_find(const Block *b, const void *address, size_t bytes) {
    const unsigned char *p = (const unsigned char *)address;
    for (const SharedArray &a : b->arrays)
        if (p >= a.at && p + bytes <= a.at + a.bytes) return &a;
    if (!b->cluster || shared_holds(b, address)) return nullptr;
    for (const Block *other : b->cluster->blocks)
        if (other != b && shared_holds(other, address))
            for (const SharedArray &a : other->arrays)
                if (p >= a.at && p + bytes <= a.at + a.bytes) return &a;
    return nullptr;
}

uint32_t shared_address(const void *shared) {
    Block *b = current_thread("shared_address")->owner;
    if (!shared_holds(b, shared))
        fail(CALLER, "%s is no shared memory of this block", describe(shared).c_str());
    return SHARED_RESERVED + (uint32_t)((const unsigned char *)shared - b->window);
}

void *shared_pointer(Block *b, uint32_t address) { return b->window + (address - SHARED_RESERVED); }

void *shared_of_rank(Block *b, void *address, unsigned rank, const void *caller) {
    if (!b->cluster || rank >= b->cluster->blocks.size())
        fail(caller, "block %u of a cluster of %zu", rank,
             b->cluster ? b->cluster->blocks.size() : 1);
    return b->cluster->blocks[rank]->window + ((unsigned char *)address - b->window);
}

} // namespace cudasim
