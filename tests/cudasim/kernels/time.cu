// Times of the kernels at the shapes of LFM2-24B-A2B, each over buffers larger than the L2 cache:
// graphs of many launches, the median of several replays. GB/s counts what must be read or written
// once: weights that are used, rows of activations, K and V.
#include <algorithm>

#include "kernels/cuda/launch.h"
#include "tests/cudasim/kernels/check.h"

struct model {
    int hidden, inner, dense, vocab, n_heads, n_kv_heads, head_dim, n_experts, n_used, context;
    int most_rows;     // of steps with attention and draws
    size_t cold_bytes; // of buffers that are rotated through
    std::vector<int> tokens;
};
static const std::vector<int> TOKENS_24B = {1, 16, 64, 256, 1024, 4096, 8192};
static const model MODEL_24B = {2048, 1536, 11776, 65536, 32,        8,         64,
                                64,   4,    1024,  1024,  160000000, TOKENS_24B};
// For the emulator: that all of it runs.
static const model MODEL_TINY = {128, 64, 192, 512, 8, 4, 32, 4, 2, 70, 1024, 1, {1, 20}};
// To count by: whole tiles, more than one stage of columns, as many heads as a block has warps; 130
// tokens for the tiles of 256.
static const std::vector<int> TOKENS_COUNTED = {1, 7, 20, 130};
static const model MODEL_COUNTED = {256, 128, 384, 512, 16, 4, 64, 4, 2, 33, 20, 1, TOKENS_COUNTED};

enum { PAGE = 16, MAX_COPIES = 32 };

class timer {
  public:
    checker &c;
    const model &m;
    const char *filter;
    bool is_counted = false;
    const void *read = nullptr; // weights of the next launches, and bytes of them
    double read_bytes = 0;
    timer(checker &c, const model &m, const char *filter) : c(c), m(m), filter(filter) {}

    bool is_wanted(const char *op) const { return !filter || strcmp(filter, op) == 0; }
    // Random bf16 of N(0, scale^2), repeated.
    void *random_rows(size_t bytes, double scale) {
        const size_t block = 1 << 20;
        std::vector<uint16_t> v(block / 2);
        for (uint16_t &x : v) x = to_bf16(c.normal() * scale);
        char *at = c.room<char>(bytes);
        for (size_t i = 0; i < bytes; i += block)
            c.copy(at + i, v.data(), std::min(block, bytes - i));
        return at;
    }
    struct matrix weights(int n_rows, int n_columns) {
        struct matrix w = {nullptr, pad_to(n_rows, 192) / 192 * 192, pad_to(n_columns, 64) / 64};
        if (n_rows % 128 == 0) w.n_rows = n_rows;
        w.data = random_rows(copies(w) * bytes(w), 1 / sqrt(n_columns));
        read = w.data, read_bytes = (double)bytes(w);
        return w;
    }
    size_t bytes(const struct matrix &w) const { return (size_t)w.n_rows * w.n_tile_columns * 128; }
    int copies(const struct matrix &w) const {
        return (int)std::min((size_t)MAX_COPIES, 1 + m.cold_bytes / bytes(w));
    }
    struct matrix copy_of(const struct matrix &w, int i) const {
        struct matrix v = w;
        v.data = (const char *)w.data + i % copies(w) * bytes(w);
        return v;
    }
    // launch(i) takes the i-th set of buffers.
    void run(const char *op, int n_tokens, int tile, double bytes, double flops,
             const std::function<int(int)> &launch);

  private:
    double microseconds(cudaGraphExec_t graph, int n);
};

static void need(cudaError_t status, const char *what) {
    if (status != cudaSuccess) {
        printf("%s: %s\n", what, cudaGetErrorString(status));
        exit(2);
    }
}

