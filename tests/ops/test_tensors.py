"""The norm of all tensors, clipping and averages: equal on every device, and few launches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import backend as backends
from gradlib.core import Tensor
from gradlib.kernel import CHUNK
from gradlib.nn import Parameter
from gradlib.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm
from gradlib.testing import assert_close

SHAPES = ((3, 5), (0, 2), (1,), (CHUNK + 3,), (2, CHUNK))


def arrays(dtype: str = "float32", scale: float = 1.0) -> list[Any]:
    rng = np.random.default_rng(3)
    return [(scale * rng.standard_normal(shape)).astype(gl.tensor([0.0], dtype=dtype).dtype) for shape in SHAPES]


def on(device: str, values: list[Any]) -> list[Tensor]:
    return [Tensor(backends.get(device).asarray(a)) for a in values]


def flat(values: list[Any]) -> Any:
    return np.concatenate([np.asarray(a, np.float64).ravel() for a in values])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("p", [2.0, 1.0, math.inf, 3.0, 0.5])
def test_the_norm_of_all(p: float, dtype: str, sim: str) -> None:
    values = arrays(dtype)
    wanted = np.linalg.norm(flat(values), p) if p >= 1 else (np.abs(flat(values)) ** p).sum() ** (1 / p)
    for device in ("cpu", sim):
        with gl.testing.launches() as log:
            total = get_total_norm(on(device, values), p)
        assert_close(total, wanted, what=f"{p} {device}")
        assert total.dtype == ("float64" if dtype == "float64" else "float32")
        assert total.device == device
        assert [r.entry for r in log] == (["norm_partial", "norm_finish"] if device == sim else [])


def test_a_launch_for_each_dtype(sim: str) -> None:
    values = arrays() + arrays("float64") + arrays("float16")
    with gl.testing.launches() as log:
        total = get_total_norm(on(sim, values))
    assert [r.entry for r in log] == ["norm_partial"] * 3 + ["norm_finish"]
    assert total.dtype == np.float64
    assert float(total) == pytest.approx(np.linalg.norm(flat(values)), rel=1e-7)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("p", [2.0, math.inf])
def test_what_is_not_finite_shows(bad: float, p: float, sim: str) -> None:
    values = arrays()
    values[3][17] = bad
    for device in ("cpu", sim):
        assert not math.isfinite(float(get_total_norm(on(device, values), p)))


def with_grads(device: str, values: list[Any]) -> list[Parameter]:
    params = [Parameter(t) for t in on(device, [np.zeros_like(a) for a in values])]
    for p, g in zip(params, on(device, values), strict=True):
        p.grad = g
    return params


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("max_norm", [1.0, 1e6])
def test_clipping_by_norm(max_norm: float, dtype: str, sim: str) -> None:
    values = arrays(dtype)
    factor = min(1.0, max_norm / (np.linalg.norm(flat(values)) + 1e-6))
    for device in ("cpu", sim):
        params = with_grads(device, values)
        with gl.testing.launches() as log:
            clip_grad_norm_(params, max_norm)
        assert len(log) == (3 if device == sim else 0)
        for p, a in zip(params, values, strict=True):
            assert p.grad is not None
            assert_close(p.grad, a.astype(np.float64) * factor)


def test_gradients_that_share_memory_are_clipped_once(sim: str) -> None:
    params = with_grads(sim, arrays()[:1] * 2)
    params[1].grad = params[0].grad
    before = params[0].grad.numpy().copy()
    clip_grad_norm_(params, 1.0)
    for p in params:
        np.testing.assert_allclose(p.grad.numpy(), before / np.linalg.norm([before, before]), rtol=1e-5)


def test_clipping_by_value(sim: str) -> None:
    values = arrays()
    values[3][5] = np.nan
    for device in ("cpu", sim):
        params = with_grads(device, values)
        with gl.testing.launches() as log:
            clip_grad_value_(params, 0.5)
        assert len(log) == int(device == sim)
        for p, a in zip(params, values, strict=True):
            assert np.array_equal(p.grad.numpy(), np.clip(a, -0.5, 0.5), equal_nan=True)


def test_it_is_free_of_faults(sim: str) -> None:
    with backends.checked():
        params = with_grads(sim, [a[:300] if a.ndim == 1 else a[:, :7] for a in arrays()])
        for p in (2.0, 1.0, math.inf, 3.0):
            clip_grad_norm_(params, 1.0, p)
        clip_grad_value_(params, 0.1)


def test_the_average_moves_in_one_launch(sim: str) -> None:
    values = arrays()
    both = []
    for device in ("cpu", sim):
        params = [Parameter(t) for t in on(device, [a.copy() for a in values])]
        average = gl.optim.ExponentialMovingAverage(params, 0.75)
        average.update()
        for p in params:
            p.assign(p * 3.0)
        with gl.testing.launches() as log:
            average.update()
        assert len(log) == int(device == sim)
        both.append([a.numpy() for a in average.averages])
    for a, b, v in zip(*both, values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
        np.testing.assert_allclose(b, 1.5 * v, rtol=1e-6)


def test_a_norm_of_no_order_is_refused() -> None:
    with pytest.raises(ValueError, match="need a number above 0"):
        get_total_norm(on("cpu", arrays()), 0.0)
