"""Recurrent layers through their kernels: equal to the definition, few launches, only what is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import ShapeError
from gradlib import backend as backends
from gradlib.core import Tensor, op
from gradlib.testing import assert_close, launches

KINDS = ["RNN", "LSTM", "GRU"]


def layer_on(device: str, kind: str, dtype: str = "float64", **settings: Any) -> Any:
    gl.manual_seed(3)
    return getattr(gl.nn, kind)(3, 37, dtype=dtype, **settings).to(device=device)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("ragged", [False, True])
def test_layers_on_sim(kind: str, dtype: str, ragged: bool, sim: str) -> None:
    x = np.random.default_rng(0).standard_normal((4, 6, 3)).astype(dtype)
    lengths = np.array([6, 1, 4, 5]) if ragged else None
    found = []
    for device in ("cpu", sim):
        layer = layer_on(device, kind, dtype, num_layers=2, bidirectional=True)
        given = gl.tensor(x, device=device, requires_grad=True)
        y, last = layer(given, None, lengths)
        states = last if kind == "LSTM" else (last,)
        loss = (y * y).sum() + sum((s * s * s).sum() for s in states)
        loss.backward()
        found.append([y, *states, given.grad, *[p.grad for p in layer.parameters()]])
    for a, e in zip(found[1], found[0], strict=True):
        assert_close(a, e.numpy(), dtype=dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_and_a_kernel_a_step(kind: str, sim: str) -> None:
    layer = layer_on(sim, kind, "float32")
    x = gl.tensor(np.ones((2, 5, 3), np.float32), device=sim)
    with launches() as log:
        y, _ = layer(x)
    entries = [r.entry for r in log]
    assert entries.count(f"{kind.lower()}_forward") == 5
    assert entries.count("dense_forward") == 6  # of the input at once, and of the state at each step
    with launches() as log:
        y.sum().backward()
    entries = [r.entry for r in log]
    assert entries.count(f"{kind.lower()}_backward") == 5
    assert entries.count("matmul") == 4 + 1  # before the first step nothing wants a gradient; and all weights' at once


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_it_is_free_of_faults(kind: str, sim: str) -> None:
    rng = np.random.default_rng(0)
    gates, states = {"rnn": 1, "lstm": 4, "gru": 3}[kind], 2 if kind == "lstm" else 1
    shapes = [(4, 3, gates * 5), (5, gates * 5), (gates * 5,), *[(3, 5)] * states]
    move = backends.get(sim).asarray
    with backends.checked():
        for reverse in (False, True):
            xs = [Tensor(move(rng.standard_normal(s).astype(np.float32)), requires_grad=True) for s in shapes]
            outs = getattr(op, kind)(*xs, Tensor(move(np.array([4, 1, 2]))), reverse=reverse)
            sum((y * y).sum() for y in outs).backward()


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells_take_one_launch_beside_the_products(kind: str, sim: str) -> None:
    gl.manual_seed(0)
    cell = getattr(gl.nn, kind)(3, 5).to(device=sim)
    x = gl.tensor(np.ones((2, 3), np.float32), device=sim)
    with launches() as log:
        out = cell(
            x, (out0 := gl.tensor(np.ones((2, 5), np.float32), device=sim), out0) if kind == "LSTMCell" else None
        )
    assert [r.entry for r in log if r.file == "recurrent.cu"] == [f"{kind.removesuffix('Cell').lower()}_forward"]
    (out[0] if isinstance(out, tuple) else out).sum().backward()
    assert all(p.grad is not None for p in cell.parameters())


def test_reduced_precision_follows_the_definition(sim: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 12, 3))
    wanted, _ = layer_on("cpu", "LSTM")(gl.tensor(x))
    found, _ = layer_on(sim, "LSTM").to(dtype="bfloat16")(gl.tensor(x, dtype="bfloat16", device=sim))
    assert np.abs(found.numpy().astype(np.float64) - wanted.numpy()).max() < 0.02


def test_what_does_not_fit_is_refused() -> None:
    fed, weight, h = np.ones((4, 2, 12)), np.ones((3, 12)), np.ones((2, 3))
    op.lstm(fed, weight, None, h, h)
    with pytest.raises(ShapeError, match=r"weight_hh has shape \(12, 3\), expected \(3, 12\)"):
        op.lstm(fed, weight.T, None, h, h)
    with pytest.raises(ShapeError, match=r"state 1 has shape \(2, 4\), expected \(2, 3\)"):
        op.lstm(fed, weight, None, h, np.ones((2, 4)))
    with pytest.raises(ShapeError, match="lengths do not fit"):
        op.lstm(fed, weight, None, h, h, np.ones(3, np.int64))
    with pytest.raises(ShapeError, match=r"fed has shape \(2, 7\)"):
        op.gru_cell(np.ones((2, 7)), np.ones((2, 7)), h)
