// head and draw: scores, plain draws, and draws that look at stored logits.
#include <algorithm>

#include "tests/cudasim/kernels/check.h"

static const std::vector<int> TILES = {8, 16, 32, 64, 128};

// What is asked of a row.
struct ask {
    bool is_draw;
    int32_t target;
    float temperature, top_p, min_p, penalty;
    int top_k;
    bool with_bias;
    uint32_t position;
};

// Logits of few values, the same in every row: base, base + step, ... for ids in turn; 0: random
// ones.
struct levels {
    int n;
    double base, step;
};

struct head_case {
    int n_rows, vocab, hidden;
    bf16_rows w, x;
    std::vector<uint8_t> exists;
    std::vector<int32_t> seen, bias_ids;
    std::vector<float> biases;
    std::vector<uint32_t> seen_bits;
    std::vector<std::vector<double>> logits;
    struct draw_args a = {};
    bool is_greedy = false, is_stored = false; // every row: nothing but its largest logit
    int top_k = 5;
    float top_p = 0.6f, penalty = 1.3f;
    uint32_t first_position = 100;

    head_case(checker &c, int n_rows, int vocab, int hidden, struct levels levels = {0, 0, 0})
        : n_rows(n_rows), vocab(vocab), hidden(hidden), w(vocab, hidden, hidden),
          x(n_rows, hidden, pad_to(hidden, 64)), exists(vocab, 1) {
        w.fill(c, 3 / sqrt(hidden));
        x.fill(c, 1);
        if (levels.n) {
            w = bf16_rows(vocab, hidden, hidden), x = bf16_rows(n_rows, hidden, pad_to(hidden, 64));
            for (int i = 0; i < vocab; i++) {
                w.row(i)[0] = to_bf16(levels.base);
                w.row(i)[1] = to_bf16(i * 7 % levels.n * levels.step);
            }
            for (int t = 0; t < n_rows; t++) x.row(t)[0] = x.row(t)[1] = to_bf16(1);
        }
        std::vector<uint32_t> missing(pad_to(vocab, 128) / 32);
        for (int i = 0; i < vocab; i++)
            if (i % 5 == 3 || i >= vocab - 2) {
                missing[i / 32] |= 1u << i % 32;
                exists[i] = 0;
            }
        seen_bits.resize((vocab + 31) / 32);
        for (int id = 0; id < vocab; id += 2) {
            seen.push_back(id);
            seen_bits[id / 32] |= 1u << id % 32;
        }
        for (int i = 0; i < 7; i++) {
            bias_ids.push_back(i * (vocab / 7) + 1);
            biases.push_back(3 + c.normal()); // such ids are often drawn
        }
        for (int t = 0; t < n_rows; t++) {
            logits.push_back(std::vector<double>(vocab));
            for (int i = 0; i < vocab; i++) logits[t][i] = dot(w.row(i), x.row(t), hidden).value;
        }
        a.head.w = put_matrix(c, w);
        a.head.n_stride = x.stride, a.head.vocab = vocab;
        a.head.missing = c.put(missing);
        a.head.logits_stride = pad_to(vocab, 128);
    }
    ask ask_of(int t) const {
        ask q = {t % 3 != 0, (int32_t)(t * 37 % vocab),   t % 2 ? 1.0f : 0.7f, 1, 0, 1, 0,
                 false,      first_position + (uint32_t)t};
        if (is_greedy) {
            q.is_draw = true, q.temperature = 0, q.top_k = is_stored ? 5 : 0;
            return q;
        }
        if (t % 11 == 4) q.temperature = 0;
        if (t % 7 == 1) q.top_k = top_k;
        // With a bias the sum of all ids is another than that of the head's tiles.
        if (t % 7 == 2) q.top_p = top_p, q.with_bias = t % 14 == 9;
        if (t % 7 == 3) q.min_p = 0.1f;
        if (t % 7 == 4) q.penalty = penalty, q.with_bias = true, q.top_k = 40, q.top_p = 0.9f;
        if (t % 7 == 5) q.top_k = 7, q.top_p = 0.5f;
        if (t % 14 == 6) q.penalty = penalty, q.min_p = t % 28 == 20 ? 0.1f : 0;
        if (t % 14 == 13) q.with_bias = true;
        return q;
    }
    static bool needs_logits(const ask &q) {
        return q.is_draw &&
               (q.top_k || q.top_p < 1 || q.min_p > 0 || q.penalty != 1 || q.with_bias);
    }
    struct draw draw_of(const ask &q) const {
        struct draw d = {};
        d.temperature = q.temperature, d.top_p = q.top_p, d.min_p = q.min_p;
        d.repetition_penalty = q.penalty, d.top_k = q.top_k;
        d.seed = 0x123456789abcdefull, d.position = q.position, d.sample = 3;
        if (q.penalty != 1) d.seen = seen.data(), d.n_seen = (int)seen.size();
        if (q.with_bias) {
            d.bias_ids = bias_ids.data();
            d.bias = biases.data(), d.n_bias = (int)biases.size();
        }
        return d;
    }
    step_want want_of(const ask &q, int row) const {
        step_want w = {};
        w.row = row, w.target = q.target, w.is_draw = q.is_draw, w.needs_logits = needs_logits(q);
        w.temperature = q.temperature, w.top_p = q.top_p, w.min_p = q.min_p, w.penalty = q.penalty;
        w.top_k = q.top_k, w.position = q.position, w.sample = 3;
        w.seed_low = 0x89abcdefu, w.seed_high = 0x01234567u;
        w.seen = q.penalty != 1 ? 1 : -1;
        w.n_bias = q.with_bias ? (int)biases.size() : 0;
        return w;
    }
    // Of each row: its own want, and a score of another id.
    struct result {
        std::vector<int32_t> ids;
        std::vector<float> lp_full, lp_behav;
        std::vector<uint8_t> bad;
    };
    result run(checker &c, const std::vector<int> &tokens, int tile) {
        int n = (int)tokens.size(), n_wants = 2 * n;
        step_parts p(n);
        for (uint32_t bits : seen_bits) p.seen.push_back(~bits); // another want's
        p.seen.insert(p.seen.end(), seen_bits.begin(), seen_bits.end());
        p.bias_ids = bias_ids, p.biases = biases;
        for (int i = 0; i < n; i++) {
            ask q = ask_of(tokens[i]), score = q;
            score.is_draw = false, score.target = (q.target + 5) % vocab;
            bool stored = needs_logits(q);
            p.rows.push_back({i, 2 * i, 2, stored ? p.n_stored++ : -1});
            p.wants.push_back(want_of(q, i));
            p.wants.push_back(want_of(score, i));
        }
        a.head.step = put_step(c, p);
        a.head.n = c.put(x.pick(tokens).v);
        a.head.sums = c.room<head_sums>((size_t)n_wants * (a.head.w.n_rows / HEAD_TILE));
        a.head.reached = c.zeros<uint32_t>(n_wants);
        a.head.targets = c.room<float>(n_wants);
        a.head.logits = c.room<float>((size_t)(p.n_stored + 1) * a.head.logits_stride);
        a.ids = c.room<int32_t>(13 * (n_wants + 1) / 4 + 1);
        c.ahead({a.head.n, a.head.sums, a.head.reached, a.head.targets, a.head.logits});
        c.done(head_launch(&c.queue, &a.head, tile), "head");
        c.ahead({a.ids, a.head.sums, a.head.reached, a.head.targets, a.head.logits});
        c.done(draw_launch(&c.queue, &a, n_wants), "draw");
        result r;
        r.ids = c.get(a.ids, n_wants);
        for (uint32_t key : c.get(a.head.reached, n_wants))
            if (key) r.ids.assign(n_wants, -1); // left at 0
        r.lp_full = c.get((float *)a.ids + n_wants, n_wants);
        r.lp_behav = c.get((float *)a.ids + 2 * n_wants, n_wants);
        r.bad = c.get((uint8_t *)a.ids + 12 * n_wants, n_wants);
        return r;
    }
    double log_softmax(int t, int id, double temperature) const {
        std::vector<double> v(vocab), out(vocab);
        for (int i = 0; i < vocab; i++) v[i] = logits[t][i] / temperature;
        reference_log_softmax(vocab, v.data(), out.data());
        return out[id];
    }
    // Of the draw of row t.
    void compare_draw(int t, const ask &q, int id, double lp_behav, closeness &worst,
                      size_t *n_wrong) const {
        struct draw d = draw_of(q);
        std::vector<double> log_p(vocab);
        double edge, best = -INFINITY;
        int arg = 0;
        if (q.temperature == 0) d.temperature = 1, d.top_p = 1, d.min_p = 0, d.top_k = 0;
        reference_draw(vocab, logits[t].data(), &d, exists.data(), log_p.data(), &edge);
        for (int i = 0; i < vocab; i++) {
            double noise =
                q.temperature == 0 ? 0 : math_gumbel_of(d.seed, (uint32_t)i, d.position, d.sample);
            if (log_p[i] + noise > best) best = log_p[i] + noise, arg = i;
        }
        if (edge < 1e-4) return;
        double noise =
            q.temperature == 0 ? 0 : math_gumbel_of(d.seed, (uint32_t)id, d.position, d.sample);
        // Another id than the twin's may be drawn where both are as good.
        if (id != arg && !(id >= 0 && id < vocab && log_p[id] + noise > best - 1e-3))
            ++*n_wrong;
        else
            worst.add(lp_behav, q.temperature == 0 ? 0 : log_p[id], 1e-4);
    }
    closeness compare(const result &r, size_t *n_wrong) const {
        closeness worst;
        for (int t = 0; t < n_rows; t++) {
            ask q = ask_of(t);
            double temperature = q.temperature == 0 ? 1 : q.temperature;
            if (!q.is_draw) *n_wrong += r.ids[2 * t] != q.target;
            *n_wrong += r.ids[2 * t + 1] != (q.target + 5) % vocab;
            for (int i = 2 * t; i < 2 * t + 2; i++) {
                *n_wrong += r.bad[i] != 0;
                if (r.ids[i] < 0 || r.ids[i] >= vocab)
                    ++*n_wrong;
                else
                    worst.add(r.lp_full[i], log_softmax(t, r.ids[i], temperature), 1e-4);
            }
            if (q.is_draw) compare_draw(t, q, r.ids[2 * t], r.lp_behav[2 * t], worst, n_wrong);
        }
        return worst;
    }
};

