// Descriptors, layouts, preferences and algorithms of cuBLASLt: their attributes.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cudasim/host/cublaslt.h"

namespace cudasim {

cublasStatus_t refuse(cublasStatus_t status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "cudasim: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, ".\n");
    va_end(arguments);
    return status;
}

template <class T> static cublasStatus_t set(T *field, const void *value, size_t bytes) {
    if (bytes != sizeof(T) || !value)
        return refuse(CUBLAS_STATUS_INVALID_VALUE, "an attribute of %zu bytes; %zu are expected",
                      bytes, sizeof(T));
    memcpy(field, value, sizeof(T));
    return CUBLAS_STATUS_SUCCESS;
}

template <class T> static cublasStatus_t get(T value, void *to, size_t bytes, size_t *written) {
    if (written) *written = sizeof(T);
    if (bytes == 0 && written) return CUBLAS_STATUS_SUCCESS;
    if (bytes != sizeof(T) || !to) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, &value, sizeof(T));
    return CUBLAS_STATUS_SUCCESS;
}

std::vector<int> algorithms_offered() {
    const char *which = getenv("CUDASIM_CUBLASLT");
    if (which && strcmp(which, "dependent") == 0) return {2};
    if (which && strcmp(which, "other") == 0) return {3};
    return {1, 2, 0};
}

} // namespace cudasim

using namespace cudasim;

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    Call call("cublasLtCreate");
    const char *which = getenv("CUDASIM_CUBLASLT");
    if (call.status != cudaSuccess || (which && strcmp(which, "absent") == 0))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = (cublasLtHandle_t)calloc(1, 16);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion(void) {
    return CUBLAS_VERSION;
}
const char *cublasLtGetStatusName(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
        return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
        return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
        return "unknown status";
    }
}
const char *cublasLtGetStatusString(cublasStatus_t status) {
    return cublasLtGetStatusName(status);
}

// ---------------------------------------------------------------- the operation

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
    MatmulDesc *d = (MatmulDesc *)calloc(1, sizeof(MatmulDesc));
    d->compute = compute;
    d->scale = scale;
    d->trans_a = d->trans_b = CUBLAS_OP_N;
    d->pointer_mode = CUBLASLT_POINTER_MODE_HOST;
    d->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    *desc = (cublasLtMatmulDesc_t)d;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
    free(desc);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
    MatmulDesc *d = (MatmulDesc *)desc;
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
        return set(&d->compute, value, bytes);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
        return set(&d->scale, value, bytes);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
        return set(&d->pointer_mode, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return set(&d->trans_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return set(&d->trans_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return set(&d->epilogue, value, bytes);
    default:
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "attribute %d of a product is not emulated",
                      (int)attribute);
    }
}

