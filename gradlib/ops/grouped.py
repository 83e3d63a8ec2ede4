"""Grouped products: rows sorted by group, each group with a weight of its own, as in a mixture of experts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import fused, leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, check_one_dtype, int32, int64, is_floating
from . import grouped_launch as launch
from .activation import Activation, activate, check, fusible, saves_input, with_saved
from .product import Matrix

__all__ = ["grouped_dense"]

Array = Any


def _check(what: str, arrays: dict[str, tuple[Spec | None, str]], sizes: Spec) -> list[str]:
    """Refuse sizes that are not a vector of integers, and operands of different dtypes; return the operands' lines."""
    lines = [operand(name, spec, role) for name, (spec, role) in arrays.items() if spec is not None]
    lines.append(operand("group_sizes", sizes, "groups"))
    if sizes.dtype not in (int32, int64):
        raise DTypeError(message(f"{what}: group_sizes are {sizes.dtype}", lines, "need int32 or int64"))
    for name, (spec, role) in arrays.items():
        wanted = role.count(",") + 1
        if spec is not None and spec.ndim != wanted:
            raise ShapeError(
                message(f"{what}: {name} has {spec.ndim} dimensions, need {wanted}", lines, f"need ({role})")
            )
    if sizes.ndim != 1:
        raise ShapeError(message(f"{what}: group_sizes has {sizes.ndim} dimensions, need 1", lines, "need (groups,)"))
    if sizes.shape[0] == 0:
        raise ShapeError(message(f"{what}: there are no groups", lines, "need at least one"))
    check_one_dtype(what, lines, *[spec for spec, _ in arrays.values()])
    return lines


def _infer_matmul(
    input: Spec, weight: Spec, group_sizes: Spec, what: str = "grouped_matmul(input, weight, group_sizes)",
    bias: Spec | None = None,
) -> Spec:  # fmt: skip
    given = {"input": (input, "rows, in"), "weight": (weight, "groups, in, out"), "bias": (bias, "groups, out")}
    lines = _check(what, given, group_sizes)
    if input.shape[1] != weight.shape[1]:
        problem = f"{what}: input has {input.shape[1]} features, weight expects {weight.shape[1]}"
        raise ShapeError(message(problem, lines, "need input.shape[1] == weight.shape[1]"))
    groups = group_sizes.shape[0]
    if weight.shape[0] != groups:
        problem = f"{what}: weight has {weight.shape[0]} matrices, group_sizes {groups} groups"
        raise ShapeError(message(problem, lines, "need weight.shape[0] == group_sizes.shape[0]"))
    if bias is not None and bias.shape != (groups, weight.shape[2]):
        problem = f"{what}: bias has shape {bias.shape}, weight makes {weight.shape[2]} features in {groups} groups"
        raise ShapeError(message(problem, lines, "need bias.shape == (weight.shape[0], weight.shape[2])"))
    return Spec((input.shape[0], weight.shape[2]), input.dtype)


def _infer_outer(x1: Spec, x2: Spec, group_sizes: Spec) -> Spec:
    what = "grouped_outer(x1, x2, group_sizes)"
    lines = _check(what, {"x1": (x1, "rows, m"), "x2": (x2, "rows, n")}, group_sizes)
    if x1.shape[0] != x2.shape[0]:
        problem = f"{what}: x1 has {x1.shape[0]} rows, x2 {x2.shape[0]}"
        raise ShapeError(message(problem, lines, "need x1.shape[0] == x2.shape[0]"))
    return Spec((group_sizes.shape[0], x1.shape[1], x2.shape[1]), x1.dtype)


def _bounds(group_sizes: Array, rows: int) -> np.ndarray[Any, Any]:
    """Return where the groups begin, and the last one ends; refuse sizes that are none, or too large together."""
    sizes = backends.backend_of(group_sizes).to_host(group_sizes)
    if (sizes < 0).any():
        where = int(np.argmax(sizes < 0))
        raise ShapeError(f"grouped_matmul(group_sizes): group {where} has size {sizes[where]}\n  need sizes >= 0")
    if sizes.sum() > rows:
        raise ShapeError(
            f"grouped_matmul(group_sizes): the groups have {sizes.sum()} rows together, input has {rows}\n"
            f"  need sum(group_sizes) <= rows"
        )
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


