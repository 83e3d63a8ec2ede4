// Brightness as bytes.  A pixel brighter than 1 is no byte: C++ leaves the conversion undefined.
// fault: arithmetic
// sample: bytes 1 64 float32[64]=arange out:uint8[64]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void bytes(const float* x, unsigned char* y) {
    int i = threadIdx.x;
    float v = x[i] * 8;
#if FAULT
    y[i] = (unsigned char)v;  // <-
#else
    y[i] = (unsigned char)fminf(v, 255.0f);
#endif
}
