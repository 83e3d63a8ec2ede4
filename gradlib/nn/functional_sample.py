"""Images at other places: affine grids and sampling by a grid; users reach them as `nn.functional`.

Layout: (batch, *size, channels).  A place is (x, y) or (x, y, z), from -1 to 1 across the image.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import op
from ..errors import ShapeError, message, operand
from .host import beside
from .window_indices import flat

__all__ = ["affine_grid", "grid_sample"]

Array = Any


def affine_grid(theta: Array, size: Sequence[int], align_corners: bool = False) -> Array:
    """y[n, i, j] = theta[n] (x_j, y_i, 1): where an affine map takes the places of an image.

    Places are the centres of the elements; with `align_corners` the corner elements are at -1 and 1.

    Shapes: theta (batch, 2, 3) for size (batch, height, width, channels), (batch, 3, 4) for volumes, as in
    PyTorch but for the order of `size`; result (batch, *size, 2 or 3).  Raises: ShapeError.
    Derivative: every order (linear).  Source: Jaderberg et al., "Spatial transformer networks", NeurIPS 2015.

    >>> import numpy as np
    >>> affine_grid(np.eye(2, 3)[None], (1, 1, 2, 1))[0, 0]
    array([[-0.5,  0. ],
           [ 0.5,  0. ]])
    """
    spatial = tuple(size[1:-1])
    ndim = len(spatial)
    if ndim not in (2, 3) or tuple(theta.shape) != (size[0], ndim, ndim + 1):
        lines = [operand("theta", theta, "batch, 2, 3 or batch, 3, 4"), operand("size", tuple(size))]
        raise ShapeError(
            message("affine_grid(theta, size): they do not fit", lines, "need size with its batch and channels")
        )
    axes = []
    for n in spatial:
        middle = (2.0 * np.arange(n) + 1.0) / n - 1.0
        axes.append(np.linspace(-1.0, 1.0, n) if align_corners and n > 1 else np.zeros(1) if align_corners else middle)
    points = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(spatial)], axis=-1).reshape(-1, ndim + 1)
    base = op.cast(beside(points, theta), dtype=theta.dtype)
    return op.reshape(op.matmul(base, op.swapaxes(theta, 1, 2)), shape=(size[0], *spatial, ndim))


def _unnormalized(x: Array, size: int, align_corners: bool) -> Array:
    """Return a place in [-1, 1] as one in [0, size - 1], or in [-1/2, size - 1/2] between the outer edges."""
    if align_corners:
        return op.multiply(op.add(x, 1.0), (size - 1) / 2.0)
    return op.multiply(op.subtract(op.multiply(op.add(x, 1.0), float(size)), 1.0), 0.5)


def _within(x: Array, size: int, mode: str, align_corners: bool) -> Array:
    """Bring a place into the image, as `padding_mode` says."""
    if mode == "zeros":
        return x
    if mode == "reflection":
        low, span = (0.0, float(size - 1)) if align_corners else (-0.5, float(size))
        if span == 0:
            return op.multiply(x, 0.0)
        far = op.abs(op.subtract(x, low))
        turns = op.floor(op.multiply(far, 1.0 / span))
        rest = op.subtract(far, op.multiply(turns, span))
        odd = op.equal(op.remainder(turns, 2.0), 1.0)
        x = op.add(op.where(odd, op.subtract(span, rest), rest), low)
    return op.clip(x, 0.0, float(size - 1))


def _cubic(part: Array, tap: int) -> Array:
    """Return Keys's kernel with a = -0.75 at the distance of a tap, -1 to 2, from a place in [0, 1)."""
    a = -0.75
    d = op.subtract(part, float(tap)) if tap < 1 else op.subtract(float(tap), part)
    if tap in (0, 1):
        return op.add(op.multiply(op.multiply(op.subtract(op.multiply(d, a + 2), a + 3), d), d), 1.0)
    return op.multiply(op.subtract(op.multiply(op.add(op.multiply(op.subtract(d, 5.0), d), 8.0), d), 4.0), a)