static void check_bad(checker &c) {
    head_case h(c, 3, 300, 64);
    h.x.row(1)[5] = 0x7f80; // infinity
    head_case::result r = h.run(c, all_tokens(3), 8);
    size_t n_wrong = (r.bad[0] != 0) + (r.bad[2] != 1) + (r.bad[3] != 1) + (r.bad[4] != 0);
    c.equal("draw", "a row that is not finite", n_wrong);
    c.release();
}

// More ids in one bucket of a cut than its list holds (draw_cut.cuh), many of them equal.
static void check_flat(checker &c) {
    head_case h(c, 10, 1520, 64, {4, 0, 1.0 / 512});
    size_t n_wrong = 0;
    std::vector<double> log_p(h.vocab);
    double edge;
    struct draw d = h.draw_of(h.ask_of(2)); // top-p, whose border is clear enough to be compared
    reference_draw(h.vocab, h.logits[2].data(), &d, h.exists.data(), log_p.data(), &edge);
    n_wrong += d.top_p == 1 || edge < 1e-4;
    closeness close = h.compare(h.run(c, all_tokens(10), 16), &n_wrong);
    c.line("draw", "1,200 ids in a bucket", close);
    c.equal("draw", "1,200 ids in a bucket, ids", n_wrong);
    c.release();
}

