// The contract between the engine and a backend (D2): blocks of the network, weights, and the state
// of sequences. The CPU backend is linked in; others are shared objects, opened by name.
//
// Rules for every function here
// - Bits (D3): what a position computes depends on the weights and on the ids up to it. Every sum
//   has an order that the weight's shape and the row alone fix: never the batch, the chunking, the
//   thread count. No float atomics, no fast-math, no libm in kernels (kernels/math.h has ours).
// - Order: operations take effect in the order of the calls, on the backend's own stream. Only
//   wait() and the operations that return values make the caller wait.
// - Errors come from the world: memory, device. An operation without a result keeps the first one
//   that its device reports, and the next operation that can fail returns it. Arguments are the
//   programmer's: they are asserted.
// - A step is self-contained: nothing about a row lives in a backend but its pages and its conv
//   slot, and nothing is read back before wait(). So a backend may replay a step that it recorded,
//   and block calls then do nothing.
// - State is keyed by position. Position p of a sequence lies in page p / page_tokens and in entry
//   p modulo its length of the sequence's conv slot, a ring of conv_width - 1 + max_draft entries.
//   A step reads what lies before its positions and overwrites its own. So a sequence goes back by
//   up to max_draft positions, or starts in a used slot, without an operation.
// - One thread (the engine's) calls a backend; the backend may use threads of its own inside. Only
//   stage(), check() and remake() belong to another one (that of weight updates), which may call
//   them while the engine's thread is anywhere but in load, weight_write or apply.
// - Formulas follow Hugging Face transformers (models/lfm2, models/lfm2_moe); where it rounds to
//   bf16, a backend keeps float32.
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/comm.h"
#include "kernels/delta.h"
#include "kernels/device.h"
#include "kernels/shape.h"
#include "kernels/state.h"
#include "kernels/tensor.h"
#include "kernels/weight_source.h"
#include "protocol/base/error.h"

// Of the structs and the table below: a backend that was built for another number is refused.
enum { KERNELS_ABI = 8 };

// ------------------------------------------------------------------ one step

// Tokens first_token .. first_token + n_tokens - 1 of a step belong to one sequence and stand at
// positions position, position + 1, .... K and V of position p live in page
// pages[p / page_tokens]; all pages up to the segment's last position are there, and those which
// the segment writes are held by this sequence alone. The conv slot holds the entries of the
// conv_width - 1 positions before `position` (none before position 0); the step writes those of its
// own. No two segments of a step share a conv slot.
struct step_segment {
    int first_token, n_tokens;
    int position;
    int conv_slot;
    const int32_t *pages; // (n_pages)
    int n_pages;
};

// How a token is drawn (D4, D5), in this order: logits + bias, repetition penalty (ids in
// `seen`: logit / r when positive, logit * r otherwise), / temperature, top-k (ties with the k-th
// survive), top-p (in order of falling probability, lower id first; the id that crosses p is
// kept), min-p (p >= min_p * largest p), renormalise. Ids that the tokenizer lacks never survive:
// they are out before top-k and take no part in any of its sums.
// The draw is argmax over survivors of logit + g, ties to the lowest id; g from Philox4x32-10 with
// key = seed and counter (id, position, sample, 0). At temperature 0: argmax, lp_behav = 0.
struct draw {
    float temperature, top_p, min_p, repetition_penalty; // off: top_p 1, min_p 0, penalty 1
    int top_k;                                           // off: 0
    uint64_t seed;                                       // of the group
    uint32_t position;                                   // of the token to be drawn
    uint32_t sample;
    const int32_t *seen; // (n_seen) distinct ids of prompt and output; read when penalty != 1
    int n_seen;
    const int32_t *bias_ids; // (n_bias) distinct ids
    const float *bias;       // (n_bias)
    int n_bias;
};

// What is wanted of one token's logits. SCORE: lp_full of `target` at `temperature`.
// DRAW: an id, its lp_full and lp_behav. Several outputs may name one token; they are in order of
// their tokens.
struct step_output {
    int token; // index into the step's tokens
    bool is_draw;
    int32_t target;    // SCORE
    float temperature; // SCORE; 0 counts as 1
    struct draw draw;  // DRAW
};

// The description of a step. All of it, arrays too, may change once submit() has returned.
struct step {
    int n_tokens, n_segments, n_outputs;
    const int32_t *ids;                  // (n_tokens)
    const struct step_segment *segments; // (n_segments), covering the tokens in order
    const struct step_output *outputs;   // (n_outputs)
    bool want_routes;
};

