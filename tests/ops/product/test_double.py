"""product_double.cu in every layout, split and epilogue against longer floats, and when it is chosen."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from gradlib.backend import get
from gradlib.ops.product import AFTER, BEFORE, Matrix, Outputs, Problem, Steps
from gradlib.ops.product.double import choose, cycles, gains, product, serves

from ...devices import device_params
from .against_float64 import F32, F64, FORWARD, check

devices = pytest.mark.parametrize("device", device_params())
LAYOUTS = [(False, False), (False, True), (True, False), (True, True)]


def run(device: str, m: int, n: int, k: int, splits: int | None = None, **asked: Any) -> None:
    check(device, m, n, k, F64, run=partial(product, splits=splits), **asked)


@devices
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("m", "n", "k"), [(67, 71, 45), (130, 64, 72), (5, 3, 1)])
def test_layouts(device, layout, m, n, k):
    run(device, m, n, k, a_transposed=layout[0], b_transposed=layout[1])


@devices
@pytest.mark.parametrize(
    "case",
    [
        {"m": 1, "n": 1, "k": 1, "bias": True},
        {"m": 4, "n": 40, "k": 0, **FORWARD},
        {"m": 70, "n": 33, "k": 72, "products": 3, "one_b": True, **FORWARD},
        {"m": 66, "n": 40, "k": 40, "bias": True, "scale": True, "activation": "relu", "residual": BEFORE},
        {"m": 66, "n": 41, "k": 40, "slope": "gelu", "residual": AFTER},
        {"m": 66, "n": 41, "k": 40, "products": 2, "dropout": True, "residual": AFTER},
        {"m": 65, "n": 40, "k": 530, "splits": 4, "products": 2, **FORWARD},
    ],
)
def test_shapes_and_epilogues(device, case):
    run(device, **case)


@devices
@pytest.mark.parametrize("splits", [1, 2, 5])
def test_integers_are_exact(device, splits):
    """Every product counts once: sums below 2^53 have no rounding."""
    backend, rng = get(device), np.random.default_rng(2)
    a, b = (rng.integers(-(2**20), 2**20, shape) for shape in ((70, 700), (700, 66)))
    y = backend.empty((1, 70, 66), np.float64)
    left, right = (Matrix(backend.asarray(x[None].astype(np.float64))) for x in (a, b))
    product(Problem(70, 66, 700, 1, 1, 8), left, right, Outputs(y), splits)
    np.testing.assert_array_equal(backend.to_host(y)[0], a @ b)


def test_the_choice():
    square = Problem(4096, 4096, 4096, 1, 1, 8)
    for architecture, gained in [
        ("sm_80", True),
        ("sm_90a", True),
        ("sm_100a", True),
        ("sm_86", False),
        ("sm_89", False),
    ]:
        assert gains(square, 108, architecture) == gained
    assert not gains(Problem(5, 5, 5, 1, 1, 8), 108, "sm_80")
    assert choose(square, 108).splits == 1
    deep = Problem(64, 64, 65536, 1, 1, 8)
    assert choose(deep, 108).splits > 8
    assert cycles(deep, choose(deep, 108), 108) < cycles(deep, choose(deep, 108, 1), 108)


def test_what_it_serves():
    def matrix(dtype: Any = F64) -> Matrix:
        return Matrix(np.zeros((1, 16, 16), dtype))

    problem = Problem(16, 16, 16)
    assert serves(problem, matrix(), matrix())
    assert not serves(problem, matrix(F32), matrix(F32))
    assert not serves(problem._replace(m=0), matrix(), matrix())
    assert not serves(problem._replace(products=2000), matrix(), matrix())  # of the grid's third axis
    assert not serves(problem._replace(steps=Steps(sums=True)), matrix(), matrix())
