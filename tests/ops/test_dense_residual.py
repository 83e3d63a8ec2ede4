"""The fully connected layer with dropout and residual: one launch, its gradients, and its chain with the next."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradlib as gl
from gradlib.nn import functional as F
from gradlib.ops import dense_launch

from ..devices import device_params

BF16 = np.dtype(ml_dtypes.bfloat16)
device = pytest.mark.parametrize("device", device_params())


def values(dtype: Any = BF16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    drawn = {
        "x": rng.standard_normal((2, 7, 24)),
        "w": rng.standard_normal((24, 40)) / 5,
        "b": rng.standard_normal(40),
        "v": rng.standard_normal((40, 24)) / 6,
        "c": rng.standard_normal(24),
        "around": rng.standard_normal((2, 7, 24)),
    }
    return {name: a.astype(dtype) for name, a in drawn.items()}


def both(device: str, f: Any, dtype: Any = BF16) -> list[dict[str, np.ndarray]]:
    """Return value and gradients on the device in `dtype`, and on the CPU in float64."""
    found = []
    for where, kind in ((device, dtype), ("cpu", np.float64)):
        t = {n: gl.tensor(a.astype(kind), device=where, requires_grad=True) for n, a in values(dtype).items()}
        gl.manual_seed(11)
        y = f(t)
        (y * y).sum().backward()
        of = {n: a.grad.numpy().astype(np.float64) for n, a in t.items() if a.grad is not None}
        found.append({"y": y.numpy().astype(np.float64), **of})
    return found


def agree(found: list[dict[str, np.ndarray]], tolerance: float = 0.03) -> None:
    ours, exact = found
    assert ours.keys() == exact.keys()
    for name, expected in exact.items():
        assert abs(ours[name] - expected).max() <= tolerance * abs(expected).max(), name


@device
@pytest.mark.parametrize("activation", [None, "relu", "gelu", "tanh", "elu", "selu", "leaky_relu"])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_one_layer(device, activation, p):
    agree(both(device, lambda t: F.dense(t["x"], t["w"], t["b"], activation=activation, p=p)))


@device
@pytest.mark.parametrize("dtype", [BF16, np.float16, np.float32])
def test_a_block_of_a_transformer(device, dtype):
    """The slope travels through the dropout of the first layer; the residual's gradient is the output's own."""

    def f(t: Any) -> Any:
        h = F.dense(t["x"], t["w"], t["b"], activation="gelu", p=0.2)
        return F.dense(h, t["v"], t["c"], residual=t["around"], p=0.3)

    agree(both(device, f, dtype), {BF16: 0.03, np.float16: 0.004, np.float32: 1e-5}[dtype])


@device
def test_the_block_needs_one_pass_beside_its_products(device, monkeypatch):
    seen = []
    for name in ("gradient", "column_sums"):
        plain = getattr(dense_launch, name)
        monkeypatch.setattr(dense_launch, name, lambda *a, f=plain, n=name: seen.append(n) or f(*a))
    test_a_block_of_a_transformer(device, BF16)
    assert seen == ["column_sums"]  # of the last bias; the first layer's come with the product


@device
def test_a_layer_around_itself(device):
    """The same value is input and residual: it has two consumers, and the gradients of both are added."""

    def f(t: Any) -> Any:
        h = F.dense(t["around"], t["v"].mT, t["b"], activation="relu")
        h = F.dense(h, t["v"], t["c"], activation="gelu")
        return F.dense(F.dense(h, t["w"], t["b"], activation="silu"), t["v"], t["c"], residual=h)

    agree(both(device, f))


@device
def test_evaluation_drops_nothing(device):
    t = {n: gl.tensor(a, device=device) for n, a in values().items()}
    plain = F.dense(t["x"], t["w"], t["b"], activation="gelu").numpy()
    np.testing.assert_array_equal(
        F.dense(t["x"], t["w"], t["b"], activation="gelu", p=0.5, training=False).numpy(), plain
    )


def test_a_callable_is_composed():
    t = {n: gl.tensor(a.astype(np.float64)) for n, a in values().items()}
    around = gl.tensor(np.ones((2, 7, 40)))
    y = F.dense(t["x"], t["w"], t["b"], activation=lambda u: u * u, residual=around)
    u = t["x"].numpy() @ t["w"].numpy() + t["b"].numpy()
    np.testing.assert_allclose(y.numpy(), u * u + 1, rtol=1e-12)


def test_messages():
    x, w = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
    with pytest.raises(gl.errors.ShapeError, match="residual has another shape"):
        F.dense(x, w, residual=np.ones((2, 3), np.float32))
    with pytest.raises(gl.errors.DTypeError):
        F.dense(x, w, residual=np.ones((2, 4)))
    with pytest.raises(gl.errors.ShapeError, match="need 0 <= p <= 1"):
        F.dense(x, w, p=1.5)