// Where wait() puts results; the arrays are the caller's.
struct step_result {
    int32_t *ids;    // (n_outputs) drawn id; for SCORE the target
    float *lp_full;  // (n_outputs) log-softmax of logits / temperature over all rows of the head
    float *lp_behav; // (n_outputs) under the distribution that was drawn from; 0 for SCORE
    uint8_t *bad; // (n_outputs) 1 when a logit of the row, or a log-probability of the output, is
                  // not finite: nothing else holds
    uint16_t *routes; // (n_tokens, MoE layers, n_experts_used) experts in order of falling
                      // selection score, ties to the lowest expert; filled when want_routes
};

// ------------------------------------------------------------------ memory and weights

struct backend_options {
    struct model_shape shape;
    const enum dtype *weight_dtypes; // (weights of the shape) resident type of each, by index
    const enum dtype *master_dtypes; // (likewise) floats: of the master (delta.h); NULL: none
    const uint64_t *weight_hashes;   // (likewise) digest.h's hash of each name
    enum dtype kv_dtype;             // of K and V: f32, bf16, f16 or q8_0 (state.h)
    int page_tokens, n_pages, n_conv_slots;    // page_tokens: 1 .. 256
    int arena_pages, arena_slots;              // of suspended rows
    int max_draft;                             // positions that a sequence may go back by
    int max_segments, max_tokens, max_outputs; // of one step
    uint64_t staging_bytes;                    // of weight updates; 0: there will be none
    bool second_copy;         // a second place for the weights (delta.h): beside a master anyway
    const uint8_t *id_exists; // (vocab) 1 where the tokenizer knows the id; NULL: all; copied
    int n_threads;            // of the CPU backend; 0: one a core that this process may use
    const char *path;         // of the device, see its README; NULL: the fastest that runs here
    int device;               // which of several devices, from 0
};

// What a backend takes for given options, by what it is for.
enum memory_use {
    MEMORY_WEIGHTS,
    MEMORY_PAGES,       // KV pages
    MEMORY_SLOTS,       // conv slots
    MEMORY_SCRATCH,     // activations, logits, draws, lists
    MEMORY_ARENA,       // pages and conv slots of suspended rows
    MEMORY_STAGING,     // weight updates on their way
    MEMORY_SECOND_COPY, // where these make the weights (delta.h)
    MEMORY_MASTER,
    N_MEMORY_USES,
};
struct backend_plan {
    uint64_t bytes[N_MEMORY_USES];
    bool is_host[N_MEMORY_USES]; // in the host's memory, else in the device's
};

// Bytes of one KV page (all attention layers, K and V) and of one conv slot (all conv layers): the
// layout is the backend's, the size is this on all of them.
size_t kernels_page_bytes(const struct model_shape *s, enum dtype kv, int page_tokens);
size_t kernels_conv_bytes(const struct model_shape *s, enum dtype kv, int max_draft);

// ------------------------------------------------------------------ a backend

struct backend;

struct backend_ops {
    uint32_t abi;     // KERNELS_ABI; stays the first member
    const char *name; // "cpu", "cuda", ...

    // How many devices there are, at least one: backend_options.device counts them. A process that
    // asked may be unable to fork afterwards: a driver's state does not pass to children.
    int (*n_devices)(int *n, struct error *err);

    // Fills *out; opens nothing. device and path as in backend_options. -1 as of plan().
    int (*describe)(int device, const char *path, struct device_facts *out, struct error *err);

    // Says what open() will take, and takes nothing. -1: this backend cannot run the options here.
    int (*plan)(const struct backend_options *o, struct backend_plan *out, struct error *err);
    // All memory is taken here, and as much as plan() says. -1 when it is not to be had. Weights,
    // pages and conv slots hold anything: each is written, or computed, before it is read.
    int (*open)(const struct backend_options *o, struct backend **out, struct error *err);
    void (*close)(struct backend **b);
    // What decides bits beside the weights: instruction set path and types, such as
    // "cpu-fma weights=bf16 kv=f32". Lives as long as the backend.
    const char *(*numerics)(const struct backend *b);

