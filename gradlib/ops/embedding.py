"""Rows of a table by index, and the gradient of the table: sums in a fixed order, whichever rows repeat."""

from __future__ import annotations

from typing import Any

from .. import backend as backends
from ..core import integers, leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..kernel import Kernel
from ..spec import INTEGER, REDUCED, Spec, float32, int32, int64, is_floating
from .index import _index_add

__all__ = ["embedding"]

Array = Any

_CALL = "embedding(weight, indices)"


def _check_indices(indices: Spec) -> None:
    if indices.dtype not in INTEGER:
        what = f"{_CALL}: indices are {indices.dtype}"
        raise DTypeError(message(what, [operand("indices", indices)], "need an integer dtype"))


def _infer(weight: Spec, indices: Spec, *, padding_idx: int | None, scale_grad_by_freq: bool, tables: int) -> Spec:
    _check_indices(indices)
    lines = [operand("weight", weight, "rows, width"), operand("indices", indices)]
    if weight.ndim != 2:
        raise ShapeError(message(f"{_CALL}: weight has {weight.ndim} dimensions", lines, "need (rows, width)"))
    rows = weight.shape[0] // tables
    if padding_idx is not None and not 0 <= padding_idx < rows:
        what = f"{_CALL}: padding_idx is {padding_idx}, weight has {rows} rows"
        raise ShapeError(message(what, lines, "need 0 <= padding_idx < weight.shape[0]"))
    return Spec((*indices.shape, weight.shape[1]), weight.dtype)


def _infer_gradient(g: Spec, indices: Spec, *, rows: int, **params: Any) -> Spec:
    return Spec((rows, g.shape[-1]), g.dtype)


def _vjp(g: Array, ans: Any, weight: Any, indices: Array, **params: Any) -> Array:
    return _gradient(g, indices, rows=weight.shape[0], **params)


def _jvp(ts: Any, ans: Any, weight: Any, indices: Array, **params: Any) -> Array:
    return embedding(ts[0], indices, **params)


