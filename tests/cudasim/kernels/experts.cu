// expert_gate, expert_down and combine: the grouped products from lists made here.
#include <algorithm>

#include "tests/cudasim/kernels/check.h"

static std::vector<int> tiles_of(const checker &c, const struct matrix &gate,
                                 const struct matrix &down) {
    std::vector<int> tiles = {8, 16, 32, 64, 128};
    if (expert_most_tokens(&c.queue, &gate, &down) > 128) tiles.push_back(256);
    return tiles;
}

struct expert_case {
    int n_tokens, n_experts, n_used, hidden, inner;
    std::vector<bf16_rows> w1, w3, w2;
    bf16_rows x;
    std::vector<int> chosen; // (tokens, n_used)
    std::vector<float> weights;
    struct expert_gate gate = {};
    struct expert_down down = {};

    expert_case(checker &c, int n_tokens, int n_experts, int n_used, int hidden, int inner)
        : n_tokens(n_tokens), n_experts(n_experts), n_used(n_used), hidden(hidden), inner(inner),
          x(n_tokens, hidden, pad_to(hidden, 64)) {
        x.fill(c, 1);
        make_weights(c);
        for (int t = 0; t < n_tokens; t++) {
            // Expert 1 has most of them, some have none.
            std::vector<int> mine;
            while ((int)mine.size() < n_used) {
                int e = mine.empty() && t % 4 ? 1 : c.below(n_experts);
                if (e != n_experts / 2 && std::find(mine.begin(), mine.end(), e) == mine.end())
                    mine.push_back(e);
            }
            chosen.insert(chosen.end(), mine.begin(), mine.end());
            for (int k = 0; k < n_used; k++) weights.push_back((float)reference_uniform(&c.random));
        }
    }
    void make_weights(checker &c) {
        std::vector<char> gates, downs;
        int gate_rows = pad_to(2 * pad_to(inner, 32), 128), down_rows = pad_to(hidden, 128);
        for (int e = 0; e < n_experts; e++) {
            bf16_rows a(inner, hidden, hidden), b(a), both(2 * inner, hidden, hidden);
            bf16_rows d(hidden, inner, inner);
            a.fill(c, 2 / sqrt(hidden));
            b.fill(c, 1 / sqrt(hidden));
            d.fill(c, 1 / sqrt(inner));
            both.v = a.v;
            both.v.insert(both.v.end(), b.v.begin(), b.v.end());
            std::vector<char> g = matrix_bytes(both, gate_rows, [&](int r) {
                int at = r / 64 * 32 + r % 32;
                return at >= inner ? -1 : r % 64 < 32 ? at : inner + at;
            });
            std::vector<char> o =
                matrix_bytes(d, down_rows, [&](int r) { return r < hidden ? r : -1; });
            gates.insert(gates.end(), g.begin(), g.end());
            downs.insert(downs.end(), o.begin(), o.end());
            w1.push_back(a), w3.push_back(b), w2.push_back(d);
        }
        gate.w = {c.put(gates), gate_rows, pad_to(hidden, 64) / 64};
        gate.expert_bytes = (int64_t)gates.size() / n_experts;
        down.w = {c.put(downs), down_rows, pad_to(inner, 64) / 64};
        down.expert_bytes = (int64_t)downs.size() / n_experts;
        gate.n_stride = down.y_stride = pad_to(hidden, 64);
        gate.act_stride = down.act_stride = pad_to(inner, 64);
        gate.n_used = n_used;
        down.n_out = hidden;
    }
    struct routes lists(checker &c, const std::vector<int> &tokens, int tile) {
        std::vector<int32_t> sorted;
        std::vector<struct expert_tile> tiles;
        int n_pairs = (int)tokens.size() * n_used;
        for (int e = 0; e < n_experts; e++) {
            int first = (int)sorted.size();
            for (int p = 0; p < n_pairs; p++)
                if (chosen[tokens[p / n_used] * n_used + p % n_used] == e) sorted.push_back(p);
            for (int i = first; i < (int)sorted.size(); i += tile)
                tiles.push_back({e, i, std::min(tile, (int)sorted.size() - i)});
        }
        struct routes r = {};
        r.sorted = c.put(sorted);
        r.n_tiles = c.put(std::vector<int32_t>(1, (int32_t)tiles.size()));
        r.tiles = c.put(tiles);
        return r;
    }
    // y, (pairs, y_stride)
    std::vector<uint16_t> run(checker &c, const std::vector<int> &tokens, int tile) {
        size_t n_pairs = tokens.size() * n_used;
        gate.routes = down.routes = lists(c, tokens, tile);
        gate.n = c.put(x.pick(tokens).v);
        gate.act = c.room<uint16_t>(n_pairs * gate.act_stride);
        down.act = gate.act;
        down.y = c.room<uint16_t>(n_pairs * down.y_stride);
        const struct routes &r = gate.routes;
        c.ahead({gate.n, gate.act, r.sorted, r.tiles, r.n_tiles});
        c.done(expert_gate_launch(&c.queue, &gate, tile), "expert_gate");
        c.ahead({down.act, down.y, r.sorted, r.tiles, r.n_tiles});
        c.done(expert_down_launch(&c.queue, &down, tile), "expert_down");
        return c.get((uint16_t *)down.y, n_pairs * down.y_stride);
    }
    closeness compare_act(checker &c) {
        std::vector<uint16_t> act =
            c.get((uint16_t *)gate.act, (size_t)n_tokens * n_used * gate.act_stride);
        std::vector<int32_t> sorted = c.get(gate.routes.sorted, (size_t)n_tokens * n_used);
        closeness worst;
        for (size_t i = 0; i < sorted.size(); i++)
            for (int r = 0; r < gate.act_stride; r++) {
                int t = sorted[i] / n_used, e = chosen[sorted[i]];
                double got = from_bf16(act[i * gate.act_stride + r]);
                if (r >= inner) {
                    worst.add(got, 0, 1e-30);
                    continue;
                }
                sum g = dot(w1[e].row(r), x.row(t), hidden),
                    u = dot(w3[e].row(r), x.row(t), hidden);
                double silu = reference_silu(g.value), want = silu * u.value;
                worst.add(got, want,
                          1.2 * fabs(u.value) * sum_error(g.magnitude, hidden) +
                              fabs(silu) * sum_error(u.magnitude, hidden) + bf16_error(want) +
                              1e-6);
            }
        return worst;
    }
    // From act as it is on the device.
    closeness compare_y(checker &c, const std::vector<uint16_t> &y) {
        std::vector<uint16_t> act =
            c.get((uint16_t *)gate.act, (size_t)n_tokens * n_used * gate.act_stride);
        std::vector<int32_t> sorted = c.get(gate.routes.sorted, (size_t)n_tokens * n_used);
        closeness worst;
        for (size_t i = 0; i < sorted.size(); i++)
            for (int r = 0; r < hidden; r++) {
                sum s = dot(w2[chosen[sorted[i]]].row(r), &act[i * gate.act_stride], inner);
                worst.add(from_bf16(y[(size_t)sorted[i] * down.y_stride + r]), s.value,
                          sum_error(s.magnitude, inner) + bf16_error(s.value));
            }
        return worst;
    }
    // h behind the first n_used terms of a column, added as the kernel does it.
    float combined(const std::vector<uint16_t> &y, float h, int t, int r) const {
        float sum = 0;
        for (int k = 0; k < n_used; k++)
            sum += weights[t * n_used + k] *
                   (float)from_bf16(y[(size_t)(t * n_used + k) * down.y_stride + r]);
        return h + sum;
    }
    closeness check_combine(checker &c, const std::vector<uint16_t> &y, size_t *n_different) {
        int stride = down.y_stride;
        std::vector<float> h((size_t)n_tokens * stride), norm(stride);
        for (int t = 0; t < n_tokens; t++)
            for (int r = 0; r < hidden; r++) h[(size_t)t * stride + r] = c.normal();
        for (int r = 0; r < hidden; r++) norm[r] = c.normal();
        struct combine a = {};
        a.step = put_step(c, step_parts(n_tokens));
        a.y = down.y;
        a.weights = c.put(weights);
        a.h = c.put(h);
        a.norm = c.put(norm);
        a.n = c.room<uint16_t>(h.size());
        a.hidden = hidden, a.stride = a.y_stride = stride, a.n_used = n_used, a.eps = 1e-5f;
        c.ahead({a.y, a.weights, a.h, a.n});
        c.done(combine_launch(&c.queue, &a, n_tokens), "combine");
        std::vector<float> have = c.get(a.h, h.size());
        std::vector<uint16_t> n = c.get((uint16_t *)a.n, h.size());
        closeness worst;
        for (int t = 0; t < n_tokens; t++) {
            std::vector<double> x(hidden), w(norm.begin(), norm.end()), out(hidden);
            for (int r = 0; r < hidden; r++) {
                double want = h[(size_t)t * stride + r], size = fabs(want);
                for (int k = 0; k < n_used; k++) {
                    double term = weights[t * n_used + k] *
                                  from_bf16(y[(size_t)(t * n_used + k) * stride + r]);
                    want += term, size += fabs(term);
                }
                worst.add(have[(size_t)t * stride + r], want, size * 0x1p-21 + 1e-30);
                *n_different +=
                    have[(size_t)t * stride + r] != combined(y, h[(size_t)t * stride + r], t, r);
                x[r] = have[(size_t)t * stride + r];
            }
            reference_rms_norm(hidden, x.data(), w.data(), 1e-5, out.data());
            for (int r = 0; r < stride; r++)
                worst.add(from_bf16(n[(size_t)t * stride + r]), r < hidden ? out[r] : 0,
                          r < hidden ? bf16_error(out[r]) + 1e-6 : 1e-30);
        }
        return worst;
    }
};