// Likewise, with logits that differ in their last bits alone.
static void check_fine(checker &c) {
    head_case h(c, 10, 1500, 64, {64, 1, 0x1p-13});
    size_t n_wrong = 0;
    h.top_k = 100;
    closeness close = h.compare(h.run(c, all_tokens(10), 16), &n_wrong);
    c.line("draw", "1,200 ids of 64 logits", close);
    c.equal("draw", "1,200 ids of 64 logits, ids", n_wrong);
    c.release();
}

// Logits further apart than the buckets of a cut reach: the last one has all that lie beyond.
static void check_wide(checker &c) {
    head_case h(c, 10, 64, 64, {64, 0, 1});
    size_t n_wrong = 0;
    closeness close = h.compare(h.run(c, all_tokens(10), 16), &n_wrong);
    c.line("draw", "logits from 0 to 63", close);
    c.equal("draw", "logits from 0 to 63, ids", n_wrong);
    c.release();
}

// All ids are equal: top-p leaves exactly the half, and the first of them is the largest.
static void check_even(checker &c, int vocab) {
    head_case h(c, 3, vocab, 64, {1, 0, 0});
    int n = 0;
    for (uint8_t is_there : h.exists) n += is_there;
    h.top_p = 0.5f;
    closeness close;
    close.add(h.run(c, {2}, 8).lp_behav[0], -log(n / 2), 1e-5);
    c.line("draw", text("half of %d equal ids", n), close);
    size_t n_wrong = n % 2;
    h.is_greedy = true;
    for (bool is_stored : {false, true}) {
        h.is_stored = is_stored;
        head_case::result r = h.run(c, all_tokens(3), 8);
        for (int t = 0; t < 3; t++) n_wrong += r.ids[2 * t] != 0;
    }
    c.equal("draw", text("the first of %d equal ids", n), n_wrong);
    c.release();
}

