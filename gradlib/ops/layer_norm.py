"""Layer normalisation and root mean square normalisation over the last axes."""

from __future__ import annotations

import math
from typing import Any

from .. import backend as backends
from ..core import Saved, between, fused, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..kernel import Kernel
from ..spec import REDUCED, Spec, float32, is_floating
from .rows import RowSplit, held

__all__ = ["layer_norm", "rms_norm"]

Array = Any
Shape = tuple[int, ...]


def _check(call: str, input: Spec, shape: Shape, params: dict[str, Spec | None]) -> None:
    operands = [operand("input", input, "..., normalized_shape")]
    if not is_floating(input.dtype):
        raise DTypeError(message(f"{call}: input is not floating", operands, "need a floating dtype"))
    if not shape or input.shape[-len(shape) :] != shape:
        what = f"{call}: input does not end in normalized_shape {shape}"
        raise ShapeError(message(what, operands, "need input.shape[-len(normalized_shape):] == normalized_shape"))
    for name, spec in params.items():
        if spec is not None and spec.shape != shape:
            what = f"{call}: {name} has shape {spec.shape}, normalized_shape is {shape}"
            raise ShapeError(message(what, [*operands, operand(name, spec)], f"need {name}.shape == normalized_shape"))
        if spec is not None and not is_floating(spec.dtype):
            raise DTypeError(message(f"{call}: {name} is not floating", [operand(name, spec)], "need a floating dtype"))


def _scaled(y: Array, weight: Array | None, bias: Array | None) -> Array:
    if weight is not None:
        y = op.multiply(y, op.cast(weight, dtype=y.dtype))
    return y if bias is None else op.add(y, op.cast(bias, dtype=y.dtype))


def _last(shape: Shape) -> Shape:
    return tuple(range(-len(shape), 0))


# -- layer normalisation


def _infer_layer_norm(
    input: Spec, weight: Spec | None, bias: Spec | None, *, normalized_shape: Shape, eps: float
) -> Spec:
    _check("layer_norm(input, weight, bias)", input, normalized_shape, {"weight": weight, "bias": bias})
    return input


def _layer_norm_samples() -> list[Any]:
    far = between(99, 101, 3, 37)  # the mean far above the deviation
    return [
        sample((6, 5), (5,), (5,), normalized_shape=(5,), eps=1e-5),
        sample((2, 3, 4, 8), (4, 8), (4, 8), normalized_shape=(4, 8), eps=1e-5),
        sample((3, 600), (600,), None, normalized_shape=(600,), eps=1e-5),
        sample((9, 1031), None, (1031,), normalized_shape=(1031,), eps=1e-3),
        sample((2, 9000), (9000,), (9000,), normalized_shape=(9000,), eps=1e-5),
        sample(far, None, None, normalized_shape=(37,), eps=1e-5, smooth=False),
        sample((5, 1), (1,), (1,), normalized_shape=(1,), eps=1e-5),
        sample((0, 5), (5,), (5,), normalized_shape=(5,), eps=1e-5),
    ]


@fused("layer_norm", infer=_infer_layer_norm, samples=_layer_norm_samples)
def layer_norm(
    input: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    normalized_shape: Shape,
    eps: float = 1e-5,
) -> Array:
    """y = (x - mean) / sqrt(var + eps) weight + bias over the last axes, those of `normalized_shape`; biased var.

    Shapes: input (..., *normalized_shape); weight, bias normalized_shape.  Dtypes: floating; statistics of float16
    and bfloat16 are taken in float32.
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``layer_norm.cu``.
    Source: Ba, Kiros, Hinton, "Layer normalization", 2016, equation 4.
    """
    axes = _last(normalized_shape)
    centered = op.subtract(input, op.mean(input, axis=axes, keepdims=True))
    var = op.mean(op.multiply(centered, centered), axis=axes, keepdims=True)
    return _scaled(op.multiply(centered, op.rsqrt(op.add(var, eps))), weight, bias)


# -- root mean square normalisation


def _infer_rms_norm(input: Spec, weight: Spec | None, *, normalized_shape: Shape, eps: float) -> Spec:
    _check("rms_norm(input, weight)", input, normalized_shape, {"weight": weight})
    return input


def _rms_norm_samples() -> list[Any]:
    return [
        sample((6, 5), (5,), normalized_shape=(5,), eps=1e-5),
        sample((2, 3, 4, 8), (4, 8), normalized_shape=(4, 8), eps=1e-5),
        sample((3, 600), None, normalized_shape=(600,), eps=1e-5),
        sample((9, 1031), (1031,), normalized_shape=(1031,), eps=1e-3),
        sample((2, 9000), (9000,), normalized_shape=(9000,), eps=1e-5),
        sample((5, 1), (1,), normalized_shape=(1,), eps=0.3),
        sample((0, 5), (5,), normalized_shape=(5,), eps=1e-5),
    ]


@fused("rms_norm", infer=_infer_rms_norm, samples=_rms_norm_samples)
def rms_norm(input: Array, weight: Array | None = None, *, normalized_shape: Shape, eps: float = 1e-5) -> Array:
    """y = x / sqrt(mean(x^2) + eps) weight, the mean over the last axes, `normalized_shape`.

    Shapes: input (..., *normalized_shape); weight normalized_shape.  Dtypes: floating; statistics of float16 and
    bfloat16 are taken in float32.
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``layer_norm.cu``.
    Source: Zhang, Sennrich, "Root mean square layer normalization", NeurIPS 2019, equation 4.
    """
    mean = op.mean(op.multiply(input, input), axis=_last(normalized_shape), keepdims=True)
    return _scaled(op.multiply(input, op.rsqrt(op.add(mean, eps))), weight, None)


