"""The Jacobian is the matrix of the differential: J dx = Df(x)[dx].  For functions of matrices, <A, B> = tr(B^T A)."""

import numpy as np

import gradlib as gl


def inner(a, b):
    """<A, B> = tr(B^T A), the sum of the products of the elements."""
    return float(np.trace(b.T @ a))


@gl.leaf(
    "notes_inverse",
    infer=lambda x: x,
    # <G, D(X^-1)[H]> = <G, -X^-1 H X^-1> = <-X^-T G X^-T, H>
    vjp=(lambda g, ans, x: gl.negative(gl.matmul(gl.matrix_transpose(ans), gl.matmul(g, gl.matrix_transpose(ans)))),),
    saves=("ans",),
)
def inverse(xp, x):
    """Y = X^-1, an op with a derivative of its own; its other derivatives follow from that one."""
    return xp.linalg.inv(x)


def differential_of_inverse(x, h):
    """Return D(X^-1)[H] by forward mode and -X^-1 H X^-1."""
    y = np.linalg.inv(x)
    return gl.jvp(inverse, (x,), (h,))[1], -y @ h @ y


def jacobian_times(f, x, dx):
    """Return J dx with the whole Jacobian, and the differential without it."""
    return np.tensordot(gl.jacobian(f)(x), dx, axes=dx.ndim), gl.jvp(f, (x,), (dx,))[1]


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, h = rng.standard_normal((2, 3, 3))
    by_tape, by_hand = differential_of_inverse(x, h)
    print("D(X^-1)[H] - (-X^-1 H X^-1):", np.abs(by_tape - by_hand).max())
    print("J dx - Df(x)[dx]:", np.abs(np.subtract(*jacobian_times(lambda x: gl.sin(x @ x), x, h))).max())
    gradient = gl.grad(lambda x: gl.sum(gl.square(x)))(x)  # of <X, X>, which is 2 X
    print("<grad, H> =", inner(gradient, h), " 2 <X, H> =", 2 * inner(x, h))
