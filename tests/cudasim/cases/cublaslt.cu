// cuBLASLt's stand-in: right products, what it refuses, and algorithms whose bits tell them apart.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <math.h>

#include "tests/cudasim/cases/check.h"

#define CHECK_LT(call) CHECK((call) == CUBLAS_STATUS_SUCCESS)

struct setup {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t found[8];
    int n_found;
};

// D (m, n) = op(A) op(B), all in column order.
static setup make(int m, int n, int k, cublasOperation_t ta, cublasOperation_t tb,
                  cudaDataType type, uint64_t workspace) {
    setup s;
    CHECK_LT(cublasLtCreate(&s.handle));
    CHECK_LT(cublasLtMatmulDescCreate(&s.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    CHECK_LT(cublasLtMatmulDescSetAttribute(s.desc, CUBLASLT_MATMUL_DESC_TRANSA, &ta, sizeof ta));
    CHECK_LT(cublasLtMatmulDescSetAttribute(s.desc, CUBLASLT_MATMUL_DESC_TRANSB, &tb, sizeof tb));
    int a_rows = ta == CUBLAS_OP_T ? k : m, b_rows = tb == CUBLAS_OP_T ? n : k;
    CHECK_LT(
        cublasLtMatrixLayoutCreate(&s.a, CUDA_R_16BF, a_rows, ta == CUBLAS_OP_T ? m : k, a_rows));
    CHECK_LT(
        cublasLtMatrixLayoutCreate(&s.b, CUDA_R_16BF, b_rows, tb == CUBLAS_OP_T ? k : n, b_rows));
    CHECK_LT(cublasLtMatrixLayoutCreate(&s.d, type, m, n, m));
    CHECK_LT(cublasLtMatmulPreferenceCreate(&s.preference));
    CHECK_LT(cublasLtMatmulPreferenceSetAttribute(
        s.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
    CHECK_LT(cublasLtMatmulAlgoGetHeuristic(s.handle, s.desc, s.a, s.b, s.d, s.d, s.preference, 8,
                                            s.found, &s.n_found));
    return s;
}
static void destroy(setup *s) {
    CHECK_LT(cublasLtMatmulPreferenceDestroy(s->preference));
    CHECK_LT(cublasLtMatrixLayoutDestroy(s->a));
    CHECK_LT(cublasLtMatrixLayoutDestroy(s->b));
    CHECK_LT(cublasLtMatrixLayoutDestroy(s->d));
    CHECK_LT(cublasLtMatmulDescDestroy(s->desc));
    CHECK_LT(cublasLtDestroy(s->handle));
}

static int id_of(const cublasLtMatmulAlgo_t &algo) {
    int id;
    size_t written;
    CHECK_LT(cublasLtMatmulAlgoConfigGetAttribute(&algo, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id,
                                                  &written));
    return id;
}

static std::vector<__nv_bfloat16> random_bf16(size_t n) {
    static uint64_t state = 3;
    std::vector<__nv_bfloat16> v(n);
    for (auto &x : v) {
        state = state * 6364136223846793005ull + 1;
        x = __float2bfloat16(
            ldexpf((float)(int)(state >> 40 & 255) / 128 - 1, -(int)(state >> 60)));
    }
    return v;
}

static void test_products() {
    int m = 24, n = 136, k = 40;
    for (int kind = 0; kind < 8; kind++) {
        bool ta = kind & 1, tb = kind & 2;
        cudaDataType type = kind & 4 ? CUDA_R_32F : CUDA_R_16BF;
        setup s = make(m, n, k, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N,
                       type, 1 << 20);
        CHECK(s.n_found == 3);
        auto a = random_bf16(m * k), b = random_bf16(n * k);
        auto *da = device_copy(a), *db = device_copy(b);
        char *d = device_array<char>(4 * m * n), *workspace = device_array<char>(1 << 20);
        for (int i = 0; i < s.n_found; i++) {
            float alpha = 2, beta = i ? 0.5f : 0; // C is D
            CHECK_CUDA(cudaMemset(d, 0, 4 * m * n));
            CHECK_LT(cublasLtMatmul(s.handle, s.desc, &alpha, da, s.a, db, s.b, &beta, d, s.d, d,
                                    s.d, &s.found[i].algo, workspace, 1 << 20, nullptr));
            auto as_float = fetch((float *)d, m * n);
            auto as_bf16 = fetch((__nv_bfloat16 *)d, m * n);
            for (int r = 0; r < m; r++)
                for (int c = 0; c < n; c++) {
                    double sum = 0;
                    for (int l = 0; l < k; l++)
                        sum += (double)__bfloat162float(ta ? a[l + r * k] : a[r + l * m]) *
                               __bfloat162float(tb ? b[c + l * n] : b[l + c * k]);
                    double have = type == CUDA_R_32F ? as_float[r + c * m]
                                                     : __bfloat162float(as_bf16[r + c * m]);
                    double allowed = type == CUDA_R_32F ? 1e-4 : 1e-4 + fabs(2 * sum) / 256;
                    CHECK(fabs(have - 2 * sum) <= allowed);
                }
        }
        for (void *p : {(void *)da, (void *)db, (void *)d, (void *)workspace})
            CHECK_CUDA(cudaFree(p));
        destroy(&s);
    }
}

// Whether a column of D has the same bits in a product of 8 columns and as one of the last of 136.
static bool depends_on_place(int wanted) {
    int m = 16, k = 512;
    auto a = random_bf16(m * k), b = random_bf16(136 * k);
    auto *da = device_copy(a), *db = device_copy(b);
    float *wide = device_array<float>(m * 136), *narrow = device_array<float>(m * 8);
    char *workspace = device_array<char>(1 << 20);
    float one = 1, zero = 0;
    for (int n : {136, 8}) {
        setup s = make(m, n, k, CUBLAS_OP_T, CUBLAS_OP_N, CUDA_R_32F, 1 << 20);
        for (int i = 0; i < s.n_found; i++)
            if (id_of(s.found[i].algo) == wanted)
                CHECK_LT(cublasLtMatmul(s.handle, s.desc, &one, da, s.a, n == 8 ? db + 120 * k : db,
                                        s.b, &zero, nullptr, s.d, n == 8 ? narrow : wide, s.d,
                                        &s.found[i].algo, workspace, 1 << 20, nullptr));
        destroy(&s);
    }
    auto x = fetch(wide, m * 136), y = fetch(narrow, m * 8);
    return memcmp(&x[m * 120], &y[0], m * 8 * sizeof(float)) != 0;
}

static void test_refusals() {
    setup s = make(16, 16, 16, CUBLAS_OP_T, CUBLAS_OP_N, CUDA_R_16BF, 0);
    CHECK(s.n_found == 2); // without a workspace
    auto *p = device_copy(random_bf16(16 * 16 + 8));
    float one = 1, zero = 0;
    auto run = [&](const void *a, void *d, cublasLtMatrixLayout_t d_layout) {
        return cublasLtMatmul(s.handle, s.desc, &one, a, s.a, p, s.b, &zero, nullptr, d_layout, d,
                              d_layout, &s.found[0].algo, nullptr, 0, nullptr);
    };
    std::vector<__nv_bfloat16> host(512);
    cublasLtMatrixLayout_t wrong;
    CHECK(run(host.data(), p, s.d) != CUBLAS_STATUS_SUCCESS);  // a host pointer
    CHECK(run(p + 1, p, s.d) == CUBLAS_STATUS_NOT_SUPPORTED);  // not aligned
    CHECK(run(p + 16, p, s.d) == CUBLAS_STATUS_INVALID_VALUE); // leaves the buffer
    CHECK_LT(cublasLtMatrixLayoutCreate(&wrong, CUDA_R_16BF, 16, 24, 16));
    CHECK(run(p, p, wrong) == CUBLAS_STATUS_INVALID_VALUE); // other shape
    CHECK_LT(cublasLtMatrixLayoutDestroy(wrong));
    CHECK_LT(cublasLtMatrixLayoutCreate(&wrong, CUDA_R_16F, 16, 16, 16));
    CHECK(run(p, p, wrong) == CUBLAS_STATUS_NOT_SUPPORTED); // other type
    CHECK_LT(cublasLtMatrixLayoutDestroy(wrong));
    int32_t row = CUBLASLT_ORDER_ROW;
    CHECK_LT(cublasLtMatrixLayoutSetAttribute(s.a, CUBLASLT_MATRIX_LAYOUT_ORDER, &row, sizeof row));
    CHECK(run(p, p, s.d) == CUBLAS_STATUS_NOT_SUPPORTED);
    cublasLtMatmulAlgo_t algo;
    CHECK_LT(cublasLtMatmulAlgoInit(s.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF,
                                    CUDA_R_16BF, CUDA_R_16BF, CUDA_R_16BF, 0, &algo));
    CHECK(id_of(algo) == 0);
    CHECK(cublasLtMatmulAlgoInit(s.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF,
                                 CUDA_R_16BF, CUDA_R_16BF, 7,
                                 &algo) == CUBLAS_STATUS_INVALID_VALUE);
    destroy(&s);
    CHECK_CUDA(cudaFree(p));
}

int main() {
    test_products();
    CHECK(!depends_on_place(0) && !depends_on_place(1) && depends_on_place(2));
    test_refusals();
    printf("ok\n");
    return 0;
}
