"""l(m_L(... m_1(z; x_1) ...; x_L)): a row vector times Jacobians, from the left.

No matrix of p rows and p columns is ever there: the memory of a gradient grows linearly in depth and in width.
"""

import tracemalloc

import numpy as np

import gradlib as gl


def layer(z, x):
    """m(z; x), with a parameter for each element: its Jacobian has p^2 entries, all but p of them zero."""
    return gl.tanh(z * x)


def gradients(depth, width):
    """Return dl/dx_1 ... dl/dx_L."""
    xs = [np.full(width, 1.0 + 1.0 / (k + 1)) for k in range(depth)]

    def loss(xs):
        z = gl.ones((width,), dtype="float64")
        for x in xs:
            z = layer(z, x)
        return gl.mean(z)

    return gl.grad(loss)(xs)


def peak_bytes(depth, width):
    """Return the most bytes alive at once while the gradients are computed."""
    gradients(2, 4)  # what is imported and remembered on first use
    tracemalloc.start()
    gradients(depth, width)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


if __name__ == "__main__":
    for depth, width in ((5, 20_000), (10, 20_000), (20, 20_000), (10, 40_000), (10, 80_000)):
        peak = peak_bytes(depth, width)
        print(f"depth {depth:3}, width {width:6}: {peak / 1e6:6.1f} MB (one Jacobian: {8 * width**2 / 1e6:9.0f} MB)")