// All ids but two are out, each as heavy as they: the least that may be left is no less than them.
static void check_tail(checker &c) {
    head_case h(c, 3, 1000, 64, {1, 0, 0});
    h.a.head.missing = c.zeros<uint32_t>(1024 / 32);
    h.top_p = 0.0015f;
    closeness close;
    close.add(h.run(c, {2}, 8).lp_behav[0], -log(2), 1e-5);
    c.line("draw", "2 of 1,000 equal ids", close);
    c.release();
}

// The rarest noise, of one id in 2^23, wins by little: nobody may have left its logarithms out.
static void check_rarest(checker &c) {
    const int rare = 170;
    const uint32_t position = 41101;
    head_case h(c, 14, 300, 64, {1, -60, 0});
    for (int i : {0, rare}) {
        h.w.row(i)[0] = to_bf16(i ? -14.125 : 0);
        h.w.row(i)[1] = to_bf16(i ? 0.03 : 0);
        for (int t = 0; t < h.n_rows; t++) h.logits[t][i] = i ? -14.125 + 0.03 : 0;
    }
    h.a.head.w = put_matrix(c, h.w);
    h.biases.assign(h.biases.size(), 0);
    uint64_t seed = h.draw_of(h.ask_of(0)).seed;
    float noise = math_gumbel_of(seed, rare, position, 3);
    size_t n_wrong = noise < 16.63f || noise - 14.095f < math_gumbel_of(seed, 0, position, 3);
    for (int t : {7, 13}) { // without logits, and with stored ones
        h.first_position = position - (uint32_t)t;
        n_wrong += h.needs_logits(h.ask_of(t)) != (t == 13);
        for (int tile : {8, 64}) n_wrong += h.run(c, {t}, tile).ids[0] != rare;
    }
    c.equal("draw", "the rarest noise", n_wrong);
    c.release();
}

// Penalties where all logits are below 0.
static void check_negative(checker &c) {
    head_case h(c, 21, 142, 64, {4, -3, 0.5});
    size_t n_wrong = 0;
    closeness close = h.compare(h.run(c, all_tokens(21), 32), &n_wrong);
    c.line("draw", "logits below 0", close);
    c.equal("draw", "logits below 0, ids", n_wrong);
    c.release();
}

// One id's logit is no number, in the first of more tiles than a block of the draw has threads.
static void check_one_bad(checker &c) {
    head_case h(c, 8, 65700, 64);
    h.w.row(4)[0] = 0x7fc0;
    h.a.head.w = put_matrix(c, h.w);
    size_t n_wrong = 0;
    head_case::result r = h.run(c, {1, 7}, 8); // of stored logits, and of none
    for (uint8_t bad : r.bad) n_wrong += bad != 1;
    for (int32_t id : r.ids) n_wrong += id < 0; // what ids had reached was left to the next step
    c.equal("draw", "a logit of 65,700 that is no number", n_wrong);
    c.release();
}

