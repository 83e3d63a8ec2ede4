"""Optimizer steps by sign, by layer, by matrix and by average: Lion, LAMB, Muon, ASGD.

The composite is the definition; the kernels are in ``update_other.cu``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import between, op, sample
from ..errors import ShapeError, message, operand
from ..kernel import CHUNK, Kernel, Table
from ..spec import REDUCED, float32
from .update_adam import Betas, _moments, _samples, _scalars, _shrunk, _unbias
from .update_rule import BLOCK, decayed, number, numbers, rule, types

__all__ = ["asgd", "lamb", "lion", "muon"]

Array = Any
_LR, _FIRST, _LATER = np.array([0.1]), np.array([1]), np.array([7])


def _lion_samples() -> list[Any]:
    return [
        sample((5, 7), between(0, 0, 5, 7), (5, 7), _LR, _FIRST),
        sample((13,), (13,), (13,), _LR, _LATER, weight_decay=0.1, betas=(0.7, 0.8), maximize=True),
        sample((0, 3), (0, 3), (0, 3), _LR, _LATER),
    ]


@rule("lion", writes="param exp_avg", kernel="update_other.cu", samples=_lion_samples)
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
    Shapes: param, exp_avg (m), grad equal.  Kernel: ``update_other.cu``.
    Source: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, Algorithm 2.
    """
    g = decayed(param, grad, 0.0, maximize)
    if weight_decay:
        param = _shrunk(param, op.reshape(lr, shape=()), weight_decay)
    direction = op.sign(op.add(op.multiply(exp_avg, betas[0]), op.multiply(g, 1.0 - betas[0])))
    m = op.add(op.multiply(exp_avg, betas[1]), op.multiply(g, 1.0 - betas[1]))
    return op.subtract(param, op.multiply(direction, number(lr, param))), m


def _norm(x: Array) -> Array:
    return op.sqrt(op.sum(op.multiply(x, x)))


@rule("lamb", writes="param exp_avg exp_avg_sq", samples=_samples)
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
    Shapes: param, exp_avg (m), exp_avg_sq (v), grad equal.  Kernel: ``update_other.cu``.
    Source: You et al., "Large batch optimization for deep learning", ICLR 2020, Algorithm 2 (phi the identity).
    """
    rate, t = _scalars(lr, step)
    m, v = _moments(exp_avg, exp_avg_sq, decayed(param, grad, 0.0, maximize), betas)
    denominator = op.add(op.divide(op.sqrt(v), number(op.sqrt(_unbias(betas[1], t)), param)), eps)
    u = op.divide(op.divide(m, number(_unbias(betas[0], t), param)), denominator)
    if weight_decay:
        u = op.add(u, op.multiply(param, weight_decay))
    of_p, of_u = _norm(param), _norm(u)
    both = op.logical_and(op.greater(of_p, 0), op.greater(of_u, 0))
    trust = op.divide(op.where(both, of_p, 1.0), op.where(both, of_u, 1.0))
    return op.subtract(param, op.multiply(u, op.multiply(trust, number(rate, param)))), m, v


def _muon_samples() -> list[Any]:
    return [
        sample((5, 7), between(0, 0, 5, 7), (5, 7), _LR, _FIRST),
        sample((7, 4), (7, 4), (7, 4), _LR, _LATER, nesterov=False, adjust_lr_fn="match_rms_adamw"),
        sample((1, 3), (1, 3), (1, 3), _LR, _LATER, momentum=0.5, ns_steps=2, weight_decay=0.0),
    ]


def _matrix(call: str, param: Array) -> None:
    if param.ndim != 2:
        raise ShapeError(message(f"{call}: param is no matrix", [operand("param", param)], "need (in, out)"))


@rule("muon", writes="param momentum_buffer", samples=_muon_samples, check=_matrix)
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
    Shapes: param, momentum_buffer (b), grad (in, out).
    Kernel: ``update_other.cu`` before and after the products, which are of all matrices of a shape together.
    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; Liu et al.,
    "Muon is scalable for LLM training", 2025 (the second s).
    """
    new = op.add(momentum_buffer, op.multiply(op.subtract(grad, momentum_buffer), 1.0 - momentum))
    u = op.add(grad, op.multiply(op.subtract(new, grad), momentum)) if nesterov else new
    x = _orthogonal(u, ns_coefficients, eps, ns_steps)
    if weight_decay:
        param = _shrunk(param, op.reshape(lr, shape=()), weight_decay)
    return op.subtract(param, op.multiply(x, op.multiply(number(lr, param), _scale(param.shape, adjust_lr_fn)))), new


def _orthogonal(u: Array, coefficients: tuple[float, float, float], eps: float, steps: int) -> Array:
    """Return O(u) of a matrix, or of each matrix of a stack."""
    wide = u.shape[-2] > u.shape[-1]
    x = op.matrix_transpose(u) if wide else u
    norm = op.sqrt(op.sum(op.multiply(x, x), axis=(-2, -1), keepdims=True))
    x = op.divide(x, op.maximum(norm, eps))
    a, b, c = coefficients
    for _ in range(steps):
        gram = op.matmul(x, op.matrix_transpose(x))
        mix = op.add(op.multiply(gram, b), op.multiply(op.matmul(gram, gram), c))
        x = op.add(op.multiply(x, a), op.matmul(mix, x))
    return op.matrix_transpose(x) if wide else x


def _scale(shape: tuple[int, ...], adjust_lr_fn: str | None) -> float:
    inputs, outputs = shape
    if adjust_lr_fn == "match_rms_adamw":
        return 0.2 * math.sqrt(max(inputs, outputs))
    return math.sqrt(max(1.0, outputs / max(inputs, 1)))


