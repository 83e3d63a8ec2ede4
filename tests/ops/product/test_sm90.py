"""product_sm90.cu in every configuration, layout and epilogue against float64."""

from __future__ import annotations

from dataclasses import replace
from math import erf, pi, sqrt
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradlib.backend import get
from gradlib.ops.product import Matrix, Problem, Steps, product, serves, split
from gradlib.ops.product.choose_sm90 import CANDIDATES, Config, with_stages

from ...devices import device_params

BF16 = np.dtype(ml_dtypes.bfloat16)
F16, F32 = np.dtype(np.float16), np.dtype(np.float32)
phi = np.vectorize(lambda v: 0.5 * (1 + erf(v / sqrt(2))))
ACTIVATION: dict[Any, Any] = {None: lambda u: u, "relu": lambda u: np.maximum(u, 0), "gelu": lambda u: u * phi(u)}
SLOPE: dict[Any, Any] = {
    "relu": lambda s: (s > 0).astype(float),
    "gelu": lambda s: phi(s) + s * np.exp(-s * s / 2) / sqrt(2 * pi),
}
FORWARD: dict[str, Any] = {"bias": True, "activation": "gelu", "save": True}
BACKWARD: dict[str, Any] = {"slope": "gelu", "sums": True}
ADDED: dict[str, Any] = {"residual": True, "scale": True}

pytestmark = pytest.mark.parametrize("device", device_params())


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
    config: Config | None = None,
    one_b: bool = False,
    **steps_given: Any,
) -> None:
    """Run one product and hold y, z and the column sums to float64."""
    backend, rng, steps = get(device), np.random.default_rng(m + n + k), Steps(**steps_given)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    a, b = draw(products, m, k), draw(1 if one_b else products, k, n)
    bias, scale, slope, residual = draw(n), draw(n), draw(products, m, n), draw(products, m, n)
    wide = [x.astype(np.float64) for x in (a, b, bias, scale, slope, residual)]
    u = wide[0] @ wide[1]
    u = u * wide[3] if steps.scale else u
    u = u + wide[2] if steps.bias else u
    expected = ACTIVATION[steps.activation](u)
    expected = expected * SLOPE[steps.slope](wide[4]) if steps.slope else expected
    expected = expected + wide[5] if steps.residual else expected

    def there(x: np.ndarray, transposed: bool) -> Matrix:
        array = backend.asarray(np.ascontiguousarray(x.swapaxes(1, 2) if transposed else x))
        if dtype != F32:
            return Matrix(array, transposed)
        return split(array, 4 if passes > 1 else 1)._replace(transposed=transposed)

    left, right = there(a, a_transposed), there(b, b_transposed)
    assert serves(left.array)
    assert serves(right.array)
    y, z = (backend.empty((products, m, n), dtype) for _ in range(2))
    problem = Problem(m, n, k, products, passes, dtype.itemsize, a_transposed, b_transposed, steps)
    if config is not None:
        direct = dtype.itemsize != 2 or n % 8 != 0 or config.splits > 1
        config = with_stages(config, direct=direct, sums=steps.sums)._replace(group=config.group or 2)

    def given(wanted: Any, x: np.ndarray) -> Any:
        return backend.asarray(x) if wanted else None

    sums = product(
        problem, left, right, y,
        bias=given(steps.bias, bias), scale=given(steps.scale, scale), slope=given(steps.slope, slope),
        residual=given(steps.residual, residual), z=z if steps.save else None, config=config,
    )  # fmt: skip
    # Of 16 bits, the rounding of the result, and a float32 sum; of planes, what they leave out, or the rounding of a
    # float32 sum of k / 16 steps of the tensor core.
    of_planes = {6: 2.0**-23 * sqrt(max(k / 16, 4)), 3: 2.0**-14, 1: 2.0**-7}[passes]
    relative, of_sum = {BF16: (2.0**-8, 2.0**-15), F16: (2.0**-11, 2.0**-15), F32: (of_planes, of_planes)}[dtype]

    def close(got: Any, want: np.ndarray) -> None:
        got = backend.to_host(got).astype(np.float64).reshape(want.shape)
        room = relative * abs(want) + of_sum * np.sqrt((want**2).mean())
        assert (abs(got - want) <= room).all(), (abs(got - want) / room).max()

    close(y, expected)
    if steps.save:
        close(z, u)
    if steps.sums:
        total = backend.to_host(sums).astype(np.float64).reshape(products, -1, n).sum(1)
        want = expected.sum(1)
        room = 1e-4 if passes == 1 else 2e-5
        assert abs(total - want).max() <= room * np.sqrt((expected**2).sum(1)).max()


@pytest.mark.parametrize("config", CANDIDATES, ids=lambda c: f"{c.bm}x{c.bn}x{c.cluster}{'p' * c.pingpong}")
@pytest.mark.parametrize("few", [False, True])
def test_every_configuration(device, config, few, monkeypatch):
    """Ragged tiles in both directions, stages that come round, and, with few multiprocessors, several tiles a block."""
    if few:
        backend = get(device)
        monkeypatch.setattr(type(backend), "limits", replace(backend.limits, multiprocessors=4), raising=False)
        if device == "cuda":
            monkeypatch.setattr(backend, "limits", replace(backend.limits, multiprocessors=4))
    check(device, 540, 264, 200, config=config, **FORWARD)
    check(device, 304, 136, 840, config=config, a_transposed=True, b_transposed=True, **BACKWARD)


@pytest.mark.parametrize("layout", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("dtype", [BF16, F16])
def test_layouts(device, layout, dtype):
    check(device, 136, 72, 136, dtype, a_transposed=layout[0], b_transposed=layout[1])


@pytest.mark.parametrize(
    "case",
    [
        {"m": 1, "n": 8, "k": 8, "bias": True},
        {"m": 70, "n": 100, "k": 64, "b_transposed": True, **FORWARD},  # rows of y that bulk copies do not take
        {"m": 70, "n": 33, "k": 72, "b_transposed": True, "bias": True, "activation": "relu"},
        {"m": 130, "n": 72, "k": 1104, "config": Config(128, 64, splits=3), **FORWARD},
        {"m": 130, "n": 73, "k": 264, "b_transposed": True, "config": Config(128, 64, splits=2), **ADDED},
        {"m": 64, "n": 64, "k": 64, "products": 3, "residual": True},
        {"m": 72, "n": 40, "k": 72, "products": 5, "one_b": True, "scale": True},
        {"m": 72, "n": 40, "k": 520, "products": 2, "config": Config(64, 64, pingpong=True, splits=2)},
        {"m": 200, "n": 72, "k": 72, "dtype": F16, **BACKWARD, "residual": True},
    ],
)  # fmt: skip
def test_shapes_and_epilogues(device, case):
    check(device, **case)


@pytest.mark.parametrize(
    "case",
    [
        {"m": 65, "n": 40, "k": 97, "passes": 6, **FORWARD},
        {"m": 65, "n": 41, "k": 97, "passes": 6, "a_transposed": True, "b_transposed": True, **BACKWARD},
        {"m": 65, "n": 41, "k": 97, "passes": 3, "products": 2},
        {"m": 65, "n": 41, "k": 97, "passes": 1},
        {"m": 65, "n": 41, "k": 1000, "passes": 6, "config": Config(64, 128, pingpong=True, splits=2), **FORWARD},
        {"m": 300, "n": 200, "k": 130, "passes": 6, "config": Config(128, 128, cluster=2)},
    ],
)
def test_float32_in_planes(device, case):
    check(device, dtype=F32, **case)
