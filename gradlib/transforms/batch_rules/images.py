"""Images: the batch joins the examples' own, or (for filters of each example) the channels, as groups."""

from __future__ import annotations

from typing import Any

from ...core import Primitive, op
from .rule import example_by_composite, rule, spread, spread_all


def fold(x: Any) -> Any:
    return op.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def unfold(y: Any, size: int) -> Any:
    return op.reshape(y, (size, y.shape[0] // size, *y.shape[1:]))


def _into_channels(x: Any) -> Any:
    """(B, ..., C) -> (..., B * C)."""
    x = op.moveaxis(x, 0, -2)
    return op.reshape(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]))


def _out_of_channels(y: Any, size: int) -> Any:
    return op.moveaxis(op.reshape(y, (*y.shape[:-1], size, y.shape[-1] // size)), -2, 0)


@rule("convolution")
def _convolution(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, *filters, residual = xs
    if any(over[1:-1]):
        return example_by_composite(prim, xs, over, params)
    around = None if residual is None else fold(spread(residual, over[-1], size))
    return unfold(prim(fold(spread(x, over[0], size)), *filters, around, **params), size)


@rule("transposed_convolution")
def _transposed(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    if any(over[1:]):
        return example_by_composite(prim, xs, over, params)
    return unfold(prim(fold(xs[0]), *xs[1:], **params), size)


@rule("conv", "conv_data_gradient")
def _conv(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    if not over[1]:
        return unfold(prim(fold(xs[0]), xs[1], **params), size)
    x, w = spread_all(xs, over, size)
    grouped = {**params, "groups": size * params["groups"]}
    return _out_of_channels(prim(_into_channels(x), _into_channels(w), **grouped), size)


@rule("conv_weight_gradient")
def _conv_weight_gradient(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, g = spread_all(xs, over, size)
    grouped = {**params, "groups": size * params["groups"]}
    return _out_of_channels(prim(_into_channels(x), _into_channels(g), **grouped), size)


@rule("max_pool", "avg_pool", "windows_max", "windows_sum", "windows_spread", "windows_select", "windows_select_back")
def _windows(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return unfold(prim(*[fold(x) for x in spread_all(xs, over, size)], **params), size)


@rule("standardize")
def _standardize(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return tuple(_out_of_channels(y, size) for y in prim(_into_channels(xs[0]), **params))
