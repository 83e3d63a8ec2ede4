"""The composed layers and optimizers run on the sim device, and agree there with the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn, optim

LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (nn.LayerNorm(6), (2, 6)),
    (nn.GroupNorm(3, 6), (2, 4, 6)),
    (nn.InstanceNorm2d(6), (1, 4, 4, 6)),
    (nn.GRU(6, 4), (2, 3, 6)),
    (nn.ConvTranspose2d(6, 4, 3, 2), (1, 4, 4, 6)),
    (nn.AdaptiveAvgPool2d(2), (1, 5, 5, 6)),
    (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 4, 4, 6)),
    (nn.ReflectionPad2d(1), (1, 4, 4, 6)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[type(layer).__name__ for layer, _ in LAYERS])
def test_layers_agree(layer: Any, shape: tuple[int, ...], sim: str) -> None:
    values = np.random.default_rng(0).standard_normal(shape)
    found = []
    for device in ("cpu", sim):
        layer.to(device=device)
        x = gl.tensor(values, dtype="float32", device=device, requires_grad=True)
        y = layer(x)
        y = y[0] if isinstance(y, tuple) else y
        (y * y).sum().backward()
        assert y.device == x.grad.device == device
        found.append((y.numpy().copy(), x.grad.numpy().copy()))
    layer.to(device="cpu")
    for ours, other in zip(*found, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-4, atol=1e-5)


def test_losses_with_indices_agree(sim: str) -> None:
    logits = np.random.default_rng(0).standard_normal((2, 5, 4))
    found = []
    for device in ("cpu", sim):
        x = gl.tensor(logits, device=device, requires_grad=True)
        loss = nn.functional.ctc_loss(nn.functional.log_softmax(x), np.array([[1, 2], [3, 1]]), [5, 4], [2, 2])
        (loss + nn.functional.multi_margin_loss(x[:, 0], gl.tensor([1, 2], device=device))).backward()
        found.append(x.grad.numpy().copy())
    np.testing.assert_allclose(*found, rtol=1e-10)


@pytest.mark.parametrize(
    "name", ["Adagrad", "Adadelta", "RMSprop", "Rprop", "Adamax", "NAdam", "RAdam", "ASGD", "Lion", "LAMB", "Muon"]
)
def test_optimizers_agree(name: str, sim: str) -> None:
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal((3, 2)), rng.standard_normal((3, 3, 2))
    found = []
    for device in ("cpu", sim):
        p = nn.Parameter(gl.tensor(start, device=device))
        optimizer = getattr(optim, name)([p], lr=0.1)
        for grad in grads:
            p.grad = gl.tensor(grad, device=device)
            optimizer.step()
        found.append(p.numpy().copy())
    np.testing.assert_allclose(*found, rtol=1e-10)
