"""Dropout: elements of an array set to zero at random."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..kernel import Kernel
from ..spec import Spec, float32, float64, is_floating
from . import philox
from .random import blocks_for, check_key

__all__ = ["dropout"]

Array = Any


def _infer_dropout(x: Spec, key: Spec, *, p: float) -> Spec:
    check_key("dropout(x, key, p)", key)
    if not is_floating(x.dtype):
        raise DTypeError(message("dropout(x, key, p): x is not floating", [operand("x", x)], "need a floating dtype"))
    if not 0 <= p <= 1:
        raise ShapeError(f"dropout(x, key, p): p is {p}\n  need 0 <= p <= 1")
    return x


def dropout_threshold(p: float) -> int:
    """A word is kept where its upper 24 bits reach this: integers, so that every device agrees to the bit."""
    return math.ceil(p * 2**24)


def dropout_scale(p: float) -> float:
    return 0.0 if p >= 1 else 1.0 / (1.0 - p)


def _dropout_vjp(g: Array, ans: Any, x: Any, key: Array, p: float) -> Array:
    return dropout(g, key, p=p)


def _dropout_jvp(ts: Any, ans: Any, x: Any, key: Array, p: float) -> Array:
    return dropout(ts[0], key, p=p)


@leaf(
    "dropout",
    infer=_infer_dropout,
    vjp=(_dropout_vjp, None),
    saves=("key", ""),
    jvp=_dropout_jvp,
    moves=True,  # rounds once by itself, and its mask must not depend on the dtype
    complex=False,
    samples=lambda: [
        sample((5, 7), np.array([1, 2], np.uint64), p=0.3),
        sample((1,), np.array([1, 2], np.uint64), p=0.5),
        sample((33, 31), np.array([2**63 + 5, 2**40], np.uint64), p=0.0),
        sample((4, 3), np.array([3, 0], np.uint64), p=1.0),
        sample((0, 3), np.array([3, 0], np.uint64), p=0.5),
    ],
)
def dropout(xp: Any, x: Array, key: Array, *, p: float) -> Array:
    """y[i] = x[i] / (1 - p) with probability 1 - p, else 0.

    The mask is drawn from `key` again in the backward pass; nothing is kept.  It does not depend on
    the dtype or the device.

    Shapes: x any; key ``uint64[2]`` (see `Generator.key`).  Dtypes: floating.  Derivative: every order
    (linear in x).  Kernel: ``dropout.cu``.
    Source: Srivastava et al., "Dropout", JMLR 15 (2014).
    """
    threshold, n = dropout_threshold(p), x.size
    wide = x.dtype if x.dtype == float64 else float32
    host = backends.backend_of(x).to_host
    flat, out = host(x).reshape(-1), np.empty(n, x.dtype)
    scale = wide.type(dropout_scale(p))
    for start, words in philox.chunks(host(key), n):
        words >>= np.uint32(8)
        part = flat[start : start + len(words)].astype(wide)
        np.putmask(part, words < threshold, wide.type(0))
        part *= scale
        out[start : start + len(words)] = part
    return xp.asarray(out.reshape(x.shape))


# -- kernels

_dropout = Kernel("dropout.cu", "dropout", "x key y | n threshold scale")


@dropout.kernel("cuda", planned=True)
def _(x: Array, key: Array, *, p: float) -> Array:
    y = backends.backend_of(x).empty(x.shape, x.dtype)
    if x.size:
        _dropout(blocks_for(x.size, 4), 256, x, key, y, x.size, dropout_threshold(p), dropout_scale(p), T=x.dtype)
    return y


op.register(dropout=dropout)
