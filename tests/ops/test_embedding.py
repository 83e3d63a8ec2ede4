"""Embedding: rows that repeat never, often, always; the settings of the gradient; what is no row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import backend as backends
from gradlib.core import Tensor, op
from gradlib.errors import DTypeError
from gradlib.testing import assert_close, launches

F = gl.nn.functional


def formula(g: Any, indices: Any, rows: int, padding: int | None = None, by_frequency: bool = False) -> Any:
    y = np.zeros((rows, g.shape[-1]))
    for i, row in zip(indices.ravel() % rows, g.reshape(-1, g.shape[-1]).astype(np.float64), strict=True):
        y[i] += row
    if by_frequency:
        y /= np.maximum(np.bincount(indices.ravel() % rows, minlength=rows), 1)[:, None]
    if padding is not None:
        y[padding] = 0
    return y


@pytest.mark.parametrize("width", [1, 3, 8, 33, 64, 257, 768])
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("spread", ["all the same", "few", "many", "none twice", "sorted blocks"])
def test_the_gradient_of_the_table(spread: str, kind: str, width: int, sim: str) -> None:
    rng = np.random.default_rng(width)
    count = 77
    rows = {"all the same": 3, "few": 4, "many": 50, "none twice": 100, "sorted blocks": 9}[spread]
    indices = {
        "all the same": np.full(count, 1),
        "few": rng.integers(0, rows, count),
        "many": rng.integers(0, rows, count),
        "none twice": rng.permutation(rows)[:count],
        "sorted blocks": np.repeat(np.arange(9), 9)[:count],  # runs across the borders of chunks
    }[spread]
    g = rng.standard_normal((count, width)).astype(gl.tensor([0.0], dtype=kind).dtype)
    on = [backends.get(sim).asarray(a) for a in (g, indices)]
    for padding, by_frequency in ((None, False), (1, False), (0, True)):
        params = {"rows": rows, "padding_idx": padding, "scale_grad_by_freq": by_frequency}
        y = gl.core.PRIMITIVES["embedding_gradient"](*on, **params)
        assert_close(y, formula(g, indices, rows, padding, by_frequency), dtype=g.dtype)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_rows_and_what_is_no_row(dtype: Any, sim: str) -> None:
    weight = np.arange(15, dtype=np.float32).reshape(5, 3)
    indices = np.array([[4, -1, 0], [5, -6, 2]], dtype)
    with pytest.raises(IndexError):
        F.embedding(indices, weight)
    y = F.embedding(*[backends.get(sim).asarray(a) for a in (indices, weight)])
    assert np.array_equal(y[0], weight[[4, 4, 0]])
    assert np.isnan(y[1, :2]).all()
    assert np.array_equal(y[1, 2], weight[2])


def test_launches(sim: str) -> None:
    weight = gl.tensor(np.ones((5, 3), np.float32), device=sim, requires_grad=True)
    with launches() as log:
        F.embedding(gl.tensor(np.zeros(40, np.int64), device=sim), weight, padding_idx=-1).sum().backward()
    names = [r.entry for r in log if r.file == "embedding.cu"]
    assert names == ["embedding_forward", "embedding_backward", "embedding_finish"]
    assert weight.grad.tolist() == [[40.0] * 3] + [[0.0] * 3] * 4


def test_the_row_of_the_padding_gets_no_gradient(sim: str) -> None:
    for device in ("cpu", sim):
        weight = gl.tensor(np.ones((5, 3)), device=device, requires_grad=True)
        y = F.embedding(gl.tensor([1, 2, 2, 4], device=device), weight, padding_idx=2, scale_grad_by_freq=True)
        (y * y).sum().backward()
        assert weight.grad.numpy()[:, 0].tolist() == [0.0, 2.0, 0.0, 0.0, 2.0]


def test_integers_of_a_table_are_picked_too(sim: str) -> None:
    table = np.arange(6).reshape(3, 2)
    for device in ("cpu", sim):
        move = backends.get(device).asarray
        assert np.array_equal(op.embedding(move(table), move(np.array([2, 0]))), table[[2, 0]])


def test_it_is_free_of_faults(sim: str) -> None:
    rng = np.random.default_rng(0)
    with backends.checked():
        for indices in (np.full(70, 1), rng.integers(0, 5, 70), np.repeat(np.arange(5), 14)):
            weight = Tensor(backends.get(sim).asarray(rng.random((5, 10)).astype(np.float32)), requires_grad=True)
            F.embedding(Tensor(backends.get(sim).asarray(indices)), weight, 2, scale_grad_by_freq=True).sum().backward()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DTypeError, match="indices are float64"):
        F.embedding(np.ones(3), np.ones((2, 2)))
