#include "tests/cudasim/device/memory.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <map>

#include "tests/cudasim/device/race.h"
#include "tests/cudasim/device/sanitizer.h"
#include "tests/cudasim/device/settings.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {

static const size_t PAGE = 4096, RANGE = (size_t)1 << 40;

// One of the two ranges. Between allocations lies at least one page that nobody may touch.
struct Range {
    unsigned char *base, *top;
    std::map<const unsigned char *, unsigned> numbers; // of allocations, by their first byte
};
static Range device_range, pinned_range;
// Number 0 is none. Never destroyed: see counters.cpp.
static std::vector<Buffer> &buffers = *new std::vector<Buffer>(1);
static size_t used;
static int n_open;

static size_t round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

static void prepare(Range *range) {
    if (range->base) return;
    void *p = mmap(nullptr, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) fail(nullptr, "no %zu GB of addresses for device memory", RANGE >> 30);
    range->base = range->top = (unsigned char *)p;
}

static size_t mapped_bytes(const Buffer &b) {
    return round_up(b.bytes + 256, PAGE);
}
static unsigned char *mapped_start(const Buffer &b) {
    return (unsigned char *)((uintptr_t)b.at / PAGE * PAGE);
}
static void protect(const Buffer &b, int protection) {
    if (mprotect(mapped_start(b), mapped_bytes(b), protection) != 0)
        fail(nullptr, "mprotect of %zu bytes failed", mapped_bytes(b));
}

void *memory_allocate(size_t bytes, bool pinned) {
    Range *range = pinned ? &pinned_range : &device_range;
    prepare(range);
    if (bytes == 0) bytes = 1;
    if (!pinned &&
        (bytes > settings.device.memory_bytes || used + bytes > settings.device.memory_bytes))
        return nullptr;
    // The end lies near the end of a page; the start is a multiple of 256 and not of 512.
    size_t mapped = round_up(bytes + 256, PAGE);
    if (range->top + mapped + PAGE > range->base + RANGE)
        fail(nullptr, "all addresses of device memory were handed out");
    size_t offset = (mapped - round_up(bytes, 256)) / 512 * 512;
    offset = offset >= 256 ? offset - 256 : 256;
    Buffer b = {(unsigned)buffers.size(), "", range->top + offset, bytes, pinned, false, {}};
    char name[64];
    snprintf(name, sizeof name, "%s %u (%zu bytes)", pinned ? "page-locked memory" : "buffer",
             b.number, bytes);
    b.name = name;
    range->top += mapped + PAGE;
    protect(b, PROT_READ | PROT_WRITE);
    sanitizer_open(mapped_start(b), mapped);
    memset(mapped_start(b), 0xff, mapped);
    sanitizer_close(mapped_start(b), (size_t)(b.at - mapped_start(b)));
    sanitizer_close(b.at + bytes, (size_t)(mapped_start(b) + mapped - (b.at + bytes)));
    race::forget(b.at, bytes);
    if (pinned) race::filled(b.at, bytes); // what the host writes there is not seen
    if (!pinned && !n_open) protect(b, PROT_NONE);
    if (!pinned) used += bytes;
    range->numbers[b.at] = b.number;
    buffers.push_back(b);
    return b.at;
}

bool memory_free(void *at, bool pinned) {
    Range *range = pinned ? &pinned_range : &device_range;
    auto found = range->numbers.find((unsigned char *)at);
    if (found == range->numbers.end() || buffers[found->second].freed) return false;
    Buffer &b = buffers[found->second];
    b.freed = true;
    if (!pinned) used -= b.bytes;
    madvise(mapped_start(b), mapped_bytes(b), MADV_DONTNEED);
    protect(b, PROT_NONE);
    return true;
}

size_t memory_used() {
    return used;
}

bool memory_is_device(const void *address) {
    const unsigned char *p = (const unsigned char *)address;
    return p >= device_range.base && p < device_range.top;
}
bool memory_is_pinned(const void *address) {
    const unsigned char *p = (const unsigned char *)address;
    return p >= pinned_range.base && p < pinned_range.top;
}

