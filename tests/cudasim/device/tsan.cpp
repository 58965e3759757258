// What -fsanitize=thread calls for each access of a kernel. The thread sanitizer's own library is
// not linked: race.cpp decides. Also counts requests of device and shared memory.
#ifdef CUDASIM_RACE
#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "tests/cudasim/device/block.h"
#include "tests/cudasim/device/counters.h"
#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {
namespace race {

// Tables and code of the loaded modules.
static bool in_module(const void *address) {
    struct Find {
        uintptr_t address;
        bool found;
    } find = {(uintptr_t)address, false};
    dl_iterate_phdr(
        [](dl_phdr_info *info, size_t, void *data) {
            Find *f = (Find *)data;
            for (int i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) &p = info->dlpi_phdr[i];
                uintptr_t begin = info->dlpi_addr + p.p_vaddr;
                if (p.p_type == PT_LOAD && f->address >= begin && f->address < begin + p.p_memsz)
                    f->found = true;
            }
            return f->found ? 1 : 0;
        },
        &find);
    return find.found;
}

static bool between(const void *p, const void *begin, size_t bytes) {
    return p >= begin && p < (const void *)((const char *)begin + bytes);
}

// The emulator's own records that inlined code of device.h reads: places, launches.
static bool is_record(const Thread *t, const void *address) {
    const Block *b = t->owner;
    const Grid *g = b->grid;
    return between(address, b->threads.data(), b->threads.size() * sizeof(Thread)) ||
           between(address, static_cast<const BlockPlace *>(b), sizeof(BlockPlace)) ||
           between(address, g, sizeof *g) || between(address, &place, sizeof place) ||
           between(address, g->arguments.get(), g->arguments_bytes);
}

static void global(const void *address, size_t bytes, bool writes, const void *caller) {
    if (!memory_holds(address, bytes))
        fail(caller, "%s of %zu bytes at %s, outside of all buffers", writes ? "a write" : "a read",
             bytes, describe(address).c_str());
    count_bytes(address, bytes, writes);
    if (settings.count) count_request(address, (unsigned)bytes, false, caller);
}

static void shared(const Thread *t, const void *address, size_t bytes, bool writes,
                   const void *caller) {
    if (!shared_find(t->owner, address, bytes))
        fail(caller, "%s of %zu bytes at %s, outside of its array", writes ? "a write" : "a read",
             bytes, describe(address).c_str());
    if (settings.count) count_request(address, (unsigned)bytes, true, caller);
}

static bool is_shared(const Thread *t, const void *address) {
    if (shared_holds(t->owner, address)) return true;
    if (!t->owner->cluster) return false;
    for (const Block *b : t->owner->cluster->blocks)
        if (shared_holds(b, address)) return true;
    return false;
}

void range(const void *address, size_t bytes, bool is_write, const void *caller) {
    Thread *t = current_thread();
    if (!t || bytes == 0) return;
    if (between(address, block_stack(t->owner, t->number), STACK_BYTES)) return;
    if (memory_is_device(address) || memory_is_pinned(address))
        global(address, bytes, is_write, caller);
    else if (is_shared(t, address))
        shared(t, address, bytes, is_write, caller);
    else if (is_record(t, address) || (!is_write && in_module(address)))
        return;
    else
        fail(caller, "a kernel %s host memory or another thread's stack, at %p",
             is_write ? "writes" : "reads", address);
    is_write ? writes(address, bytes, caller) : reads(address, bytes, caller, true);
}

// A volatile access is a relaxed atomic one; loops of them let others run.
static void volatile_access(const void *address, int bytes, const void *caller) {
    Thread *t = current_thread();
    if (!t || between(address, block_stack(t->owner, t->number), STACK_BYTES)) return;
    if (!memory_is_device(address) && !memory_is_pinned(address) && !is_shared(t, address)) return;
    give_way(t->owner->machine->one_in(2), "at a volatile access", caller);
    atomic_access(address, bytes, false, false, caller);
    filled((void *)address, (size_t)bytes);
}

} // namespace race
} // namespace cudasim

using namespace cudasim;

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}

#define ACCESS(bytes)                                                                              \
    void __tsan_read##bytes(void *p) {                                                             \
        race::range(p, bytes, false, CALLER);                                                      \
    }                                                                                              \
    void __tsan_write##bytes(void *p) {                                                            \
        race::range(p, bytes, true, CALLER);                                                       \
    }                                                                                              \
    void __tsan_unaligned_read##bytes(void *p) {                                                   \
        race::range(p, bytes, false, CALLER);                                                      \
    }                                                                                              \
    void __tsan_unaligned_write##bytes(void *p) {                                                  \
        race::range(p, bytes, true, CALLER);                                                       \
    }                                                                                              \
    void __tsan_volatile_read##bytes(void *p) {                                                    \
        race::volatile_access(p, bytes, CALLER);                                                   \
    }                                                                                              \
    void __tsan_volatile_write##bytes(void *p) {                                                   \
        race::volatile_access(p, bytes, CALLER);                                                   \
    }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
void __tsan_read_range(void *p, size_t n) {
    race::range(p, n, false, CALLER);
}
void __tsan_write_range(void *p, size_t n) {
    race::range(p, n, true, CALLER);
}

// Host code beside the kernels (reference counts and the like) uses the compiler's atomics.
#define ATOMIC(bits)                                                                               \
    typedef int##bits##_t A##bits;                                                                 \
    A##bits __tsan_atomic##bits##_load(const volatile A##bits *p, int) {                           \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                               \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile A##bits *p, A##bits v, int) {                        \
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                              \
    A##bits __tsan_atomic##bits##_exchange(volatile A##bits *p, A##bits v, int) {                  \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    A##bits __tsan_atomic##bits##_fetch_add(volatile A##bits *p, A##bits v, int) {                 \
        return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    A##bits __tsan_atomic##bits##_fetch_sub(volatile A##bits *p, A##bits v, int) {                 \
        return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    A##bits __tsan_atomic##bits##_fetch_and(volatile A##bits *p, A##bits v, int) {                 \
        return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    A##bits __tsan_atomic##bits##_fetch_or(volatile A##bits *p, A##bits v, int) {                  \
        return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                          \
    }                                                                                              \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile A##bits *p, A##bits *c, A##bits v,  \
                                                      int, int) {                                  \
        return __atomic_compare_exchange_n(p, c, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);        \
    }                                                                                              \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile A##bits *p, A##bits *c, A##bits v,    \
                                                    int, int) {                                    \
        return __atomic_compare_exchange_n(p, c, v, 1, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);        \
    }
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)
void __tsan_atomic_thread_fence(int) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {}

} // extern "C"
#endif
