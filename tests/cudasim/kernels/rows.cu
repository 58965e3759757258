// embed and rms_norm.
#include "tests/cudasim/kernels/check.h"

static void compare_norm(closeness &worst, const std::vector<float> &h, const std::vector<float> &w,
                         const std::vector<uint16_t> &n, int n_tokens, int hidden, int stride) {
    std::vector<double> x(hidden), v(w.begin(), w.end()), y(hidden);
    for (int t = 0; t < n_tokens; t++) {
        for (int i = 0; i < hidden; i++) x[i] = h[(size_t)t * stride + i];
        reference_rms_norm(hidden, x.data(), v.data(), 1e-5, y.data());
        for (int i = 0; i < stride; i++)
            worst.add(from_bf16(n[(size_t)t * stride + i]), i < hidden ? y[i] : 0,
                      i < hidden ? bf16_error(y[i]) + 1e-6 : 1e-30);
    }
}

static void check_rms_norm(checker &c, int n_tokens, int hidden) {
    int stride = pad_to(hidden, 64);
    std::vector<float> h((size_t)n_tokens * stride), w(stride);
    for (int t = 0; t < n_tokens; t++)
        for (int i = 0; i < hidden; i++) h[(size_t)t * stride + i] = 4 * c.normal();
    for (float &x : w) x = c.normal();
    struct rms_norm a = {put_step(c, step_parts(n_tokens)),
                         c.put(h),
                         c.put(w),
                         c.room<uint16_t>(h.size()),
                         hidden,
                         stride,
                         1e-5f};
    c.ahead({a.h, a.n});
    c.done(rms_norm_launch(&c.queue, &a, n_tokens), "rms_norm");
    closeness worst;
    compare_norm(worst, h, w, c.get((uint16_t *)a.n, h.size()), n_tokens, hidden, stride);
    c.line("rms_norm", text("%d tokens, %d", n_tokens, hidden), worst);
    c.release();
}

struct embed_case {
    enum { VOCAB = 70, N_ROPE = 16, LAYERS = 3, PAST = 2, RING = 3, SLOTS = 4 };
    int n_tokens, hidden, stride, entry;
    bool is_bf16;
    bf16_rows w;
    std::vector<float> norm, frequencies;
    std::vector<char> slots;
    step_parts p;
    struct embed a = {};

    embed_case(checker &c, int n_tokens, int hidden, bool is_bf16)
        : n_tokens(n_tokens), hidden(hidden), stride(pad_to(hidden, 64)),
          entry(hidden * (is_bf16 ? 2 : 4)), is_bf16(is_bf16), w(VOCAB, hidden, hidden) {
        w.fill(c, 1);
        for (int i = 0; i < stride; i++) norm.push_back(c.normal());
        for (int d = 0; d < N_ROPE; d++)
            frequencies.push_back(math_inverse_frequency(1e6f, d, 2 * N_ROPE));
        for (int t = 0; t < n_tokens; t++)
            p.tokens.push_back({c.below(VOCAB), c.below(30000), 0, 0});
        p.runs = {{0, 1, 0, 1, -1, 0}, {1, 1, 7, 3, 0, 0}, {2, 1, 1, 0, 1, 0}};
        p.snapshots = {1, 2};
        a.slot_bytes = (int64_t)LAYERS * RING * entry + 16;
        for (int i = 0; i < SLOTS * a.slot_bytes; i++) slots.push_back((char)c.below(256));
        size_t rows = (size_t)n_tokens * stride, angles = (size_t)n_tokens * N_ROPE;
        a.step = put_step(c, p);
        a.embedding = put_matrix(c, w);
        a.hidden = hidden, a.stride = stride, a.eps = 1e-5f, a.norm = c.put(norm);
        a.h = c.room<float>(rows), a.n = c.room<uint16_t>(rows);
        a.frequencies = c.put(frequencies), a.n_rope = N_ROPE;
        a.cosine = c.room<float>(angles), a.sine = c.room<float>(angles);
        a.slots = c.put(slots);
        a.snapshots = c.room<char>((size_t)2 * LAYERS * PAST * entry);
        a.is_bf16 = is_bf16, a.n_conv_layers = LAYERS, a.n_ring = RING, a.n_past = PAST;
        a.tickets = c.room<uint32_t>(5), a.n_tickets = 5;
    }
    size_t wrong_snapshots(checker &c) const {
        std::vector<char> have = c.get((char *)a.snapshots, (size_t)2 * LAYERS * PAST * entry);
        size_t n = 0;
        for (int s = 0; s < 2; s++)
            for (int l = 0; l < LAYERS; l++)
                for (int k = 0; k < PAST; k++) {
                    const step_run &run = p.runs[p.snapshots[s]];
                    int position = run.position - PAST + k;
                    if (position < 0) continue;
                    const char *from = &slots[run.conv_slot * a.slot_bytes +
                                              (size_t)(l * RING + position % RING) * entry];
                    n += memcmp(&have[((size_t)(s * LAYERS + l) * PAST + k) * entry], from,
                                entry) != 0;
                }
        return n;
    }
    size_t wrong_rows(checker &c, const std::vector<float> &h) const {
        std::vector<float> co = c.get(a.cosine, (size_t)n_tokens * N_ROPE);
        std::vector<float> si = c.get(a.sine, (size_t)n_tokens * N_ROPE);
        size_t n = 0;
        for (int t = 0; t < n_tokens; t++) {
            for (int i = 0; i < stride; i++)
                n += h[(size_t)t * stride + i] != (i < hidden ? w.at(p.tokens[t].id, i) : 0);
            for (int d = 0; d < N_ROPE; d++) {
                float s, k;
                math_sin_cos((float)p.tokens[t].position * frequencies[d], &s, &k);
                n += co[t * N_ROPE + d] != k || si[t * N_ROPE + d] != s;
            }
        }
        for (uint32_t ticket : c.get(a.tickets, 5)) n += ticket != 0;
        return n;
    }
};

static void check_embed(checker &c, int n_tokens, int hidden, bool is_bf16) {
    embed_case e(c, n_tokens, hidden, is_bf16);
    std::string shape = text("%d tokens, %d %s", n_tokens, hidden, is_bf16 ? "bf16" : "f32");
    c.ahead({e.a.h, e.a.n, e.a.cosine, e.a.sine, e.a.slots, e.a.snapshots, e.a.tickets});
    c.done(embed_launch(&c.queue, &e.a, n_tokens), "embed");
    std::vector<float> h = c.get(e.a.h, (size_t)n_tokens * e.stride);
    closeness worst;
    compare_norm(worst, h, e.norm, c.get((uint16_t *)e.a.n, h.size()), n_tokens, hidden, e.stride);
    c.line("embed", shape, worst);
    c.equal("embed", shape + ", rows and state", e.wrong_rows(c, h) + e.wrong_snapshots(c));
    c.release();
}

void check_rows(checker &c) {
    if (!c.is_first_family) return;
    check_rms_norm(c, 1, 64);
    check_rms_norm(c, 17, 1030);
    check_embed(c, 3, 90, true);
    check_embed(c, 20, 600, false);
    int all_sms = c.queue.n_sms;
    c.queue.n_sms = 1;
    check_rms_norm(c, 40, 90);
    check_embed(c, 30, 64, true);
    c.queue.n_sms = all_sms;
}
