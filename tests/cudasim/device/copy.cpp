// cp.async: copies of 4, 8 or 16 bytes that land when their group is waited for, or before.
#include <string.h>

#include "tests/cudasim/device/counters.h"
#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {

static void move(Copy *c) {
    unsigned char bytes[16] = {};
    memcpy(bytes, c->from, c->read_bytes);
    memcpy(c->to, bytes, c->bytes);
    race::moved(c->to, c->from, c->read_bytes);
    race::filled((char *)c->to + c->read_bytes, (size_t)(c->bytes - c->read_bytes));
    c->landed = true;
}

// It is waited for: now it has landed, and this thread knows.
static void land(Thread *t, Copy *c) {
    if (!c->landed) move(c);
    race::ends(c->token, t);
}

static void check(void *shared, const void *global, int bytes, int read_bytes, const void *caller) {
    Block *b = current_thread("cp.async")->owner;
    if (!settings.device.has(80))
        fail(caller, "cp.async needs sm_80, the device is %s", settings.device.full_name);
    if (read_bytes < 0 || read_bytes > bytes)
        fail(caller, "cp.async of %d bytes reads %d", bytes, read_bytes);
    if ((uintptr_t)shared % (unsigned)bytes)
        fail(caller, "cp.async of %d bytes to %s, which is not aligned to its size", bytes,
             describe(shared).c_str());
    if (!shared_holds(b, shared) || !shared_find(b, shared, (size_t)bytes))
        fail(caller, "cp.async to %s, which is not inside of an array of shared memory",
             describe(shared).c_str());
    if (read_bytes == 0) return;
    if ((uintptr_t)global % (unsigned)bytes)
        fail(caller, "cp.async of %d bytes from %s, which is not aligned to its size", bytes,
             describe(global).c_str());
    if (!memory_holds(global, (size_t)read_bytes))
        fail(caller, "cp.async reads %d bytes at %s, outside of all buffers", read_bytes,
             describe(global).c_str());
}

void cp_async(void *shared, const void *global, int bytes, int read_bytes) {
    check(shared, global, bytes, read_bytes, CALLER);
    Thread *t = current_thread();
    t->owner->grid->counts->copies++;
    if (read_bytes) {
        count_bytes(global, (uint64_t)read_bytes, false);
        if (settings.count) count_request(global, (unsigned)read_bytes, false, CALLER);
    }
    race::Token token = race::begins("cp.async", false, CALLER);
    race::will_read(token, global, (size_t)read_bytes);
    race::will_write(token, shared, (size_t)bytes);
    t->copies.push_back(
        {shared, global, (uint8_t)bytes, (uint8_t)read_bytes, false, t->copy_group, token});
    if (settings.copies == When::early ||
        (settings.copies == When::random && t->owner->machine->one_in(2)))
        move(&t->copies.back());
}

void cp_async_commit() {
    current_thread("cp.async.commit_group")->copy_group++;
}

static void land_below(Thread *t, uint32_t group) {
    size_t n = t->first_copy;
    while (n < t->copies.size() && t->copies[n].group < group) land(t, &t->copies[n++]);
    t->first_copy = n;
    if (n == t->copies.size()) {
        t->copies.clear();
        t->first_copy = 0;
    } else if (n > 256) {
        t->copies.erase(t->copies.begin(), t->copies.begin() + (long)n);
        t->first_copy = 0;
    }
}

void cp_async_wait(int n_pending) {
    Thread *t = current_thread("cp.async.wait_group");
    if (t->copy_group > (uint32_t)n_pending) land_below(t, t->copy_group - (uint32_t)n_pending);
}

// The copies so far land together, then one arrival is made; all of it as late as is legal.
void cp_async_arrive(uint64_t *at) {
    Thread *t = current_thread("cp.async.mbarrier.arrive");
    Block *b = t->owner;
    Mbarrier *m = mbarrier_find(b, at, "cp.async.mbarrier.arrive", CALLER);
    race::atomic_touches(at, 8, CALLER);
    auto copies = std::make_shared<std::vector<Copy>>(t->copies.begin() + (long)t->first_copy,
                                                      t->copies.end());
    t->copies.clear();
    t->first_copy = 0;
    t->n_arrivals_pending++;
    auto run = [=] {
        for (Copy &c : *copies) land(t, &c);
        race::release(t, m->sync);
        t->n_arrivals_pending--;
        mbarrier_arrives(b, m);
    };
    if (settings.copies == When::early) return run();
    b->pending.push_back({run, [=] {
                              return text("%zu cp.async of %s and their arrival at %s",
                                          copies->size(), describe_thread(t).c_str(),
                                          describe(at).c_str());
                          }});
}

void copies_check_end(Thread *t) {
    size_t n = t->copies.size() - t->first_copy;
    if (n == 0) return;
    fail(nullptr, "the thread ended with %zu cp.async that it never waited for, the first to %s", n,
         describe(t->copies[t->first_copy].to).c_str());
}

// ---------------------------------------------------------------- hints

static const uint64_t POLICY_MARK = 0x706f6c6963790000;

uint64_t l2_policy(int kind) {
    return POLICY_MARK + (uint64_t)kind;
}
void check_policy(uint64_t policy) {
    if (policy != POLICY_MARK + 1 && policy != POLICY_MARK + 2)
        fail(CALLER, "the cache policy %#llx was not made by createpolicy",
             (unsigned long long)policy);
}

void prefetch_l2(const void *global, int bytes) {
    if (!memory_holds(global, (size_t)bytes))
        fail(CALLER, "a prefetch of %d bytes at %s, outside of all buffers", bytes,
             describe(global).c_str());
    count_prefetch(global, (uint64_t)bytes);
}

} // namespace cudasim
