// cuTensorMapEncodeTiled, found through the runtime: programs do not link the driver.
#ifndef TESTS_CUDASIM_WRAPPERS_ENCODE_H
#define TESTS_CUDASIM_WRAPPERS_ENCODE_H

#include <cuda.h>
#include <cuda_runtime.h>

// A tensor of 16-bit elements: rank sizes, the contiguous one first; rows lie pitch bytes apart,
// planes pitch * size[1].
static inline CUresult encode_16bit(CUtensorMap *map, void *at, int rank, const int *size,
                                    size_t pitch, const int *box, CUtensorMapSwizzle swizzle) {
    void *symbol = nullptr;
    cudaDriverEntryPointQueryResult found;
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &symbol, 12000,
                                         cudaEnableDefault, &found) != cudaSuccess)
        return CUDA_ERROR_NOT_FOUND;
    cuuint64_t sizes[3], strides[3];
    cuuint32_t boxes[3], ones[3] = {1, 1, 1};
    for (int i = 0; i < rank; i++) {
        sizes[i] = (cuuint64_t)size[i];
        boxes[i] = (cuuint32_t)box[i];
        strides[i] = i == 0 ? pitch : strides[i - 1] * sizes[i];
    }
    return ((decltype(&cuTensorMapEncodeTiled))symbol)(
        map, CU_TENSOR_MAP_DATA_TYPE_UINT16, (cuuint32_t)rank, at, sizes, strides, boxes, ones,
        CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_NONE,
        CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

#endif
