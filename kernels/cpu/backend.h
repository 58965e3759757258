// The insides of the CPU backend, shared by the blocks: conv.c ... head.c.
#ifndef KERNELS_CPU_BACKEND_H
#define KERNELS_CPU_BACKEND_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/master.h"
#include "kernels/cpu/pool.h"
#include "kernels/cpu/region.h"
#include "kernels/cpu/weights.h"

enum { HEAD_TILE = 64 }; // rows of logits that are in memory at a time

// Work of attention: some tokens of one segment, for each KV head.
struct attention_item {
    int segment, first, n; // tokens of the step
};

struct cpu {
    struct backend base;
    struct model_shape shape;
    struct weights weights;
    bool has_next;       // beside a master always
    struct weights next; // where the weights of an update are made (remake.h), or empty
    bool has_master;     // else what follows of it is empty
    struct master master;
    uint64_t *sums, *next_sums; // (weights) digests of what was packed, as it was packed
    const struct isa *isa;
    struct pool *pool, *check_pool; // of steps; of checks of weight updates, which go on meanwhile
    enum dtype kv;
    int page_tokens, n_pages, n_conv_slots, arena_pages, arena_slots, max_draft;
    int max_segments, max_tokens, max_outputs;
    size_t page_bytes, conv_bytes;
    struct region pages, convs, arena, scratch, logits, staging;
    uint64_t *hashes;                               // (weights) of their names
    void (*attend)(const struct attention_rows *a); // the path's, where the shape allows
    float attention_scale;                          // 1 / sqrt(head_dim)
    char numerics[128];

    int32_t *missing; // ids that the tokenizer lacks
    int n_missing;
    struct draw_scratch *draw; // (threads)
    struct region draw_memory;

    // Activations of a step; rows are matmul_stride() apart, with hidden values unless said.
    float *h, *n;         // (max_tokens): the residual stream; its norm
    float *work;          // what a block needs between, see backend_work
    float *frequencies;   // (head_dim / 2)
    float *cosine, *sine; // (max_tokens, head_dim / 2)

    struct step step;
    int *token_segment;           // (max_tokens)
    struct attention_item *items; // (max_tokens)
    int n_items;
    struct experts *experts; // lists of the MoE block
    int32_t *ids;            // (max_outputs) results
    float *lp_full, *lp_behav;
    uint8_t *bad;
    uint16_t *routes; // (max_tokens, MoE layers, n_experts_used)
};

// The blocks, one file each.
void cpu_embed(struct backend *b);
void cpu_conv(struct backend *b, int layer);
void cpu_attention(struct backend *b, int layer);
void cpu_dense(struct backend *b, int layer);
void cpu_moe(struct backend *b, int layer);
void cpu_head(struct backend *b);

// In state.c and load.c.
// The instruction set path of backend_options.path; NULL with a sentence for one that is none here.
const struct isa *cpu_isa(const char *path, struct error *err);
int cpu_describe(int device, const char *path, struct device_facts *out, struct error *err);

void cpu_move(struct backend *b, const struct state_move *moves, size_t n);
int cpu_load(struct backend *b, const struct weight_source *source, uint64_t *digests,
             struct error *err);
// Beside a master: notes what resident weights are, which a load has written.
void cpu_note_sums(struct cpu *c);
int cpu_weight_digest(struct backend *b, int index, int64_t first, int64_t n, uint64_t *sum,
                      struct error *err);

// Floats of `work` that each block needs for `n` tokens.
size_t cpu_conv_work(const struct model_shape *s, int n);
size_t cpu_attention_work(const struct model_shape *s, int n);
size_t cpu_dense_work(const struct model_shape *s, int n);
size_t cpu_moe_work(const struct model_shape *s, int n);

// Lists for the MoE block of at most `max_tokens` tokens.
struct experts *cpu_experts_new(const struct model_shape *s, int max_tokens);
void cpu_experts_free(struct experts **e);

// n = RMSNorm(h) for all tokens of the step.
void cpu_norm(struct cpu *c, const float *weight);

#endif
