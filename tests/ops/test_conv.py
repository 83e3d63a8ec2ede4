"""Convolution: PyTorch's stored values, a definition in loops, geometry, errors, and which kernels run."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest

from gradlib import backend as backends
from gradlib.core import Tensor, vjp
from gradlib.core.primitive import declines
from gradlib.errors import ShapeError
from gradlib.kernel import launches
from gradlib.nn.functional import conv_transpose2d
from gradlib.ops import conv_host, conv_launch
from gradlib.ops.conv import conv1d, conv2d, conv3d
from gradlib.spec import REDUCED, as_dtype
from gradlib.testing.tolerance import assert_close

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "conv.npz")
CASES = json.loads(str(REFERENCE["spec"]))


def definition(x, w, stride, padding, dilation, groups):
    """The sum in the docstring, place by place."""
    out = conv_host.out_sizes(x.shape[1:-1], w.shape[:-2], stride, padding, dilation)
    x = np.pad(x, [(0, 0), *padding, (0, 0)])
    y = np.zeros((x.shape[0], *out, w.shape[-1]))
    per_group, features = w.shape[-2], w.shape[-1] // groups
    for place in itertools.product(*map(range, out)):
        for tap in itertools.product(*map(range, w.shape[:-2])):
            at = tuple(o * s + t * d for o, s, t, d in zip(place, stride, tap, dilation, strict=True))
            for k in range(w.shape[-1]):
                first = k // features * per_group
                y[(slice(None), *place, k)] += x[(slice(None), *at)][:, first : first + per_group] @ w[tap][:, k]
    return y


def geometry(seed, dims):
    """Draw shapes of x and w and a window."""
    r = random.Random(seed)
    ndim, groups = r.choice(dims), r.choice([1, 1, 2, 3])
    per_group, features = r.choice([1, 2, 5]), r.choice([1, 1, 3, 4])
    kernel = tuple(r.choice([1, 2, 3]) for _ in range(ndim))
    window = {
        "stride": tuple(r.choice([1, 1, 2, 3]) for _ in range(ndim)),
        "padding": tuple((r.randrange(3), r.randrange(3)) for _ in range(ndim)),
        "dilation": tuple(r.choice([1, 1, 2]) for _ in range(ndim)),
        "groups": groups,
    }
    size = tuple(r.randrange(5, 8) for _ in range(ndim))
    return (r.choice([1, 2, 3]), *size, groups * per_group), (*kernel, per_group, groups * features), window


@pytest.mark.parametrize("seed", range(40))
def test_host_triad(seed):
    x_shape, w_shape, p = geometry(seed, [1, 2, 2, 3])
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    y = conv_host.forward(np, x, w, **p)
    np.testing.assert_allclose(y, definition(x, w, **p), atol=1e-12)
    g = rng.standard_normal(y.shape)
    dx = conv_host.data_gradient(np, g, w, x_shape[1:-1], **p)
    dw = conv_host.weight_gradient(np, x, g, w_shape[:-2], **p)
    tx, tw = rng.standard_normal(x_shape), rng.standard_normal(w_shape)  # adjoints, since y is linear in each
    np.testing.assert_allclose(np.sum(dx * tx), np.sum(g * definition(tx, w, **p)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.sum(dw * tw), np.sum(g * definition(x, tw, **p)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("seed", "dtype"), [(100 + i, ("float64", "float32", "float16", "bfloat16")[i % 4]) for i in range(24)]
)
def test_kernel_triad(seed, dtype, sim):
    """Strided, dilated, grouped, padded, checked: plain kernels and depthwise ones, and of 16 bits tensor cores."""
    x_shape, w_shape, p = geometry(seed, [1, 2, 2])
    rng = np.random.default_rng(seed)
    backend, dtype = backends.get(sim), as_dtype(dtype)
    x, w = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(w_shape).astype(dtype)
    y = conv_host.forward(np, x.astype("f8"), w.astype("f8"), **p)
    g = rng.standard_normal(y.shape).astype(dtype)
    sx, sw, sg = map(backend.asarray, (x, w, g))
    with backends.checked(orders=("forward",)), launches() as log:
        found = [
            conv_launch.forward(sx, sw, None, **p)[0],
            conv_launch.data_gradient(sg, None, sw, size=x_shape[1:-1], **p),
            conv_launch.weight_gradient(sx, sg, None, kernel=w_shape[:-2], **p),
        ]
    plain = {r.entry.partition("_")[0] for r in log} <= {"conv2d", "depthwise", "split"}
    assert plain or dtype in REDUCED
    expected = [
        y,
        conv_host.data_gradient(np, g.astype("f8"), w.astype("f8"), x_shape[1:-1], **p),
        conv_host.weight_gradient(np, x.astype("f8"), g.astype("f8"), w_shape[:-2], **p),
    ]
    for a, e in zip(found, expected, strict=True):
        assert a.dtype == dtype
        assert_close(a, e)


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("device", ["cpu", "sim"])
def test_agrees_with_pytorch(case, device, request):
    if device == "sim":
        request.getfixturevalue("sim")
    backend, spec = backends.get(device), CASES[case]
    stored = {name.partition("_")[2]: REFERENCE[name] for name in REFERENCE.files if name.startswith(f"{case}_")}
    window = {key: spec[key] for key in ("stride", "padding", "dilation", "groups") if key in spec}
    inputs = [Tensor(backend.asarray(stored[name]), requires_grad=True) for name in ("input", "weight", "bias")]
    with launches() as log:
        y = conv2d(*inputs, activation=spec["activation"], **window)
        y.backward(Tensor(backend.asarray(stored["g"])))
    assert bool(log) == (device == "sim")
    np.testing.assert_allclose(y.numpy(), stored["output"], rtol=1e-11, atol=1e-12)
    for tensor, name in zip(inputs, ("d_input", "d_weight", "d_bias"), strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), stored[name], rtol=1e-10, atol=1e-11, err_msg=name)


def test_wide_images_take_the_narrow_tiles_and_split_sums(sim):
    rng = np.random.default_rng(0)
    x, w, g = (rng.standard_normal(s).astype("f4") for s in ((6, 16, 15, 5), (3, 3, 5, 12), (6, 16, 15, 12)))
    backend, p = backends.get(sim), {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    sx, sw, sg = map(backend.asarray, (x, w, g))
    with launches() as log:
        y, _ = conv_launch.forward(sx, sw, None, **p)
        dx = conv_launch.data_gradient(sg, None, sw, size=(16, 15), **p)
        dw = conv_launch.weight_gradient(sx, sg, None, kernel=(3, 3), **p)
    assert [record.entry for record in log] == ["conv2d_forward", "conv2d_dgrad", "conv2d_wgrad", "split_sum"]
    x, w, g = (a.astype("f8") for a in (x, w, g))
    np.testing.assert_allclose(np.asarray(y), conv_host.forward(np, x, w, **p), atol=3e-5)
    np.testing.assert_allclose(np.asarray(dx), conv_host.data_gradient(np, g, w, (16, 15), **p), atol=3e-5)
    np.testing.assert_allclose(np.asarray(dw), conv_host.weight_gradient(np, x, g, (3, 3), **p), rtol=1e-5, atol=1e-4)


def test_depthwise_has_kernels_of_its_own(sim):
    backend = backends.get(sim)
    x, w = (Tensor(backend.asarray(np.ones(s, "f4")), requires_grad=True) for s in ((2, 5, 5, 3), (3, 3, 1, 3)))
    with launches() as log:
        y = conv2d(x, w, groups=3, padding=1, activation="relu")
        y.backward(Tensor(backend.asarray(np.ones((2, 5, 5, 3), "f4"))))
    assert [r.entry for r in log] == ["depthwise_forward", "depthwise_dgrad", "depthwise_wgrad"]


@pytest.mark.parametrize(("groups", "kind"), [(1, "conv2d"), (4, "depthwise")])
def test_a_transposed_convolution_is_one_launch(groups, kind, sim):
    """With bias and activation; backward a pass for dz, then the convolution's own kernels."""
    backend, rng = backends.get(sim), np.random.default_rng(6)
    x, w, b = (
        Tensor(backend.asarray(rng.standard_normal(s).astype("f4")), requires_grad=True)
        for s in ((2, 3, 4, 4), (3, 3, 4 // groups, 4), (4,))
    )
    with launches() as log:
        y = conv_transpose2d(x, w, b, stride=2, output_padding=1, groups=groups, activation="gelu")
    assert [r.entry for r in log] == [f"{kind}_dgrad"]
    with launches() as log:
        y.backward(Tensor(backend.asarray(np.ones(y.shape, "f4"))))
    assert [r.entry for r in log] == ["conv_slope", f"{kind}_forward", f"{kind}_wgrad", "dense_db"]
    b.grad = None
    y = conv_transpose2d(x.detach(), w.detach(), b, stride=2, groups=groups, activation="gelu")
    with launches() as log:
        y.backward(Tensor(backend.asarray(np.ones(y.shape, "f4"))))
    assert [r.entry for r in log] == ["dense_db"]


def test_only_wanted_gradients_are_launched(sim):
    backend = backends.get(sim)
    x, w, b = (backend.asarray(np.ones(s, "f4")) for s in ((2, 5, 5, 3), (3, 3, 3, 4), (4,)))
    y = conv2d(Tensor(x), Tensor(w, requires_grad=True), Tensor(b, requires_grad=True), activation="gelu")
    with launches() as log:
        y.backward(Tensor(backend.asarray(np.ones(y.shape, "f4"))))
    assert {r.entry for r in log} == {"conv2d_wgrad", "dense_db"}


def test_one_dimension_is_two_with_a_height_of_one():
    rng = np.random.default_rng(2)
    x, w, b = (rng.standard_normal(s) for s in ((2, 11, 4), (3, 2, 6), (6,)))
    one = conv1d(x, w, b, stride=2, padding=[(2, 1)], dilation=2, groups=2, activation="relu")
    two = conv2d(
        x[:, None], w[None], b, stride=(1, 2), padding=[0, (2, 1)], dilation=(1, 2), groups=2, activation="relu"
    )
    np.testing.assert_allclose(one, two[:, 0], atol=1e-13)


def test_what_the_kernels_decline(sim):
    """Three spatial dimensions, and bool: the definition runs, and gives the definition's values."""
    backend, rng = backends.get(sim), np.random.default_rng(5)
    x, w = rng.standard_normal((1, 4, 5, 3, 2)), rng.standard_normal((2, 3, 2, 2, 3))
    for arrays, window in (
        ((x, w), {"stride": 2, "padding": 1}),
        ((x[:, 0] > 0, w[0] > 0), {}),
    ):
        with launches() as log, declines() as declined:
            y = (conv3d if arrays[0].ndim == 5 else conv2d)(*map(backend.asarray, arrays), **window)
        assert not log
        assert [call.partition("(")[0] for call in declined] == ["convolution", "conv"]
        expected = (conv3d if arrays[0].ndim == 5 else conv2d)(*arrays, **window)
        np.testing.assert_array_equal(np.asarray(y), expected)


def test_padding_words():
    x, w = np.random.default_rng(3).standard_normal((1, 6, 5, 2)), np.ones((4, 3, 2, 1))
    assert conv2d(x, w, padding="same").shape == (1, 6, 5, 1)
    assert conv2d(x, w, padding="valid").shape == (1, 3, 3, 1)
    np.testing.assert_array_equal(conv2d(x, w, padding="same"), conv2d(x, w, padding=[(1, 2), (1, 1)]))
    assert conv3d(np.ones((1, 4, 5, 6, 2)), np.ones((2, 2, 2, 2, 3)), padding="same").shape == (1, 4, 5, 6, 3)


@pytest.mark.parametrize("device", ["cpu", "sim"])
def test_no_images(device, request):
    if device == "sim":
        request.getfixturevalue("sim")
    backend = backends.get(device)
    x, w, b = (Tensor(backend.asarray(np.ones(s)), requires_grad=True) for s in ((0, 5, 5, 2), (3, 3, 2, 4), (4,)))
    y = conv2d(x, w, b, padding=1, activation="gelu")
    assert y.shape == (0, 5, 5, 4)
    y.backward(Tensor(backend.zeros(y.shape, y.dtype)))
    assert x.grad.shape == x.shape
    assert not w.grad.numpy().any()
    assert not b.grad.numpy().any()


def test_second_derivative_of_the_layer():
    """d/dw of <t, d/dx <g, y>> is linear in t: compare with the difference of two first derivatives."""
    rng = np.random.default_rng(4)
    x, w, g, t = (rng.standard_normal(s) for s in ((1, 5, 5, 2), (3, 3, 2, 3), (1, 5, 5, 3), (1, 5, 5, 2)))

    def dx(w):
        return vjp(lambda x: conv2d(x, w, padding=1, activation="tanh"), [x], [True])[1]([g])[0]

    _, pullback = vjp(dx, [w], [True])
    u = rng.standard_normal(w.shape)
    step = 1e-5
    along = (np.asarray(dx(w + step * u)) - np.asarray(dx(w - step * u))) / (2 * step)
    np.testing.assert_allclose(np.sum(np.asarray(pullback([t])[0]) * u), np.sum(t * along), rtol=1e-6)


def test_errors():
    x = np.ones((2, 5, 5, 6), "f4")
    with pytest.raises(ShapeError) as caught:
        conv2d(x, np.ones((3, 3, 4, 8), "f4"), np.ones(8, "f4"))
    assert str(caught.value) == (
        "conv2d(input, weight, bias): input has 6 channels, weight expects 4\n"
        "  input:  float32[2, 5, 5, 6]  (batch, height, width, channels)\n"
        "  weight: float32[3, 3, 4, 8]  (kernel_height, kernel_width, channels / groups, features)\n"
        "  bias:   float32[8]  (features)\n"
        "  need input.shape[3] == weight.shape[2]"
    )
    cases = [
        ((3, 3, 3, 8), {"groups": 4}, "groups is 4, with 6 channels and 8 features"),
        ((3, 3, 2, 8), {"groups": 2}, r"weight expects 4 \(2 in each of 2 groups\)"),
        ((3, 3, 6, 8), {"dilation": 3}, r"the kernel's height is 7 \(kernel 3, dilation 3\), the padded input's 5"),
        ((3, 6), {}, "weight has 2 dimensions, expected 4"),
        ((3, 3, 6, 8), {"stride": 2, "padding": "same"}, 'padding "same" with stride'),
        ((3, 3, 6, 8), {"stride": 0}, "stride is 0"),
        ((3, 3, 6, 8), {"padding": -1}, "padding is -1"),
    ]
    for shape, window, text in cases:
        with pytest.raises(ShapeError, match=text):
            conv2d(x, np.ones(shape, "f4"), **window)
    with pytest.raises(ValueError, match="padding is 'full'"):
        conv2d(x, np.ones((3, 3, 6, 8), "f4"), padding="full")
    with pytest.raises(ShapeError, match="bias has shape"):
        conv2d(x, np.ones((3, 3, 6, 8), "f4"), np.ones(7, "f4"))
