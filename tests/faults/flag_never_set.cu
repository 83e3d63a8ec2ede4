// A thread waits for a flag that nobody sets.
// fault: deadlock
// sample: handshake 1 64 out:int32[1]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void handshake(int* y) {
    __shared__ volatile int ready;
    if (threadIdx.x == 0) ready = 0;
    __syncthreads();
    if (threadIdx.x == 32) {
#if !FAULT
        ready = 1;
#endif
    }
    if (threadIdx.x == 0) {
        while (ready == 0) {  // <-
        }
        y[0] = 1;
    }
}
