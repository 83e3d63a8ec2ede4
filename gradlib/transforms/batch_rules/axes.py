"""Ops whose axes move on by one, or that take leading axes for a batch as they are."""

from __future__ import annotations

from typing import Any

from ...core import Primitive, op
from ...ops.index import Cut
from .rule import behind, rule, spread_all


@rule(
    "sum", "mean", "prod", "max", "min", "argmax", "argmin", "any", "all", "cumsum", "cumprod", "var", "flip", "roll",
    "argsort", "softmax", "log_softmax", "softmax_definition", "log_softmax_definition", "logsumexp", "concat", "stack",
    "take_along_axis", "put_along_axis", "length",
)  # fmt: skip
def _along_axis(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(*spread_all(xs, over, size), **{**params, "axis": behind(params["axis"])})


# Linear algebra takes leading axes for the batch, and no op of it counts an axis from the front.
@rule(
    "diagonal", "diagonal_matrix", "inv", "det", "det_derivative", "slogdet", "cholesky", "qr", "lu", "eigh",
    "eigvalsh", "eig", "eigvals", "svd", "svdvals", "pinv", "expm", "fourier",
    "fourier_real", "fourier_half",
)  # fmt: skip
@rule("cast", "copy", "alias", "to_device", "tril", "triu", "cross_entropy_rows", "cross_entropy_rows_back")
def _as_it_is(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(*spread_all(xs, over, size), **params)


@rule("reshape")
def _reshape(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], shape=(size, *params["shape"]))


@rule("broadcast_to")
def _broadcast_to(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    (x,), shape = xs, params["shape"]
    ones = (1,) * (len(shape) + 1 - len(x.shape))
    return prim(op.reshape(x, (size, *ones, *x.shape[1:])), shape=(size, *shape))


@rule("permute_dims")
def _permute(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], axes=(0, *behind(params["axes"])))


@rule("pad")
def _pad(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], pad_width=((0, 0), *params["pad_width"]), value=params["value"])


@rule("slice")
def _slice(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], pattern=(Cut(0, size, 1), *params["pattern"]))


@rule("unslice")
def _unslice(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], pattern=(Cut(0, size, 1), *params["pattern"]), shape=(size, *params["shape"]))