// A logit that a bias and a penalty, or a bias and a temperature, make infinite.
static void check_overflow(checker &c) {
    head_case h(c, 33, 300, 64);
    h.biases[0] = 3e38f, h.penalty = 0.5f;
    h.seen_bits[0] |= 1 << h.bias_ids[0];
    head_case::result r = h.run(c, {25}, 8);
    c.equal("draw", "a logit that becomes infinite", (r.bad[0] != 1) + (r.bad[1] != 0));
    h.penalty = 1;
    r = h.run(c, {32}, 8);
    c.equal("draw", "a logit over 0.7 that does", (r.bad[0] != 1) + (r.bad[1] != 0));
    c.release();
}

// A penalty that makes all logits -infinity: nobody is left to be drawn.
static void check_nobody(checker &c) {
    head_case h(c, 21, 142, 64, {1, -3, 0});
    h.penalty = 3e38f;
    h.seen_bits.assign(h.seen_bits.size(), ~0u);
    head_case::result r = h.run(c, {20}, 8);
    c.equal("draw", "all logits -infinity", (r.bad[0] != 1) + (r.bad[1] != 0) + (r.ids[0] != 0));
    c.release();
}

// Enough rows that the largest logit has stood in every place of a thread's group.
static void check_greedy(checker &c) {
    const int n_rows = c.is_small ? 6 : 64;
    head_case h(c, n_rows, c.is_small ? 140 : 300, 64);
    h.is_greedy = true;
    for (int tile : {8, 64}) {
        if (c.is_small && tile > 8) continue;
        size_t n_wrong = 0;
        closeness close = h.compare(h.run(c, all_tokens(n_rows), tile), &n_wrong);
        c.line("draw", text("greedy, tile %d", tile), close);
        c.equal("draw", text("greedy, tile %d, ids", tile), n_wrong);
    }
    c.release();
}

static void check_shape(checker &c, int n_rows, int vocab, int hidden, int n_sms) {
    head_case h(c, n_rows, vocab, hidden);
    std::string shape = text("%d rows, %d x %d", n_rows, vocab, hidden);
    int all_sms = c.queue.n_sms;
    if (n_sms) c.queue.n_sms = n_sms;
    for (int tile : TILES) {
        size_t n_wrong = 0;
        closeness close = h.compare(h.run(c, all_tokens(n_rows), tile), &n_wrong);
        c.line("head, draw", shape + text(", tile %d", tile), close);
        c.equal("head, draw", shape + text(", tile %d, ids", tile), n_wrong);
    }
    c.queue.n_sms = all_sms;
    check_bits(c, "head, draw", shape, n_rows, 24, TILES,
               [&](const std::vector<int> &tokens, int tile) {
                   head_case::result r = h.run(c, tokens, tile);
                   std::vector<char> out(r.ids.size() * 12);
                   for (size_t i = 0; i < r.ids.size(); i++) {
                       memcpy(&out[i * 12], &r.ids[i], 4);
                       memcpy(&out[i * 12 + 4], &r.lp_full[i], 4);
                       memcpy(&out[i * 12 + 8], &r.lp_behav[i], 4);
                   }
                   return out;
               });
    c.release();
}

void check_head(checker &c) {
    check_bad(c);
    check_flat(c);
    check_even(c, 142);
    check_overflow(c);
    check_nobody(c);
    if (!c.is_small) {
        check_negative(c);
        check_fine(c);
        check_wide(c);
        check_tail(c);
        check_rarest(c);
        check_even(c, 1282); // 1,024 ids: as many as the list of a bucket holds
        check_even(c, 1502);
        check_even(c, 4102); // the last to survive is the first of the second 2,048
        check_one_bad(c);
    }
    check_greedy(c);
    // The last group of 4 ids has 3 of them, the first of which the tokenizer knows.
    check_shape(c, 2, 135, 64, 0);
    check_shape(c, c.is_small ? 12 : 40, c.is_small ? 299 : 699, 90, 1);
    if (c.is_large) check_shape(c, 140, 8192, 512, 0);
}
