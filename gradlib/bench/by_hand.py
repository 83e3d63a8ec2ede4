"""The NumPy baseline: forward and backward of each op as one writes them by hand, im2col and BLAS, no library.

Each ``*_forward`` returns the result and what ``*_backward(saved, g)`` needs.  Layouts are gradlib's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any
Saved = Any


def erf(x: Array) -> Array:
    """erf(x) to 1.5e-7 (Abramowitz and Stegun 7.1.26); NumPy has none."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - p * np.exp(-x * x))


def activate(z: Array, activation: str | None) -> tuple[Array, Saved]:
    """Return act(z), and act'(z) ready to multiply by."""
    if activation is None:
        return z, None
    if activation == "relu":
        return np.maximum(z, 0), z > 0
    if activation == "gelu":
        phi = 0.5 * (1 + erf(z * math.sqrt(0.5)))
        return z * phi, phi + z * np.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))
    raise ValueError(f"no baseline for activation {activation!r}")


def dense_forward(x: Array, w: Array, b: Array, activation: str | None) -> tuple[Array, Saved]:
    z = x @ w
    z += b
    y, slope = activate(z, activation)
    return y, (x, w, slope)


def dense_backward(saved: Saved, g: Array, needs_dx: bool = True) -> tuple[Array, Array, Array]:
    x, w, slope = saved
    dz = g if slope is None else g * slope
    return dz @ w.T if needs_dx else None, x.T @ dz, dz.sum(0)


def _windows(x: Array, kh: int, kw: int, stride: int, padding: int) -> tuple[Array, int, int]:
    n, h, w, c = x.shape
    if padding:
        padded = np.zeros((n, h + 2 * padding, w + 2 * padding, c), x.dtype)
        padded[:, padding : padding + h, padding : padding + w] = x
        x = padded
    return x, (x.shape[1] - kh) // stride + 1, (x.shape[2] - kw) // stride + 1


def conv_forward(
    x: Array, w: Array, b: Array, stride: int, padding: int, groups: int, activation: str | None
) -> tuple[Array, Saved]:
    """im2col, then one matrix product; one multiplication per tap where every channel is a group of its own."""
    kh, kw, c, k = w.shape
    padded, p, q = _windows(x, kh, kw, stride, padding)
    if groups == 1:
        cols = np.empty((x.shape[0], p, q, kh, kw, c), x.dtype)
        for i in range(kh):
            for j in range(kw):
                cols[:, :, :, i, j] = padded[:, i : i + stride * p : stride, j : j + stride * q : stride]
        cols = cols.reshape(-1, kh * kw * c)
        z = (cols @ w.reshape(-1, k)).reshape(x.shape[0], p, q, k)
        z += b
    else:
        cols = None
        z = np.zeros((x.shape[0], p, q, k), x.dtype) + b
        for i in range(kh):
            for j in range(kw):
                z += padded[:, i : i + stride * p : stride, j : j + stride * q : stride] * w[i, j, 0]
    y, slope = activate(z, activation)
    return y, (x.shape, padded, cols, w, slope, stride, padding)


def conv_backward(saved: Saved, g: Array, needs_dx: bool = True) -> tuple[Array, Array, Array]:
    (n, h, width, c), padded, cols, w, slope, stride, padding = saved
    kh, kw, _, k = w.shape
    dz = g if slope is None else g * slope
    _, p, q, _ = dz.shape
    dpadded = np.zeros_like(padded)
    flat = dz.reshape(-1, k)
    db = flat.sum(0)
    if cols is not None:
        dw = (cols.T @ flat).reshape(w.shape)
        if not needs_dx:
            return None, dw, db
        dcols = (flat @ w.reshape(-1, k).T).reshape(n, p, q, kh, kw, c)
        for i in range(kh):
            for j in range(kw):
                dpadded[:, i : i + stride * p : stride, j : j + stride * q : stride] += dcols[:, :, :, i, j]
    else:
        dw = np.empty_like(w)
        for i in range(kh):
            for j in range(kw):
                at = (slice(None), slice(i, i + stride * p, stride), slice(j, j + stride * q, stride))
                dw[i, j, 0] = np.einsum("npqc,npqc->c", padded[at], dz)
                dpadded[at] += dz * w[i, j, 0]
    dx = dpadded[:, padding : padding + h, padding : padding + width]
    return dx, dw, db


def max_pool_forward(x: Array, size: int, stride: int, padding: int) -> tuple[Array, Saved]:
    n, h, w, c = x.shape
    padded = np.full((n, h + 2 * padding, w + 2 * padding, c), -np.inf, x.dtype) if padding else x
    if padding:
        padded[:, padding : padding + h, padding : padding + w] = x
    p, q = (padded.shape[1] - size) // stride + 1, (padded.shape[2] - size) // stride + 1
    y = padded[:, : stride * p : stride, : stride * q : stride].copy()
    where = np.zeros(y.shape, np.int8)
    for tap in range(1, size * size):
        i, j = divmod(tap, size)
        candidate = padded[:, i : i + stride * p : stride, j : j + stride * q : stride]
        where[candidate > y] = tap
        np.maximum(y, candidate, out=y)
    return y, (x.shape, where, size, stride, padding)


