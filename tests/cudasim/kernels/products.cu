// residual and gate: dense products and their epilogues.
#include "kernels/cuda/ops_gemm.h"
#include "tests/cudasim/kernels/check.h"

#ifdef CUDASIM
#include "tests/cudasim/cudasim.h"
#endif

struct dense_case {
    int n_tokens, n_out, n_in;
    bool with_bias;
};

// ------------------------------------------------------------------ residual

struct residual_case {
    const dense_case &shape;
    bf16_rows w, x;
    std::vector<float> h, bias;
    struct residual a = {};
    int h_stride;

    residual_case(checker &c, const dense_case &s)
        : shape(s), w(s.n_out, s.n_in, s.n_in), x(s.n_tokens, s.n_in, pad_to(s.n_in, 64)) {
        w.fill(c, 1 / sqrt(s.n_in));
        x.fill(c, 1);
        h_stride = pad_to(s.n_out, 64);
        h.resize((size_t)s.n_tokens * h_stride);
        for (int t = 0; t < s.n_tokens; t++)
            for (int r = 0; r < s.n_out; r++) h[(size_t)t * h_stride + r] = c.normal();
        bias.resize(pad_to(s.n_out, 128));
        for (int r = 0; r < s.n_out; r++) bias[r] = c.normal();
        a.w = put_matrix(c, w);
        a.bias = s.with_bias ? c.put(bias) : nullptr;
        a.x_stride = x.stride;
        a.h_stride = h_stride;
        a.n_out = s.n_out;
    }
    std::vector<float> run(checker &c, const std::vector<int> &tokens, int size) {
        std::vector<float> some;
        for (int t : tokens)
            some.insert(some.end(), h.begin() + (size_t)t * h_stride,
                        h.begin() + (size_t)(t + 1) * h_stride);
        a.step = put_step(c, step_parts((int)tokens.size()));
        a.x = c.put(x.pick(tokens).v);
        a.h = c.put(some);
        c.ahead({a.x, a.h});
        c.done(residual_launch(&c.queue, &a, size), "residual");
        return c.get(a.h, some.size());
    }
    closeness compare(const std::vector<float> &have) const {
        closeness worst;
        for (int t = 0; t < shape.n_tokens; t++)
            for (int r = 0; r < h_stride; r++) {
                sum s = {0, 0};
                if (r < shape.n_out) s = dot(w.row(r), x.row(t), shape.n_in);
                size_t at = (size_t)t * h_stride + r;
                double want = h[at] + s.value + (shape.with_bias ? bias[r] : 0);
                double allow = sum_error(s.magnitude, shape.n_in) + (fabs(want) + 4) * 0x1p-22;
                worst.add(have[at], want, allow);
            }
        return worst;
    }
};

static void check_residual(checker &c, const dense_case &s, int n_sms) {
    residual_case r(c, s);
    std::string shape =
        text("%d tokens, %d x %d%s", s.n_tokens, s.n_out, s.n_in, s.with_bias ? ", bias" : "");
    int all_sms = c.queue.n_sms;
    if (n_sms) c.queue.n_sms = n_sms;
    for (int size : dense_sizes(c))
        c.line("residual", shape + text(", for %d", size),
               r.compare(r.run(c, all_tokens(s.n_tokens), size)));
    c.queue.n_sms = all_sms;
    check_bits(
        c, "residual", shape, s.n_tokens, (size_t)r.h_stride * 4, dense_sizes(c),
        [&](const std::vector<int> &tokens, int size) { return bytes_of(r.run(c, tokens, size)); });
    c.release();
}

#ifdef CUDASIM
static uint64_t prefetched(const struct matrix &m) {
    struct cudasim_counts counts = {};
    cudasim_buffer_counts(nullptr, m.data, &counts);
    return counts.bytes_prefetched;
}

// What goes to the L2 cache: of a tile what its ring does not hold, each byte once; and the whole
// matrix that was named.
static void check_ahead(checker &c) {
    const dense_case s = {3, 128, 4096, false};
    residual_case r(c, s);
    bf16_rows later(96, 4096, 4096);
    struct matrix next = put_matrix(c, later);
    const bool is_wgmma = c.queue.family == FAMILY_WGMMA;
    const uint64_t tile_bytes = 16 * 4096 * 2, all = 128 * 4096 * 2;
    int all_sms = c.queue.n_sms;
    c.queue.n_sms = 8; // as many as there are tiles of 16 rows
    for (bool with_next : {false, true}) {
        r.a.ahead = with_next ? next : matrix{};
        cudasim_clear_counts();
        r.run(c, all_tokens(3), 8);
        uint64_t own = prefetched(r.a.w), ring = (all - own) / 8;
        bool is_right = is_wgmma ? own > 0 && ring <= 96 * 1024 && ring < tile_bytes : own == 0;
        is_right &= prefetched(next) == (is_wgmma && with_next ? all : 0);
        c.equal("residual", with_next ? "prefetched, with the next" : "prefetched", !is_right);
    }
    c.queue.n_sms = all_sms;
    c.release();
}
#else
static void check_ahead(checker &) {}
#endif

