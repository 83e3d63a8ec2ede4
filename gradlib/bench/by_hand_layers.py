"""The NumPy baseline of the layers of sequences, as `by_hand` has it for the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
Saved = Any


def layer_norm_forward(x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Saved]:
    normal = x - x.mean(1, keepdims=True)
    rstd = 1 / np.sqrt(np.mean(normal * normal, 1, keepdims=True) + eps)
    normal *= rstd
    return normal * gamma + beta, (normal, rstd, gamma)


def layer_norm_backward(saved: Saved, g: Array) -> tuple[Array, Array, Array]:
    normal, rstd, gamma = saved
    scaled = g * gamma
    dx = scaled - scaled.mean(1, keepdims=True) - normal * np.mean(scaled * normal, 1, keepdims=True)
    dx *= rstd
    return dx, np.einsum("ij,ij->j", g, normal), g.sum(0)


def rms_norm_forward(x: Array, gamma: Array, eps: float) -> tuple[Array, Saved]:
    rstd = 1 / np.sqrt(np.mean(x * x, 1, keepdims=True) + eps)
    normal = x * rstd
    return normal * gamma, (normal, rstd, gamma)


def rms_norm_backward(saved: Saved, g: Array) -> tuple[Array, Array]:
    normal, rstd, gamma = saved
    scaled = g * gamma
    dx = scaled - normal * np.mean(scaled * normal, 1, keepdims=True)
    dx *= rstd
    return dx, np.einsum("ij,ij->j", g, normal)


def attention_forward(q: Array, k: Array, v: Array, causal: bool) -> tuple[Array, Saved]:
    """softmax(q k^T / sqrt(width)) v over (batch, heads, length, width); k and v may have fewer heads than q."""
    group, scale = q.shape[1] // k.shape[1], q.shape[3] ** -0.5
    many_k, many_v = (np.repeat(a, group, axis=1) for a in (k, v))
    p = q @ many_k.swapaxes(2, 3)
    p *= scale
    if causal:
        p[..., ~np.tri(*p.shape[2:]).astype(bool)] = -np.inf
    p -= p.max(3, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(3, keepdims=True)
    return p @ many_v, (q, many_k, many_v, p, group, scale)


def attention_backward(saved: Saved, g: Array) -> tuple[Array, Array, Array]:
    q, k, v, p, group, scale = saved
    slope = g @ v.swapaxes(2, 3)
    slope -= np.sum(slope * p, 3, keepdims=True)
    slope *= p
    slope *= scale
    dk, dv = slope.swapaxes(2, 3) @ q, p.swapaxes(2, 3) @ g
    shape = (q.shape[0], q.shape[1] // group, group, *dk.shape[2:])
    return slope @ k, dk.reshape(shape).sum(2), dv.reshape(*shape[:4], dv.shape[3]).sum(2)


def embedding_forward(weight: Array, indices: Array) -> tuple[Array, Saved]:
    return weight[indices], (weight, indices)


def embedding_backward(saved: Saved, g: Array) -> tuple[Array]:
    weight, indices = saved
    dweight = np.zeros_like(weight)
    np.add.at(dweight, indices, g)
    return (dweight,)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm_forward(x: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh: Array) -> tuple[Array, Saved]:
    """An LSTM layer over (batch, time, features) from zero states."""
    batch, time, size = len(x), x.shape[1], len(w_hh)
    fed = x @ w_ih
    fed += b_ih + b_hh
    h, c = np.zeros((batch, size), x.dtype), np.zeros((batch, size), x.dtype)
    y, kept = np.empty((batch, time, size), x.dtype), []
    for t in range(time):
        i, f, g, o = np.split(fed[:, t] + h @ w_hh, 4, 1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        new = f * c + i * g
        squashed = np.tanh(new)
        kept.append((h, c, i, f, g, o, squashed))
        h, c = o * squashed, new
        y[:, t] = h
    return y, (x, w_ih, w_hh, kept)


def lstm_backward(saved: Saved, gradient: Array) -> tuple[Array, Array, Array, Array, Array]:
    x, w_ih, w_hh, kept = saved
    batch, time, size = gradient.shape
    slope = np.empty((batch, time, 4 * size), x.dtype)
    dh, dc = np.zeros((batch, size), x.dtype), np.zeros((batch, size), x.dtype)
    for t in reversed(range(time)):
        _, c, i, f, g, o, squashed = kept[t]
        dh = dh + gradient[:, t]
        dc = dc + dh * o * (1 - squashed * squashed)
        parts = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * squashed * o * (1 - o))
        slope[:, t] = np.concatenate(parts, 1)
        dh, dc = slope[:, t] @ w_hh.T, dc * f
    flat = slope.reshape(-1, 4 * size)
    states = np.stack([h for h, *_ in kept], 1).reshape(-1, size)
    bias = flat.sum(0)
    return slope @ w_ih.T, x.reshape(-1, x.shape[2]).T @ flat, states.T @ flat, bias, bias
