// The bulk copy engine: runs of bytes and boxes of tensors between device and shared memory. Loads
// are pending until their bytes are needed by nobody else than those who wait; stores read shared
// memory when the thread waits for that, and write device memory when it waits for all or ends.
#include <string.h>

#include "tests/cudasim/device/counters.h"
#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/device/sim.h"
#include "tests/cudasim/device/tensor_map.h"

namespace cudasim {

// A run of bytes of a box; global is null where it lies outside of the tensor.
struct Run {
    unsigned char *shared, *global;
    uint32_t bytes;
};

struct Store {
    uint32_t group;
    std::vector<Run> runs;
    std::vector<unsigned char> bytes;        // once they are read
    bool was_read, was_written, reads_known; // reads_known: the thread waited for them
    race::Token reads, writes;
};

static bool at_once(Thread *t) {
    return settings.copies == When::early ||
           (settings.copies == When::random && t->owner->machine->one_in(2));
}

static Thread *begin(const char *what, const void *caller) {
    Thread *t = current_thread(what);
    if (!settings.device.has(90))
        fail(caller, "%s needs sm_90, the device is %s", what, settings.device.full_name);
    t->owner->grid->counts->bulk_copies++;
    return t;
}

static void check_shared(Block *b, const void *shared, size_t bytes, size_t align, const char *what,
                         const void *caller) {
    if ((uintptr_t)shared % align)
        fail(caller, "%s: %s is not aligned to %zu bytes", what, describe(shared).c_str(), align);
    if (!shared_find(b, shared, bytes))
        fail(caller, "%s of %zu bytes at %s, outside of all arrays of shared memory", what, bytes,
             describe(shared).c_str());
}

static void check_bulk(Block *b, const void *shared, const void *global, int bytes,
                       const char *what, const void *caller) {
    if (bytes <= 0 || bytes % 16)
        fail(caller, "%s of %d bytes; a multiple of 16 is expected", what, bytes);
    check_shared(b, shared, (size_t)bytes, 16, what, caller);
    if ((uintptr_t)global % 16)
        fail(caller, "%s: %s is not aligned to 16 bytes", what, describe(global).c_str());
    if (!memory_holds(global, (size_t)bytes))
        fail(caller, "%s of %d bytes at %s, outside of all buffers", what, bytes,
             describe(global).c_str());
}

// ---------------------------------------------------------------- loads

// What one load reads of device memory: once, to however many blocks it brings it.
static void count(const std::vector<Run> &runs) {
    for (const Run &r : runs)
        if (r.global) count_sectors(r.global, r.bytes);
}

// The copies of one load, with the barrier that counts them.
static void load(Thread *t, std::vector<Run> runs, uint64_t *barrier, const char *what,
                 const void *caller) {
    Block *b = t->owner;
    Mbarrier *m = mbarrier_find(b, barrier, what, caller);
    race::proxy_sees(barrier, 8, what, caller);
    race::Token token = race::begins(what, true, caller);
    long long bytes = 0;
    for (const Run &r : runs) {
        if (r.global) race::will_read(token, r.global, r.bytes);
        race::will_write(token, r.shared, r.bytes);
        bytes += r.bytes;
    }
    Block *owner = b;
    if (b->cluster)
        for (Block *other : b->cluster->blocks)
            if (shared_holds(other, barrier)) owner = other;
    auto run = [=] {
        for (const Run &r : runs) {
            if (r.global) {
                memcpy(r.shared, r.global, r.bytes);
                race::moved(r.shared, r.global, r.bytes);
            } else {
                memset(r.shared, 0, r.bytes);
                race::filled(r.shared, r.bytes);
            }
        }
        race::ends(token, owner, m->slot, (uint32_t)m->phase + 1);
        mbarrier_complete_bytes(owner, m, bytes);
    };
    if (at_once(t)) return run();
    std::string sentence =
        text("%s of %lld bytes to %s", what, bytes, describe(runs[0].shared).c_str());
    b->pending.push_back({run, [=] { return sentence; }});
}

void bulk_load(void *shared, const void *global, int bytes, uint64_t *barrier) {
    Thread *t = begin("cp.async.bulk", CALLER);
    check_bulk(t->owner, shared, global, bytes, "cp.async.bulk", CALLER);
    count_sectors(global, (uint64_t)bytes);
    load(t, {{(unsigned char *)shared, (unsigned char *)global, (uint32_t)bytes}}, barrier,
         "cp.async.bulk", CALLER);
}

static void check_mask(const Thread *t, uint16_t mask, const char *what, const void *caller) {
    if (!t->owner->cluster || !mask || mask >> t->owner->cluster->blocks.size())
        fail(caller, "%s to blocks %#x of a cluster of %zu", what, mask,
             t->owner->cluster ? t->owner->cluster->blocks.size() : 1);
}

void bulk_load_multicast(void *shared, const void *global, int bytes, uint64_t *barrier,
                         uint16_t mask) {
    const char *what = "cp.async.bulk with multicast";
    Thread *t = begin(what, CALLER);
    check_mask(t, mask, what, CALLER);
    count_sectors(global, (uint64_t)bytes);
    for (unsigned r = 0; r < 16; r++) {
        if (!(mask >> r & 1)) continue;
        void *there = shared_of_rank(t->owner, shared, r, CALLER);
        uint64_t *bar = (uint64_t *)shared_of_rank(t->owner, barrier, r, CALLER);
        check_bulk(t->owner, there, global, bytes, what, CALLER);
        load(t, {{(unsigned char *)there, (unsigned char *)global, (uint32_t)bytes}}, bar, what,
             CALLER);
    }
}

// ---------------------------------------------------------------- boxes of tensors

static const TensorMap *map_of(const CUtensorMap *map, int rank, const void *caller) {
    const TensorMap *m = (const TensorMap *)map;
    if (m->mark != TENSOR_MAP_MARK)
        fail(caller, "the tensor map at %p was not made by cuTensorMapEncodeTiled", (void *)map);
    if (m->rank != (uint32_t)rank)
        fail(caller, "cp.async.bulk.tensor.%dd with a map of %u dimensions", rank, m->rank);
    return m;
}

static uint32_t box_bytes(const TensorMap &m) {
    return m.box[0] * m.box[1] * m.box[2] * m.element_bytes;
}

// The 16-byte pieces of the box, in shared memory as the swizzle mode lays them.
static std::vector<Run> box_runs(const TensorMap &m, const int *at, unsigned char *shared) {
    std::vector<Run> runs;
    uint32_t row = m.box[0] * m.element_bytes, offset = 0;
    for (uint32_t z = 0; z < m.box[2]; z++)
        for (uint32_t y = 0; y < m.box[1]; y++, offset += row) {
            int64_t gy = at[1] + (int64_t)y, gz = at[2] + (int64_t)z;
            bool inside = gy >= 0 && gy < (int64_t)m.size[1] && gz >= 0 && gz < (int64_t)m.size[2];
            for (uint32_t x = 0; x < row; x += 16) {
                uint32_t place = offset + x;
                place ^= (place >> 7 & (m.swizzle_bytes / 16 - 1)) << 4;
                int64_t first = at[0] + (int64_t)(x / m.element_bytes);
                int64_t n = 16 / m.element_bytes;
                Run r = {shared + place, nullptr, 16};
                if (!inside || first + n <= 0 || first >= (int64_t)m.size[0]) {
                    runs.push_back(r);
                    continue;
                }
                unsigned char *line =
                    m.global + gy * (int64_t)m.stride[1] + gz * (int64_t)m.stride[2];
                for (int64_t e = 0; e < n; e++) { // partly outside: element by element
                    bool in = first + e >= 0 && first + e < (int64_t)m.size[0];
                    Run one = {r.shared + e * m.element_bytes,
                               in ? line + (first + e) * (int64_t)m.element_bytes : nullptr,
                               m.element_bytes};
                    bool joins = e > 0 && (runs.back().global != nullptr) == in;
                    if (joins)
                        runs.back().bytes += m.element_bytes;
                    else
                        runs.push_back(one);
                }
            }
        }
    return runs;
}

static std::vector<Run> box(Block *b, const CUtensorMap *map, int rank, int x, int y, int z,
                            const void *shared, const char *what, const void *caller) {
    const TensorMap *m = map_of(map, rank, caller);
    const int at[3] = {x, y, z};
    if (x * (int64_t)m->element_bytes % 16)
        fail(caller,
             "%s: the box begins at element %d of a row, byte %lld: no multiple of 16, an "
             "illegal instruction on a GPU",
             what, x, x * (long long)m->element_bytes);
    size_t align = m->swizzle_bytes == 16 ? 128 : 8 * m->swizzle_bytes;
    check_shared(b, shared, box_bytes(*m), align, what, caller);
    std::vector<Run> runs = box_runs(*m, at, (unsigned char *)shared);
    for (const Run &r : runs)
        if (r.global && !memory_holds(r.global, r.bytes))
            fail(caller,
                 "%s: element (%d,%d,%d) and the box behind it reach %s, outside of all "
                 "buffers: the map does not fit them",
                 what, x, y, z, describe(r.global).c_str());
    return runs;
}

void tensor_prefetch_map(const CUtensorMap *map) {
    Thread *t = current_thread("prefetch.tensormap");
    (void)t;
    map_of(map, (int)((const TensorMap *)map)->rank, CALLER);
}

void tensor_load(void *shared, const CUtensorMap *map, int rank, int x, int y, int z,
                 uint64_t *barrier) {
    const char *what = "cp.async.bulk.tensor";
    Thread *t = begin(what, CALLER);
    std::vector<Run> runs = box(t->owner, map, rank, x, y, z, shared, what, CALLER);
    count(runs);
    load(t, runs, barrier, what, CALLER);
}

void tensor_load_multicast(void *shared, const CUtensorMap *map, int rank, int x, int y, int z,
                           uint64_t *barrier, uint16_t mask) {
    const char *what = "cp.async.bulk.tensor with multicast";
    Thread *t = begin(what, CALLER);
    check_mask(t, mask, what, CALLER);
    for (unsigned r = 0; r < 16; r++) {
        if (!(mask >> r & 1)) continue;
        void *there = shared_of_rank(t->owner, shared, r, CALLER);
        uint64_t *bar = (uint64_t *)shared_of_rank(t->owner, barrier, r, CALLER);
        std::vector<Run> runs = box(t->owner, map, rank, x, y, z, there, what, CALLER);
        if (!(mask & ((1u << r) - 1))) count(runs);
        load(t, runs, bar, what, CALLER);
    }
}

// ---------------------------------------------------------------- stores

static void read_store(Store *s) {
    if (s->was_read) return;
    s->was_read = true;
    for (const Run &r : s->runs) s->bytes.insert(s->bytes.end(), r.shared, r.shared + r.bytes);
}

static void write_store(Store *s) {
    read_store(s);
    if (s->was_written) return;
    s->was_written = true;
    size_t at = 0;
    for (const Run &r : s->runs) {
        if (r.global) memcpy(r.global, &s->bytes[at], r.bytes);
        if (r.global) race::filled(r.global, r.bytes);
        at += r.bytes;
    }
}

static void know_reads(Thread *t, Store *s) {
    read_store(s);
    if (!s->reads_known) race::ends(s->reads, t);
    s->reads_known = true;
}

static void know_writes(Thread *t, Store *s) {
    know_reads(t, s);
    write_store(s);
    race::ends(s->writes, t);
    t->owner->machine->progress++;
}

static void store(Thread *t, std::vector<Run> runs, const char *what, const void *caller) {
    auto s = std::make_shared<Store>();
    s->group = t->store_group;
    s->was_read = s->was_written = s->reads_known = false;
    s->reads = race::begins(what, true, caller);
    s->writes = race::begins(what, true, caller);
    for (const Run &r : runs) {
        if (r.global) count_bytes(r.global, r.bytes, true);
        race::will_read(s->reads, r.shared, r.bytes);
        if (r.global) race::will_write(s->writes, r.global, r.bytes);
    }
    s->runs = std::move(runs);
    t->stores.push_back(s);
    if (!at_once(t)) return;
    read_store(s.get());
    if (at_once(t)) write_store(s.get());
}

void bulk_store(void *global, const void *shared, int bytes) {
    Thread *t = begin("cp.async.bulk to device memory", CALLER);
    check_bulk(t->owner, shared, global, bytes, "cp.async.bulk to device memory", CALLER);
    store(t, {{(unsigned char *)shared, (unsigned char *)global, (uint32_t)bytes}},
          "cp.async.bulk to device memory", CALLER);
}

void tensor_store(const CUtensorMap *map, int rank, int x, int y, int z, const void *shared) {
    const char *what = "cp.async.bulk.tensor to device memory";
    Thread *t = begin(what, CALLER);
    store(t, box(t->owner, map, rank, x, y, z, shared, what, CALLER), what, CALLER);
}

void bulk_commit() {
    current_thread("cp.async.bulk.commit_group")->store_group++;
}

void bulk_wait(int n_pending, bool only_reads) {
    Thread *t = current_thread("cp.async.bulk.wait_group");
    if (t->store_group <= (uint32_t)n_pending) return;
    uint32_t group = t->store_group - (uint32_t)n_pending;
    for (auto &s : t->stores)
        if (s->group < group) only_reads ? know_reads(t, s.get()) : know_writes(t, s.get());
    if (only_reads) return;
    size_t n = 0;
    while (n < t->stores.size() && t->stores[n]->group < group) n++;
    t->stores.erase(t->stores.begin(), t->stores.begin() + (long)n);
}

void stores_check_end(Thread *t) {
    for (auto &s : t->stores) {
        if (!s->reads_known)
            fail(nullptr,
                 "the thread ended before its bulk store had read shared memory at %s: "
                 "cp.async.bulk.wait_group.read comes first",
                 describe(s->runs[0].shared).c_str());
        know_writes(t, s.get());
    }
    t->stores.clear();
}

} // namespace cudasim
