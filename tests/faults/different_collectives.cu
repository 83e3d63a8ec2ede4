// Lanes of one mask are in different collectives.
// fault: warp-mask
// sample: mixed 1 32 int32[32] out:int32[32]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void mixed(const int* x, int* y) {
    int i = threadIdx.x, v;
#if FAULT
    if (i < 20) {
        v = __shfl_sync(0xffffffffu, x[i], 0);
    } else {
        v = __reduce_add_sync(0xffffffffu, x[i]);  // <-
    }
#else
    v = __shfl_sync(0xffffffffu, x[i], 0);
#endif
    y[i] = v;
}
