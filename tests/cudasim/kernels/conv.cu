// conv_in: whole sequences in one step, in chunks over several steps, and as single tokens.
#include "kernels/cuda/ops_gemm.h"
#include "tests/cudasim/kernels/check.h"

static const std::vector<int> SIZES = {16, 32, 64, 128, 256, 512};

struct conv_shape {
    int hidden, width, n_ring;
    bool is_bf16, with_bias;
    std::vector<int> lengths; // of the sequences
};

// A piece of a sequence in a step.
struct piece {
    int sequence, first, n;
};

struct conv_case {
    const conv_shape &s;
    bf16_rows w; // B, C, x
    std::vector<bf16_rows> x;
    std::vector<float> taps, bias, taps_bias;
    struct conv_in a = {};
    int padded;
    int64_t slot_bytes;

    conv_case(checker &c, const conv_shape &s) : s(s), w(3 * s.hidden, s.hidden, s.hidden) {
        w.fill(c, 1 / sqrt(s.hidden));
        padded = pad_to(s.hidden, 64);
        for (int n : s.lengths) {
            x.push_back(bf16_rows(n, s.hidden, padded));
            x.back().fill(c, 1);
        }
        for (int i = 0; i < s.width * s.hidden; i++) taps.push_back(c.normal());
        for (int i = 0; i < 3 * s.hidden; i++) bias.push_back(c.normal());
        for (int i = 0; i < s.hidden; i++) taps_bias.push_back(c.normal());
        int hidden = s.hidden;
        a.w = put_matrix(c, w, 3 * pad_to(hidden, 32), 192, [=](int r) {
            int channel = r / 96 * 32 + r % 32;
            return channel < hidden ? r % 96 / 32 * hidden + channel : -1;
        });
        a.stride = padded, a.hidden = hidden, a.width = s.width, a.n_ring = s.n_ring;
        a.taps = c.put(taps);
        a.bias = s.with_bias ? c.put(bias) : nullptr;
        a.taps_bias = s.with_bias ? c.put(taps_bias) : nullptr;
        a.is_bf16 = s.is_bf16;
        slot_bytes = a.slot_bytes = pad_to(s.n_ring * hidden * (s.is_bf16 ? 2 : 4), 16) + 32;
        a.snapshot_bytes = (s.width - 1) * hidden * (s.is_bf16 ? 2 : 4);
        a.slots = c.room<char>(slot_bytes * s.lengths.size());
    }
    void forget(checker &c) { // the slots hold anything
        std::vector<char> poison(slot_bytes * s.lengths.size(), (char)0xff);
        c.copy(a.slots, poison.data(), poison.size());
    }