def grid_sample(
    input: Array,
    grid: Array,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Array:
    """y[n, i, j] = the image n at the place grid[n, i, j]: between its elements, or the nearest of them.

    `mode`: "bilinear" (in volumes trilinear), "nearest", "bicubic" (images only).  `padding_mode`, outside of the
    image: "zeros", "border" (the nearest element of the edge), "reflection".  `align_corners` as in `affine_grid`.

    Shapes: input (batch, height, width, channels), grid (batch, h', w', 2), result (batch, h', w', channels); volumes
    likewise, grid (batch, d', h', w', 3).  Raises: ShapeError, ValueError.  Derivative: every order, with respect to
    both.  Kernel: composition.  Source: Jaderberg et al., "Spatial transformer networks", NeurIPS 2015, equation 5.

    >>> import numpy as np
    >>> grid_sample(np.array([[0.0, 4.0]]).reshape(1, 1, 2, 1), np.zeros((1, 1, 1, 2))).item()
    2.0
    """
    ndim = len(input.shape) - 2
    if ndim not in (2, 3) or len(grid.shape) != ndim + 2 or grid.shape[-1] != ndim or grid.shape[0] != input.shape[0]:
        lines = [operand("input", input, "batch, *size, channels"), operand("grid", grid, f"batch, ..., {ndim}")]
        raise ShapeError(message("grid_sample(input, grid): they do not fit", lines, "need one batch, 2 or 3 axes"))
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample(padding_mode): {padding_mode!r} is none of 'zeros', 'border', 'reflection'")
    if mode not in ("bilinear", "nearest", *(["bicubic"] if ndim == 2 else [])):
        raise ValueError(f"grid_sample(mode): {mode!r} is none for {ndim} spatial axes")
    corners = bool(align_corners)
    sizes = tuple(input.shape[1:-1])
    ways: list[list[tuple[Array, Array]]] = []  # for each axis: (whole place, weight) of each element that takes part
    for axis, size in enumerate(sizes):
        x = _unnormalized(grid[..., ndim - 1 - axis], size, corners)
        if mode != "bicubic":
            x = _within(x, size, padding_mode, corners)
        if mode == "nearest":
            at = op.round(x)
            ways.append([(at, op.ones_like(at))])
            continue
        first = op.floor(x)
        part = op.subtract(x, first)
        if mode == "bilinear":
            ways.append([(first, op.subtract(1.0, part)), (op.add(first, 1.0), part)])
        else:
            taps = [(_within(op.add(first, float(t)), size, padding_mode, corners), t) for t in (-1, 0, 1, 2)]
            ways.append([(at, _cubic(part, t)) for at, t in taps])
    total: Array | None = None
    for corner in itertools.product(*ways):
        part = _element(input, [at for at, _ in corner], sizes)
        weight = corner[0][1]
        for _, other in corner[1:]:
            weight = op.multiply(weight, other)
        part = op.multiply(part, op.expand_dims(weight, axis=-1))
        total = part if total is None else op.add(total, part)
    return total


def _element(input: Array, places: list[Array], sizes: tuple[int, ...]) -> Array:
    """Return (batch, ..., channels): the elements at whole places, 0 outside of the image."""
    inside: Array = None
    index: Array = None
    for at, size in zip(places, sizes, strict=True):
        within = op.logical_and(op.greater_equal(at, 0.0), op.less_equal(at, float(size - 1)))
        whole = op.cast(op.clip(op.where(within, at, 0.0), 0.0, float(size - 1)), dtype="int64")
        inside = within if inside is None else op.logical_and(inside, within)
        index = whole if index is None else op.add(op.multiply(index, size), whole)
    shape = tuple(index.shape)
    batch, count, channels = shape[0], math.prod(shape[1:]), input.shape[-1]
    index = op.broadcast_to(op.reshape(index, shape=(batch, count, 1)), (batch, count, channels))
    values = op.reshape(op.take_along_axis(flat(input), index, axis=1), shape=(*shape, channels))
    return op.where(op.expand_dims(inside, axis=-1), values, 0.0)
