// attention: decode, drafts, chunks and prefill over shuffled pages.
#include <algorithm>

#include "tests/cudasim/kernels/check.h"

struct attention_shape {
    int n_heads, n_kv_heads, head_dim, page_tokens;
    bool is_bf16;
};
// Tokens first .. first + n - 1 of the sequence in one segment.
struct span {
    int first, n;
};
enum how { OWN, CHUNKS, SHARED_ROWS };

struct attention_case {
    const attention_shape &s;
    int length, head_rows, group, q_stride;
    std::vector<float> k, v; // (length, n_kv_heads, head_dim), rounded to bf16
    bf16_rows q;             // of all positions
    struct attention a = {};
    std::vector<int32_t> pages;

    attention_case(checker &c, const attention_shape &s, int length, bool cancels = false)
        : s(s), length(length), head_rows(s.head_dim <= 32 ? 32 : 64),
          group(s.n_heads / s.n_kv_heads), q_stride(pad_to(s.n_heads * head_rows, 64)),
          q(length, q_stride, q_stride) {
        for (int i = 0; i < length * s.n_kv_heads * s.head_dim; i++) {
            k.push_back((float)from_bf16(to_bf16(c.normal() * 1.5)));
            v.push_back((float)from_bf16(to_bf16(c.normal())));
        }
        if (cancels) cancel_chunks();
        for (int t = 0; t < length; t++)
            for (int h = 0; h < s.n_heads; h++)
                for (int d = 0; d < s.head_dim; d++)
                    q.row(t)[h * head_rows + d] = to_bf16(c.normal());
        a.q_stride = q_stride, a.n_heads = s.n_heads, a.n_kv_heads = s.n_kv_heads;
        a.head_dim = s.head_dim, a.head_rows = head_rows;
        a.scale = (float)(1 / sqrt(s.head_dim));
        a.page_tokens = s.page_tokens, a.is_bf16 = s.is_bf16;
        put_pages(c);
    }
    // The second chunk takes away what the first one adds, which is much.
    void cancel_chunks() {
        size_t n = (size_t)ATTENTION_CHUNK * s.n_kv_heads * s.head_dim;
        for (size_t i = 0; i < n; i++) {
            v[i] *= 65536;
            k[n + i] = k[i], v[n + i] = -v[i];
        }
    }
    void put_pages(checker &c) {
        int n = (length + s.page_tokens - 1) / s.page_tokens, size = s.is_bf16 ? 2 : 4;
        a.page_bytes = (int64_t)s.n_kv_heads * 2 * s.page_tokens * s.head_dim * size + 64;
        for (int i = 0; i < n; i++) pages.push_back(i);
        for (int i = n - 1; i > 0; i--) std::swap(pages[i], pages[c.below(i + 1)]);
        std::vector<char> bytes(n * a.page_bytes, (char)0xff); // NaN where no position is
        for (int t = 0; t < length; t++)
            for (int h = 0; h < s.n_kv_heads; h++)
                for (int d = 0; d < s.head_dim; d++)
                    for (int is_v = 0; is_v < 2; is_v++) {
                        size_t slot = (size_t)(2 * h + is_v) * s.page_tokens + t % s.page_tokens;
                        char *at = &bytes[pages[t / s.page_tokens] * a.page_bytes +
                                          (slot * s.head_dim + d) * size];
                        dtype_put(s.is_bf16 ? DTYPE_BF16 : DTYPE_F32, at, 0,
                                  (is_v ? v : k)[((size_t)t * s.n_kv_heads + h) * s.head_dim + d]);
                    }
        a.pages = c.put(bytes);
    }
    void add_items(step_parts &p, int segment, const span &e, enum how how, int *n_cells) {
        int per_warp = ATTENTION_ROWS / group;
        int most = how == SHARED_ROWS ? per_warp * ATTENTION_WARPS : per_warp;
        for (int first = 0; first < e.n; first += most) {
            int n = std::min(most, e.n - first), end = e.first + first + n;
            int n_chunks = how == CHUNKS ? (end + ATTENTION_CHUNK - 1) / ATTENTION_CHUNK : 1;
            int step = how == SHARED_ROWS ? 1 : ATTENTION_WARPS;
            for (int head = 0; head < s.n_kv_heads; head += step)
                for (int chunk = 0; chunk < n_chunks; chunk++)
                    p.items.push_back({segment, first, n, head, how == SHARED_ROWS,
                                       how == CHUNKS ? chunk : -1, n_chunks, *n_cells});
            if (how == CHUNKS) *n_cells += s.n_kv_heads * n_chunks;
        }
    }
    // Rows (n_heads, head_dim) of the spans' tokens.
    std::vector<uint16_t> run(checker &c, const std::vector<span> &spans, enum how how) {
        step_parts p;
        std::vector<int> positions;
        int n_cells = 0;
        for (size_t i = 0; i < spans.size(); i++) {
            const span &e = spans[i];
            p.runs.push_back({(int)p.tokens.size(), e.n, e.first, 0, -1, (int)p.pages.size()});
            p.pages.insert(p.pages.end(), pages.begin(), pages.end());
            for (int t = 0; t < e.n; t++) {
                p.tokens.push_back({0, e.first + t, 0, (int)i});
                positions.push_back(e.first + t);
            }
            add_items(p, (int)i, e, how, &n_cells);
        }
        for (size_t i = p.items.size(); i > 1; i--)
            std::swap(p.items[i - 1], p.items[c.below((int)i)]);
        a.step = put_step(c, p);
        a.q = c.put(q.pick(positions).v);
        a.out = c.zeros<uint16_t>(positions.size() * q_stride);
        a.cells = c.room<float>((size_t)(n_cells + 1) * ATTENTION_ROWS * (head_rows + 2));
        a.counters = c.zeros<uint32_t>(n_cells + 1);
        a.ticket = c.zeros<uint32_t>(1);
        c.ahead({a.q, a.out, a.pages, a.cells, a.counters, a.ticket});
        c.done(attention_launch(&c.queue, &a), "attention");
        std::vector<uint16_t> all = c.get((uint16_t *)a.out, positions.size() * q_stride), out;
        for (size_t t = 0; t < positions.size(); t++)
            for (int h = 0; h < s.n_heads; h++) {
                const uint16_t *row = &all[t * q_stride + h * head_rows];
                out.insert(out.end(), row, row + s.head_dim);
                // The next product multiplies what pads a head too, by zeros.
                for (int d = s.head_dim; d < head_rows; d++)
                    if (row[d]) out.back() = 0x7fc0;
            }
        for (uint32_t n : c.get(a.counters, n_cells + 1))
            if (n) out.assign(out.size(), 0x7fc0); // counters are left at 0
        return out;
    }
    void compare_row(closeness &worst, int t, int h, const uint16_t *have) const {
        int kv = h / group, dim = s.head_dim;
        std::vector<double> p(t + 1);
        double max = -INFINITY, total = 0;
        for (int i = 0; i <= t; i++) {
            double x = 0;
            for (int d = 0; d < dim; d++)
                x += from_bf16(q.row(t)[h * head_rows + d]) *
                     k[((size_t)i * s.n_kv_heads + kv) * dim + d];
            p[i] = x / sqrt(dim);
            max = fmax(max, p[i]);
        }
        for (double &x : p) total += x = exp(x - max);
        for (int d = 0; d < dim; d++) {
            double want = 0, size = 0;
            for (int i = 0; i <= t; i++) {
                double term = p[i] / total * v[((size_t)i * s.n_kv_heads + kv) * dim + d];
                want += term, size += fabs(term);
            }
            // Weights are rounded to bf16 as operands, scores by float32.
            worst.add(from_bf16(have[d]), want, size * (0x1p-8 + 1e-5) + bf16_error(want));
        }
    }
    closeness compare(const std::vector<uint16_t> &have, const std::vector<span> &spans) const {
        closeness worst;
        size_t at = 0;
        for (const span &e : spans)
            for (int t = e.first; t < e.first + e.n; t++)
                for (int h = 0; h < s.n_heads; h++, at += s.head_dim)
                    compare_row(worst, t, h, &have[at]);
        return worst;
    }
};

