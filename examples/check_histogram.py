"""Test a CuPy RawKernel without a GPU: a histogram with atomics in shared and global memory, and without them.

Run: python examples/check_histogram.py   (needs a C++ compiler, no GPU)
"""

from __future__ import annotations

import numpy as np

import gradlib as gl

SOURCE = r"""
extern "C" __global__ void histogram(const unsigned char* pixels, unsigned int* counts, int n) {
    __shared__ unsigned int local[256];
    for (int bin = threadIdx.x; bin < 256; bin += blockDim.x) local[bin] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        atomicAdd(&local[pixels[i]], 1u);
    }
    __syncthreads();
    for (int bin = threadIdx.x; bin < 256; bin += blockDim.x) {
        if (local[bin]) atomicAdd(&counts[bin], local[bin]);
    }
}
"""


def histogram(source: str, pixels: np.ndarray) -> np.ndarray:
    """Count how often each value from 0 to 255 occurs."""
    counts = np.zeros(256, np.uint32)  # added to, so it is no pure output
    gl.testing.run_kernel(source, "histogram", 4, 128, [pixels, counts, pixels.size])
    return counts


def main() -> None:
    """Compare with NumPy, then find the fault of a histogram without atomics."""
    pixels = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8)
    counts = histogram(SOURCE, pixels)
    print(f"as NumPy counts: {np.array_equal(counts, np.bincount(pixels, minlength=256))}")
    try:
        histogram(SOURCE.replace("atomicAdd(&local[pixels[i]], 1u)", "local[pixels[i]] += 1u"), pixels)
    except gl.KernelFault as fault:
        print(f"without atomics: a {fault.kind} on {fault.argument} in line {fault.line}")


if __name__ == "__main__":
    main()
