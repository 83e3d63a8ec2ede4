"""A step over all parameters at once is the same, to the bit, as over each alone; and it is one launch."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import backend as backends
from gradlib import optim
from gradlib.core import Tensor
from gradlib.kernel import CHUNK
from gradlib.nn import Parameter

SIZES = ((3, 5), (0, 4), (1,), (CHUNK - 1,), (2, CHUNK), (CHUNK + 7,))
CASES: list[tuple[str, dict[str, Any], int]] = [  # name, settings, launches of a step (beside the count of steps)
    ("SGD", {}, 1),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, 1),
    ("Adam", {"weight_decay": 0.1}, 1),
    ("Adam", {"amsgrad": True}, 1),
    ("AdamW", {}, 1),
    ("NAdam", {"weight_decay": 0.1}, 1),
    ("RAdam", {}, 1),
    ("Adamax", {}, 1),
    ("Adagrad", {"lr_decay": 0.1}, 1),
    ("Adadelta", {}, 1),
    ("RMSprop", {}, 1),
    ("RMSprop", {"centered": True, "momentum": 0.9}, 1),
    ("Rprop", {}, 1),
    ("ASGD", {"t0": 1.0}, 1),
    ("Lion", {"weight_decay": 0.1}, 1),
    ("LAMB", {"weight_decay": 0.1}, 3),
    ("GradientDescent", {}, 1),
]
# Counted in a test of their own.
APART = {
    "LBFGS": "test_lbfgs_works_on_one_vector",
    "Muon": "test_muon_multiplies_matrices_of_one_shape_as_a_stack",
    "TrustRegionGradientDescent": "test_a_trust_region_moves_all_at_once",
}
COMPOSED = {"Adafactor"}  # a composition for each parameter
IDS = [f"{i}-{name}" for i, (name, *_) in enumerate(CASES)]


def parameters(device: str, dtype: str = "float32") -> list[Parameter]:
    """Of all sizes; the last one begins at an odd element, so nothing of it is aligned."""
    move = backends.get(device).asarray
    rng = np.random.default_rng(0)
    whole = [move(rng.standard_normal(shape).astype(gl.tensor([0.0], dtype=dtype).dtype)) for shape in SIZES]
    base = move(rng.standard_normal(101).astype(whole[0].dtype))
    return [Parameter(Tensor(a)) for a in (*whole, base[1:])]


def set_grads(params: list[Parameter], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for p in params:
        p.grad = Tensor(backends.backend_of(p.data).asarray(rng.standard_normal(p.shape).astype(p.dtype)))


def walk(optimizers: list[optim.Optimizer], params: list[Parameter]) -> list[Any]:
    for step in range(3):
        set_grads(params, step)
        for optimizer in optimizers:
            optimizer.step()
    return params + [t for o in optimizers for p in o.state for t in o.state[p].values()]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("name", "settings", "count"), CASES, ids=IDS)
def test_together_is_each_alone(name: str, settings: dict[str, Any], count: int, dtype: str, sim: str) -> None:
    make = getattr(optim, name)
    one, many = parameters(sim, dtype), parameters(sim, dtype)
    alone = walk([make([p], **settings) for p in one], one)
    with gl.testing.launches() as log:
        together = walk([make(many, **settings)], many)
    assert sum(r.file.startswith("update") for r in log) == 3 * (count + 1)
    for a, b in zip(alone, together, strict=True):
        assert np.array_equal(a.numpy(), b.numpy(), equal_nan=True)


@pytest.mark.parametrize(("name", "settings", "count"), CASES, ids=IDS)
def test_it_is_free_of_faults(name: str, settings: dict[str, Any], count: int, sim: str) -> None:
    """Bounds, races and thread orders, in tensors of which none knows its neighbour's size."""
    with backends.checked():
        params = [p for p in parameters(sim) if p.size < 1000]
        walk([getattr(optim, name)(params, **settings)], params)


def test_there_is_none_without() -> None:
    named = {n for n in optim.__all__ if inspect.isclass(getattr(optim, n))}
    optimizers = {n for n in named if issubclass(getattr(optim, n), optim.Optimizer)} - {"Optimizer"}
    assert {name for name, *_ in CASES} | APART.keys() | COMPOSED == optimizers
    assert all(test in globals() for test in APART.values())


