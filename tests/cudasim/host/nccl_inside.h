// The stand-in of NCCL: ranks are processes of one machine that share a piece of memory, found by
// the name in the unique id. It holds a board, where each rank says which operation it is at, and a
// channel for each pair of ranks.
//
// An operation of a stream tries to get on without blocking: it posts what it is, compares that
// with what the others post, and moves pieces through the channels. What the ranks do not agree on
// ends the process with a sentence that has both sides.
#ifndef TESTS_CUDASIM_HOST_NCCL_INSIDE_H
#define TESTS_CUDASIM_HOST_NCCL_INSIDE_H

#include <stdint.h>
#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "tests/cudasim/host/nccl_functions.h"
#include "tests/cudasim/host/runtime.h"

namespace cudasim {

enum { NCCL_MAX_RANKS = 8, NCCL_PIECE = 256 << 10, NCCL_POSTS = 16 };

enum class Collective : int32_t { broadcast, all_reduce, all_gather, send, recv };
const char *collective_name(Collective kind);

// What all ranks must say alike of one collective operation.
struct Post {
    Collective kind;
    int32_t type, root, reduction; // -1 where it has none
    uint64_t count;
};

enum class RankState : int32_t { absent, alive, finalized, aborted };
struct Seat {
    std::atomic<RankState> state;
    pid_t process;
    std::atomic<uint64_t> n_posted; // collectives begun; post n is at n % NCCL_POSTS
    Post posts[NCCL_POSTS];
};
// From one rank to another: one piece at a time.
struct Channel {
    std::atomic<uint64_t> n_written, n_read;
    uint64_t total_bytes; // of the send that the piece belongs to
    int32_t type;
    uint32_t bytes;
    unsigned char data[NCCL_PIECE];
};
struct Board {
    std::atomic<uint32_t> mark;
    std::atomic<int32_t> n_ranks, n_joined;
    Seat seats[NCCL_MAX_RANKS];
    Channel channels[NCCL_MAX_RANKS][NCCL_MAX_RANKS]; // [from][to]
};

struct Communicator {
    Board *board;
    std::string name;
    int rank, n_ranks;
    bool blocking, linked; // linked: the name still stands for the memory
    bool gone;             // destroyed or aborted; the record stays, operations may refer to it
    ncclResult_t error;    // the first that came later than its call
    uint64_t n_collectives;
    OperationPtr last;                               // operations follow one another
    std::vector<std::pair<Stream *, Work>> deferred; // told of as in progress, not in a stream yet
};

bool everybody_joined(Communicator *c);
// Sets the error when a rank has died or given up; true: all are there.
bool everybody_lives(Communicator *c);
size_t bytes_of_type(ncclDataType_t type);

// One operation of a group, or alone. attempt: gets on; true when it is done or given up.
struct Transfer {
    Communicator *comm;
    Post post;
    const char *from;
    char *to;
    int peer; // of send and recv
    bool posted = false;
    uint64_t number = 0;                  // of the collective
    std::vector<uint64_t> sent, received; // bytes by peer
    std::vector<char> parts;              // of all_reduce: what each rank gave, in order
};
bool transfer_attempt(Transfer *t);

} // namespace cudasim

#endif
