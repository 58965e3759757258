// The graph of operations, and running them.
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <set>

#include "tests/cudasim/device/counters.h"
#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/host/runtime.h"

namespace cudasim {

static std::vector<OperationPtr> pending; // not done, in the order of the calls
static std::vector<uint64_t> host_known;  // what the host has waited for, per stream
static uint64_t n_operations, random_state;
static double now_ms;

static uint64_t chance(uint64_t n) {
    if (random_state == 0) random_state = settings.seed * 0x9e3779b97f4a7c15ull + 1;
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

double device_ms() { return now_ms += 0.001; }

std::vector<std::unique_ptr<Stream>> &streams() {
    // The legacy default stream and the one of the host's threads come first.
    static std::vector<std::unique_ptr<Stream>> all;
    if (all.empty())
        for (unsigned i = 0; i < 2; i++) {
            all.emplace_back(new Stream());
            all.back()->number = i;
            all.back()->blocking = true;
        }
    return all;
}

Stream *stream_of(cudaStream_t handle) {
    if (handle == nullptr || handle == cudaStreamLegacy) return streams()[0].get();
    if (handle == cudaStreamPerThread) return streams()[1].get();
    for (auto &s : streams())
        if ((cudaStream_t)s.get() == handle && !s->destroyed) return s.get();
    return nullptr;
}

static void join(std::vector<uint64_t> *into, const std::vector<uint64_t> &from) {
    if (into->size() < from.size()) into->resize(from.size());
    for (size_t i = 0; i < from.size(); i++) (*into)[i] = std::max((*into)[i], from[i]);
}

bool before(const Operation &a, const Operation &b) {
    unsigned s = a.stream->number;
    return s < b.known.size() && b.known[s] >= a.place;
}

// The order of the legacy default stream: its operations wait for all blocking streams, and those
// for it.
static void add_default_order(Stream *stream, std::vector<OperationPtr> *after) {
    if (!stream->blocking) return;
    if (stream->number != 0) {
        if (streams()[0]->last) after->push_back(streams()[0]->last);
        return;
    }
    for (auto &s : streams())
        if (s->blocking && s->last) after->push_back(s->last);
}

static cudaError_t add_node(Stream *stream, Work work) {
    Capture *c = stream->capture.get();
    if (c->graph->invalid) return cudaErrorStreamCaptureInvalidated;
    c->graph->nodes.push_back({std::move(work), c->ends});
    c->ends = {(int)c->graph->nodes.size() - 1};
    return cudaSuccess;
}

// A kernel that may overlap the one ahead knows at its start what that one knew at its own.
static std::shared_ptr<race::Operation> order_of(const Operation &op) {
    auto o = std::make_shared<race::Operation>();
    o->stream = op.stream->number;
    o->place = op.place;
    o->node = -1;
    o->at_start.streams = op.known;
    if (!op.work.programmatic || !op.ahead || !op.ahead->work.grid) return o;
    if (o->stream < host_known.size() && host_known[o->stream] >= op.ahead->place) return o;
    o->ahead = op.ahead->order;
    o->at_start.streams = host_known;
    for (const OperationPtr &a : op.after)
        join(&o->at_start.streams, a == op.ahead ? a->order->at_start.streams : a->known);
    return o;
}

static void run_early(const OperationPtr &op);

static void run_early(const OperationPtr &op);

cudaError_t enqueue(Stream *stream, Work work, std::vector<OperationPtr> after) {
    if (stream->capture) return add_node(stream, std::move(work));
    for (auto &s : streams())
        if (stream->number == 0 && s->capture && s->blocking) {
            s->capture->graph->invalid = true;
            return cudaErrorStreamCaptureImplicit;
        }
    auto op = std::make_shared<Operation>();
    op->number = ++n_operations;
    op->work = std::move(work);
    op->stream = stream;
    op->place = ++stream->n_operations;
    op->ahead = stream->last;
    op->after = std::move(after);
    if (stream->last) op->after.push_back(stream->last);
    op->after.insert(op->after.end(), stream->waits.begin(), stream->waits.end());
    stream->waits.clear();
    add_default_order(stream, &op->after);
    op->known = host_known;
    for (const OperationPtr &a : op->after) join(&op->known, a->known);
    if (op->known.size() <= stream->number) op->known.resize(stream->number + 1);
    op->known[stream->number] = op->place;
    op->order = order_of(*op);
    stream->last = op;
    pending.push_back(op);
    if (settings.streams == When::early) run_early(op);
    if (settings.streams == When::random && chance(2) == 0) run_some();
    return cudaSuccess;
}

OperationPtr stream_end(Stream *stream) {
    if (stream->number != 0) {
        if (stream->waits.empty()) return stream->last;
        enqueue(stream, {"wait", [] {}});
        return stream->last;
    }
    enqueue(stream, {"event", [] {}});
    return stream->last;
}

// ---------------------------------------------------------------- running

static bool is_ready(const Operation &op) {
    for (const OperationPtr &a : op.after)
        if (!a->done) return false;
    return true;
}

static void finish(const OperationPtr &op) {
    op->done = true;
    op->after.clear();
    op->ahead.reset();
    now_ms += 0.01;
    pending.erase(std::find(pending.begin(), pending.end(), op));
}

static Machine *machine() {
    static Machine *m = new Machine(); // for ever: blocks at rest stay with it
    return m;
}

struct Launch {
    std::shared_ptr<Grid> grid;
    std::shared_ptr<race::Operation> order;
};

static void run_grids(const std::vector<Launch> &launches) {
    std::vector<std::unique_ptr<Grid>> copies;
    std::vector<Grid *> chain;
    for (const Launch &l : launches) {
        copies.emplace_back(new Grid(*l.grid));
        Grid *g = copies.back().get();
        g->ahead = chain.empty() ? nullptr : chain.back();
        g->counts = counters_of(g->name);
        g->counts->launches++;
        g->counts->blocks += g->n_blocks;
        uint64_t n = g->n_blocks / g->cluster_blocks;
        if (settings.shuffle) {
            g->offset = chance(n);
            do g->multiplier = 1 + chance(n);
            while (std::__gcd(g->multiplier, n) != 1);
        }
        race::operation_set_current(l.order);
        race::grid_begins(g);
        chain.push_back(g);
    }
    Machine *m = machine();
    m->n_resident_wanted = settings.shuffle ? 1 + chance(3) : 1;
    m->run(chain);
}

static void run_work(const Work &work) {
    if (!work.calls_host) return work.run();
    memory_close();
    in_host_function = true;
    work.run();
    in_host_function = false;
    memory_open();
}

// A kernel, with those behind it in the stream that may start before it has ended.
static void run_kernel(OperationPtr op) {
    std::vector<OperationPtr> chain = {op};
    std::vector<Launch> grids = {{op->work.grid, op->order}};
    while (settings.streams != When::early && chain.size() < 4 && chance(4) != 0) {
        OperationPtr next;
        for (const OperationPtr &p : pending)
            if (p->ahead == chain.back() && p->work.grid && p->work.programmatic) next = p;
        bool ready = next != nullptr;
        for (size_t i = 0; next && i < next->after.size(); i++) {
            const OperationPtr &a = next->after[i];
            ready = ready && (a->done || a == chain.back());
        }
        if (!ready) break;
        chain.push_back(next);
        grids.push_back({next->work.grid, next->order});
    }
    run_grids(grids);
    for (const OperationPtr &o : chain) finish(o);
}

// False: it waits for another process.
static bool run_one(OperationPtr op) {
    if (op->work.grid) {
        run_kernel(op);
        return true;
    }
    race::operation_set_current(op->order);
    if (op->work.attempt) {
        if (!op->work.attempt()) return false;
    } else {
        run_work(op->work);
    }
    finish(op);
    return true;
}

static void collect(const OperationPtr &op, std::set<Operation *> *found) {
    if (op->done || !found->insert(op.get()).second) return;
    for (const OperationPtr &a : op->after) collect(a, found);
}

// Runs one of these, the first by chance that does not wait for others; false: all of them do.
static bool run_any(std::vector<OperationPtr> ready) {
    while (!ready.empty()) {
        size_t i = settings.shuffle ? chance(ready.size()) : 0;
        if (run_one(ready[i])) return true;
        ready.erase(ready.begin() + (long)i);
    }
    return false;
}

// At its call, unless something ahead of it waits for others. The host knows nothing of it.
static void run_early(const OperationPtr &op) {
    memory_open();
    if (is_ready(*op)) run_any({op});
    memory_close();
}

void host_knows(const OperationPtr &op) {
    if (op) join(&host_known, op->known);
}

void run_until_done(OperationPtr op) {
    if (!op) return;
    memory_open();
    while (!op->done) {
        std::set<Operation *> wanted;
        collect(op, &wanted);
        bool others = settings.streams == When::random && chance(2) == 0;
        std::vector<OperationPtr> ready;
        for (const OperationPtr &p : pending)
            if ((others || wanted.count(p.get())) && is_ready(*p)) ready.push_back(p);
        if (run_any(ready)) continue;
        memory_close();
        unlock_for_a_while();
        memory_open();
    }
    memory_close();
    host_knows(op);
}

void run_everything() {
    while (!pending.empty()) run_until_done(pending.back());
}

void run_some() {
    memory_open();
    do {
        std::vector<OperationPtr> ready;
        for (const OperationPtr &p : pending)
            if (is_ready(*p)) ready.push_back(p);
        if (ready.empty() || !run_any(ready)) break;
    } while (chance(2) == 0);
    memory_close();
}

// ---------------------------------------------------------------- graphs

// Nodes that depend on the last one alone and may overlap it.
static int next_overlapping(const std::vector<GraphNode> &nodes, const std::vector<bool> &done,
                            int last) {
    for (size_t i = 0; i < nodes.size(); i++)
        if (!done[i] && nodes[i].work.programmatic && nodes[i].after == std::vector<int>{last})
            return (int)i;
    return -1;
}

// What is before each node: nodes come after those that they depend on.
static std::vector<std::shared_ptr<race::Operation>>
orders_of(const std::vector<GraphNode> &nodes, const race::Operation &whole) {
    std::vector<std::shared_ptr<race::Operation>> all;
    for (size_t i = 0; i < nodes.size(); i++) {
        auto o = std::make_shared<race::Operation>(whole);
        o->node = (int)i;
        o->at_start.nodes.resize(nodes.size());
        const std::vector<int> &after = nodes[i].after;
        bool overlaps = nodes[i].work.programmatic && after.size() == 1 &&
                        nodes[(size_t)after[0]].work.grid;
        for (int a : after) {
            if (!overlaps) o->at_start.nodes[(size_t)a] = true;
            for (size_t k = 0; k < nodes.size(); k++)
                if (all[(size_t)a]->at_start.nodes[k]) o->at_start.nodes[k] = true;
        }
        if (overlaps) o->ahead = all[(size_t)after[0]];
        // What the one ahead waits for is known through it.
        for (int a : after)
            if (!overlaps && all[(size_t)a]->ahead)
                for (race::Operation *p = all[(size_t)a]->ahead.get(); p; p = p->ahead.get())
                    o->at_start.nodes[(size_t)p->node] = true;
        all.push_back(o);
    }
    return all;
}

void run_nodes(const std::vector<GraphNode> &nodes) {
    std::vector<bool> done(nodes.size(), false);
    auto orders = orders_of(nodes, *race::operation_current());
    for (size_t n_done = 0; n_done < nodes.size();) {
        std::vector<int> ready;
        for (size_t i = 0; i < nodes.size(); i++) {
            bool all = !done[i];
            for (int a : nodes[i].after) all = all && done[(size_t)a];
            if (all) ready.push_back((int)i);
        }
        int i = ready[settings.shuffle ? chance(ready.size()) : 0];
        if (!nodes[(size_t)i].work.grid) {
            race::operation_set_current(orders[(size_t)i]);
            run_work(nodes[(size_t)i].work);
            done[(size_t)i] = true;
            n_done++;
            continue;
        }
        std::vector<Launch> chain;
        for (int last = i; last >= 0; n_done++) {
            chain.push_back({nodes[(size_t)last].work.grid, orders[(size_t)last]});
            done[(size_t)last] = true;
            bool more = settings.streams != When::early && chain.size() < 4 && chance(4) != 0;
            last = more ? next_overlapping(nodes, done, last) : -1;
        }
        run_grids(chain);
    }
}

} // namespace cudasim