    // Weights, by index of weights_list; values in the weight's resident type, in row-major order
    // and any alignment, elements first .. first + n - 1. Never called between begin and wait.
    // load() writes all of them, and fills digests[i] (weights of the shape; NULL: not wanted)
    // with what weight i, or its master, adds to the digest (digest.h); the source is read once.
    // weight_write() is for backends without a master, weight_digest() tells what whole blocks add
    // where they lie: any bit that changed, of a master or what is made of it, changes a whole's.
    int (*load)(struct backend *b, const struct weight_source *source, uint64_t *digests,
                struct error *err);
    // The weights as this backend lays them out, in a file; NULL: this backend keeps none.
    // packed_keep() writes it after a load. packed_map() takes the place of load(), and proves all
    // that is there. 1: there is no such file; -1 with a sentence that does not name it: damaged,
    // of another model or `source` (of the files that were read); the weights are as they were.
    int (*packed_map)(struct backend *b, const char *path, uint64_t source, uint64_t *digests,
                      struct error *err);
    int (*packed_keep)(struct backend *b, const char *path, uint64_t source,
                       const uint64_t *digests, struct error *err);
    void (*weight_write)(struct backend *b, int index, int64_t first, int64_t n, const void *v);
    int (*weight_read)(struct backend *b, int index, int64_t first, int64_t n, void *v,
                       struct error *err);
    int (*weight_digest)(struct backend *b, int index, int64_t first, int64_t n, uint64_t *sum,
                         struct error *err);

    // Weight updates (D8), by way of the staging memory of staging_bytes, where it suits the apply.
    // stage() puts bytes there; they are the caller's again when it returns.
    int (*stage)(struct backend *b, uint64_t offset, uint64_t n_bytes, const void *bytes,
                 struct error *err);
    // Proves staged changes, each of another weight, and fills sums (n): codes and anchors agree
    // and stay within the weight, every value is finite. Their places lie within the staging memory
    // and their sizes are the weight's (asserted). -1: *bad is the change that is wrong, with a
    // sentence that does not name it; or -1, where the device failed.
    int (*check)(struct backend *b, const struct weight_change *changes, int n,
                 struct change_sums *sums, int *bad, struct error *err);
    // Makes in the second place what changes that were checked will make resident, as of check();
    // does nothing, or is NULL, where there is none. -1: a block's type cannot hold its values.
    int (*remake)(struct backend *b, const struct weight_change *changes, int n, int *bad,
                  struct error *err);
    // Exchanges what changes that were checked and remade bring with what is resident, between two
    // steps. The same call again undoes it, as long as nothing was staged or remade in between.
    int (*apply)(struct backend *b, const struct weight_change *changes, int n, struct error *err);

    // Receiving into the staging memory by NCCL; NULL: this backend has none, as the CPU's.
    const struct comm_ops *comm;

    // Moves state, before begin(), as if one move followed the other.
    void (*move)(struct backend *b, const struct state_move *moves, size_t n);

    // A step: begin, the blocks in the order of the network, submit, wait. The residual stream
    // (n_tokens, hidden) is the backend's. A block may fuse what it likes inside.
    void (*begin)(struct backend *b, const struct step *step);
    void (*embed)(struct backend *b);                // h = embedding row of each id
    void (*conv)(struct backend *b, int layer);      // h += out(C * conv(B * x)) of norm(h)
    void (*attention)(struct backend *b, int layer); // h += out(attention(norm(h)))
    void (*dense)(struct backend *b, int layer);     // h += w2(silu(w1 n) * (w3 n)), n = norm(h)
    void (*moe)(struct backend *b, int layer);       // h += sum of g_e * expert_e(n), n = norm(h)
    void (*head)(struct backend *b);                 // final norm, logits, outputs
    void (*submit)(struct backend *b);
    int (*wait)(struct backend *b, struct step_result *result, struct error *err);
};

struct backend {
    const struct backend_ops *ops; // first member of every backend's own struct
};

// The operations behind a device name "NAME[:INDEX][/PATH]": "cpu", or a shared object
// stampede_NAME.so that lies beside the program and exports KERNELS_SYMBOL. *index (0 where none is
// named) goes into backend_options.device, *path (within `device`, or NULL) into .path. NULL with
// ERROR_USAGE for a name that is none or whose object is not there, ERROR_CONFIG for an object that
// cannot be opened or has another KERNELS_ABI.
#define KERNELS_SYMBOL "stampede_backend" // const struct backend_ops stampede_backend
const struct backend_ops *kernels_find(const char *device, int *index, const char **path,
                                       struct error *err);

#endif
