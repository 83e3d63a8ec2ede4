"""The fully connected layer: product, bias and activation in one op."""

from __future__ import annotations

import math
from typing import Any

from .. import backend as backends
from ..core import Saved, between, fused, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..kernel import Kernel, ctype
from ..spec import Spec, check_one_dtype, float32, is_floating
from .activation import READS_OUTPUT, Activation, activate, check, fusible
from .matmul import matmul
from .product import Matrix, Outputs, Problem, Steps, direct, gradient, passes, planes_of, prepared, product, worthwhile
from .tiling import LARGEST, combine, parts, split, tiling

__all__ = ["dense"]

Array = Any


def _infer(input: Spec, weight: Spec, bias: Spec | None = None, *, activation: Activation = None) -> Spec:
    what = "dense(input, weight, bias)"

    def lines() -> list[str]:
        given = [operand("input", input, "batch, in"), operand("weight", weight, "in, out")]
        return given if bias is None else [*given, operand("bias", bias, "out")]

    if weight.ndim != 2 or input.ndim == 0:
        problem = f"weight has {weight.ndim} dimensions, need 2" if weight.ndim != 2 else "input has no dimensions"
        raise ShapeError(message(f"{what}: {problem}", lines(), "need input (..., in) and weight (in, out)"))
    if input.shape[-1] != weight.shape[0]:
        raise ShapeError(
            message(
                f"{what}: input has {input.shape[-1]} features, weight expects {weight.shape[0]}",
                lines(),
                f"need input.shape[{input.ndim - 1}] == weight.shape[0]",
            )
        )
    if bias is not None and bias.shape != weight.shape[1:]:
        raise ShapeError(
            message(
                f"{what}: bias has shape {bias.shape}, weight makes {weight.shape[1]} features",
                lines(),
                "need bias.shape == (weight.shape[1],)",
            )
        )
    check_one_dtype(what, lines(), input, weight, bias)
    check(what, activation)
    if activation is not None and not is_floating(input.dtype):
        raise DTypeError(message(f"{what}: an activation needs floats", lines(), "need a floating dtype"))
    return Spec((*input.shape[:-1], weight.shape[1]), input.dtype)


def _samples() -> list[Any]:
    smooth = [
        sample((7, 5), (5, 3), (3,), activation="gelu"),
        sample((7, 5), (5, 3), None, activation="silu"),
        sample((67, 71), (71, 73), (73,), activation="tanh"),
        sample((1, 1), (1, 1), (1,), activation="sigmoid"),
        sample((2, 3, 5), (5, 2), (2,), activation="softplus"),
        sample((5,), (5, 3), (3,)),
        sample((7, 5), (5, 3)),
        sample((0, 5), (5, 3), (3,), activation="gelu"),
        sample((4, 0), (0, 3), (3,), activation="gelu"),
        sample((531, 13), (13, 11), (11,), activation="mish"),  # long sums, which are split
        sample((70, 72), (72, 40), (40,), activation="gelu"),  # rows that bulk copies take
        sample((9, 8), (8, 16), None, activation="tanh"),
    ]
    kinked = ("relu", "leaky_relu", "elu", "relu6", "selu", "hardswish")
    weight, bias = (
        between(-0.2, 0.2, 6, 5),
        between(-0.2, 0.2, 5),
    )  # no value near the kinks at 3 and 6: they get rounded
    return smooth + [sample((9, 6), weight, bias, activation=name, smooth=False) for name in kinked]


