// A table of the module has eight entries, the index runs to fifteen.
// fault: out-of-bounds
// sample: look_up 1 16 int32[16]=arange out:int32[16]
#ifndef FAULT
#define FAULT 0
#endif

__device__ int table[FAULT ? 8 : 16] = {3, 1, 4, 1, 5, 9, 2, 6};
extern "C" __global__ void look_up(const int* x, int* y) {
    y[threadIdx.x] = table[x[threadIdx.x]];  // <-
}
