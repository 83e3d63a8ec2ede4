"""Optimizers: PyTorch's trajectories, groups, state, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import optim
from gradlib.nn import Parameter

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.2}),
    ("AdamW", {"lr": 0.05, "maximize": True}),
]


def parameters(*shapes: tuple[int, ...], device: str = "cpu", dtype: str = "float64") -> list[Parameter]:
    rng = np.random.default_rng(0)
    return [Parameter(gl.tensor(rng.standard_normal(shape), dtype=dtype, device=device)) for shape in shapes]


def set_grads(params: list[Any], seed: int, skip: tuple[int, ...] = ()) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    grads = [rng.standard_normal(tuple(p.shape)) for p in params]
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        p.grad = None if i in skip else gl.tensor(g, dtype=p.dtype, device=p.device)
    return grads


def skipped(step: int) -> tuple[int, ...]:
    return (1,) if step in (0, 3) else ()


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_trajectories_are_pytorchs(name: str, settings: dict[str, Any]) -> None:
    """Also where a parameter has no gradient in some steps, and where the rate changes on the way."""
    torch = pytest.importorskip("torch")
    params = parameters((3, 4), (5,))
    others = [torch.nn.Parameter(torch.tensor(p.numpy())) for p in params]
    ours, theirs = getattr(optim, name)(params, **settings), getattr(torch.optim, name)(others, **settings)
    for step in range(6):
        grads = set_grads(params, step, skipped(step))
        for i, (p, g) in enumerate(zip(others, grads, strict=True)):
            p.grad = None if i in skipped(step) else torch.tensor(g)
        if step == 4:
            ours.lr = theirs.param_groups[0]["lr"] = settings["lr"] / 10
        ours.step()
        theirs.step()
        for p, other in zip(params, others, strict=True):
            np.testing.assert_allclose(p.numpy(), other.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_sim_takes_the_same_steps_through_kernels(name: str, settings: dict[str, Any], sim: str) -> None:
    on_cpu, on_sim = parameters((7, 5), (11,), dtype="float32"), parameters((7, 5), (11,), device=sim, dtype="float32")
    a, b = getattr(optim, name)(on_cpu, **settings), getattr(optim, name)(on_sim, **settings)
    with gl.testing.launches() as log:
        for step in range(4):
            set_grads(on_cpu, step)
            set_grads(on_sim, step)
            a.step()
            b.step()
    assert sum(record.entry == ("sgd" if name == "SGD" else "adam") for record in log) == 4  # one launch for both
    for p, q in zip(on_cpu, on_sim, strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=2e-6, atol=1e-7)


def test_parameters_that_step_together_share_a_counter() -> None:
    params = parameters((2,), (3,), (4,))
    optimizer = optim.Adam(params)
    set_grads(params, 0)
    optimizer.step()
    set_grads(params, 1, skip=(2,))
    optimizer.step()
    steps = [optimizer.state[p]["step"] for p in params]
    assert [int(s) for s in steps] == [2, 2, 1]
    assert steps[0] is steps[1]
    set_grads(params, 2)
    optimizer.step()
    assert [int(optimizer.state[p]["step"]) for p in params] == [3, 3, 2]


def test_groups_have_their_own_settings() -> None:
    a, b = parameters((2,), (2,))
    start = a.numpy().copy(), b.numpy().copy()
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    set_grads([a, b], 0)
    grads = a.grad.numpy(), b.grad.numpy()
    optimizer.step()
    np.testing.assert_allclose(a.numpy(), start[0] - 0.1 * grads[0])
    np.testing.assert_allclose(b.numpy(), start[1] - 0.5 * grads[1])
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]
    assert optimizer.lr == 0.1
    optimizer.lr = 0.2
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.2]
    assert "group 1: 1 tensors, 2 numbers, lr=0.2" in repr(optimizer)


def test_momentum_switched_on_later() -> None:
    (p,) = parameters((3,))
    optimizer = optim.SGD([p], lr=1.0)
    set_grads([p], 0)
    optimizer.step()
    optimizer.param_groups[0]["momentum"] = 0.9
    set_grads([p], 1)
    before, grad = p.numpy().copy(), p.grad.numpy()
    optimizer.step()
    np.testing.assert_allclose(p.numpy(), before - grad)
    np.testing.assert_allclose(optimizer.state[p]["momentum_buffer"].numpy(), grad)


def test_reduced_parameters_keep_float32_moments() -> None:
    (p,) = parameters((3,), dtype="bfloat16")
    optimizer = optim.Adam([p], lr=0.1)
    set_grads([p], 0)
    optimizer.step()
    assert optimizer.state[p]["exp_avg_sq"].dtype == np.float32
    assert p.dtype.name == "bfloat16"


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_state_dict_goes_on_as_if_nothing_had_happened(name: str) -> None:
    settings = {"momentum": 0.9} if name == "SGD" else {}
    first, second = parameters((3, 2), (4,)), parameters((3, 2), (4,))
    a = getattr(optim, name)(first, lr=0.1, **settings)
    for step in range(3):
        set_grads(first, step, skipped(step))
        a.step()
    for p, q in zip(first, second, strict=True):
        q.assign(p)
    b = getattr(optim, name)(second, lr=0.7, **settings)
    b.load_state_dict(a.state_dict())
    assert b.lr == 0.1
    for step in range(3, 5):
        set_grads(first, step)
        set_grads(second, step)
        a.step()
        b.step()
    for p, q in zip(first, second, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_load_state_dict_refuses_and_leaves_all_as_it_was() -> None:
    params = parameters((3, 2), (4,))
    optimizer = optim.Adam(params, lr=0.1)
    set_grads(params, 0)
    optimizer.step()
    state = optimizer.state_dict()
    with pytest.raises(gl.CheckpointError, match=r"groups of \[2\] parameters, the optimizer of \[1\]"):
        optim.Adam(params[:1]).load_state_dict(state)
    other = optim.Adam(parameters((3, 2), (5,)), lr=0.3)
    with pytest.raises(gl.CheckpointError, match=r"exp_avg: float64\[4\] of parameter|exp_avg: float64\[4\]"):
        other.load_state_dict(state)
    assert other.lr == 0.3
    assert other.state == {}
    with pytest.raises(gl.CheckpointError, match=r"lacks \['exp_avg', 'exp_avg_sq'\]"):
        optim.Adam(params).load_state_dict({**state, "state": {0: {"step": gl.tensor([1])}}})


def test_zero_grad() -> None:
    params = parameters((3,), (2,))
    optimizer = optim.SGD(params)
    set_grads(params, 0, skip=(1,))
    optimizer.zero_grad(set_to_none=False)
    assert not params[0].grad.numpy().any()
    assert params[1].grad is None
    optimizer.zero_grad()
    assert params[0].grad is None


def test_the_tape_notices_a_step() -> None:
    (p,) = parameters((3,))
    y = (p * p).sum()
    set_grads([p], 0)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(gl.GradientError, match="changed in place"):
        y.backward()


def test_bad_arguments() -> None:
    (p,) = parameters((3,))
    for call, error, text in (
        (lambda: optim.SGD([]), gl.ShapeError, "there are no parameters"),
        (lambda: optim.SGD(p), gl.DTypeError, "need a list"),
        (lambda: optim.SGD([1.0]), gl.DTypeError, r"params\[0\]: 1.0 is not a floating Tensor"),
        (lambda: optim.SGD([gl.tensor([1])]), gl.DTypeError, r"int64\[1\]"),
        (lambda: optim.SGD([p * 2]), gl.GradientError, "result of multiply"),
        (lambda: optim.SGD([p, p]), gl.GradientError, "occurs twice"),
        (lambda: optim.SGD([{"params": [p], "speed": 1}]), ValueError, "speed"),
        (lambda: optim.SGD([p], lr=-1), ValueError, "lr is -1"),
        (lambda: optim.SGD([p], lr=float("nan")), ValueError, "finite"),
        (lambda: optim.SGD([p], momentum=-0.1), ValueError, "momentum"),
        (lambda: optim.SGD([p], nesterov=True), ValueError, "momentum > 0"),
        (lambda: optim.Adam([p], betas=(0.9, 1.0)), ValueError, "betas"),
        (lambda: optim.AdamW([p], eps=-1e-8), ValueError, "AdamW.eps"),
    ):
        with pytest.raises(error, match=text):
            call()  # type: ignore[no-untyped-call]
    optimizer = optim.SGD([p])
    with pytest.raises(ValueError, match="lr is"):
        optimizer.lr = float("inf")


def test_the_rate_lives_on_the_device() -> None:
    (p,) = parameters((3,))
    optimizer = optim.SGD([p], lr=0.1)
    rate = optimizer.param_groups[0].rate("cpu")
    assert rate.dtype == np.float64
    assert rate.shape == (1,)
    optimizer.lr = 0.25
    assert float(rate) == 0.25
    assert optimizer.param_groups[0].rate("cpu") is rate
