"""Launches of conv_sm90.cu and conv_weights_sm90.cu: convolutions whose patches the copy engine gathers."""

from __future__ import annotations

import math
from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import float32
from ..tiling import combine
from . import choose_sm90
from .choice import config_for
from .choose_sm90 import shared_bytes
from .finish import finish
from .geometry import Images, Walk, Window, classes, forward_walk, whd
from .patches_plan import plan
from .problem import ARRAYS, LIMITS, Outputs, Problem, Steps, Totals, paired_of
from .sm90 import config_macros, grid_of, serves

__all__ = ["fits", "run", "takes", "weights"]

Array = Any
Ints = tuple[int, ...]

_AXES = " ".join(f"{name}_{axis}" for name in ("count", "step", "low", "taps", "offset") for axis in "whd")
_convolve = Kernel(
    "conv_sm90.cu",
    "convolve",
    f"{ARRAYS} totals | {LIMITS} m n groups band {_AXES} first matrix_w matrix_h matrix_d splits blocks a_group "
    "a_plane b_group b_plane size_w size_h size_d origin_w origin_h origin_d stride_w stride_h stride_d pitch "
    "a_map b_map y_map z_map fetched_map",
)
_weights = Kernel(
    "conv_weights_sm90.cu",
    "weight_gradient",
    f"y | m n places groups splits band {_AXES} blocks channels a_group a_plane b_group pitch a_map b_map",
)


def fits(dtype: Any, channels: int, features: int, window: Window, size: Ints, out: Ints) -> bool:
    """Whether the copy engine can gather the patches of this convolution, its gradients included."""
    groups = window.groups
    if dtype != float32 and (channels % 8 or features % 8):
        return False
    walks = [(forward_walk(window, out), size)]
    walks += [(c.walk, out) for c in classes(window, size, out) if c.reached]
    return _whole_blocks(channels, groups) and _whole_blocks(features, groups) and all(_reaches(w, n) for w, n in walks)


def takes(x: Images, other: Array, walk: Walk, groups: int) -> bool:
    """Whether it can gather patches of x in this walk, and copy tiles of the other operand."""
    return (
        serves(x.array.reshape(1, -1, x.array.shape[-1]))
        and serves(other.reshape(1, -1, other.shape[-1]))
        and _whole_blocks(x.channels, groups)
        and _reaches(walk, x.size)
    )


def _whole_blocks(channels: int, groups: int) -> bool:
    """Whether no block of 64 channels holds some of the next group's."""
    return groups == 1 or channels // groups % 64 == 0


def _reaches(walk: Walk, size: Ints) -> bool:
    """Whether corners and offsets have the bits that the hardware gives them."""
    bits = {1: 15, 2: 7, 3: 4}[len(size)]
    corners = (*walk.low, *walk.upper(size))
    reach = [(taps - 1) * offset for taps, offset in zip(walk.taps, walk.offset, strict=True)]
    return all(-(2**bits) <= corner < 2**bits for corner in corners) and max(reach) < 2 ** (bits + 1)


