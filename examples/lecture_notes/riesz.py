"""The gradient is the vector that represents the differential: df(x)[v] = <grad f(x), v> for every v.

The same for a map between spaces: <u, J v> = <J^T u, v>, forward mode on the left, reverse mode on the right.
"""

import numpy as np

import gradlib as gl


def f(x):
    return gl.sum(gl.sin(x) * gl.exp(x[::-1]))


def differential_and_inner_product(x, v):
    """Return df(x)[v] by forward mode and <grad f(x), v> by reverse mode."""
    _, df = gl.jvp(f, (x,), (v,))
    return float(df), float(np.vdot(gl.grad(f)(x), v))


def gradient_from_differential(x):
    """Return the representer found from the differential alone: its values on a basis."""
    return np.array([float(gl.jvp(f, (x,), (e,))[1]) for e in np.eye(len(x))])


def adjoint_identity(function, x, u, v):
    """Return <u, J v> and <J^T u, v>."""
    _, jv = gl.jvp(function, (x,), (v,))
    _, pullback = gl.vjp(function, x)
    return float(np.vdot(u, jv)), float(np.vdot(pullback(u)[0], v))


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, v = rng.standard_normal((2, 5))
    print("df(x)[v] = {:.12f}    <grad f(x), v> = {:.12f}".format(*differential_and_inner_product(x, v)))
    print("gradient from the differential: ", gradient_from_differential(x))
    print("gradient from reverse mode:     ", gl.grad(f)(x))
    print("<u, J v> = {:.12f}    <J^T u, v> = {:.12f}".format(*adjoint_identity(gl.softmax, x, v, x)))
