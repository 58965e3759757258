#include "kernels/cuda/cublas.h"

#if __has_include(<cublasLt.h>)
#include <assert.h>
#include <cublasLt.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

enum { ROW_ALIGNMENT = 128 }; // rows are whole tiles of columns

#define FUNCTIONS(X)                                                                               \
    X(cublasLtCreate)                                                                              \
    X(cublasLtDestroy)                                                                             \
    X(cublasLtGetVersion)                                                                          \
    X(cublasLtMatmul)                                                                              \
    X(cublasLtMatmulDescCreate)                                                                    \
    X(cublasLtMatmulDescDestroy)                                                                   \
    X(cublasLtMatmulDescSetAttribute)                                                              \
    X(cublasLtMatrixLayoutCreate)                                                                  \
    X(cublasLtMatrixLayoutDestroy)                                                                 \
    X(cublasLtMatmulPreferenceCreate)                                                              \
    X(cublasLtMatmulPreferenceDestroy)                                                             \
    X(cublasLtMatmulPreferenceSetAttribute)                                                        \
    X(cublasLtMatmulAlgoGetHeuristic)                                                              \
    X(cublasLtMatmulAlgoConfigGetAttribute)

struct cublas {
    cublasLtHandle_t handle;
#define FIELD(name) __typeof__(&name) name;
    FUNCTIONS(FIELD)
#undef FIELD
};

_Static_assert(sizeof(struct cublas_algorithm) == sizeof(cublasLtMatmulAlgo_t), "");

// ------------------------------------------------------------------ the library

// The emulator's stand-in is in the object itself, and a program may have the library already:
// RTLD_DEFAULT, which is NULL, finds both.
static bool open_library(const char *name, void **library) {
    char path[64];
    *library = RTLD_DEFAULT;
    if (dlsym(RTLD_DEFAULT, "cublasLtCreate")) return true;
    snprintf(path, sizeof path, "/usr/local/cuda/lib64/%s", name);
    *library = dlopen(name, RTLD_NOW | RTLD_LOCAL); // never closed: its code may be running
    if (!*library) *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return *library;
}

