"""Optimizer steps that scale each element by its own history: Adagrad, Adadelta, RMSprop, Rprop.

The composite is the definition and follows PyTorch's arithmetic; the kernels are in ``update_adaptive.cu``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import between, op, sample
from .update_rule import decayed, number, rule

__all__ = ["adadelta", "adagrad", "rmsprop", "rprop"]

Array = Any
_LR, _FIRST, _LATER = np.array([0.1]), np.array([1]), np.array([7])


def _first(step: Array) -> Array:
    return op.equal(op.reshape(step, shape=()), 1)


def _blend(old: Array, new: Array, keep: float) -> Array:
    """Return keep old + (1 - keep) new."""
    return op.add(op.multiply(old, keep), op.multiply(new, 1.0 - keep))


def _adagrad_samples() -> list[Any]:
    return [
        sample((5, 7), between(0, 0, 5, 7), (5, 7), _LR, _FIRST, initial_accumulator_value=0.3),
        sample((13,), between(0.1, 1, 13), (13,), _LR, _LATER, lr_decay=0.1, weight_decay=0.1, maximize=True),
        sample((0, 3), (0, 3), (0, 3), _LR, _LATER),
    ]


@rule("adagrad", writes="param sum", kernel="update_adaptive.cu", samples=_adagrad_samples)
def adagrad(
    param: Array,
    sum: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
) -> tuple[Array, Array]:
    """p <- p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps); s <- s + g^2, s starting at initial_accumulator_value.

    g is grad (its negative with `maximize`) + weight_decay p.
    Shapes: param, sum, grad equal.  Kernel: ``update_adaptive.cu``.
    Source: Duchi, Hazan, Singer, "Adaptive subgradient methods", JMLR 12 (2011), equation 1.
    """
    g = decayed(param, grad, weight_decay, maximize)
    if initial_accumulator_value:
        sum = op.where(_first(step), op.add(sum, initial_accumulator_value), sum)
    sum = op.add(sum, op.multiply(g, g))
    t = op.cast(op.reshape(step, shape=()), dtype="float64")
    slowed = op.divide(op.reshape(lr, shape=()), op.add(op.multiply(op.subtract(t, 1.0), lr_decay), 1.0))
    return op.subtract(param, op.divide(op.multiply(g, number(slowed, param)), op.add(op.sqrt(sum), eps))), sum


def _adadelta_samples() -> list[Any]:
    return [
        sample((5, 7), between(0, 0, 5, 7), between(0, 0, 5, 7), (5, 7), _LR, _FIRST),
        sample((13,), between(0.1, 1, 13), between(0.1, 1, 13), (13,), _LR, _LATER, weight_decay=0.1, maximize=True),
        sample((0, 3), (0, 3), (0, 3), (0, 3), _LR, _LATER, rho=0.5),
    ]


@rule("adadelta", writes="param square_avg acc_delta", kernel="update_adaptive.cu", samples=_adadelta_samples)
def adadelta(
    param: Array,
    square_avg: Array,
    acc_delta: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, Array, Array]:
    """p <- p - lr d, d = sqrt(u + eps) / sqrt(v + eps) g; v <- rho v + (1 - rho) g^2, u <- rho u + (1 - rho) d^2.

    g is grad (its negative with `maximize`) + weight_decay p; d is computed with the new v and the old u.
    Shapes: param, square_avg (v), acc_delta (u), grad equal.  Kernel: ``update_adaptive.cu``.
    Source: Zeiler, "ADADELTA: an adaptive learning rate method", 2012, Algorithm 1.
    """
    g = decayed(param, grad, weight_decay, maximize)
    v = _blend(square_avg, op.multiply(g, g), rho)
    d = op.multiply(op.divide(op.sqrt(op.add(acc_delta, eps)), op.sqrt(op.add(v, eps))), g)
    return op.subtract(param, op.multiply(d, number(lr, param))), v, _blend(acc_delta, op.multiply(d, d), rho)


def _rmsprop_samples() -> list[Any]:
    return [
        sample((5, 7), between(0, 0, 5, 7), None, None, (5, 7), _LR, _FIRST),
        sample((13,), between(1, 2, 13), between(-0.5, 0.5, 13), None, (13,), _LR, _LATER, weight_decay=0.1),
        sample((13,), between(1, 2, 13), between(-0.5, 0.5, 13), (13,), (13,), _LR, _LATER, momentum=0.9),
        sample((1,), between(1, 2, 1), None, (1,), (1,), _LR, _LATER, alpha=0.5, momentum=0.9, maximize=True),
        sample((0, 3), (0, 3), None, None, (0, 3), _LR, _LATER),
    ]


@rule(
    "rmsprop", writes="param square_avg grad_avg momentum_buffer", kernel="update_adaptive.cu", samples=_rmsprop_samples
)
def rmsprop(
    param: Array,
    square_avg: Array,
    grad_avg: Array | None,
    momentum_buffer: Array | None,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, Array, Array | None, Array | None]:
    """p <- p - lr d, d = g / (sqrt(v) + eps); v <- alpha v + (1 - alpha) g^2.

    g is grad (its negative with `maximize`) + weight_decay p.  With `grad_avg` a (centered), v - a^2 stands
    in for v, a <- alpha a + (1 - alpha) g; with `momentum_buffer` b, p <- p - lr b, b <- momentum b + d.
    Shapes: param, square_avg (v), grad_avg, momentum_buffer, grad equal.  Kernel: ``update_adaptive.cu``.
    Source: Tieleman, Hinton, "Lecture 6.5: RMSProp", 2012; centered: Graves, 2013, equations 38 to 45.
    """
    g = decayed(param, grad, weight_decay, maximize)
    v = spread = _blend(square_avg, op.multiply(g, g), alpha)
    if grad_avg is not None:
        grad_avg = op.add(grad_avg, op.multiply(op.subtract(g, grad_avg), 1.0 - alpha))
        spread = op.subtract(v, op.multiply(grad_avg, grad_avg))
    d = op.divide(g, op.add(op.sqrt(spread), eps))
    if momentum_buffer is not None:
        d = momentum_buffer = op.add(op.multiply(momentum_buffer, momentum), d)
    return op.subtract(param, op.multiply(d, number(lr, param))), v, grad_avg, momentum_buffer


def _rprop_samples() -> list[Any]:
    return [
        sample((5, 7), between(0, 0, 5, 7), between(0.1, 0.1, 5, 7), (5, 7), _LR, _FIRST),
        sample((13,), (13,), between(0.1, 1, 13), (13,), _LR, _LATER, etas=(0.4, 1.3), maximize=True),
        sample((7,), (7,), between(0.1, 1, 7), (7,), _LR, _LATER, step_sizes=(0.3, 0.5)),
        sample((0, 3), (0, 3), (0, 3), (0, 3), _LR, _LATER),
    ]


@rule("rprop", writes="param prev step_size", kernel="update_adaptive.cu", samples=_rprop_samples)
def rprop(
    param: Array,
    prev: Array,
    step_size: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    maximize: bool = False,
) -> tuple[Array, Array, Array]:
    """p <- p - s sign(g); s <- s etas[1] where g kept its sign, s etas[0] and g <- 0 where it changed, in `step_sizes`.

    g is grad (its negative with `maximize`), `prev` the g of the step before; `lr` is only where s starts.
    Shapes: param, prev, step_size (s), grad equal.  Kernel: ``update_adaptive.cu``.
    Source: Riedmiller, Braun, "A direct adaptive method for faster backpropagation learning", 1993.
    """
    g = decayed(param, grad, 0.0, maximize)
    agreement = op.multiply(op.sign(g), op.sign(prev))
    turned = op.less(agreement, 0)
    factor = op.where(op.greater(agreement, 0), etas[1], op.where(turned, etas[0], op.ones_like(g)))
    size = op.clip(op.multiply(step_size, factor), step_sizes[0], step_sizes[1])
    g = op.where(turned, 0.0, g)
    return op.subtract(param, op.multiply(op.sign(g), size)), g, size


op.register(adadelta=adadelta, adagrad=adagrad, rmsprop=rmsprop, rprop=rprop)
