// The router of a mixture of experts, one kernel: n = norm(h), logits in float32, the choice of
// experts of each token, and, by the block that ends last, the pairs sorted by expert and the tiles
// of the expert products. Nothing of it comes back to the host.
//
// Norm: a warp a token, groups of 4 by lane in order, then as warp_sum. Logits: lanes hold groups
// of 4 columns, fused multiply-adds in order of the columns, lanes as warp_sum: the same for any
// number of tokens. Ranks of pairs are stable, so that the lists are the same every time.
//
// Reads 256 KB of weights of the L2 cache a block for 64 experts of 2048 columns: 8 tokens a block
// share them where there are many, one has a block to itself where there are few.
#include "kernels/cuda/device.cuh"

enum { ROUTER_THREADS = 256, ROUTER_WARPS = ROUTER_THREADS / N_LANES, GROUP = 8 };

template <int TOKENS> struct router_memory {
    float *x;         // (TOKENS, stride) normalised
    float *logits;    // (TOKENS, n_experts)
    uint32_t *counts; // (ROUTER_WARPS, n_experts): pairs, then where the next one goes
    template <class Memory>
    __host__ __device__ router_memory(Memory &memory, int stride, int n_experts) {
        memory.take(&x, TOKENS * stride, 16);
        memory.take(&logits, TOKENS * n_experts);
        memory.take(&counts, ROUTER_WARPS * n_experts);
    }
};

// A warp: the normalised row to shared memory as float32 and to n as bf16.
__device__ __forceinline__ void router_norm(const struct router &a, int t, float *x, int lane) {
    const float *h = a.h + (int64_t)t * a.stride;
    float squares = 0;
    for (int i = lane * 4; i < a.stride; i += N_LANES * 4) {
        float4 v = *(const float4 *)(h + i);
        *(float4 *)(x + i) = v;
        squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
    }
    float scale = 1.0f / sqrtf(warp_sum(squares) / (float)a.hidden + a.eps);
    for (int i = lane * 4; i < a.stride; i += N_LANES * 4) {
        float y[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            y[k] = i + k < a.hidden ? x[i + k] * scale * a.norm[i + k] : 0;
            x[i + k] = y[k];
        }
        *(uint2 *)((bf16 *)a.n + (int64_t)t * a.stride + i) =
            make_uint2(pack_bf16(y[0], y[1]), pack_bf16(y[2], y[3]));
    }
}

__device__ __forceinline__ float4 load_weights(const struct router &a, int expert, int column) {
    int64_t at = (int64_t)expert * a.stride + column;
    if (!a.is_bf16) return *(const float4 *)((const float *)a.w + at);
    uint2 v = *(const uint2 *)((const bf16 *)a.w + at);
    return make_float4(low_bf16(v.x), high_bf16(v.x), low_bf16(v.y), high_bf16(v.y));
}

// Sums N values over the lanes, halving what each lane is in charge of while it can: the additions
// of warp_sum in its order. Lane l ends with values first .. of all, N / 32 of them or one.
template <int N> __device__ __forceinline__ int share_sums(float (&v)[N], int lane) {
    int first = 0, n = N;
#pragma unroll
    for (int by = N_LANES / 2; by > 0; by /= 2) {
        if (n > 1) {
            n /= 2;
            bool upper = lane & by;
            if (upper) first += n;
#pragma unroll
            for (int i = 0; i < N / 2; i++) {
                if (i >= n) break;
                float mine = upper ? v[i + n] : v[i], other = upper ? v[i] : v[i + n];
                v[i] = mine + __shfl_xor_sync(ALL_LANES, other, by);
            }
        } else {
            v[0] += __shfl_xor_sync(ALL_LANES, v[0], by);
        }
    }
    return first;
}

