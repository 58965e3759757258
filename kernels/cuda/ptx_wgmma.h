// Wrappers for sm_90a, included by ptx.h: matrix products of a warpgroup, 4 consecutive warps whose
// first has an index that 4 divides. All 128 threads make the same calls.
//
// Products are asynchronous. wgmma_fence comes before the first one and after the registers of an
// accumulator or of A were touched by other instructions; wgmma_commit closes a group of products;
// wgmma_wait<N> returns when all but the N newest groups are done. Until then the accumulator and
// the registers of A may not be touched, and shared memory that is read may not be written.
//
// Seen on an H100, 2026-11-26: the bits of an element of d depend on its row of a, its column of b
// and the order of the products alone: not on N, its place, A from registers or shared memory, and
// they are those of mma.sync (ptx.h). tests/cudasim/wrappers/numerics.cu asks a device.
#ifndef KERNELS_CUDA_PTX_WGMMA_H
#define KERNELS_CUDA_PTX_WGMMA_H

PTX void wgmma_fence() {
    RUN(cudasim::wgmma_fence(), "wgmma.fence.sync.aligned;" ::: "memory");
}
PTX void wgmma_commit() {
    RUN(cudasim::wgmma_commit(), "wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int N> PTX void wgmma_wait() {
    RUN(cudasim::wgmma_wait(N), "wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

// All threads of the warpgroup: the most registers that each may use from here on, 24 to 256 by 8.
// The kernel needs __launch_bounds__(threads, 1) and each role in one branch of an if.
template <int N> PTX void registers_increase() {
    RUN(cudasim::set_max_registers(N, true), "setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}
template <int N> PTX void registers_decrease() {
    RUN(cudasim::set_max_registers(N, false), "setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

// The descriptor of an operand in shared memory: a matrix of bf16 of 64 (A) or N (B) rows and 16
// columns of K, in 8 x 16-byte core matrices.
//   K contiguous (trans 0), swizzled: rows of 32, 64 or 128 bytes, 8 of them are a pattern;
//     stride_bytes from one 8 rows to the next, leading_bytes unused. 16 columns further on is
//     32 bytes added to the address.
//   K contiguous, swizzle 0: leading_bytes from one core matrix to the next along K, stride_bytes
//     to the next 8 rows.
//   M or N contiguous (trans 1), swizzled: a pattern is 8 rows of K, each of 16, 32 or 64 elements;
//     leading_bytes to the next elements of M or N, stride_bytes to the next 8 rows of K.
//   M or N contiguous, swizzle 0: stride_bytes along M or N, leading_bytes along K.
// A swizzled pattern starts at a multiple of its size: 256, 512 or 1024 bytes.
enum wgmma_swizzle { WGMMA_PLAIN = 0, WGMMA_128 = 1, WGMMA_64 = 2, WGMMA_32 = 3 };
PTX uint64_t wgmma_descriptor(const void *shared, int leading_bytes, int stride_bytes,
                              enum wgmma_swizzle swizzle) {
    return (uint64_t)(shared_address(shared) & 0x3ffff) >> 4 |
           (uint64_t)(leading_bytes >> 4 & 0x3fff) << 16 |
           (uint64_t)(stride_bytes >> 4 & 0x3fff) << 32 | (uint64_t)swizzle << 62;
}

// d = a b (+ d when accumulate is not 0): a 64 x 16 bf16, b 16 x N bf16, d 64 x N float32. Thread t
// of the warpgroup, w = t / 32, g = t % 32 / 4, q = 2 (t % 4), holds in d[4 j + 2 h + e] the
// element (16 w + g + 8 h, 8 j + q + e). N: 8, 16, 24, 32, 48, 64, 96, 128, 192, 256. wgmma_bf16
// takes a from shared memory, wgmma_bf16_registers from registers: the fragment of
// mma_m16n8k16_bf16 of the rows of this warp.
template <int N> struct wgmma_shape;
template <int N, int TRANS_A = 0, int TRANS_B = 0>
PTX void wgmma_bf16(float (&d)[N / 2], uint64_t a, uint64_t b, int accumulate) {
#ifdef CUDASIM
    cudasim::wgmma_bf16(N, TRANS_A, TRANS_B, d, nullptr, a, b, accumulate);
#else
    wgmma_shape<N>::template shared<TRANS_A, TRANS_B>(d, a, b, accumulate);
#endif
}
template <int N, int TRANS_B = 0>
PTX void wgmma_bf16_registers(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b,
                              int accumulate) {
#ifdef CUDASIM
    cudasim::wgmma_bf16(N, 0, TRANS_B, d, a, 0, b, accumulate);
#else
    wgmma_shape<N>::template registers<TRANS_B>(d, a, b, accumulate);
#endif
}

#ifndef CUDASIM
// Operand texts: WGMMA_T(3) is %30 to %39, WGMMA_T4(3) its first four; operands: WGMMA_D8(i) is
// d[i] to d[i + 7]. WGMMA_SHAPE's last arguments are the numbers of the operands behind d.
#define WGMMA_T2(t)  "%" #t "0, %" #t "1"
#define WGMMA_T4(t)  WGMMA_T2(t) ", %" #t "2, %" #t "3"
#define WGMMA_T6(t)  WGMMA_T4(t) ", %" #t "4, %" #t "5"
#define WGMMA_T8(t)  WGMMA_T6(t) ", %" #t "6, %" #t "7"
#define WGMMA_T(t)   WGMMA_T8(t) ", %" #t "8, %" #t "9, "
#define WGMMA_T40    WGMMA_T() WGMMA_T(1) WGMMA_T(2) WGMMA_T(3)
#define WGMMA_T90    WGMMA_T40 WGMMA_T(4) WGMMA_T(5) WGMMA_T(6) WGMMA_T(7) WGMMA_T(8)
#define WGMMA_T120   WGMMA_T90 WGMMA_T(9) WGMMA_T(10) WGMMA_T(11)
#define WGMMA_D4(i)  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define WGMMA_D8(i)  WGMMA_D4(i), WGMMA_D4(i + 4)
#define WGMMA_D16(i) WGMMA_D8(i), WGMMA_D8(i + 8)
#define WGMMA_D32(i) WGMMA_D16(i), WGMMA_D16(i + 16)
#define WGMMA_D64(i) WGMMA_D32(i), WGMMA_D32(i + 32)
#define WGMMA_SHAPE(N, TEXT, OPERANDS, n0, n1, n2, n3, n4, n5, n6)                                 \
    template <> struct wgmma_shape<N> {                                                            \
        template <int TRANS_A, int TRANS_B>                                                        \
        PTX void shared(float (&d)[N / 2], uint64_t a, uint64_t b, int accumulate) {               \
            asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #n2 ", 0; "                            \
                         "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" TEXT         \
                         "}, %" #n0 ", %" #n1 ", p, 1, 1, %" #n3 ", %" #n4 "; }"                   \
                         : OPERANDS                                                                \
                         : "l"(a), "l"(b), "r"(accumulate), "n"(TRANS_A), "n"(TRANS_B)             \
                         : "memory");                                                              \
        }                                                                                          \
        template <int TRANS_B>                                                                     \
        PTX void registers(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b,                  \
                           int accumulate) {                                                       \
            asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #n5 ", 0; "                            \
                         "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" TEXT         \
                         "}, {%" #n0 ", %" #n1 ", %" #n2 ", %" #n3 "}, %" #n4 ", p, 1, 1, %" #n6   \
                         "; }"                                                                     \
                         : OPERANDS                                                                \
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate),    \
                           "n"(TRANS_B)                                                            \
                         : "memory");                                                              \
        }                                                                                          \
    }
WGMMA_SHAPE(8, WGMMA_T4(), WGMMA_D4(0), 4, 5, 6, 7, 8, 9, 10);
WGMMA_SHAPE(16, WGMMA_T8(), WGMMA_D8(0), 8, 9, 10, 11, 12, 13, 14);
#define WGMMA_T12 WGMMA_T() WGMMA_T2(1)
#define WGMMA_D12 WGMMA_D8(0), WGMMA_D4(8)
WGMMA_SHAPE(24, WGMMA_T12, WGMMA_D12, 12, 13, 14, 15, 16, 17, 18);
WGMMA_SHAPE(32, WGMMA_T() WGMMA_T6(1), WGMMA_D16(0), 16, 17, 18, 19, 20, 21, 22);
#define WGMMA_T24 WGMMA_T() WGMMA_T(1) WGMMA_T4(2)
#define WGMMA_D24 WGMMA_D16(0), WGMMA_D8(16)
WGMMA_SHAPE(48, WGMMA_T24, WGMMA_D24, 24, 25, 26, 27, 28, 29, 30);
#define WGMMA_T32 WGMMA_T() WGMMA_T(1) WGMMA_T(2) WGMMA_T2(3)
WGMMA_SHAPE(64, WGMMA_T32, WGMMA_D32(0), 32, 33, 34, 35, 36, 37, 38);
#define WGMMA_D48 WGMMA_D32(0), WGMMA_D16(32)
WGMMA_SHAPE(96, WGMMA_T40 WGMMA_T8(4), WGMMA_D48, 48, 49, 50, 51, 52, 53, 54);
#define WGMMA_T64 WGMMA_T40 WGMMA_T(4) WGMMA_T(5) WGMMA_T4(6)
WGMMA_SHAPE(128, WGMMA_T64, WGMMA_D64(0), 64, 65, 66, 67, 68, 69, 70);
#define WGMMA_D96 WGMMA_D64(0), WGMMA_D32(64)
WGMMA_SHAPE(192, WGMMA_T90 WGMMA_T6(9), WGMMA_D96, 96, 97, 98, 99, 100, 101, 102);
#define WGMMA_D128 WGMMA_D64(0), WGMMA_D64(64)
WGMMA_SHAPE(256, WGMMA_T120 WGMMA_T8(12), WGMMA_D128, 128, 129, 130, 131, 132, 133, 134);
#endif

#endif
