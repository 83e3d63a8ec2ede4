"""Gradient descent whose steps are as long as the linear model can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.nn import Parameter
from gradlib.optim import TrustRegionGradientDescent


def closure_of(optimizer: TrustRegionGradientDescent, f: Callable[[], Any]) -> Callable[[], Any]:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = f()
        loss.backward()
        return loss

    return closure


def by_hand(w: Any, radius: float, f: Any, slope: Any, steps: int) -> list[Any]:
    """Nocedal and Wright, Algorithm 4.1, with the linear model."""
    path = []
    for _ in range(steps):
        g = slope(w)
        new = w - radius * g / np.linalg.norm(g)
        rho = (f(w) - f(new)) / (radius * np.linalg.norm(g))
        if rho > 0.1:
            w = new
        if rho < 0.25:
            radius *= 0.25
        elif rho > 0.75:
            radius *= 2.0
        path.append((w.copy(), radius))
    return path


def test_steps_are_the_books() -> None:
    scale, start = np.array([1.0, 10.0, 0.3]), np.array([3.0, -1.0, 2.0])
    w = Parameter(gl.tensor(start))
    optimizer = TrustRegionGradientDescent([w], lr=0.5)
    closure = closure_of(optimizer, lambda: (w * w * gl.tensor(scale)).sum())
    expected = by_hand(start, 0.5, lambda v: (v * v * scale).sum(), lambda v: 2 * v * scale, 25)
    for values, radius in expected:
        value = optimizer.step(closure)
        np.testing.assert_allclose(w.numpy(), values, rtol=1e-12)
        np.testing.assert_allclose(value, (values**2 * scale).sum(), rtol=1e-12)
        assert optimizer.lr == radius
    values = optimizer.minimize(closure)
    assert optimizer.converged
    assert values == sorted(values, reverse=True)  # it never goes up
    assert values[-1] < 0.1


def test_a_rejected_step_leaves_everything() -> None:
    w = Parameter(gl.tensor([1.0], dtype="float64"))
    optimizer = TrustRegionGradientDescent([w], lr=4.0)
    value = optimizer.step(closure_of(optimizer, lambda: (w * w).sum()))  # to -3, where it is 9
    assert (value, w.item(), w.grad.item(), optimizer.lr) == (1.0, 1.0, 2.0, 1.0)
    assert not optimizer.converged
    assert optimizer.step(closure_of(optimizer, lambda: (w * w).sum())) == 0.0


def test_where_it_stops() -> None:
    w = Parameter(gl.tensor([0.0, 0.0]))
    optimizer = TrustRegionGradientDescent([w])
    assert optimizer.minimize(closure_of(optimizer, lambda: (w * w).sum())) == [0.0, 0.0]  # the gradient is 0
    assert optimizer.converged
    v = Parameter(gl.tensor([1.0]))
    optimizer = TrustRegionGradientDescent([v], eps=0.0)
    values = optimizer.minimize(closure_of(optimizer, lambda: gl.abs(v).sum()), max_steps=200)
    assert optimizer.converged
    assert values[-1] == 0.0
    optimizer = TrustRegionGradientDescent([Parameter(gl.tensor([9.0]))], max_radius=1.5)
    p = optimizer.param_groups[0]["params"][0]
    optimizer.minimize(closure_of(optimizer, lambda: p.sum()), max_steps=3)
    assert optimizer.lr == 1.5


def test_bad_arguments() -> None:
    w = Parameter(gl.tensor([1.0]))
    for settings in (
        {"low": 0.9},
        {"shrink": 1.0},
        {"grow": 1.0},
        {"accept": -0.1},
        {"eps": -1.0},
        {"max_radius": 0.0},
    ):
        with pytest.raises(ValueError, match="need 0 <= accept"):
            TrustRegionGradientDescent([w], **settings)
    with pytest.raises(TypeError, match="closure"):
        TrustRegionGradientDescent([w]).step()