def _asgd_samples() -> list[Any]:
    eta = np.array([0.05])
    return [
        sample((5, 7), between(0, 0, 5, 7), eta, (5, 7), _LR, _FIRST),
        sample((13,), (13,), eta, (13,), _LR, _LATER, t0=2.0, weight_decay=0.1, maximize=True),
        sample((0, 3), (0, 3), eta, (0, 3), _LR, _LATER, lambd=0.1, alpha=0.5),
    ]


@rule("asgd", writes="param ax eta", scalars="eta", kernel="update_other.cu", samples=_asgd_samples)
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
    Shapes: param, ax (the average), grad equal; eta float64[1].  Kernel: ``update_other.cu``.
    Source: Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """
    rate, t = _scalars(lr, step)
    g = decayed(param, grad, weight_decay, maximize)
    now = op.reshape(eta, shape=())
    param = op.subtract(_shrunk(param, now, lambd), op.multiply(g, number(now, param)))
    share = op.divide(1.0, op.maximum(op.subtract(t, 1.0 + t0), 1.0))
    ax = op.add(ax, op.multiply(op.subtract(param, ax), number(share, param)))
    following = op.divide(rate, op.power(op.add(op.multiply(op.multiply(rate, t), lambd), 1.0), alpha))
    return param, ax, op.reshape(following, shape=(1,))


# -- kernels


_lamb_moments = Kernel(
    "update_other.cu",
    "lamb_moments",
    "arrays chunks part step | count share beta1 beta2 eps weight_decay maximize",
)
_lamb_trust = Kernel("update_other.cu", "lamb_trust", "part first trust")
_lamb_apply = Kernel(
    "update_other.cu", "lamb_apply", "arrays chunks trust lr step | count share beta1 beta2 eps weight_decay"
)
_muon_momentum = Kernel("update_other.cu", "muon_momentum", "arrays chunks | count share momentum nesterov")
_muon_apply = Kernel("update_other.cu", "muon_apply", "arrays chunks lr | count share weight_decay")


@lamb.group_kernel("cuda")
def _(rows: list[list[Array]], lr: Array, step: Array, *, table: Table, **params: Any) -> Any:
    """Moments and squares of each chunk; the ratio of each tensor; the step: three launches, whatever the count."""
    macros = types(lamb, rows)
    if macros is None or rows[0][1].dtype in REDUCED:  # the step reads the moments again, so they must not be rounded
        return NotImplemented
    table.fill(rows)
    if table.count == 0:
        return None
    backend, values = backends.backend_of(rows[0][0]), numbers(lamb, params)
    part = backend.empty((table.count, 2), _wide(rows[0][0].dtype))
    trust = backend.empty((len(rows),), part.dtype)
    arrays, sizes = (table.arrays, table.chunks), (table.count, CHUNK)
    launch = {"reached": lambda: table.reached(rows, lamb.own), **macros}
    _lamb_moments(table.blocks, BLOCK, *arrays, part, step, *sizes, *values, **launch)
    _lamb_trust(len(rows), BLOCK, part, table.first, trust, **macros)
    _lamb_apply(table.blocks, BLOCK, *arrays, trust, lr, step, *sizes, *values[:-1], **launch)
    return None


@muon.group_kernel("cuda")
def _(
    rows: list[list[Array]], lr: Array, step: Array, *, table: Table, weight_decay: float = 0.1, momentum: float = 0.95,
    nesterov: bool = True, ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7,
    ns_steps: int = 5, adjust_lr_fn: str | None = None,
) -> Any:  # fmt: skip
    """One launch before the products, one after; those of equal shapes are multiplied as stacks."""
    macros = types(muon, rows)
    if macros is None:
        return NotImplemented
    backend, wide = backends.backend_of(rows[0][0]), _wide(rows[0][0].dtype)
    rows = [row for row in rows if row[0].size]
    if not rows:
        return None
    places: dict[tuple[int, ...], list[int]] = {}
    for i, (param, _, _) in enumerate(rows):
        places.setdefault(param.shape, []).append(i)
    stacks = {shape: backend.empty((len(at), *shape), wide) for shape, at in places.items()}
    before: list[list[Array]] = [[] for _ in rows]
    for shape, at in places.items():
        for k, i in enumerate(at):
            before[i] = [stacks[shape][k], *rows[i][1:]]
    table.fill(before)
    _muon_momentum(
        table.blocks, BLOCK, table.arrays, table.chunks, table.count, CHUNK, momentum, int(nesterov),
        reached=lambda: table.reached(before, ("u", "momentum_buffer", "grad")), **macros,
    )  # fmt: skip
    after: list[list[Array]] = [[] for _ in rows]
    for shape, at in places.items():
        x = _orthogonal(stacks[shape], ns_coefficients, eps, ns_steps)
        x = backend.xp.ascontiguousarray(op.multiply(x, _scale(shape, adjust_lr_fn)))
        for k, i in enumerate(at):
            after[i] = [rows[i][0], backend.coerce(x)[k]]
    last = table.other
    last.fill(after)
    _muon_apply(
        last.blocks, BLOCK, last.arrays, last.chunks, lr, last.count, CHUNK, weight_decay,
        reached=lambda: last.reached(after, ("param", "x")), **macros,
    )  # fmt: skip
    return None


def _wide(dtype: Any) -> Any:
    return float32 if dtype in REDUCED else dtype


op.register(asgd=asgd, lamb=lamb, lion=lion, muon=muon)
