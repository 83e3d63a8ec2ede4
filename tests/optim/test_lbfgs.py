"""L-BFGS and its line search, gradient descent with a stop, averages of weights: PyTorch's stored values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import optim
from gradlib.nn import Parameter
from gradlib.nn import functional as F
from gradlib.optim.wolfe import Point, strong_wolfe

STORED = np.load(Path(__file__).parent.parent / "reference" / "lbfgs.npz")
CASES = json.loads(str(STORED["cases"]))


def rosenbrock(w: Any) -> Any:
    return (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()


def logistic(w: Any) -> Any:
    x, y = gl.tensor(STORED["x"]), gl.tensor(STORED["y"])
    return F.softplus(-y * (x @ w)).mean() + 0.01 * (w * w).sum()


def closure_of(optimizer: optim.Optimizer, loss: Callable[[], Any]) -> Callable[[], Any]:
    def closure() -> Any:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure


@pytest.mark.parametrize("n", range(len(CASES)))
def test_twenty_steps_are_pytorchs(n: int) -> None:
    name, options = CASES[n]
    w = Parameter(gl.tensor(STORED["start"]))
    optimizer = optim.LBFGS([w], **options)
    closure = closure_of(optimizer, lambda: globals()[name](w))
    path, losses = [], []
    for _ in range(20):
        losses.append(float(optimizer.step(closure)))
        path.append(w.numpy().copy())
    np.testing.assert_allclose(losses, STORED[f"losses{n}"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(path, STORED[f"path{n}"], rtol=1e-9, atol=1e-9)
    assert optimizer.memory["func_evals"] == STORED[f"evaluations{n}"]


def test_several_parameters_and_a_checkpoint() -> None:
    def problem() -> tuple[list[Parameter], optim.LBFGS, Callable[[], Any]]:
        ws = [Parameter(gl.tensor(STORED["start"][:2].reshape(2, 1))), Parameter(gl.tensor(STORED["start"][2:]))]
        optimizer = optim.LBFGS(ws, max_iter=2, line_search_fn="strong_wolfe")
        whole = closure_of(optimizer, lambda: rosenbrock(gl.concat([ws[0].reshape((-1,)), ws[1]])))
        return ws, optimizer, whole

    ws, a, closure = problem()
    for _ in range(3):
        a.step(closure)
    vs, b, other = problem()
    for v, w in zip(vs, ws, strict=True):
        v.assign(w)
    b.load_state_dict(a.state_dict())
    for _ in range(3):
        assert float(a.step(closure)) == float(b.step(other))
    for v, w in zip(vs, ws, strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy())
    with pytest.raises(gl.CheckpointError, match="5 numbers, the parameters 2"):
        optim.LBFGS(ws[:1]).load_state_dict(a.state_dict())


def test_the_search_satisfies_both_conditions() -> None:
    for f, df in (
        (lambda t: (t - 3.0) ** 2, lambda t: 2 * (t - 3.0)),
        (lambda t: np.cos(t) + 0.1 * t, lambda t: -np.sin(t) + 0.1),
        (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),
    ):
        for first in (0.001, 0.3, 9.0):
            offset = 0.5

            def evaluate(t: float, f: Any = f, df: Any = df, offset: float = offset) -> Point:
                return Point(t, float(f(t + offset)), float(df(t + offset)), None)

            origin = evaluate(0.0)
            point, calls = strong_wolfe(evaluate, origin, first, 1.0, trials=25, tolerance=1e-9)
            assert point.value <= origin.value + 1e-4 * point.t * origin.slope
            assert abs(point.slope) <= 0.9 * abs(origin.slope)
            assert calls <= 25


def test_lbfgs_arguments() -> None:
    w = Parameter(gl.tensor(np.ones(2)))
    for call, error, text in (
        (lambda: optim.LBFGS([{"params": [w]}, {"params": [Parameter(gl.tensor([1.0]))]}]), ValueError, "2 groups"),
        (lambda: optim.LBFGS([w], line_search_fn="armijo"), ValueError, "strong_wolfe"),
        (lambda: optim.LBFGS([w]).step(), TypeError, "closure"),
    ):
        with pytest.raises(error, match=text):
            call()  # type: ignore[no-untyped-call]


def test_gradient_descent_stops() -> None:
    w = Parameter(gl.tensor(STORED["start"]))
    optimizer = optim.GradientDescent([w], lr=0.5, eps=1e-7)
    values = optimizer.minimize(closure_of(optimizer, lambda: logistic(w)))
    changes = np.abs(np.diff(values))
    assert optimizer.converged
    assert changes[-1] <= 1e-7 < changes[:-1].min()
    assert len(optimizer.minimize(closure_of(optimizer, lambda: logistic(w)), max_steps=3)) <= 4
    with pytest.raises(ValueError, match="eps"):
        optim.GradientDescent([w], eps=-1.0)


@pytest.mark.parametrize("n", range(5))
def test_clip_grad_norm_is_pytorchs(n: int) -> None:
    params = [Parameter(gl.tensor(np.zeros(STORED[f"grad{i}"].shape))) for i in range(2)]
    unused = Parameter(gl.tensor([1.0]))
    for i, p in enumerate(params):
        p.grad = gl.tensor(STORED[f"grad{i}"])
    norm = gl.nn.utils.clip_grad_norm_([*params, unused], float(STORED[f"limit{n}"]), float(STORED[f"kind{n}"]))
    np.testing.assert_allclose(norm.numpy(), STORED[f"norm{n}"], rtol=1e-12)
    for i, p in enumerate(params):
        np.testing.assert_allclose(p.grad.numpy(), STORED[f"clipped{n}_{i}"], rtol=1e-12)


def test_clip_edges_and_vectors() -> None:
    model = gl.nn.Dense(3, 2)
    assert float(gl.nn.utils.clip_grad_norm_(model, 1.0)) == 0
    model.bias.grad = gl.tensor([np.inf, 1.0], dtype="float32")
    with pytest.raises(gl.GradientError, match="inf"):
        gl.nn.utils.clip_grad_norm_(model, 1.0, error_if_nonfinite=True)
    gl.nn.utils.clip_grad_value_(model, 0.5)
    assert model.bias.grad.tolist() == [0.5, 0.5]
    vector = gl.nn.utils.parameters_to_vector(model)
    gl.nn.utils.vector_to_parameters(vector * 2, model)
    np.testing.assert_allclose(gl.nn.utils.parameters_to_vector(model).numpy(), 2 * vector.numpy())
    with pytest.raises(gl.ShapeError, match=r"need \(8,\)"):
        gl.nn.utils.vector_to_parameters(vector[:3], model)


def test_average_is_pytorchs() -> None:
    w = Parameter(gl.tensor(np.zeros((1, 2))))
    average = optim.ExponentialMovingAverage([w], decay=0.9)
    for value, expected in zip(STORED["ema_weights"], STORED["ema"], strict=True):
        w.assign(gl.tensor(value))
        average.update()
        np.testing.assert_allclose(average.averages[0].numpy(), expected, rtol=1e-12)
    other = optim.ExponentialMovingAverage([w], decay=0.1)
    other.load_state_dict(average.state_dict())
    np.testing.assert_array_equal(other.averages[0].numpy(), average.averages[0].numpy())
    with average.applied():
        np.testing.assert_allclose(w.numpy(), STORED["ema"][-1], rtol=1e-12)
    np.testing.assert_array_equal(w.numpy(), STORED["ema_weights"][-1])
    with pytest.raises(gl.CheckpointError, match="shapes"):
        optim.ExponentialMovingAverage([Parameter(gl.tensor([1.0]))]).load_state_dict(average.state_dict())
    with pytest.raises(ValueError, match="decay"):
        optim.ExponentialMovingAverage([w], decay=2.0)
