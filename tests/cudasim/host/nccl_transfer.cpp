// Moving bytes between ranks.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "tests/cudasim/host/nccl_inside.h"

namespace cudasim {

const char *collective_name(Collective kind) {
    static const char *const NAMES[] = {"ncclBroadcast", "ncclAllReduce", "ncclAllGather",
                                        "ncclSend", "ncclRecv"};
    return NAMES[(int)kind];
}

size_t bytes_of_type(ncclDataType_t type) {
    switch (type) {
    case ncclInt8:
    case ncclUint8:
        return 1;
    case ncclFloat16:
    case ncclBfloat16:
        return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
        return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
        return 8;
    default:
        return 0;
    }
}

static std::string describe_post(const Post &p) {
    return text("%s of %llu elements of type %d, root %d, operation %d", collective_name(p.kind),
                (unsigned long long)p.count, p.type, p.root, p.reduction);
}

// What ranks do not agree on: a sentence and the end; or nothing ever comes of it, as of the
// library.
template <class... Argument> static bool disagree(const char *format, Argument... argument) {
    const char *mode = getenv("CUDASIM_NCCL_MISMATCH");
    if (mode && strcmp(mode, "hang") == 0) return false;
    fail(nullptr, format, argument...);
}

// The board holds the posts of the last operations; all ranks must have made the same one.
static bool agree(Transfer *t) {
    Communicator *c = t->comm;
    Seat *mine = &c->board->seats[c->rank];
    if (!t->posted) {
        t->number = c->n_collectives++;
        mine->posts[t->number % NCCL_POSTS] = t->post;
        mine->n_posted.store(t->number + 1, std::memory_order_release);
        t->posted = true;
    }
    for (int r = 0; r < c->n_ranks; r++) {
        const Seat &other = c->board->seats[r];
        if (other.n_posted.load(std::memory_order_acquire) <= t->number) return false;
        const Post &theirs = other.posts[t->number % NCCL_POSTS];
        if (memcmp(&theirs, &t->post, sizeof theirs) == 0) continue;
        return disagree("NCCL: operation %llu of rank %d is %s; that of rank %d is %s",
                        (unsigned long long)t->number, c->rank, describe_post(t->post).c_str(), r,
                        describe_post(theirs).c_str());
    }
    return true;
}

// Puts a piece of what is still to be sent into the channel; true: all of it is there and read.
static bool send_some(Transfer *t, int to, const char *from, uint64_t bytes) {
    Channel *ch = &t->comm->board->channels[t->comm->rank][to];
    uint64_t &sent = t->sent[(size_t)to];
    uint64_t n_written = ch->n_written.load(std::memory_order_relaxed);
    if (ch->n_read.load(std::memory_order_acquire) != n_written) return false;
    if (sent == bytes) return true;
    ch->bytes = (uint32_t)std::min<uint64_t>(bytes - sent, NCCL_PIECE);
    ch->total_bytes = bytes;
    ch->type = t->post.type;
    memcpy(ch->data, from + sent, ch->bytes);
    sent += ch->bytes;
    ch->n_written.store(n_written + 1, std::memory_order_release);
    return false;
}

static bool receive_some(Transfer *t, int from, char *to, uint64_t bytes) {
    Channel *ch = &t->comm->board->channels[from][t->comm->rank];
    uint64_t &received = t->received[(size_t)from];
    if (received == bytes) return true;
    uint64_t n_read = ch->n_read.load(std::memory_order_relaxed);
    if (ch->n_written.load(std::memory_order_acquire) == n_read) return false;
    if (ch->total_bytes != bytes || ch->type != t->post.type)
        return disagree(
            "NCCL: rank %d receives %llu bytes of type %d; rank %d sends %llu of type %d",
            t->comm->rank, (unsigned long long)bytes, t->post.type, from,
            (unsigned long long)ch->total_bytes, ch->type);
    memcpy(to + received, ch->data, ch->bytes);
    received += ch->bytes;
    ch->n_read.store(n_read + 1, std::memory_order_release);
    return received == bytes;
}

// ---------------------------------------------------------------- reductions

template <class T, class F> static void combine(char *into, const char *from, uint64_t n, F f) {
    for (uint64_t i = 0; i < n; i++) {
        T a, b;
        memcpy(&a, into + i * sizeof(T), sizeof(T));
        memcpy(&b, from + i * sizeof(T), sizeof(T));
        a = f(a, b);
        memcpy(into + i * sizeof(T), &a, sizeof(T));
    }
}

template <class T> static void reduce_numbers(int op, char *into, const char *from, uint64_t n) {
    switch (op) {
    case ncclSum:
        return combine<T>(into, from, n, [](T a, T b) { return (T)(a + b); });
    case ncclMax:
        return combine<T>(into, from, n, [](T a, T b) { return a < b ? b : a; });
    case ncclMin:
        return combine<T>(into, from, n, [](T a, T b) { return b < a ? b : a; });
    default:
        fail(nullptr, "NCCL: reduction %d is not emulated", op);
    }
}

static void reduce(const Post &p, char *into, const char *from) {
    switch (p.type) {
    case ncclInt32:
        return reduce_numbers<int32_t>(p.reduction, into, from, p.count);
    case ncclInt64:
        return reduce_numbers<int64_t>(p.reduction, into, from, p.count);
    case ncclUint64:
        return reduce_numbers<uint64_t>(p.reduction, into, from, p.count);
    case ncclFloat32:
        return reduce_numbers<float>(p.reduction, into, from, p.count);
    case ncclFloat64:
        return reduce_numbers<double>(p.reduction, into, from, p.count);
    case ncclBfloat16:
        return combine<__nv_bfloat16>(into, from, p.count, [&](__nv_bfloat16 a, __nv_bfloat16 b) {
            float x = __bfloat162float(a), y = __bfloat162float(b);
            return __float2bfloat16(p.reduction == ncclMax   ? std::max(x, y)
                                    : p.reduction == ncclMin ? std::min(x, y)
                                                             : x + y);
        });
    default:
        fail(nullptr, "NCCL: a reduction of type %d is not emulated", p.type);
    }
}

// ---------------------------------------------------------------- one attempt

static bool broadcast(Transfer *t, uint64_t bytes) {
    Communicator *c = t->comm;
    bool done = true;
    if (c->rank != t->post.root) return receive_some(t, t->post.root, t->to, bytes);
    for (int r = 0; r < c->n_ranks; r++)
        if (r != c->rank) done = send_some(t, r, t->from, bytes) && done;
    if (done && t->to != t->from) memmove(t->to, t->from, bytes);
    return done;
}

// Every rank gets what every rank gives, in the order of the ranks.
static bool exchange(Transfer *t, char *to, uint64_t bytes) {
    Communicator *c = t->comm;
    bool done = true;
    for (int r = 0; r < c->n_ranks; r++) {
        if (r == c->rank) continue;
        done = send_some(t, r, t->from, bytes) && done;
        done = receive_some(t, r, to + (uint64_t)r * bytes, bytes) && done;
    }
    if (done) memmove(to + (uint64_t)c->rank * bytes, t->from, bytes);
    return done;
}

static bool all_reduce(Transfer *t, uint64_t bytes) {
    t->parts.resize((size_t)t->comm->n_ranks * bytes);
    if (!exchange(t, t->parts.data(), bytes)) return false;
    for (int r = 1; r < t->comm->n_ranks; r++)
        reduce(t->post, t->parts.data(), t->parts.data() + (uint64_t)r * bytes);
    memcpy(t->to, t->parts.data(), bytes);
    return true;
}

static void tell_race_mode(const Transfer &t, uint64_t bytes) {
    const char *name = collective_name(t.post.kind);
    uint64_t received =
        t.post.kind == Collective::all_gather ? bytes * (uint64_t)t.comm->n_ranks : bytes;
    if (t.from) race::host_accesses(t.from, bytes, false, name);
    if (!t.to) return;
    race::host_accesses(t.to, received, true, name);
    race::filled(t.to, received);
}

static bool get_on(Transfer *t, uint64_t bytes) {
    switch (t->post.kind) {
    case Collective::send:
        return send_some(t, t->peer, t->from, bytes);
    case Collective::recv:
        return receive_some(t, t->peer, t->to, bytes);
    case Collective::broadcast:
        return agree(t) && broadcast(t, bytes);
    case Collective::all_gather:
        return agree(t) && exchange(t, t->to, bytes);
    case Collective::all_reduce:
        return agree(t) && all_reduce(t, bytes);
    }
    return false;
}

bool transfer_attempt(Transfer *t) {
    Communicator *c = t->comm;
    uint64_t bytes = t->post.count * bytes_of_type((ncclDataType_t)t->post.type);
    if (c->board->seats[c->rank].state == RankState::aborted)
        return true; // what is there is garbage
    t->sent.resize((size_t)c->n_ranks);
    t->received.resize((size_t)c->n_ranks);
    if (c->error != ncclSuccess || !everybody_joined(c)) return false;
    if (!get_on(t, bytes)) {
        everybody_lives(c); // or the error is set
        return false;
    }
    tell_race_mode(*t, bytes);
    return true;
}

} // namespace cudasim
