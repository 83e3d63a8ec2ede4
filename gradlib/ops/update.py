"""SGD and Adam as optimizer steps.  The composite is the definition and follows PyTorch's arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import between, op, sample, update
from ..kernel import Kernel
from ..spec import WIDE, float64
from .update_rule import decayed, number, rule

__all__ = ["adam", "count_up", "sgd"]

Array = Any
_BLOCK = 8192  # elements at a time on the CPU: parameter, gradient, moments and scratch stay in the cache


def _scratch(param: Array) -> Array:
    """Return two arrays of the shape of the first of `_blocks`."""
    return np.empty((2, *param.shape) if param.ndim and param.size <= _BLOCK else (2, _BLOCK), param.dtype)


def _blocks(*arrays: Array | None) -> Iterator[tuple[Array, ...]]:
    """Cut contiguous arrays of one size into matching pieces, as views."""
    first = arrays[0]
    assert first is not None
    if first.ndim and first.size <= _BLOCK:
        yield arrays
        return
    flat = [None if a is None else a.reshape(-1) for a in arrays]
    assert flat[0] is not None
    for start in range(0, flat[0].size, _BLOCK):
        yield tuple(None if a is None else a[start : start + _BLOCK] for a in flat)


# -- SGD


def _sgd_samples() -> list[Any]:
    lr, first, later = np.array([0.1]), np.array([1]), np.array([3])
    return [
        sample((5, 7), None, (5, 7), lr, first),
        sample((5, 7), (5, 7), (5, 7), lr, first, momentum=0.9, dampening=0.3),
        sample((5, 7), (5, 7), (5, 7), lr, later, momentum=0.9, dampening=0.3, weight_decay=0.01),
        sample((13,), (13,), (13,), lr, later, momentum=0.9, nesterov=True, maximize=True),
        sample((1,), (1,), (1,), lr, later, momentum=0.5),
        sample((0, 3), (0, 3), (0, 3), lr, later, momentum=0.5),
    ]


@rule("sgd", writes="param momentum_buffer", kernel="update.cu", samples=_sgd_samples)
def sgd(
    param: Array,
    momentum_buffer: Array | None,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[Array, Array | None]:
    """p <- p - lr d, where d = b, or g + momentum b with `nesterov`; b <- momentum b + (1 - dampening) g.

    g is grad (its negative with `maximize`) + weight_decay p; at step 1, b <- g.  Without momentum
    `momentum_buffer` is None and d = g.  The arithmetic is that of ``torch.optim.SGD``.

    Shapes: param, momentum_buffer (b), grad equal; lr and step one element.  Dtypes: param and grad equal and
    floating, b that or float32; lr float64; step int64.  Kernel: ``update.cu``.
    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.
    """
    g = decayed(param, grad, weight_decay, maximize)
    new = None
    if momentum_buffer is not None:
        later = op.add(op.multiply(momentum_buffer, momentum), op.multiply(g, 1.0 - dampening))
        new = op.where(op.equal(op.reshape(step, shape=()), 1), g, later)
        g = op.add(g, op.multiply(new, momentum)) if nesterov else new
    return op.subtract(param, op.multiply(g, number(lr, param))), new


@sgd.kernel("cpu")
def _(
    param: Array, momentum_buffer: Array | None, grad: Array, lr: Array, step: Array, *, momentum: float = 0.0,
    dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False, maximize: bool = False,
) -> Any:  # fmt: skip
    if param.dtype not in WIDE or (momentum_buffer is not None and momentum_buffer.dtype != param.dtype):
        return NotImplemented
    rate, first = lr.item(), step.item() == 1
    scratch, other = _scratch(param)
    for p, b, g in _blocks(param, momentum_buffer, grad):
        if p.size < scratch.size:  # the last block
            scratch, other = scratch[: len(p)], other[: len(p)]
        d, s = scratch, other
        if maximize:
            g = np.negative(g, out=d)
        if weight_decay:
            g = np.add(g, np.multiply(p, weight_decay, out=s), out=d)
        if b is not None:
            if first:
                b[:] = g
            else:
                b *= momentum
                b += np.multiply(g, 1.0 - dampening, out=s) if dampening else g
            g = np.add(g, np.multiply(b, momentum, out=s), out=d) if nesterov else b
        p -= np.multiply(g, rate, out=d)
    return None


# -- Adam


def _adam_samples() -> list[Any]:
    lr, first, later = np.array([0.1]), np.array([1]), np.array([7])
    return [
        sample((5, 7), between(0, 0, 5, 7), between(0, 0, 5, 7), (5, 7), lr, first),
        sample((5, 7), (5, 7), between(0, 1, 5, 7), (5, 7), lr, later, weight_decay=0.1),
        sample((13,), (13,), between(0, 1, 13), (13,), lr, later, weight_decay=0.1, decoupled=True),
        sample((1,), (1,), between(0, 1, 1), (1,), lr, later, betas=(0.5, 0.9), eps=1e-3, maximize=True),
        sample((0, 3), (0, 3), (0, 3), (0, 3), lr, later),
    ]


@rule("adam", writes="param exp_avg exp_avg_sq", kernel="update.cu", samples=_adam_samples)
def adam(
    param: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> tuple[Array, Array, Array]:
    """p <- p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps); m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2.

    g is grad (its negative with `maximize`) + weight_decay p; with `decoupled` (AdamW) the decay is
    p <- (1 - lr weight_decay) p instead.  The arithmetic is that of ``torch.optim.Adam``.

    Shapes: param, exp_avg, exp_avg_sq, grad equal; lr and step one element.  Dtypes: param and grad
    equal and floating, the moments that or float32; lr float64; step int64.  Kernel: ``update.cu``.
    Source: Kingma and Ba, "Adam", ICLR 2015, Algorithm 1; Loshchilov and Hutter, "Decoupled weight
    decay regularization", ICLR 2019, Algorithm 2.
    """
    rate, t = op.reshape(lr, shape=()), op.cast(op.reshape(step, shape=()), dtype=float64)
    size = op.divide(rate, op.subtract(1.0, op.power(betas[0], t)))
    unbias = op.sqrt(op.subtract(1.0, op.power(betas[1], t)))
    g = decayed(param, grad, 0.0 if decoupled else weight_decay, maximize)
    if decoupled and weight_decay:
        param = op.multiply(param, number(op.subtract(1.0, op.multiply(rate, weight_decay)), param))
    m = op.add(exp_avg, op.multiply(op.subtract(g, exp_avg), 1.0 - betas[0]))
    v = op.add(op.multiply(exp_avg_sq, betas[1]), op.multiply(op.multiply(g, g), 1.0 - betas[1]))
    denominator = op.add(op.divide(op.sqrt(v), number(unbias, param)), eps)
    return op.subtract(param, op.divide(op.multiply(m, number(size, param)), denominator)), m, v


@adam.kernel("cpu")
def _(
    param: Array, exp_avg: Array, exp_avg_sq: Array, grad: Array, lr: Array, step: Array, *,
    betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
    decoupled: bool = False, maximize: bool = False,
) -> Any:  # fmt: skip
    if param.dtype not in WIDE or exp_avg.dtype != param.dtype or exp_avg_sq.dtype != param.dtype:
        return NotImplemented
    rate, t = lr.item(), step.item()
    size, unbias = rate / (1 - betas[0] ** t), 1 / math.sqrt(1 - betas[1] ** t)
    scratch, other = _scratch(param)
    for p, m, v, g in _blocks(param, exp_avg, exp_avg_sq, grad):
        if p.size < scratch.size:  # the last block
            scratch, other = scratch[: len(p)], other[: len(p)]
        d, s = scratch, other
        if maximize:
            g = np.negative(g, out=d)
        if decoupled and weight_decay:
            p *= 1 - rate * weight_decay
        elif weight_decay:
            g = np.add(g, np.multiply(p, weight_decay, out=s), out=d)
        np.multiply(g, g, out=s)
        s *= 1 - betas[1]
        v *= betas[1]
        v += s
        np.subtract(g, m, out=d)
        d *= 1 - betas[0]
        m += d
        np.sqrt(v, out=d)
        d *= unbias
        d += eps
        np.divide(m, d, out=d)
        d *= size
        p -= d
    return None


# -- how many steps there were


@update("count_up", writes="step", samples=lambda: [sample(np.array([0])), sample(np.array([41]))])
def count_up(step: Array) -> tuple[Array]:
    """t <- t + 1: what optimizers count their steps with, in place.

    Shapes: one element.  Dtypes: int64.  Kernel: ``update.cu``.
    """
    return (op.add(step, 1),)


_count_up = Kernel("update.cu", "count_up", "step")


@count_up.kernel("cuda")
def _(step: Array) -> None:
    _count_up(1, 1, step)


op.register(sgd=sgd, adam=adam)
