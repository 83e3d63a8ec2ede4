"""One product, in every layout and with every epilogue, against float64."""

from __future__ import annotations

from math import erf, pi, sqrt
from typing import Any

import ml_dtypes
import numpy as np

import gradlib as gl
from gradlib.backend import get
from gradlib.ops.product import AFTER, BEFORE, Matrix, Outputs, Problem, Steps, front, split

from ...devices import watched

BF16 = np.dtype(ml_dtypes.bfloat16)
F16, F32, F64 = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)
phi = np.vectorize(lambda v: 0.5 * (1 + erf(v / sqrt(2))))
ACTIVATION: dict[Any, Any] = {None: lambda u: u, "relu": lambda u: np.maximum(u, 0), "gelu": lambda u: u * phi(u)}
SLOPE: dict[Any, Any] = {
    "relu": lambda s: (s > 0).astype(float),
    "gelu": lambda s: phi(s) + s * np.exp(-s * s / 2) / sqrt(2 * pi),
}
FORWARD: dict[str, Any] = {"bias": True, "activation": "gelu", "save": True}
BACKWARD: dict[str, Any] = {"slope": "gelu", "sums": True}
ADDED: dict[str, Any] = {"residual": AFTER, "scale": True}
# What both families are held to, beside their own cases.
EPILOGUES: list[dict[str, Any]] = [
    {"m": 70, "n": 72, "k": 72, "scale": True, "bias": True, "residual": BEFORE, "activation": "relu"},
    {
        "m": 70,
        "n": 37,
        "k": 72,
        "b_transposed": True,
        "bias": True,
        "residual": BEFORE,
        "activation": "gelu",
        "save": True,
    },
    {"m": 131, "n": 72, "k": 72, "products": 2, "bias": True, "dropout": True, "residual": AFTER},
    {"m": 131, "n": 72, "k": 72, "products": 2, "residual": AFTER, "onto": True},
    {"m": 70, "n": 37, "k": 72, "b_transposed": True, "residual": AFTER, "onto": True},
    {"m": 67, "n": 37, "k": 72, "b_transposed": True, "activation": "relu", "dropout": True},
    {"m": 130, "n": 72, "k": 72, "slope": "relu", "dropout": True, "sums": True},
    {"m": 333, "n": 72, "k": 72, "bias": True, "moments": True},
    {"m": 77, "n": 37, "k": 72, "b_transposed": True, "products": 2, "activation": "relu", "moments": True},
    {"m": 200, "n": 72, "k": 72, "dtype": F32, "passes": 6, "moments": True},
    {"m": 200, "n": 72, "k": 72, "dtype": F32, "passes": 3, "dropout": True, "residual": BEFORE},
]


def check(
    device: str,
    m: int,
    n: int,
    k: int,
    dtype: np.dtype[Any] = BF16,
    products: int = 1,
    a_transposed: bool = False,
    b_transposed: bool = False,
    passes: int = 1,
    run: Any = front.product,
    one_b: bool = False,
    onto: bool = False,
    direct: bool = False,
    **steps_given: Any,
) -> None:
    """Run one product and hold y, z and the totals of the columns to float64.

    `onto`: the residual is y itself; `direct`: of float32 itself, not of planes; float64 is held to the products of
    longer floats.
    """
    backend, rng, steps = get(device), np.random.default_rng(m + n + k), Steps(**steps_given)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    a, b = draw(products, m, k), draw(1 if one_b else products, k, n)
    bias, scale, slope, residual = draw(n), draw(n), draw(products, m, n), draw(products, m, n)
    key, p = np.array([7, 3], np.uint64), 0.3
    wide = [x.astype(np.float64) for x in (a, b, bias, scale, slope, residual)]
    longer = np.longdouble if dtype == F64 else np.float64
    u = (wide[0].astype(longer) @ wide[1].astype(longer)).astype(np.float64)
    u = u * wide[3] if steps.scale else u
    u = u + wide[2] if steps.bias else u
    u = u + wide[5] if steps.residual == BEFORE else u
    expected = ACTIVATION[steps.activation](u)
    expected = expected * SLOPE[steps.slope](wide[4]) if steps.slope else expected
    expected = gl.dropout(expected, key, p=p) if steps.dropout else expected
    expected = expected + wide[5] if steps.residual == AFTER else expected

    def there(x: np.ndarray, transposed: bool) -> Matrix:
        array = backend.asarray(np.ascontiguousarray(x.swapaxes(1, 2) if transposed else x))
        if direct or dtype != F32:
            return Matrix(array, transposed)
        return split(array, 4 if passes > 1 else 1)._replace(transposed=transposed)

    left, right = there(a, a_transposed), there(b, b_transposed)
    y, z = (backend.empty((products, m, n), dtype) for _ in range(2))
    problem = Problem(m, n, k, products, passes, dtype.itemsize, a_transposed, b_transposed, steps)

    def given(wanted: Any, x: np.ndarray) -> Any:
        return backend.asarray(x) if wanted else None

    out = Outputs(
        y, z if steps.save else None, given(steps.slope, slope), given(steps.residual, residual),
        given(steps.bias, bias), given(steps.scale, scale), given(steps.dropout, key), p,
    )  # fmt: skip
    if onto:
        y[...] = out.residual
        out = out._replace(residual=y)
    with watched(device):
        totals = run(problem, left, right, out)
    # Of 16 bits, the rounding of the result, and a float32 sum; of planes, what they leave out, or the rounding of a
    # float32 sum of k / 16 steps of the tensor core.
    of_planes = {6: 2.0**-23 * sqrt(max(k / 16, 4)), 3: 2.0**-14, 1: 2.0**-7}[6 if direct else passes]
    of_double = 2.0**-52 * sqrt(max(k, 16))
    relative, of_sum = {
        BF16: (2.0**-8, 2.0**-15),
        F16: (2.0**-11, 2.0**-15),
        F32: (of_planes, of_planes),
        F64: (of_double, of_double),
    }[dtype]

    def close(got: Any, want: np.ndarray) -> None:
        got = backend.to_host(got).astype(np.float64).reshape(want.shape)
        room = relative * abs(want) + of_sum * np.sqrt((want**2).mean())
        assert (abs(got - want) <= room).all(), (abs(got - want) / room).max()

    close(y, expected)
    if steps.save:
        close(z, u)
    if not steps.totals:
        assert totals is None
        return
    of_parts = backend.to_host(totals.array).astype(np.float64)
    room = 1e-4 if passes == 1 else 2e-5
    if steps.sums:
        want = expected.sum(1)
        assert abs(of_parts.reshape(products, -1, n).sum(1) - want).max() <= room * np.sqrt((expected**2).sum(1)).max()
        return
    stored = backend.to_host(y).astype(np.float64)  # the moments are those of what was stored
    for part in range(-(-m // totals.rows)):
        rows = stored[:, part * totals.rows : (part + 1) * totals.rows]
        mean, m2 = of_parts.reshape(2, products, -1, n)[:, :, part]
        assert abs(mean - rows.mean(1)).max() <= 1e-6 * abs(rows).max()
        assert (abs(m2 - rows.var(1) * rows.shape[1]) <= 1e-5 * (rows.var(1) + 1e-30) * rows.shape[1]).all()
