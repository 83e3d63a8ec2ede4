"""A convolution and its batch normalisation in one op: values against NumPy in float64, and which kernels run."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradlib as gl
from gradlib import backend as backends
from gradlib.kernel import launches
from gradlib.ops import conv_host, norm_launch
from gradlib.ops.conv_norm import conv2d_batch_norm
from gradlib.ops.product import Problem, Steps
from gradlib.ops.product.moments import apart

from ..devices import device_params
from .product.conftest import limits

__all__ = ["limits"]

BF16, F32 = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float32)
PAD = {(3, 3): 1, (1, 1): 0}


def definition(x, w, gamma, beta, residual, kernel, stride):
    """The formula in the docstring, in float64, and its gradients by the chain rule, for a relu and a cotangent g."""
    both, steps, ones = ((PAD[kernel],) * 2,) * 2, (stride,) * 2, (1, 1)
    c = conv_host.forward(np, x, w, steps, both, ones, 1)
    n, lead = math.prod(c.shape[:-1]), (0, 1, 2)
    mean, var = c.mean(lead), c.var(lead)
    r = 1 / np.sqrt(var + 1e-3)
    xhat = (c - mean) * r
    u = xhat * gamma + beta + residual

    def gradients(g):  # elementwise g, which has to be 0 where rounding decides what the relu's slope is
        dz = g * (u > 0)
        dgamma, dbeta = (dz * xhat).sum(lead), dz.sum(lead)
        dc = gamma * r * (dz - dbeta / n - xhat * dgamma / n)
        dx = conv_host.data_gradient(np, dc, w, x.shape[1:-1], steps, both, ones, 1)
        return dx, conv_host.weight_gradient(np, x, dc, kernel, steps, both, ones, 1), dgamma, dbeta, dz

    return (np.maximum(u, 0), mean, var), gradients, abs(u) > 2.0**-4


def draw(kernel, stride, dtype, seed=0):
    rng = np.random.default_rng(seed)
    size = -(-12 // stride)
    channels, features = (128, 64) if dtype == F32 else (64, 72)  # what is worth splitting into planes at this size
    shapes = ((4, 12, 12, channels), (*kernel, channels, features), (features,), (features,), (4, size, size, features))
    arrays = [rng.standard_normal(s) for s in shapes]
    arrays[1] /= math.sqrt(math.prod(kernel) * channels)
    g = rng.standard_normal(shapes[-1])
    return [a.astype(dtype) for a in arrays], g.astype(dtype)


def close(got: Any, want: np.ndarray, room: float) -> None:
    off = abs(np.asarray(got.numpy(), np.float64) - want).max()
    assert off <= room * (np.sqrt((want**2).mean()) + abs(want).max() / 2)


@pytest.mark.parametrize("kernel", [(3, 3), (1, 1)])
def test_the_definition(kernel):
    arrays, g = draw(kernel, 1, np.float64)
    given = [gl.tensor(a, requires_grad=True) for a in arrays]
    y = conv2d_batch_norm(*given, padding=PAD[kernel], eps=1e-3, activation="relu")
    values, gradients, _ = definition(*arrays, kernel, 1)
    for got, want in zip(y, values, strict=True):
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-10, atol=1e-12)
    y[0].backward(gl.tensor(g))
    for t, want in zip(given, gradients(g), strict=True):
        np.testing.assert_allclose(t.grad.numpy(), want, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize(("architecture", "dtype", "kernel", "stride"), [
    ("sm_90a", BF16, (3, 3), 1), ("sm_80", BF16, (3, 3), 2), ("sm_90a", BF16, (1, 1), 1), ("sm_80", F32, (3, 3), 1),
])  # fmt: skip
def test_statistics_come_with_the_convolution(device, architecture, dtype, kernel, stride, limits):
    """One launch, and the values and gradients of the definition; no pass over the result for its moments."""
    limits(device, architecture=architecture, multiprocessors=9 if dtype == F32 else 132)
    arrays, g = draw(kernel, stride, dtype)
    given = [gl.tensor(a, device=device, requires_grad=True) for a in arrays]
    with launches() as log:
        y = conv2d_batch_norm(*given, stride=stride, padding=PAD[kernel], eps=1e-3, activation="relu")
    name = ("product" if kernel == (1, 1) else "convolve") + ("" if architecture == "sm_90a" else "_mma")
    assert [r.entry for r in log if r.entry != "split_planes"] == [name, "batch_norm_finish", "batch_norm_apply"]
    values, gradients, sure = definition(*[a.astype(np.float64) for a in arrays], kernel, stride)
    room = 2.0**-6 if dtype == BF16 else 2.0**-17
    for got, want in zip(y, values, strict=True):
        close(got, want, room)
    g = np.where(sure, g, 0).astype(dtype)
    y[0].backward(gl.tensor(g, device=device))
    for t, want in zip(given, gradients(g.astype(np.float64)), strict=True):
        close(t.grad, want, room)


def test_small_maps_are_split_instead():
    """8 images of 7 x 7 x 512: the chooser splits the sum, and a pass over the small result takes the moments."""
    early, late = (Problem(8 * n * n, k, 9 * k, steps=Steps(moments=True)) for n, k in ((56, 64), (7, 512)))
    for hopper in (True, False):
        assert not apart(early, 132, hopper=hopper)
        assert apart(late, 132, hopper=hopper)


@pytest.mark.parametrize("device", device_params())
def test_a_deep_and_small_one(device, limits):
    limits(device, architecture="sm_80")
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 8, 8, 256)), rng.standard_normal((3, 3, 256, 16)) / 48
    arrays = [a.astype(BF16) for a in (x, w)]
    with launches() as log:
        y = conv2d_batch_norm(*[gl.tensor(a, device=device) for a in arrays], padding=1, eps=1e-3)
    entries = ["convolve_mma", "finish", "batch_norm_partial", "batch_norm_finish", "batch_norm_apply"]
    assert [r.entry for r in log] == entries
    c = conv_host.forward(np, *[a.astype(np.float64) for a in arrays], (1, 1), ((1, 1),) * 2, (1, 1), 1)
    mean, var = c.mean((0, 1, 2)), c.var((0, 1, 2))
    for got, want in zip(y, ((c - mean) / np.sqrt(var + 1e-3), mean, var), strict=True):
        close(got, want, 2.0**-6)


@pytest.mark.parametrize("device", device_params())
def test_many_segments_are_folded(device):
    """As a large convolution leaves them, the last one cut short."""
    x = np.random.default_rng(0).standard_normal((299 * 4 + 3, 19)) + 5
    parts = [x[i : i + 4] for i in range(0, len(x), 4)]
    mean, m2 = (np.stack([f(p) for p in parts]) for f in (lambda p: p.mean(0), lambda p: p.var(0) * len(p)))
    move = backends.get(device).asarray
    plan = norm_launch.Plan(move(x), None)
    found = norm_launch.finish(plan, x.dtype, move(mean), move(m2), 4, 1e-3)
    for got, want in zip(found, (x.mean(0), x.var(0), x.mean(0), 1 / np.sqrt(x.var(0) + 1e-3)), strict=True):
        np.testing.assert_allclose(plan.backend.to_host(got), want, rtol=1e-12)


def test_groups_and_callables():
    """With groups, and an activation that no kernel knows, it is the composition of the ops."""
    rng = np.random.default_rng(2)
    x, w, gamma = (rng.standard_normal(s) for s in ((2, 5, 5, 4), (3, 3, 2, 6), (6,)))
    y, mean, var = conv2d_batch_norm(x, w, gamma, groups=2, activation=gl.tanh)
    c = gl.nn.functional.conv2d(x, w, groups=2)
    np.testing.assert_allclose(mean, c.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(var, c.var((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(y, np.tanh((c - mean) / np.sqrt(var + 1e-5) * gamma), rtol=1e-10)
