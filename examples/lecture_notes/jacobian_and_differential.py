"""The Jacobian is the matrix of the differential: J dx = Df(x)[dx].  For functions of matrices, <A, B> = tr(B^T A)."""

import numpy as np

import gradlib as gl


def inner(a, b):
    """<A, B> = tr(B^T A), the sum of the products of the elements."""
    return float(gl.linalg.trace(b.T @ a))


def differential_of_inverse(x, h):
    """Return D(X^-1)[H] by forward mode and -X^-1 H X^-1."""
    y = gl.linalg.inv(x)
    return gl.jvp(gl.linalg.inv, (x,), (h,))[1], -y @ h @ y


def representer_of_inverse(x, g):
    """Return the matrix R with <R, H> = <G, D(X^-1)[H]> for every H, by reverse mode and as -X^-T G X^-T."""
    y = gl.linalg.inv(x)
    return gl.vjp(gl.linalg.inv, x)[1](g)[0], -y.T @ g @ y.T


def jacobian_times(f, x, dx):
    """Return J dx with the whole Jacobian, and the differential without it."""
    return gl.tensordot(gl.jacobian(f)(x), dx, axes=dx.ndim), gl.jvp(f, (x,), (dx,))[1]


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, h, g = rng.standard_normal((3, 3, 3))
    by_tape, by_hand = differential_of_inverse(x, h)
    print("D(X^-1)[H] - (-X^-1 H X^-1):", np.abs(by_tape - by_hand).max())
    by_tape, by_hand = representer_of_inverse(x, g)
    print("its transpose at G - (-X^-T G X^-T):", np.abs(by_tape - by_hand).max())
    print("J dx - Df(x)[dx]:", np.abs(np.subtract(*jacobian_times(lambda x: gl.sin(x @ x), x, h))).max())
    gradient = gl.grad(lambda x: gl.sum(gl.square(x)))(x)  # of <X, X>, which is 2 X
    print("<grad, H> =", inner(gradient, h), " 2 <X, H> =", 2 * inner(x, h))
