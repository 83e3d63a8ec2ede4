// Bulk copies: sm_90 and later.  Part of ptx.cuh.
#pragma once

namespace ptx {

// ---- PTX: "Data Movement and Conversion Instructions: Bulk copy", "Tensor copy" -------------------------------------

// Copy `bytes` (a multiple of 16) to shared memory; the barrier counts them when they are there.
GRADLIB_DEVICE void cp_async_bulk_load(void* shared, const void* global, unsigned bytes, mbarrier* bar) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
               :: "r"(shared_address(shared)), "l"(global), "r"(bytes), "r"(shared_address(bar)) : "memory");
}
GRADLIB_DEVICE void cp_async_bulk_store(void* global, const void* shared, unsigned bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;"
               :: "l"(global), "r"(shared_address(shared)), "r"(bytes) : "memory");
}

// Add the elements of shared memory to those in global memory, each atomically.
template <class Element>
GRADLIB_DEVICE void cp_reduce_async_bulk_add(Element* global, const void* shared, unsigned bytes);
#define GRADLIB_REDUCE(element, type)                                                                                 \
  template <> GRADLIB_DEVICE void cp_reduce_async_bulk_add<element>(element * global, const void* shared,             \
                                                                    unsigned bytes) {                                 \
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add." type " [%0], [%1], %2;"                    \
                 :: "l"(global), "r"(shared_address(shared)), "r"(bytes) : "memory");                                 \
  }
GRADLIB_REDUCE(float, "f32")
GRADLIB_REDUCE(double, "f64")
GRADLIB_REDUCE(__half, "noftz.f16")
GRADLIB_REDUCE(__nv_bfloat16, "noftz.bf16")
GRADLIB_REDUCE(int, "s32")
GRADLIB_REDUCE(unsigned, "u32")
GRADLIB_REDUCE(unsigned long long, "u64")
#undef GRADLIB_REDUCE

// Load the map's box whose first element is at the coordinates, innermost first: what lies outside the tensor is zero,
// and counts.  `multicast`: into the same place of each block of the cluster whose bit is set in the mask.
// Store it: what lies outside is left out.
#define GRADLIB_TENSOR(dims, coordinates, C4, C3, C2, list)                                                           \
  GRADLIB_DEVICE void tensor_load(void* shared, const TensorMap* map, mbarrier* bar, GRADLIB_UNPACK coordinates) {    \
    asm volatile("cp.async.bulk.tensor." dims "d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], "          \
                 "[%1, {" C3 "}], [%2];"                                                                              \
                 :: "r"(shared_address(shared)), "l"(map), "r"(shared_address(bar)), GRADLIB_UNPACK list : "memory"); \
  }                                                                                                                   \
  GRADLIB_DEVICE void tensor_load_multicast(void* shared, const TensorMap* map, mbarrier* bar, unsigned short blocks, \
                                            GRADLIB_UNPACK coordinates) {                                             \
    asm volatile("cp.async.bulk.tensor." dims "d.shared::cluster.global.mbarrier::complete_tx::bytes"                 \
                 ".multicast::cluster [%0], [%1, {" C4 "}], [%2], %3;"                                                \
                 :: "r"(shared_address(shared)), "l"(map), "r"(shared_address(bar)), "h"(blocks), GRADLIB_UNPACK list \
                 : "memory");                                                                                         \
  }                                                                                                                   \
  GRADLIB_DEVICE void tensor_store(const TensorMap* map, const void* shared, GRADLIB_UNPACK coordinates) {            \
    asm volatile("cp.async.bulk.tensor." dims "d.global.shared::cta.bulk_group [%0, {" C2 "}], [%1];"                 \
                 :: "l"(map), "r"(shared_address(shared)), GRADLIB_UNPACK list : "memory");                           \
  }
#define GRADLIB_UNPACK(...) __VA_ARGS__
GRADLIB_TENSOR("1", (int c0), "%4", "%3", "%2",
               ("r"(c0)))
GRADLIB_TENSOR("2", (int c0, int c1), "%4, %5", "%3, %4", "%2, %3",
               ("r"(c0), "r"(c1)))
GRADLIB_TENSOR("3", (int c0, int c1, int c2), "%4, %5, %6", "%3, %4, %5", "%2, %3, %4",
               ("r"(c0), "r"(c1), "r"(c2)))
GRADLIB_TENSOR("4", (int c0, int c1, int c2, int c3), "%4, %5, %6, %7", "%3, %4, %5, %6", "%2, %3, %4, %5",
               ("r"(c0), "r"(c1), "r"(c2), "r"(c3)))
GRADLIB_TENSOR("5", (int c0, int c1, int c2, int c3, int c4), "%4, %5, %6, %7, %8", "%3, %4, %5, %6, %7",
               "%2, %3, %4, %5, %6", ("r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4)))
#undef GRADLIB_TENSOR

// Load pixels by an im2col map, (c, w, [h, [d,]] n) being the base of the first and (dw, [dh, [dd]]) the filter's tap:
// a row of channels for each pixel.
#define GRADLIB_IM2COL(dims, coordinates, at, offsets, mask, list, taps)                                              \
  GRADLIB_DEVICE void tensor_load_im2col(void* shared, const TensorMap* map, mbarrier* bar,                           \
                                         GRADLIB_UNPACK coordinates) {                                                \
    asm volatile("cp.async.bulk.tensor." dims "d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], "   \
                 "[%1, {" at "}], [%2], {" offsets "};"                                                               \
                 :: "r"(shared_address(shared)), "l"(map), "r"(shared_address(bar)), GRADLIB_UNPACK list,             \
                    GRADLIB_UNPACK taps : "memory");                                                                  \
  }                                                                                                                   \
  GRADLIB_DEVICE void tensor_load_im2col_multicast(void* shared, const TensorMap* map, mbarrier* bar,                 \
                                                   unsigned short blocks, GRADLIB_UNPACK coordinates) {               \
    asm volatile("cp.async.bulk.tensor." dims "d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes"          \
                 ".multicast::cluster [%0], [%1, {" at "}], [%2], {" offsets "}, " mask ";"                           \
                 :: "r"(shared_address(shared)), "l"(map), "r"(shared_address(bar)), GRADLIB_UNPACK list,             \
                    GRADLIB_UNPACK taps, "h"(blocks) : "memory");                                                     \
  }
#define GRADLIB_TAP(offset) "h"((unsigned short)offset)
GRADLIB_IM2COL("3", (int c, int w, int n, int dw), "%3, %4, %5", "%6", "%7",
               ("r"(c), "r"(w), "r"(n)), (GRADLIB_TAP(dw)))
GRADLIB_IM2COL("4", (int c, int w, int h, int n, int dw, int dh), "%3, %4, %5, %6", "%7, %8",
               "%9", ("r"(c), "r"(w), "r"(h), "r"(n)), (GRADLIB_TAP(dw), GRADLIB_TAP(dh)))
GRADLIB_IM2COL("5", (int c, int w, int h, int d, int n, int dw, int dh, int dd), "%3, %4, %5, %6, %7", "%8, %9, %10",
               "%11", ("r"(c), "r"(w), "r"(h), "r"(d), "r"(n)), (GRADLIB_TAP(dw), GRADLIB_TAP(dh), GRADLIB_TAP(dd)))
#undef GRADLIB_TAP
#undef GRADLIB_IM2COL
#undef GRADLIB_UNPACK

GRADLIB_DEVICE void prefetch_tensor_map(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" :: "l"(map) : "memory");
}

// Stores of this thread form groups, as with cp.async.
GRADLIB_DEVICE void cp_async_bulk_commit_group() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
template <int keep> GRADLIB_DEVICE void cp_async_bulk_wait_group() {
  asm volatile("cp.async.bulk.wait_group %0;" :: "n"(keep) : "memory");
}
// Wait only until the shared memory has been read, and may be written again; global memory may not be there yet.
template <int keep> GRADLIB_DEVICE void cp_async_bulk_wait_group_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" :: "n"(keep) : "memory");
}

}  // namespace ptx
