"""Derivatives of complex functions: JAX's convention, against closed forms and, where it is installed, against JAX.

At z = x + iy, with f = u + iv and real u, v: grad of a real f is u_x - i u_y; the pullback of g is the number h for
which Re(h t) = Re(g df(t)) for every t; a holomorphic f has f'(z) g.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.testing import assert_close, gradcheck

RNG = np.random.default_rng(4)
Z = RNG.standard_normal(5) + 1j * RNG.standard_normal(5)
T = RNG.standard_normal(5) + 1j * RNG.standard_normal(5)
M = RNG.standard_normal((3, 5)) + 1j * RNG.standard_normal((3, 5))


def test_closed_forms() -> None:
    assert_close(gl.grad(lambda z: gl.sum(gl.real(z)))(Z), np.ones(5))
    assert_close(gl.grad(lambda z: gl.sum(gl.imag(z)))(Z), np.full(5, -1j))
    assert_close(gl.grad(lambda z: gl.sum(gl.square(gl.abs(z))))(Z), 2 * Z.conj())
    assert_close(gl.grad(lambda z: gl.sum(gl.abs(z)))(Z), Z.conj() / abs(Z))
    assert_close(gl.vjp(gl.exp, Z)[1](T)[0], np.exp(Z) * T)  # holomorphic: nothing is conjugated
    assert_close(gl.vjp(gl.conj, Z)[1](T)[0], T.conj())
    assert_close(gl.jvp(gl.conj, (Z,), (T,))[1], T.conj())
    assert_close(gl.jvp(gl.abs, (Z,), (T,))[1], (Z.conj() * T).real / abs(Z))
    assert_close(gl.grad(lambda z: gl.sin(z), holomorphic=True)(Z[0]), np.cos(Z[0]))
    assert_close(gl.jacobian(gl.sin, holomorphic=True)(Z), np.diag(np.cos(Z)))
    assert_close(gl.grad(gl.grad(lambda z: z * z * z, holomorphic=True), holomorphic=True)(Z[0]), 6 * Z[0])


def test_zero_has_the_gradient_zero() -> None:
    assert gl.grad(lambda z: gl.abs(z))(0j).item() == 0


def test_acosh_on_both_halves_of_the_plane() -> None:
    """Its derivative is 1 / (sqrt(z - 1) sqrt(z + 1)): 1 / sqrt(z^2 - 1), as JAX has it, is wrong on the left."""
    gradcheck(gl.acosh, np.array([2 + 1j, -2 + 1j, -0.5 - 0.3j, 0.2 + 2j]))


def test_descent_goes_down_along_the_conjugate() -> None:
    z, goal = gl.tensor(Z), gl.tensor(T)
    for _ in range(60):
        z = z - 0.2 * gl.conj(gl.grad(lambda z: gl.sum(gl.square(gl.abs(z - goal))))(z))
    assert_close(z, T)


def test_backward_follows_the_same_convention() -> None:
    z = gl.tensor(Z, requires_grad=True)
    gl.sum(gl.imag(z * z)).backward()
    assert_close(z.grad, -2j * Z)
    with pytest.raises(gl.GradientError, match=r"need a real loss"):
        (z * z).sum().backward()
    y = z * z
    y.backward(gradient=T)
    assert_close(z.grad, -2j * Z + 2 * Z * T)


def test_jacobian_takes_the_mode_that_can_hold_it() -> None:
    x = RNG.standard_normal(3)
    assert_close(gl.jacobian(lambda x: gl.exp(x * 1j))(x), np.diag(1j * np.exp(1j * x)))
    assert_close(gl.jacobian(lambda z: gl.square(gl.abs(z)))(Z), np.diag(2 * Z.conj()))
    for wrong in (
        lambda: gl.jacobian(gl.sin)(Z),
        lambda: gl.jacobian(lambda x: x * 1j, mode="reverse")(x),
        lambda: gl.jacobian(gl.abs, mode="forward")(Z),
        lambda: gl.jacobian(gl.abs, holomorphic=True)(Z),
        lambda: gl.grad(lambda z: z * z)(1j),
        lambda: gl.grad(lambda z: gl.abs(z), holomorphic=True)(1j),
        lambda: gl.hessian(lambda z: gl.sum(gl.abs(z)))(Z),
    ):
        with pytest.raises(gl.GradientError):
            wrong()


def test_transforms_compose() -> None:
    def loss(z: Any) -> Any:
        return gl.sum(gl.abs(gl.sin(z)) * gl.real(z))

    zs = np.stack([Z, T])
    per_example = gl.vmap(gl.grad(loss))(zs)
    assert_close(per_example, np.stack([gl.grad(loss)(z) for z in zs]))
    along = gl.hvp(loss, (Z,), (T,))
    step = 1e-6
    assert_close(along, (gl.grad(loss)(Z + step * T) - gl.grad(loss)(Z - step * T)) / (2 * step), dtype="float32")
    assert_close(gl.grad(lambda z: gl.real(gl.checkpoint(gl.sin)(z)).sum())(Z), np.cos(Z))


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "conj": lambda xp, z: xp.conj(z) * z,
    "parts": lambda xp, z: xp.real(z) * xp.imag(z) + 1j * xp.real(z),
    "abs": lambda xp, z: xp.abs(z) * z,
    "angle": lambda xp, z: xp.angle(z),
    "exp": lambda xp, z: xp.exp(z) + xp.expm1(z),
    "log": lambda xp, z: xp.log(z) * xp.log1p(z) + xp.log2(z) - xp.log10(z),
    "sqrt": lambda xp, z: xp.sqrt(z) / (z + 1.0),
    "circular": lambda xp, z: xp.sin(z) * xp.cos(z) + xp.tan(z),
    "hyperbolic": lambda xp, z: xp.sinh(z) * xp.cosh(z) + xp.tanh(z),
    "inverse circular": lambda xp, z: xp.asin(z) + xp.acos(z) * xp.atan(z),
    "inverse hyperbolic": lambda xp, z: xp.asinh(z) * xp.atanh(z),
    "powers": lambda xp, z: z**2 + z**3 + z**-1.5 + z**z + 2.0**z,
    "reciprocal": lambda xp, z: xp.reciprocal(z) + xp.square(z) - (-z),
    "real in the middle": lambda xp, z: xp.exp(1j * xp.abs(z)) * xp.sum(xp.square(xp.abs(z))),
    "product": lambda xp, z: xp.matmul(xp.asarray(M), z) * xp.prod(z) + xp.mean(z),
    "picking": lambda xp, z: xp.matmul(xp.asarray(M.T @ M), z)[::2] * xp.where(xp.asarray(Z.real[::2] > 0), z[1:4], 1j),
    "joining": lambda xp, z: xp.concat([z, xp.real(z)])[5:] * xp.flip(xp.stack([z, z]), axis=1),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_agrees_with_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    f = FUNCTIONS[name]
    with jax.enable_x64(True):
        value, pullback = jax.vjp(lambda z: f(jax.numpy, z), Z)
        g = (RNG.standard_normal(value.shape) + 1j * RNG.standard_normal(value.shape)).astype(value.dtype)
        along = jax.jvp(lambda z: f(jax.numpy, z), (Z,), (T,))[1]
        (back,) = pullback(jax.numpy.asarray(g))
        gradient = jax.grad(lambda z: jax.numpy.sum(jax.numpy.abs(f(jax.numpy, z))))(Z)
        second = jax.jvp(jax.grad(lambda z: jax.numpy.sum(jax.numpy.real(f(jax.numpy, z)) ** 2)), (Z,), (T,))[1]
    mine, my_pullback = gl.vjp(lambda z: f(gl, z), Z)
    assert_close(mine, np.asarray(value))
    assert_close(my_pullback(g)[0], np.asarray(back))
    assert_close(gl.jvp(lambda z: f(gl, z), (Z,), (T,))[1], np.asarray(along))
    assert_close(gl.grad(lambda z: gl.sum(gl.abs(f(gl, z))))(Z), np.asarray(gradient))
    assert_close(gl.hvp(lambda z: gl.sum(gl.real(f(gl, z)) ** 2), (Z,), (T,)), np.asarray(second))
