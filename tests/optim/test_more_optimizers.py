"""Twenty steps of the optimizers: PyTorch's stored float64 values, or the paper's formulas written out in NumPy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn, optim
from gradlib.nn import Parameter

STORED = np.load(Path(__file__).parent.parent / "reference" / "optim.npz")
CASES = json.loads(str(STORED["cases"]))


def walk(optimizer: optim.Optimizer, p: Parameter, grads: Any, rates: Any) -> Iterator[np.ndarray]:
    for grad, rate in zip(grads, rates, strict=True):
        p.grad = gl.tensor(grad)
        optimizer.lr = float(rate)
        optimizer.step()
        yield p.numpy().copy()


@pytest.mark.parametrize("n", range(len(CASES)), ids=[f"{i}-{name}" for i, (name, _) in enumerate(CASES)])
def test_twenty_steps_are_pytorchs(n: int) -> None:
    name, options = CASES[n]
    p = Parameter(gl.tensor(STORED["start"]))
    rates = STORED["rates"]
    optimizer = getattr(optim, name)([p], lr=float(rates[0]), **options)
    path = list(walk(optimizer, p, STORED["grads"], rates))
    np.testing.assert_allclose(path, STORED[f"path{n}"], rtol=1e-10, atol=1e-11)
    if name == "ASGD":
        np.testing.assert_allclose(optimizer.state[p]["ax"].numpy(), STORED[f"ax{n}"], rtol=1e-10)


MATRICES = json.loads(str(STORED["matrices"]))


@pytest.mark.parametrize("n", range(len(MATRICES)))
def test_twenty_steps_of_a_matrix_are_pytorchs(n: int) -> None:
    name, options = MATRICES[n]
    p = Parameter(gl.tensor(STORED["matrix"]))
    optimizer = getattr(optim, name)([p], lr=0.1, **options)
    path = list(walk(optimizer, p, STORED["matrix_grads"], STORED["rates"]))
    np.testing.assert_allclose(path, STORED[f"matrix_path{n}"], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("multi", ["", "multi_"])
@pytest.mark.parametrize("kind", ["swa", "ema"])
def test_averages_are_pytorchs(kind: str, multi: str) -> None:
    name = f"get_{kind}_{multi}avg_fn"
    model = nn.Dense(7, 1, bias=False, dtype="float64")
    average = optim.AveragedModel(model, **{f"{multi}avg_fn": getattr(optim.swa_utils, name)()})
    for weights in STORED["path0"]:
        model.weight.assign(weights[:, None])
        average.update_parameters(model)
    np.testing.assert_allclose(average.module.weight.numpy()[:, 0], STORED[name], rtol=1e-12)
    assert int(average.n_averaged) == 20
    if (kind, multi) == ("ema", "multi_"):
        other = optim.ExponentialMovingAverage(model)
        for weights in STORED["path0"]:
            model.weight.assign(weights[:, None])
            other.update()
        np.testing.assert_allclose(other.averages[0].numpy()[:, 0], STORED[name], rtol=1e-12)


def lion(w: Any, grads: Any, rates: Any, b1: float = 0.9, b2: float = 0.99, decay: float = 0.1) -> Iterator[Any]:
    """Chen et al., 2023, Algorithm 2."""
    m = np.zeros_like(w)
    for g, lr in zip(grads, rates, strict=True):
        c = b1 * m + (1 - b1) * g
        w = w - lr * (np.sign(c) + decay * w)
        m = b2 * m + (1 - b2) * g
        yield w


def lamb(w: Any, grads: Any, rates: Any, b1: float = 0.9, b2: float = 0.999, decay: float = 0.1) -> Iterator[Any]:
    """You et al., 2020, Algorithm 2, phi the identity."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, (g, lr) in enumerate(zip(grads, rates, strict=True), 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        r = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-6)
        step = r + decay * w
        w = w - lr * np.linalg.norm(w) / np.linalg.norm(step) * step
        yield w


def muon(w: Any, grads: Any, rates: Any, momentum: float = 0.95, decay: float = 0.1) -> Iterator[Any]:
    """Jordan et al., 2024, in PyTorch's form (the buffer an average), by weights (out, in) as there."""
    buffer = np.zeros_like(w.T)
    for g, lr in zip(grads, rates, strict=True):
        g = g.T
        buffer = momentum * buffer + (1 - momentum) * g
        x = (1 - momentum) * g + momentum * buffer
        rows, columns = x.shape
        x = x / max(np.sqrt((x**2).sum()), 1e-7)
        x = x if rows <= columns else x.T
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
        x = x if rows <= columns else x.T
        w = (1 - lr * decay) * w - lr * max(1, rows / columns) ** 0.5 * x.T
        yield w


