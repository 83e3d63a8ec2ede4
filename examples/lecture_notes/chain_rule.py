"""J of g(f(x)) is J_g J_f, its differential is Dg[Df[dx]]; a value used twice sums over its paths."""

import numpy as np

import gradlib as gl

A = np.random.default_rng(1).standard_normal((4, 3))


def f(x):
    return gl.tanh(gl.asarray(A) @ x)


def g(y):
    return gl.stack([gl.sum(y), gl.prod(y)])


def jacobians(x):
    """Return the Jacobian of the composition and the product of the Jacobians."""
    return gl.jacobian(lambda x: g(f(x)))(x), gl.jacobian(g)(np.asarray(f(x))) @ gl.jacobian(f)(x)


def differentials(x, dx):
    """Return the differential of the composition and the differential of g along that of f."""
    y, dy = gl.jvp(f, (x,), (dx,))
    return gl.jvp(lambda x: g(f(x)), (x,), (dx,))[1], gl.jvp(g, (np.asarray(y),), (np.asarray(dy),))[1]


def two_paths(x):
    """L(y1(x), y2(x)): return dL/dx, and its share through y1 and through y2."""

    def y1(x):
        return gl.sin(x)

    def y2(x):
        return x * x

    def loss(a, b):
        return gl.sum(a * b)

    whole = gl.grad(lambda x: loss(y1(x), y2(x)))(x)
    first = gl.grad(lambda x: loss(y1(x), gl.stop_gradient(y2(x))))(x)
    second = gl.grad(lambda x: loss(gl.stop_gradient(y1(x)), y2(x)))(x)
    return whole, first, second


if __name__ == "__main__":
    x = np.array([0.1, 0.2, 0.3])
    print("J_{g o f} - J_g J_f:", np.abs(np.subtract(*jacobians(x))).max())
    whole, first, second = two_paths(x)
    print(f"{whole} = {first} + {second}")
