"""Launches of conv_sm90.cu and conv_weights_sm90.cu: convolutions whose patches the copy engine gathers.

Spatial axes are in the arrays' order here, (depth, height, width), and turned round for the kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import float32
from ..tiling import combine
from .choose_sm90 import Config, choose, shared_bytes
from .problem import Problem, Steps
from .sm90 import Outputs, config_macros, grid_of, paired_of

__all__ = ["Images", "Window", "convolve", "fits", "input_gradient", "weight_gradient"]

Array = Any
Ints = tuple[int, ...]

_AXES = " ".join(f"{name}_{axis}" for name in ("count", "step", "low", "taps", "offset") for axis in "whd")
_convolve = Kernel(
    "conv_sm90.cu",
    "convolve",
    f"bias scale slope residual y z sums | m n groups band {_AXES} first matrix_w matrix_h matrix_d blocks a_group "
    "a_plane b_group b_plane size_w size_h size_d origin_w origin_h origin_d stride_w stride_h stride_d pitch "
    "a_map b_map y_map z_map fetched_map",
)
_weights = Kernel(
    "conv_weights_sm90.cu",
    "weight_gradient",
    f"y | m n places groups splits band {_AXES} blocks channels a_group a_plane b_group pitch a_map b_map",
)


@dataclass(frozen=True)
class Window:
    """What a convolution's filter does: its size and where it goes."""

    kernel: Ints
    stride: Ints
    before: Ints  # zeros before the image
    dilation: Ints
    groups: int


@dataclass(frozen=True)
class Images:
    """Images for the copy engine: (batch, *size, planes * room), of which `channels` a plane count."""

    array: Array
    channels: int
    planes: int = 1

    @property
    def size(self) -> Ints:
        return tuple(self.array.shape[1:-1])

    @property
    def plane(self) -> int:
        return int(self.array.shape[-1]) // self.planes


@dataclass(frozen=True)
class _Walk:
    """Where the filter's base goes: `count` places along each axis, from `low` on in `step`s; and the taps it has."""

    count: Ints
    step: Ints
    low: Ints
    taps: Ints
    offset: Ints

    def map(self, x: Images, pixels: int) -> Any:
        """Return the tensor map of this walk over images."""
        ends = zip(self.count, self.step, self.low, x.size, strict=True)
        upper = tuple((n - 1) * step + low - (size - 1) for n, step, low, size in ends)
        return backends.backend_of(x.array).tensor_map_im2col(x.array, self.low, upper, 64, pixels, 128, self.step)

    @property
    def numbers(self) -> Ints:
        axes = (self.count, self.step, self.low, self.taps, self.offset)
        defaults = (1, 1, 0, 1, 0)
        return tuple(n for axis, default in zip(axes, defaults, strict=True) for n in _whd(axis, default))

    @property
    def takes(self) -> bool:
        """Whether offsets and corners have the bits that the hardware gives them."""
        bits = {1: 15, 2: 7, 3: 4}[len(self.count)]
        reach = [(taps - 1) * offset for taps, offset in zip(self.taps, self.offset, strict=True)]
        return all(-(2**bits) <= low for low in self.low) and all(r < 2 ** (bits + 1) for r in reach)


def _whd(axis: Ints, default: int) -> Ints:
    return (*axis[::-1], *[default] * (3 - len(axis)))


def _forward_walk(window: Window, out: Ints) -> _Walk:
    return _Walk(out, window.stride, tuple(-p for p in window.before), window.kernel, window.dilation)