def counted(optimizer: optim.Optimizer, params: list[Parameter]) -> list[Any]:
    """Return the launches of a second step, beside those of the closure."""

    def closure() -> float:
        set_grads(params, 0)
        closure.calls += 1  # type: ignore[attr-defined]
        return 1.0 / closure.calls  # type: ignore[attr-defined]

    closure.calls = 0  # type: ignore[attr-defined]
    optimizer.step(closure)
    with gl.testing.launches() as log:
        optimizer.step(closure)
    return log


@pytest.mark.parametrize("size", [2, 7])
def test_a_trust_region_moves_all_at_once(size: int, sim: str) -> None:
    params = [Parameter(gl.ones((n + 1,), dtype="float32", device=sim)) for n in range(size)]
    log = counted(optim.TrustRegionGradientDescent(params, lr=1e-3), params)
    assert [r.entry for r in log if r.file == "update.cu"] == ["sgd"]
    assert [r.entry for r in log if r.file == "tensors.cu"] == ["norm_partial", "norm_finish"]


def test_lbfgs_works_on_one_vector(sim: str) -> None:
    few, many = ([Parameter(gl.ones((n + 1,), dtype="float32", device=sim)) for n in range(k)] for k in (2, 7))
    counts = [len(counted(optim.LBFGS(params, lr=1e-3, max_iter=2), params)) for params in (few, many)]
    assert counts[0] == counts[1]


def test_averages_move_at_once(sim: str) -> None:
    params = parameters(sim)
    average = optim.ExponentialMovingAverage(params)
    average.update()
    with gl.testing.launches() as log:
        average.update()
    assert [(r.file, r.entry) for r in log] == [("tensors.cu", "move_average")]


def test_muon_multiplies_matrices_of_one_shape_as_a_stack(sim: str) -> None:
    rng = np.random.default_rng(0)
    shapes = ((6, 4), (3, 5), (6, 4), (0, 2))
    start = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    one, many, host = ([Parameter(gl.tensor(a, device=device)) for a in start] for device in (sim, sim, "cpu"))
    alone = walk([optim.Muon([p], lr=0.1) for p in one], one)
    with gl.testing.launches() as log:
        together = walk([optim.Muon(many, lr=0.1)], many)
    assert [sum(r.entry == entry for r in log) for entry in ("muon_momentum", "muon_apply")] == [3, 3]
    assert sum(r.entry == "matmul" for r in log) == 3 * 2 * 15  # two shapes, three products in each of five rounds
    exact = walk([optim.Muon(host, lr=0.1)], host)
    for a, b, e in zip(alone, together, exact, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(b.numpy(), e.numpy(), rtol=1e-4, atol=1e-5)
    with backends.checked():
        walk([optim.Muon([p for p in many if p.size], lr=0.1)], many)


def test_a_launch_for_each_dtype_group_and_age(sim: str) -> None:
    params = [*parameters(sim), *parameters(sim, "float64")]
    optimizer = optim.Adam([{"params": params[:3]}, {"params": params[3:], "lr": 0.1}])
    set_grads(params, 0)
    with gl.testing.launches() as log:
        optimizer.step()
    assert sum(r.entry == "adam" for r in log) == 3  # the first group is float32, the second of both
    params[0].grad = None
    with gl.testing.launches() as log:
        optimizer.step()
        params[0].grad = params[1].grad if params[0].shape == params[1].shape else params[0].detach()
        optimizer.step()
    assert sum(r.entry == "adam" for r in log) == 3 + 4


def test_a_gradient_of_other_strides_is_read_right(sim: str) -> None:
    p, q = (Parameter(gl.tensor(np.ones((3, 4), np.float32), device=sim)) for _ in range(2))
    grad = backends.get(sim).asarray(np.arange(12, dtype=np.float32).reshape(4, 3)).T
    p.grad, q.grad = Tensor(grad), Tensor(backends.get(sim).asarray(np.ascontiguousarray(grad)))
    optim.SGD([p, q], lr=0.5).step()
    assert np.array_equal(p.numpy(), q.numpy())


def test_copies_of_an_optimizer_step_on_their_own(sim: str) -> None:
    params = parameters(sim)
    optimizer = optim.Adam(params)
    set_grads(params, 0)
    optimizer.step()
    values = [p.numpy().copy() for p in params]
    other = copy.deepcopy(optimizer)
    for group in other.param_groups:
        set_grads(group["params"], 1)
    other.step()
    assert all(np.array_equal(p.numpy(), v) for p, v in zip(params, values, strict=True))
