// kernels/cuda/nccl.h against NVIDIA's header, where that is installed.
#include <nccl.h>

#include <cstddef>

#undef NCCL_UNIQUE_ID_BYTES
#undef NCCL_API_MAGIC
#undef NCCL_CONFIG_UNDEF_INT
#undef NCCL_CONFIG_INITIALIZER
#define NCCL_TYPES_ONLY
namespace ours {
#include "kernels/cuda/nccl.h"
}

#define SAME(name) static_assert((int)ours::name == (int)::name, #name)
SAME(ncclSuccess);
SAME(ncclUnhandledCudaError);
SAME(ncclSystemError);
SAME(ncclInternalError);
SAME(ncclInvalidArgument);
SAME(ncclInvalidUsage);
SAME(ncclRemoteError);
SAME(ncclInProgress);
SAME(ncclInt8);
SAME(ncclUint8);
SAME(ncclInt32);
SAME(ncclUint32);
SAME(ncclInt64);
SAME(ncclUint64);
SAME(ncclFloat16);
SAME(ncclFloat32);
SAME(ncclFloat64);
SAME(ncclBfloat16);
SAME(ncclSum);
SAME(ncclProd);
SAME(ncclMax);
SAME(ncclMin);
SAME(ncclAvg);

static_assert(sizeof(ours::ncclUniqueId) == sizeof(::ncclUniqueId), "ncclUniqueId");
static_assert(sizeof(ours::ncclConfig_t) <= sizeof(::ncclConfig_t), "ncclConfig_t");
#define SAME_PLACE(field)                                                                          \
    static_assert(offsetof(ours::ncclConfig_t, field) == offsetof(::ncclConfig_t, field), #field)
SAME_PLACE(size);
SAME_PLACE(magic);
SAME_PLACE(version);
SAME_PLACE(blocking);
SAME_PLACE(cgaClusterSize);
SAME_PLACE(minCTAs);
SAME_PLACE(maxCTAs);
SAME_PLACE(netName);
SAME_PLACE(splitShare);
