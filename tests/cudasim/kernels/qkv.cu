// qkv: the product, norms of q and k, rotation, and where they are written.
#include "kernels/cuda/ops_gemm.h"
#include "tests/cudasim/kernels/check.h"

struct qkv_shape {
    int n_tokens, hidden, n_heads, n_kv_heads, head_dim, page_tokens;
    bool is_bf16;
};

struct qkv_case {
    const qkv_shape &s;
    int head_rows, n_all;
    bf16_rows w, x;
    std::vector<float> q_norm, k_norm, cosine, sine; // of position t
    struct qkv a = {};

    qkv_case(checker &c, const qkv_shape &s)
        : s(s), head_rows(s.head_dim <= 32 ? 32 : 64), n_all(s.n_heads + 2 * s.n_kv_heads),
          w(n_all * s.head_dim, s.hidden, s.hidden), x(s.n_tokens, s.hidden, pad_to(s.hidden, 64)) {
        w.fill(c, 1 / sqrt(s.hidden));
        x.fill(c, 1);
        for (int d = 0; d < s.head_dim; d++) q_norm.push_back(c.normal());
        for (int d = 0; d < s.head_dim; d++) k_norm.push_back(c.normal());
        for (int t = 0; t < s.n_tokens; t++)
            for (int d = 0; d < s.head_dim / 2; d++) {
                float frequency = math_inverse_frequency(1e6f, d, s.head_dim), si, co;
                math_sin_cos((float)position(t) * frequency, &si, &co);
                cosine.push_back(co), sine.push_back(si);
            }
        a.w = put_matrix(c, w, n_all * head_rows, 128, [this](int r) {
            int head = r / head_rows, d = r % head_rows;
            return head < n_all && d < this->s.head_dim ? head * this->s.head_dim + d : -1;
        });
        a.n_stride = x.stride, a.q_stride = pad_to(s.n_heads * head_rows, 64);
        a.n_heads = s.n_heads, a.n_kv_heads = s.n_kv_heads, a.head_dim = s.head_dim;
        a.head_rows = head_rows, a.eps = 1e-5f;
        a.q_norm = c.put(q_norm), a.k_norm = c.put(k_norm);
        a.page_tokens = s.page_tokens, a.is_bf16 = s.is_bf16;
        a.page_bytes = (int64_t)s.n_kv_heads * 2 * s.page_tokens * s.head_dim * size() + 32;
    }
    int position(int t) const { return 3 * t + 5; }
    int size() const { return s.is_bf16 ? 2 : 4; }