# -- kernels

_forward = Kernel("layer_norm.cu", "layer_norm_forward", "x weight bias y mean rstd | rows columns eps")
_backward = Kernel("layer_norm.cu", "layer_norm_backward", "x g weight mean rstd dx part_w part_b | rows columns")
_columns = Kernel("layer_norm.cu", "layer_norm_columns", "x g mean rstd part_w part_b | rows columns share")
_finish = Kernel("layer_norm.cu", "layer_norm_finish", "part_w part_b dweight dbias | columns parts")

_PARTS = 264  # lines of partial sums: as many blocks keep the largest GPU busy


def _split(columns: int, itemsize: int, backward: bool) -> RowSplit:
    return held(columns, itemsize, *((512, 256) if backward else (1024, 1024)))


def _macros(x: Array, rms: int, *params: Array | None) -> dict[str, Any] | None:
    """Return the macros of all launches; None for dtypes or sizes without a kernel."""
    dtypes = {p.dtype for p in params if p is not None} or {x.dtype}
    param = dtypes.pop()
    fits = not dtypes and (param == x.dtype or (x.dtype in REDUCED and param == float32))
    if not fits or x.size == 0 or x.size // x.shape[-1] >= 2**31:
        return None
    macros: dict[str, Any] = {"T": x.dtype}
    if rms:
        macros["RMS"] = 1
    if param != x.dtype:
        macros["PARAM"] = param
    return macros


def _launch_forward(
    x: Array, weight: Array | None, bias: Array | None, shape: Shape, eps: float, save: bool, rms: int
) -> Any:
    macros = _macros(x, rms, weight, bias)
    columns = math.prod(shape)
    if macros is None or columns >= 2**31:
        return NotImplemented
    backend, rows = backends.backend_of(x), x.size // columns
    y = backend.empty(x.shape, x.dtype)
    wide = float32 if x.dtype in REDUCED else x.dtype
    mean = backend.empty((rows,), wide) if save and not rms else None
    rstd = backend.empty((rows,), wide) if save else None
    split = _split(columns, x.dtype.itemsize, False)
    block = split.block
    _forward(
        -(-rows // block[1]), block, x, weight, bias, y, mean, rstd, rows, columns, eps, PACKS=split.packs, **macros
    )
    return Saved(y, (mean, rstd)) if save else y


def _launch_backward(
    x: Array, weight: Array | None, bias: Array | None, g: Array, residuals: tuple[Array, ...], shape: Shape, rms: int,
    needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    macros = _macros(x, rms, weight, bias)
    if macros is None or not residuals:
        return NotImplemented
    columns = math.prod(shape)
    backend, rows = backends.backend_of(x), x.size // columns
    mean, rstd = residuals
    dx = backend.empty(x.shape, x.dtype) if needs[0] else None
    dweight = backend.empty(shape, weight.dtype) if weight is not None and needs[1] else None
    dbias = backend.empty(shape, bias.dtype) if bias is not None and needs[2] else None
    split = _split(columns, x.dtype.itemsize, True)
    block, packs = split.block, split.packs
    blocks = min(-(-rows // block[1]), _PARTS)
    share = -(-rows // _PARTS)
    parts = blocks if packs else -(-rows // share)
    part_w, part_b = (
        None if wanted is None else backend.empty((parts, columns), rstd.dtype) for wanted in (dweight, dbias)
    )
    sums = (part_w, part_b) if packs else (None, None)
    if dx is not None or packs:
        _backward(blocks, block, x, g, weight, mean, rstd, dx, *sums, rows, columns, PACKS=packs, **macros)
    if dweight is None and dbias is None:
        return dx, None, None
    tiles = -(-columns // 32)
    if not packs:
        _columns((tiles, parts), (32, 8), x, g, mean, rstd, part_w, part_b, rows, columns, share, PACKS=0, **macros)
    _finish(tiles, (32, 8), part_w, part_b, dweight, dbias, columns, parts, PACKS=packs, **macros)
    return dx, dweight, dbias


@layer_norm.kernel("cuda", planned=True)
def _(
    input: Array, weight: Array | None, bias: Array | None, *, normalized_shape: Shape, eps: float, save: bool
) -> Any:
    return _launch_forward(input, weight, bias, normalized_shape, eps, save, 0)


@layer_norm.backward.kernel("cuda", planned=True)
def _(
    input: Array, weight: Array | None, bias: Array | None, g: Array, *residuals: Array, normalized_shape: Shape,
    eps: float, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    return _launch_backward(input, weight, bias, g, residuals, normalized_shape, 0, needs)


@rms_norm.kernel("cuda", planned=True)
def _(input: Array, weight: Array | None, *, normalized_shape: Shape, eps: float, save: bool) -> Any:
    return _launch_forward(input, weight, None, normalized_shape, eps, save, 1)


@rms_norm.backward.kernel("cuda", planned=True)
def _(
    input: Array, weight: Array | None, g: Array, *residuals: Array, normalized_shape: Shape, eps: float,
    needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    found = _launch_backward(input, weight, None, g, residuals, normalized_shape, 1, (*needs, False))
    return found if found is NotImplemented else found[:2]


op.register(layer_norm=layer_norm, rms_norm=rms_norm)