// ---------------------------------------------------------------- matrices

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
    MatrixLayout *l = (MatrixLayout *)calloc(1, sizeof(MatrixLayout));
    *l = {type, rows, columns, ld, CUBLASLT_ORDER_COL, 1};
    *layout = (cublasLtMatrixLayout_t)l;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    free(layout);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *value, size_t bytes) {
    MatrixLayout *l = (MatrixLayout *)layout;
    switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
        return set(&l->type, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
        return set(&l->order, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
        return set(&l->rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
        return set(&l->columns, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
        return set(&l->ld, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        return set(&l->batch, value, bytes);
    default:
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "attribute %d of a layout is not emulated",
                      (int)attribute);
    }
}

// ---------------------------------------------------------------- preferences

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
    Preference *p = (Preference *)calloc(1, sizeof(Preference));
    for (uint32_t &a : p->align) a = 256; // the documented default
    *preference = (cublasLtMatmulPreference_t)p;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    free(preference);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    Preference *p = (Preference *)preference;
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return set(&p->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return set(&p->align[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return set(&p->align[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return set(&p->align[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return set(&p->align[3], value, bytes);
    default:
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "attribute %d of a preference is not emulated",
                      (int)attribute);
    }
}

// ---------------------------------------------------------------- algorithms

static const Algorithm *algorithm_of(const cublasLtMatmulAlgo_t *algo) {
    const Algorithm *a = (const Algorithm *)algo;
    return a && a->mark == ALGORITHM_MARK ? a : nullptr;
}

cublasStatus_t cublasLtMatmulAlgoGetIds(cublasLtHandle_t, cublasComputeType_t compute,
                                        cudaDataType_t scale, cudaDataType_t a, cudaDataType_t b,
                                        cudaDataType_t c, cudaDataType_t d, int n_wanted, int ids[],
                                        int *n_found) {
    *n_found = 0;
    bool known = compute == CUBLAS_COMPUTE_32F && scale == CUDA_R_32F && a == CUDA_R_16BF &&
                 b == CUDA_R_16BF && c == d && (d == CUDA_R_16BF || d == CUDA_R_32F);
    if (!known) return CUBLAS_STATUS_NOT_SUPPORTED;
    for (int id : algorithms_offered())
        if (*n_found < n_wanted) ids[(*n_found)++] = id;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t handle, cublasComputeType_t compute,
                                      cudaDataType_t scale, cudaDataType_t a, cudaDataType_t b,
                                      cudaDataType_t c, cudaDataType_t d, int id,
                                      cublasLtMatmulAlgo_t *algo) {
    int ids[8], n;
    cublasStatus_t status =
        cublasLtMatmulAlgoGetIds(handle, compute, scale, a, b, c, d, 8, ids, &n);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    for (int i = 0; i < n; i++)
        if (ids[i] == id) {
            memset(algo, 0, sizeof *algo);
            *(Algorithm *)algo = {ALGORITHM_MARK, id};
            return CUBLAS_STATUS_SUCCESS;
        }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoCapGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                 cublasLtMatmulAlgoCapAttributes_t attribute,
                                                 void *to, size_t bytes, size_t *written) {
    const Algorithm *a = algorithm_of(algo);
    if (!a) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attribute) {
    case CUBLASLT_ALGO_CAP_SPLITK_SUPPORT:
        return get<int32_t>(a->id == 1, to, bytes, written);
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_ALGO_CAP_MIN_ALIGNMENT_D_BYTES:
        return get<uint32_t>(16, to, bytes, written);
    default:
        return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "capability %d of an algorithm is not emulated",
                      (int)attribute);
    }
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void *to, size_t bytes, size_t *written) {
    const Algorithm *a = algorithm_of(algo);
    if (!a) return CUBLAS_STATUS_INVALID_VALUE;
    switch (attribute) {
    case CUBLASLT_ALGO_CONFIG_ID:
        return get<int32_t>(a->id, to, bytes, written);
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
        return get<int32_t>(a->id == 1 ? 2 : 1, to, bytes, written);
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
        return get<uint32_t>(a->id == 1 ? CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE
                                        : CUBLASLT_REDUCTION_SCHEME_NONE,
                             to, bytes, written);
    case CUBLASLT_ALGO_CONFIG_TILE_ID:
    case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING:
    case CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION:
    case CUBLASLT_ALGO_CONFIG_STAGES_ID:
        return get<uint32_t>(0, to, bytes, written);
    case CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID:
    case CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID:
        return get<uint16_t>(0, to, bytes, written);
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    // What a pinned algorithm was written down with may be set again, and nothing else.
    unsigned char have[8] = {}, want[8] = {};
    size_t written = 0;
    cublasStatus_t status =
        cublasLtMatmulAlgoConfigGetAttribute(algo, attribute, have, bytes, &written);
    if (status != CUBLAS_STATUS_SUCCESS || attribute == CUBLASLT_ALGO_CONFIG_ID)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(want, value, bytes);
    if (memcmp(have, want, sizeof have) == 0) return CUBLAS_STATUS_SUCCESS;
    return refuse(CUBLAS_STATUS_NOT_SUPPORTED, "setting %d of an algorithm has one value here",
                  (int)attribute);
}

} // extern "C"
