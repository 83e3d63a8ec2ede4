"""Softmax, logsumexp and cross-entropy against PyTorch's stored values, identities, and extreme inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import ShapeError
from gradlib import backend as backends
from gradlib.core import Tensor, vjp
from gradlib.errors import DTypeError
from gradlib.ops.cross_entropy import cross_entropy
from gradlib.ops.softmax import log_softmax, logsumexp, softmax
from gradlib.testing import assert_close, gradcheck, launches

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "cross_entropy.npz")
CASES = json.loads(str(REFERENCE["cases"]))


@pytest.fixture(params=["cpu", "sim"])
def device(request: pytest.FixtureRequest) -> str:
    return "cpu" if request.param == "cpu" else str(request.getfixturevalue("sim"))


@pytest.mark.parametrize("n", range(len(CASES)), ids=lambda n: "-".join(map(str, CASES[n])))
def test_equals_pytorch(n: int, device: str) -> None:
    kind, weighted, reduction, smoothing = CASES[n]
    move = backends.get(device).asarray
    x = Tensor(move(REFERENCE["x"]), requires_grad=True)
    weight = Tensor(move(REFERENCE["weight"])) if weighted else None
    target = Tensor(move(REFERENCE[f"target_{kind}"]))
    loss = cross_entropy(x, target, weight, reduction=reduction, label_smoothing=smoothing)
    loss.backward(Tensor(move(REFERENCE[f"g{n}"])))
    assert_close(loss, REFERENCE[f"y{n}"])
    assert_close(x.grad, REFERENCE[f"dx{n}"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_huge_logits_neither_overflow_nor_lose_the_loss(scale: float, dtype: Any, device: str) -> None:
    x = np.array([[scale, 0, -scale], [-scale, 0, scale]], dtype)
    t = Tensor(backends.get(device).asarray(x), requires_grad=True)
    loss = cross_entropy(t, np.array([0, 0]), reduction="none")
    assert np.array_equal(loss.numpy(), np.array([0, 2 * scale], dtype))
    loss.backward(Tensor(backends.get(device).asarray(np.ones(2, dtype))))
    assert t.grad is not None
    assert np.array_equal(t.grad.numpy(), [[0, 0, 0], [-1, 0, 1]])
    assert np.array_equal(np.asarray(softmax(t.data, axis=-1)), [[1, 0, 0], [0, 0, 1]])


def test_a_class_of_probability_zero(device: str) -> None:
    x = backends.get(device).asarray(np.array([[0.0, -np.inf, 0.0]]))
    assert_close(softmax(x, axis=-1), [[0.5, 0, 0.5]])
    assert np.array_equal(np.asarray(log_softmax(x, axis=-1)), [[-np.log(2), -np.inf, -np.log(2)]])
    assert_close(cross_entropy(x, np.array([0])), np.log(2))


def test_gradient_of_a_mean_over_ignored_rows_is_zero_there(device: str) -> None:
    move = backends.get(device).asarray
    x = Tensor(move(np.random.default_rng(0).standard_normal((2, 3, 4))), requires_grad=True)
    target = move(np.array([[0, 9, 1], [9, 9, 2]]))
    cross_entropy(x, target, ignore_index=9).backward()
    assert x.grad is not None
    rows = np.abs(x.grad.numpy()).sum(-1)
    assert np.array_equal(rows > 0, np.asarray(target) != 9)


def test_a_target_that_is_no_class() -> None:
    x = np.zeros((2, 3))
    with pytest.raises(IndexError, match="target has class 3, input has 3 classes"):
        cross_entropy(x, np.array([0, 3]))
    with pytest.raises(IndexError, match="target has class -1"):
        cross_entropy(x, np.array([-1, 0]))


def test_a_target_that_is_no_class_gives_nan_from_the_kernel(sim: str) -> None:
    move = backends.get(sim).asarray
    x = Tensor(move(np.zeros((2, 3))), requires_grad=True)
    loss = cross_entropy(x, move(np.array([0, 2**40])), reduction="none")
    assert np.array_equal(np.isnan(loss.numpy()), [False, True])
    loss.backward(Tensor(move(np.ones(2))))
    assert x.grad is not None
    assert np.array_equal(np.isnan(x.grad.numpy()).all(1), [False, True])


def test_kernels_run_for_class_numbers_and_not_for_weights(sim: str) -> None:
    move = backends.get(sim).asarray
    x, target = move(np.zeros((2, 3))), move(np.array([0, 1]))
    with launches() as log:
        cross_entropy(x, target, label_smoothing=0.1)
    assert [record.entry for record in log] == [
        "cross_entropy_forward",
        "cross_entropy_partial",
        "cross_entropy_finish",
    ]
    with launches() as log:
        cross_entropy(x, target, move(np.ones(3)))
    assert "cross_entropy_forward" not in [record.entry for record in log]


def test_second_order_of_the_loss() -> None:
    x = np.random.default_rng(0).standard_normal((3, 4))
    target = np.array([1, -100, 3])

    def gradient(x: Any) -> Any:
        _, pullback = vjp(lambda t: cross_entropy(t, target), [x], [True])
        return pullback([np.array(1.0)])[0]

    gradcheck(gradient, x)


def test_logsumexp_over_axes() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    for axis in (None, 0, -1, (0, 2)):
        for keepdims in (False, True):
            expected = np.log(np.exp(x).sum(axis, keepdims=keepdims))
            assert_close(logsumexp(x, axis=axis, keepdims=keepdims), expected)
    assert np.asarray(logsumexp(np.full(3, -np.inf))).item() == -np.inf
    assert np.asarray(logsumexp(np.array([np.inf, 0]))).item() == np.inf


def test_errors_name_the_operands() -> None:
    x = np.zeros((2, 3))
    with pytest.raises(ShapeError, match=r"target has shape \(3,\), input \(2, 3\) expects \(2,\)") as error:
        cross_entropy(x, np.zeros(3, int))
    assert "input:  float64[2, 3]  (batch, ..., classes)" in str(error.value)
    with pytest.raises(ShapeError, match=r"weight has shape \(2,\), input has 3 classes"):
        cross_entropy(x, np.zeros(2, int), np.zeros(2))
    with pytest.raises(ShapeError, match="reduction is 'avg'"):
        cross_entropy(x, np.zeros(2, int), reduction="avg")
    with pytest.raises(DTypeError, match="target is not of input's dtype"):
        cross_entropy(x, np.zeros((2, 3), np.float32))
    with pytest.raises(DTypeError, match="x is not floating"):
        softmax(np.zeros((2, 3), int))
    with pytest.raises(ShapeError, match="axis 2 is out of range"):
        softmax(x, axis=2)


@pytest.mark.parametrize("columns", [2, 7, 64, 257, 1000, 1031, 4096, 8200, 16384, 16411])
def test_rows_of_any_width_on_kernels(columns: int, sim: str) -> None:
    rng = np.random.default_rng(columns)
    x, target = rng.standard_normal((3, columns)), rng.integers(0, columns, 3)
    for dtype in ("float32", "bfloat16"):
        kind = gl.tensor([0.0], dtype=dtype).dtype
        narrow = x.astype(kind)
        for f in (
            lambda t: gl.softmax(t, axis=-1),
            lambda t: gl.log_softmax(t, axis=-1),
            lambda t: gl.nn.functional.cross_entropy(t, backends.get(t.device).asarray(target), label_smoothing=0.1),
        ):
            both = []
            for device, value in ((sim, narrow), ("cpu", narrow.astype(np.float64))):
                t = gl.tensor(value, device=device, requires_grad=True)
                y = f(t)
                g = np.random.default_rng(1).standard_normal(y.shape).astype(kind).astype(value.dtype)
                y.backward(gl.tensor(g, device=device))
                both.append((y, t.grad))
            for found, wanted in zip(*both, strict=True):
                assert_close(found, wanted.numpy(), dtype=kind)
