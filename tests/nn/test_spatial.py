"""Convolutions, pooling, padding and resizing against PyTorch's stored float64 values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.nn import functional as F

STORED = np.load(Path(__file__).parent.parent / "reference" / "spatial.npz")
CASES = json.loads(str(STORED["cases"]))


@pytest.mark.parametrize("n", range(len(CASES)), ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_values_and_gradients_are_pytorchs(n: int) -> None:
    name, _, settings, shape = CASES[n]
    arrays = [np.ascontiguousarray(STORED[f"x{n}_{i}"]) for i in range(1 if shape is None else 3)]
    leaves = [gl.tensor(a, requires_grad=True) for a in arrays]
    y = getattr(F, name)(*leaves, **settings)
    np.testing.assert_allclose(y.numpy(), STORED[f"y{n}"], rtol=1e-10, atol=1e-11)
    y.backward(gl.tensor(STORED[f"g{n}"]))
    for i, leaf in enumerate(leaves):
        np.testing.assert_allclose(leaf.grad.numpy(), STORED[f"d{n}_{i}"], rtol=1e-9, atol=1e-10)
    plain = getattr(F, name)(*arrays, **settings)
    assert type(plain) is np.ndarray
    np.testing.assert_array_equal(plain, y.numpy())


LAYERS: list[tuple[Any, tuple[int, ...], tuple[int, ...], str]] = [
    (nn.Conv1d(4, 6, 3, stride=2), (2, 9, 4), (2, 4, 6), "Conv1d(4, 6, kernel_size=3, stride=2)"),
    (nn.Conv3d(4, 6, 3, padding="same", groups=2, bias=False), (1, 4, 5, 6, 4), (1, 4, 5, 6, 6),
     "Conv3d(4, 6, kernel_size=3, padding='same', groups=2, bias=False)"),
    (nn.ConvTranspose1d(4, 6, 3, 2), (2, 5, 4), (2, 11, 6), "ConvTranspose1d(4, 6, kernel_size=3, stride=2)"),
    (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1), (2, 5, 4, 4), (2, 10, 8, 6),
     "ConvTranspose2d(4, 6, kernel_size=3, stride=2, padding=1, output_padding=1)"),
    (nn.ConvTranspose3d(4, 2, 2, activation="silu"), (1, 3, 3, 3, 4), (1, 4, 4, 4, 2),
     "ConvTranspose3d(4, 2, kernel_size=2, activation='silu')"),
    (nn.MaxPool1d(2), (2, 8, 3), (2, 4, 3), "MaxPool1d(kernel_size=2)"),
    (nn.AvgPool3d(2, 1), (1, 4, 4, 4, 3), (1, 3, 3, 3, 3), "AvgPool3d(kernel_size=2, stride=1)"),
    (nn.AdaptiveAvgPool2d((3, None)), (1, 7, 5, 2), (1, 3, 5, 2), "AdaptiveAvgPool2d(output_size=(3, None))"),
    (nn.AdaptiveMaxPool3d(1), (1, 3, 4, 5, 2), (1, 1, 1, 1, 2), "AdaptiveMaxPool3d(output_size=1)"),
    (nn.GlobalAvgPool(), (2, 3, 4, 5), (2, 5), "GlobalAvgPool()"),
    (nn.GlobalMaxPool(), (2, 3, 5), (2, 5), "GlobalMaxPool()"),
    (nn.ZeroPad2d((1, 2, 3, 4)), (1, 4, 4, 2), (1, 11, 7, 2), "ZeroPad2d((1, 2, 3, 4))"),
    (nn.ConstantPad1d(2, 3.0), (1, 4, 2), (1, 8, 2), "ConstantPad1d((2, 2), value=3.0)"),
    (nn.ReflectionPad3d(1), (1, 4, 4, 4, 2), (1, 6, 6, 6, 2), "ReflectionPad3d((1, 1, 1, 1, 1, 1))"),
    (nn.ReplicationPad1d(2), (1, 4, 2), (1, 8, 2), "ReplicationPad1d((2, 2))"),
    (nn.CircularPad2d(1), (1, 4, 4, 2), (1, 6, 6, 2), "CircularPad2d((1, 1, 1, 1))"),
    (nn.Upsample(scale_factor=2), (1, 4, 2), (1, 8, 2), "Upsample(scale_factor=2)"),
    (nn.UpsamplingBilinear2d(scale_factor=2), (1, 4, 4, 2), (1, 8, 8, 2), "UpsamplingBilinear2d(scale_factor=2)"),
    (nn.UpsamplingNearest2d(size=3), (1, 4, 4, 2), (1, 3, 3, 2), "UpsamplingNearest2d(size=3)"),
    (nn.PixelShuffle(2), (1, 4, 4, 8), (1, 8, 8, 2), "PixelShuffle(upscale_factor=2)"),
    (nn.Unflatten(-1, (2, 4)), (1, 4, 8), (1, 4, 2, 4), "Unflatten(-1, (2, 4))"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "shape", "expected", "shown"), LAYERS, ids=[case[3].split("(")[0] for case in LAYERS]
)
def test_layers(layer: Any, shape: tuple[int, ...], expected: tuple[int, ...], shown: str) -> None:
    assert repr(layer) == shown
    x = gl.tensor(np.random.default_rng(0).standard_normal(shape), dtype="float32", requires_grad=True)
    y = layer(x)
    assert tuple(y.shape) == expected
    y.sum().backward()
    assert x.grad.shape == shape
    assert all(p.grad is not None for p in layer.parameters())
    half = layer.to(dtype="float16")(x.detach().to("float16"))
    np.testing.assert_allclose(half.numpy().astype(float), y.numpy(), rtol=0.02, atol=0.02)


def test_transposed_is_the_adjoint() -> None:
    """<conv(x), y> = <x, transposed(y)> with one weight."""
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((3, 2, 4, 6)), rng.standard_normal((2, 7, 8, 4))
    y = F.conv2d(x, w, None, 2, 1)
    g = rng.standard_normal(y.shape)
    back = F.conv_transpose2d(g, w, None, 2, 1, (0, 0))
    np.testing.assert_allclose((y * g).sum(), (x * back).sum(), rtol=1e-12)


@pytest.mark.parametrize("n", [n for n, case in enumerate(CASES) if "transpose" in case[0]])
@pytest.mark.parametrize("activation", ["gelu", "leaky_relu"])
def test_activations_of_transposed_convolutions_are_pytorchs(n: int, activation: str, sim: str) -> None:
    """On the CPU and by kernels: with the stored arguments, what PyTorch's function of the stored result is."""
    torch = pytest.importorskip("torch")
    name, _, settings, _ = CASES[n]
    theirs = torch.tensor(STORED[f"y{n}"], requires_grad=True)
    y = getattr(torch.nn.functional, activation)(theirs)
    y.backward(torch.tensor(STORED[f"g{n}"]))
    for device in ("cpu", sim):
        leaves = [gl.tensor(STORED[f"x{n}_{i}"], device=device, requires_grad=True) for i in range(3)]
        ours = getattr(F, name)(*leaves, **settings, activation=activation)
        np.testing.assert_allclose(ours.numpy(), y.detach().numpy(), rtol=1e-10, atol=1e-11)
        ours.backward(gl.tensor(STORED[f"g{n}"], device=device))
        twice = [gl.tensor(STORED[f"x{n}_{i}"], requires_grad=True) for i in range(3)]
        getattr(F, name)(*twice, **settings).backward(gl.tensor(theirs.grad.numpy()))
        for leaf, other in zip(leaves, twice, strict=True):
            np.testing.assert_allclose(leaf.grad.numpy(), other.grad.numpy(), rtol=1e-9, atol=1e-10)


