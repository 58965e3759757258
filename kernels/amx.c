#include "kernels/amx.h"

#include <pthread.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(AMX_EMULATED)
static bool is_offered(void) {
    return true;
}
#elif defined(__x86_64__) && defined(__linux__)
// Linux saves a thread's tiles only for processes that asked: they are 8 KiB of each signal frame.
enum { ASK_PERMISSION = 0x1023, TILE_DATA = 18 }; // ARCH_REQ_XCOMP_PERM, of asm/prctl.h

static bool is_offered(void) {
    unsigned a, b, c, d;
    const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25, all = bf16 | tile | int8;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & all) == all &&
           syscall(SYS_arch_prctl, ASK_PERMISSION, TILE_DATA) == 0;
}
#else
static bool is_offered(void) {
    return false;
}
#endif

static bool is_there;

static void find(void) {
#if defined(__x86_64__)
    is_there = is_offered() && amx_try();
#else
    is_there = is_offered();
#endif
}

bool amx_is_there(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find);
    return is_there;
}
