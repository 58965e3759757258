// router: norm, choice, weights and the sorted lists.
#include "tests/cudasim/kernels/check.h"

struct router_shape {
    int n_tokens, hidden, n_experts, n_used, tile;
    bool is_bf16, with_bias, norm_topk;
};

struct router_case {
    const router_shape &s;
    int stride;
    std::vector<float> w, h, norm, bias;
    struct router a = {};

    router_case(checker &c, const router_shape &s) : s(s), stride(pad_to(s.hidden, 64)) {
        w.resize((size_t)s.n_experts * stride);
        for (int e = 0; e < s.n_experts; e++)
            for (int i = 0; i < s.hidden; i++) {
                float x = (float)(c.normal() * 2 / sqrt(s.hidden));
                w[(size_t)e * stride + i] = s.is_bf16 ? (float)from_bf16(to_bf16(x)) : x;
            }
        h.resize((size_t)s.n_tokens * stride);
        for (int t = 0; t < s.n_tokens; t++)
            for (int i = 0; i < s.hidden; i++) h[(size_t)t * stride + i] = c.normal() * 3;
        for (int i = 0; i < stride; i++) norm.push_back(1 + 0.2f * c.normal());
        for (int e = 0; e < s.n_experts; e++) bias.push_back(0.1f * c.normal());
        std::vector<uint16_t> rounded;
        for (float x : w) rounded.push_back(to_bf16(x));
        a.norm = c.put(norm);
        a.hidden = s.hidden, a.stride = stride, a.eps = 1e-5f;
        a.w = s.is_bf16 ? (void *)c.put(rounded) : (void *)c.put(w);
        a.is_bf16 = s.is_bf16, a.bias = s.with_bias ? c.put(bias) : nullptr;
        a.n_experts = s.n_experts, a.n_used = s.n_used, a.norm_topk = s.norm_topk, a.scale = 1.5f;
        a.moe_index = 1, a.n_moe = 3, a.token_tile = s.tile;
    }
    // On a device of n_sms, which decides the experts of a warp.
    void run(checker &c, const std::vector<int> &tokens, int n_sms) {
        struct queue queue = c.queue;
        queue.n_sms = n_sms;
        size_t n = tokens.size(), n_pairs = n * s.n_used;
        std::vector<float> some;
        for (int t : tokens)
            some.insert(some.end(), &h[(size_t)t * stride], &h[(size_t)t * stride] + stride);
        a.step = put_step(c, step_parts((int)n));
        a.h = c.put(some);
        a.n = c.room<uint16_t>(n * stride);
        a.routes.chosen = c.room<uint16_t>(n_pairs * a.n_moe);
        a.routes.weights = c.room<float>(n_pairs);
        a.routes.experts = c.room<int32_t>(n_pairs);
        a.routes.sorted = c.room<int32_t>(n_pairs);
        a.routes.tiles = c.room<expert_tile>(n_pairs / s.tile + s.n_experts);
        a.routes.n_tiles = c.room<int32_t>(1);
        a.routes.logits = c.room<float>(n * s.n_experts);
        a.routes.counters = c.zeros<uint32_t>(n + 1);
        c.ahead({a.h, a.n, a.routes.chosen, a.routes.weights, a.routes.experts, a.routes.sorted,
                 a.routes.tiles, a.routes.n_tiles, a.routes.logits, a.routes.counters});
        c.done(router_launch(&queue, &a, (int)n + c.below(30)), "router");
    }
    closeness compare(checker &c, size_t *n_different) {
        std::vector<uint16_t> n = c.get((uint16_t *)a.n, h.size());
        std::vector<uint16_t> chosen =
            c.get(a.routes.chosen, (size_t)s.n_tokens * s.n_used * a.n_moe);
        std::vector<float> weights = c.get(a.routes.weights, (size_t)s.n_tokens * s.n_used);
        closeness worst;
        struct model_shape m = {};
        m.n_experts = s.n_experts, m.n_experts_used = s.n_used;
        m.routed_scale = 1.5f, m.norm_topk = s.norm_topk;
        std::vector<double> biases(bias.begin(), bias.end());
        for (int t = 0; t < s.n_tokens; t++) {
            std::vector<double> x(s.hidden), y(s.hidden), v(norm.begin(), norm.end());
            for (int i = 0; i < s.hidden; i++) x[i] = h[(size_t)t * stride + i];
            reference_rms_norm(s.hidden, x.data(), v.data(), 1e-5, y.data());
            for (int i = 0; i < stride; i++)
                worst.add(from_bf16(n[(size_t)t * stride + i]), i < s.hidden ? y[i] : 0,
                          i < s.hidden ? bf16_error(y[i]) + 1e-6 : 1e-30);
            std::vector<double> logits(s.n_experts), of(s.n_used);
            std::vector<int> experts(s.n_used);
            for (int e = 0; e < s.n_experts; e++)
                for (int i = 0; i < s.hidden; i++) logits[e] += w[(size_t)e * stride + i] * y[i];
            double gap = reference_router(&m, logits.data(), s.with_bias ? biases.data() : nullptr,
                                          experts.data(), of.data());
            if (gap < 1e-5) continue;
            for (int k = 0; k < s.n_used; k++) {
                *n_different += chosen[((size_t)t * a.n_moe + 1) * s.n_used + k] != experts[k];
                worst.add(weights[t * s.n_used + k], of[k], 2e-5);
            }
        }
        return worst;
    }
    // The lists are what the choice says.
    size_t wrong_lists(checker &c) {
        size_t n_pairs = (size_t)s.n_tokens * s.n_used, n_wrong = 0, at = 0;
        std::vector<int32_t> experts = c.get(a.routes.experts, n_pairs);
        std::vector<int32_t> sorted = c.get(a.routes.sorted, n_pairs);
        size_t n_tiles = (size_t)c.get(a.routes.n_tiles, 1)[0], tile = 0;
        if (n_tiles > n_pairs / s.tile + s.n_experts) return n_tiles;
        std::vector<expert_tile> tiles = c.get(a.routes.tiles, n_tiles);
        for (int e = 0; e < s.n_experts; e++) {
            size_t first = at;
            for (size_t p = 0; p < n_pairs; p++)
                if (experts[p] == e) n_wrong += sorted[at++] != (int)p;
            for (; first < at; first += s.tile, tile++) {
                int n = at - first < (size_t)s.tile ? (int)(at - first) : s.tile;
                n_wrong += tile >= n_tiles || tiles[tile].expert != e ||
                           tiles[tile].first != (int)first || tiles[tile].n != n;
            }
        }
        for (uint32_t n : c.get(a.routes.counters, s.n_tokens + 1)) n_wrong += n != 0;
        return n_wrong + (tile != n_tiles) + (at != n_pairs);
    }
};

