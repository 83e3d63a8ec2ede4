"""Convolutions of 1 to 3 dimensions and their gradients as implicit products on tensor cores, of any architecture."""

from __future__ import annotations

import math
from typing import Any

from ... import backend as backends
from ...backend import watch
from . import patches_mma, patches_sm90
from .geometry import Images, Walk, Window, classes, forward_walk, tap_strides
from .problem import BEFORE, Outputs, Steps, Totals

# Channels of a group up to which blocks of 64 of them, as the copy engine gathers, waste more than the tensor cores of
# sm_90a are ahead of mma.sync, whose blocks are of 8: by the constants of choose_sm90.py and choose_mma.py, 2.3 times.
THIN = 24

__all__ = ["THIN", "Images", "Window", "convolve", "input_gradient", "weight_gradient"]

Array = Any


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
    moments: bool = False,
) -> Totals | None:
    """y = act(scale (x * w) + bias + residual); w: (taps * planes, channels / groups, features).

    Returns the moments of y's columns, where they are asked for, of one group only; None where it is better to take
    them from y.
    """
    steps = Steps(bias is not None, scale is not None, activation, z is not None, moments=moments,
                  residual=BEFORE if residual is not None else 0)  # fmt: skip
    walk = forward_walk(window, tuple(y.shape[1:-1]))
    outputs = Outputs(y, z, None, residual, bias, scale)
    taps = (0, *tap_strides(window.kernel, _planes(w, window)))
    family = _family(x, w, walk, window.groups)
    found: Totals | None = family.run(x, w, outputs, walk, taps, window.groups, passes, steps)
    return found


def input_gradient(
    dz: Images,
    w: Array,
    dx: Array,
    window: Window,
    passes: int,
    *,
    bias: Array | None = None,
    activation: str | None = None,
    z: Array | None = None,
) -> None:
    """dx = the gradient of `convolve` in x: one product, or one for each class of places that strides keep apart.

    As a transposed convolution dx = act(gradient + bias), and z, where wanted, keeps what act is taken of.
    """
    steps, out = Steps(bias is not None, False, activation, z is not None), Outputs(dx, z, bias=bias)
    found = classes(window, tuple(dx.shape[1:-1]), dz.size)
    if steps == Steps() and not all(c.reached for c in found):
        watch.spoil()
        dx.fill(0)  # places that no tap reaches
        found = [c for c in found if c.reached]
    strides = tap_strides(window.kernel, _planes(w, window))
    for c in found:
        first = sum(t * s for t, s in zip(c.first, strides, strict=True))
        taps = (first, *(t * s for t, s in zip(c.next, strides, strict=True)))
        family = _family(dz, w, c.walk, window.groups) if c.reached else patches_mma  # whose sums may be of nothing
        family.run(dz, w, out, c.walk, taps, window.groups, passes, steps, transposed=True,
                   origin=c.origin, stride=window.stride)  # fmt: skip


def weight_gradient(x: Images, dz: Images, dw: Array, window: Window, passes: int) -> None:
    """dw (*kernel, channels / groups, features) = the gradient of `convolve` in w."""
    walk = forward_walk(window, dz.size)
    _family(x, dz.array, walk, window.groups).weights(x, dz, dw, walk, window.groups, passes)


def _planes(w: Array, window: Window) -> int:
    taps: int = math.prod(window.kernel)
    return int(w.shape[0]) // taps


def _family(x: Images, other: Array, walk: Walk, groups: int) -> Any:
    """Return the module whose kernels take these operands."""
    there = backends.backend_of(x.array).limits.architecture == "sm_90a" and x.channels // groups > THIN
    return patches_sm90 if there and patches_sm90.takes(x, other, walk, groups) else patches_mma
