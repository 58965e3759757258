// The product itself, and which algorithms fit it.
#include <cuda_bf16.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/device/product.h"
#include "tests/cudasim/host/cublaslt.h"

namespace cudasim {

cublasStatus_t check_product(const MatmulDesc *desc, const MatrixLayout *a, const MatrixLayout *b,
                             const MatrixLayout *c, const MatrixLayout *d, MatrixProduct *p) {
    if (!desc || !a || !b || !c || !d)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "a product without a descriptor or a layout");
    if (desc->compute != CUBLAS_COMPUTE_32F || desc->scale != CUDA_R_32F ||
        a->type != CUDA_R_16BF || b->type != CUDA_R_16BF || c->type != d->type ||
        (d->type != CUDA_R_16BF && d->type != CUDA_R_32F))
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "only bf16 times bf16 in float32, to bf16 or "
                                                   "float32, is emulated");
    if (desc->epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "epilogue %d is not emulated", desc->epilogue);
    if ((desc->trans_a != CUBLAS_OP_N && desc->trans_a != CUBLAS_OP_T) ||
        (desc->trans_b != CUBLAS_OP_N && desc->trans_b != CUBLAS_OP_T))
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "conjugate transposes are not emulated");
    for (const MatrixLayout *l : {a, b, c, d}) {
        if (l->order != CUBLASLT_ORDER_COL || l->batch != 1)
            return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "only single matrices in column order are "
                                                       "emulated");
        if (l->ld < (int64_t)l->rows)
            return refuse(CUBLAS_STATUS_INVALID_VALUE, "a leading dimension of %lld for %llu rows",
                          (long long)l->ld, (unsigned long long)l->rows);
        if (l->type == CUDA_R_16BF && l->ld % 8)
            return refuse(CUBLAS_STATUS_NOT_SUPPORTED,
                          "a leading dimension of %lld: the emulator "
                          "takes multiples of 16 bytes",
                          (long long)l->ld);
    }
    bool ta = desc->trans_a == CUBLAS_OP_T, tb = desc->trans_b == CUBLAS_OP_T;
    p->desc = desc, p->a = a, p->b = b, p->c = c, p->d = d;
    p->m = (int64_t)(ta ? a->columns : a->rows);
    p->k = (int64_t)(ta ? a->rows : a->columns);
    p->n = (int64_t)(tb ? b->rows : b->columns);
    int64_t kb = (int64_t)(tb ? b->columns : b->rows);
    for (const MatrixLayout *l : {c, d})
        if ((int64_t)l->rows != p->m || (int64_t)l->columns != p->n || kb != p->k)
            return refuse(CUBLAS_STATUS_INVALID_VALUE,
                          "shapes do not fit: %lld x %lld times %lld x %lld to %llu x %llu",
                          (long long)p->m, (long long)p->k, (long long)kb, (long long)p->n,
                          (unsigned long long)l->rows, (unsigned long long)l->columns);
    return CUBLAS_STATUS_SUCCESS;
}

uint64_t algorithm_workspace(int id, const MatrixProduct &p) {
    return id == 1 ? 4 * (uint64_t)p.m * (uint64_t)p.n : 0;
}

static size_t bytes_of(const MatrixLayout &l) {
    size_t element = l.type == CUDA_R_32F ? 4 : 2;
    return ((size_t)(l.columns - 1) * (size_t)l.ld + (size_t)l.rows) * element;
}

static cublasStatus_t check_pointer(const void *at, const MatrixLayout &l, const char *name) {
    if ((uintptr_t)at % 16)
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "%s is not aligned to 16 bytes", name);
    if (!memory_is_device(at) || !memory_holds(at, bytes_of(l)))
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "%s reaches %zu bytes from %s: not in a buffer",
                      name, bytes_of(l), describe(at).c_str());
    return CUBLAS_STATUS_SUCCESS;
}

// ---------------------------------------------------------------- the arithmetic

static float at(const MatrixLayout &l, const void *data, int64_t row, int64_t column) {
    return __bfloat162float(((const __nv_bfloat16 *)data)[row + column * l.ld]);
}

struct Pointers {
    const void *a, *b, *c;
    void *d;
    float alpha, beta;
};

// n zeros, aligned as product_add wants them.
template <class T> struct Aligned {
    T *v;
    int64_t n;
    explicit Aligned(int64_t n) : v((T *)aligned_alloc(32, bytes(n))), n(n) {
        memset(v, 0, bytes(n));
    }
    Aligned(const Aligned &) = delete;
    ~Aligned() { free(v); }
    static size_t bytes(int64_t n) { return ((size_t)n * sizeof(T) + 31) / 32 * 32; }
};