def run(
    x: Images,
    w: Array,
    out: Outputs,
    walk: Walk,
    matrices: Ints,
    groups: int,
    passes: int,
    steps: Steps,
    *,
    transposed: bool = False,
    origin: Ints = (),
    stride: Ints = (),
) -> Totals | None:
    """Launch the kernel for the forward pass, or, transposed, for one class of the gradient in x."""
    y = out.y
    backend = backends.backend_of(y)
    total = y.shape[-1]
    places: int = math.prod(walk.count)
    m, n, size = y.shape[0] * places, total // groups, tuple(y.shape[1:-1])
    blocks = -(-x.channels // groups // 64)
    depth = math.prod(walk.taps) * blocks * 64
    problem = Problem(m, n, depth, groups, passes, y.dtype.itemsize, False, transposed, steps)
    problem, config, target, done = plan(choose_sm90, _convolve, problem, out, groups)
    whole = set(stride) <= {1}
    direct = target.y.dtype.itemsize != 2 or n % 8 != 0 or not whole
    tiles = -(-m // (config.bm * config.cluster)) * -(-n // config.bn) * groups * config.splits
    b_box = (1, config.bn // config.cluster, 64) if transposed else (1, 64, 64)
    maps = [_map(walk, x, config.bm), backend.tensor_map(w, b_box, 128)]
    for array in (target.y, target.z, target.fetched):
        if array is None or direct:
            maps.append(maps[0])  # not looked at
        else:
            maps.append(backend.tensor_map(_by_group(array, m, groups), (1, config.rows, 64), 128))
    totals = Totals.room(problem, config.rows, y)
    first, *matrix = matrices
    _convolve(
        grid_of(tiles, config, backend), 384, *target.arrays, None if totals is None else totals.array, *out.limits,
        m, n, groups, config.group, *walk.numbers, first, *whd(tuple(matrix), 0),
        config.splits, blocks, x.channels // groups, x.plane, x.channels // groups if transposed else n, 1,
        *whd(size, 1), *whd(origin, 0), *whd(stride, 1), total, *maps,
        shared=shared_bytes(config, direct=direct, totals=done.totals), **config_macros(config), **done.macros,
        OPERAND=ctype(x.array.dtype), T=ctype(target.y.dtype), OUT=ctype(target.y.dtype), DIRECT=direct, DIMS=len(size),
        B_TRANSPOSED=transposed, PASSES=passes, PAIRED=paired_of(n, total, target),
    )  # fmt: skip
    if config.splits > 1:
        finish(target.y, out, problem, config.splits)
    return totals


def _map(walk: Walk, x: Images, pixels: int) -> Any:
    """Return the tensor map of a walk over images."""
    make = backends.backend_of(x.array).tensor_map_im2col
    return make(x.array, walk.low, walk.upper(x.size), 64, pixels, 128, walk.step)


def _by_group(y: Array, m: int, groups: int) -> Array:
    """View y (batch, *size, groups * n) as (groups, places, n)."""
    return y.reshape(m, groups, -1).swapaxes(0, 1) if groups > 1 else y.reshape(1, m, -1)


def weights(x: Images, dz: Images, dw: Array, walk: Walk, groups: int, passes: int) -> None:
    """Launch the kernel for the gradient in the filters, and add up the parts of its sum."""
    backend = backends.backend_of(dw)
    channels, features = dw.shape[-2:]
    blocks, n, places = -(-channels // 64), features // groups, math.prod(dz.array.shape[:-1])
    m = math.prod(walk.taps) * blocks * 64
    problem = Problem(m, n, places, groups, passes, 4, True, False)
    config = config_for(choose_sm90, _weights, problem, backend.limits)
    rows = dz.array.reshape(places, dz.planes, dz.plane).swapaxes(0, 1)[:, :, :features]
    maps = [_map(walk, x, 64), backend.tensor_map(rows, (1, 64, 64), 128)]
    alone = config.splits == 1 and dw.dtype == float32
    part = dw if alone else backend.empty((config.splits, *dw.shape), float32)
    tiles = -(-m // (config.bm * config.cluster)) * -(-n // config.bn) * groups * config.splits
    _weights(
        grid_of(tiles, config, backend), 384, part, m, n, places, groups, config.splits, config.group, *walk.numbers,
        blocks, channels, channels, x.plane, n, features, *maps,
        shared=shared_bytes(config, direct=True, totals=0), **config_macros(config), OPERAND=ctype(x.array.dtype),
        T=ctype(float32), OUT=ctype(float32), DIRECT=True, DIMS=len(walk.taps), A_TRANSPOSED=True, PASSES=passes,
        PAIRED=paired_of(n, features, Outputs(part)),
    )  # fmt: skip
    if not alone:
        combine(part, dw)
