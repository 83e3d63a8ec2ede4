// A loop with a barrier runs a different number of times in some threads.
// fault: barrier
// sample: loop 1 64 out:int32[64]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void loop(int* y) {
    int i = threadIdx.x, rounds = 3;
#if FAULT
    if (i == 5) rounds = 2;
#endif
    for (int r = 0; r < rounds; ++r) {
        __syncthreads();  // <-
    }
    y[i] = rounds;
}
