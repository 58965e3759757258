#include "kernels/cuda/device.cuh"
#include "tests/cudasim/kernels/check.h"

#include <stdarg.h>
#include <stdlib.h>

enum { GUARD_BYTES = 1024, GUARD = 0xa5 };

void closeness::add(double have, double want, double allow) {
    double e = fabs(have - want), r = e / allow;
    if (!(e <= 1e300)) e = r = INFINITY; // NaN too
    if (r < ratio || (r == 0 && allowed > 0)) return;
    ratio = r, error = e, allowed = allow;
}
void closeness::merge(const closeness &other) {
    if (other.ratio >= ratio) *this = other;
}

static void need(cudaError_t status, const char *what) {
    if (status == cudaSuccess) return;
    printf("%s: %s\n", what, cudaGetErrorString(status));
    exit(2);
}

void *checker::room(size_t bytes, int poison) {
    void *at;
    size_t whole = (bytes + 15) / 16 * 16;
    need(cudaMalloc(&at, whole + 2 * GUARD_BYTES), "cudaMalloc");
    need(cudaMemset(at, GUARD, whole + 2 * GUARD_BYTES), "cudaMemset");
    need(cudaMemset((char *)at + GUARD_BYTES, poison, bytes), "cudaMemset");
    owned.push_back({(char *)at, bytes});
    return (char *)at + GUARD_BYTES;
}
void checker::copy(void *device, const void *host, size_t bytes) {
    if (bytes) need(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice), "copy");
}
void checker::copy_back(void *host, const void *device, size_t bytes) {
    if (bytes) need(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost), "copy back");
}
// Words of some buffers, each of them far from the next one: enough to be noticed.
enum { MOST_BUFFERS = 10, WORDS_APART = 61 };
struct rewritten {
    uint32_t *words[MOST_BUFFERS];
    int n_words[MOST_BUFFERS];
    int n;
    uint32_t none; // 0, which the compiler does not know
};
__global__ void write_again(const struct rewritten r) {
    launch_dependents();
    for (int i = 0; i < r.n; i++)
        for (int k = threadIdx.x * WORDS_APART; k < r.n_words[i]; k += N_LANES * WORDS_APART) {
            r.words[i][k] ^= r.none;
        }
}
void checker::ahead(const std::vector<const void *> &buffers) {
    struct rewritten r = {};
    if (!is_small) return;
    for (const void *p : buffers)
        for (const block &b : owned)
            if (p == b.at + GUARD_BYTES && b.bytes >= 4) {
                r.words[r.n] = (uint32_t *)(b.at + GUARD_BYTES);
                r.n_words[r.n++] = (int)(b.bytes / 4);
            }
    struct launch how;
    how.grid = dim3(1);
    how.block = dim3(N_LANES);
    how.stream = (cudaStream_t)queue.stream;
    need(launch_kernel(how, write_again, r), "a kernel ahead");
}
void checker::done(int status, const char *what) {
    need((cudaError_t)status, what);
    need(cudaDeviceSynchronize(), what);
}
void checker::release() {
    size_t n_broken = 0;
    for (const block &b : owned) {
        size_t behind = (b.bytes + 15) / 16 * 16 + GUARD_BYTES - b.bytes;
        std::vector<unsigned char> v(GUARD_BYTES + behind);
        copy_back(v.data(), b.at, GUARD_BYTES);
        copy_back(v.data() + GUARD_BYTES, b.at + GUARD_BYTES + b.bytes, behind);
        for (unsigned char x : v) n_broken += x != GUARD;
        need(cudaFree(b.at), "cudaFree");
    }
    if (n_broken) equal("guards", text("%zu blocks of memory", owned.size()), n_broken);
    owned.clear();
    step = nullptr;
}

void checker::line(const char *op, const std::string &shape, const closeness &c) {
    bool is_good = c.ratio <= 1;
    n_run++;
    n_failed += !is_good;
    printf("%-4s %-14s %-6s %-52s error %.3g of %.3g\n", is_good ? "pass" : "FAIL", op, family(),
           shape.c_str(), c.error, c.allowed);
    fflush(stdout);
}
void checker::equal(const char *op, const std::string &shape, size_t n_different) {
    n_run++;
    n_failed += n_different > 0;
    printf("%-4s %-14s %-6s %-52s different %zu of 0\n", n_different ? "FAIL" : "pass", op,
           family(), shape.c_str(), n_different);
    fflush(stdout);
}

std::string text(const char *format, ...) {
    char line[256];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    return line;
}

// ------------------------------------------------------------------ numbers

uint16_t to_bf16(double x) {
    return dtype_f32_to_bf16((float)x);
}
double from_bf16(uint16_t bits) {
    return (double)dtype_bf16_to_f32(bits);
}

void bf16_rows::fill(checker &c, double scale) {
    for (int i = 0; i < n; i++)
        for (int k = 0; k < columns; k++) row(i)[k] = to_bf16(c.normal() * scale);
}
bf16_rows bf16_rows::pick(const std::vector<int> &which) const {
    bf16_rows out((int)which.size(), columns, stride);
    for (size_t i = 0; i < which.size(); i++)
        memcpy(out.row((int)i), row(which[i]), (size_t)stride * 2);
    return out;
}

sum dot(const uint16_t *w, const uint16_t *x, int n) {
    sum s = {0, 0};
    for (int i = 0; i < n; i++) {
        double term = from_bf16(w[i]) * from_bf16(x[i]);
        s.value += term;
        s.magnitude += fabs(term);
    }
    return s;
}

