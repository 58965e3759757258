// Checks of the programs in this folder: the first that fails ends the program with a sentence.
#ifndef TESTS_CUDASIM_CASES_CHECK_H
#define TESTS_CUDASIM_CASES_CHECK_H

#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (condition) break;                                                                      \
        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                  \
        exit(1);                                                                                   \
    } while (0)
#define CHECK_CUDA(call)                                                                           \
    do {                                                                                           \
        cudaError_t status_ = (call);                                                              \
        if (status_ == cudaSuccess) break;                                                         \
        fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorName(status_));  \
        exit(1);                                                                                   \
    } while (0)
// A call that must fail with this error, which cudaGetLastError then tells once.
#define CHECK_FAILS(call, error)                                                                   \
    do {                                                                                           \
        cudaError_t status_ = (call);                                                              \
        if (status_ == (error) && cudaGetLastError() == (error)) break;                            \
        fprintf(stderr, "%s:%d: %s: %s, expected %s\n", __FILE__, __LINE__, #call,                 \
                cudaGetErrorName(status_), #error);                                                \
        exit(1);                                                                                   \
    } while (0)

template <class T> T *device_array(size_t n) {
    void *p;
    CHECK_CUDA(cudaMalloc(&p, n * sizeof(T)));
    return (T *)p;
}
template <class T> T *device_copy(const std::vector<T> &v) {
    T *p = device_array<T>(v.size());
    CHECK_CUDA(cudaMemcpy(p, v.data(), v.size() * sizeof(T), cudaMemcpyHostToDevice));
    return p;
}
template <class T> std::vector<T> fetch(const T *p, size_t n) {
    std::vector<T> v(n);
    CHECK_CUDA(cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
    return v;
}
template <class T> T *pinned_array(size_t n) {
    void *p;
    CHECK_CUDA(cudaMallocHost(&p, n * sizeof(T)));
    return (T *)p;
}
// Whether the environment says when streams run: "late", "early", "random".
static inline bool streams_run(const char *when) {
    const char *text = getenv("CUDASIM_STREAMS");
    return strcmp(text && *text ? text : "late", when) == 0;
}

#endif
