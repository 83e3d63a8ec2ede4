// A shuffle over the full mask, in a branch that half of the warp takes.
// fault: warp-mask
// sample: half_sum 1 32 int32[32] out:int32[32]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void half_sum(const int* x, int* y) {
    int i = threadIdx.x, v = x[i];
    if (i < 16) {
#if FAULT
        const unsigned mask = 0xffffffffu;
#else
        const unsigned mask = 0x0000ffffu;
#endif
        for (int lanes = 8; lanes > 0; lanes /= 2) {
            v += __shfl_down_sync(mask, v, lanes, 16);  // <-
        }
    }
    __syncthreads();
    y[i] = v;
}
