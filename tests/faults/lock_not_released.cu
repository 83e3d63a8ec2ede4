// A lock is taken twice and released never.
// fault: deadlock
// sample: locked 1 32 int32[1]=0 int32[1]=0
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void locked(int* lock, int* y) {
    if (threadIdx.x % 16 == 0) {
        while (atomicCAS(lock, 0, 1) != 0) {  // <-
        }
        __threadfence();
        y[0] += 1;
#if !FAULT
        __threadfence();
        atomicExch(lock, 0);
#endif
    }
}