def test_a_callable_follows_a_transposed_convolution() -> None:
    rng = np.random.default_rng(1)
    x, w, b = (rng.standard_normal(s) for s in ((1, 3, 4, 2), (3, 3, 3, 2), (3,)))
    y = F.conv_transpose2d(x, w, b, 2, activation=np.sin)
    np.testing.assert_array_equal(y, np.sin(F.conv_transpose2d(x, w, b, 2)))


@pytest.mark.parametrize("ndim", [2, 3])
def test_fractional_steps_cover_the_image(ndim: int) -> None:
    """Windows begin at 0 and end at the end; their steps are the floor or the ceiling of the fraction, drawn anew."""
    size, count, k = 11, 5, 2
    x = gl.tensor(np.arange(size**ndim, dtype=np.float64).reshape(1, *(size,) * ndim, 1) * np.ones(64))
    pool = (F.fractional_max_pool2d, F.fractional_max_pool3d)[ndim - 2]
    _, places = pool(x, k, output_size=count, return_indices=True, generator=gl.Generator(0))
    ends = np.array(np.unravel_index(places.numpy()[0], (size,) * ndim))  # the largest is at the end of its window
    starts = ends[-1][(0,) * (ndim - 1)] - (k - 1)  # along the last axis: (windows, channels)
    assert (starts[0] == 0).all()
    assert (starts[-1] == size - k).all()
    steps = np.diff(starts[:-1], axis=0)
    assert set(np.unique(steps)) == {2, 3}  # (11 - 2) / 4 = 2.25
    assert len({tuple(column) for column in starts.T}) > 1


def test_bad_arguments() -> None:
    x = np.ones((1, 4, 4, 2))
    for call, error in (
        (lambda: F.conv_transpose2d(x, np.ones((2, 2, 3, 3))), gl.ShapeError),
        (lambda: F.conv_transpose2d(x, np.ones((2, 2, 3, 2)), output_padding=1), gl.ShapeError),
        (lambda: F.conv_transpose2d(x, np.ones((2, 2, 3, 2)), padding=4), gl.ShapeError),
        (lambda: F.conv_transpose2d(x, np.ones((2, 2, 3, 2)), np.ones(2)), gl.ShapeError),
        (lambda: F.conv_transpose2d(x, np.ones((2, 2, 3, 2)), np.ones(3, np.float32)), gl.DTypeError),
        (lambda: F.conv_transpose2d(x, np.ones((2, 2, 3, 2)), activation="softmax"), ValueError),
        (lambda: nn.ConvTranspose2d(3, 4, 3, activation="softmax"), ValueError),
        (lambda: nn.Conv1d(3, 4, 3, groups=2), gl.ShapeError),
        (lambda: nn.Conv3d(3, 4, (3, 3)), gl.ShapeError),
        (lambda: F.adaptive_avg_pool2d(x, (0, 1)), gl.ShapeError),
        (lambda: F.adaptive_avg_pool1d(x, 2), gl.ShapeError),
        (lambda: F.pad(x, (1,)), gl.ShapeError),
        (lambda: F.pad(x, (4, 0), mode="reflect"), gl.ShapeError),
        (lambda: F.pad(x, (1, 1), mode="mirror"), ValueError),
        (lambda: F.interpolate(x, mode="bilinear"), ValueError),
        (lambda: F.interpolate(x, size=3, mode="linear"), ValueError),
        (lambda: F.pixel_shuffle(x, 2), gl.ShapeError),
        (lambda: F.pixel_unshuffle(x, 3), gl.ShapeError),
    ):
        with pytest.raises(error):
            call()  # type: ignore[no-untyped-call]