// Experts that are equal, and so unlikely that the sum of their weights is not far above what is
// added to it: the first ones are taken.
static void check_equal(checker &c) {
    const router_shape s = {9, 64, 40, 4, 8, true, false, true};
    router_case r(c, s);
    r.h.assign(r.h.size(), 1);
    r.a.w = c.put(std::vector<uint16_t>((size_t)s.n_experts * r.stride, to_bf16(-12.0 / 64)));
    r.a.norm = c.put(std::vector<float>(r.stride, 1));
    const double score = 1 / (1 + exp(12 / sqrt(1 + 1e-5)));
    for (int n_sms : {100, 1}) {
        closeness worst;
        size_t n_pairs = (size_t)s.n_tokens * s.n_used, n_wrong = 0;
        r.run(c, all_tokens(s.n_tokens), n_sms);
        std::vector<int32_t> experts = c.get(r.a.routes.experts, n_pairs);
        for (size_t i = 0; i < n_pairs; i++) n_wrong += experts[i] != (int)i % s.n_used;
        for (float weight : c.get(r.a.routes.weights, n_pairs))
            worst.add(weight, 1.5 * score / (s.n_used * score + 1e-6), 2e-5);
        c.line("router", "equal experts", worst);
        c.equal("router", "equal experts, experts", n_wrong);
    }
    c.release();
}

// Scores that a bias moves below 0 in their order, and behind all of them one that is no number.
static void check_order(checker &c) {
    const router_shape s = {3, 64, 5, 5, 8, true, true, false};
    const int32_t order[] = {2, 3, 4, 0, 1};
    router_case r(c, s);
    r.a.w = c.zeros<uint16_t>((size_t)s.n_experts * r.stride); // sigmoids are 0.5
    r.a.bias = c.put(std::vector<float>{-2, NAN, 0.25f, -0.5f, -1});
    r.run(c, all_tokens(s.n_tokens), 1);
    std::vector<int32_t> experts = c.get(r.a.routes.experts, (size_t)s.n_tokens * s.n_used);
    size_t n_wrong = 0;
    for (size_t i = 0; i < experts.size(); i++) n_wrong += experts[i] != order[i % s.n_used];
    c.equal("router", "scores of both signs, experts", n_wrong);
    c.release();
}

static void check_shape(checker &c, const router_shape &s) {
    router_case r(c, s);
    std::string shape = text("%d tokens, %d of %d, %d %s", s.n_tokens, s.n_used, s.n_experts,
                             s.hidden, s.is_bf16 ? "bf16" : "f32");
    std::vector<char> base;
    for (int n_sms : {100, 1}) {
        size_t n_different = 0;
        r.run(c, all_tokens(s.n_tokens), n_sms);
        closeness close = r.compare(c, &n_different);
        c.line("router", shape, close);
        c.equal("router", shape + ", experts", n_different);
        c.equal("router", shape + ", lists", r.wrong_lists(c));
    }
    check_bits(c, "router", shape, s.n_tokens, (size_t)s.n_used * 8, {100, 40, 20, 1},
               [&](const std::vector<int> &tokens, int n_sms) {
                   r.run(c, tokens, n_sms);
                   size_t n = tokens.size() * s.n_used;
                   std::vector<int32_t> e = c.get(r.a.routes.experts, n);
                   std::vector<float> w = c.get(r.a.routes.weights, n);
                   std::vector<char> out(n * 8);
                   for (size_t i = 0; i < n; i++) {
                       memcpy(&out[i * 8], &e[i], 4);
                       memcpy(&out[i * 8 + 4], &w[i], 4);
                   }
                   return out;
               });
    c.release();
}

void check_router(checker &c) {
    if (!c.is_first_family) return;
    check_shape(c, {1, 64, 4, 2, 8, false, true, true});
    check_shape(c, {37, 90, 5, 2, 8, true, false, false});
    check_shape(c, {150, 130, 33, 4, 16, false, true, true});
    check_shape(c, {11, 90, 100, 32, 8, true, true, true}); // all lanes hold a choice
    check_equal(c);
    check_order(c);
    if (c.is_large) check_shape(c, {700, 2048, 64, 4, 64, true, true, true});
}