@fused("dense", infer=_infer, samples=_samples)
def dense(input: Array, weight: Array, bias: Array | None = None, *, activation: Activation = None) -> Array:
    """y = act(input @ weight + bias).

    Parameters
    ----------
    input : (..., in)
    weight : (in, out)
    bias : (out,), optional
    activation
        A name (PyTorch's functional names at PyTorch's defaults, such as ``"relu"`` or ``"gelu"``), or a
        callable, which is composed instead of fused.

    Returns
    -------
    (..., out)
        float16 and bfloat16 are summed in float32 and rounded once.

    Raises
    ------
    ShapeError
        If the features of input, weight and bias differ.
    DTypeError
        If their dtypes differ.
    ValueError
        If there is no activation of that name.

    Notes
    -----
    Derivative: first order by a backward kernel, higher orders by the composition.  Kernel: product_thin.cu (at most 8
    rows or features), product_double.cu (float64 on tensor cores), product_sm90.cu and product_mma.cu (16-bit floats
    and, as bfloat16 planes, float32), else dense.cu: bias and activation in the product's epilogue;
    ``dz = g act'`` in a pass that also sums its columns (planes.cu), or in the loads of the backward products.

    Examples
    --------
    >>> import numpy as np
    >>> dense(np.array([[1.0, 2.0]]), np.array([[3.0], [-4.0]]), np.array([1.0]), activation="relu")
    array([[0.]])
    """
    if callable(activation):
        return activation(dense(input, weight, bias, activation=None))
    y = matmul(input, weight)
    return activate(y if bias is None else op.add(y, bias), activation)


_forward = Kernel("dense.cu", "dense_forward", "x w b y z | m n k")
_dx = Kernel("dense.cu", "dense_dx", "g s w dx | m n k")
_dw = Kernel("dense.cu", "dense_dw", "x g s dw part | m n k rows")
_db = Kernel("dense.cu", "dense_db", "g s db part | m n rows")


def _declines(x: Array, m: int, n: int, k: int, activation: Activation) -> bool:
    return not is_floating(x.dtype) or not fusible(activation) or max(m, n, k) > LARGEST


@dense.kernel("cuda")
def _launch_forward(input: Array, weight: Array, bias: Array, *, activation: Activation, save: bool) -> Any:
    m, (k, n) = math.prod(input.shape[:-1]), weight.shape
    if _declines(input, m, n, k, activation):
        return NotImplemented
    backend = backends.backend_of(input)
    y = backend.empty((*input.shape[:-1], n), input.dtype)
    z = backend.empty(y.shape, y.dtype) if save and activation is not None and activation not in READS_OUTPUT else None
    if y.size and not _forward_as_product(input, weight, bias, y, z, m, n, k, activation):
        tile = tiling(m, n)
        _forward(tile.blocks(m, n), tile.threads, input, weight, bias, y, z, m, n, k, **tile.macros,
                 T=ctype(y.dtype), ACT=activation or "none")  # fmt: skip
    return Saved(y, (y if z is None else z,)) if save and activation is not None else y


def _forward_as_product(
    x: Array, w: Array, b: Array | None, y: Array, z: Array | None, m: int, n: int, k: int, activation: Any
) -> bool:
    """Compute y, and z where it is wanted, by a product kernel, if that is faster and takes such arrays."""
    steps = Steps(bias=b is not None, activation=activation, save=z is not None)
    problem = Problem(m, n, k, 1, 1, y.dtype.itemsize, steps=steps)
    out = Outputs(y.reshape(1, m, n), None if z is None else z.reshape(1, m, n), bias=b)
    left, right = Matrix(x.reshape(1, m, k)), Matrix(w[None])
    if direct(problem, left, right, out):
        return True
    if not worthwhile(x, m, n, k):
        return False
    of_left, of_right = prepared(left), prepared(right)
    if of_left is None or of_right is None:
        return False
    product(problem._replace(passes=passes(x)), of_left, of_right, out)
    return True


