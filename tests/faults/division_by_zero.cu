// The mean of segments, of which one is empty.
// fault: arithmetic
// sample: means 1 32 int32[32]=arange int32[32]=arange out:int32[32]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void means(const int* sums, const int* counts, int* y) {
    int i = threadIdx.x, count = counts[i];
    y[i] = count || FAULT ? sums[i] / count : 0;  // <-
}
