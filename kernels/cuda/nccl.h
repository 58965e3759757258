// What of NCCL is used, as its 2.18 and later have it: types and functions of the library that is
// opened at run time, so that neither building nor running needs it. Facts of NVIDIA's nccl.h,
// which tests/cudasim holds them against where that header is installed.
#ifndef KERNELS_CUDA_NCCL_H
#define KERNELS_CUDA_NCCL_H

#include <limits.h>
#include <stddef.h>

enum { NCCL_LEAST_VERSION = 21800, NCCL_UNIQUE_ID_BYTES = 128 };
#define NCCL_API_MAGIC        0xcafebeefu
#define NCCL_CONFIG_UNDEF_INT INT_MIN

typedef struct ncclComm *ncclComm_t;
typedef struct {
    char internal[NCCL_UNIQUE_ID_BYTES];
} ncclUniqueId;

typedef enum {
    ncclSuccess,
    ncclUnhandledCudaError,
    ncclSystemError,
    ncclInternalError,
    ncclInvalidArgument,
    ncclInvalidUsage,
    ncclRemoteError,
    ncclInProgress,
} ncclResult_t;

typedef enum {
    ncclInt8,
    ncclUint8,
    ncclInt32,
    ncclUint32,
    ncclInt64,
    ncclUint64,
    ncclFloat16,
    ncclFloat32,
    ncclFloat64,
    ncclBfloat16,
} ncclDataType_t;

typedef enum { ncclSum, ncclProd, ncclMax, ncclMin, ncclAvg } ncclRedOp_t;

// As of 2.18; later ones have more behind it, and take this by its size.
typedef struct {
    size_t size;
    unsigned magic, version;
    int blocking, cgaClusterSize, minCTAs, maxCTAs;
    const char *netName;
    int splitShare;
} ncclConfig_t;
#define NCCL_CONFIG_INITIALIZER                                                                    \
    {                                                                                              \
        sizeof(ncclConfig_t), NCCL_API_MAGIC, NCCL_LEAST_VERSION, NCCL_CONFIG_UNDEF_INT,           \
            NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_INT, NULL,             \
            NCCL_CONFIG_UNDEF_INT                                                                  \
    }

#ifndef NCCL_TYPES_ONLY
#include <cuda_runtime_api.h>

// The library's functions.
struct nccl {
    int version;
    ncclResult_t (*get_version)(int *version);
    ncclResult_t (*init)(ncclComm_t *comm, int n_ranks, ncclUniqueId id, int rank,
                         ncclConfig_t *config);
    ncclResult_t (*async_error)(ncclComm_t comm, ncclResult_t *status);
    ncclResult_t (*broadcast)(const void *from, void *to, size_t count, ncclDataType_t type,
                              int root, ncclComm_t comm, cudaStream_t stream);
    ncclResult_t (*abort)(ncclComm_t comm);
    const char *(*error_string)(ncclResult_t status);
    const char *(*last_error)(ncclComm_t comm);
};

struct error;

// Opens $STAMPEDE_NCCL, or libnccl.so.2, once a process; it stays open. NULL with a sentence where
// it is not to be had or is too old. From one thread.
const struct nccl *nccl_open(struct error *err);
#endif

#endif
