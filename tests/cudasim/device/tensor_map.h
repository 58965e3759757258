// What our stand-in of cuTensorMapEncodeTiled puts into the 128 opaque bytes of a CUtensorMap.
#ifndef TESTS_CUDASIM_DEVICE_TENSOR_MAP_H
#define TESTS_CUDASIM_DEVICE_TENSOR_MAP_H

#include <cuda.h>
#include <stdint.h>

namespace cudasim {

enum { TENSOR_MAX_RANK = 3 };

struct TensorMap {
    uint64_t mark;
    unsigned char *global;
    uint32_t rank, element_bytes;
    uint32_t swizzle_bytes;           // of a row of the pattern; 16: none
    uint32_t box[TENSOR_MAX_RANK];    // elements
    uint64_t size[TENSOR_MAX_RANK];   // elements
    uint64_t stride[TENSOR_MAX_RANK]; // bytes; [0] is the element's
};
static_assert(sizeof(TensorMap) <= sizeof(CUtensorMap), "");
static const uint64_t TENSOR_MAP_MARK = 0x70616d726f736e74;

} // namespace cudasim

#endif