def _matmul_vjp_input(g: Array, ans: Any, input: Any, weight: Array, group_sizes: Array) -> Array:
    return _matmul(g, op.matrix_transpose(weight), group_sizes)


def _matmul_vjp_weight(g: Array, ans: Any, input: Array, weight: Any, group_sizes: Array) -> Array:
    return _outer(input, g, group_sizes)


def _sizes(*values: int, dtype: str = "int64") -> Any:
    return np.array(values, dtype)


def _samples() -> list[Any]:
    return [
        sample((7, 5), (3, 5, 4), _sizes(3, 0, 4)),
        sample((7, 3), (2, 3, 2), _sizes(1, 2, dtype="int32")),
        sample((4, 3), (2, 3, 2), _sizes(0, 0)),
        sample((0, 3), (2, 3, 2), _sizes(0, 0)),
        sample((5, 0), (2, 0, 2), _sizes(1, 3)),
        sample((150, 40), (3, 40, 24), _sizes(70, 3, 66)),
    ]


@leaf(
    "grouped_matmul",
    infer=_infer_matmul,
    vjp=(_matmul_vjp_input, _matmul_vjp_weight, None),
    saves=("weight group_sizes", "input group_sizes", ""),
    samples=_samples,
)
def _matmul(xp: Any, input: Array, weight: Array, group_sizes: Array) -> Array:
    """y[r] = input[r] @ weight[group of r]; 0 for rows that belong to no group.

    Shapes: input (rows, in), weight (groups, in, out), group_sizes (groups,); result (rows, out).  Dtypes: input and
    weight one and the same, group_sizes int32 or int64.  Derivative: every order.  Kernel: as `grouped_dense`.
    """
    y = xp.zeros((input.shape[0], weight.shape[2]), input.dtype)
    ends = _bounds(group_sizes, input.shape[0])
    for group, (begin, end) in enumerate(pairwise(ends)):
        if begin < end:
            y[begin:end] = xp.matmul(input[begin:end], weight[group])
    return y


def _outer_vjp_x1(g: Array, ans: Any, x1: Any, x2: Array, group_sizes: Array) -> Array:
    return _matmul(x2, op.matrix_transpose(g), group_sizes)


def _outer_vjp_x2(g: Array, ans: Any, x1: Array, x2: Any, group_sizes: Array) -> Array:
    return _matmul(x1, g, group_sizes)


def _outer_samples() -> list[Any]:
    return [
        sample((7, 5), (7, 4), _sizes(3, 0, 4)),
        sample((7, 3), (7, 2), _sizes(1, 2, dtype="int32")),
        sample((0, 3), (0, 2), _sizes(0, 0)),
        sample((150, 40), (150, 24), _sizes(70, 3, 66)),
    ]


@leaf(
    "grouped_outer",
    infer=_infer_outer,
    vjp=(_outer_vjp_x1, _outer_vjp_x2, None),
    saves=("x2 group_sizes", "x1 group_sizes", ""),
    samples=_outer_samples,
)
def _outer(xp: Any, x1: Array, x2: Array, group_sizes: Array) -> Array:
    """y[g] = the sum of x1[r]^T x2[r] over the rows r of group g: the gradient of `grouped_matmul` in its weight.

    Shapes: x1 (rows, m), x2 (rows, n), group_sizes (groups,); result (groups, m, n).  Dtypes: as `grouped_matmul`.
    Derivative: every order.  Kernel: as `grouped_dense`.
    """
    ends = _bounds(group_sizes, x1.shape[0])
    y = xp.empty((len(ends) - 1, x1.shape[1], x2.shape[1]), x1.dtype)
    for group, (begin, end) in enumerate(pairwise(ends)):
        y[group] = xp.matmul(x1[begin:end].T, x2[begin:end])
    return y