def fits(dtype: Any, channels: int, features: int, window: Window, size: Ints, out: Ints) -> bool:
    """Whether the copy engine can gather the patches of this convolution, its gradients included."""
    groups = window.groups
    if groups > 1 and (channels // groups % 64 or features // groups % 64):
        return False  # a block of 64 channels would hold some of the next group's
    if dtype != float32 and (channels % 8 or features % 8):
        return False
    walks = [_forward_walk(window, out), *(c.walk for c in _classes(window, size, out) if c is not None)]
    corners = {1: 15, 2: 7, 3: 4}[len(size)]
    highest = [
        (n - 1) * step + low - (s - 1)
        for walk, of in [(walks[0], size), *((w, out) for w in walks[1:])]
        for n, step, low, s in zip(walk.count, walk.step, walk.low, of, strict=True)
    ]
    return all(w.takes for w in walks) and all(-(2**corners) <= high < 2**corners for high in highest)


def _finish_launch(config: Config, out: Any, columns: int, steps: Steps, *, direct: bool) -> dict[str, Any]:
    return {**config_macros(config), "OUT": ctype(out), "DIRECT": direct, **steps.macros}


def convolve(
    x: Images,
    w: Array,
    y: Array,
    window: Window,
    passes: int,
    *,
    bias: Array | None = None,
    scale: Array | None = None,
    residual: Array | None = None,
    activation: str | None = None,
    z: Array | None = None,
) -> None:
    """y = residual + act(scale (x * w) + bias); w: (taps * planes, channels / groups, features)."""
    steps = Steps(bias is not None, scale is not None, activation, z is not None, residual=residual is not None)
    walk = _forward_walk(window, tuple(y.shape[1:-1]))
    taps = math.prod(window.kernel)
    planes = w.shape[0] // taps
    matrices = (0, *_strides(window.kernel, planes))
    outputs = Outputs(y, z, None, residual, bias, scale, None)
    _run(x, w, outputs, walk, matrices, window.groups, passes, steps, transposed=False)


def input_gradient(dz: Images, w: Array, dx: Array, window: Window, passes: int, residual: Array | None = None) -> None:
    """dx = the gradient of `convolve` in x: one product, or one for each class of places that strides keep apart."""
    size, out = tuple(dx.shape[1:-1]), dz.size
    classes = _classes(window, size, out)
    if any(c is None for c in classes):
        dx.fill(0)  # places that no tap reaches
    taps: int = math.prod(window.kernel)
    planes = w.shape[0] // taps
    for c in classes:
        if c is not None:
            strides = _strides(window.kernel, planes)
            first = sum(t * s for t, s in zip(c.first, strides, strict=True))
            steps_of = tuple(t * s for t, s in zip(c.next, strides, strict=True))
            _run(dz, w, Outputs(dx), c.walk, (first, *steps_of), window.groups, passes, Steps(), transposed=True,
                 origin=c.origin, stride=window.stride)  # fmt: skip


@dataclass(frozen=True)
class _Class:
    """The places of x with one remainder of each stride: which of dz reach them, by which taps."""

    walk: _Walk
    origin: Ints
    first: Ints  # tap of the filter that the walk's first tap is, and the step to that of its next
    next: Ints


def _classes(window: Window, size: Ints, out: Ints) -> list[_Class | None]:
    """Split the places of x by their remainders; None for a class that no tap reaches."""
    axes = []
    for n, k, s, p, d in zip(size, window.kernel, window.stride, window.before, window.dilation, strict=True):
        axes.append([_remainder(n, k, s, p, d, a) for a in range(min(s, n))])
    found: list[_Class | None] = []
    for index in _grid([len(axis) for axis in axes]):
        chosen = [axis[i] for axis, i in zip(axes, index, strict=True)]
        if any(c is None for c in chosen):
            found.append(None)
            continue
        count, low, taps, offset, first, step = zip(*[c for c in chosen if c is not None], strict=True)
        walk = _Walk(count, (1,) * len(count), low, taps, offset)
        found.append(_Class(walk, tuple(index), first, step))
    return found


def _remainder(n: int, k: int, s: int, p: int, d: int, a: int) -> tuple[int, int, int, int, int, int] | None:
    """Along one axis, for x at a, a + s, ...: (places, first of dz, taps, offset of a tap, first tap, step of taps).

    Tap r brings x at h from dz at (h + p - r d) / s, where that divides.  The taps for which it does are r0, r0 + e,
    ... with e = s / gcd(s, d); dz is walked upwards, so the last of them is the first.
    """
    e = s // math.gcd(s, d)
    r0 = next((r for r in range(min(e, k)) if (a + p - r * d) % s == 0), None)
    if r0 is None:
        return None
    taps = (k - 1 - r0) // e + 1
    last = r0 + e * (taps - 1)
    return (-(-(n - a) // s), (a + p - last * d) // s, taps, e * d // s, last, -e)


def _grid(counts: list[int]) -> list[Ints]:
    found: list[Ints] = [()]
    for count in counts:
        found = [(*index, i) for index in found for i in range(count)]
    return found


def _strides(kernel: Ints, planes: int) -> Ints:
    """Return how many matrices of the filter lie between neighbouring taps along each axis."""
    return tuple(planes * math.prod(kernel[axis + 1 :]) for axis in range(len(kernel)))


def _run(
    x: Images,
    w: Array,
    out: Outputs,
    walk: _Walk,
    matrices: Ints,
    groups: int,
    passes: int,
    steps: Steps,
    *,
    transposed: bool,
    origin: Ints = (),
    stride: Ints = (),
) -> None:
    """Launch the kernel for the forward pass, or, transposed, for one class of the gradient in x."""
    y = out.y
    backend = backends.backend_of(y)
    total = y.shape[-1]
    places: int = math.prod(walk.count)
    m, n, size = y.shape[0] * places, total // groups, tuple(y.shape[1:-1])
    blocks = -(-x.channels // groups // 64)
    depth = math.prod(walk.taps) * blocks * 64
    problem = Problem(m, n, depth, groups, passes, y.dtype.itemsize, False, transposed, steps)
    config = choose(problem, backend.limits.multiprocessors)
    if config.splits > 1:
        config = choose(problem, backend.limits.multiprocessors, splits=1)
    whole = set(stride) <= {1}
    direct = y.dtype.itemsize != 2 or n % 8 != 0 or not whole
    tiles = -(-m // (config.bm * config.cluster)) * -(-n // config.bn) * groups
    b_box = (1, config.bn // config.cluster, 64) if transposed else (1, 64, 64)
    maps = [walk.map(x, config.bm), backend.tensor_map(w, b_box, 128)]
    for array in (y, out.z, out.fetched):
        if array is None or direct:
            maps.append(maps[0])  # not looked at
        else:
            maps.append(backend.tensor_map(_by_group(array, m, groups), (1, config.rows, 64), 128))
    first, *matrix = matrices
    _convolve(
        grid_of(tiles, config, backend), 384, out.bias, out.scale, out.slope, out.residual, y, out.z, out.sums,
        m, n, groups, config.group, *walk.numbers, first, *_whd(tuple(matrix), 0), blocks,
        x.channels // groups, x.plane, x.channels // groups if transposed else n, 1,
        *_whd(size, 1), *_whd(origin, 0), *_whd(stride, 1), total, *maps,
        shared=shared_bytes(config, direct=direct, sums=steps.sums), **config_macros(config), **steps.macros,
        OPERAND=ctype(x.array.dtype), T=ctype(y.dtype), OUT=ctype(y.dtype), DIRECT=direct, DIMS=len(size),
        B_TRANSPOSED=transposed, PASSES=passes, PAIRED=paired_of(n, total, out),
    )  # fmt: skip


def _by_group(y: Array, m: int, groups: int) -> Array:
    """View y (batch, *size, groups * n) as (groups, places, n)."""
    return y.reshape(m, groups, -1).swapaxes(0, 1) if groups > 1 else y.reshape(1, m, -1)


def weight_gradient(x: Images, dz: Images, dw: Array, window: Window, passes: int) -> None:
    """dw (*kernel, channels / groups, features) = the gradient of `convolve` in w."""
    backend = backends.backend_of(dw)
    channels, features = dw.shape[-2:]
    groups, taps = window.groups, math.prod(window.kernel)
    blocks, n, places = -(-channels // 64), features // window.groups, math.prod(dz.array.shape[:-1])
    m = taps * blocks * 64
    problem = Problem(m, n, places, groups, passes, 4, True, False)
    config = choose(problem, backend.limits.multiprocessors)
    walk = _forward_walk(window, dz.size)
    rows = dz.array.reshape(places, dz.planes, dz.plane).swapaxes(0, 1)[:, :, :features]
    maps = [walk.map(x, 64), backend.tensor_map(rows, (1, 64, 64), 128)]
    alone = config.splits == 1 and dw.dtype == float32
    part = dw if alone else backend.empty((config.splits, *dw.shape), float32)
    tiles = -(-m // (config.bm * config.cluster)) * -(-n // config.bn) * groups * config.splits
    _weights(
        grid_of(tiles, config, backend), 384, part, m, n, places, groups, config.splits, config.group, *walk.numbers,
        blocks, channels, channels, x.plane, n, features, *maps,
        shared=shared_bytes(config, direct=True, sums=False), **config_macros(config), OPERAND=ctype(x.array.dtype),
        T=ctype(float32), OUT=ctype(float32), DIRECT=True, DIMS=len(window.kernel), A_TRANSPOSED=True, PASSES=passes,
        PAIRED=paired_of(n, features, Outputs(part)),
    )  # fmt: skip
    if not alone:
        combine(part, dw)
