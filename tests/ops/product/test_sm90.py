"""product_sm90.cu in every configuration, layout and epilogue against float64."""

from __future__ import annotations

from typing import Any

import pytest

from gradlib.ops.product import AFTER
from gradlib.ops.product.choose_sm90 import CANDIDATES, Config, with_stages
from gradlib.ops.product.sm90 import product, serves

from ...devices import device_params
from .against_float64 import ADDED, BACKWARD, BF16, EPILOGUES, F16, F32, FORWARD, check

pytestmark = pytest.mark.parametrize("device", device_params())


def of(config: Config | None) -> Any:
    """Return a product that takes this config, or chooses one."""

    def run(problem: Any, a: Any, b: Any, out: Any) -> Any:
        assert serves(a.array)
        assert serves(b.array)
        if config is None:
            return product(problem, a, b, out)
        direct = problem.itemsize != 2 or problem.n % 8 != 0 or config.splits > 1
        stages = with_stages(config, direct=direct, totals=problem.steps.totals)
        return product(problem, a, b, out, stages._replace(group=config.group or 2))

    return run


@pytest.mark.parametrize("config", CANDIDATES, ids=lambda c: f"{c.bm}x{c.bn}x{c.cluster}{'p' * c.pingpong}")
def test_every_configuration(device, config, limits):
    """Ragged tiles in both directions, stages that come round, several tiles a block."""
    limits(device, multiprocessors=2)
    check(device, 300, 264, 72, run=of(config), **FORWARD)
    check(device, 304, 136, 328, run=of(config), a_transposed=True, b_transposed=True, **BACKWARD)


@pytest.mark.exhaustive
@pytest.mark.parametrize("config", CANDIDATES, ids=lambda c: f"{c.bm}x{c.bn}x{c.cluster}{'p' * c.pingpong}")
@pytest.mark.parametrize("few", [False, True])
def test_every_configuration_at_length(device, config, few, limits):
    """Longer sums, and a block a tile or several tiles a block."""
    if few:
        limits(device, multiprocessors=4)
    check(device, 540, 264, 200, run=of(config), **FORWARD)
    check(device, 304, 136, 840, run=of(config), a_transposed=True, b_transposed=True, **BACKWARD)


@pytest.mark.parametrize("layout", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("dtype", [BF16, F16])
def test_layouts(device, layout, dtype):
    check(device, 136, 72, 136, dtype, a_transposed=layout[0], b_transposed=layout[1], run=of(None))


@pytest.mark.parametrize(
    "case",
    [
        {"m": 1, "n": 8, "k": 8, "bias": True},
        {"m": 70, "n": 100, "k": 64, "b_transposed": True, **FORWARD},  # rows of y that bulk copies do not take
        {"m": 70, "n": 33, "k": 72, "b_transposed": True, "bias": True, "activation": "relu"},
        {"m": 72, "n": 40, "k": 97, "a_transposed": True},  # any k where it is no row
        {"m": 130, "n": 72, "k": 1104, "run": of(Config(128, 64, splits=3)), **FORWARD},
        {"m": 130, "n": 73, "k": 264, "b_transposed": True, "run": of(Config(128, 64, splits=2)), **ADDED},
        {"m": 64, "n": 64, "k": 64, "products": 3, "residual": AFTER},
        {"m": 72, "n": 40, "k": 72, "products": 5, "one_b": True, "scale": True},
        {"m": 72, "n": 40, "k": 520, "products": 2, "run": of(Config(64, 64, pingpong=True, splits=2))},
        {"m": 200, "n": 72, "k": 72, "dtype": F16, **BACKWARD, "residual": AFTER},
    ],
)  # fmt: skip
def test_shapes_and_layouts(device, case):
    check(device, **{"run": of(None), **case})


@pytest.mark.parametrize("case", EPILOGUES)
def test_epilogues(device, case):
    check(device, run=of(None), **case)


@pytest.mark.parametrize(
    "case",
    [
        {"m": 65, "n": 40, "k": 97, "passes": 6, **FORWARD},
        {"m": 65, "n": 41, "k": 97, "passes": 6, "a_transposed": True, "b_transposed": True, **BACKWARD},
        {"m": 65, "n": 41, "k": 97, "passes": 3, "products": 2},
        {"m": 65, "n": 41, "k": 97, "passes": 1},
        {"m": 65, "n": 41, "k": 1000, "passes": 6, "run": of(Config(64, 128, pingpong=True, splits=2)), **FORWARD},
        {"m": 300, "n": 200, "k": 130, "passes": 6, "run": of(Config(128, 128, cluster=2))},
    ],
)
def test_float32_in_planes(device, case):
    check(device, dtype=F32, **{"run": of(None), **case})
