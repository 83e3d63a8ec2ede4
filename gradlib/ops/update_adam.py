"""Adam's relatives as optimizer steps: AMSGrad, Adamax, NAdam, RAdam.

The composite is the definition and follows PyTorch's arithmetic; the kernels are in ``update_adam.cu``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import between, op, sample
from .update_rule import decayed, number, rule

__all__ = ["adamax", "amsgrad", "nadam", "radam"]

Array = Any
Betas = tuple[float, float]
_LR, _FIRST, _LATER = np.array([0.1]), np.array([1]), np.array([7])


def _scalars(lr: Array, step: Array) -> tuple[Array, Array]:
    """Return lr and t as float64 numbers."""
    return op.reshape(lr, shape=()), op.cast(op.reshape(step, shape=()), dtype="float64")


def _unbias(beta: float, t: Array) -> Array:
    """Return 1 - beta^t."""
    return op.subtract(1.0, op.power(beta, t))


def _shrunk(param: Array, rate: Array, weight_decay: float) -> Array:
    """Return (1 - lr weight_decay) p."""
    return op.multiply(param, number(op.subtract(1.0, op.multiply(rate, weight_decay)), param))


def _moments(m: Array, v: Array, g: Array, betas: Betas) -> tuple[Array, Array]:
    m = op.add(m, op.multiply(op.subtract(g, m), 1.0 - betas[0]))
    return m, op.add(op.multiply(v, betas[1]), op.multiply(op.multiply(g, g), 1.0 - betas[1]))


def _samples(**last: Any) -> list[Any]:
    """Samples of an op with two buffers, the second one not negative; `last` are parameters of the last sample."""
    return [
        sample((5, 7), between(0, 0, 5, 7), between(0, 0, 5, 7), (5, 7), _LR, _FIRST),
        sample((5, 7), (5, 7), between(0.1, 1, 5, 7), (5, 7), _LR, _LATER, weight_decay=0.1),
        sample((1,), (1,), between(0.1, 1, 1), (1,), _LR, _LATER, betas=(0.5, 0.9), eps=1e-3, maximize=True),
        sample((0, 3), (0, 3), (0, 3), (0, 3), _LR, _LATER, **last),
    ]


def _amsgrad_samples() -> list[Any]:
    peak, v = between(0.5, 1.5, 13), between(0.1, 1, 13)
    return [
        sample((5, 7), *[between(0, 0, 5, 7)] * 3, (5, 7), _LR, _FIRST),
        sample((13,), (13,), v, peak, (13,), _LR, _LATER, weight_decay=0.1, maximize=True),
        sample((13,), (13,), v, peak, (13,), _LR, _LATER, weight_decay=0.1, decoupled=True),
        sample((0, 3), (0, 3), (0, 3), (0, 3), (0, 3), _LR, _LATER),
    ]


@rule("amsgrad", writes="param exp_avg exp_avg_sq max_exp_avg_sq", kernel="update_adam.cu", samples=_amsgrad_samples)
def amsgrad(
    param: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    max_exp_avg_sq: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> tuple[Array, Array, Array, Array]:
    """p <- p - lr m / (1 - b1^t) / (sqrt(h / (1 - b2^t)) + eps); h <- max(h, v), m and v as in `adam`.

    Shapes: param, exp_avg (m), exp_avg_sq (v), max_exp_avg_sq (h), grad equal.  Kernel: ``update_adam.cu``.
    Source: Reddi, Kale, Kumar, "On the convergence of Adam and beyond", ICLR 2018, Algorithm 2.
    """
    rate, t = _scalars(lr, step)
    g = decayed(param, grad, 0.0 if decoupled else weight_decay, maximize)
    if decoupled and weight_decay:
        param = _shrunk(param, rate, weight_decay)
    m, v = _moments(exp_avg, exp_avg_sq, g, betas)
    h = op.maximum(max_exp_avg_sq, v)
    denominator = op.add(op.divide(op.sqrt(h), number(op.sqrt(_unbias(betas[1], t)), param)), eps)
    size = number(op.divide(rate, _unbias(betas[0], t)), param)
    return op.subtract(param, op.divide(op.multiply(m, size), denominator)), m, v, h


@rule("adamax", writes="param exp_avg exp_inf", kernel="update_adam.cu", samples=_samples)
def adamax(
    param: Array,
    exp_avg: Array,
    exp_inf: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, Array, Array]:
    """p <- p - lr m / (1 - b1^t) / u; m <- b1 m + (1 - b1) g; u <- max(b2 u, |g| + eps).

    g is grad (its negative with `maximize`) + weight_decay p.
    Shapes: param, exp_avg (m), exp_inf (u), grad equal.  Kernel: ``update_adam.cu``.
    Source: Kingma and Ba, "Adam", ICLR 2015, Algorithm 2.
    """
    rate, t = _scalars(lr, step)
    g = decayed(param, grad, weight_decay, maximize)
    m = op.add(exp_avg, op.multiply(op.subtract(g, exp_avg), 1.0 - betas[0]))
    u = op.maximum(op.multiply(exp_inf, betas[1]), op.add(op.abs(g), eps))
    size = number(op.divide(rate, _unbias(betas[0], t)), param)
    return op.subtract(param, op.divide(op.multiply(m, size), u)), m, u


def _nadam_samples() -> list[Any]:
    mu, v = np.array([0.3]), between(0.1, 1, 13)
    return [
        sample((5, 7), between(0, 0, 5, 7), between(0, 0, 5, 7), np.array([1.0]), (5, 7), _LR, _FIRST),
        sample((13,), (13,), v, mu, (13,), _LR, _LATER, weight_decay=0.1, maximize=True),
        sample((13,), (13,), v, mu, (13,), _LR, _LATER, weight_decay=0.1, decoupled_weight_decay=True),
        sample((0, 3), (0, 3), (0, 3), mu, (0, 3), _LR, _LATER, momentum_decay=0.1),
    ]


@rule(
    "nadam",
    writes="param exp_avg exp_avg_sq mu_product",
    scalars="mu_product",
    kernel="update_adam.cu",
    samples=_nadam_samples,
)
def nadam(
    param: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    mu_product: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> tuple[Array, Array, Array, Array]:
    """p <- p - lr (mu' m / (1 - M mu') + (1 - mu) g / (1 - M)) / (sqrt(v / (1 - b2^t)) + eps).

    mu = b1 (1 - 0.96^(t momentum_decay) / 2), mu' the one of t + 1, M the product of all mu so far; m and v
    as in `adam`.

    Shapes: param, exp_avg (m), exp_avg_sq (v), grad equal; mu_product (M) float64[1].  Kernel: ``update_adam.cu``.
    Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.
    """
    rate, t = _scalars(lr, step)
    g = decayed(param, grad, 0.0 if decoupled_weight_decay else weight_decay, maximize)
    if decoupled_weight_decay and weight_decay:
        param = _shrunk(param, rate, weight_decay)

    def weight(t: Array) -> Array:
        decay = op.power(0.96, op.multiply(t, momentum_decay))
        return op.multiply(op.subtract(1.0, op.multiply(decay, 0.5)), betas[0])

    mu, following = weight(t), weight(op.add(t, 1.0))
    product = op.multiply(mu_product, mu)
    total = op.reshape(product, shape=())
    m, v = _moments(exp_avg, exp_avg_sq, g, betas)
    denominator = op.add(op.divide(op.sqrt(v), number(op.sqrt(_unbias(betas[1], t)), param)), eps)
    of_g = op.divide(op.multiply(rate, op.subtract(1.0, mu)), op.subtract(1.0, total))
    of_m = op.divide(op.multiply(rate, following), op.subtract(1.0, op.multiply(total, following)))
    direction = op.add(op.multiply(g, number(of_g, param)), op.multiply(m, number(of_m, param)))
    return op.subtract(param, op.divide(direction, denominator)), m, v, product


@rule(
    "radam",
    writes="param exp_avg exp_avg_sq",
    kernel="update_adam.cu",
    samples=lambda: _samples(decoupled_weight_decay=True),
)
def radam(
    param: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> tuple[Array, Array, Array]:
    """p <- p - lr m / (1 - b1^t) r sqrt(1 - b2^t) / (sqrt(v) + eps) where rho > 5, else p - lr m / (1 - b1^t).

    rho = R - 2 t b2^t / (1 - b2^t), R = 2 / (1 - b2) - 1, and r = sqrt((rho - 4)(rho - 2) R / ((R - 4)(R - 2) rho));
    m and v as in `adam`.

    Shapes: param, exp_avg (m), exp_avg_sq (v), grad equal.  Kernel: ``update_adam.cu``.
    Source: Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020, Algorithm 2.
    """
    rate, t = _scalars(lr, step)
    g = decayed(param, grad, 0.0 if decoupled_weight_decay else weight_decay, maximize)
    if decoupled_weight_decay and weight_decay:
        param = _shrunk(param, rate, weight_decay)
    m, v = _moments(exp_avg, exp_avg_sq, g, betas)
    largest = 2.0 / (1.0 - betas[1]) - 1.0
    unbias = _unbias(betas[1], t)
    rho = op.subtract(largest, op.divide(op.multiply(op.multiply(t, 2.0), op.power(betas[1], t)), unbias))
    rectify = op.greater(rho, 5.0)
    safe = op.where(rectify, rho, 6.0)
    ratio = op.divide(op.multiply(op.subtract(safe, 4.0), op.subtract(safe, 2.0)), safe)
    scale = math.sqrt(largest / ((largest - 4.0) * (largest - 2.0))) if largest > 5 else 0.0
    factor = op.multiply(op.multiply(op.sqrt(ratio), scale), op.sqrt(unbias))
    size = number(op.divide(rate, _unbias(betas[0], t)), param)
    adapted = op.divide(number(factor, param), op.add(op.sqrt(v), eps))
    adapted = op.where(rectify, adapted, op.ones_like(adapted))
    return op.subtract(param, op.multiply(op.multiply(m, size), adapted)), m, v


op.register(adamax=adamax, amsgrad=amsgrad, nadam=nadam, radam=radam)
