// A block waits for one that need not run at the same time.
// fault: deadlock
// sample: chain 2 1 int32[2]=0 out:int32[2]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void chain(int* done, int* y) {
    volatile int* flags = done;
#if FAULT
    int other = 1 - (int)blockIdx.x;
    while (flags[other] == 0) {  // <-
    }
#endif
    y[blockIdx.x] = 1;
    flags[blockIdx.x] = 1;
}
