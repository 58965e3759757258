// kernel_check: every launcher of kernels/cuda against its float64 twin, on the emulator and, built
// by nvcc as one program, on a GPU. A line a check; memory is poisoned before and guarded.
#ifndef TESTS_CUDASIM_KERNELS_CHECK_H
#define TESTS_CUDASIM_KERNELS_CHECK_H

#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <functional>
#include <string>
#include <vector>

#include "kernels/cuda/ops_head.h"
#include "kernels/cuda/ops_memory.h"
#include "kernels/math.h"
extern "C" {
#include "tests/reference.h"
}

// The worst of many comparisons, by error / allowed.
struct closeness {
    double ratio = 0, error = 0, allowed = 0;
    void add(double have, double want, double allow);
    void merge(const closeness &other);
};

class checker {
  public:
    struct queue queue = {};
    struct reference_random random = {1};
    bool is_large = false;       // shapes of the real model too
    bool is_small = false;       // the least that has every kernel and its borders: --small
    bool is_first_family = true; // of this run: kernels that are the same in both run once
    int n_failed = 0, n_run = 0;
    const struct step_header *step = nullptr; // the last one that was put

    ~checker() { release(); }
    // Device memory, between guards that release() looks at.
    void *room(size_t bytes, int poison);
    template <class T> T *room(size_t n) { return (T *)room(n * sizeof(T), 0xff); }
    template <class T> T *zeros(size_t n) { return (T *)room(n * sizeof(T), 0); }
    template <class T> T *put(const std::vector<T> &v) {
        T *at = room<T>(v.size());
        copy(at, v.data(), v.size() * sizeof(T));
        return at;
    }
    template <class T> std::vector<T> get(const T *at, size_t n) {
        std::vector<T> v(n);
        copy_back(v.data(), at, n * sizeof(T));
        return v;
    }
    void copy(void *device, const void *host, size_t bytes);
    void copy_back(void *host, const void *device, size_t bytes);
    // Of few shapes, before a launcher: a kernel that writes what lies there once more and lets the
    // next one begin at once. The race build sees one that does not wait for it.
    void ahead(const std::vector<const void *> &buffers);
    // After a launcher; waits for the kernel. Anything but success ends the program.
    void done(int status, const char *what);
    void release();

    const char *family() const { return queue.family == FAMILY_MMA ? "mma" : "wgmma"; }
    void line(const char *op, const std::string &shape, const closeness &c);
    // Things that must be equal: how many are not.
    void equal(const char *op, const std::string &shape, size_t n_different);

    float normal() { return (float)reference_normal(&random); }
    int below(int n) { return reference_below(&random, n); }

  private:
    struct block {
        char *at;
        size_t bytes;
    };
    std::vector<block> owned;
};

std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ------------------------------------------------------------------ numbers

uint16_t to_bf16(double x);
double from_bf16(uint16_t bits);
static inline int pad_to(int n, int to) {
    return (n + to - 1) / to * to;
}

// Rows of bf16, `stride` apart, zeros behind the columns.
struct bf16_rows {
    int n, columns, stride;
    std::vector<uint16_t> v;
    bf16_rows(int n, int columns, int stride)
        : n(n), columns(columns), stride(stride), v((size_t)n * stride) {}
    void fill(checker &c, double scale);
    uint16_t *row(int i) { return v.data() + (size_t)i * stride; }
    const uint16_t *row(int i) const { return v.data() + (size_t)i * stride; }
    double at(int i, int column) const { return from_bf16(row(i)[column]); }
    bf16_rows pick(const std::vector<int> &which) const;
};

// A sum over columns and the sum of its terms' magnitudes, which bounds its rounding.
struct sum {
    double value, magnitude;
};
sum dot(const uint16_t *w, const uint16_t *x, int n);
// What float32 sums of n terms may differ by; tensor cores cut instead of rounding.
static inline double sum_error(double magnitude, int n) {
    return magnitude * (n / 16 + 8) * 0x1p-23 + 1e-30;
}
// And a result that is rounded to bf16.
static inline double bf16_error(double value) {
    return fabs(value) * 0x1p-8 + 1e-38;
}

// A matrix as it is resident, row r of it row_of(r) of w, -1: zeros. pad: whole rows of it.
struct matrix put_matrix(checker &c, const bf16_rows &w, int n_rows, int pad,
                         const std::function<int(int)> &row_of);
struct matrix put_matrix(checker &c, const bf16_rows &w);
// The products of all rows of the matrix with n_tokens rows of x, as a library leaves them
// (ops_gemm.h): sums (n_tokens, w.n_rows).
float *matrix_sums(checker &c, const struct step_header *step, const struct matrix &w,
                   const void *x, int x_stride, int n_tokens);
std::vector<char> matrix_bytes(const bf16_rows &w, int padded_rows,
                               const std::function<int(int)> &row_of);

// ------------------------------------------------------------------ steps

struct step_parts {
    std::vector<step_token> tokens;
    std::vector<step_run> runs;
    std::vector<int32_t> pages, conv_rows, snapshots;
    std::vector<step_item> items;
    std::vector<step_row> rows;
    std::vector<step_want> wants;
    std::vector<uint32_t> seen;
    std::vector<int32_t> bias_ids;
    std::vector<float> biases;
    int n_stored = 0;

    step_parts() {}
    explicit step_parts(int n_tokens) : tokens(n_tokens) {}
};
const struct step_header *put_step(checker &c, const step_parts &p);

// ------------------------------------------------------------------ bits

// run(tokens, tile) computes rows of `row_bytes` for those of a pool of n tokens, in that order.
// Whatever the order, the number and the tile, a token's bytes are the same.
typedef std::function<std::vector<char>(const std::vector<int> &, int)> run_tokens;
void check_bits(checker &c, const char *op, const std::string &shape, int n, size_t row_bytes,
                const std::vector<int> &tiles, const run_tokens &run);
std::vector<int> all_tokens(int n);
// Numbers of tokens for which the family's launchers of dense products choose different tiles.
std::vector<int> dense_sizes(const checker &c);
template <class T> std::vector<char> bytes_of(const std::vector<T> &v) {
    return std::vector<char>((const char *)v.data(), (const char *)(v.data() + v.size()));
}

// ------------------------------------------------------------------ the checks

void check_products(checker &c);
void check_experts(checker &c);
void check_conv(checker &c);
void check_qkv(checker &c);
void check_attention(checker &c);
void check_router(checker &c);
void check_head(checker &c);
void check_rows(checker &c);
void check_weights(checker &c);
void check_deltas(checker &c);

void time_all(checker &c, const char *filter);

// --count, on the emulator: the same launches as time_all's, each once.
struct counted {
    const char *op;
    int n_tokens, tile;
    const void *weights;
    double weight_bytes; // that a launch must read; 0: none, or more than one tile of tokens
};
void count_launch(checker &c, const counted &what, const std::function<int(int)> &launch);
void count_all(checker &c, const char *filter);

#endif
