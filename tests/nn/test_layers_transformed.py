"""Every layer and loss under vmap, checkpoint, second order and in half precision without autocast, on cpu and sim."""

from __future__ import annotations

import copy
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.testing.tolerance import TOLERANCE, worst

from .cases import CASES, title
from .test_every_layer import flat, made

RANDOM = {n for n, case in enumerate(CASES) if case.train and not case.torch} | {
    n for n, case in enumerate(CASES) if case.layer.startswith("Fractional") and not case.torch
}
SMOOTH = [n for n in range(len(CASES)) if n not in RANDOM]
# A layer is several ops, each of which rounds: so many of the table's tolerances it may be off (attention: 3).
HALF = 5
CONTAINERS = (nn.Residual, nn.Sequential, nn.TransformerEncoder, nn.TransformerDecoder)  # twice as many
WEIGHTS = [1.0, -0.5, 2.0, 0.25, -1.5, 0.75, 3.0]  # exact in every dtype


def on(device: str, n: int) -> tuple[nn.Module, list[Any], list[int]]:
    """Return a layer, its inputs on a device, and which of them are differentiated.

    In evaluation where it has running statistics: an update happens once, and `vmap` refuses it.
    """
    layer, inputs, kinds = made(CASES[n])
    if any(True for _ in layer.buffers()):
        layer.eval()
    which = [i for i, x in enumerate(inputs) if x.dtype == np.float64 and kinds[i] not in ("bits", "sign")]
    return layer.to(device=device), [x.detach().to(device=device) for x in inputs], which


def scalar(y: Any) -> Any:
    """Return one number of all outputs, whose derivative has a derivative."""
    floats = [t for t in flat(y) if np.dtype(t.dtype).kind not in "iub"]
    return sum(
        ((t * t).sum() + gl.sin(t).sum() for t in floats[1:]), (floats[0] * floats[0]).sum() + gl.sin(floats[0]).sum()
    )


@pytest.fixture(params=["cpu", "sim"])
def device(request: pytest.FixtureRequest) -> Any:
    if request.param == "sim":
        request.getfixturevalue("sim")
    return request.param


def gradient(layer: Any, inputs: list[Any], which: list[int]) -> Any:
    """Return the gradients of `scalar` in the floating inputs, as a function of them."""

    def f(*values: Any) -> Any:
        full = list(inputs)
        for i, v in zip(which, values, strict=True):
            full[i] = v
        return scalar(layer(*full))

    return gl.grad(f, argnums=tuple(range(len(which))))


def holds_under_vmap(layer: Any, inputs: list[Any], which: list[int]) -> None:
    """Outputs and gradients of a batch of two are those of two calls."""
    # vmap: a batch of two is two calls; targets are mapped too, or shared
    others = [x * 0.7 if i in which else gl.flip(x, axis=0) for i, x in enumerate(inputs)]
    shared = [x if i in which else inputs[i] for i, x in enumerate(others)]
    for second, all_of_them in ((others, True), (shared, False)):
        axes = tuple(0 if i in which or all_of_them else None for i in range(len(inputs)))
        pairs = zip(inputs, second, axes, strict=True)
        many = [x if axis is None else gl.stack([x, y]) for x, y, axis in pairs]
        apart = [flat(layer(*inputs)), flat(layer(*second))]
        for a, y in enumerate(flat(gl.vmap(layer, in_axes=axes)(*many))):
            expected = np.stack([outputs[a].numpy() for outputs in apart])
            assert worst(y.numpy(), expected)[0] <= TOLERANCE.get(y.dtype, 0.0), "vmap"
    values = [inputs[i] for i in which]
    both = gl.vmap(gradient(layer, inputs, which))(*(gl.stack([v, v]) for v in values))
    for g, k in zip(gradient(layer, inputs, which)(*values), both, strict=True):
        assert worst(k.numpy()[1], g.numpy())[0] <= TOLERANCE[g.dtype], "vmap of grad"