std::vector<char> matrix_bytes(const bf16_rows &w, int padded_rows,
                               const std::function<int(int)> &row_of) {
    int tiles = pad_to(w.columns, TILE_COLUMNS) / TILE_COLUMNS;
    std::vector<char> bytes((size_t)padded_rows * tiles * TILE_COLUMNS * 2);
    for (int r = 0; r < padded_rows; r++) {
        int from = row_of(r);
        for (int k = 0; from >= 0 && k < w.columns; k++)
            memcpy(bytes.data() + tile_offset(r, k, tiles), w.row(from) + k, 2);
    }
    return bytes;
}
struct matrix put_matrix(checker &c, const bf16_rows &w, int n_rows, int pad,
                         const std::function<int(int)> &row_of) {
    struct matrix m;
    m.n_rows = pad_to(n_rows, pad);
    m.n_tile_columns = pad_to(w.columns, TILE_COLUMNS) / TILE_COLUMNS;
    m.data = c.put(matrix_bytes(w, m.n_rows, row_of));
    return m;
}
struct matrix put_matrix(checker &c, const bf16_rows &w) {
    return put_matrix(c, w, w.n, 128, [&](int r) { return r < w.n ? r : -1; });
}

float *matrix_sums(checker &c, const struct step_header *step, const struct matrix &w,
                   const void *x, int x_stride, int n_tokens) {
    struct residual r = {};
    r.step = step, r.w = w, r.x = x, r.x_stride = x_stride;
    r.h_stride = r.n_out = w.n_rows;
    r.h = c.zeros<float>((size_t)n_tokens * w.n_rows);
    c.done(residual_launch(&c.queue, &r, n_tokens), "a product ahead of its finish");
    return r.h;
}

// ------------------------------------------------------------------ steps

template <class T> static uint32_t append(std::vector<char> &bytes, const std::vector<T> &part) {
    size_t at = (bytes.size() + 15) / 16 * 16;
    bytes.resize(at + part.size() * sizeof(T));
    if (!part.empty()) memcpy(bytes.data() + at, part.data(), part.size() * sizeof(T));
    return (uint32_t)at;
}

const struct step_header *put_step(checker &c, const step_parts &p) {
    struct step_header h = {};
    std::vector<char> bytes(sizeof h);
    h.n_tokens = (int32_t)p.tokens.size();
    h.n_segments = (int32_t)p.runs.size();
    h.n_conv_rows = (int32_t)p.conv_rows.size();
    h.n_snapshots = (int32_t)p.snapshots.size();
    h.n_items = (int32_t)p.items.size();
    h.n_rows = (int32_t)p.rows.size();
    h.n_wants = (int32_t)p.wants.size();
    h.n_stored = p.n_stored;
    h.tokens_at = append(bytes, p.tokens);
    h.runs_at = append(bytes, p.runs);
    h.pages_at = append(bytes, p.pages);
    h.conv_rows_at = append(bytes, p.conv_rows);
    h.snapshots_at = append(bytes, p.snapshots);
    h.items_at = append(bytes, p.items);
    h.rows_at = append(bytes, p.rows);
    h.wants_at = append(bytes, p.wants);
    h.seen_at = append(bytes, p.seen);
    h.bias_ids_at = append(bytes, p.bias_ids);
    h.biases_at = append(bytes, p.biases);
    h.n_bytes = (uint32_t)bytes.size();
    memcpy(bytes.data(), &h, sizeof h);
    return c.step = (const struct step_header *)c.put(bytes);
}

// ------------------------------------------------------------------ bits

std::vector<int> all_tokens(int n) {
    std::vector<int> v(n);
    for (int i = 0; i < n; i++) v[i] = i;
    return v;
}

std::vector<int> dense_sizes(const checker &c) {
    bool is_wgmma = c.queue.family == FAMILY_WGMMA;
    if (c.is_small)
        return is_wgmma ? std::vector<int>{8, 64, 256, 1024} : std::vector<int>{8, 32, 128};
    std::vector<int> sizes = {8, 16, 32, 64, 128};
    if (is_wgmma) sizes.insert(sizes.end(), {256, 512, 1024});
    return sizes;
}

static size_t different_rows(const std::vector<char> &have, const std::vector<char> &base,
                             const std::vector<int> &tokens, size_t row_bytes) {
    size_t n = 0;
    for (size_t i = 0; i < tokens.size(); i++)
        n += memcmp(&have[i * row_bytes], &base[tokens[i] * row_bytes], row_bytes) != 0;
    return n;
}

void check_bits(checker &c, const char *op, const std::string &shape, int n, size_t row_bytes,
                const std::vector<int> &tiles, const run_tokens &run) {
    std::vector<char> base = run(all_tokens(n), tiles[0]);
    size_t n_different = 0;
    int n_sms = c.queue.n_sms;
    for (int tile : tiles) {
        // All of them in another order, on few blocks; some; one.
        std::vector<int> tokens = all_tokens(n);
        for (int i = n - 1; i > 0; i--) std::swap(tokens[i], tokens[c.below(i + 1)]);
        c.queue.n_sms = 1;
        if (!c.is_small) n_different += different_rows(run(tokens, tile), base, tokens, row_bytes);
        c.queue.n_sms = n_sms;
        tokens.resize(n < 3 ? n : n / 2 + 1);
        n_different += different_rows(run(tokens, tile), base, tokens, row_bytes);
        tokens.resize(1);
        n_different += different_rows(run(tokens, tile), base, tokens, row_bytes);
    }
    c.equal(op, shape + ", bits", n_different);
}