    // Of each token q (n_heads, head_dim), k and v (n_kv_heads, head_dim), as float.
    std::vector<float> run(checker &c, const std::vector<int> &tokens, int size,
                           bool is_by_library = false) {
        int n = (int)tokens.size(), half = s.head_dim / 2;
        step_parts p;
        std::vector<float> co, si;
        // A page a token, so that no place is shared.
        for (int i = 0; i < n; i++) {
            p.tokens.push_back({0, position(tokens[i]), n - 1 - i, 0});
            co.insert(co.end(), &cosine[tokens[i] * half], &cosine[tokens[i] * half] + half);
            si.insert(si.end(), &sine[tokens[i] * half], &sine[tokens[i] * half] + half);
        }
        a.step = put_step(c, p);
        a.n = c.put(x.pick(tokens).v);
        a.q = c.zeros<uint16_t>((size_t)n * a.q_stride);
        a.cosine = c.put(co), a.sine = c.put(si);
        a.pages = c.room<char>(n * a.page_bytes);
        if (is_by_library) {
            const float *sums = matrix_sums(c, a.step, a.w, a.n, a.n_stride, n);
            c.ahead({sums, a.q, a.pages, a.cosine, a.sine});
            c.done(qkv_finish_launch(&c.queue, &a, sums), "qkv_finish");
        } else {
            c.ahead({a.n, a.q, a.pages, a.cosine, a.sine});
            c.done(qkv_launch(&c.queue, &a, size), "qkv");
        }
        std::vector<uint16_t> q = c.get((uint16_t *)a.q, (size_t)n * a.q_stride);
        std::vector<char> pages = c.get((char *)a.pages, n * a.page_bytes);
        std::vector<float> out;
        for (int i = 0; i < n; i++) {
            for (int h = 0; h < s.n_heads; h++)
                for (int d = 0; d < s.head_dim; d++)
                    out.push_back((float)from_bf16(q[(size_t)i * a.q_stride + h * head_rows + d]));
            for (int v = 0; v < 2; v++)
                for (int h = 0; h < s.n_kv_heads; h++)
                    for (int d = 0; d < s.head_dim; d++)
                        out.push_back(page_value(pages, n - 1 - i, position(tokens[i]), h, v, d));
        }
        return out;
    }
    float page_value(const std::vector<char> &pages, int page, int position, int head, int is_v,
                     int d) const {
        size_t slot = (size_t)(2 * head + is_v) * s.page_tokens + position % s.page_tokens;
        const char *at = &pages[page * a.page_bytes + (slot * s.head_dim + d) * size()];
        return dtype_get(s.is_bf16 ? DTYPE_BF16 : DTYPE_F32, at, 0);
    }
    closeness compare(const std::vector<float> &have) const {
        closeness worst;
        size_t at = 0;
        for (int t = 0; t < s.n_tokens; t++)
            for (int head = 0; head < n_all; head++) {
                std::vector<double> v(s.head_dim), error(s.head_dim);
                double squares = 0;
                for (int d = 0; d < s.head_dim; d++) {
                    sum e = dot(w.row(head * s.head_dim + d), x.row(t), s.hidden);
                    v[d] = e.value, error[d] = sum_error(e.magnitude, s.hidden);
                    squares += e.value * e.value;
                }
                double scale = 1 / sqrt(squares / s.head_dim + 1e-5);
                if (head < s.n_heads + s.n_kv_heads)
                    rotate(v, error, scale, head < s.n_heads ? q_norm : k_norm, t);
                bool is_rounded = head < s.n_heads || s.is_bf16;
                for (int d = 0; d < s.head_dim; d++)
                    worst.add(have[at++], v[d], error[d] + (is_rounded ? bf16_error(v[d]) : 1e-30));
            }
        return worst;
    }
    void rotate(std::vector<double> &v, std::vector<double> &error, double scale,
                const std::vector<float> &norm, int t) const {
        int half = s.head_dim / 2;
        for (int d = 0; d < s.head_dim; d++) {
            v[d] *= scale * norm[d];
            error[d] = error[d] * scale * fabs(norm[d]) + fabs(v[d]) * 4e-6;
        }
        for (int d = 0; d < half; d++) {
            double co = cosine[t * half + d], si = sine[t * half + d], a = v[d], b = v[d + half];
            v[d] = a * co - b * si, v[d + half] = b * co + a * si;
            error[d] = error[d + half] = error[d] + error[d + half] + 1e-7;
        }
    }
};

static void check_shape(checker &c, const qkv_shape &s, int n_sms) {
    qkv_case q(c, s);
    std::string shape = text("%d tokens, %d, %d+2*%d heads of %d %s", s.n_tokens, s.hidden,
                             s.n_heads, s.n_kv_heads, s.head_dim, s.is_bf16 ? "bf16" : "f32");
    int all_sms = c.queue.n_sms;
    if (n_sms) c.queue.n_sms = n_sms;
    for (int size : dense_sizes(c))
        c.line("qkv", shape + text(", for %d", size),
               q.compare(q.run(c, all_tokens(s.n_tokens), size)));
    c.equal("qkv", shape + ", by a library",
            q.run(c, all_tokens(s.n_tokens), s.n_tokens, true) !=
                q.run(c, all_tokens(s.n_tokens), s.n_tokens));
    c.queue.n_sms = all_sms;
    check_bits(
        c, "qkv", shape, s.n_tokens, (size_t)q.n_all * s.head_dim * 4, dense_sizes(c),
        [&](const std::vector<int> &tokens, int size) { return bytes_of(q.run(c, tokens, size)); });
    c.release();
}

void check_qkv(checker &c) {
    check_shape(c, {2, 64, 2, 1, 32, 4, false}, 0);
    check_shape(c, {45, 90, 6, 2, 22, 5, true}, 1); // half of a head is odd
    check_shape(c, {140, 200, 4, 2, 64, 16, true}, 1);
    if (!c.is_small) check_shape(c, {300, 90, 5, 2, 64, 16, true}, 1);
    check_shape(c, {20, 90, 2, 1, 64, 16, false}, 1);
    if (c.is_large) check_shape(c, {200, 2048, 32, 8, 64, 16, true}, 0);
}