// Both operands by steps of 16 along k, padded with zeros; b has whole eights of columns.
struct Operands {
    int64_t m, n, n_steps;
    Aligned<float> a, b; // (n_steps, m, 16), (n_steps, 16, n)
    Aligned<int32_t> a_exponents, b_exponents;
    explicit Operands(const MatrixProduct &p)
        : m(p.m), n((p.n + 7) / 8 * 8), n_steps((p.k + PRODUCT_DEPTH - 1) / PRODUCT_DEPTH),
          a(n_steps * m * PRODUCT_DEPTH), b(n_steps * n * PRODUCT_DEPTH), a_exponents(a.n),
          b_exponents(b.n) {}
};

static void gather(const MatrixProduct &p, const Pointers &q, Operands &o) {
    bool ta = p.desc->trans_a == CUBLAS_OP_T, tb = p.desc->trans_b == CUBLAS_OP_T;
    for (int64_t k = 0; k < p.k; k++) {
        int64_t step = k / PRODUCT_DEPTH, in = k % PRODUCT_DEPTH;
        for (int64_t i = 0; i < p.m; i++)
            o.a.v[(step * o.m + i) * PRODUCT_DEPTH + in] =
                ta ? at(*p.a, q.a, k, i) : at(*p.a, q.a, i, k);
        for (int64_t j = 0; j < p.n; j++)
            o.b.v[k * o.n + j] = tb ? at(*p.b, q.b, j, k) : at(*p.b, q.b, k, j);
    }
    product_exponents(o.a.v, o.a_exponents.v, (int)o.a.n);
    product_exponents(o.b.v, o.b_exponents.v, (int)o.b.n);
}

// sums (m, n) of steps begin .. end - 1 in order or from the last to the first, as the tensor cores
// of the kernels sum them.
static void add_steps(const Operands &o, int64_t begin, int64_t end, bool is_backward,
                      float *sums) {
    typedef const float(*Left)[PRODUCT_DEPTH];
    typedef const int32_t(*LeftExponents)[PRODUCT_DEPTH];
    for (int64_t i = begin; i < end; i++) {
        int64_t step = is_backward ? begin + end - 1 - i : i;
        int64_t a = step * o.m * PRODUCT_DEPTH, b = step * o.n * PRODUCT_DEPTH;
        product_add(sums, (int)o.n, (Left)(o.a.v + a), (LeftExponents)(o.a_exponents.v + a),
                    (int)o.m, {o.b.v + b, o.b_exponents.v + b, (int)o.n, (int)o.n});
    }
}

static void multiply(const MatrixProduct &p, const Pointers &q, int id) {
    Operands o(p);
    gather(p, q, o);
    int64_t half = id == 1 ? o.n_steps / 2 : 0, n_whole = id == 2 ? p.n / 128 * 128 : p.n;
    Aligned<float> first(o.m * o.n), second(o.m * o.n);
    if (half) add_steps(o, 0, half, false, first.v);
    add_steps(o, half, o.n_steps, id == 3, id == 1 ? second.v : first.v);
    if (id == 2) add_steps(o, 0, o.n_steps, true, second.v);
    for (int64_t j = 0; j < p.n; j++)
        for (int64_t i = 0; i < p.m; i++) {
            float sum = first.v[i * o.n + j], other = second.v[i * o.n + j];
            if (id == 1) sum += other;
            if (j >= n_whole) sum = other;
            size_t to = (size_t)(i + j * p.d->ld), from = (size_t)(i + j * p.c->ld);
            float value = q.alpha * sum;
            if (p.d->type == CUDA_R_32F) {
                if (q.beta != 0) value += q.beta * ((const float *)q.c)[from];
                ((float *)q.d)[to] = value;
            } else {
                if (q.beta != 0)
                    value += q.beta * __bfloat162float(((const __nv_bfloat16 *)q.c)[from]);
                ((__nv_bfloat16 *)q.d)[to] = __float2bfloat16(value);
            }
        }
}

static void run(const MatrixProduct &p, const Pointers &q, int id) {
    const char *what = "cublasLtMatmul";
    race::host_accesses(q.a, bytes_of(*p.a), false, what);
    race::host_accesses(q.b, bytes_of(*p.b), false, what);
    if (q.beta != 0) race::host_accesses(q.c, bytes_of(*p.c), false, what);
    race::host_accesses(q.d, bytes_of(*p.d), true, what);
    multiply(p, q, id);
    race::filled(q.d, bytes_of(*p.d));
}

} // namespace cudasim

