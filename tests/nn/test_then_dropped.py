"""A dense layer and what follows it as one op: only where nobody could tell the difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.nn.dense import then_dropped


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect the calls of the op that does all of it."""
    seen: list[Any] = []
    plain = gl.ops.dense_residual
    monkeypatch.setattr(gl.ops, "dense_residual", lambda *a, **k: seen.append(k) or plain(*a, **k))
    return seen


def pieces(layer: Any, x: Any, dropout: Any, residual: Any) -> Any:
    return residual + dropout(layer(x))


@pytest.mark.parametrize("training", [True, False])
def test_one_op_gives_the_same_numbers(training, fused):
    layer, dropout = gl.nn.Dense(6, 5, activation="gelu"), gl.nn.Dropout(0.4).train(training)
    x, residual = gl.tensor(np.ones((3, 6), np.float32)), gl.tensor(np.full((3, 5), 2.0, np.float32))
    gl.manual_seed(1)
    one = then_dropped(layer, x, dropout, residual).numpy()
    gl.manual_seed(1)
    np.testing.assert_allclose(one, pieces(layer, x, dropout, residual).numpy(), rtol=1e-6)
    assert len(fused) == 1


def test_hooks_and_other_layers_are_called(fused):
    seen: list[str] = []

    class Mine(gl.nn.Dense):
        def forward(self, input: Any) -> Any:
            seen.append("mine")
            return super().forward(input)

    x = gl.tensor(np.ones((3, 6), np.float32))
    then_dropped(Mine(6, 5), x, gl.nn.Dropout(0.4), x[:, :5])
    layer = gl.nn.Dense(6, 5)
    layer.register_forward_hook(lambda module, args, y: seen.append("layer"))
    then_dropped(layer, x, gl.nn.Dropout(0.4))
    dropout = gl.nn.Dropout(0.4)
    dropout.register_forward_hook(lambda module, args, y: seen.append("dropout"))
    then_dropped(gl.nn.Dense(6, 5), x, dropout)
    assert seen == ["mine", "layer", "dropout"]
    assert fused == []


def test_a_transformer_layer_uses_it(fused):
    layer = gl.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1)
    layer(gl.tensor(np.ones((3, 5, 8), np.float32)))
    assert len(fused) == 2
