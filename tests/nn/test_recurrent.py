"""RNN, LSTM and GRU against PyTorch's stored float64 values: outputs, states, every gradient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn

STORED = np.load(Path(__file__).parent.parent / "reference" / "recurrent.npz")
CASES = json.loads(str(STORED["cases"]))


@pytest.mark.parametrize("n", range(len(CASES)), ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_values_and_gradients_are_pytorchs(n: int) -> None:
    name, settings, given, lengths = CASES[n]
    layer = getattr(nn, name)(4, 5, dtype="float64", **settings)
    for key, p in layer.named_parameters():
        p.assign(gl.tensor(np.ascontiguousarray(STORED[f"{key}{n}"])))
    x = gl.tensor(STORED[f"x{n}"], requires_grad=True)
    count = 2 if name == "LSTM" else 1
    states = [gl.tensor(STORED[f"state{n}_{i}"], requires_grad=True) for i in range(count)] if given else []
    hx = (tuple(states) if count > 1 else states[0]) if given else None
    y, last = layer(x, hx, lengths)
    ends = last if count > 1 else (last,)
    np.testing.assert_allclose(y.numpy(), STORED[f"y{n}"], rtol=1e-10, atol=1e-12)
    loss = (y * gl.tensor(STORED[f"g{n}_0"])).sum()
    for i, end in enumerate(ends):
        np.testing.assert_allclose(end.numpy(), STORED[f"end{n}_{i}"], rtol=1e-10, atol=1e-12)
        loss = loss + (end * gl.tensor(STORED[f"g{n}_{i + 1}"])).sum()
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), STORED[f"dx{n}"], rtol=1e-9, atol=1e-11)
    for i, state in enumerate(states):
        np.testing.assert_allclose(state.grad.numpy(), STORED[f"dstate{n}_{i}"], rtol=1e-9, atol=1e-11)
    for key, p in layer.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), STORED[f"d{key}{n}"], rtol=1e-9, atol=1e-11, err_msg=key)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_cells_are_one_step(name: str) -> None:
    layer, cell = getattr(nn, name)(4, 5, dtype="float64"), getattr(nn, f"{name}Cell")(4, 5, dtype="float64")
    for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, key).assign(getattr(layer, f"{key}_l0"))
    x = gl.tensor(STORED["x0"])
    state: Any = None
    for t in range(x.shape[1]):
        state = cell(x[:, t], state)
    _, last = layer(x)
    pairs = zip(state, last, strict=True) if name == "LSTM" else [(state, last)]
    for ours, other in pairs:
        np.testing.assert_allclose(ours.numpy(), other.numpy()[0], rtol=1e-12)
    assert repr(cell) == f"{name}Cell(4, 5)"


def test_layout_precision_and_dropout() -> None:
    layer = nn.LSTM(4, 5, 2, batch_first=False, dropout=0.5)
    assert repr(layer) == "LSTM(4, 5, num_layers=2, batch_first=False, dropout=0.5)"
    x = gl.tensor(STORED["x0"], dtype="float32")
    y, (h, c) = layer.eval()(x)
    assert (y.shape, h.shape, c.shape) == ((3, 6, 5), (2, 6, 5), (2, 6, 5))
    swapped, _ = layer(x)
    np.testing.assert_array_equal(y.numpy(), swapped.numpy())
    noisy, _ = layer.train()(x)
    assert (noisy.numpy() != y.numpy()).any()
    half, _ = layer.eval().to(dtype="bfloat16")(x.to("bfloat16"))
    np.testing.assert_allclose(half.numpy().astype(float), y.numpy(), atol=0.05)


def test_bad_arguments() -> None:
    x = gl.tensor(np.ones((2, 3, 4), np.float32))
    for call, error in (
        (lambda: nn.RNN(0, 5), gl.ShapeError),
        (lambda: nn.RNN(4, 5, nonlinearity="sine"), ValueError),
        (lambda: nn.GRU(3, 5)(x), gl.ShapeError),
        (lambda: nn.GRU(4, 5)(x[0]), gl.ShapeError),
        (lambda: nn.GRU(4, 5)(x, gl.tensor(np.ones((1, 3, 5), np.float32))), gl.ShapeError),
        (lambda: nn.GRU(4, 5)(x, None, [4, 1]), gl.ShapeError),
    ):
        with pytest.raises(error):
            call()  # type: ignore[no-untyped-call]