def _infer(
    input: Spec, weight: Spec, group_sizes: Spec, bias: Spec | None = None, *, activation: Activation = None
) -> Spec:
    what = "grouped_dense(input, weight, group_sizes, bias)"
    check(what, activation)
    if not is_floating(input.dtype):
        raise DTypeError(message(f"{what}: input is {input.dtype}", [operand("input", input)], "need a floating dtype"))
    return _infer_matmul(input, weight, group_sizes, what, bias)


def _dense_samples() -> list[Any]:
    return [
        sample((9, 5), (3, 5, 4), _sizes(4, 0, 3), (3, 4), activation="sigmoid"),
        sample((9, 5), (3, 5, 4), _sizes(4, 2, 3, dtype="int32"), None, activation="gelu"),
        sample((7, 4), (2, 4, 3), _sizes(2, 4), (2, 3)),
        sample((0, 3), (2, 3, 2), _sizes(0, 0), (2, 2), activation="tanh"),
        sample((5, 0), (2, 0, 2), _sizes(1, 3), (2, 2), activation="softplus"),
        sample((300, 72), (3, 72, 40), _sizes(140, 1, 130), (3, 40), activation="silu"),  # rows that bulk copies take
        sample((6, 5), (2, 5, 3), _sizes(2, 3), (2, 3), activation="relu", smooth=False),
    ]


@fused("grouped_dense", infer=_infer, samples=_dense_samples)
def grouped_dense(
    input: Array, weight: Array, group_sizes: Array, bias: Array | None = None, *, activation: Activation = None
) -> Array:
    """y[r] = act(input[r] @ weight[g] + bias[g]) for row r of group g; 0 for rows that belong to no group.

    The rows are sorted by group: the first ``group_sizes[0]`` belong to group 0, the next ``group_sizes[1]`` to group
    1, and so on.  The sizes stay on their device: no kernel waits for the host to know them.

    Parameters
    ----------
    input : (rows, in)
    weight : (groups, in, out)
    group_sizes : (groups,), int32 or int64
        On ``cpu`` negative sizes, and sizes that are more than the rows together, are refused.  On ``sim`` and
        ``cuda`` they are not looked at: a negative size counts as 0, and groups end with the rows.
    bias : (groups, out), optional
    activation
        A name (PyTorch's functional names at PyTorch's defaults, such as ``"relu"`` or ``"gelu"``), or a
        callable, which is composed instead of fused.

    Returns
    -------
    (rows, out)
        float16 and bfloat16 are summed in float32 and rounded once.

    Raises
    ------
    ShapeError
        If the shapes do not fit, there are no groups, or (on ``cpu``) the sizes do not.
    DTypeError
        If the dtypes of input, weight and bias differ, or are not floating, or group_sizes are no int32 or int64.
    ValueError
        If there is no activation of that name.

    Notes
    -----
    Derivative: first order by backward kernels, higher orders by the composition; none in group_sizes.  Kernel: one
    product for all groups, grouped_sm90.cu on sm_90a where rows begin at multiples of 16 bytes, else grouped_mma.cu
    from sm_80 on, else (and in float64) grouped.cu; the weight's gradient grouped_weights_sm90.cu, _mma.cu or
    grouped.cu; group_offsets.cu before them.  Floor: input, weight and result moved once, 2 rows in out operations.
    Source: Gale et al., "MegaBlocks: Efficient Sparse Training with Mixture-of-Experts", 2022, section 5; the
    meaning is that of JAX's ``ragged_dot``.

    Examples
    --------
    >>> import numpy as np
    >>> weight = np.array([[[1.0]], [[10.0]]])
    >>> grouped_dense(np.array([[1.0], [2.0], [3.0], [4.0]]), weight, np.array([1, 2])).ravel()
    array([ 1., 20., 30.,  0.])
    """
    if callable(activation):
        return activation(grouped_dense(input, weight, group_sizes, bias, activation=None))
    y = _matmul(input, weight, group_sizes)
    if bias is None and activation is None:
        return y
    rows, groups = input.shape[0], weight.shape[0]
    place = np.arange(rows).reshape(rows, 1)
    group = op.sum(op.greater_equal(place, op.cumulative_sum(group_sizes)), axis=1)  # `groups` for those in none
    if bias is not None:
        y = op.add(y, op.take(bias, op.minimum(group, groups - 1), axis=0))
    return op.where(op.less(op.expand_dims(group, axis=1), groups), activate(y, activation), 0.0)


