"""ConvBatchNorm2d: the two layers in one, in training and evaluation, on every device."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.kernel import launches

from ..devices import device_params
from ..ops.product.conftest import limits

__all__ = ["limits"]


def pair(device: str, dtype: str, **settings: int) -> tuple[nn.ConvBatchNorm2d, nn.Conv2d, nn.BatchNorm2d]:
    """Return the layer and, with the same state, the two that it stands for."""
    rng = np.random.default_rng(0)
    layer = nn.ConvBatchNorm2d(64, 64, 3, padding=1, activation="relu", device=device, dtype=dtype, **settings)
    conv = nn.Conv2d(64, 64, 3, padding=1, bias=False, device=device, dtype=dtype, **settings)
    norm = nn.BatchNorm2d(64, device=device, dtype=dtype)
    for parameter in (layer.norm.weight, layer.norm.bias):
        parameter.assign(gl.tensor(rng.uniform(0.5, 1.5, 64), dtype=dtype, device=device))
    conv.load_state_dict(layer.conv.state_dict())
    norm.load_state_dict(layer.norm.state_dict())
    return layer, conv, norm


@pytest.mark.parametrize("device", ["cpu", *device_params()])
@pytest.mark.parametrize("groups", [1, 2])
def test_it_is_the_two_layers(device, groups, limits):
    dtype = "float64" if device == "cpu" else "float32"
    if device != "cpu":
        limits(device, architecture="sm_80")
    layer, conv, norm = pair(device, dtype, groups=groups)
    rng = np.random.default_rng(1)
    x, residual = (rng.standard_normal((4, 10, 10, 64)).astype(dtype) for _ in range(2))
    room = 1e-10 if dtype == "float64" else 2e-5
    for training in (True, True, False):
        for module in (layer, conv, norm):
            module.train(training)
        a, b = (gl.tensor(x, device=device, requires_grad=True) for _ in range(2))
        r = gl.tensor(residual, device=device)
        y, expected = layer(a, r), nn.functional.relu(norm(conv(b)) + r)
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=room, atol=room)
        weight = gl.tensor((expected.numpy() > 1e-3).astype(dtype), device=device)  # clear of the kink
        (y * weight).sum().backward()
        (expected * weight).sum().backward()
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=20 * room, atol=20 * room)
        for ours, theirs in ((layer.conv, conv), (layer.norm, norm)):
            for name, value in theirs.state_dict().items():
                np.testing.assert_allclose(
                    ours.state_dict()[name].numpy(), value.numpy(), rtol=room, atol=room, err_msg=name
                )
            for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
                largest = abs(q.grad.numpy()).max()
                np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=20 * room, atol=20 * room * largest)
                p.grad = q.grad = None


@pytest.mark.parametrize("training", [True, False])
def test_pytorchs_weights_and_values(training):
    torch = pytest.importorskip("torch")

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(4, 6, 3, 2, 1, bias=False)
            self.norm = torch.nn.BatchNorm2d(6)

        def forward(self, x, residual):
            return torch.relu(self.norm(self.conv(x)) + residual)

    rng = np.random.default_rng(0)
    block = Block().double().train(training)
    state = {
        name: torch.tensor(rng.uniform(0.5, 1.5, v.shape)) if v.dtype == torch.float64 else v
        for name, v in block.state_dict().items()
    }
    block.load_state_dict(state)
    layer = nn.ConvBatchNorm2d(4, 6, 3, 2, 1, activation="relu", dtype="float64").train(training)
    gl.io.load_torch_weights(layer, {name: v.numpy() for name, v in state.items()})
    x, residual = rng.standard_normal((3, 8, 7, 4)), rng.standard_normal((3, 4, 4, 6))
    theirs = [torch.tensor(np.ascontiguousarray(a.transpose(0, 3, 1, 2)), requires_grad=True) for a in (x, residual)]
    ours = [gl.tensor(a, requires_grad=True) for a in (x, residual)]
    y, expected = layer(*ours), block(*theirs)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy().transpose(0, 2, 3, 1), rtol=1e-9, atol=1e-11)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(
        layer.conv.weight.grad.numpy(), block.conv.weight.grad.numpy().transpose(2, 3, 1, 0), rtol=1e-8, atol=1e-9
    )
    for parameter, other in ((layer.norm.weight, block.norm.weight), (layer.norm.bias, block.norm.bias)):
        np.testing.assert_allclose(parameter.grad.numpy(), other.grad.numpy(), rtol=1e-8, atol=1e-9)
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(getattr(layer.norm, name).numpy(), getattr(block.norm, name).numpy(), rtol=1e-10)


@pytest.mark.parametrize("device", device_params())
def test_evaluation_is_one_pass_over_the_images(device, limits):
    limits(device, architecture="sm_80")
    layer = nn.ConvBatchNorm2d(64, 64, 3, padding=1, activation="relu", device=device, dtype="bfloat16").eval()
    x = gl.tensor(np.ones((2, 10, 10, 64)), dtype="bfloat16", device=device)
    with gl.no_grad(), launches() as log:
        layer(x, x)
    assert [r.entry for r in log if r.entry != "finish"] == ["batch_norm_fold", "convolve_mma"]


def test_errors_and_how_it_shows_itself():
    layer = nn.ConvBatchNorm2d(2, 4, 3, activation="relu")
    assert "activation='relu'" in repr(layer)
    with pytest.raises(gl.ShapeError, match="one value per channel has no variance"):
        layer(gl.tensor(np.ones((1, 3, 3, 2), np.float32)))
    with pytest.raises(gl.ShapeError, match="evaluation needs the running statistics"):
        nn.functional.conv2d_batch_norm(np.ones((1, 3, 3, 2)), np.ones((3, 3, 2, 4)))
    with pytest.raises(gl.ShapeError, match="residual has shape"):
        nn.functional.conv2d(np.ones((1, 3, 3, 2)), np.ones((3, 3, 2, 4)), residual=np.ones((1, 3, 3, 4)))
