"""`nn.functional` on plain arrays of any device: arrays of the same kind come back, and nothing is recorded."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import gradlib as gl
import gradlib.nn.functional as F
from gradlib import backend as backends

from ..devices import device_params

DEVICES = ["cpu", *device_params()]


def window(seed: int, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Draw shapes of input and weight, and a window."""
    r = random.Random(seed)
    groups = r.choice([1, 2])
    kernel = tuple(r.choice([1, 2, 3]) for _ in range(ndim))
    settings = {"stride": r.choice([1, 2]), "padding": r.choice([0, 1]), "dilation": r.choice([1, 2]), "groups": groups}
    return (2, *[r.randrange(5, 8) for _ in range(ndim)], 2 * groups), (*kernel, 2, 3 * groups), settings


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("ndim", "seed"), [(1, 0), (2, 1), (2, 2), (2, 3), (3, 4)])
def test_gradients_of_convolutions(device, ndim, seed):
    """<g, conv(x, w)> is linear in x and in w: its gradients, times x and w, are the same number."""
    x_shape, w_shape, settings = window(seed, ndim)
    rng, backend = np.random.default_rng(seed), backends.get(device)
    x, w = (backend.asarray(rng.standard_normal(s)) for s in (x_shape, w_shape))
    forward = getattr(F, f"conv{ndim}d")
    y = forward(x, w, None, **settings)
    g = backend.asarray(rng.standard_normal(y.shape))
    dx = getattr(F, f"conv{ndim}d_input_gradient")(g, w, x_shape[1:-1], **settings)
    dw = getattr(F, f"conv{ndim}d_weight_gradient")(x, g, w_shape[:-2], **settings)
    assert (type(y), type(dx), type(dw)) == (type(x),) * 3
    assert (dx.shape, dw.shape) == (x_shape, w_shape)
    tx, tw = (backend.asarray(rng.standard_normal(s)) for s in (x_shape, w_shape))  # any other: linear in each
    np.testing.assert_allclose(float((dx * tx).sum()), float((g * forward(tx, w, None, **settings)).sum()), rtol=1e-9)
    np.testing.assert_allclose(float((dw * tw).sum()), float((g * forward(x, tw, None, **settings)).sum()), rtol=1e-9)


def test_they_are_what_torch_nn_grad_gives():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, w, g = (rng.standard_normal(s) for s in ((2, 9, 8, 4), (3, 3, 2, 6), (2, 5, 4, 6)))
    settings = {"stride": 2, "padding": 1, "groups": 2}

    def theirs(a, *axes):
        return torch.tensor(np.ascontiguousarray(a.transpose(axes)))

    image, filters, grad = theirs(x, 0, 3, 1, 2), theirs(w, 3, 2, 0, 1), theirs(g, 0, 3, 1, 2)
    dx = torch.nn.grad.conv2d_input(image.shape, filters, grad, **settings).numpy().transpose(0, 2, 3, 1)
    dw = torch.nn.grad.conv2d_weight(image, filters.shape, grad, **settings).numpy().transpose(2, 3, 1, 0)
    np.testing.assert_allclose(F.conv2d_input_gradient(g, w, (9, 8), **settings), dx, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(F.conv2d_weight_gradient(x, g, 3, **settings), dw, rtol=1e-10, atol=1e-12)


def test_tensors_are_differentiated_through_them():
    rng = np.random.default_rng(1)
    g, w = (gl.tensor(rng.standard_normal(s), requires_grad=True) for s in ((1, 3, 3, 2), (2, 2, 1, 2)))
    t = rng.standard_normal((1, 4, 4, 1))
    (F.conv2d_input_gradient(g, w, 4) * t).sum().backward()
    np.testing.assert_allclose(g.grad.numpy(), F.conv2d(t, w.numpy()), rtol=1e-12)
    np.testing.assert_allclose(w.grad.numpy(), F.conv2d_weight_gradient(t, g.numpy(), 2), rtol=1e-12)


def test_a_gradient_that_is_none_of_this_convolution():
    g, w = np.ones((1, 3, 3, 2)), np.ones((2, 2, 1, 2))
    with pytest.raises(gl.ShapeError, match=r"grad has shape \(1, 3, 3, 2\), the convolution gives \(1, 4, 4, 2\)"):
        F.conv2d_input_gradient(g, w, 5)
    with pytest.raises(gl.ShapeError, match="the convolution gives"):
        F.conv2d_weight_gradient(np.ones((1, 4, 4, 1)), g, 3)
    with pytest.raises(gl.ShapeError, match="input_size"):
        F.conv2d_input_gradient(g, w, (4, 4, 4))
    with pytest.raises(gl.DTypeError, match="need a Tensor or an array"):
        F.conv2d_weight_gradient([[1.0]], g, 3)


@pytest.mark.parametrize("device", DEVICES)
def test_layers(device):
    """Dense, pooling, normalisation, attention and the activations."""
    rng, backend = np.random.default_rng(2), backends.get(device)
    images, rows, weight, heads = (
        backend.asarray(rng.standard_normal(s).astype(np.float32)) for s in ((2, 6, 6, 3), (4, 5), (5, 7), (1, 2, 9, 8))
    )
    pooled, where = F.max_pool2d(images, 2, return_indices=True)
    made = [
        F.dense(rows, weight, activation="gelu"), pooled, where, F.max_unpool2d(pooled, where, 2), F.softmax(rows),
        F.avg_pool2d(images, 2), F.batch_norm(images, training=True), F.layer_norm(rows, 5), F.relu(rows),
        F.scaled_dot_product_attention(heads, heads, heads, is_causal=True),
    ]  # fmt: skip
    assert all(type(a) is type(images) for a in made)
