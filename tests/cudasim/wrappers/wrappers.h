// Cases that try each wrapper of kernels/cuda on random data and compare with plain C++. The same
// sources make two programs: one on the emulator, one by nvcc for a GPU. Both check themselves; with
// --dump FILE they also write what they computed, and compare.py holds one dump against the other.
#ifndef TESTS_CUDASIM_WRAPPERS_WRAPPERS_H
#define TESTS_CUDASIM_WRAPPERS_WRAPPERS_H

#include <cuda_runtime.h>
#include <stdint.h>

#include <string>
#include <vector>

enum needs { NEEDS_80 = 80, NEEDS_90 = 90, NEEDS_90A = 900 };

class context {
  public:
    explicit context(uint64_t seed) : state(seed * 2 + 1) {}
    uint32_t random();
    float random_float();                   // -1 to 1, exact in bf16
    std::vector<uint32_t> random_words(size_t n);
    std::vector<uint16_t> random_bf16(size_t n); // of random_float

    // Device copies, freed when the case ends.
    void *device(const void *host, size_t bytes);
    template <class T> T *device(const std::vector<T> &v) {
        return (T *)device(v.data(), v.size() * sizeof(T));
    }
    template <class T> T *zeros(size_t n) {
        std::vector<T> v(n);
        return device(v);
    }

    // Waits, then compares what the device holds. name tells several of one case apart.
    void expect(const char *name, const void *at, const std::vector<uint32_t> &expected);
    void expect(const char *name, const void *at, const std::vector<uint16_t> &expected);
    void expect(const char *name, const float *at, const std::vector<double> &expected,
                double tolerance);
    void check(cudaError_t status, const char *what);

    std::string prefix; // of the case
    int n_failed = 0;
    FILE *dump = nullptr;

  private:
    void report(const char *name, size_t i, double have, double want);
    void write(const char *name, const char *kind, const std::vector<uint32_t> &words);
    uint64_t state;
    std::vector<void *> owned;
    friend void run_case(context &c, void (*run)(context &));
};

// CASE(ldmatrix, NEEDS_80) { ... c ... }
struct case_entry {
    const char *name;
    enum needs needs;
    void (*run)(context &);
    case_entry *next;
    case_entry(const char *name, enum needs needs, void (*run)(context &));
};
#define CASE(name, needs)                                                                          \
    static void case_##name(context &c);                                                           \
    static case_entry entry_##name(#name, needs, case_##name);                                     \
    static void case_##name(context &c)

static inline float float_of(uint16_t bf16) {
    union {
        uint32_t bits;
        float value;
    } u = {(uint32_t)bf16 << 16};
    return u.value;
}

#endif
