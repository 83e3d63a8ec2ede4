"""Second derivatives of every fused op, in every mixture of the modes: they agree to rounding."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import PRIMITIVES
from gradlib.spec import is_floating
from gradlib.testing.check_op import draw

FUSED = sorted(n for n, p in PRIMITIVES.items() if p.fused and p.module.startswith("gradlib."))
LARGEST = 75  # elements of an input whose whole Hessian is taken


def close(a: object, b: object, what: str) -> None:
    size = max(1.0, float(np.abs(b).max(initial=0.0)))
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * size, err_msg=what)


@pytest.mark.parametrize("name", FUSED)
def test_mixed_orders_agree(name: str) -> None:
    prim = PRIMITIVES[name]
    hessians = 0
    for number, sample in enumerate(prim.samples()):
        args = draw(sample, np.dtype("float64"), zlib.crc32(name.encode()) + number)
        places = [i for i, a in enumerate(args) if a is not None and is_floating(a.dtype)]
        xs = tuple(args[i] for i in places)
        if sum(x.size for x in xs) > 2000 or any(x.size == 0 for x in xs):
            continue

        def f(*xs: object, args: list = args, places: list = places, sample: object = sample) -> object:
            full = list(args)
            for i, x in zip(places, xs, strict=True):
                full[i] = x
            ys = prim(*full, **sample.params)
            total = gl.zeros((), dtype="float64")
            for y in ys if isinstance(ys, tuple) else (ys,):
                if y is not None and is_floating(y.dtype):
                    total = total + gl.sum(y * gl.sin(y))
            return total

        rng = np.random.default_rng(number)
        vs = tuple(rng.standard_normal(x.shape) for x in xs)
        every = tuple(range(len(xs)))
        what = f"{name} sample {number}"

        def along(*xs: object, f: object = f, vs: tuple = vs) -> object:
            return gl.jvp(f, xs, vs)[1]

        def inner(*xs: object, f: object = f, vs: tuple = vs, every: tuple = every) -> object:
            return sum((gl.sum(g * v) for g, v in zip(gl.grad(f, every)(*xs), vs, strict=True)), 0.0)

        jvp_of_grad = gl.jvp(gl.grad(f, every), xs, vs)[1]
        grad_of_jvp = gl.grad(along, every)(*xs)
        grad_of_grad = gl.grad(inner, every)(*xs)
        by_hvp = gl.hvp(f, xs, vs)
        for k in every:
            close(grad_of_jvp[k], jvp_of_grad[k], f"{what}: grad of jvp against jvp of grad, input {k}")
            close(grad_of_grad[k], jvp_of_grad[k], f"{what}: grad of grad against jvp of grad, input {k}")
            close(by_hvp if len(xs) == 1 else by_hvp[k], jvp_of_grad[k], f"{what}: hvp, input {k}")
        curvature = sum(float(np.vdot(v, h)) for v, h in zip(vs, jvp_of_grad, strict=True))
        close(np.asarray(gl.jvp(along, xs, vs)[1]), curvature, f"{what}: jvp of jvp")
        for k in every:
            if xs[k].size > LARGEST:
                continue
            hessians += 1
            forward, reverse = (gl.hessian(f, k, mode=m)(*xs) for m in ("forward", "reverse"))
            close(forward, reverse, f"{what}: hessian both ways, input {k}")
            n = xs[k].size
            close(forward.reshape(n, n), forward.reshape(n, n).T, f"{what}: hessian is symmetric, input {k}")
    assert hessians, f"{name} has no sample small enough for a Hessian"