static void check_shape(checker &c, int n_tokens, int n_experts, int n_used, int hidden, int inner,
                        int n_sms) {
    expert_case e(c, n_tokens, n_experts, n_used, hidden, inner);
    std::string shape =
        text("%d tokens, %d of %d, %d x %d", n_tokens, n_used, n_experts, hidden, inner);
    int all_sms = c.queue.n_sms;
    if (n_sms) c.queue.n_sms = n_sms;
    std::vector<uint16_t> y;
    const std::vector<int> tiles = tiles_of(c, e.gate.w, e.down.w);
    for (int tile : tiles) {
        y = e.run(c, all_tokens(n_tokens), tile);
        c.line("expert_gate", shape + text(", tile %d", tile), e.compare_act(c));
        c.line("expert_down", shape + text(", tile %d", tile), e.compare_y(c, y));
    }
    c.queue.n_sms = all_sms;
    size_t n_different = 0;
    c.line("combine", shape, e.check_combine(c, y, &n_different));
    c.equal("combine", shape + ", order of the sum", n_different);
    check_bits(c, "experts", shape, n_tokens, (size_t)n_used * e.down.y_stride * 2, tiles,
               [&](const std::vector<int> &tokens, int tile) {
                   std::vector<uint16_t> v = e.run(c, tokens, tile);
                   // Columns behind the last one are never read.
                   for (size_t p = 0; p < tokens.size() * n_used; p++)
                       for (int r = hidden; r < e.down.y_stride; r++)
                           v[p * e.down.y_stride + r] = 0;
                   return bytes_of(v);
               });
    c.release();
}

void check_experts(checker &c) {
    check_shape(c, 1, 4, 3, 64, 32, 0);
    check_shape(c, 50, 5, 2, 140, 90, 1); // 256 rows of both: tiles of 256 tokens, too
    if (!c.is_small)
        check_shape(c, 3, 12, 10, 64, 32, 0); // more outputs than are asked for at once
    if (!c.is_small) check_shape(c, 50, 5, 2, 100, 90, 1);
    if (!c.is_small) check_shape(c, 180, 4, 2, 136, 40, 2);
    if (!c.is_small) check_shape(c, 300, 4, 2, 256, 120, 1);
    if (c.is_large) check_shape(c, 40, 8, 4, 2048, 1536, 0);
}