const Buffer *memory_before(const void *address) {
    const unsigned char *p = (const unsigned char *)address;
    Range *range = memory_is_device(p) ? &device_range : memory_is_pinned(p) ? &pinned_range : 0;
    if (!range) return nullptr;
    auto after = range->numbers.upper_bound(p);
    return after == range->numbers.begin() ? nullptr : &buffers[(--after)->second];
}

const Buffer *memory_find(const void *address) {
    const Buffer *b = memory_before(address);
    return b && address < b->at + b->bytes ? b : nullptr;
}

bool memory_holds(const void *address, size_t bytes) {
    // Most accesses fall into the buffer of the last one.
    static thread_local const unsigned char *first, *end;
    static thread_local unsigned number;
    const unsigned char *p = (const unsigned char *)address;
    if (p < first || p >= end || buffers[number].freed) {
        const Buffer *b = memory_find(p);
        if (!b || b->freed) return false;
        first = b->at, end = b->at + b->bytes, number = b->number;
    }
    return bytes <= (size_t)(end - p);
}

unsigned memory_part(const void *address) {
    // Mostly the part of the last one; a new name or allocation makes all of them unsure.
    static thread_local const unsigned char *first, *end;
    static thread_local unsigned number;
    static thread_local size_t n_known;
    const unsigned char *p = (const unsigned char *)address;
    if (p >= first && p < end && n_known == buffers.size()) return number;
    const Buffer *b = memory_find(address);
    if (!b) return 0;
    if (b->parts.empty()) {
        first = b->at, end = b->at + b->bytes, number = b->number, n_known = buffers.size();
        return number;
    }
    for (unsigned n : b->parts)
        if (p >= buffers[n].at && p < buffers[n].at + buffers[n].bytes) return n;
    return b->number;
}

const Buffer &memory_buffer(unsigned number) {
    return buffers[number];
}
unsigned memory_n_buffers() {
    return (unsigned)buffers.size();
}

void memory_name(const void *at, size_t bytes, const char *name) {
    const Buffer *b = memory_find(at);
    if (!b) fail(nullptr, "\"%s\" names memory that was not allocated", name);
    unsigned number = b->number;
    if (at == b->at && (bytes == 0 || bytes == b->bytes)) {
        buffers[number].name = name;
        return;
    }
    Buffer part = {
        (unsigned)buffers.size(), name, (unsigned char *)at, bytes, b->pinned, false, {}};
    buffers.push_back(part);
    buffers[number].parts.push_back(part.number);
}

static void protect_all(int protection) {
    for (const auto &entry : device_range.numbers)
        if (!buffers[entry.second].freed) protect(buffers[entry.second], protection);
}
void memory_open() {
    if (n_open++ == 0) protect_all(PROT_READ | PROT_WRITE);
}
void memory_close() {
    assert(n_open > 0);
    if (--n_open == 0) protect_all(PROT_NONE);
}

// ---------------------------------------------------------------- faults

static struct sigaction former;

// One sentence instead of a bare signal, for addresses of ours; others go where they went before.
static void on_fault(int signal, siginfo_t *info, void *context) {
    const void *address = info->si_addr;
    if (!memory_is_device(address) && !memory_is_pinned(address)) {
        sigaction(signal, &former, nullptr);
        return; // the instruction is tried again
    }
    const void *at = (const void *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    const Buffer *b = memory_find(address);
    if (b && b->freed) fail(at, "%s was freed and is used", describe(address).c_str());
    if (!current_thread())
        fail(at, "host code dereferences device memory, %s: it has to be copied",
             describe(address).c_str());
    fail(at, "an access outside of all buffers, at %s", describe(address).c_str());
}

__attribute__((constructor)) static void catch_faults() {
    static char stack[1 << 16];
    stack_t alternative = {};
    alternative.ss_sp = stack;
    alternative.ss_size = sizeof stack;
    sigaltstack(&alternative, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &former);
}

} // namespace cudasim