def _gradient_vjp(
    h: Array,
    ans: Any,
    g: Any,
    indices: Array,
    rows: int,
    padding_idx: int | None,
    scale_grad_by_freq: bool,
    tables: int,
) -> Array:
    """The rows of h, 0 for `padding_idx`, divided by how often each occurs."""
    back = op.take(h, indices, axis=0)
    if padding_idx is not None:
        outside = op.not_equal(op.remainder(indices, rows // tables), padding_idx)
        back = op.where(op.expand_dims(outside, axis=-1), back, 0.0)
    if scale_grad_by_freq:
        ones = op.ones_like(op.getitem(back, (..., slice(0, 1))))
        counts = _index_add(ones, indices, axis=0, size=rows)
        back = op.divide(back, op.take(counts, indices, axis=0))
    return back


def _gradient_jvp(ts: Any, ans: Any, g: Any, indices: Array, **params: Any) -> Array:
    return _gradient(ts[0], indices, **params)


_PLAIN: dict[str, Any] = {"padding_idx": None, "scale_grad_by_freq": False, "tables": 1}


def _samples() -> list[Any]:
    return [
        sample((5, 3), integers(-5, 5, 7), **_PLAIN),
        sample((7, 33), integers(0, 7, 2, 4, dtype="int32"), **_PLAIN),
        sample((4, 8), integers(0, 4, 90), **_PLAIN),
        sample((3, 520), integers(0, 3, 40), **_PLAIN),
        sample((4, 2), integers(0, 4), **_PLAIN),
        sample((3, 2), integers(0, 3, 0), **_PLAIN),
        # the gradient is not the derivative's transpose: that is what these settings are for
        sample((5, 8), integers(0, 5, 40), padding_idx=2, scale_grad_by_freq=True, tables=1, smooth=False),
        sample((6, 8), integers(0, 6, 40), padding_idx=2, scale_grad_by_freq=True, tables=2, smooth=False),
    ]


@leaf("embedding", infer=_infer, vjp=(_vjp, None), jvp=_jvp, saves=("indices", ""), moves=True, samples=_samples)
def embedding(
    xp: Any,
    weight: Array,
    indices: Array,
    *,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
    tables: int = 1,
) -> Array:
    """y[...] = weight[indices[...]].

    The gradient of row `padding_idx` is 0; with `scale_grad_by_freq` that of any row is divided by how often it
    occurs.  Negative indices count from the end.  Under `vmap` the weights are so many `tables` one after the other,
    each with a row `padding_idx`.

    Shapes: weight (rows, width); indices any; y (*indices.shape, width).  Dtypes: weight any, indices integer.
    Raises: ShapeError, DTypeError; IndexError (on ``cpu``) for an index that is no row: on ``sim`` and ``cuda`` its
    row is NaN.  Derivative: every order; the same bits every time.  Kernel: ``embedding.cu``.
    """
    try:
        return xp.take(weight, indices, 0)
    except IndexError:
        rows = weight.shape[0]
        wrong = indices[(indices < -rows) | (indices >= rows)]
        raise IndexError(
            f"{_CALL}: an index is {int(wrong[0])}, weight has {rows} rows\n  need 0 <= index < {rows}"
        ) from None


def _gradient_samples() -> list[Any]:
    return [
        sample((7, 3), integers(-5, 5, 7), rows=5, **_PLAIN),
        sample((2, 4, 33), integers(0, 7, 2, 4, dtype="int32"), rows=7, **_PLAIN),
        sample((90, 8), integers(0, 2, 90), rows=3, **_PLAIN),
        sample((40, 520), integers(0, 3, 40), rows=3, **_PLAIN),
        sample((0, 2), integers(0, 3, 0), rows=3, **_PLAIN),
        sample((40, 8), integers(0, 5, 40), rows=5, padding_idx=2, scale_grad_by_freq=True, tables=1),
        sample((9, 4), integers(0, 5, 9), rows=5, padding_idx=0, scale_grad_by_freq=False, tables=1),
        sample((9, 4), integers(-6, 6, 9), rows=6, padding_idx=1, scale_grad_by_freq=True, tables=3),
    ]


@leaf(
    "embedding_gradient",
    infer=_infer_gradient,
    vjp=(_gradient_vjp, None),
    jvp=_gradient_jvp,
    complex=True,
    saves=("indices", ""),
    samples=_gradient_samples,
)
def _gradient(
    xp: Any,
    g: Array,
    indices: Array,
    *,
    rows: int,
    padding_idx: int | None,
    scale_grad_by_freq: bool,
    tables: int = 1,
) -> Array:
    """dweight[r] = the sum of g[...] where indices[...] == r; 0 for `padding_idx`, or divided by their count."""
    places = indices.reshape(-1)
    y = _index_add.impl(xp, g.reshape(-1, g.shape[-1]), places, axis=0, size=rows)  # type: ignore[misc]
    if scale_grad_by_freq:
        counts = xp.bincount(places % rows, minlength=rows).reshape(rows, 1)
        y /= xp.maximum(counts, 1).astype(y.dtype)
    if padding_idx is not None:
        y[padding_idx :: rows // tables] = 0
    return y


# -- kernels

_CHUNK = 16  # places that one group of threads adds up; embedding.cu knows it too

_forward = Kernel("embedding.cu", "embedding_forward", "weight index y | count rows width")
_backward = Kernel(
    "embedding.cu", "embedding_backward", "g order sorted dweight part | count width padding by_frequency"
)
_finish = Kernel("embedding.cu", "embedding_finish", "part sorted dweight | count width padding by_frequency")


def _launch(groups: int, width: int, itemsize: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return grid and block for so many groups of lanes, each over a row of `width`."""
    packs = -(-width * itemsize // 16)
    lanes = min(32, 1 << (packs - 1).bit_length())
    block = (lanes, 256 // lanes)
    return (-(-groups // block[1]), -(-packs // lanes)), block


@embedding.kernel("cuda", planned=True)
def _(weight: Array, indices: Array, **params: Any) -> Any:
    rows, width = weight.shape
    if not is_floating(weight.dtype) or indices.dtype not in (int32, int64) or rows == 0 or width >= 2**31:
        return NotImplemented
    y = backends.backend_of(weight).empty((*indices.shape, width), weight.dtype)
    if y.size:
        grid, block = _launch(indices.size, width, weight.dtype.itemsize)
        macros: dict[str, Any] = {"INDEX": "int"} if indices.dtype == int32 else {}
        _forward(grid, block, weight, indices, y, indices.size, rows, width, T=weight.dtype, **macros)
    return y


@_gradient.kernel("cuda")
def _(g: Array, indices: Array, *, rows: int, padding_idx: int | None, scale_grad_by_freq: bool, tables: int) -> Any:
    width = g.shape[-1]
    if not is_floating(g.dtype) or width >= 2**31 or g.size == 0:
        return NotImplemented
    backend = backends.backend_of(g)
    xp, dweight = backend.xp, backend.zeros((rows, width), g.dtype)
    places = indices.reshape(-1).astype(int64) % rows
    order = backend.coerce(xp.argsort(places, kind="stable").astype(int64))
    ordered = backend.coerce(places[order])
    count = places.size
    chunks = -(-count // _CHUNK)
    part = backend.empty((chunks, 2, width), float32 if g.dtype in REDUCED else g.dtype)
    grid, block = _launch(chunks, width, g.dtype.itemsize)
    padding = -1 if padding_idx is None or tables > 1 else padding_idx
    rest = (count, width, padding, int(scale_grad_by_freq))
    _backward(grid, block, g, order, ordered, dweight, part, *rest, T=g.dtype)
    if chunks > 1:
        _finish(grid, block, part, ordered, dweight, *rest, T=g.dtype)
    if padding_idx is not None and tables > 1:
        dweight[padding_idx :: rows // tables] = 0
    return dweight


op.register(embedding=embedding)
