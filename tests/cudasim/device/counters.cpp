#include "tests/cudasim/device/counters.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "tests/cudasim/device/memory.h"

namespace cudasim {

// Never destroyed: what was counted is printed when the process ends, behind all destructors.
static std::map<std::string, std::unique_ptr<KernelCounts>> &kernels =
    *new std::map<std::string, std::unique_ptr<KernelCounts>>;

KernelCounts *counters_of(const std::string &kernel) {
    std::unique_ptr<KernelCounts> &c = kernels[kernel];
    if (!c) {
        c.reset(new KernelCounts());
        c->name = kernel;
    }
    return c.get();
}

std::vector<KernelCounts *> counters_all() {
    std::vector<KernelCounts *> all;
    for (auto &entry : kernels) all.push_back(entry.second.get());
    return all;
}

void counters_clear() {
    for (auto &entry : kernels) {
        *entry.second = KernelCounts();
        entry.second->name = entry.first;
    }
}

static BufferCounts *buffer_of(KernelCounts *c, unsigned number) {
    if (c->buffers.size() <= number) c->buffers.resize(number + 1);
    return &c->buffers[number];
}

void counters_add(KernelCounts *into, const KernelCounts &from) {
    into->launches += from.launches;
    into->blocks += from.blocks;
    into->barriers += from.barriers;
    into->mma_flops += from.mma_flops;
    into->wgmma_flops += from.wgmma_flops;
    into->copies += from.copies;
    into->bulk_copies += from.bulk_copies;
    into->shared_requests += from.shared_requests;
    into->shared_passes += from.shared_passes;
    into->shared_passes_ideal += from.shared_passes_ideal;
    into->atomics += from.atomics;
    into->float_atomics += from.float_atomics;
    for (unsigned i = 0; i < from.buffers.size(); i++) {
        BufferCounts *b = buffer_of(into, i);
        const BufferCounts &f = from.buffers[i];
        b->bytes_read += f.bytes_read;
        b->bytes_written += f.bytes_written;
        b->bytes_prefetched += f.bytes_prefetched;
        b->requests += f.requests;
        b->sectors += f.sectors;
        b->sector_bytes_used += f.sector_bytes_used;
    }
}

void count_bytes(const void *global, uint64_t bytes, bool write) {
    Thread *t = current_thread();
    BufferCounts *b = buffer_of(t->owner->grid->counts, memory_part(global));
    (write ? b->bytes_written : b->bytes_read) += bytes;
}

void count_prefetch(const void *global, uint64_t bytes) {
    Thread *t = current_thread();
    buffer_of(t->owner->grid->counts, memory_part(global))->bytes_prefetched += bytes;
}

void count_sectors(const void *global, uint64_t bytes) {
    Thread *t = current_thread();
    BufferCounts *b = buffer_of(t->owner->grid->counts, memory_part(global));
    uint64_t first = (uint64_t)(uintptr_t)global / 32;
    uint64_t last = ((uint64_t)(uintptr_t)global + bytes - 1) / 32;
    b->bytes_read += bytes;
    b->requests++;
    b->sectors += last - first + 1;
    b->sector_bytes_used += bytes;
}

// ---------------------------------------------------------------- requests of warps

// What the lanes ask for by the n-th execution of one instruction.
struct Request {
    uint32_t lanes;
    unsigned bytes;
    uintptr_t address[WARP];
};
struct Instruction {
    bool shared;
    unsigned n_executed[WARP]; // by lane
    unsigned n_closed;         // requests closed before open[0]
    std::vector<Request> open;
};
struct RequestTable {
    std::unordered_map<const void *, Instruction> instructions;
};

static void close_global(KernelCounts *counts, const Request &r) {
    // Sectors of 32 bytes, each once; and which of their bytes anyone asked for.
    std::map<uintptr_t, uint32_t> sectors;
    uintptr_t any = 0;
    for (int lane = 0; lane < WARP; lane++) {
        if (!(r.lanes >> lane & 1)) continue;
        any = r.address[lane];
        for (unsigned i = 0; i < r.bytes; i++) sectors[(any + i) / 32] |= 1u << (any + i) % 32;
    }
    BufferCounts *b = buffer_of(counts, memory_part((const void *)any));
    b->requests++;
    b->sectors += sectors.size();
    for (auto &s : sectors) b->sector_bytes_used += (unsigned)__builtin_popcount(s.second);
}

// Shared memory serves 32 words of different banks at once; of 8 and 16 bytes a lane, half and a
// quarter of the warp at a time.
static void close_shared(KernelCounts *counts, const Request &r) {
    int lanes_a_time = r.bytes <= 4 ? 32 : r.bytes == 8 ? 16 : 8;
    counts->shared_requests++;
    for (int first = 0; first < WARP; first += lanes_a_time) {
        std::vector<uintptr_t> words[32];
        uint64_t passes = 0;
        for (int lane = first; lane < first + lanes_a_time; lane++) {
            if (!(r.lanes >> lane & 1)) continue;
            for (unsigned i = 0; i < r.bytes; i += 4) {
                uintptr_t word = (r.address[lane] + i) / 4;
                std::vector<uintptr_t> &bank = words[word % 32];
                if (std::find(bank.begin(), bank.end(), word) == bank.end()) bank.push_back(word);
                passes = std::max<uint64_t>(passes, bank.size());
            }
        }
        counts->shared_passes += passes;
        counts->shared_passes_ideal += passes > 0;
    }
}

static void close(Warp *w, const Instruction &i, const Request &r) {
    KernelCounts *counts = w->block->grid->counts;
    i.shared ? close_shared(counts, r) : close_global(counts, r);
}

void count_request(const void *address, unsigned bytes, bool shared, const void *caller) {
    Thread *t = current_thread();
    Warp *w = t->warp;
    if (!w->requests) w->requests = {new RequestTable(), [](RequestTable *table) { delete table; }};
    Instruction &i = w->requests->instructions[caller];
    i.shared = shared;
    unsigned n = i.n_executed[t->lane]++ - i.n_closed;
    if (n >= i.open.size()) i.open.resize(n + 1);
    Request &r = i.open[n];
    r.lanes |= t->bit;
    r.bytes = bytes;
    r.address[t->lane] = (uintptr_t)address;
    while (!i.open.empty() && i.open[0].lanes == w->live) {
        close(w, i, i.open[0]);
        i.open.erase(i.open.begin());
        i.n_closed++;
    }
}

void requests_end(Warp *w) {
    if (!w->requests) return;
    for (auto &entry : w->requests->instructions)
        for (const Request &r : entry.second.open)
            if (r.lanes) close(w, entry.second, r);
    w->requests.reset();
}

} // namespace cudasim
