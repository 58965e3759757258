// Calls of the address sanitizer, empty in other builds.
#ifndef TESTS_CUDASIM_DEVICE_SANITIZER_H
#define TESTS_CUDASIM_DEVICE_SANITIZER_H

#include <stddef.h>

#ifdef __SANITIZE_ADDRESS__
#define CUDASIM_ASAN 1
extern "C" {
void __asan_poison_memory_region(void const volatile *, size_t);
void __asan_unpoison_memory_region(void const volatile *, size_t);
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *size);
}
#else
#define CUDASIM_ASAN 0
#endif

namespace cudasim {
// Bytes that nobody may touch, and that somebody may.
inline void sanitizer_close(const void *at, size_t bytes) {
#if CUDASIM_ASAN
    __asan_poison_memory_region(at, bytes);
#else
    (void)at, (void)bytes;
#endif
}
inline void sanitizer_open(const void *at, size_t bytes) {
#if CUDASIM_ASAN
    __asan_unpoison_memory_region(at, bytes);
#else
    (void)at, (void)bytes;
#endif
}
} // namespace cudasim

#endif
