"""product_mma.cu in every configuration, layout, alignment and epilogue against float64."""

from __future__ import annotations

from typing import Any

import pytest

from gradlib.ops.product import AFTER
from gradlib.ops.product.choose_mma import CANDIDATES, Config
from gradlib.ops.product.mma import product

from ...devices import device_params
from .against_float64 import ADDED, BACKWARD, BF16, EPILOGUES, F16, F32, FORWARD, check

pytestmark = pytest.mark.parametrize("device", device_params())


def of(config: Config | None) -> Any:
    """Return a product that takes this config, or chooses one."""
    return lambda problem, a, b, out: product(problem, a, b, out, config)


@pytest.mark.parametrize("config", CANDIDATES, ids=lambda c: f"{c.bm}x{c.bn}")
def test_every_configuration(device, config):
    """Ragged tiles in both directions, stages that come round."""
    check(device, 200, 136, 200, run=of(config), **FORWARD)
    check(device, 200, 136, 264, run=of(config), a_transposed=True, b_transposed=True, **BACKWARD)


@pytest.mark.parametrize("layout", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize(("dtype", "m", "n", "k"), [(BF16, 136, 72, 136), (F16, 71, 67, 45), (BF16, 3, 5, 7)])
def test_layouts(device, layout, dtype, m, n, k):
    """Of rows that begin at multiples of 16 bytes, and of those that do not."""
    check(device, m, n, k, dtype, a_transposed=layout[0], b_transposed=layout[1], run=of(None))


@pytest.mark.parametrize(
    "case",
    [
        {"m": 1, "n": 1, "k": 1, "bias": True},
        {"m": 70, "n": 33, "k": 72, "bias": True, "activation": "relu"},
        {"m": 130, "n": 73, "k": 520, "run": of(Config(64, 64, 32, 32, splits=2)), **ADDED},
        {"m": 67, "n": 65, "k": 63, "products": 3, "residual": AFTER},
        {"m": 72, "n": 40, "k": 72, "products": 5, "one_b": True, "scale": True},
        {"m": 72, "n": 40, "k": 520, "products": 2, "run": of(Config(64, 64, 32, 32, splits=2))},
        {"m": 201, "n": 71, "k": 72, "dtype": F16, **BACKWARD, "residual": AFTER},
        {"m": 65, "n": 40, "k": 97, "dtype": F32, "passes": 6, **FORWARD},
        {"m": 65, "n": 41, "k": 97, "dtype": F32, "passes": 6, "a_transposed": True, "b_transposed": True, **BACKWARD},
        {"m": 65, "n": 41, "k": 97, "dtype": F32, "passes": 3, "products": 2},
        {"m": 65, "n": 41, "k": 97, "dtype": F32, "passes": 1},
    ],
)
def test_shapes_and_layouts(device, case):
    check(device, **{"run": of(None), **case})


@pytest.mark.parametrize("case", EPILOGUES)
def test_epilogues(device, case):
    check(device, run=of(None), **case)