def holds_again_and_twice(layer: Any, inputs: list[Any], which: list[int]) -> None:
    """Gradients of a layer that runs again (`checkpoint`), and derivatives of gradients, are right."""
    values = [inputs[i] for i in which]
    direct = gradient(layer, inputs, which)(*values)
    again = gradient(gl.checkpoint(layer), inputs, which)(*values)
    for g, h in zip(direct, again, strict=True):
        assert worst(h.numpy(), g.numpy())[0] <= TOLERANCE[g.dtype], "checkpoint"
    # second order: the derivative of the gradient along a direction is a difference quotient
    ways = [gl.tensor(np.resize(np.sin(np.arange(v.size) + 1.0), v.shape), device=v.device) for v in values]

    def along(*vs: Any) -> Any:
        return sum((g * w).sum() for g, w in zip(gradient(layer, inputs, which)(*vs), ways, strict=True))

    step = 1e-5
    curvature = gl.grad(along, argnums=tuple(range(len(which))))(*values)
    there, back = (
        gradient(layer, inputs, which)(*(v + w * s for v, w in zip(values, ways, strict=True))) for s in (step, -step)
    )
    for c, a, b in zip(curvature, there, back, strict=True):
        quotient = (a.numpy() - b.numpy()) / (2 * step)
        np.testing.assert_allclose(c.numpy(), quotient, rtol=1e-4, atol=1e-5 * (1 + np.abs(quotient).max()))


def holds_in_half(layer: nn.Module, inputs: list[Any], dtype: str) -> None:
    """Inputs and weights rounded, then everything without autocast: near to float64 of the same rounded numbers."""
    half = copy.deepcopy(layer).to(dtype=dtype)
    rounded = [x.to(dtype) if x.dtype == np.float64 else x for x in inputs]
    rough, slopes = outputs_and_slopes(half, rounded)
    exact, steep = outputs_and_slopes(
        half.to(dtype="float64"), [r.to(x.dtype) for r, x in zip(rounded, inputs, strict=True)]
    )
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    allowed = TOLERANCE[kind] * (2 * HALF if isinstance(layer, (nn.Transformer, *CONTAINERS)) else HALF)
    for a, b in zip(rough, exact, strict=True):
        if np.dtype(b.dtype).kind in "iu":  # places of maxima: near values may change places
            continue
        assert a.dtype == kind
        assert worst(a.numpy(), b.numpy())[0] < allowed
    assert slopes.keys() == steep.keys()
    for name, g in slopes.items():
        assert g.dtype == kind
        assert worst(g.numpy(), steep[name].numpy())[0] < allowed, name


