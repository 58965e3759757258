// cuTensorMapEncodeTiled: the conditions that the driver's documentation lists, and what the
// emulator does not have, are refused with a sentence.
#include <string.h>

#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/device/tensor_map.h"
#include "tests/cudasim/host/runtime.h"

using namespace cudasim;

static CUresult refuse(const char *why) {
    fprintf(stderr, "cudasim: cuTensorMapEncodeTiled: %s.\n", why);
    return CUDA_ERROR_INVALID_VALUE;
}

static uint32_t bytes_of(CUtensorMapDataType type) {
    switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8:
        return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16:
        return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT32:
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32:
        return 4;
    case CU_TENSOR_MAP_DATA_TYPE_UINT64:
    case CU_TENSOR_MAP_DATA_TYPE_INT64:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT64:
        return 8;
    default:
        return 0;
    }
}

static const char *check_dimensions(const TensorMap &m, const cuuint32_t *element_strides) {
    for (uint32_t i = 0; i < m.rank; i++) {
        if (m.size[i] == 0 || m.size[i] > (uint64_t)1 << 32) return "a dimension is 0 or over 2^32";
        if (m.box[i] == 0 || m.box[i] > 256) return "a box dimension is 0 or over 256";
        if (element_strides[i] != 1) return "the emulator has element strides of 1 alone";
        if (i > 0 && (m.stride[i] % 16 || m.stride[i] >= (uint64_t)1 << 40))
            return "a stride is no multiple of 16 bytes below 2^40";
        if (i > 0 && m.stride[i] < m.stride[i - 1] * m.size[i - 1] && m.size[i] > 1)
            return "a stride is shorter than the dimension before it";
    }
    if (m.box[0] * m.element_bytes % 16) return "a row of the box is no multiple of 16 bytes";
    if (m.swizzle_bytes > 16 && m.box[0] * m.element_bytes != m.swizzle_bytes)
        return "the emulator swizzles boxes whose rows are as wide as the pattern";
    return nullptr;
}

extern "C" CUresult
cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *global,
                       const cuuint64_t *sizes, const cuuint64_t *strides, const cuuint32_t *box,
                       const cuuint32_t *element_strides, CUtensorMapInterleave interleave,
                       CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                       CUtensorMapFloatOOBfill fill) {
    (void)promotion;
    if (!settings.device.has(90)) return refuse("the device has no tensor maps before sm_90");
    if ((uintptr_t)map % 64) return refuse("the map is not aligned to 64 bytes");
    if ((uintptr_t)global % 16) return refuse("the tensor is not aligned to 16 bytes");
    if (!memory_is_device(global)) return refuse("the tensor is not in device memory");
    if (rank < 1 || rank > TENSOR_MAX_RANK) return refuse("the emulator has 1 to 3 dimensions");
    if (interleave != CU_TENSOR_MAP_INTERLEAVE_NONE || fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)
        return refuse("the emulator has neither interleaved layouts nor a fill of NaN");
    TensorMap m = {};
    m.mark = TENSOR_MAP_MARK;
    m.global = (unsigned char *)global;
    m.rank = rank;
    m.element_bytes = bytes_of(type);
    if (!m.element_bytes) return refuse("the emulator does not have this element type");
    switch (swizzle) {
    case CU_TENSOR_MAP_SWIZZLE_NONE:
        m.swizzle_bytes = 16;
        break;
    case CU_TENSOR_MAP_SWIZZLE_32B:
        m.swizzle_bytes = 32;
        break;
    case CU_TENSOR_MAP_SWIZZLE_64B:
        m.swizzle_bytes = 64;
        break;
    case CU_TENSOR_MAP_SWIZZLE_128B:
        m.swizzle_bytes = 128;
        break;
    default:
        return refuse("the emulator does not have this swizzle mode");
    }
    for (uint32_t i = 0; i < TENSOR_MAX_RANK; i++) {
        m.size[i] = i < rank ? sizes[i] : 1;
        m.box[i] = i < rank ? box[i] : 1;
        m.stride[i] = i == 0 ? m.element_bytes : i < rank ? strides[i - 1] : 0;
    }
    const char *wrong = check_dimensions(m, element_strides);
    if (wrong) return refuse(wrong);
    memset(map, 0, sizeof *map);
    memcpy(map, &m, sizeof m);
    return CUDA_SUCCESS;
}
