"""Batch normalisation against PyTorch's stored values, and its stability."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradlib import ShapeError
from gradlib import backend as backends
from gradlib.core import Tensor
from gradlib.ops.norm import batch_norm, batch_norm_inference
from gradlib.testing import assert_close, launches

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "batch_norm.npz")
COUNT = int(REFERENCE["count"])


@pytest.fixture(params=["cpu", "sim"])
def device(request: pytest.FixtureRequest) -> str:
    return "cpu" if request.param == "cpu" else str(request.getfixturevalue("sim"))


def tensors(device: str, n: int, *names: str, grad: bool = True) -> list[Tensor]:
    move = backends.get(device).asarray
    return [Tensor(move(REFERENCE[f"{name}{n}"]), requires_grad=grad) for name in names]


@pytest.mark.parametrize("n", range(COUNT))
def test_training_equals_pytorch(n: int, device: str) -> None:
    x, weight, bias = tensors(device, n, "x", "weight", "bias")
    y, mean, var = batch_norm(x, weight, bias, eps=1e-5)
    y.backward(*tensors(device, n, "g", grad=False))
    assert_close(y, REFERENCE[f"train_y{n}"])
    assert_close(mean, REFERENCE[f"batch_mean{n}"])
    assert_close(var, REFERENCE[f"batch_var{n}"])
    for t, name in ((x, "x"), (weight, "weight"), (bias, "bias")):
        assert_close(t.grad, REFERENCE[f"train_d{name}{n}"], what=name)


@pytest.mark.parametrize("n", range(COUNT))
def test_evaluation_equals_pytorch(n: int, device: str) -> None:
    x, weight, bias = tensors(device, n, "x", "weight", "bias")
    mean, var = tensors(device, n, "mean", "var", grad=False)
    y = batch_norm_inference(x, mean, var, weight, bias, eps=1e-5)
    y.backward(*tensors(device, n, "g", grad=False))
    assert_close(y, REFERENCE[f"eval_y{n}"])
    for t, name in ((x, "x"), (weight, "weight"), (bias, "bias")):
        assert_close(t.grad, REFERENCE[f"eval_d{name}{n}"], what=name)


def test_variance_far_from_zero_keeps_its_digits(device: str) -> None:
    # a mean of 1e4 deviations: E[x^2] - E[x]^2 would lose every digit of a float32 variance; the mean itself
    # cannot be known better than to 1e4 * eps = 6e-4
    x = (1e4 + np.random.default_rng(0).standard_normal((4099, 3))).astype(np.float32)
    exact = x.astype(np.float64)
    y, mean, var = (np.asarray(v) for v in batch_norm(backends.get(device).asarray(x), eps=0.0))
    assert np.abs(mean / exact.mean(0) - 1).max() < 5e-7
    assert np.abs(var / exact.var(0) - 1).max() < 1e-4
    assert np.abs(y - (exact - exact.mean(0)) / exact.std(0)).max() < 5e-3


def test_float32_parameters_beside_reduced_input(sim: str) -> None:
    move = backends.get(sim).asarray
    rng = np.random.default_rng(0)
    x = rng.standard_normal((33, 5)).astype(np.float16)
    weight, bias = rng.standard_normal((2, 5)).astype(np.float32)
    with launches() as log:
        y, _, _ = batch_norm(move(x), move(weight), move(bias))
    assert [record.entry for record in log] == ["batch_norm_partial", "batch_norm_finish", "batch_norm_apply"]
    assert y.dtype == np.float16
    exact, _, _ = batch_norm(x.astype(np.float64), weight.astype(np.float64), bias.astype(np.float64))
    assert_close(y, exact)


def test_many_segments_give_the_same_bits_every_time(sim: str) -> None:
    x = backends.get(sim).asarray(np.random.default_rng(0).standard_normal((9001, 3)).astype(np.float32))
    first = [np.asarray(v) for v in batch_norm(x)]
    second = [np.asarray(v) for v in batch_norm(x)]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_errors() -> None:
    x = np.zeros((4, 3))
    with pytest.raises(ShapeError, match=r"weight has shape \(4,\), input has 3 channels"):
        batch_norm(x, np.ones(4))
    with pytest.raises(ShapeError, match="an empty batch has no statistics"):
        batch_norm(x[:0])
    with pytest.raises(ShapeError, match="input has 1 dimensions, expected 2 or more"):
        batch_norm(x[0])
    with pytest.raises(ShapeError, match=r"var has shape \(2,\), input has 3 channels"):
        batch_norm_inference(x, np.zeros(3), np.ones(2))
