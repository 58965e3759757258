// Cases that try each wrapper of kernels/cuda on random data and compare with plain C++. The same
// sources make two programs: one on the emulator, one by nvcc for a GPU. Both check themselves, and
// the one for the GPU compares with what the emulator's wrote into a file (main.cu).
#ifndef TESTS_CUDASIM_WRAPPERS_WRAPPERS_H
#define TESTS_CUDASIM_WRAPPERS_WRAPPERS_H

#include <cuda_runtime.h>
#include <stdint.h>
#include <stdio.h>

#include <string>
#include <vector>

enum needs { NEEDS_80 = 80, NEEDS_90 = 90, NEEDS_90A = 900 };

class context {
  public:
    explicit context(uint64_t seed) : state(seed * 2 + 1) {}
    uint32_t random();
    float random_float();                        // -1 to 1, exact in bf16
    std::vector<uint32_t> random_words(size_t n);
    std::vector<uint16_t> random_bf16(size_t n); // of random_float
    std::vector<uint16_t> random_wide(size_t n); // every bit of the mantissa, 2^-8 to 2^8

    // Device copies, freed when the case ends.
    void *device(const void *host, size_t bytes);
    template <class T> T *device(const std::vector<T> &v) {
        return (T *)device(v.data(), v.size() * sizeof(T));
    }
    template <class T> T *zeros(size_t n) {
        std::vector<T> v(n);
        return device(v);
    }
    // Waits for the device, then copies back.
    void fetch(void *to, const void *at, size_t bytes);

    // Waits, then compares what the device holds: with what is expected, and with what the emulator
    // computed where its file is given. name tells several of one case apart.
    void expect(const char *name, const void *at, const std::vector<uint32_t> &expected);
    void expect(const char *name, const void *at, const std::vector<uint16_t> &expected);
    void expect(const char *name, const float *at, const std::vector<double> &expected,
                double tolerance);
    // A property of the device's arithmetic, printed and not judged.
    void fact(const char *name, size_t n, size_t n_equal, double largest_difference);
    void check(cudaError_t status, const char *what);

    std::string prefix; // of the case and the seed
    int n_failed = 0, n_compared = 0, n_recorded = 0, n_digests = 0;
    size_t n_values = 0, n_floats = 0, n_floats_equal = 0; // floats: compared with the emulator's
    double largest = 0;                                    // difference to the emulator's
    FILE *dump = nullptr;

  private:
    void report(const char *name, const char *beside, size_t i, double have, double want);
    void record(const char *name, const std::vector<uint32_t> &words, double tolerance);
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