@pytest.mark.parametrize(
    ("name", "formula", "shape"),
    [("Lion", lion, (7,)), ("LAMB", lamb, (3, 4)), ("Muon", muon, (5, 3)), ("Muon", muon, (3, 6))],
)
def test_twenty_steps_are_the_papers(name: str, formula: Callable[..., Any], shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    start, grads, rates = rng.standard_normal(shape), rng.standard_normal((20, *shape)), rng.uniform(0.01, 0.1, 20)
    p = Parameter(gl.tensor(start))
    path = list(walk(getattr(optim, name)([p], weight_decay=0.1), p, grads, rates))
    np.testing.assert_allclose(path, list(formula(start, grads, rates)), rtol=1e-9, atol=1e-10)


def test_muon_makes_the_step_nearly_orthogonal() -> None:
    p = Parameter(gl.tensor(np.zeros((6, 4))))
    p.grad = gl.tensor(np.random.default_rng(0).standard_normal((6, 4)))
    optim.Muon([p], lr=1.0, weight_decay=0.0).step()
    values = np.linalg.svd(p.numpy(), compute_uv=False)
    assert 0.6 < values.min() <= values.max() < 1.3


@pytest.mark.parametrize(
    "name",
    [
        "Adafactor",
        "Adagrad",
        "Adadelta",
        "RMSprop",
        "Rprop",
        "Adamax",
        "NAdam",
        "RAdam",
        "ASGD",
        "Lion",
        "LAMB",
        "Muon",
    ],
)
def test_state_and_dtypes(name: str) -> None:
    """A checkpoint goes on as if nothing had happened; bfloat16 parameters keep float32 state."""
    rng = np.random.default_rng(2)
    grads = rng.standard_normal((4, 3, 2))
    p, q = (Parameter(gl.tensor(rng.standard_normal((3, 2)))) for _ in range(2))
    a, b = getattr(optim, name)([p], lr=0.1), getattr(optim, name)([q], lr=0.1)
    list(walk(a, p, grads[:2], [0.1, 0.1]))
    q.assign(p)
    b.load_state_dict(a.state_dict())
    np.testing.assert_array_equal(list(walk(a, p, grads[2:], [0.1, 0.1])), list(walk(b, q, grads[2:], [0.1, 0.1])))
    half = Parameter(gl.tensor(rng.standard_normal((3, 2)), dtype="bfloat16"))
    half.grad = gl.tensor(grads[0], dtype="bfloat16")
    c = getattr(optim, name)([half], lr=0.1)
    c.step()
    assert half.dtype.name == "bfloat16"
    buffers = {key: t.dtype.name for key, t in c.state[half].items() if key not in ("step", "eta", "mu_product")}
    assert set(buffers.values()) == {"float32"}


def test_arguments() -> None:
    p = Parameter(gl.tensor(np.ones(3)))
    with pytest.warns(UserWarning, match=r"Adam\(foreach\) is ignored"):
        optim.Adam([p], foreach=True)
    optim.RMSprop([p], foreach=None, capturable=False)
    for call, error, text in (
        (lambda: optim.Adagrad([p], speed=1), TypeError, "speed"),
        (lambda: optim.Adagrad([p], lr_decay=-1.0), ValueError, "lr_decay"),
        (lambda: optim.Adadelta([p], rho=1.0), ValueError, "rho"),
        (lambda: optim.Adafactor([p], d=0.5), ValueError, "d >= 1"),
        (lambda: optim.Adafactor([p], eps=(-1.0, 1e-3)), ValueError, "eps"),
        (lambda: optim.RMSprop([p], momentum=-1.0), ValueError, "momentum"),
        (lambda: optim.Rprop([p], etas=(1.1, 1.2)), ValueError, "etas"),
        (lambda: optim.NAdam([p], betas=(0.9, 1.0)), ValueError, "betas"),
        (lambda: optim.RAdam([p], eps=float("nan")), ValueError, "eps"),
        (lambda: optim.Lion([p], weight_decay=-1.0), ValueError, "weight_decay"),
        (lambda: optim.Muon([p]), gl.ShapeError, "no matrix"),
        (lambda: optim.Muon([p], adjust_lr_fn="other"), ValueError, "adjust_lr_fn"),
        (lambda: optim.ASGD([p], t0=-1.0), ValueError, "t0"),
    ):
        with pytest.raises(error, match=text):
            call()  # type: ignore[no-untyped-call]
