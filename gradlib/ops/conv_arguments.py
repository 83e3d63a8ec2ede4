"""What users say of a convolution's window, as the ops take it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ..errors import ShapeError
from .conv_host import Ints, Pairs

__all__ = ["Padding", "Size", "window_arguments"]

Size = int | Sequence[int]
Padding = str | int | Sequence[int | Sequence[int]]


def _per_axis(name: str, ndim: int, argument: str, value: Size) -> Ints:
    sizes = (value,) * ndim if isinstance(value, int) else tuple(value)
    if len(sizes) != ndim or not all(isinstance(s, int) and s >= 1 for s in sizes):
        raise ShapeError(f"{name}: {argument} is {value!r}\n  need an int of at least 1, or {ndim} of them")
    return sizes


def _pairs(name: str, kernel: Ints, padding: Padding, stride: Ints, dilation: Ints) -> Pairs:
    """Return the padding before and after each axis; "same" puts the odd one after, as PyTorch does."""
    ndim = len(kernel)
    if padding == "valid":
        return ((0, 0),) * ndim
    if padding == "same":
        if set(stride) != {1}:
            raise ShapeError(f'{name}: padding "same" with stride {stride}\n  need stride 1, or padding in numbers')
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((r // 2, r - r // 2) for r in reach)
    if isinstance(padding, str):
        raise ValueError(f'{name}: padding is {padding!r}\n  need "same", "valid", an int, or one per axis')
    each = (padding,) * ndim if isinstance(padding, int) else tuple(padding)
    pairs = tuple((p, p) if isinstance(p, int) else tuple(p) for p in each)
    if len(pairs) != ndim or not all(len(p) == 2 and min(p) >= 0 for p in pairs):
        raise ShapeError(f"{name}: padding is {padding!r}\n  need {ndim} of: an int of at least 0, or a pair of them")
    return pairs  # type: ignore[return-value]


def window_arguments(
    name: str, ndim: int, kernel: Sequence[int], stride: Size, padding: Padding, dilation: Size
) -> dict[str, Any]:
    """Return the parameters of the ops for a user's words, with an error where they have no meaning."""
    kernel = tuple(kernel)
    plain = _plain(stride) and _plain(padding) and _plain(dilation)
    find = _window if plain else _window.__wrapped__
    return dict(find(name, ndim, kernel, stride, padding, dilation))


def _plain(value: Any) -> bool:
    """Whether this is made of ints, or a word: 1.0 and True equal 1, and would be taken for it."""
    kind = type(value)
    return kind is int or kind is str or (kind is tuple and set(map(type, value)) == {int})


@lru_cache(1024)
def _window(name: str, ndim: int, kernel: Ints, stride: Size, padding: Padding, dilation: Size) -> dict[str, Any]:
    stride, dilation = _per_axis(name, ndim, "stride", stride), _per_axis(name, ndim, "dilation", dilation)
    if len(kernel) != ndim:  # apply or infer has the words for it
        kernel = (1,) * ndim
    return {"stride": stride, "padding": _pairs(name, kernel, padding, stride, dilation), "dilation": dilation}
