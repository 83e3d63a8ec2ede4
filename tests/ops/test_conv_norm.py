"""A convolution and its batch normalisation in one op: values against NumPy in float64, and which kernels run."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradlib as gl
from gradlib.kernel import launches
from gradlib.ops import conv_host
from gradlib.ops.conv_norm import conv2d_batch_norm

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
    features = 64 if dtype == F32 else 72  # what is worth splitting into planes at this size
    shapes = ((4, 12, 12, 64), (*kernel, 64, features), (features,), (features,), (4, size, size, features))
    arrays = [rng.standard_normal(s) for s in shapes]
    arrays[1] /= math.sqrt(math.prod(kernel) * 64)
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
    limits(device, architecture=architecture)
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


def test_groups_and_callables():
    """With groups, and an activation that no kernel knows, it is the composition of the ops."""
    rng = np.random.default_rng(2)
    x, w, gamma = (rng.standard_normal(s) for s in ((2, 5, 5, 4), (3, 3, 2, 6), (6,)))
    y, mean, var = conv2d_batch_norm(x, w, gamma, groups=2, activation=gl.tanh)
    c = gl.nn.functional.conv2d(x, w, groups=2)
    np.testing.assert_allclose(mean, c.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(var, c.var((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(y, np.tanh((c - mean) / np.sqrt(var + 1e-5) * gamma), rtol=1e-10)