# -- kernels


def _matrix(backend: Any, w: Array) -> Matrix:
    """Return a batch of matrices, or of transposed ones, without a copy where it is one of them."""
    if not w.flags.c_contiguous and w.swapaxes(1, 2).flags.c_contiguous:
        return Matrix(w.swapaxes(1, 2), True)
    return Matrix(_contiguous(backend, w))


def _contiguous(backend: Any, x: Array) -> Array:
    return x if x.flags.c_contiguous else backend.coerce(backend.xp.ascontiguousarray(x))


@_matmul.kernel("cuda", strided=True, planned=True)
def _(input: Array, weight: Array, group_sizes: Array) -> Array:
    (rows, k), (groups, _, n) = input.shape, weight.shape
    if not is_floating(input.dtype) or not launch.fits(rows, groups, n, k):
        return NotImplemented
    backend = backends.backend_of(input)
    y = backend.empty((rows, n), input.dtype)
    if y.size:
        offsets = launch.offsets_of(_contiguous(backend, group_sizes), y, rows, y)
        launch.rows_product(_contiguous(backend, input), _matrix(backend, weight), None, offsets, y, None)
    return y


@_outer.kernel("cuda", planned=True)
def _(x1: Array, x2: Array, group_sizes: Array) -> Array:
    (rows, m), n, groups = x1.shape, x2.shape[1], group_sizes.shape[0]
    if not is_floating(x1.dtype) or not launch.fits(rows, groups, n, m):
        return NotImplemented
    y = backends.backend_of(x1).empty((groups, m, n), x1.dtype)
    if y.size:
        offsets = launch.offsets_of(group_sizes, y, rows)
        dz = launch.dz_of(x1, x2, None, None, n, m, groups) if rows else None
        launch.columns_product(x1, x2, None, dz, offsets, y)
    return y


@grouped_dense.kernel("cuda", planned=True)
def _(
    input: Array, weight: Array, group_sizes: Array, bias: Array | None, *, activation: Activation, save: bool
) -> Any:
    (rows, k), (groups, _, n) = input.shape, weight.shape
    if not fusible(activation) or not launch.fits(rows, groups, n, k):
        return NotImplemented
    backend = backends.backend_of(input)
    y = backend.empty((rows, n), input.dtype)
    z = backend.empty(y.shape, y.dtype) if saves_input(activation, save) else None
    if y.size:
        offsets = launch.offsets_of(group_sizes, y, rows, y, z)
        launch.rows_product(input, Matrix(weight), bias, offsets, y, z, activation)
    return with_saved((y, z), activation, save)


@grouped_dense.backward.kernel("cuda", planned=True)
def _(
    input: Array,
    weight: Array,
    group_sizes: Array,
    bias: Array | None,
    g: Array,
    *residuals: Array,
    activation: Activation,
    needs: tuple[bool, ...],
) -> Any:
    (rows, k), (groups, _, n) = input.shape, weight.shape
    if not fusible(activation) or not launch.fits(rows, groups, n, k) or (activation is not None and not residuals):
        return NotImplemented
    s = residuals[0] if activation is not None else None
    backend = backends.backend_of(input)
    dx = backend.empty(input.shape, input.dtype) if needs[0] else None
    offsets = launch.offsets_of(group_sizes, input, rows, dx)
    some = rows and n and (needs[0] or needs[1])
    dz = launch.dz_of(input, g, s, activation, n, k, groups) if some else None
    dw = db = None
    if dx is not None and dx.size:
        launch.rows_gradient(g, s, weight, dz, offsets, dx, activation)
    if needs[1]:
        dw = backend.empty(weight.shape, weight.dtype)
        if dw.size:
            launch.columns_product(input, g, s, dz, offsets, dw, activation)
    if needs[3]:
        db = launch.column_sums(g, s, offsets, groups, activation)
    return dx, dw, None, db


op.register(grouped_dense=grouped_dense)