// ------------------------------------------------------------------ gate

struct gate_case {
    const dense_case &shape;
    bf16_rows w1, w3, x;
    struct gate a = {};

    gate_case(checker &c, const dense_case &s)
        : shape(s), w1(s.n_out, s.n_in, s.n_in), w3(w1), x(s.n_tokens, s.n_in, pad_to(s.n_in, 64)) {
        w1.fill(c, 2 / sqrt(s.n_in));
        w3.fill(c, 1 / sqrt(s.n_in));
        x.fill(c, 1);
        bf16_rows both(2 * s.n_out, s.n_in, s.n_in);
        both.v = w1.v;
        both.v.insert(both.v.end(), w3.v.begin(), w3.v.end());
        a.w = put_matrix(c, both, 2 * pad_to(s.n_out, 32), 128, [&](int r) {
            int at = r / 64 * 32 + r % 32;
            return at >= s.n_out ? -1 : r % 64 < 32 ? at : s.n_out + at;
        });
        a.n_stride = x.stride;
        a.act_stride = pad_to(s.n_out, 64);
    }
    std::vector<uint16_t> run(checker &c, const std::vector<int> &tokens, int size,
                              bool is_by_library = false) {
        size_t n = tokens.size() * a.act_stride;
        a.step = put_step(c, step_parts((int)tokens.size()));
        a.n = c.put(x.pick(tokens).v);
        a.act = c.room<uint16_t>(n);
        if (is_by_library) {
            const float *sums = matrix_sums(c, a.step, a.w, a.n, a.n_stride, (int)tokens.size());
            c.ahead({sums, a.act});
            c.done(gate_finish_launch(&c.queue, &a, sums), "gate_finish");
        } else {
            c.ahead({a.n, a.act});
            c.done(gate_launch(&c.queue, &a, size), "gate");
        }
        return c.get((uint16_t *)a.act, n);
    }
    closeness compare(const std::vector<uint16_t> &have) const {
        closeness worst;
        for (int t = 0; t < shape.n_tokens; t++)
            for (int r = 0; r < a.act_stride; r++) {
                double got = from_bf16(have[(size_t)t * a.act_stride + r]);
                if (r >= shape.n_out) {
                    worst.add(got, 0, 1e-30);
                    continue;
                }
                sum g = dot(w1.row(r), x.row(t), shape.n_in);
                sum u = dot(w3.row(r), x.row(t), shape.n_in);
                double silu = reference_silu(g.value), want = silu * u.value;
                double allow = 1.2 * fabs(u.value) * sum_error(g.magnitude, shape.n_in) +
                               fabs(silu) * sum_error(u.magnitude, shape.n_in) + bf16_error(want) +
                               1e-6;
                worst.add(got, want, allow);
            }
        return worst;
    }
};

static void check_gate(checker &c, const dense_case &s, int n_sms) {
    gate_case g(c, s);
    std::string shape = text("%d tokens, %d x %d", s.n_tokens, s.n_out, s.n_in);
    int all_sms = c.queue.n_sms;
    if (n_sms) c.queue.n_sms = n_sms;
    for (int size : dense_sizes(c))
        c.line("gate", shape + text(", for %d", size),
               g.compare(g.run(c, all_tokens(s.n_tokens), size)));
    c.equal("gate", shape + ", by a library",
            g.run(c, all_tokens(s.n_tokens), s.n_tokens, true) !=
                g.run(c, all_tokens(s.n_tokens), s.n_tokens));
    c.queue.n_sms = all_sms;
    check_bits(
        c, "gate", shape, s.n_tokens, (size_t)g.a.act_stride * 2, dense_sizes(c),
        [&](const std::vector<int> &tokens, int size) { return bytes_of(g.run(c, tokens, size)); });
    c.release();
}

void check_products(checker &c) {
    check_residual(c, {1, 64, 64, false}, 0);
    check_residual(c, {21, 200, 90, true}, 1);
    check_residual(c, {c.is_small ? 70 : 150, 140, c.is_small ? 300 : 700, false}, 1);
    // 384 rows: no tiles of 256; several of 128 a block.
    check_residual(c, {21, 300, 90, true}, 1);
    check_ahead(c);
    check_gate(c, {3, 32, 64, false}, 0);
    check_gate(c, {70, 90, c.is_small ? 330 : 720, false}, 1);
    check_gate(c, {21, 160, 90, false}, 1);
    if (!c.is_small) {
        check_residual(c, {300, 500, 90, true}, 1);
        check_gate(c, {330, 200, 90, false}, 1);
    }
    if (!c.is_large) return;
    check_residual(c, {150, 2048, 2048, false}, 0);
    check_residual(c, {12, 2048, 11776, false}, 0);
    check_residual(c, {1100, 2048, 2048, false}, 0);
    check_gate(c, {150, 1536, 2048, false}, 0);
}