// The name of a function that the library lacks, or NULL.
static const char *find_functions(struct cublas *c, void *library) {
    void *at;
#define FIND(name)                                                                                 \
    at = dlsym(library, #name);                                                                    \
    if (!at) return #name;                                                                         \
    memcpy(&c->name, &at, sizeof at);
    FUNCTIONS(FIND)
#undef FIND
    return NULL;
}

int cublas_open(struct cublas **out, struct error *err) {
    char name[32];
    void *library;
    *out = NULL;
    snprintf(name, sizeof name, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
    if (!open_library(name, &library))
        return error_set(err, ERROR_CONFIG,
                         "--gemm cublas needs %s where libraries are found (LD_LIBRARY_PATH): %s.",
                         name, dlerror());
    struct cublas *c = memory_new(1, sizeof *c);
    const char *missing = find_functions(c, library);
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    if (!missing) status = c->cublasLtCreate(&c->handle);
    if (!missing && !status) {
        *out = c;
        return 0;
    }
    free(c);
    if (missing)
        return error_set(err, ERROR_CONFIG, "--gemm cublas: %s has no function %s.", name, missing);
    return error_set(err, ERROR_CONFIG, "--gemm cublas: %s does not start, its status is %d.", name,
                     (int)status);
}

void cublas_close(struct cublas **c) {
    if (*c) (*c)->cublasLtDestroy((*c)->handle);
    free(*c);
    *c = NULL;
}

int cublas_version(const struct cublas *c) {
    return (int)c->cublasLtGetVersion();
}

// ------------------------------------------------------------------ one product

// For the library, whose matrices lie by columns, d is (n_out, n_tokens) = w^T x.
struct description {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t w, x, d;
};

static cublasStatus_t describe(const struct cublas *c, const struct cublas_product *p, int n_tokens,
                               struct description *out) {
    const cublasOperation_t transposed = CUBLAS_OP_T;
    uint64_t n_out = (uint64_t)p->n_out, n_in = (uint64_t)p->n_in, n = (uint64_t)n_tokens;
    *out = (struct description){0};
    cublasStatus_t s = c->cublasLtMatmulDescCreate(&out->product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (!s)
        s = c->cublasLtMatmulDescSetAttribute(out->product, CUBLASLT_MATMUL_DESC_TRANSA,
                                              &transposed, sizeof transposed);
    if (!s) s = c->cublasLtMatrixLayoutCreate(&out->w, CUDA_R_16BF, n_in, n_out, p->n_in);
    if (!s) s = c->cublasLtMatrixLayoutCreate(&out->x, CUDA_R_16BF, n_in, n, p->n_in);
    if (!s) s = c->cublasLtMatrixLayoutCreate(&out->d, CUDA_R_32F, n_out, n, p->n_out);
    return s;
}

static void forget(const struct cublas *c, const struct description *d) {
    if (d->product) c->cublasLtMatmulDescDestroy(d->product);
    if (d->w) c->cublasLtMatrixLayoutDestroy(d->w);
    if (d->x) c->cublasLtMatrixLayoutDestroy(d->x);
    if (d->d) c->cublasLtMatrixLayoutDestroy(d->d);
}

static bool splits_sums(const struct cublas *c, const cublasLtMatmulAlgo_t *a) {
    int32_t n_parts = 1;
    uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_NONE;
    size_t written;
    c->cublasLtMatmulAlgoConfigGetAttribute(a, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &n_parts,
                                            sizeof n_parts, &written);
    c->cublasLtMatmulAlgoConfigGetAttribute(a, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme,
                                            sizeof scheme, &written);
    return n_parts > 1 || scheme != CUBLASLT_REDUCTION_SCHEME_NONE;
}

int cublas_algorithms(const struct cublas *c, const struct cublas_product *p, int n_tokens,
                      struct cublas_algorithm out[CUBLAS_MAX_ALGORITHMS]) {
    struct description d;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found[CUBLAS_MAX_ALGORITHMS];
    const uint64_t workspace = CUBLAS_WORKSPACE_BYTES;
    const uint32_t alignment = ROW_ALIGNMENT; // of x, which may begin at any row
    int n_found = 0, n = 0;
    cublasStatus_t s = describe(c, p, n_tokens, &d);
    if (!s) s = c->cublasLtMatmulPreferenceCreate(&preference);
    if (!s)
        s = c->cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    if (!s)
        s = c->cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &alignment, sizeof alignment);
    if (!s)
        s = c->cublasLtMatmulAlgoGetHeuristic(c->handle, d.product, d.w, d.x, d.d, d.d, preference,
                                              CUBLAS_MAX_ALGORITHMS, found, &n_found);
    for (int i = 0; i < n_found && !s; i++)
        if (!found[i].state && !splits_sums(c, &found[i].algo))
            memcpy(&out[n++], &found[i].algo, sizeof *out);
    if (preference) c->cublasLtMatmulPreferenceDestroy(preference);
    forget(c, &d);
    return n;
}

int cublas_run(const struct cublas *c, const struct cublas_product *p,
               const struct cublas_algorithm *a, const struct cublas_operands *o) {
    const float one = 1, add = p->adds ? 1 : 0;
    struct description d;
    cublasLtMatmulAlgo_t algorithm;
    memcpy(&algorithm, a, sizeof algorithm);
    cublasStatus_t s = describe(c, p, o->n_tokens, &d);
    if (!s)
        s = c->cublasLtMatmul(c->handle, d.product, &one, o->w, d.w, o->x, d.x, &add, o->d, d.d,
                              o->d, d.d, &algorithm, o->workspace, CUBLAS_WORKSPACE_BYTES,
                              o->stream);
    forget(c, &d);
    return (int)s;
}

#else // no cublasLt.h where this was built

int cublas_open(struct cublas **out, struct error *err) {
    *out = NULL;
    return error_set(err, ERROR_CONFIG,
                     "--gemm cublas is not in this build: it was made without cublasLt.h (make "
                     "deps CUDA=wheels brings it).");
}
void cublas_close(struct cublas **c) {
    *c = NULL;
}
int cublas_version(const struct cublas *c) {
    (void)c;
    return 0;
}
int cublas_algorithms(const struct cublas *c, const struct cublas_product *p, int n_tokens,
                      struct cublas_algorithm out[CUBLAS_MAX_ALGORITHMS]) {
    (void)c, (void)p, (void)n_tokens, (void)out;
    return 0;
}
int cublas_run(const struct cublas *c, const struct cublas_product *p,
               const struct cublas_algorithm *a, const struct cublas_operands *o) {
    (void)c, (void)p, (void)a, (void)o;
    return -1;
}

#endif
