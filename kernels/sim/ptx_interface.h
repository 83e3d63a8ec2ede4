// The interface between the host versions of the PTX wrappers (ptx.h), compiled with each kernel, and the runtime.
#pragma once

#include "context.h"

namespace gradlib_sim {

enum ElementKind { element_half, element_bfloat16, element_tf32, element_e4m3, element_e5m2 };

struct ProductKind {  // of a wgmma.mma_async; equal in all threads of the warpgroup
    unsigned n;
    ElementKind left, right;
    bool add, a_in_registers, a_transposed, b_transposed;
    unsigned long long a, b;  // descriptors
};

// What gradlib/backend/tensor_map.py writes into the 128 bytes of a TensorMap for sim.  Dimension 0 is the innermost.
struct TensorMapBits {
    char magic[8];
    unsigned long long address;
    unsigned char rank, element_bytes, swizzle, im2col;  // swizzle: 0 none, 1 32 bytes, 2 64 bytes, 3 128 bytes
    unsigned sizes[5];
    unsigned long long strides[4];  // in bytes, of dimensions 1 to 4
    unsigned box[5];                // elements loaded; im2col: channels, pixels
    unsigned char steps[5];         // from one element loaded to the next ("traversal strides")
    unsigned char padding;
    short lower[3], upper[3];       // im2col: corners of the bounding box, W first
};

enum FenceKind { fence_async_shared, fence_async_global, fence_async_all, fence_init };
enum ReduceKind { reduce_none, reduce_float, reduce_double, reduce_half, reduce_bfloat16, reduce_int, reduce_long };

}  // namespace gradlib_sim

#pragma GCC visibility push(default)
extern "C" {
void gradlib_sim_named_barrier(int id, int count, bool wait, const gradlib_sim::Site& site);
void gradlib_sim_copy_async(void* to, const void* from, unsigned bytes, unsigned valid, const gradlib_sim::Site& site);
void gradlib_sim_copy_commit();
void gradlib_sim_copy_wait(unsigned keep, bool all);
void gradlib_sim_copy_arrive(unsigned long long* barrier, const gradlib_sim::Site& site);
unsigned gradlib_sim_shared_offset(const void* address, size_t bytes, const gradlib_sim::Site& site);

void gradlib_sim_mbarrier_init(unsigned long long* barrier, unsigned count, const gradlib_sim::Site& site);
void gradlib_sim_mbarrier_inval(unsigned long long* barrier, const gradlib_sim::Site& site);
unsigned long long gradlib_sim_mbarrier_arrive(unsigned long long* barrier, unsigned count, unsigned bytes,
                                               const gradlib_sim::Site& site);
bool gradlib_sim_mbarrier_test(unsigned long long* barrier, unsigned parity, bool wait,
                               const gradlib_sim::Site& site);
void gradlib_sim_fence(gradlib_sim::FenceKind kind);

void gradlib_sim_tensor_prefetch(const void* map, const gradlib_sim::Site& site);
void gradlib_sim_tensor_load(void* to, const void* map, unsigned long long* barrier, unsigned receivers, int rank,
                             const int* at, const int* offsets, const gradlib_sim::Site& site);
void gradlib_sim_tensor_store(const void* map, const void* from, int rank, const int* at,
                              const gradlib_sim::Site& site);
void gradlib_sim_bulk_load(void* to, const void* from, unsigned bytes, unsigned long long* barrier,
                           const gradlib_sim::Site& site);
void gradlib_sim_bulk_store(void* to, const void* from, unsigned bytes, gradlib_sim::ReduceKind reduce,
                            const gradlib_sim::Site& site);
void gradlib_sim_bulk_commit();
void gradlib_sim_bulk_wait(unsigned keep, bool read);

void gradlib_sim_product(const gradlib_sim::ProductKind& kind, float* d, const unsigned* a,
                         const gradlib_sim::Site& site);
void gradlib_sim_product_fence();
void gradlib_sim_product_commit();
void gradlib_sim_product_wait(unsigned keep, const gradlib_sim::Site& site);

unsigned gradlib_sim_cluster_rank();
unsigned gradlib_sim_cluster_size();
void gradlib_sim_cluster_arrive(bool release, const gradlib_sim::Site& site);
void gradlib_sim_cluster_wait(const gradlib_sim::Site& site);
void* gradlib_sim_cluster_map(const void* address, unsigned rank, const gradlib_sim::Site& site);
}
#pragma GCC visibility pop
