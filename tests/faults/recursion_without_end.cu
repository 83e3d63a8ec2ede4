// The steps from a leaf of a heap to its root are counted, and the root taken for a child of its own.
// fault: out-of-bounds
// sample: depths 1 40 out:int32[40]
#ifndef FAULT
#define FAULT 0
#endif

__device__ int depth(int i, const int* y) {
    if (i == 0 && !FAULT) return 0;
    int above = depth((i - 1) / 2, y);  // <-
    return above + (y ? 1 : i);
}

extern "C" __global__ void depths(int* y) {
    int i = threadIdx.x;
    y[i] = depth(i, y);
}
