"""scaled_sm90.cu in every configuration, of both kinds of 8-bit floats, with its epilogues, against float64."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradlib.backend import get
from gradlib.kernel import launches
from gradlib.ops.product import AFTER, Outputs, Problem, Steps, choose_scaled, scaled
from gradlib.ops.product.choose_sm90 import Config

from ...devices import device_params, watched
from .against_float64 import ACTIVATION, BF16, F16, F32, SLOPE

pytestmark = pytest.mark.parametrize("device", device_params())

E4M3, E5M2 = np.dtype(ml_dtypes.float8_e4m3fn), np.dtype(ml_dtypes.float8_e5m2)
# Rounding of the result; and of the sums: sim adds in float32, a GPU's tensor cores keep 13 bits behind the first.
ROOM = {BF16: 2.0**-8, F16: 2.0**-11, F32: 2.0**-23}
OF_SUM = {"sim": 2.0**-19, "cuda": 2.0**-11}


def check(device, m, n, k, left=E4M3, right=E4M3, out=BF16, config=None, **given):
    backend, rng, steps = get(device), np.random.default_rng(m + n + k), Steps(**given)
    a, b = rng.standard_normal((m, k)).astype(left), rng.standard_normal((n, k)).astype(right)
    scales = [np.array([v], np.float32) for v in (0.37, 2.5)]
    bias, scale = (rng.standard_normal(n).astype(out) for _ in range(2))
    slope, residual = (rng.standard_normal((m, n)).astype(out) for _ in range(2))
    u = a.astype(float) @ b.astype(float).T * float(scales[0][0]) * float(scales[1][0])
    u = u * scale.astype(float) if steps.scale else u
    u = u + bias.astype(float) if steps.bias else u
    want = ACTIVATION[steps.activation](u)
    want = want * SLOPE[steps.slope](slope.astype(float)) if steps.slope else want
    want = want + residual.astype(float) if steps.residual else want
    y, z = (backend.empty((m, n), out) for _ in range(2))

    def on(wanted: Any, x: np.ndarray) -> Any:
        return backend.asarray(x) if wanted else None

    outputs = Outputs(
        y, z if steps.save else None, on(steps.slope, slope), on(steps.residual, residual), on(steps.bias, bias),
        on(steps.scale, scale),
    )  # fmt: skip
    operands = [backend.asarray(x) for x in (a, b, *scales)]
    assert scaled.serves(*operands[:2])
    problem = Problem(m, n, k, 1, 1, out.itemsize, False, True, steps)
    with watched(device):
        totals = scaled.scaled(*operands, outputs, problem, config)
    of_sum = OF_SUM[device]
    for got, expected in ((y, want), (z, u)) if steps.save else ((y, want),):
        room = ROOM[out] * abs(expected) + of_sum * np.sqrt((expected**2).mean())
        assert (abs(backend.to_host(got).astype(float) - expected) <= room).all()
    if steps.sums:
        sums = backend.to_host(totals.array).astype(float).sum(0)
        assert abs(sums - want.sum(0)).max() <= 8 * of_sum * np.sqrt((want**2).sum(0)).max()


@pytest.mark.parametrize(
    "config", choose_scaled.CANDIDATES, ids=lambda c: f"{c.bm}x{c.bn}x{c.cluster}{'p' * c.pingpong}"
)
@pytest.mark.parametrize("few", [pytest.param(False, marks=pytest.mark.exhaustive), True])
def test_every_configuration(device, config, few, limits):
    """Ragged tiles, stages that come round, sums that leave the tensor cores twice and a bit, several tiles a block."""
    if few:
        limits(device, multiprocessors=4)
    check(device, 300, 264, 592, config=config, bias=True, activation="gelu", save=True)


@pytest.mark.parametrize("kinds", [(E4M3, E4M3), (E4M3, E5M2), (E5M2, E4M3), (E5M2, E5M2)], ids=str)
def test_kinds(device, kinds):
    check(device, 70, 72, 144, *kinds)


@pytest.mark.parametrize(
    "case",
    [
        {"m": 1, "n": 8, "k": 16, "bias": True},
        {"m": 70, "n": 37, "k": 80, "bias": True, "activation": "relu"},  # rows of y that bulk copies do not take
        {"m": 70, "n": 40, "k": 272, "out": F16, "scale": True, "bias": True, "residual": AFTER},
        {"m": 130, "n": 72, "k": 512, "out": F32, "bias": True},
        {"m": 67, "n": 33, "k": 48, "out": F32, "slope": "gelu"},
        {"m": 130, "n": 72, "k": 160, "slope": "relu", "sums": True},
        {"m": 70, "n": 37, "k": 1200, "config": Config(64, 64, pingpong=True, splits=2), "bias": True},  # 5 steps each
        {"m": 130, "n": 72, "k": 1680, "out": F16, "config": Config(128, 128, cluster=2, splits=3),
         "scale": True, "bias": True, "activation": "gelu", "save": True},
        {"m": 65, "n": 40, "k": 272, "out": F32, "config": Config(128, 64, splits=2), "slope": "gelu",
         "residual": AFTER},  # parts of 256 and of 16
    ],
)  # fmt: skip
def test_shapes_and_epilogues(device, case):
    check(device, **case)


def test_a_deep_sum_is_split(device):
    """And its parts are added up in the same order each time."""
    limits, problem = get(device).limits, Problem(40, 48, 4096, 1, 1, 2, False, True)
    config = choose_scaled.choose(problem._replace(k=problem.k // 2), limits.multiprocessors)
    assert config.splits > 2
    a, b = (np.random.default_rng(0).standard_normal((n, 4096)).astype(E4M3) for n in (40, 48))
    operands = [get(device).asarray(x) for x in (a, b, *[np.ones(1, np.float32)] * 2)]
    found = []
    for _ in range(2):
        y = get(device).empty((40, 48), BF16)
        with launches() as log:
            scaled.scaled(*operands, Outputs(y), problem)
        assert [record.entry for record in log] == ["scaled", "finish"]
        found.append(get(device).to_host(y))
    np.testing.assert_array_equal(*found)
    want = a.astype(float) @ b.astype(float).T
    room = 2.0**-8 * abs(want) + OF_SUM[device] * np.sqrt((want**2).mean())
    assert (abs(found[0].astype(float) - want) <= room).all()


def test_sums_leave_the_tensor_cores_every_two_steps(device):
    """Ones beside a large first term: those of later chunks count (on sim all)."""
    backend, k = get(device), 4096
    a, b = np.ones((1, k), E4M3), np.ones((8, k), E4M3)
    a[0, 0] = b[:, 0] = 256
    one, y = backend.asarray(np.ones(1, np.float32)), backend.empty((1, 8), F32)
    scaled.scaled(*[backend.asarray(x) for x in (a, b)], one, one, Outputs(y), Problem(1, 8, k, 1, 1, 4, False, True))
    np.testing.assert_allclose(backend.to_host(y), 65536 + k - 1, rtol=2.0**-8)
