// A lane calls a vote with a mask that leaves it out.
// fault: warp-mask
// sample: vote 1 32 int32[32] out:int32[32]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void vote(const int* x, int* y) {
    int i = threadIdx.x;
#if FAULT
    const unsigned mask = 0x7fffffffu;
#else
    const unsigned mask = 0xffffffffu;
#endif
    y[i] = __any_sync(mask, x[i] > 14);  // <-
}
