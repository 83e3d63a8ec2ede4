// Where the groups of a grouped product begin, and zeros for the rows that belong to none.
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=float INDEX=int
#ifndef T
#define T float
#endif
#ifndef INDEX  // elements of sizes
#define INDEX long long
#endif

#include "gradlib/core.cuh"

// offsets: (groups + 1,), the sums of sizes (groups,): a negative size counts as 0, and none goes beyond `rows`.
// y and z, either may be null: (rows, n), of which rows offsets[groups] and on become 0.
// Grid: any number of blocks of whole warps.  Every warp adds the sizes up for itself; the first one writes them down.
extern "C" __global__ void group_offsets(const INDEX* __restrict__ sizes, int* __restrict__ offsets,
                                         T* __restrict__ y, T* __restrict__ z, int groups, int rows, int n) {
  const int lane = threadIdx.x % 32;
  const bool writes = global_index() < 32;
  long long total = 0;
  for (int first = 0; first < groups; first += 32) {
    const int group = first + lane;
    const long long size = group < groups ? (long long)sizes[group] : 0;
    long long sum = smaller<long long>(larger<long long>(size, 0), rows);
    for (int step = 1; step < 32; step *= 2) {
      const long long before = __shfl_up_sync(0xffffffff, sum, step);
      if (lane >= step) sum += before;
    }
    if (writes && group < groups) offsets[group + 1] = (int)smaller<long long>(total + sum, rows);
    total = smaller<long long>(total + __shfl_sync(0xffffffff, sum, 31), rows);
  }
  if (global_index() == 0) offsets[0] = 0;
  for (long long i = total * n + global_index(); i < (long long)rows * n; i += global_size()) {
    if (y) y[i] = T(0.0f);
    if (z) z[i] = T(0.0f);
  }
}
