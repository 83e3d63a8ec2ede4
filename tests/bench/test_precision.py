"""The study of float32 products: its transcriptions of the kernels, what it finds, and what is not finite."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.backend import get
from gradlib.bench import precision
from gradlib.ops.product import Outputs, Problem, mma, planes
from gradlib.ops.product.choose_mma import Config

rng = np.random.default_rng(8)


def by_kernel(a: np.ndarray, b: np.ndarray, passes: int) -> np.ndarray:
    """The product of planes on product_mma.cu of sim."""
    sim = get("sim")
    left, right = (planes.split(sim.asarray(x[None]), 4 if passes > 1 else 1) for x in (a, b))
    y = sim.empty((1, len(a), b.shape[1]), np.float32)
    config = Config(64, 64, 32, 32)
    mma.product(Problem(len(a), b.shape[1], a.shape[1], 1, passes, 4), left, right, Outputs(y), config)
    return np.asarray(sim.to_host(y)[0])


@pytest.mark.parametrize("passes", [1, 3, 6])
@pytest.mark.parametrize("values", precision.RANGES)
def test_the_transcription_of_planes_is_the_kernel(sim, values, passes):
    for k in (16, 70):
        a, b = precision._operands(values, k, 1)
        np.testing.assert_array_equal(precision.of_planes(a, b, passes), by_kernel(a, b, passes))


@pytest.mark.parametrize("values", precision.RANGES)
def test_the_transcription_of_a_chain_is_the_kernel(sim, values):
    a, b = precision._operands(values, 70, 1)
    got = gl.matmul(gl.tensor(a, device=sim), gl.tensor(b, device=sim)).numpy()
    np.testing.assert_array_max_ulp(precision.chain(a, b), got, 1)  # NumPy rounds twice where double falls on a tie


def test_highest_is_no_worse_than_one_chain():
    """Of values whose lowest plane bfloat16 holds: those of 2^-110 and more."""
    records = precision.study((16, 256, 4096))
    for values in ("normal", "uniform, positive", "2^-20 to 2^20", "left near the largest"):
        for k in (16, 256, 4096):
            rms = {r["method"]: r["rms"] for r in records if (r["values"], r["k"]) == (values, k)}
            assert rms["highest"] <= rms["FFMA, one chain"], (values, k)
            assert rms["highest, cut"] <= 1.4 * rms["FFMA, one chain"], (values, k)
            assert rms["high"] < 2.0**-16
            assert rms["medium"] < 2.0**-8


def not_finite() -> list[tuple[str, np.ndarray, np.ndarray]]:
    cases = []
    for name, left, right in [
        ("inf", np.inf, 1.5), ("-inf", -np.inf, 1.5), ("nan", np.nan, 1.5), ("inf times zero", np.inf, 0.0),
        ("zero times nan", 0.0, np.nan), ("inf times inf", np.inf, -np.inf), ("inf times tiny", np.inf, 2.0**-149),
        ("inf times the least", -np.inf, 2.0**-126), ("inf times the largest", np.inf, -3.4e38),
    ]:  # fmt: skip
        a, b = rng.standard_normal((5, 40)).astype(np.float32), rng.standard_normal((40, 6)).astype(np.float32)
        a[:, 17], b[17] = 0.5, 0.5  # so that nothing finite is too large
        a[2, 17], b[17, :3] = left, right
        cases += [(name, a, b), (name + ", swapped", np.ascontiguousarray(b.T), np.ascontiguousarray(a.T))]
    a, b = np.ones((5, 40), np.float32), np.ones((40, 6), np.float32)
    a[0, 3], a[0, 30], a[1, 5] = np.inf, -np.inf, np.inf  # cancel, or do not
    return [*cases, ("inf minus inf", a, b)]


@pytest.mark.parametrize("passes", [1, 3, 6])
@pytest.mark.parametrize(("name", "a", "b"), not_finite())
def test_infinities_and_nan_are_those_of_the_plain_product(sim, name, a, b, passes):
    with np.errstate(invalid="ignore"):
        expected = a.astype(np.float64) @ b.astype(np.float64)
    got = by_kernel(a, b, passes)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_array_equal(got[np.isinf(expected)], expected[np.isinf(expected)])
    assert np.isfinite(got[np.isfinite(expected)]).all()


@pytest.mark.parametrize("passes", [3, 6])
@pytest.mark.parametrize("exponent", [129, 131, 140, 200])
def test_a_sum_beyond_the_range_is_not_finite(sim, exponent, passes):
    """And the infinity of its sign while the terms of lower planes, at most 2^-7 of it, are within the range."""
    rng = np.random.default_rng(exponent)
    a, b = rng.standard_normal((8, 70)), rng.uniform(1, 2, (70, 8))
    a[:, 17] = rng.choice([-1, 1], 8) * rng.uniform(1, 2, 8) * 2.0 ** (exponent // 2)
    b[17] *= 2.0 ** (exponent - exponent // 2)
    a, b = a.astype(np.float32), b.astype(np.float32)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    got = by_kernel(a, b, passes)
    assert not np.isfinite(got).any()
    if exponent + 2 < 134:
        np.testing.assert_array_equal(got, np.copysign(np.inf, exact))


def test_the_command(capsys: Any, tmp_path: Any):
    assert precision.main(["--depths", "16", "--out", str(tmp_path / "errors.json")]) == 0
    records = json.loads((tmp_path / "errors.json").read_text())
    assert len(records) == len(precision.RANGES) * len(precision.METHODS)
    printed = capsys.readouterr().out
    assert all(f"**{values}**" in printed for values in precision.RANGES)
