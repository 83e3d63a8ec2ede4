// The second half of dynamic shared memory is counted in elements, not bytes.
// fault: out-of-bounds
// sample: exchange 1 32 out:float64[32] shared=256
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void exchange(double* y) {
    extern __shared__ double room[];  // 32 of them
#if FAULT
    room[threadIdx.x * 8] = threadIdx.x;  // <-
    __syncthreads();
    y[threadIdx.x] = room[(31 - threadIdx.x) * 8];
#else
    room[threadIdx.x] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = room[31 - threadIdx.x];
#endif
}
