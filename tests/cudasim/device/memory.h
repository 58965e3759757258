// Device memory and page-locked host memory: two ranges of addresses, handed out upwards and never
// twice, so that a freed buffer faults when it is used. New memory is full of 0xff bytes. Device
// memory is closed to host code: it is readable only between memory_open and memory_close.
#ifndef TESTS_CUDASIM_DEVICE_MEMORY_H
#define TESTS_CUDASIM_DEVICE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

namespace cudasim {

struct Buffer {
    unsigned number; // of the allocation, or of the named part
    std::string name;
    unsigned char *at;
    size_t bytes;
    bool pinned, freed;
    std::vector<unsigned> parts; // numbers of named parts of an allocation
};

// Null when the device's memory is used up (pinned: never). Aligned to 256 bytes and no more.
void *memory_allocate(size_t bytes, bool pinned);
bool memory_free(void *at, bool pinned); // false: it is no allocation of this kind
size_t memory_used();

// The allocation that holds the byte, freed ones too; null outside of all.
const Buffer *memory_find(const void *address);
// The last allocation that begins at or before the byte, however far; null outside of both ranges.
const Buffer *memory_before(const void *address);
// The named part or else the allocation, by number; n_buffers counts both.
unsigned memory_part(const void *address); // 0: none
const Buffer &memory_buffer(unsigned number);
unsigned memory_n_buffers();
void memory_name(const void *at, size_t bytes, const char *name);
bool memory_is_device(const void *address);
bool memory_is_pinned(const void *address);
// Whether all bytes lie in one live allocation of either kind.
bool memory_holds(const void *address, size_t bytes);

void memory_open();
void memory_close();

} // namespace cudasim

#endif