double timer::microseconds(cudaGraphExec_t graph, int n) {
    cudaStream_t stream = (cudaStream_t)c.queue.stream;
    cudaEvent_t begin, end;
    std::vector<float> times;
    need(cudaEventCreate(&begin), "event");
    need(cudaEventCreate(&end), "event");
    for (int i = 0; i < (c.is_large ? 9 : 3); i++) {
        float ms;
        need(cudaEventRecord(begin, stream), "event");
        need(cudaGraphLaunch(graph, stream), "graph");
        need(cudaEventRecord(end, stream), "event");
        need(cudaStreamSynchronize(stream), "graph");
        need(cudaEventElapsedTime(&ms, begin, end), "event");
        if (i >= 2) times.push_back(ms);
    }
    std::sort(times.begin(), times.end());
    need(cudaEventDestroy(begin), "event");
    need(cudaEventDestroy(end), "event");
    return times[times.size() / 2] * 1000.0 / n;
}

void timer::run(const char *op, int n_tokens, int tile, double bytes, double flops,
                const std::function<int(int)> &launch) {
    if (is_counted) {
        // Of steps with many tokens the largest tiles alone: others read the weights again.
        if (n_tokens > m.most_rows && tile < (strncmp(op, "expert", 6) == 0 ? 256 : 512)) return;
        bool is_once = n_tokens <= tile && n_tokens <= (c.queue.family == FAMILY_MMA ? 128 : 256);
        return count_launch(c, {op, n_tokens, tile, read, is_once ? read_bytes : 0}, launch);
    }
    cudaStream_t stream = (cudaStream_t)c.queue.stream;
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    c.done(launch(0), op); // outside of a capture: sets attributes
    need(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    int n = c.is_large ? MAX_COPIES : 2;
    for (int i = 0; i < n; i++) need((cudaError_t)launch(i), op);
    need(cudaStreamEndCapture(stream, &graph), "capture");
    need(cudaGraphInstantiate(&executable, graph, 0), "instantiate");
    double us = microseconds(executable, n);
    need(cudaGraphExecDestroy(executable), "graph");
    need(cudaGraphDestroy(graph), "graph");
    printf("time %-12s %-6s %5d tokens tile %3d %9.2f us %7.0f GB/s %7.1f TFLOP/s\n", op,
           c.family(), n_tokens, tile, us, bytes / us * 1e-3, flops / us * 1e-6);
    fflush(stdout);
}

// ------------------------------------------------------------------ dense products

// Tiles that a host might choose for so many tokens.
static std::vector<int> tiles_for(double n) {
    std::vector<int> tiles;
    for (int tile : {8, 16, 32, 64, 128, 256})
        if (tile >= 128 ? 4 * n > tile : n <= 4 * tile && 2 * n > tile - 8) tiles.push_back(tile);
    return tiles;
}

// The least power of 2 that holds n, and its neighbours.
static std::vector<int> sizes_for(int n) {
    int bound = 8;
    while (bound < n) bound *= 2;
    if (bound == 8) return {8, 16};
    return {bound / 2, bound, 2 * bound};
}

static void time_residual(timer &t, const char *op, int n_in) {
    if (!t.is_wanted(op)) return;
    const model &m = t.m;
    struct matrix w = t.weights(m.hidden, n_in);
    for (int n : m.tokens) {
        struct residual a = {};
        a.step = put_step(t.c, step_parts(n));
        a.x = t.random_rows((size_t)n * n_in * 2, 1);
        a.h = (float *)t.random_rows((size_t)n * m.hidden * 4, 1);
        a.x_stride = n_in, a.h_stride = a.n_out = m.hidden;
        for (int size : sizes_for(n))
            t.run(op, n, size, t.bytes(w) + 2.0 * n * n_in + 8.0 * n * m.hidden,
                  2.0 * n * n_in * m.hidden, [&](int i) {
                      a.w = t.copy_of(w, i);
                      return residual_launch(&t.c.queue, &a, size);
                  });
    }
    t.c.release();
}

static void time_gate(timer &t) {
    if (!t.is_wanted("gate")) return;
    const model &m = t.m;
    struct matrix w = t.weights(2 * m.dense, m.hidden);
    for (int n : m.tokens) {
        struct gate a = {};
        a.step = put_step(t.c, step_parts(n));
        a.n = t.random_rows((size_t)n * m.hidden * 2, 1);
        a.act = t.random_rows((size_t)n * m.dense * 2, 1);
        a.n_stride = m.hidden, a.act_stride = m.dense;
        for (int size : sizes_for(n))
            t.run("gate", n, size, t.bytes(w) + 2.0 * n * (m.hidden + m.dense),
                  4.0 * n * m.hidden * m.dense, [&](int i) {
                      a.w = t.copy_of(w, i);
                      return gate_launch(&t.c.queue, &a, size);
                  });
    }
    t.c.release();
}

static void time_conv(timer &t) {
    if (!t.is_wanted("conv_in")) return;
    const model &m = t.m;
    struct matrix w = t.weights(3 * m.hidden, m.hidden);
    for (int n : m.tokens) {
        struct conv_in a = {};
        for (int size : sizes_for(n)) {
            int tile = conv_in_tile(&t.c.queue, size);
            step_parts p(n);
            for (int i = 0; i < n; i++) {
                p.tokens[i] = {0, m.context, 0, i};
                p.runs.push_back({i, 1, m.context, i, -1, 0});
                p.conv_rows.push_back(i);
            }
            while (p.conv_rows.size() % tile) p.conv_rows.push_back(-1);
            a.step = put_step(t.c, p);
            a.n = t.random_rows((size_t)n * m.hidden * 2, 1);
            a.y = t.c.room<uint16_t>((size_t)n * m.hidden);
            a.stride = a.hidden = m.hidden, a.width = 3, a.n_ring = 2, a.is_bf16 = 1;
            a.taps = (float *)t.random_rows((size_t)3 * m.hidden * 4, 1);
            a.slot_bytes = 4 * m.hidden;
            a.slots = t.random_rows(n * a.slot_bytes, 1);
            t.read_bytes = n <= tile ? (double)t.bytes(w) : 0;
            t.run("conv_in", n, size, t.bytes(w) + n * (4.0 + 8.0) * m.hidden,
                  6.0 * n * m.hidden * m.hidden, [&](int i) {
                      a.w = t.copy_of(w, i);
                      return conv_in_launch(&t.c.queue, &a, size);
                  });
        }
    }
    t.c.release();
}

static void time_qkv(timer &t) {
    if (!t.is_wanted("qkv")) return;
    const model &m = t.m;
    int n_rows = (m.n_heads + 2 * m.n_kv_heads) * m.head_dim;
    struct matrix w = t.weights(n_rows, m.hidden);
    for (int n : m.tokens) {
        struct qkv a = {};
        step_parts p(n);
        for (int i = 0; i < n; i++) p.tokens[i] = {0, i % PAGE, i / PAGE, 0};
        a.step = put_step(t.c, p);
        a.n = t.random_rows((size_t)n * m.hidden * 2, 1);
        a.q = t.c.room<uint16_t>((size_t)n * m.n_heads * m.head_dim);
        a.n_stride = m.hidden, a.q_stride = m.n_heads * m.head_dim;
        a.n_heads = m.n_heads, a.n_kv_heads = m.n_kv_heads;
        a.head_dim = a.head_rows = m.head_dim, a.eps = 1e-5f;
        a.q_norm = a.k_norm = (float *)t.random_rows(m.head_dim * 4, 1);
        a.cosine = a.sine = (float *)t.random_rows((size_t)n * m.head_dim * 2, 1);
        a.page_bytes = (int64_t)2 * m.n_kv_heads * PAGE * m.head_dim * 2;
        a.pages = t.c.room<char>((n / PAGE + 1) * a.page_bytes);
        a.page_tokens = PAGE, a.is_bf16 = 1;
        const double whole = t.read_bytes;
        for (int size : sizes_for(n)) {
            // For up to 32 tokens tiles have 16, so that more SMs have some: the weights come
            // twice, the second time from the L2 cache.
            t.read_bytes =
                size == 32 && n > 16 && t.c.queue.family == FAMILY_WGMMA ? 2 * whole : whole;
            t.run("qkv", n, size, t.bytes(w) + 2.0 * n * (m.hidden + n_rows),
                  2.0 * n * m.hidden * n_rows, [&](int i) {
                      a.w = t.copy_of(w, i);
                      return qkv_launch(&t.c.queue, &a, size);
                  });
        }
        t.read_bytes = whole;
    }
    t.c.release();
}

// ------------------------------------------------------------------ experts

struct expert_buffers {
    struct matrix gate, down;
    struct router router = {};
    void *n, *act, *y;
};

// Lists of the router for random choices; how many experts are used.
static int put_routes(timer &t, struct routes *r, int n_tokens, int tile) {
    const model &m = t.m;
    std::vector<int32_t> sorted;
    std::vector<expert_tile> tiles;
    std::vector<std::vector<int>> of(m.n_experts);
    for (int i = 0; i < n_tokens; i++) {
        std::vector<int> mine;
        while ((int)mine.size() < m.n_used) {
            int e = t.c.below(m.n_experts);
            if (std::find(mine.begin(), mine.end(), e) != mine.end()) continue;
            of[e].push_back(i * m.n_used + (int)mine.size());
            mine.push_back(e);
        }
    }
    int n_hit = 0;
    for (int e = 0; e < m.n_experts; e++) {
        int first = (int)sorted.size(), n = (int)of[e].size();
        sorted.insert(sorted.end(), of[e].begin(), of[e].end());
        for (int i = 0; i < n; i += tile) tiles.push_back({e, first + i, std::min(tile, n - i)});
        n_hit += n > 0;
    }
    *r = {};
    r->sorted = t.c.put(sorted);
    r->n_tiles = t.c.put(std::vector<int32_t>(1, (int32_t)tiles.size()));
    r->tiles = t.c.put(tiles);
    return n_hit;
}

static void time_experts(timer &t) {
    if (!t.is_wanted("experts")) return;
    const model &m = t.m;
    struct matrix gate = {nullptr, 2 * m.inner, m.hidden / 64},
                  down = {nullptr, m.hidden, m.inner / 64};
    size_t gate_bytes = t.bytes(gate), down_bytes = t.bytes(down);
    gate.data = t.random_rows(m.n_experts * gate_bytes, 1 / sqrt(m.hidden));
    down.data = t.random_rows(m.n_experts * down_bytes, 1 / sqrt(m.inner));
    for (int n : m.tokens) {
        double n_pairs = (double)n * m.n_used;
        void *x = t.random_rows((size_t)n * m.hidden * 2, 1);
        void *act = t.random_rows((size_t)(n_pairs * m.inner * 2), 1);
        void *y = t.random_rows((size_t)(n_pairs * m.hidden * 2), 1);
        for (int tile : tiles_for(n_pairs / m.n_experts)) {
            if (tile > expert_most_tokens(&t.c.queue, &gate, &down)) continue;
            struct routes lists[4];
            double n_hit = 0;
            int n_first = put_routes(t, &lists[0], n, tile);
            n_hit = n_first / 4.0;
            for (int i = 1; i < 4; i++) n_hit += put_routes(t, &lists[i], n, tile) / 4.0;
            struct expert_gate g = {gate, (int64_t)gate_bytes, x, act, m.hidden, m.inner, m.n_used,
                                    {}};
            struct expert_down d = {down, (int64_t)down_bytes, act, y, m.inner, m.hidden, m.hidden,
                                    {}};
            t.read = gate.data, t.read_bytes = (double)n_first * gate_bytes;
            t.run("expert_gate", n, tile, n_hit * gate_bytes + 2.0 * n_pairs * (m.hidden + m.inner),
                  4.0 * n_pairs * m.hidden * m.inner, [&](int i) {
                      g.routes = lists[i % 4];
                      return expert_gate_launch(&t.c.queue, &g, tile);
                  });
            t.read = down.data, t.read_bytes = (double)n_first * down_bytes;
            t.run("expert_down", n, tile, n_hit * down_bytes + 2.0 * n_pairs * (m.hidden + m.inner),
                  2.0 * n_pairs * m.hidden * m.inner, [&](int i) {
                      d.routes = lists[i % 4];
                      return expert_down_launch(&t.c.queue, &d, tile);
                  });
        }
    }
    t.c.release();
}

// ------------------------------------------------------------------ rows

static void time_rows(timer &t) {
    const model &m = t.m;
    t.read = nullptr;
    if (!t.is_wanted("rows") || !t.c.is_first_family) return;
    for (int n : m.tokens) {
        if (t.is_counted && n > m.most_rows) continue;
        size_t row = (size_t)n * m.hidden;
        struct router r = {};
        r.step = put_step(t.c, step_parts(n));
        r.h = (float *)t.random_rows(row * 4, 1), r.norm = (float *)t.random_rows(m.hidden * 4, 1);
        r.n = t.c.room<uint16_t>(row), r.hidden = r.stride = m.hidden, r.eps = 1e-5f;
        r.w = t.random_rows((size_t)m.n_experts * m.hidden * 2, 0.02), r.is_bf16 = 1;
        r.n_experts = m.n_experts, r.n_used = m.n_used, r.norm_topk = 1, r.scale = 1;
        size_t n_pairs = (size_t)n * m.n_used;
        r.routes.chosen = t.c.room<uint16_t>(n_pairs), r.routes.weights = t.c.room<float>(n_pairs);
        r.routes.experts = t.c.room<int32_t>(n_pairs), r.routes.sorted = t.c.room<int32_t>(n_pairs);
        r.routes.tiles = t.c.room<expert_tile>(n_pairs + m.n_experts);
        r.routes.n_tiles = t.c.room<int32_t>(1), r.routes.counters = t.c.zeros<uint32_t>(n + 1);
        r.routes.logits = t.c.room<float>((size_t)n * m.n_experts);
        r.n_moe = 1, r.token_tile = 8;
        t.run("router", n, 0, 6.0 * row + 2.0 * m.n_experts * m.hidden, 2.0 * m.n_experts * row,
              [&](int) { return router_launch(&t.c.queue, &r, n); });
        struct combine a = {};
        a.step = r.step, a.h = (float *)r.h, a.norm = r.norm, a.n = r.n;
        a.y = t.random_rows(n_pairs * m.hidden * 2, 1), a.weights = r.routes.weights;
        a.hidden = a.stride = a.y_stride = m.hidden, a.n_used = m.n_used, a.eps = 1e-5f;
        t.run("combine", n, 0, row * (8.0 + 2.0 + 2.0 * m.n_used), 0,
              [&](int) { return combine_launch(&t.c.queue, &a, n); });
        struct rms_norm b = {r.step, r.h, r.norm, r.n, m.hidden, m.hidden, 1e-5f};
        t.run("rms_norm", n, 0, row * 6.0, 0,
              [&](int) { return rms_norm_launch(&t.c.queue, &b, n); });
    }
    t.c.release();
}

// ------------------------------------------------------------------ attention

// Of all launches of a graph, by a kernel, as embed.cu does.
__global__ void set_to_zero(uint32_t *tickets) {
    tickets[threadIdx.x] = 0;
}

static void clear_tickets(const struct queue &q, uint32_t *tickets) {
    struct launch how;
    how.grid = dim3(1);
    how.block = dim3(MAX_COPIES);
    how.stream = (cudaStream_t)q.stream;
    need(launch_kernel(how, set_to_zero, tickets), "tickets");
}

static void time_decode(timer &t, int n, int context, bool is_chunked) {
    const model &m = t.m;
    t.read = nullptr;
    struct attention a = {};
    int pages = (context + PAGE - 1) / PAGE, n_cells = 0;
    int n_chunks = is_chunked ? (context + ATTENTION_CHUNK - 1) / ATTENTION_CHUNK : 1;
    step_parts p(n);
    for (int i = 0; i < n; i++) {
        p.runs.push_back({i, 1, context - 1, 0, -1, (int)p.pages.size()});
        for (int k = 0; k < pages; k++) p.pages.push_back(i * pages + k);
        for (int head = 0; head < m.n_kv_heads; head += ATTENTION_WARPS)
            for (int chunk = 0; chunk < n_chunks; chunk++)
                p.items.push_back({i, 0, 1, head, 0, is_chunked ? chunk : -1, n_chunks, n_cells});
        n_cells += m.n_kv_heads * n_chunks;
    }
    for (size_t i = p.pages.size(); i > 1; i--)
        std::swap(p.pages[i - 1], p.pages[t.c.below((int)i)]);
    double page = 4.0 * m.n_kv_heads * PAGE * m.head_dim, bytes = (double)n * context * page / PAGE;
    int copies = (int)std::min((double)MAX_COPIES, 1 + m.cold_bytes / bytes);
    a.step = put_step(t.c, p);
    a.q = t.random_rows((size_t)n * m.n_heads * m.head_dim * 2, 1);
    a.out = t.c.room<uint16_t>((size_t)n * m.n_heads * m.head_dim);
    a.q_stride = m.n_heads * m.head_dim;
    a.n_heads = m.n_heads, a.n_kv_heads = m.n_kv_heads, a.head_dim = a.head_rows = m.head_dim;
    a.scale = 0.125f, a.page_tokens = PAGE, a.is_bf16 = 1, a.page_bytes = (int64_t)page;
    const char *all = (const char *)t.random_rows((size_t)(copies * n * (double)pages * page), 1);
    a.cells = t.c.room<float>((size_t)n_cells * ATTENTION_ROWS * (m.head_dim + 2));
    a.counters = t.c.zeros<uint32_t>(n_cells);
    uint32_t *tickets = t.c.zeros<uint32_t>(MAX_COPIES);
    t.run(is_chunked ? "decode/chunk" : "decode", n, context, bytes,
          4.0 * n * context * m.n_heads * m.head_dim, [&](int i) {
              a.pages = all + (size_t)(i % copies) * (size_t)(n * (double)pages * page);
              a.ticket = tickets + i;
              if (i == 0) clear_tickets(t.c.queue, tickets);
              return attention_launch(&t.c.queue, &a);
          });
    t.c.release();
}

static void time_prefill(timer &t, int n) {
    const model &m = t.m;
    t.read = nullptr;
    struct attention a = {};
    int group = m.n_heads / m.n_kv_heads, most = ATTENTION_ROWS / group * ATTENTION_WARPS;
    step_parts p(n);
    p.runs.push_back({0, n, 0, 0, -1, 0});
    for (int k = 0; k <= n / PAGE; k++) p.pages.push_back(k);
    for (int first = (n - 1) / most * most; first >= 0; first -= most)
        for (int head = 0; head < m.n_kv_heads; head++)
            p.items.push_back({0, first, std::min(most, n - first), head, 1, -1, 1, 0});
    a.step = put_step(t.c, p);
    a.q = t.random_rows((size_t)n * m.n_heads * m.head_dim * 2, 1);
    a.out = t.c.room<uint16_t>((size_t)n * m.n_heads * m.head_dim);
    a.q_stride = m.n_heads * m.head_dim;
    a.n_heads = m.n_heads, a.n_kv_heads = m.n_kv_heads, a.head_dim = a.head_rows = m.head_dim;
    a.scale = 0.125f, a.page_tokens = PAGE, a.is_bf16 = 1;
    a.page_bytes = (int64_t)4 * m.n_kv_heads * PAGE * m.head_dim;
    a.pages = t.random_rows((n / PAGE + 1) * a.page_bytes, 1);
    uint32_t *tickets = t.c.zeros<uint32_t>(MAX_COPIES);
    t.run("prefill", n, 0, 4.0 * n * m.n_kv_heads * m.head_dim,
          2.0 * n * n * m.n_heads * m.head_dim, [&](int i) {
              a.ticket = tickets + i;
              if (i == 0) clear_tickets(t.c.queue, tickets);
              return attention_launch(&t.c.queue, &a);
          });
    t.c.release();
}

static void time_attention(timer &t) {
    if (!t.is_wanted("attention") || !t.c.is_first_family) return;
    for (int n : t.m.tokens) {
        if (n > t.m.most_rows) continue;
        time_decode(t, n, t.m.context, false);
        if (n <= 64) time_decode(t, n, t.m.context, true);
        if (n <= 16) time_decode(t, n, 8 * t.m.context, true);
    }
    time_prefill(t, t.m.context);
    time_prefill(t, 4 * t.m.context);
}

// ------------------------------------------------------------------ head

static void time_head(timer &t) {
    if (!t.is_wanted("head")) return;
    const model &m = t.m;
    struct matrix w = t.weights(m.vocab, m.hidden);
    for (int n : m.tokens) {
        if (n > m.most_rows) continue;
        for (int is_stored = 0; is_stored < 2; is_stored++) {
            struct draw_args a = {};
            step_parts p(n);
            for (int i = 0; i < n; i++) {
                step_want want = {};
                want.row = i, want.is_draw = 1, want.temperature = 1, want.penalty = 1;
                want.top_p = is_stored ? 0.95f : 1, want.needs_logits = is_stored, want.seen = -1;
                want.position = (uint32_t)i;
                p.rows.push_back({i, i, 1, is_stored ? p.n_stored++ : -1});
                p.wants.push_back(want);
            }
            a.head.step = put_step(t.c, p);
            a.head.n = t.random_rows((size_t)n * m.hidden * 2, 3);
            a.head.n_stride = m.hidden, a.head.vocab = m.vocab;
            a.head.missing = t.c.zeros<uint32_t>(m.vocab / 32);
            a.head.sums = t.c.room<head_sums>((size_t)n * (w.n_rows / HEAD_TILE));
            a.head.reached = t.c.zeros<uint32_t>(n);
            a.head.targets = t.c.room<float>(n);
            a.head.logits_stride = m.vocab;
            a.head.logits = t.c.room<float>((size_t)(p.n_stored + 1) * m.vocab);
            a.ids = t.c.room<int32_t>(4 * n);
            t.read = w.data;
            for (int tile : tiles_for(n)) {
                if (tile > 128) continue;
                t.run(is_stored ? "head/stored" : "head", n, tile,
                      t.bytes(w) + 2.0 * n * m.hidden + 4.0 * p.n_stored * m.vocab,
                      2.0 * n * m.hidden * m.vocab, [&](int i) {
                          a.head.w = t.copy_of(w, i);
                          return head_launch(&t.c.queue, &a.head, tile);
                      });
            }
            t.read = nullptr;
            t.run(is_stored ? "draw/top-p" : "draw", n, 0,
                  n * (double)sizeof(head_sums) * (w.n_rows / HEAD_TILE) +
                      4.0 * p.n_stored * m.vocab,
                  0, [&](int) { return draw_launch(&t.c.queue, &a, n); });
        }
    }
    t.c.release();
}

static void run_all(timer &t) {
    time_experts(t);
    time_residual(t, "out", t.m.hidden);
    time_residual(t, "down", t.m.dense);
    time_gate(t);
    time_conv(t);
    time_qkv(t);
    time_attention(t);
    time_head(t);
    time_rows(t);
}

void time_all(checker &c, const char *filter) {
    timer t(c, c.is_large ? MODEL_24B : MODEL_TINY, filter);
    if (!c.is_large) c.queue.n_sms = 3;
    run_all(t);
}
void count_all(checker &c, const char *filter) {
    timer t(c, MODEL_COUNTED, filter);
    t.is_counted = true;
    c.queue.n_sms = 3;
    run_all(t);
}
