// y = x, where one of the two is an array of 8-bit floats.
// variants: T=float,double,__half,__nv_bfloat16 OUT=__nv_fp8_e4m3,__nv_fp8_e5m2
// variants: T=__nv_fp8_e4m3,__nv_fp8_e5m2 OUT=float,double,__half,__nv_bfloat16 NARROWS=0
// variants: T=__nv_fp8_e4m3 OUT=__nv_fp8_e5m2
#ifndef T
#define T float
#endif
#ifndef OUT
#define OUT __nv_fp8_e4m3
#endif
#ifndef NARROWS  // 1: OUT is an 8-bit float
#define NARROWS 1
#endif

#include "gradlib/float8.cuh"

// Grid: any number of blocks of one dimension.
extern "C" __global__ void cast_float8(const T* __restrict__ x, OUT* __restrict__ y, long long count) {
  for (long long i = global_index(); i < count; i += global_size()) {
#if NARROWS
    y[i] = to_float8<OUT>(to_acc(x[i]));
#else
    y[i] = from_acc<OUT>(acc_t<OUT>(to_acc(x[i])));
#endif
  }
}