    // Rows of the description: tiles whose first rows may be tokens of the tile before, for what
    // the next ones need.
    void cut(step_parts &p, const std::vector<piece> &pieces, int tile) {
        int token = 0;
        std::vector<int> n_tiles(pieces.size());
        for (size_t i = 0; i < pieces.size(); i++) {
            for (int k = 0; k < pieces[i].n; k++) {
                bool is_new = p.conv_rows.size() % tile == 0;
                if (is_new && k > 0) {
                    int halo = k < s.width - 1 ? k : s.width - 1;
                    for (int b = halo; b > 0; b--) p.conv_rows.push_back((token - b) | CONV_HALO);
                }
                if (is_new || k == 0) n_tiles[i]++;
                p.conv_rows.push_back(token++);
            }
        }
        while (p.conv_rows.size() % tile) p.conv_rows.push_back(-1);
        for (size_t i = 0; i < pieces.size(); i++)
            if (n_tiles[i] > 1) {
                p.runs[i].snapshot = (int)p.snapshots.size();
                p.snapshots.push_back((int)i);
            }
    }
    // What embed does.
    void *snapshots(checker &c, const step_parts &p) {
        size_t bytes = a.snapshot_bytes, entry = bytes / (s.width - 1);
        std::vector<char> slots = c.get((char *)a.slots, slot_bytes * s.lengths.size());
        std::vector<char> v((p.snapshots.size() + 1) * bytes, (char)0xff);
        for (size_t i = 0; i < p.snapshots.size(); i++) {
            const step_run &run = p.runs[p.snapshots[i]];
            for (int k = 0; k < s.width - 1; k++) {
                int position = run.position - (s.width - 1) + k;
                if (position < 0) continue;
                memcpy(&v[i * bytes + k * entry],
                       &slots[run.conv_slot * slot_bytes + position % s.n_ring * entry], entry);
            }
        }
        return c.put(v);
    }
    // y of the pieces' tokens, in order.
    std::vector<uint16_t> step(checker &c, const std::vector<piece> &pieces, int size,
                               bool is_by_library = false) {
        step_parts p;
        std::vector<uint16_t> n;
        for (size_t i = 0; i < pieces.size(); i++) {
            const piece &e = pieces[i];
            p.runs.push_back({(int)p.tokens.size(), e.n, e.first, e.sequence, -1, 0});
            for (int k = 0; k < e.n; k++) {
                p.tokens.push_back({0, e.first + k, 0, (int)i});
                const uint16_t *row = x[e.sequence].row(e.first + k);
                n.insert(n.end(), row, row + padded);
            }
        }
        cut(p, pieces, conv_in_tile(&c.queue, size));
        a.step = put_step(c, p);
        a.n = c.put(n);
        a.snapshots = snapshots(c, p);
        a.y = c.room<uint16_t>(n.size());
        if (is_by_library) {
            const float *sums = matrix_sums(c, a.step, a.w, a.n, padded, (int)p.tokens.size());
            c.ahead({sums, a.y, a.slots, a.snapshots});
            c.done(conv_in_finish_launch(&c.queue, &a, sums, size), "conv_finish");
        } else {
            c.ahead({a.n, a.y, a.slots, a.snapshots});
            c.done(conv_in_launch(&c.queue, &a, size), "conv_in");
        }
        return c.get((uint16_t *)a.y, n.size());
    }
    closeness compare(const std::vector<std::vector<uint16_t>> &have) const {
        closeness worst;
        for (size_t i = 0; i < x.size(); i++)
            for (int t = 0; t < x[i].n; t++)
                for (int ch = 0; ch < padded; ch++)
                    compare_one(worst, (int)i, t, ch, from_bf16(have[i][(size_t)t * padded + ch]));
        return worst;
    }

  private:
    sum part(int sequence, int t, int which, int ch) const {
        sum v = dot(w.row(which * s.hidden + ch), x[sequence].row(t), s.hidden);
        if (s.with_bias) v.value += bias[which * s.hidden + ch];
        v.magnitude += fabs(v.value);
        return v;
    }
    void compare_one(closeness &worst, int sequence, int t, int ch, double have) const {
        if (ch >= s.hidden) {
            worst.add(have, 0, 1e-30);
            return;
        }
        double v = 0, allow = 0;
        for (int j = 0; j < s.width; j++) {
            int p = t - (s.width - 1) + j;
            if (p < 0) continue;
            sum b = part(sequence, p, 0, ch), z = part(sequence, p, 2, ch);
            double tap = taps[j * s.hidden + ch], u = b.value * z.value;
            v += tap * u;
            // A past u may be rounded to the other side than the twin's exact one.
            double of_u = fabs(b.value) * sum_error(z.magnitude, s.hidden) +
                          fabs(z.value) * sum_error(b.magnitude, s.hidden) + fabs(u) * 0x1p-22;
            if (p < t && s.is_bf16) of_u += fabs(u) * 0x1p-8;
            allow += fabs(tap) * of_u;
        }
        if (s.with_bias) v += taps_bias[ch];
        sum gate = part(sequence, t, 1, ch);
        allow = allow * fabs(gate.value) + fabs(v) * sum_error(gate.magnitude, s.hidden);
        worst.add(have, v * gate.value, allow + bf16_error(v * gate.value) + 1e-6);
    }
};