@dense.backward.kernel("cuda")
def _launch_backward(
    input: Array,
    weight: Array,
    bias: Array | None,
    g: Array,
    *residuals: Array,
    activation: Activation,
    needs: tuple[bool, ...],
) -> Any:
    m, (k, n) = math.prod(input.shape[:-1]), weight.shape
    if _declines(input, m, n, k, activation) or (activation is not None and not residuals):
        return NotImplemented
    s = residuals[0] if activation is not None else None
    if m and worthwhile(input, m, n, k):
        found = _backward_on_tensor_cores(input, weight, g, s, m, n, k, activation, needs)
        if found is not None:
            return found
    macros: dict[str, Any] = {"T": ctype(input.dtype), "ACT": activation or "none"}
    backend = backends.backend_of(input)
    dx = dw = db = None
    if needs[0]:
        dx = backend.empty(input.shape, input.dtype)
        if dx.size and not (s is None and _direct(g.reshape(m, n), weight, dx, m, k, n, False, True)):
            tile = tiling(m, k)
            _dx(tile.blocks(m, k), tile.threads, g, s, weight, dx, m, n, k, **tile.macros, **macros)
    if needs[1]:
        dw = backend.empty(weight.shape, weight.dtype)
        if dw.size and not (s is None and _direct(input.reshape(m, k), g.reshape(m, n), dw, k, n, m, True, False)):
            tile = tiling(k, n)
            splits, rows = split(tile.blocks(k, n), m, 256)
            part = parts(dw, splits, dw.shape)
            grid = (tile.blocks(k, n), 1, splits)
            whole = dw if part is None else None
            _dw(grid, tile.threads, input, g, s, whole, part, m, n, k, rows, **tile.macros, **macros)
            if part is not None:
                combine(part, dw)
    if needs[2]:
        db = column_sums(g, s, m, n, activation)
    return dx, dw, db


def _direct(a: Array, b: Array, y: Array, m: int, n: int, k: int, a_transposed: bool, b_transposed: bool) -> bool:
    """Compute y (m, n) of matrices as they stand in memory, if `direct` takes it."""
    problem = Problem(m, n, k, 1, 1, y.dtype.itemsize, a_transposed, b_transposed)
    return direct(problem, Matrix(a[None], a_transposed), Matrix(b[None], b_transposed), Outputs(y.reshape(1, m, n)))


def _backward_on_tensor_cores(
    x: Array,
    w: Array,
    g: Array,
    s: Array | None,
    m: int,
    n: int,
    k: int,
    activation: Any,
    needs: tuple[bool, ...],
) -> tuple[Array | None, ...] | None:
    """Return the gradients: one pass for dz = g act'(s) and its column sums, then dx = dz w^T and dw = x^T dz."""
    backend = backends.backend_of(x)
    right = prepared(Matrix(w[None])) if needs[0] else None
    left = prepared(Matrix(x.reshape(1, m, k))) if needs[1] else None
    if (needs[0] and right is None) or (needs[1] and left is None):
        return None
    rows, dz, sums = g.reshape(1, m, n), None, None
    if activation is None and g.dtype != float32:
        dz = prepared(Matrix(rows))  # g itself
    if dz is None:
        dz, sums = gradient(rows, None if s is None else s.reshape(1, m, n), activation, planes_of(x))
    dx = dw = db = None
    if right is not None:
        dx = backend.empty(x.shape, x.dtype)
        problem = Problem(m, k, n, 1, passes(x), x.dtype.itemsize, False, True)
        product(problem, dz, right._replace(transposed=True), Outputs(dx.reshape(1, m, k)))
    if left is not None:
        dw = backend.empty(w.shape, w.dtype)
        problem = Problem(k, n, m, 1, passes(x), w.dtype.itemsize, True, False)
        product(problem, left._replace(transposed=True), dz, Outputs(dw[None]))
    if needs[2] and sums is None:
        db = column_sums(g, s, m, n, activation)
    elif needs[2]:
        db = backend.empty((n,), w.dtype)
        combine(sums, db)
    return dx, dw, db


def column_sums(g: Array, s: Array | None, m: int, n: int, activation: Activation) -> Array:
    """Return the gradient of a bias: the column sums of g act'(s), both (m, n), in two levels."""
    db = backends.backend_of(g).empty((n,), g.dtype)
    if n:
        splits, rows = split(-(-n // 32), m, 128)
        part = parts(db, splits, db.shape)
        whole = db if part is None else None
        grid = (-(-n // 32), splits)
        _db(grid, (32, 8), g, s, whole, part, m, n, rows, T=ctype(g.dtype), ACT=activation or "none")
        if part is not None:
            combine(part, db)
    return db


op.register(dense=dense)
