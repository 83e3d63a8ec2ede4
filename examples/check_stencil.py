"""Test a CuPy RawKernel without a GPU: a five-point stencil whose tile has a halo, and a halo that is too small.

Run: python examples/check_stencil.py   (needs a C++ compiler, no GPU)
"""

from __future__ import annotations

import numpy as np

import gradlib as gl

SOURCE = r"""
#define TILE 16
#ifndef HALO
#define HALO 1
#endif
extern "C" __global__ void laplace(const float* u, float* out, int height, int width) {
    __shared__ float tile[(TILE + 2 * HALO) * (TILE + 2 * HALO)];
    const int side = TILE + 2 * HALO;
    int column = blockIdx.x * TILE + threadIdx.x, row = blockIdx.y * TILE + threadIdx.y;
    for (int y = threadIdx.y; y < side; y += TILE) {
        for (int x = threadIdx.x; x < side; x += TILE) {
            int r = min(max((int)blockIdx.y * TILE + y - HALO, 0), height - 1);  // the border repeats
            int c = min(max((int)blockIdx.x * TILE + x - HALO, 0), width - 1);
            tile[y * side + x] = u[r * width + c];
        }
    }
    __syncthreads();
    if (row >= height || column >= width) return;
    const float* at = tile + (threadIdx.y + HALO) * side + threadIdx.x + HALO;
    out[row * width + column] = at[-side] + at[side] + at[-1] + at[1] - 4 * at[0];
}
"""


def laplace(u: np.ndarray, halo: int = 1) -> np.ndarray:
    """Return the discrete Laplacian of u."""
    out = np.empty_like(u)
    height, width = u.shape
    grid = (-(-width // 16), -(-height // 16))
    gl.testing.run_kernel(
        SOURCE, "laplace", grid, (16, 16), [u, out, height, width], outputs=["out"], macros={"HALO": halo}
    )
    return out


def main() -> None:
    """Compare with NumPy, then find the fault of a tile without a halo."""
    u = np.random.default_rng(0).standard_normal((37, 50)).astype(np.float32)
    padded = np.pad(u, 1, mode="edge")
    expected = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * u
    print(f"largest difference from NumPy: {np.abs(laplace(u) - expected).max():.1e}")
    try:
        laplace(u, halo=0)
    except gl.KernelFault as fault:
        print(f"without a halo: {fault.kind} on {fault.argument} in line {fault.line}, thread {fault.thread}")


if __name__ == "__main__":
    main()
