"""Optimizer steps by sign, by layer, by matrix and by average: Lion, LAMB, Muon, ASGD.

As in `update`: the composite is the definition; the arrays are (param, its buffers, grad, lr float64[1], step
int64[1], 1 at the first update).  There are no kernels yet: composition.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import between, op, sample, update
from ..errors import ShapeError, message, operand
from .update import _check, _decayed, _number
from .update_adam import Betas, _moments, _samples, _scalars, _shrunk, _unbias

__all__ = ["asgd", "lamb", "lion", "muon"]

Array = Any
_LR, _FIRST, _LATER = np.array([0.1]), np.array([1]), np.array([7])


def _lion_samples() -> list[Any]:
    return [
        sample((5, 7), between(0, 0, 5, 7), (5, 7), _LR, _FIRST),
        sample((13,), (13,), (13,), _LR, _LATER, weight_decay=0.1, betas=(0.7, 0.8), maximize=True),
        sample((0, 3), (0, 3), (0, 3), _LR, _LATER),
    ]


@update("lion", writes="param exp_avg", samples=_lion_samples)
def lion(
    param: Array,
    exp_avg: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    betas: Betas = (0.9, 0.99),
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, Array]:
    """p <- (1 - lr weight_decay) p - lr sign(b1 m + (1 - b1) g); m <- b2 m + (1 - b2) g.

    g is grad (its negative with `maximize`).
    Shapes: param, exp_avg (m), grad equal.  Kernel: composition.
    Source: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, Algorithm 2.
    """
    _check("lion(param, exp_avg, grad, lr, step)", ("exp_avg",), param, grad, (exp_avg,), lr, step)
    g = _decayed(param, grad, 0.0, maximize)
    if weight_decay:
        param = _shrunk(param, op.reshape(lr, shape=()), weight_decay)
    direction = op.sign(op.add(op.multiply(exp_avg, betas[0]), op.multiply(g, 1.0 - betas[0])))
    m = op.add(op.multiply(exp_avg, betas[1]), op.multiply(g, 1.0 - betas[1]))
    return op.subtract(param, op.multiply(direction, _number(lr, param))), m


def _norm(x: Array) -> Array:
    return op.sqrt(op.sum(op.multiply(x, x)))


@update("lamb", writes="param exp_avg exp_avg_sq", samples=_samples)
def lamb(
    param: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, Array, Array]:
    """p <- p - lr |p| / |u| u, u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay p.

    m and v as in `adam`; where |p| or |u| is 0, their ratio counts as 1.
    Shapes: param, exp_avg (m), exp_avg_sq (v), grad equal.  Kernel: composition.
    Source: You et al., "Large batch optimization for deep learning", ICLR 2020, Algorithm 2 (phi the identity).
    """
    names = ("exp_avg", "exp_avg_sq")
    _check("lamb(param, exp_avg, exp_avg_sq, grad, lr, step)", names, param, grad, (exp_avg, exp_avg_sq), lr, step)
    rate, t = _scalars(lr, step)
    m, v = _moments(exp_avg, exp_avg_sq, _decayed(param, grad, 0.0, maximize), betas)
    denominator = op.add(op.divide(op.sqrt(v), _number(op.sqrt(_unbias(betas[1], t)), param)), eps)
    u = op.divide(op.divide(m, _number(_unbias(betas[0], t), param)), denominator)
    if weight_decay:
        u = op.add(u, op.multiply(param, weight_decay))
    of_p, of_u = _norm(param), _norm(u)
    both = op.logical_and(op.greater(of_p, 0), op.greater(of_u, 0))
    trust = op.divide(op.where(both, of_p, 1.0), op.where(both, of_u, 1.0))
    return op.subtract(param, op.multiply(u, op.multiply(trust, _number(rate, param)))), m, v


def _muon_samples() -> list[Any]:
    return [
        sample((5, 7), between(0, 0, 5, 7), (5, 7), _LR, _FIRST),
        sample((7, 4), (7, 4), (7, 4), _LR, _LATER, nesterov=False, adjust_lr_fn="match_rms_adamw"),
        sample((1, 3), (1, 3), (1, 3), _LR, _LATER, momentum=0.5, ns_steps=2, weight_decay=0.0),
    ]


@update("muon", writes="param momentum_buffer", samples=_muon_samples)
def muon(
    param: Array,
    momentum_buffer: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> tuple[Array, Array]:
    """p <- (1 - lr weight_decay) p - lr s O(u); b <- momentum b + (1 - momentum) g; u = b, or its next with `nesterov`.

    O is the nearest half-orthogonal matrix, by `ns_steps` of Newton and Schulz's iteration
    X <- a X + (b A + c A^2) X, A = X X^T, from X = u / max(|u|, eps), (a, b, c) the `ns_coefficients`;
    s = sqrt(max(1, out / in)), with ``adjust_lr_fn="match_rms_adamw"`` 0.2 sqrt(max(in, out)).

    The iteration is in the parameter's dtype (float32 for a reduced one), where PyTorch rounds to bfloat16.
    Shapes: param, momentum_buffer (b), grad (in, out).  Kernel: composition.
    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; Liu et al.,
    "Muon is scalable for LLM training", 2025 (the second s).
    """
    name = "muon(param, momentum_buffer, grad, lr, step)"
    _check(name, ("momentum_buffer",), param, grad, (momentum_buffer,), lr, step)
    if param.ndim != 2:
        raise ShapeError(message(f"{name}: param is no matrix", [operand("param", param)], "need (in, out)"))
    inputs, outputs = param.shape
    new = op.add(momentum_buffer, op.multiply(op.subtract(grad, momentum_buffer), 1.0 - momentum))
    u = op.add(grad, op.multiply(op.subtract(new, grad), momentum)) if nesterov else new
    wide = inputs > outputs
    x = op.matrix_transpose(u) if wide else u
    x = op.divide(x, op.maximum(_norm(x), eps))
    a, b, c = ns_coefficients
    for _ in range(ns_steps):
        gram = op.matmul(x, op.matrix_transpose(x))
        mix = op.add(op.multiply(gram, b), op.multiply(op.matmul(gram, gram), c))
        x = op.add(op.multiply(x, a), op.matmul(mix, x))
    x = op.matrix_transpose(x) if wide else x
    if adjust_lr_fn == "match_rms_adamw":
        scale = 0.2 * math.sqrt(max(inputs, outputs))
    else:
        scale = math.sqrt(max(1.0, outputs / max(inputs, 1)))
    if weight_decay:
        param = _shrunk(param, op.reshape(lr, shape=()), weight_decay)
    return op.subtract(param, op.multiply(x, op.multiply(_number(lr, param), scale))), new


def _asgd_samples() -> list[Any]:
    eta = np.array([0.05])
    return [
        sample((5, 7), between(0, 0, 5, 7), eta, (5, 7), _LR, _FIRST),
        sample((13,), (13,), eta, (13,), _LR, _LATER, t0=2.0, weight_decay=0.1, maximize=True),
        sample((0, 3), (0, 3), eta, (0, 3), _LR, _LATER, lambd=0.1, alpha=0.5),
    ]


@update("asgd", writes="param ax eta", samples=_asgd_samples)
def asgd(
    param: Array,
    ax: Array,
    eta: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, Array, Array]:
    """p <- (1 - lambd eta) p - eta g; ax <- ax + (p - ax) / max(1, t - 1 - t0); eta <- lr / (1 + lambd lr t)^alpha.

    g is grad (its negative with `maximize`) + weight_decay p; eta, the next step's rate, starts at lr.
    Shapes: param, ax (the average), grad equal; eta float64[1].  Kernel: composition.
    Source: Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """
    _check("asgd(param, ax, eta, grad, lr, step)", ("ax",), param, grad, (ax,), lr, step)
    rate, t = _scalars(lr, step)
    g = _decayed(param, grad, weight_decay, maximize)
    now = op.reshape(eta, shape=())
    param = op.subtract(_shrunk(param, now, lambd), op.multiply(g, _number(now, param)))
    share = op.divide(1.0, op.maximum(op.subtract(t, 1.0 + t0), 1.0))
    ax = op.add(ax, op.multiply(op.subtract(param, ax), _number(share, param)))
    following = op.divide(rate, op.power(op.add(op.multiply(op.multiply(rate, t), lambd), 1.0), alpha))
    return param, ax, op.reshape(following, shape=(1,))


op.register(asgd=asgd, lamb=lamb, lion=lion, muon=muon)
