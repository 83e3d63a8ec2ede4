"""Optimizer steps against 20 steps of PyTorch's, the composite, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlib import ShapeError
from gradlib import backend as backends
from gradlib.core import Tensor
from gradlib.errors import DTypeError
from gradlib.ops.update import adam, sgd
from gradlib.testing import assert_close, launches

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "update.npz")
CASES = json.loads(str(REFERENCE["cases"]))


@pytest.fixture(params=["cpu", "sim"])
def device(request: pytest.FixtureRequest) -> str:
    return "cpu" if request.param == "cpu" else str(request.getfixturevalue("sim"))


def one_step(name: str, options: dict[str, Any]) -> tuple[Any, int, dict[str, Any]]:
    """Return the update op, the number of state arrays, and its parameters, for PyTorch's name and options."""
    if name == "SGD":
        return sgd, int("momentum" in options), options
    options = {k: tuple(v) if k == "betas" else v for k, v in options.items()}
    return adam, 2, {**options, "decoupled": name == "AdamW"}


@pytest.mark.parametrize("n", range(len(CASES)), ids=lambda n: f"{CASES[n][0]}-{n}")
@pytest.mark.parametrize("how", ["cpu", "sim", "composite"])
def test_twenty_steps_equal_pytorch(n: int, how: str, request: pytest.FixtureRequest) -> None:
    device = str(request.getfixturevalue("sim")) if how == "sim" else "cpu"
    update, count, options = one_step(*CASES[n])
    new = lambda value: Tensor(backends.get(device).asarray(np.array(value)))  # noqa: E731
    param, lr, step = new(REFERENCE["start"]), new([0.0]), new([0])
    state = [new(np.zeros(7)) for _ in range(count)]
    states: list[Tensor | None] = [*state] if update is adam or state else [None]
    for k, (grad, rate) in enumerate(zip(REFERENCE["grads"], REFERENCE["rates"], strict=True)):
        lr.assign(np.array([rate]))
        step.assign(np.array([k + 1]))
        args = (param, *states, new(grad), lr, step)
        if how == "composite":
            values = update.composite(*[None if a is None else a.data for a in args], **options)
            for t, value in zip(args, values, strict=False):
                if t is not None:
                    t.assign(np.asarray(value))
        else:
            update(*args, **options)
        assert_close(param, REFERENCE[f"path{n}"][k], what=f"step {k + 1}")


@pytest.mark.parametrize("size", [1, 8191, 8192, 8193, 20011])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_cover_every_element(size: int, dtype: Any, device: str) -> None:
    rng = np.random.default_rng(size)
    values = [rng.standard_normal(size).astype(dtype) for _ in range(3)] + [rng.random(size).astype(dtype)]
    move = backends.get(device).asarray
    lr, step = Tensor(move(np.array([0.1]))), Tensor(move(np.array([3])))

    def new(i: int) -> Tensor:
        return Tensor(move(values[i].copy()))

    p, b, g = new(0), new(1), new(2)
    sgd(p, b, g, lr, step, momentum=0.9, weight_decay=0.1, nesterov=True)
    exact = [v.astype(np.float64) for v in values]
    d = exact[2] + 0.1 * exact[0]
    buffer = 0.9 * exact[1] + d
    assert_close(b, buffer, dtype=dtype)
    assert_close(p, exact[0] - 0.1 * (d + 0.9 * buffer), dtype=dtype)
    p, m, v = new(0), new(1), new(3)
    adam(p, m, v, g, lr, step, weight_decay=0.1, decoupled=True)
    first = 0.9 * exact[1] + 0.1 * exact[2]
    second = 0.999 * exact[3] + 0.001 * exact[2] ** 2
    move_by = 0.1 * (first / (1 - 0.9**3)) / (np.sqrt(second / (1 - 0.999**3)) + 1e-8)
    assert_close(m, first, dtype=dtype)
    assert_close(v, second, dtype=dtype)
    assert_close(p, exact[0] * (1 - 0.1 * 0.1) - move_by, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_reduced_parameters_with_float32_moments(dtype: str, sim: str) -> None:
    rng = np.random.default_rng(0)
    as_dtype = Tensor(np.zeros(1)).to(dtype=dtype).dtype
    param, grad = (rng.standard_normal(33).astype(as_dtype) for _ in range(2))
    results = []
    for device in ("cpu", sim):
        move = backends.get(device).asarray
        p, g = Tensor(move(param.copy())), Tensor(move(grad))
        m, v = (Tensor(move(np.zeros(33, np.float32))) for _ in range(2))
        with launches() as log:
            adam(p, m, v, g, Tensor(move(np.array([0.1]))), Tensor(move(np.array([1]))))
        assert [r.entry for r in log] == (["adam"] if device == sim else [])
        assert m.dtype == np.float32
        results.append((p, m, v))
    for a, b in zip(*results, strict=True):
        assert_close(b, a.numpy().astype(np.float64))


def test_strided_parameters_are_updated_too(device: str) -> None:
    move = backends.get(device).asarray
    base = move(np.arange(12.0).reshape(3, 4))
    param = Tensor(base.T)
    sgd(param, None, Tensor(move(np.ones((4, 3)))), Tensor(move(np.array([0.5]))), Tensor(move(np.array([1]))))
    assert np.array_equal(np.asarray(base), np.arange(12.0).reshape(3, 4) - 0.5)


def test_what_does_not_belong_together_is_refused_and_nothing_changes() -> None:
    def new(value: Any) -> Tensor:
        return Tensor(np.array(value))

    param, lr, step = new([1.0, 2.0]), new([0.1]), new([1])
    with pytest.raises(ShapeError, match=r"grad has shape \(3,\), param has \(2,\)"):
        sgd(param, None, new([1.0, 2.0, 3.0]), lr, step)
    with pytest.raises(ShapeError, match=r"exp_avg_sq has shape \(1,\)"):
        adam(param, new([0.0, 0.0]), new([0.0]), new([1.0, 1.0]), lr, step)
    with pytest.raises(DTypeError, match="grad is not of param's dtype"):
        sgd(param, None, Tensor(np.ones(2, np.float32)), lr, step)
    with pytest.raises(DTypeError, match="lr is no float64 of one element"):
        sgd(param, None, new([1.0, 1.0]), Tensor(np.ones(1, np.float32)), step)
    with pytest.raises(DTypeError, match="step is no int64 of one element"):
        sgd(param, None, new([1.0, 1.0]), lr, new([1.0]))
    assert np.array_equal(param.numpy(), [1.0, 2.0])
