// The stand-in of cuBLASLt: what its opaque handles hold here. bf16 times bf16 in float32, column
// order, one matrix at a time; everything else is refused with a sentence.
//
// Algorithms, as the library has many; all sum 16 products at a time as tensor cores do: 0 along k
// in order, as the kernels do; 1 two halves apart (it needs a workspace); 2 from the last 16 to the
// first for the columns of D behind the last full 128, so that a row's bits depend on its place.
// CUDASIM_CUBLASLT=dependent offers 2 alone; =other offers 3 alone, which sums from the last 16 to
// the first in all places; =absent lets nobody create a handle.
#ifndef TESTS_CUDASIM_HOST_CUBLASLT_H
#define TESTS_CUDASIM_HOST_CUBLASLT_H

#include <cublasLt.h>
#include <stdint.h>

#include <vector>

#include "tests/cudasim/host/runtime.h"

namespace cudasim {

struct MatmulDesc {
    cublasComputeType_t compute;
    cudaDataType scale;
    cublasLtPointerMode_t pointer_mode;
    cublasOperation_t trans_a, trans_b;
    cublasLtEpilogue_t epilogue;
};
struct MatrixLayout {
    cudaDataType type;
    uint64_t rows, columns;
    int64_t ld;
    int32_t order, batch;
};
struct Preference {
    uint64_t workspace;
    uint32_t align[4]; // of A, B, C, D
};
struct Algorithm { // in the 64 bytes of cublasLtMatmulAlgo_t
    uint64_t mark;
    int32_t id;
};
static const uint64_t ALGORITHM_MARK = 0x636f726967616c61;

// Prints why and returns the status.
cublasStatus_t refuse(cublasStatus_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// A product with all that it is made of: D = alpha op(A) op(B) + beta C.
struct MatrixProduct {
    const MatmulDesc *desc;
    const MatrixLayout *a, *b, *c, *d;
    int64_t m, n, k;
};
// The shapes, types and layouts fit one another and the emulator.
cublasStatus_t check_product(const MatmulDesc *desc, const MatrixLayout *a, const MatrixLayout *b,
                             const MatrixLayout *c, const MatrixLayout *d, MatrixProduct *p);
std::vector<int> algorithms_offered();
uint64_t algorithm_workspace(int id, const MatrixProduct &p);

} // namespace cudasim

#endif