static void check_shape(checker &c, const attention_shape &s, int length) {
    attention_case at(c, s, length);
    std::string shape = text("%d positions, %d/%d heads of %d %s", length, s.n_heads, s.n_kv_heads,
                             s.head_dim, s.is_bf16 ? "bf16" : "f32");
    std::vector<uint16_t> whole = at.run(c, {{0, length}}, SHARED_ROWS);
    c.line("attention", shape + ", prefill", at.compare(whole, {{0, length}}));
    size_t row = (size_t)s.n_heads * s.head_dim, n_different = 0;
    for (enum how how : {OWN, CHUNKS, SHARED_ROWS}) {
        std::vector<span> spans = {{0, 1}, {length - 1, 1}};
        for (int i = 0; i < 6; i++) {
            int first = c.below(length);
            spans.push_back({first, 1 + c.below(std::min(9, length - first))});
        }
        std::vector<uint16_t> have = at.run(c, spans, how);
        size_t t = 0;
        for (const span &e : spans)
            for (int k = 0; k < e.n; k++, t++)
                n_different += memcmp(&have[t * row], &whole[(e.first + k) * row], row * 2) != 0;
    }
    c.equal("attention", shape + ", bits", n_different);
    c.release();
}

// Merged in another order, the third chunk would lose most of its bits.
static void check_merge(checker &c) {
    const attention_shape s = {4, 1, 32, 16, true};
    const int length = 2 * ATTENTION_CHUNK + 20;
    attention_case at(c, s, length, true);
    const std::vector<span> last = {{length - 1, 1}};
    std::vector<uint16_t> own = at.run(c, last, OWN), chunks = at.run(c, last, CHUNKS);
    c.equal("attention", "chunks that cancel, bits", own != chunks);
    double largest = 0;
    for (uint16_t x : own) largest = std::max(largest, fabs(from_bf16(x)));
    c.equal("attention", "chunks that cancel, sums are small", largest > 8);
    c.release();
}

void check_attention(checker &c) {
    if (!c.is_first_family) return;
    check_shape(c, {4, 1, 32, 4, false}, 3);
    check_shape(c, {6, 3, 24, 5, true}, 75);
    // 5 tokens of 3 heads in 16 rows; rows of K and V that are no chunks of 16 bytes.
    check_shape(c, {3, 1, 20, 4, true}, 40);
    check_shape(c, {10, 2, 64, 16, true}, 100);
    check_shape(c, {8, 2, 64, 16, false}, 530);
    if (!c.is_small) check_shape(c, {4, 1, 64, 32, true}, 1100);
    if (!c.is_small) check_merge(c);
    if (c.is_large) check_shape(c, {32, 8, 64, 16, true}, 1500);
}