def max_pool_backward(saved: Saved, g: Array) -> tuple[Array]:
    (n, h, w, c), where, size, stride, padding = saved
    p, q = g.shape[1:3]
    dx = np.zeros((n, h + 2 * padding, w + 2 * padding, c), g.dtype)
    for tap in range(size * size):
        i, j = divmod(tap, size)
        dx[:, i : i + stride * p : stride, j : j + stride * q : stride] += g * (where == tap)
    return (dx[:, padding : padding + h, padding : padding + w],)


def avg_pool_forward(x: Array, size: int, stride: int) -> tuple[Array, Saved]:
    p, q = (x.shape[1] - size) // stride + 1, (x.shape[2] - size) // stride + 1
    y = np.zeros((x.shape[0], p, q, x.shape[3]), x.dtype)
    for i in range(size):
        for j in range(size):
            y += x[:, i : i + stride * p : stride, j : j + stride * q : stride]
    y *= 1 / size**2
    return y, (x.shape, size, stride)


def avg_pool_backward(saved: Saved, g: Array) -> tuple[Array]:
    shape, size, stride = saved
    dx = np.zeros(shape, g.dtype)
    share = g * (1 / size**2)
    p, q = g.shape[1:3]
    for i in range(size):
        for j in range(size):
            dx[:, i : i + stride * p : stride, j : j + stride * q : stride] += share
    return (dx,)


def cross_entropy_forward(x: Array, target: Array) -> tuple[Array, Saved]:
    """Return the mean over the rows of -log softmax(x)[target]."""
    shifted = x - x.max(1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(1, keepdims=True)
    rows = np.arange(len(x))
    loss = np.mean(np.log(total[:, 0]) - shifted[rows, target])
    return loss, (e, total, rows, target)


def cross_entropy_backward(saved: Saved, g: Array) -> tuple[Array]:
    e, total, rows, target = saved
    dx = e / total
    dx[rows, target] -= 1
    dx *= (1 if g is None else g) / len(rows)
    return (dx,)


def batch_norm_forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Saved]:
    flat = x.reshape(-1, x.shape[-1])
    mean = flat.mean(0)
    centred = flat - mean
    rstd = 1 / np.sqrt(np.mean(centred * centred, 0) + eps)
    centred *= rstd
    return (centred * gamma + beta).reshape(x.shape), (centred, rstd, gamma)


def batch_norm_backward(saved: Saved, g: Array) -> tuple[Array, Array, Array]:
    normal, rstd, gamma = saved
    flat = g.reshape(normal.shape)
    dbeta = flat.sum(0)
    dgamma = np.einsum("ij,ij->j", flat, normal)
    dx = flat - (dbeta + normal * dgamma) / len(flat)
    dx *= gamma * rstd
    return dx.reshape(g.shape), dgamma, dbeta


def gelu_forward(x: Array) -> tuple[Array, Saved]:
    return activate(x, "gelu")


def gelu_backward(slope: Saved, g: Array) -> tuple[Array]:
    return (g * slope,)


def chain_forward(x: Array, a: Array, b: Array) -> tuple[Array, Saved]:
    """silu(x a + b) + x, in as few temporaries as by hand."""
    z = x * a
    z += b
    s = 1 / (1 + np.exp(-z))
    return z * s + x, (x, a, z, s)


def chain_backward(saved: Saved, g: Array) -> tuple[Array, Array, Array]:
    x, a, z, s = saved
    dz = g * (s * (1 + z * (1 - s)))
    return g + dz * a, dz * x, dz


class Adam:
    """Adam (Kingma and Ba 2015) in place, with two scratch arrays per parameter."""

    def __init__(self, params: list[Array], lr: float = 1e-3) -> None:
        self.params, self.lr, self.step_count = params, lr, 0
        self.moments = [(np.zeros_like(p), np.zeros_like(p), np.empty_like(p), np.empty_like(p)) for p in params]

    def step(self, grads: list[Array]) -> None:
        self.step_count += 1
        c1, c2 = 1 - 0.9**self.step_count, 1 - 0.999**self.step_count
        for p, g, (m, v, s, t) in zip(self.params, grads, self.moments, strict=True):
            m *= 0.9
            m += np.multiply(g, 0.1, out=s)
            v *= 0.999
            np.multiply(g, g, out=s)
            s *= 0.001
            v += s
            np.sqrt(np.divide(v, c2, out=s), out=s)
            s += 1e-8
            np.divide(m, s, out=t)
            t *= self.lr / c1
            p -= t
