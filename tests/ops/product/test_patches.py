"""Convolutions as implicit products on tensor cores, with their gradients, against the definition in float64."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradlib as gl
from gradlib.backend import get
from gradlib.kernel import launches
from gradlib.ops import conv_host
from gradlib.ops.product import patches
from gradlib.ops.product.patches import Images, Window, convolve, input_gradient, weight_gradient
from gradlib.ops.product.patches_sm90 import fits
from gradlib.ops.product.planes import split, split_beside

from ...devices import device_params, watched

BF16, F16, F32 = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16), np.dtype(np.float32)

# Shapes of x and w, stride, zeros before (and behind), dilation.
CASES: list[dict[str, Any]] = [
    {"x": (2, 9, 7, 64), "w": (3, 3, 64, 64), "pad": (1, 1)},
    {"x": (1, 9, 8, 72), "w": (3, 2, 72, 40), "pad": (1, 1), "residual": True, "scale": True},
    {"x": (2, 9, 8, 72), "w": (3, 3, 72, 40), "stride": (2, 2), "pad": (1, 1)},
    {"x": (2, 11, 10, 16), "w": (3, 2, 16, 24), "stride": (1, 2), "pad": (2, 0), "dilation": (2, 1)},
    {"x": (2, 11, 10, 16), "w": (3, 3, 16, 24), "stride": (2, 3), "pad": (0, 1), "dilation": (1, 2)},
    {"x": (3, 6, 6, 32), "w": (1, 1, 32, 64), "stride": (2, 2)},
    {"x": (5, 20, 9, 8), "w": (5, 1, 8, 8), "pad": (2, 0)},
    {"x": (1, 8, 8, 128), "w": (3, 3, 64, 128), "pad": (1, 1), "groups": 2},
    {"x": (2, 13, 24), "w": (4, 24, 16), "stride": (2,), "pad": (1,), "dilation": (3,)},
    {"x": (1, 4, 5, 6, 16), "w": (2, 3, 2, 16, 8), "stride": (1, 2, 1), "pad": (1, 1, 0), "dilation": (1, 1, 2)},
    {"x": (1, 7, 9, 24), "w": (3, 3, 24, 40), "pad": (1, 1), "dtype": F16},
    {"x": (2, 7, 6, 20), "w": (2, 3, 20, 12), "pad": (1, 1), "dtype": F32, "passes": 6, "residual": True},
    {"x": (2, 7, 6, 21), "w": (3, 3, 21, 13), "stride": (2, 1), "pad": (1, 1), "dtype": F32, "passes": 6},
    {"x": (2, 7, 6, 20), "w": (3, 3, 20, 12), "stride": (2, 2), "pad": (1, 1), "dtype": F32, "passes": 3},
    {"x": (1, 5, 7, 29), "w": (2, 3, 29, 7), "pad": (1, 0), "dtype": F32, "passes": 1},
]


def images(backend: Any, x: np.ndarray, passes: int) -> Images:
    array, planes = backend.asarray(x), 4 if passes > 1 else 1
    if x.dtype != F32:
        return Images(array, x.shape[-1])
    beside = split_beside(array.reshape(-1, x.shape[-1]), planes)
    return Images(beside.reshape(*x.shape[:-1], -1), x.shape[-1], planes)


def filters(backend: Any, w: np.ndarray, passes: int) -> Any:
    taps = backend.asarray(w).reshape(-1, *w.shape[-2:])
    return taps if w.dtype != F32 else split(taps, 4 if passes > 1 else 1).array


# Small maps and deep sums: the sum is split, and its end is finish.cu, with every step.
SPLIT: list[dict[str, Any]] = [
    {"x": (1, 7, 7, 128), "w": (3, 3, 128, 72), "pad": (1, 1), "residual": True, "scale": True},
    {"x": (1, 5, 6, 64), "w": (3, 3, 64, 64), "pad": (1, 1), "dtype": F32, "passes": 3},
]

# What the copy engine does not take.
UNALIGNED: list[dict[str, Any]] = [
    {"x": (2, 13, 12, 3), "w": (7, 7, 3, 18), "stride": (2, 2), "pad": (3, 3)},
    {"x": (2, 9, 8, 13), "w": (3, 3, 13, 11), "pad": (1, 1), "residual": True, "scale": True},
    {"x": (1, 8, 8, 32), "w": (3, 3, 16, 48), "pad": (1, 1), "groups": 2},
    {"x": (1, 8, 8, 10), "w": (3, 2, 5, 14), "stride": (2, 1), "groups": 2, "residual": True},
    {"x": (2, 17, 5), "w": (4, 5, 3), "stride": (3,), "pad": (2,)},
]


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize(("architecture", "case"), [
    *(("sm_90a", case) for case in CASES + SPLIT), *(("sm_80", case) for case in CASES + SPLIT + UNALIGNED),
], ids=lambda c: c if isinstance(c, str) else "-".join(map(str, (c["x"], c["w"]))))  # fmt: skip
def test_a_convolution_and_its_gradients(device, architecture, case, limits, monkeypatch):
    limits(device, architecture=architecture)
    monkeypatch.setattr(patches, "THIN", 0)  # the copy engine's kernels, whatever pays
    backend, rng = get(device), np.random.default_rng(1)
    shape, of_w, dtype, passes = case["x"], case["w"], case.get("dtype", BF16), case.get("passes", 1)
    n = len(shape) - 2
    stride, dilation, pad = case.get("stride", (1,) * n), case.get("dilation", (1,) * n), case.get("pad", (0,) * n)
    groups, window = case.get("groups", 1), Window(of_w[:n], stride, pad, dilation, case.get("groups", 1))
    both = tuple((p, p) for p in pad)
    size = conv_host.out_sizes(shape[1:-1], of_w[:n], stride, both, dilation)
    if architecture == "sm_90a":
        assert fits(dtype, shape[-1], of_w[-1], window, shape[1:-1], size)

    def draw(*shape: int, scale: float = 1.0) -> np.ndarray:
        """One plane holds bfloat16: numbers of those then, whose sums are float32's."""
        values = (scale * rng.standard_normal(shape)).astype(dtype)
        return values.astype(BF16).astype(dtype) if (dtype, passes) == (F32, 1) else values

    x, w = draw(*shape), draw(*of_w, scale=1 / math.sqrt(math.prod(of_w[:-1])))
    g, residual, bias, scale = (
        draw(shape[0], *size, of_w[-1]),
        draw(shape[0], *size, of_w[-1]),
        draw(of_w[-1]),
        draw(of_w[-1]),
    )
    wide_x, wide_w, wide_g, wide_b, wide_s, wide_r = (v.astype(np.float64) for v in (x, w, g, bias, scale, residual))
    y = conv_host.forward(np, wide_x, wide_w, stride, both, dilation, groups)
    y = np.maximum((y * wide_s if case.get("scale") else y) + wide_b + (wide_r if case.get("residual") else 0), 0)
    dx = conv_host.data_gradient(np, wide_g, wide_w, shape[1:-1], stride, both, dilation, groups)
    dw = conv_host.weight_gradient(np, wide_x, wide_g, of_w[:n], stride, both, dilation, groups)

    our_x, our_g, our_w = images(backend, x, passes), images(backend, g, passes), filters(backend, w, passes)
    our_y, our_dx, our_dw = (backend.empty(v.shape, dtype) for v in (y, dx, dw))
    extra = {name: backend.asarray(v) for name, v in (("scale", scale), ("residual", residual)) if case.get(name)}
    with launches() as log, watched(device):
        convolve(our_x, our_w, our_y, window, passes, bias=backend.asarray(bias), activation="relu", **extra)
        input_gradient(our_g, our_w, our_dx, window, passes)
        weight_gradient(our_x, our_g, our_dw, window, passes)
    if case in SPLIT:
        assert [record.entry for record in log][1:4:2] == ["finish", "finish"]
    eps = {BF16: 2.0**-8, F16: 2.0**-11, F32: {6: 2.0**-20, 3: 2.0**-14, 1: 2.0**-20}[passes]}[dtype]
    for ours, expected in ((our_y, y), (our_dx, dx), (our_dw, dw)):
        off = abs(backend.to_host(ours).astype(np.float64) - expected)
        room = eps * abs(expected) + (eps if dtype == F32 else 2.0**-14) * np.sqrt((expected**2).mean())
        assert (off <= room).all(), (off / room).max()


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize("architecture", ["sm_90a", "sm_80"])
def test_the_moments_of_features_come_with_a_convolution(device, architecture, limits):
    """Those of what was stored, in parts of which the last is cut short."""
    limits(device, architecture=architecture, multiprocessors=4)  # so that the sum is not split
    backend, rng = get(device), np.random.default_rng(2)
    x, w = (rng.standard_normal(shape).astype(BF16) for shape in ((1, 17, 11, 32), (3, 3, 32, 24)))
    y = backend.empty((1, 17, 11, 24), BF16)
    window = Window((3, 3), (1, 1), (1, 1), (1, 1), 1)
    operands = Images(backend.asarray(x), 32), filters(backend, w, 1)
    with watched(device):
        totals = convolve(*operands, y, window, 1, bias=backend.asarray(w[0, 0, 0]), activation="relu", moments=True)
    rows = backend.to_host(y).astype(np.float64).reshape(-1, 24)
    means, squares = backend.to_host(totals.array).astype(np.float64)
    assert len(means) == -(-len(rows) // totals.rows) > 1
    for i, (mean, square) in enumerate(zip(means, squares, strict=True)):
        part = rows[i * totals.rows : (i + 1) * totals.rows]
        np.testing.assert_allclose(mean, part.mean(0), rtol=1e-6, atol=1e-6 * abs(rows).max())
        np.testing.assert_allclose(square, part.var(0) * len(part), rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "channels", "features", "groups", "kernel", "stride", "answer"),
    [
        (BF16, 8, 16, 1, (3, 3), (1, 1), True),
        (BF16, 12, 16, 1, (3, 3), (1, 1), False),  # pixels of 24 bytes
        (BF16, 16, 12, 1, (3, 3), (1, 1), False),
        (F32, 13, 7, 1, (3, 3), (1, 1), True),  # planes are padded
        (BF16, 64, 64, 2, (3, 3), (1, 1), False),  # 32 channels a group
        (BF16, 128, 128, 2, (3, 3), (1, 1), True),
        (BF16, 64, 64, 1, (300, 1), (1, 1), False),  # offsets of 8 bits
    ],
)
def test_what_the_copy_engine_takes(dtype, channels, features, groups, kernel, stride, answer):
    window = Window(kernel, stride, (0, 0), (1, 1), groups)
    size = tuple(k + 9 for k in kernel)
    assert fits(dtype, channels, features, window, size, (10, 10)) == answer


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize("architecture", ["sm_90a", "sm_80"])
def test_layers_go_there(device, architecture, limits):
    """A layer of bfloat16 launches the kernels of the tensor cores, forward and backward; its gradients are right."""
    limits(device, architecture=architecture)
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype(BF16) for s in ((4, 12, 12, 64), (3, 3, 64, 64), (64,)))
    w = (w.astype(np.float32) / 24).astype(BF16)
    given = [gl.tensor(v, device=device, requires_grad=True) for v in (x, w, b)]
    wide = [gl.tensor(v.astype(np.float64), requires_grad=True) for v in (x, w, b)]
    with launches() as log:
        gl.nn.functional.conv2d(*given, padding=1, activation="gelu").sum().backward()
    suffix = "" if architecture == "sm_90a" else "_mma"
    assert {f"convolve{suffix}", f"weight_gradient{suffix}", "split_planes"} <= {record.entry for record in log}
    gl.nn.functional.conv2d(*wide, padding=1, activation="gelu").sum().backward()
    for ours, expected in zip(given, wide, strict=True):
        got, want = ours.grad.numpy().astype(np.float64), expected.grad.numpy()
        assert abs(got - want).max() <= 2.0**-6 * np.sqrt((want**2).mean()) + 2.0**-7 * abs(want).max()


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize(("architecture", "dtype"), [("sm_90a", BF16), ("sm_80", BF16), ("sm_80", F32)])
def test_scale_and_residual_go_there(device, architecture, dtype, limits):
    """One product forward, whatever is added; all five gradients are right."""
    limits(device, architecture=architecture)
    rng = np.random.default_rng(3)
    shapes = ((4, 12, 12, 64), (3, 3, 64, 64), (64,), (64,), (4, 12, 12, 64))
    arrays = [rng.standard_normal(s) for s in shapes]
    arrays[1] /= 24
    arrays = [v.astype(dtype) for v in arrays]
    g = rng.standard_normal(shapes[-1]).astype(dtype)

    def gradients(arrays: list[Any], g: Any, device: str) -> list[Any]:
        x, w, b, scale, residual = given = [gl.tensor(v, device=device, requires_grad=True) for v in arrays]
        with launches() as log:
            y = gl.nn.functional.conv2d(x, w, b, padding=1, scale=scale, residual=residual, activation="gelu")
        if device != "cpu":
            kernels = [r.entry for r in log if r.entry not in ("split_planes", "finish")]
            assert kernels == ["convolve" if architecture == "sm_90a" else "convolve_mma"]
        y.backward(gl.tensor(g, device=device))
        return [y, *[t.grad for t in given]]

    wide = gradients([v.astype(np.float64) for v in arrays], g.astype(np.float64), "cpu")
    room = 2.0**-6 if dtype == BF16 else 2.0**-18
    for ours, expected in zip(gradients(arrays, g, device), wide, strict=True):
        want = expected.numpy()
        off = abs(ours.numpy().astype(np.float64) - want).max()
        assert off <= room * (np.sqrt((want**2).mean()) + abs(want).max() / 2)


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize(
    ("architecture", "shape", "of_w", "activation"),
    [
        ("sm_90a", (2, 37, 32), (3, 32, 40), "relu"),
        ("sm_90a", (1, 5, 4, 3, 32), (3, 3, 3, 32, 24), "gelu"),
        ("sm_80", (2, 37, 13), (3, 13, 11), "gelu"),
        ("sm_80", (1, 5, 4, 3, 16), (3, 3, 3, 16, 8), "relu"),
    ],
)
def test_scale_and_residual_of_lines_and_volumes(device, architecture, shape, of_w, activation, tensor_cores):
    """Of a call that is recorded, which keeps the pre-activation, and of one that is not."""
    tensor_cores(device, architecture)
    rng, function = np.random.default_rng(4), getattr(gl.nn.functional, f"conv{len(shape) - 2}d")
    shapes = (shape, of_w, of_w[-1:], of_w[-1:], (*shape[:-1], of_w[-1]))
    arrays = [rng.standard_normal(s) for s in shapes]
    arrays[1] /= math.sqrt(math.prod(of_w[:-1]))
    arrays = [v.astype(BF16) for v in arrays]

    def run(given: list[Any]) -> Any:
        x, w, b, scale, residual = given
        return function(x, w, b, padding=1, scale=scale, residual=residual, activation=activation)

    given = [gl.tensor(v, device=device, requires_grad=activation == "gelu") for v in arrays]
    with launches() as log, watched(device):
        y = run(given)
    kernels = [r.entry for r in log if r.entry not in ("split_planes", "finish")]
    assert kernels == ["convolve" if architecture == "sm_90a" else "convolve_mma"]
    want = run([v.astype(np.float64) for v in arrays])
    off = abs(y.numpy().astype(np.float64) - want)
    assert (off <= 2.0**-8 * abs(want) + 2.0**-14 * np.sqrt((want**2).mean())).all()


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize("architecture", ["sm_90a", "sm_80"])
def test_a_stem_of_three_channels(device, architecture, limits):
    """Its pixels are padded to what one copy brings, and it goes to the kernels whose blocks of channels are small."""
    limits(device, architecture=architecture, multiprocessors=4)
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(BF16) for s in ((2, 41, 40, 3), (7, 7, 3, 60)))
    given = [gl.tensor(v, device=device, requires_grad=True) for v in (x, w)]
    wide = [gl.tensor(v.astype(np.float64), requires_grad=True) for v in (x, w)]
    with launches() as log:
        y = gl.nn.functional.conv2d(*given, stride=2, padding=3)
    assert [r.entry for r in log if r.entry != "finish"] == ["split_planes", "split_planes", "convolve_mma"]
    expected = gl.nn.functional.conv2d(*wide, stride=2, padding=3)
    g = rng.standard_normal(y.shape).astype(BF16)
    y.backward(gl.tensor(g, device=device))
    expected.backward(gl.tensor(g.astype(np.float64)))
    for ours, want in ((y, expected), *((t.grad, v.grad) for t, v in zip(given, wide, strict=True))):
        off = abs(ours.numpy().astype(np.float64) - want.numpy())
        assert (off <= 2.0**-8 * abs(want.numpy()) + 2.0**-13 * abs(want.numpy()).max()).all()
