"""Theoretical Jacobians, every entry, beside practical ones: what a pullback multiplies with instead."""

import numpy as np

import gradlib as gl


def elementwise(x):
    """Return the n x n Jacobian of sin, and the diagonal that is all of it."""
    return gl.jacobian(gl.sin)(x), np.cos(x)


def softmax(x):
    """Return the Jacobian of softmax, and diag(y) - y y^T."""
    y = gl.softmax(x)
    return gl.jacobian(gl.softmax)(x), np.diag(y) - np.outer(y, y)


def dense_tensor(z, w):
    """Return dy/dW of y = z W as the third-order tensor T[k, i, j] = d y_k / d W_ij."""
    return gl.jacobian(lambda w: z @ w)(w)


def dense_pullback(z, w, g):
    """Return sum over k of g_k T[k, i, j]: by the tensor, and as the outer product z g^T that it is."""
    by_tensor = np.tensordot(g, dense_tensor(z, w), axes=1)
    _, pullback = gl.vjp(lambda w: z @ w, w)
    return by_tensor, pullback(g)[0], np.outer(z, g)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, z, w, g = rng.standard_normal(4), rng.standard_normal(3), rng.standard_normal((3, 4)), rng.standard_normal(4)
    print(elementwise(x)[0].round(3))
    print(softmax(x)[0].round(3))
    print(
        "T has shape", dense_tensor(z, w).shape, "and", np.count_nonzero(dense_tensor(z, w)), "entries that are not 0"
    )
    by_tensor, practical, outer = dense_pullback(z, w, g)
    print("g T - z g^T:", np.abs(by_tensor - outer).max(), " pullback - z g^T:", np.abs(practical - outer).max())
