// Shared memory of a block: a window of addresses. Parts of the dynamic memory lie in its first
// half, static arrays in the second; each has closed bytes behind it and the alignment that it asks
// for and no more.
#include <string.h>

#include "tests/cudasim/device/block.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {

// Addresses of shared memory begin here on sm_90 and later: the first bytes are the system's.
static const uint32_t RESERVED = 1024;
enum { RED_ZONE = 64 };

void shared_reset(Block *b) {
    sanitizer_open(b->window, WINDOW_BYTES);
    memset(b->window, 0xff, b->dynamic_end);
    memset(b->window + STATIC_BEGIN, 0xff, b->static_end - STATIC_BEGIN);
    sanitizer_close(b->window, WINDOW_BYTES);
    b->dynamic_end = 0;
    b->static_end = STATIC_BEGIN;
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
    size_t begin = place_for(b->static_end, align);
    b->static_end = begin + bytes;
    b->static_bytes += bytes;
    check_total(b, CALLER);
    if (b->static_end > WINDOW_BYTES) fail(CALLER, "too much static shared memory");
    b->arrays.push_back({key, name, b->window + begin, 0, bytes, align});
    sanitizer_open(b->window + begin, bytes);
    return b->window + begin;
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
    size_t at = place_for(b->dynamic_end, align);
    b->dynamic_end = at + bytes;
    if (b->dynamic_end > STATIC_BEGIN - RESERVED)
        fail(CALLER, "the emulator has no room for so many parts of the dynamic shared memory");
    b->arrays.push_back({nullptr, nullptr, b->window + at, begin, bytes, align});
    sanitizer_open(b->window + at, bytes);
    return b->window + at;
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
    return RESERVED + (uint32_t)((const unsigned char *)shared - b->window);
}

void *shared_pointer(Block *b, uint32_t address) { return b->window + (address - RESERVED); }

void *shared_of_rank(Block *b, void *address, unsigned rank, const void *caller) {
    if (!b->cluster || rank >= b->cluster->blocks.size())
        fail(caller, "block %u of a cluster of %zu", rank,
             b->cluster ? b->cluster->blocks.size() : 1);
    return b->cluster->blocks[rank]->window + ((unsigned char *)address - b->window);
}

} // namespace cudasim
