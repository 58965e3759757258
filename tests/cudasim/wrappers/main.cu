// wrappers [--dump FILE] [--seed N] [CASE...]: runs the cases and prints a line for each.
#include "tests/cudasim/wrappers/wrappers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static case_entry *first, **last = &first;

case_entry::case_entry(const char *name, enum needs needs, void (*run)(context &))
    : name(name), needs(needs), run(run), next(nullptr) {
    *last = this;
    last = &next;
}

uint32_t context::random() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 32);
}
float context::random_float() { return (float)((int)(random() % 257) - 128) / 128; }

std::vector<uint32_t> context::random_words(size_t n) {
    std::vector<uint32_t> v(n);
    for (uint32_t &w : v) w = random();
    return v;
}
std::vector<uint16_t> context::random_bf16(size_t n) {
    std::vector<uint16_t> v(n);
    for (uint16_t &h : v) {
        float f = random_float();
        uint32_t bits;
        memcpy(&bits, &f, 4);
        h = (uint16_t)(bits >> 16);
    }
    return v;
}

void context::check(cudaError_t status, const char *what) {
    if (status == cudaSuccess) return;
    fprintf(stderr, "%s: %s: %s\n", prefix.c_str(), what, cudaGetErrorString(status));
    exit(2);
}

void *context::device(const void *host, size_t bytes) {
    void *at;
    check(cudaMalloc(&at, bytes), "cudaMalloc");
    check(cudaMemcpy(at, host, bytes, cudaMemcpyHostToDevice), "copy to the device");
    owned.push_back(at);
    return at;
}

void context::report(const char *name, size_t i, double have, double want) {
    if (n_failed++ < 5)
        printf("# %s, %s: element %zu is %.9g, expected %.9g\n", prefix.c_str(), name, i, have, want);
}

void context::write(const char *name, const char *kind, const std::vector<uint32_t> &words) {
    if (!dump) return;
    fprintf(dump, "%s/%s %s %zu", prefix.c_str(), name, kind, words.size());
    for (uint32_t w : words) fprintf(dump, " %08x", w);
    fprintf(dump, "\n");
}

template <class T> static std::vector<T> fetch(context &c, const void *at, size_t n) {
    std::vector<T> v(n);
    c.check(cudaDeviceSynchronize(), "the kernel");
    c.check(cudaMemcpy(v.data(), at, n * sizeof(T), cudaMemcpyDeviceToHost), "copy to the host");
    return v;
}

void context::expect(const char *name, const void *at, const std::vector<uint32_t> &expected) {
    std::vector<uint32_t> have = fetch<uint32_t>(*this, at, expected.size());
    for (size_t i = 0; i < have.size(); i++)
        if (have[i] != expected[i]) report(name, i, have[i], expected[i]);
    write(name, "bits", have);
}

void context::expect(const char *name, const void *at, const std::vector<uint16_t> &expected) {
    std::vector<uint16_t> have = fetch<uint16_t>(*this, at, expected.size());
    for (size_t i = 0; i < have.size(); i++)
        if (have[i] != expected[i]) report(name, i, have[i], expected[i]);
    write(name, "bits", std::vector<uint32_t>(have.begin(), have.end()));
}

void context::expect(const char *name, const float *at, const std::vector<double> &expected,
                     double tolerance) {
    std::vector<float> have = fetch<float>(*this, at, expected.size());
    std::vector<uint32_t> words(have.size());
    for (size_t i = 0; i < have.size(); i++) {
        if (!(fabs(have[i] - expected[i]) <= tolerance)) report(name, i, have[i], expected[i]);
        memcpy(&words[i], &have[i], 4);
    }
    write(name, "floats", words);
}

void run_case(context &c, void (*run)(context &)) {
    run(c);
    for (void *at : c.owned) c.check(cudaFree(at), "cudaFree");
    c.owned.clear();
}

static bool is_wanted(const char *name, int n, char **names) {
    for (int i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return n == 0;
}

int main(int argc, char **argv) {
    uint64_t seed = 1;
    FILE *dump = nullptr;
    int i = 1, n_failed = 0;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], nullptr, 10);
        if (strcmp(argv[i], "--dump") == 0 && !(dump = fopen(argv[i + 1], "w"))) {
            perror(argv[i + 1]);
            return 2;
        }
    }
    int major = 0, minor = 0;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) ||
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0)) {
        fprintf(stderr, "no CUDA device: %s\n", cudaGetErrorString(cudaGetLastError()));
        return 2;
    }
    int version = 10 * major + minor;
    for (case_entry *e = first; e; e = e->next) {
        if (!is_wanted(e->name, argc - i, argv + i)) continue;
        if (e->needs == NEEDS_90A ? major != 9 : version < (int)e->needs) {
            printf("ok %s # SKIP needs another device\n", e->name);
            continue;
        }
        context c(seed);
        c.prefix = e->name;
        c.dump = dump;
        run_case(c, e->run);
        printf("%s %s\n", c.n_failed ? "not ok" : "ok", e->name);
        n_failed += c.n_failed > 0;
    }
    if (dump) fclose(dump);
    return n_failed > 0;
}
