// Rows of 30 floats are read as float4: every second row starts between two of them.
// fault: misaligned
// sample: row_sums 4 32 float32[4,30] out:float32[4]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void row_sums(const float* x, float* y) {
    const float* row = x + blockIdx.x * 30;
    float sum = 0;
    if (threadIdx.x == 0) {
#if FAULT
        for (int i = 0; i < 28; i += 4) {
            float4 v = *(const float4*)(row + i);  // <-
            sum += v.x + v.y + v.z + v.w;
        }
        sum += row[28] + row[29];
#else
        for (int i = 0; i < 30; i += 2) {
            float2 v = *(const float2*)(row + i);
            sum += v.x + v.y;
        }
#endif
        y[blockIdx.x] = sum;
    }
}