using namespace cudasim;

extern "C" {

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int n_wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *n_found) {
    MatrixProduct p;
    *n_found = 0;
    cublasStatus_t status = check_product((MatmulDesc *)desc, (MatrixLayout *)a, (MatrixLayout *)b,
                                          (MatrixLayout *)c, (MatrixLayout *)d, &p);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    const Preference *want = (const Preference *)preference;
    for (uint32_t align : want->align)
        if (align < 16) return CUBLAS_STATUS_NOT_SUPPORTED;
    for (int id : algorithms_offered()) {
        if (*n_found == n_wanted || algorithm_workspace(id, p) > want->workspace) continue;
        cublasLtMatmulHeuristicResult_t *r = &results[(*n_found)++];
        memset(r, 0, sizeof *r);
        *(Algorithm *)&r->algo = {ALGORITHM_MARK, id};
        r->workspaceSize = algorithm_workspace(id, p);
        r->state = CUBLAS_STATUS_SUCCESS;
        r->wavesCount = 1;
    }
    return *n_found ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t desc,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *algo,
                                       cublasLtMatmulHeuristicResult_t *result) {
    MatrixProduct p;
    cublasStatus_t status = check_product((MatmulDesc *)desc, (MatrixLayout *)a, (MatrixLayout *)b,
                                          (MatrixLayout *)c, (MatrixLayout *)d, &p);
    const Algorithm *x = (const Algorithm *)algo;
    if (status == CUBLAS_STATUS_SUCCESS && x->mark != ALGORITHM_MARK)
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    memset(result, 0, sizeof *result);
    result->algo = *algo;
    result->workspaceSize = algorithm_workspace(x->id, p);
    result->wavesCount = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *A, cublasLtMatrixLayout_t a, const void *B,
                              cublasLtMatrixLayout_t b, const void *beta, const void *C,
                              cublasLtMatrixLayout_t c, void *D, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    Call call("cublasLtMatmul");
    Stream *s = stream_of(stream);
    if (call.status != cudaSuccess || !handle || !s) return CUBLAS_STATUS_EXECUTION_FAILED;
    MatrixProduct p;
    cublasStatus_t status = check_product((MatmulDesc *)desc, (MatrixLayout *)a, (MatrixLayout *)b,
                                          (MatrixLayout *)c, (MatrixLayout *)d, &p);
    const Algorithm *x = (const Algorithm *)algo;
    if (status == CUBLAS_STATUS_SUCCESS && (!x || x->mark != ALGORITHM_MARK))
        status = refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasLtMatmul without an algorithm: the "
                                                     "emulator wants it pinned");
    if (status == CUBLAS_STATUS_SUCCESS && p.desc->pointer_mode != CUBLASLT_POINTER_MODE_HOST)
        status = refuse(CUBLAS_STATUS_NOT_SUPPORTED, "alpha and beta in device memory");
    if (status == CUBLAS_STATUS_SUCCESS) status = check_pointer(A, *p.a, "A");
    if (status == CUBLAS_STATUS_SUCCESS) status = check_pointer(B, *p.b, "B");
    if (status == CUBLAS_STATUS_SUCCESS) status = check_pointer(D, *p.d, "D");
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    Pointers q = {A, B, C, D, *(const float *)alpha, *(const float *)beta};
    if (q.beta != 0) status = check_pointer(C, *p.c, "C");
    uint64_t needed = algorithm_workspace(x->id, p);
    if (needed > workspace_bytes ||
        (needed && (!memory_is_device(workspace) || !memory_holds(workspace, needed))))
        return refuse(CUBLAS_STATUS_INVALID_VALUE,
                      "a workspace of %zu bytes; algorithm %d needs %llu "
                      "of device memory",
                      workspace_bytes, x->id, (unsigned long long)needed);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    // Descriptors and layouts may be destroyed before the product runs.
    auto kept = std::make_shared<std::pair<MatmulDesc, std::vector<MatrixLayout>>>(
        *p.desc, std::vector<MatrixLayout>{*p.a, *p.b, *p.c, *p.d});
    int id = x->id;
    cudaError_t queued = enqueue(s, {"cublasLtMatmul", [=] {
                                         MatrixProduct run_p = p;
                                         run_p.desc = &kept->first;
                                         run_p.a = &kept->second[0], run_p.b = &kept->second[1];
                                         run_p.c = &kept->second[2], run_p.d = &kept->second[3];
                                         run(run_p, q, id);
                                     }});
    return queued == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

} // extern "C"