// Logits of GROUP experts for all tokens of the block, by a warp.
template <int TOKENS>
__device__ __forceinline__ void
router_logits(const struct router &a, const router_memory<TOKENS> &at, int expert, int lane) {
    float sums[TOKENS * GROUP] = {};
    for (int i = lane * 4; i < a.stride; i += N_LANES * 4) {
        float4 w[GROUP];
#pragma unroll
        for (int e = 0; e < GROUP; e++)
            w[e] =
                expert + e < a.n_experts ? load_weights(a, expert + e, i) : make_float4(0, 0, 0, 0);
#pragma unroll
        for (int t = 0; t < TOKENS; t++) {
            float4 x = *(const float4 *)(at.x + t * a.stride + i);
#pragma unroll
            for (int e = 0; e < GROUP; e++) {
                float &s = sums[t * GROUP + e];
                s = fmaf(x.x, w[e].x, s);
                s = fmaf(x.y, w[e].y, s);
                s = fmaf(x.z, w[e].z, s);
                s = fmaf(x.w, w[e].w, s);
            }
        }
    }
    int first = share_sums(sums, lane);
    constexpr int MINE = TOKENS * GROUP > N_LANES ? TOKENS * GROUP / N_LANES : 1;
#pragma unroll
    for (int i = 0; i < MINE; i++) {
        int t = (first + i) / GROUP, e = expert + (first + i) % GROUP;
        if (e < a.n_experts) at.logits[t * a.n_experts + e] = sums[i];
    }
}

// Larger scores first, among equal ones the lower expert; NaN behind all numbers.
__device__ __forceinline__ unsigned long long score_key(float score, int expert) {
    uint32_t u = __float_as_uint(score + 0.0f);
    u = score != score ? 1 : u >> 31 ? ~u : u | 0x80000000u;
    return (unsigned long long)u << 32 | (uint32_t)~expert;
}

// The experts of a token, by a warp. A score's order is kept in `logits` as it is needed.
__device__ __forceinline__ void router_choose(const struct router &a, int t, const float *logits,
                                              int lane) {
    float sum = 0, mine = 0;
    unsigned long long before = ~0ull;
    for (int k = 0; k < a.n_used; k++) {
        // The largest key below the one before.
        unsigned long long best = 0;
        for (int e = lane; e < a.n_experts; e += N_LANES) {
            float score = math_sigmoid(logits[e]);
            unsigned long long key = score_key(a.bias ? score + a.bias[e] : score, e);
            if (key < before && key > best) best = key;
        }
        for (int by = N_LANES / 2; by > 0; by /= 2) {
            unsigned long long other = __shfl_xor_sync(ALL_LANES, best, by);
            if (other > best) best = other;
        }
        before = best;
        int expert = (int)~(uint32_t)best;
        float weight = math_sigmoid(logits[expert]);
        sum += weight;
        if (lane == k) mine = weight;
        if (lane == 0) {
            a.routes.experts[t * a.n_used + k] = expert;
            a.routes.chosen[((int64_t)t * a.n_moe + a.moe_index) * a.n_used + k] = (uint16_t)expert;
        }
    }
    if (a.norm_topk) mine /= sum + 1e-6f;
    if (lane < a.n_used) a.routes.weights[t * a.n_used + lane] = mine * a.scale;
}

// ------------------------------------------------------------------ lists

// The experts of pairs of a warp's share, 32 at a time: visit(expert or -1, pair, lanes alike).
template <class Visit>
__device__ __forceinline__ void each_pair(const struct router &a, int n_pairs, int warp, int lane,
                                          Visit visit) {
    int share = (n_pairs + ROUTER_THREADS - 1) / ROUTER_THREADS * N_LANES;
    int end = min(n_pairs, (warp + 1) * share);
    for (int first = warp * share; first < end; first += N_LANES) {
        int pair = first + lane, expert = pair < end ? a.routes.experts[pair] : -1;
        visit(expert, pair, __match_any_sync(ALL_LANES, expert));
        __syncwarp();
    }
}

// Turns counts into places and writes the tiles, by the first warp: lanes take experts in a row.
__device__ __forceinline__ void place_experts(const struct router &a, uint32_t *counts, int lane) {
    int share = (a.n_experts + N_LANES - 1) / N_LANES, first = lane * share;
    int end = min(a.n_experts, first + share), n = 0, n_tiles = 0;
    for (int e = first; e < end; e++) {
        int of_expert = 0;
        for (int w = 0; w < ROUTER_WARPS; w++) of_expert += (int)counts[w * a.n_experts + e];
        n += of_expert;
        n_tiles += (of_expert + a.token_tile - 1) / a.token_tile;
    }
    int at = n, tile = n_tiles;
    for (int by = 1; by < N_LANES; by *= 2) {
        int before = __shfl_up_sync(ALL_LANES, at, by), tiles = __shfl_up_sync(ALL_LANES, tile, by);
        if (lane >= by) at += before, tile += tiles;
    }
    if (lane == N_LANES - 1) *a.routes.n_tiles = tile;
    at -= n;
    tile -= n_tiles;
    for (int e = first; e < end; e++) {
        int begin = at;
        for (int w = 0; w < ROUTER_WARPS; w++) {
            int of_warp = (int)counts[w * a.n_experts + e];
            counts[w * a.n_experts + e] = (uint32_t)at;
            at += of_warp;
        }
        for (int i = begin; i < at; i += a.token_tile)
            a.routes.tiles[tile++] = {e, i, min(a.token_tile, at - i)};
    }
}