def outputs_and_slopes(layer: nn.Module, inputs: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return all outputs, and the gradients of their sum, with weights, in the inputs and the layer's parameters."""
    values = [gl.tensor(x.data, requires_grad=x.dtype.kind not in "iub", device=x.device) for x in inputs]
    outputs = flat(layer(*values))
    ends = [y for y in outputs if y.requires_grad]
    if not ends:
        return outputs, {}
    layer.zero_grad()
    weights = [gl.tensor(np.resize(WEIGHTS, y.shape), dtype=y.dtype, device=y.device) for y in ends]
    parts = [(y * w).sum() for y, w in zip(ends, weights, strict=True)]
    sum(parts[1:], parts[0]).backward()
    found = {str(i): v.grad for i, v in enumerate(values)} | {n: p.grad for n, p in layer.named_parameters()}
    return outputs, {name: g for name, g in found.items() if g is not None}


@pytest.mark.parametrize("n", SMOOTH, ids=title)
def test_vmap_checkpoint_and_second_order(n: int, device: str) -> None:
    layer, inputs, which = on(device, n)
    if not which:  # rows of a table: what is differentiated is the table
        many = [gl.stack([x, gl.flip(x, axis=0)]) for x in inputs]
        for a, y in enumerate(flat(gl.vmap(layer)(*many))):
            one = [flat(layer(*(m[i] for m in many)))[a].numpy() for i in range(2)]
            assert worst(y.numpy(), np.stack(one))[0] < TOLERANCE[y.dtype]
        scalar(gl.checkpoint(layer)(*inputs)).backward()
        assert all(p.grad is not None for p in layer.parameters())
        return
    holds_under_vmap(layer, inputs, which)
    holds_again_and_twice(layer, inputs, which)


@pytest.mark.parametrize("n", sorted(RANDOM), ids=title)
def test_what_is_random_draws_for_each_example(n: int, device: str) -> None:
    layer, inputs, _ = on(device, n)
    layer.train()
    x = gl.ones_like(inputs[0]) if CASES[n].layer != "RReLU" else -gl.ones_like(inputs[0])
    if CASES[n].layer.startswith("Fractional"):
        x = inputs[0]
    y = gl.vmap(layer)(gl.stack([x] * 8)).numpy()
    assert len({part.tobytes() for part in y}) > 1
    gl.manual_seed(3)
    expected = gl.grad(lambda v: scalar(layer(v)))(x)
    gl.manual_seed(3)
    np.testing.assert_array_equal(gl.grad(lambda v: scalar(gl.checkpoint(layer)(v)))(x).numpy(), expected.numpy())
    for dtype in ("float16", "bfloat16"):
        assert layer.to(dtype=dtype)(x.to(dtype)).dtype.name == dtype


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("n", SMOOTH, ids=title)
def test_half_precision(n: int, dtype: str, device: str) -> None:
    layer, inputs, _ = on(device, n)
    holds_in_half(layer, inputs, dtype)


TRAINED = [n for n, case in enumerate(CASES) if case.train and case.torch]


@pytest.mark.parametrize("n", TRAINED, ids=title)
def test_statistics_of_the_batch(n: int, device: str) -> None:
    """In training, where `vmap` is refused: the running statistics move once, also where the layer runs again."""
    layer, inputs, which = on(device, n)
    layer.train()
    holds_again_and_twice(layer, inputs, which)
    before = int(layer.num_batches_tracked)
    scalar(gl.checkpoint(layer)(inputs[0])).backward()
    assert int(layer.num_batches_tracked) == before + 1
    for dtype in ("float16", "bfloat16"):
        holds_in_half(layer, inputs, dtype)


D: dict[str, Any] = {"dtype": "float64"}
# Layers made of layers, which have no row in the table.
MADE_OF_LAYERS: list[tuple[str, Any, tuple[tuple[int, ...], ...]]] = [
    ("Residual", lambda: nn.Residual(nn.Dense(4, 4, activation="gelu", **D), nn.RMSNorm(4, **D)), ((2, 4),)),
    ("Sequential", lambda: nn.Sequential(nn.Conv2d(2, 3, 2, **D), nn.SiLU(), nn.GlobalAvgPool()), ((1, 3, 4, 2),)),
    ("TransformerEncoder", lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, 6, 0.0, activation="gelu", **D), 2, nn.LayerNorm(4, **D)), ((1, 3, 4),)),
    ("TransformerDecoder", lambda: nn.TransformerDecoder(
        nn.TransformerDecoderLayer(4, 2, 6, 0.0, activation="silu", norm_first=True, **D), 1), ((1, 2, 4), (1, 3, 4))),
    ("LSTM with lengths", lambda: Lengths(nn.LSTM(3, 2, bidirectional=True, **D)), ((2, 3, 3),)),
    ("weight and spectral norm", lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Dense(3, 4, **D)), nn.Tanh(),
        nn.utils.parametrizations.spectral_norm(nn.Dense(4, 2, **D))), ((2, 3),)),
]  # fmt: skip


class Lengths(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return self.layer(x, None, [3, 1])[0]


@pytest.mark.parametrize(("name", "build", "shapes"), MADE_OF_LAYERS, ids=[row[0] for row in MADE_OF_LAYERS])
def test_layers_made_of_layers(name: str, build: Any, shapes: Any, device: str) -> None:
    gl.manual_seed(0)
    rng = np.random.default_rng(0)
    layer = build().to(device=device).eval()
    inputs = [gl.tensor(rng.standard_normal(shape), device=device) for shape in shapes]
    which = list(range(len(inputs)))
    holds_under_vmap(layer, inputs, which)
    holds_again_and_twice(layer, inputs, which)
    for dtype in ("float16", "bfloat16"):
        holds_in_half(layer, inputs, dtype)


def test_the_table_is_not_empty() -> None:
    assert len(SMOOTH) > 150
    assert {CASES[n].layer for n in RANDOM} == {
        *("AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"),
        *("FractionalMaxPool2d", "RReLU"),
    }
