// The host versions of the wrappers of gradlib/ptx.cuh.
#pragma once

#include "float8.h"
#include "ptx_interface.h"
#include "ptx_matrix.h"

namespace ptx {

// ---- scalar.cuh: more accurate than the hardware; subnormal numbers count as 0 as there

inline float flushed(float x) { return fabsf(x) < 1.17549435e-38f ? copysignf(0.0f, x) : x; }
inline float ex2_approx(float x) { return flushed(exp2f(flushed(x))); }
inline float rcp_approx(float x) { return flushed(1.0f / flushed(x)); }

// ---- copy.cuh

inline unsigned shared_address(const void* shared, GRADLIB_SIM_AT) {
    return gradlib_sim_shared_offset(shared, 1, GRADLIB_SIM_SITE("shared_address"));
}
inline void bar_sync(int id, int threads, GRADLIB_SIM_AT) {
    gradlib_sim_named_barrier(id, threads, true, GRADLIB_SIM_SITE("bar.sync"));
}
inline void bar_arrive(int id, int threads, GRADLIB_SIM_AT) {
    gradlib_sim_named_barrier(id, threads, false, GRADLIB_SIM_SITE("bar.arrive"));
}
template <int bytes>
inline void cp_async(void* shared, const void* global, int valid, GRADLIB_SIM_AT) {
    static_assert(bytes == 4 || bytes == 8 || bytes == 16, "cp.async copies 4, 8 or 16 bytes");
    gradlib_sim_copy_async(shared, global, bytes, (unsigned)valid, GRADLIB_SIM_SITE("cp.async"));
}
template <int bytes>
inline void cp_async(void* shared, const void* global, GRADLIB_SIM_AT) {
    cp_async<bytes>(shared, global, bytes, file, line);
}
inline void cp_async_commit_group() { gradlib_sim_copy_commit(); }
template <int keep>
inline void cp_async_wait_group() { gradlib_sim_copy_wait(keep, false); }
inline void cp_async_wait_all() { gradlib_sim_copy_wait(0, true); }
inline void cp_async_mbarrier_arrive_noinc(mbarrier* bar, GRADLIB_SIM_AT) {
    gradlib_sim_copy_arrive(bar, GRADLIB_SIM_SITE("cp.async.mbarrier.arrive.noinc"));
}

// ---- mbarrier.cuh

inline void mbarrier_init(mbarrier* bar, unsigned arrivals, GRADLIB_SIM_AT) {
    gradlib_sim_mbarrier_init(bar, arrivals, GRADLIB_SIM_SITE("mbarrier.init"));
}
inline void mbarrier_inval(mbarrier* bar, GRADLIB_SIM_AT) {
    gradlib_sim_mbarrier_inval(bar, GRADLIB_SIM_SITE("mbarrier.inval"));
}
inline unsigned long long mbarrier_arrive(mbarrier* bar, GRADLIB_SIM_AT) {
    return gradlib_sim_mbarrier_arrive(bar, 1, 0, GRADLIB_SIM_SITE("mbarrier.arrive"));
}
inline unsigned long long mbarrier_arrive_expect_tx(mbarrier* bar, unsigned bytes, GRADLIB_SIM_AT) {
    return gradlib_sim_mbarrier_arrive(bar, 1, bytes, GRADLIB_SIM_SITE("mbarrier.arrive.expect_tx"));
}
inline void mbarrier_expect_tx(mbarrier* bar, unsigned bytes, GRADLIB_SIM_AT) {
    gradlib_sim_mbarrier_arrive(bar, 0, bytes, GRADLIB_SIM_SITE("mbarrier.expect_tx"));
}
inline void mbarrier_arrive_cluster(mbarrier* bar, unsigned rank, GRADLIB_SIM_AT) {
    gradlib_sim::Site site = GRADLIB_SIM_SITE("mbarrier.arrive.shared::cluster");
    gradlib_sim_mbarrier_arrive(static_cast<mbarrier*>(gradlib_sim_cluster_map(bar, rank, site)), 1, 0, site);
}
inline void mbarrier_arrive_cluster_relaxed(mbarrier* bar, unsigned rank, GRADLIB_SIM_AT) {
    gradlib_sim::Site site = GRADLIB_SIM_SITE("mbarrier.arrive.relaxed.shared::cluster");
    gradlib_sim_mbarrier_arrive(static_cast<mbarrier*>(gradlib_sim_cluster_map(bar, rank, site)), 1, 0, site);
}
inline void mbarrier_arrive_expect_tx_cluster(mbarrier* bar, unsigned rank, unsigned bytes, GRADLIB_SIM_AT) {
    gradlib_sim::Site site = GRADLIB_SIM_SITE("mbarrier.arrive.expect_tx.shared::cluster");
    gradlib_sim_mbarrier_arrive(static_cast<mbarrier*>(gradlib_sim_cluster_map(bar, rank, site)), 1, bytes, site);
}
inline bool mbarrier_try_wait_parity(mbarrier* bar, unsigned parity, GRADLIB_SIM_AT) {
    return gradlib_sim_mbarrier_test(bar, parity, true, GRADLIB_SIM_SITE("mbarrier.try_wait.parity"));
}
inline bool mbarrier_test_wait_parity(mbarrier* bar, unsigned parity, GRADLIB_SIM_AT) {
    return gradlib_sim_mbarrier_test(bar, parity, false, GRADLIB_SIM_SITE("mbarrier.test_wait.parity"));
}
inline bool mbarrier_try_wait(mbarrier* bar, unsigned long long state, GRADLIB_SIM_AT) {
    return gradlib_sim_mbarrier_test(bar, state & 1, true, GRADLIB_SIM_SITE("mbarrier.try_wait"));
}
inline void mbarrier_wait_parity(mbarrier* bar, unsigned parity, GRADLIB_SIM_AT) {
    mbarrier_try_wait_parity(bar, parity, file, line);
}
inline void mbarrier_wait(mbarrier* bar, unsigned long long state, GRADLIB_SIM_AT) {
    mbarrier_try_wait(bar, state, file, line);
}
inline void mbarrier_wait_parity_cluster(mbarrier* bar, unsigned parity, GRADLIB_SIM_AT) {
    mbarrier_try_wait_parity(bar, parity, file, line);
}
inline void fence_mbarrier_init() { gradlib_sim_fence(gradlib_sim::fence_init); }
inline void fence_proxy_async() { gradlib_sim_fence(gradlib_sim::fence_async_shared); }
inline void fence_proxy_async_global() { gradlib_sim_fence(gradlib_sim::fence_async_global); }
inline void fence_proxy_async_all() { gradlib_sim_fence(gradlib_sim::fence_async_all); }

inline unsigned cluster_rank() { return gradlib_sim_cluster_rank(); }
inline unsigned cluster_size() { return gradlib_sim_cluster_size(); }
inline void barrier_cluster_arrive(GRADLIB_SIM_AT) {
    gradlib_sim_cluster_arrive(true, GRADLIB_SIM_SITE("barrier.cluster.arrive"));
}
inline void barrier_cluster_arrive_relaxed(GRADLIB_SIM_AT) {
    gradlib_sim_cluster_arrive(false, GRADLIB_SIM_SITE("barrier.cluster.arrive.relaxed"));
}
inline void barrier_cluster_wait(GRADLIB_SIM_AT) {
    gradlib_sim_cluster_wait(GRADLIB_SIM_SITE("barrier.cluster.wait"));
}
inline void cluster_sync(GRADLIB_SIM_AT) {
    barrier_cluster_arrive(file, line);
    barrier_cluster_wait(file, line);
}
template <class Value>
inline Value* mapa(Value* shared, unsigned rank, GRADLIB_SIM_AT) {
    return static_cast<Value*>(gradlib_sim_cluster_map((const void*)shared, rank, GRADLIB_SIM_SITE("mapa")));
}
// The bounds are checked, and that whole warps come: nothing else has a meaning on the host.
template <int registers>
inline void setmaxnreg_dec(GRADLIB_SIM_AT) {
    static_assert(registers >= 24 && registers <= 256 && registers % 8 == 0, "24 to 256, in steps of 8");
    gradlib_sim_collective(gradlib_sim::collective_aligned, ~0u, 0, 0, GRADLIB_SIM_SITE("setmaxnreg.dec"));
}
template <int registers>
inline void setmaxnreg_inc(GRADLIB_SIM_AT) {
    static_assert(registers >= 24 && registers <= 256 && registers % 8 == 0, "24 to 256, in steps of 8");
    gradlib_sim_collective(gradlib_sim::collective_aligned, ~0u, 0, 0, GRADLIB_SIM_SITE("setmaxnreg.inc"));
}
inline bool elect_sync(GRADLIB_SIM_AT) {
    gradlib_sim_collective(gradlib_sim::collective_aligned, ~0u, 0, 0, GRADLIB_SIM_SITE("elect.sync"));
    return gradlib_sim::lane() == 0;
}
inline void griddepcontrol_wait() {}
inline void griddepcontrol_launch_dependents() {}

// ---- bulk.cuh

inline void cp_async_bulk_load(void* shared, const void* global, unsigned bytes, mbarrier* bar, GRADLIB_SIM_AT) {
    gradlib_sim_bulk_load(shared, global, bytes, bar, GRADLIB_SIM_SITE("cp.async.bulk"));
}
inline void cp_async_bulk_store(void* global, const void* shared, unsigned bytes, GRADLIB_SIM_AT) {
    gradlib_sim_bulk_store(global, shared, bytes, gradlib_sim::reduce_none, GRADLIB_SIM_SITE("cp.async.bulk"));
}
template <class Element>
inline void cp_reduce_async_bulk_add(Element* global, const void* shared, unsigned bytes, GRADLIB_SIM_AT) {
    using namespace gradlib_sim;
    constexpr ReduceKind kind = same<Element, float>           ? reduce_float
                                : same<Element, double>        ? reduce_double
                                : same<Element, __half>        ? reduce_half
                                : same<Element, __nv_bfloat16> ? reduce_bfloat16
                                : one_of<Element, int, unsigned> ? reduce_int
                                : same<Element, unsigned long long> ? reduce_long
                                                                    : reduce_none;
    static_assert(kind != reduce_none, "float, double, __half, __nv_bfloat16, int, unsigned or unsigned long long");
    gradlib_sim_bulk_store(global, shared, bytes, kind, GRADLIB_SIM_SITE("cp.reduce.async.bulk"));
}
inline void prefetch_tensor_map(const TensorMap* map, GRADLIB_SIM_AT) {
    gradlib_sim_tensor_prefetch(map, GRADLIB_SIM_SITE("prefetch.tensormap"));
}
#define GRADLIB_SIM_TENSOR(rank, list, ...)                                                                         \
    inline void tensor_load(void* shared, const TensorMap* map, mbarrier* bar, __VA_ARGS__, GRADLIB_SIM_AT) {       \
        const int at[] = list;                                                                                      \
        gradlib_sim_tensor_load(shared, map, bar, 0, rank, at, nullptr, GRADLIB_SIM_SITE("cp.async.bulk.tensor"));  \
    }                                                                                                               \
    inline void tensor_load_multicast(void* shared, const TensorMap* map, mbarrier* bar, unsigned short blocks,     \
                                      __VA_ARGS__, GRADLIB_SIM_AT) {                                                \
        const int at[] = list;                                                                                      \
        gradlib_sim_tensor_load(shared, map, bar, blocks, rank, at, nullptr,                                       \
                                GRADLIB_SIM_SITE("cp.async.bulk.tensor"));                                          \
    }                                                                                                               \
    inline void tensor_store(const TensorMap* map, const void* shared, __VA_ARGS__, GRADLIB_SIM_AT) {               \
        const int at[] = list;                                                                                      \
        gradlib_sim_tensor_store(map, shared, rank, at, GRADLIB_SIM_SITE("cp.async.bulk.tensor"));                  \
    }
#define GRADLIB_SIM_LIST(...) {__VA_ARGS__}
GRADLIB_SIM_TENSOR(1, GRADLIB_SIM_LIST(c0), int c0)
GRADLIB_SIM_TENSOR(2, GRADLIB_SIM_LIST(c0, c1), int c0, int c1)
GRADLIB_SIM_TENSOR(3, GRADLIB_SIM_LIST(c0, c1, c2), int c0, int c1, int c2)
GRADLIB_SIM_TENSOR(4, GRADLIB_SIM_LIST(c0, c1, c2, c3), int c0, int c1, int c2, int c3)
GRADLIB_SIM_TENSOR(5, GRADLIB_SIM_LIST(c0, c1, c2, c3, c4), int c0, int c1, int c2, int c3, int c4)
#undef GRADLIB_SIM_TENSOR
#define GRADLIB_SIM_IM2COL(rank, list, given, ...)                                                                  \
    inline void tensor_load_im2col(void* shared, const TensorMap* map, mbarrier* bar, __VA_ARGS__, GRADLIB_SIM_AT) {\
        const int at[] = list;                                                                                      \
        const int offsets[] = given;                                                                                \
        gradlib_sim_tensor_load(shared, map, bar, 0, rank, at, offsets,                                             \
                                GRADLIB_SIM_SITE("cp.async.bulk.tensor.im2col"));                                   \
    }                                                                                                               \
    inline void tensor_load_im2col_multicast(void* shared, const TensorMap* map, mbarrier* bar,                     \
                                             unsigned short blocks, __VA_ARGS__, GRADLIB_SIM_AT) {                  \
        const int at[] = list;                                                                                      \
        const int offsets[] = given;                                                                                \
        gradlib_sim_tensor_load(shared, map, bar, blocks, rank, at, offsets,                                        \
                                GRADLIB_SIM_SITE("cp.async.bulk.tensor.im2col"));                                   \
    }
GRADLIB_SIM_IM2COL(3, GRADLIB_SIM_LIST(c, w, n), GRADLIB_SIM_LIST(dw), int c, int w, int n, int dw)
GRADLIB_SIM_IM2COL(4, GRADLIB_SIM_LIST(c, w, h, n), GRADLIB_SIM_LIST(dw, dh), int c, int w, int h, int n, int dw,
                   int dh)
GRADLIB_SIM_IM2COL(5, GRADLIB_SIM_LIST(c, w, h, d, n), GRADLIB_SIM_LIST(dw, dh, dd), int c, int w, int h, int d, int n,
                   int dw, int dh, int dd)
#undef GRADLIB_SIM_IM2COL
#undef GRADLIB_SIM_LIST
inline void cp_async_bulk_commit_group() { gradlib_sim_bulk_commit(); }
template <int keep>
inline void cp_async_bulk_wait_group() { gradlib_sim_bulk_wait(keep, false); }
template <int keep>
inline void cp_async_bulk_wait_group_read() { gradlib_sim_bulk_wait(keep, true); }

// ---- wgmma.cuh

inline void wgmma_fence() { gradlib_sim_product_fence(); }
inline void wgmma_commit_group() { gradlib_sim_product_commit(); }
template <int keep>
inline void wgmma_wait_group(GRADLIB_SIM_AT) {
    gradlib_sim_product_wait(keep, GRADLIB_SIM_SITE("wgmma.wait_group"));
}

template <class Element>
constexpr gradlib_sim::ElementKind wgmma_element() {
    using namespace gradlib_sim;
    static_assert(one_of<Element, __half, __nv_bfloat16, tf32, e4m3, e5m2>,
                  "__half, __nv_bfloat16, tf32, e4m3 or e5m2");
    return same<Element, __half>          ? element_half
           : same<Element, __nv_bfloat16> ? element_bfloat16
           : same<Element, tf32>          ? element_tf32
           : same<Element, e4m3>          ? element_e4m3
                                          : element_e5m2;
}
template <class Left, class Right, int columns>
inline gradlib_sim::ProductKind wgmma_kind(int add, int a_transposed, int b_transposed, unsigned long long b) {
    static_assert(columns >= 8 && columns <= 256 && columns % 8 == 0, "wgmma: N is 8 to 256, in steps of 8");
    constexpr bool either_order = gradlib_sim::one_of<Left, __half, __nv_bfloat16>;
    if (!either_order && (a_transposed || b_transposed)) {
        gradlib_sim_fault("wgmma takes tf32 and fp8 in K-major order alone", "", "", 0);
    }
    gradlib_sim::ProductKind kind{};
    kind.n = columns;
    kind.left = wgmma_element<Left>();
    kind.right = wgmma_element<Right>();
    kind.add = add != 0;
    kind.a_transposed = a_transposed;
    kind.b_transposed = b_transposed;
    kind.b = b;
    return kind;
}
template <class Element, int columns, int a_transposed = 0, int b_transposed = 0>
inline void wgmma(float (&d)[columns / 2], unsigned long long a, unsigned long long b, int add = 1, GRADLIB_SIM_AT) {
    gradlib_sim::ProductKind kind = wgmma_kind<Element, Element, columns>(add, a_transposed, b_transposed, b);
    kind.a = a;
    gradlib_sim_product(kind, d, nullptr, GRADLIB_SIM_SITE("wgmma.mma_async"));
}
template <class Element, int columns, int b_transposed = 0>
inline void wgmma(float (&d)[columns / 2], const unsigned (&a)[4], unsigned long long b, int add = 1, GRADLIB_SIM_AT) {
    gradlib_sim::ProductKind kind = wgmma_kind<Element, Element, columns>(add, 0, b_transposed, b);
    kind.a_in_registers = true;
    gradlib_sim_product(kind, d, a, GRADLIB_SIM_SITE("wgmma.mma_async"));
}
template <class Left, class Right, int columns>
inline void wgmma_fp8(float (&d)[columns / 2], unsigned long long a, unsigned long long b, int add = 1,
                      GRADLIB_SIM_AT) {
    static_assert(gradlib_sim::one_of<Left, e4m3, e5m2> && gradlib_sim::one_of<Right, e4m3, e5m2>, "e4m3 or e5m2");
    gradlib_sim::ProductKind kind = wgmma_kind<Left, Right, columns>(add, 0, 0, b);
    kind.a = a;
    gradlib_sim_product(kind, d, nullptr, GRADLIB_SIM_SITE("wgmma.mma_async"));
}
template <class Left, class Right, int columns>
inline void wgmma_fp8(float (&d)[columns / 2], const unsigned (&a)[4], unsigned long long b, int add = 1,
                      GRADLIB_SIM_AT) {
    static_assert(gradlib_sim::one_of<Left, e4m3, e5m2> && gradlib_sim::one_of<Right, e4m3, e5m2>, "e4m3 or e5m2");
    gradlib_sim::ProductKind kind = wgmma_kind<Left, Right, columns>(add, 0, 0, b);
    kind.a_in_registers = true;
    gradlib_sim_product(kind, d, a, GRADLIB_SIM_SITE("wgmma.mma_async"));
}
template <int swizzle>
inline unsigned long long wgmma_descriptor(const void* shared, int leading, int stride, GRADLIB_SIM_AT) {
    static_assert(swizzle == 0 || swizzle == 32 || swizzle == 64 || swizzle == 128, "0, 32, 64 or 128 bytes");
    unsigned long long mode = swizzle == 128 ? 1 : swizzle == 64 ? 2 : swizzle == 32 ? 3 : 0;
    unsigned start = gradlib_sim_shared_offset(shared, 1, GRADLIB_SIM_SITE("wgmma_descriptor"));
    if (start % 16) gradlib_sim_fault("wgmma_descriptor: an address not aligned to 16 bytes", "", file, line);
    return mode << 62 | (unsigned long long)(stride >> 4 & 0x3fff) << 32 |
           (unsigned long long)(leading >> 4 & 0x3fff) << 16 | (start >> 4 & 0x3fff);
}

}  // namespace ptx