__device__ __forceinline__ void sort_pairs(const struct router &a, uint32_t *counts, int warp,
                                           int lane) {
    int n_pairs = a.step->n_tokens * a.n_used;
    uint32_t *mine = counts + warp * a.n_experts;
    for (int e = lane; e < a.n_experts; e += N_LANES) mine[e] = 0;
    __syncwarp();
    each_pair(a, n_pairs, warp, lane, [&](int expert, int, unsigned alike) {
        if (expert >= 0 && lane == __ffs((int)alike) - 1) mine[expert] += (uint32_t)__popc(alike);
    });
    __syncthreads();
    if (warp == 0) place_experts(a, counts, lane);
    __syncthreads();
    each_pair(a, n_pairs, warp, lane, [&](int expert, int pair, unsigned alike) {
        uint32_t at = expert >= 0 ? mine[expert] : 0;
        __syncwarp();
        if (expert < 0) return;
        a.routes.sorted[at + (uint32_t)__popc(alike & ((1u << lane) - 1))] = pair;
        if (lane == __ffs((int)alike) - 1) mine[expert] = at + (uint32_t)__popc(alike);
    });
}

template <int TOKENS>
__global__ void __launch_bounds__(ROUTER_THREADS) route_tokens(const struct router a) {
    DYNAMIC_SHARED(memory);
    router_memory<TOKENS> at(memory, a.stride, a.n_experts);
    SHARED(uint32_t, n_before, [1]);
    int warp = threadIdx.x / N_LANES, lane = threadIdx.x % N_LANES, n = a.step->n_tokens;
    launch_dependents();
    wait_for_prior_grid();
    for (int first = blockIdx.x * TOKENS; first < n; first += gridDim.x * TOKENS) {
        if (warp < TOKENS) {
            if (first + warp < n)
                router_norm(a, first + warp, at.x + warp * a.stride, lane);
            else
                for (int i = lane; i < a.stride; i += N_LANES) at.x[warp * a.stride + i] = 0;
        }
        __syncthreads();
        for (int e = warp * GROUP; e < a.n_experts; e += ROUTER_WARPS * GROUP)
            router_logits<TOKENS>(a, at, e, lane);
        __syncthreads();
        if (warp < TOKENS && first + warp < n)
            router_choose(a, first + warp, at.logits + warp * a.n_experts, lane);
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        n_before[0] = atomic_add_acq_rel(a.routes.counter, 1);
        if (n_before[0] == gridDim.x - 1) *a.routes.counter = 0;
    }
    __syncthreads();
    if (n_before[0] == gridDim.x - 1) sort_pairs(a, at.counts, warp, lane);
}

template <int TOKENS>
static int launch(const struct queue *q, const struct router *a, int max_tokens) {
    shared_size size;
    router_memory<TOKENS> counted(size, a->stride, a->n_experts);
    int n = (max_tokens + TOKENS - 1) / TOKENS, most = 2 * q->n_sms;
    struct launch how;
    how.grid = dim3(n < most ? n : most);
    how.block = dim3(ROUTER_THREADS);
    how.shared_bytes = size.bytes;
    how.stream = (cudaStream_t)q->stream;
    how.programmatic = q->is_programmatic;
    int status = allow_shared(route_tokens<TOKENS>, size.bytes);
    return status ? status : launch_kernel(how, route_tokens<TOKENS>, *a);
}

int router_launch(const struct queue *q, const struct router *a, int max_tokens) {
    shared_size size;
    router_memory<8> many(size, a->stride, a->n_experts);
    if (max_tokens <= 2 * q->n_sms || size.bytes > (size_t)q->max_shared_bytes)
        return launch<1>(q, a, max_tokens);
    return launch<8>(q, a, max_tokens);
}
