// An index from memory is used as it comes.
// fault: out-of-bounds
// sample: gather 1 16 float32[8] int32[16] out:float32[16]
#ifndef FAULT
#define FAULT 0
#endif

// Indices run from 0 to 15, the table has eight rows; the twin wraps them.
extern "C" __global__ void gather(const float* table, const int* index, float* y) {
    int row = index[threadIdx.x];
#if !FAULT
    row %= 8;
#endif
    y[threadIdx.x] = table[row];  // <-
}