static void check_shape(checker &c, const conv_shape &s, int n_sms) {
    conv_case conv(c, s);
    std::string shape = text("%zu sequences, %d wide %d %s", s.lengths.size(), s.hidden, s.width,
                             s.is_bf16 ? "bf16" : "f32");
    int all_sms = c.queue.n_sms;
    if (n_sms) c.queue.n_sms = n_sms;
    std::vector<std::vector<uint16_t>> base;
    for (int size : SIZES) {
        std::vector<std::vector<uint16_t>> have(s.lengths.size());
        std::vector<piece> whole;
        for (size_t i = 0; i < s.lengths.size(); i++) whole.push_back({(int)i, 0, s.lengths[i]});
        conv.forget(c);
        std::vector<uint16_t> y = conv.step(c, whole, size);
        size_t at = 0;
        if (conv_in_tile(&c.queue, size) >= 64) {
            conv.forget(c);
            c.equal("conv_in", shape + text(", for %d, by a library", size),
                    conv.step(c, whole, size, true) != y);
        }
        for (size_t i = 0; i < have.size(); i++) {
            size_t n = (size_t)s.lengths[i] * conv.padded;
            have[i].assign(y.begin() + at, y.begin() + at + n);
            at += n;
        }
        c.line("conv_in", shape + text(", for %d", size), conv.compare(have));
        if (base.empty()) base = have;
        size_t n_different = have != base;
        // The same in steps of random pieces, in a random order of the sequences.
        conv.forget(c);
        std::vector<int> done(s.lengths.size());
        for (;;) {
            std::vector<piece> pieces;
            for (size_t i = 0; i < done.size(); i++) {
                int left = s.lengths[i] - done[i],
                    n = c.below(3) ? 1 + c.below(3) : 1 + c.below(50);
                if (left > 0 && c.below(3))
                    pieces.push_back({(int)i, done[i], n < left ? n : left});
            }
            for (size_t i = pieces.size(); i > 1; i--)
                std::swap(pieces[i - 1], pieces[c.below((int)i)]);
            if (pieces.empty() && done == s.lengths) break;
            if (pieces.empty()) continue;
            y = conv.step(c, pieces, size);
            at = 0;
            for (const piece &e : pieces) {
                size_t n = (size_t)e.n * conv.padded;
                n_different +=
                    memcmp(&y[at], &base[e.sequence][(size_t)e.first * conv.padded], n * 2) != 0;
                at += n, done[e.sequence] += e.n;
            }
        }
        c.equal("conv_in", shape + text(", for %d, chunks", size), n_different);
    }
    c.queue.n_sms = all_sms;
    c.release();
}

// Taps are added oldest first: the first two take each other away before the token's own comes.
static void check_order(checker &c) {
    const conv_shape s = {32, 3, 2, false, false, {5}};
    conv_case conv(c, s);
    std::vector<uint16_t> y[2];
    for (int t = 1; t < s.lengths[0]; t++)
        memcpy(conv.x[0].row(t), conv.x[0].row(0), conv.padded * sizeof(uint16_t));
    for (int large = 0; large < 2; large++) {
        for (int i = 0; i < s.width * s.hidden; i++) {
            const float of_tap[] = {0x1p30f * large, -0x1p30f * large, 1};
            conv.taps[i] = of_tap[i / s.hidden];
        }
        conv.a.taps = c.put(conv.taps);
        conv.forget(c);
        y[large] = conv.step(c, {{0, 0, s.lengths[0]}}, 16);
        y[large].erase(y[large].begin(), y[large].begin() + (s.width - 1) * conv.padded);
    }
    c.equal("conv_in", "taps that cancel, bits", y[0] != y[1]);
    c.release();
}

void check_conv(checker &c) {
    if (c.is_first_family) check_order(c);
    check_shape(c, {32, 3, 2, false, false, {1}}, 0);
    check_shape(c, {100, 3, 5, true, true, {40, 1, 7, 2, 90}}, 1);
    if (!c.is_small) check_shape(c, {80, 4, 3, false, false, {150, 3, 20}}, 2);
    if (c.is_large) check_shape(c, {2048, 3, 2, true, false, {37, 1, 12}}, 0);
}
