"""Test a CuPy RawKernel without a GPU: a two-step reduction, first with a missing barrier, then with it.

Run: python examples/check_reduction.py   (needs a C++ compiler, no GPU)
"""

from __future__ import annotations

import numpy as np

import gradlib as gl

# What a CuPy project would pass to cupy.RawKernel(SOURCE, "block_sum").
SOURCE = r"""
extern "C" __global__ void block_sum(const float* x, float* sums, int n) {
    extern __shared__ float slots[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    slots[threadIdx.x] = i < n ? x[i] : 0.0f;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) slots[threadIdx.x] += slots[threadIdx.x + half];
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = slots[0];
}
"""
BLOCK = 128


def total(source: str, x: np.ndarray) -> float:
    """Sum x: one partial sum a block, and then a block over those."""
    blocks = -(-len(x) // BLOCK)
    parts, result = np.empty(blocks, np.float32), np.empty(1, np.float32)
    bytes_shared = BLOCK * 4
    gl.testing.run_kernel(source, "block_sum", blocks, BLOCK, [x, parts, len(x)], bytes_shared, outputs=["sums"])
    gl.testing.run_kernel(source, "block_sum", 1, BLOCK, [parts, result, blocks], bytes_shared, outputs=["sums"])
    return float(result[0])


def main() -> None:
    """Find the planted fault, then print the sum of the corrected kernel."""
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    try:
        total(SOURCE.replace("        __syncthreads();\n", ""), x)
    except gl.KernelFault as fault:
        print(f"without the barrier: a {fault.kind} on {fault.argument} in line {fault.line}")
    print(f"sum: {total(SOURCE, x):.4f}, NumPy in float64: {x.sum(dtype=np.float64):.4f}")


if __name__ == "__main__":
    main()
