"""Products of 8-bit floats with a scale for each operand, and the rounding to 8 bits that makes such operands."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from .. import backend as backends
from ..core import leaf, no_grad, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import STORAGE, DType, Spec, as_dtype, bfloat16, float16, float32, float64, is_floating
from .product import Matrix, Outputs, Problem, Steps, has_tensor_cores, product, scaled
from .tiling import LARGEST

__all__ = ["quantize", "scaled_mm"]

Array = Any


def quantize(x: Array, dtype: Any) -> tuple[Array, Array]:
    """Return (q, scale): q = x / scale rounded to an 8-bit dtype, scale = max |x| / the largest number of it.

    Shapes: x any; q as x; scale (1,) float32, which is 1 where x is all zeros or empty.  Dtypes: x floating; `dtype`
    ``"float8_e4m3fn"`` (3 bits of fraction, up to 448) or ``"float8_e5m2"`` (2 bits, up to 57344).  Raises: DTypeError.
    Derivative: none; neither result is on the tape.  Kernel: composition, with float8.cu.
    Source: Micikevicius et al., "FP8 Formats for Deep Learning", 2022, section 3.

    >>> import numpy as np
    >>> q, scale = quantize(np.array([1.0, -3.5], np.float32), "float8_e4m3fn")
    >>> q.astype(np.float64), scale
    (array([ 128., -448.]), array([0.0078125], dtype=float32))
    """
    dtype = as_dtype(dtype)
    if dtype not in STORAGE:
        names = " or ".join(sorted(d.name for d in STORAGE))
        raise DTypeError(message(f"quantize(x, dtype): dtype is {dtype}", [operand("x", x)], f"need {names}"))
    if not is_floating(x.dtype):
        raise DTypeError(message("quantize(x, dtype): x is no float", [operand("x", x)], "need a floating dtype"))
    with no_grad():
        wide = x if x.dtype == float64 else op.cast(x, float32)
        most = op.max(op.abs(wide)) if math.prod(x.shape) else op.sum(wide)
        scale = op.cast(op.divide(most, float(ml_dtypes.finfo(dtype).max)), float32)
        scale = op.where(op.greater(scale, 0.0), scale, 1.0)
        return op.cast(op.divide(wide, scale), dtype), op.reshape(scale, (1,))


def _infer(
    a: Spec, b: Spec, scale_a: Spec, scale_b: Spec, bias: Spec | None = None, *, out_dtype: DType = bfloat16
) -> Spec:
    what = "scaled_mm(a, b, scale_a, scale_b, bias)"
    lines = [operand("a", a, "m, k"), operand("b", b, "k, n"), operand("scale_a", scale_a), operand("scale_b", scale_b)]
    lines += [] if bias is None else [operand("bias", bias, "n")]
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ShapeError(message(f"{what}: shapes {a.shape} and {b.shape} do not fit", lines, "need (m, k) and (k, n)"))
    for name, x in (("a", a), ("b", b)):
        if x.dtype not in STORAGE:
            raise DTypeError(message(f"{what}: {name} is {x.dtype}", lines, "need 8-bit floats: gl.quantize(x, dtype)"))
    for name, x in (("scale_a", scale_a), ("scale_b", scale_b)):
        if x.size != 1 or not is_floating(x.dtype):
            raise ShapeError(message(f"{what}: {name} has shape {x.shape}", lines, "need one float"))
    if bias is not None and (bias.shape != (b.shape[1],) or not is_floating(bias.dtype)):
        raise ShapeError(message(f"{what}: bias has shape {bias.shape}", lines, "need floats, bias.shape == (n,)"))
    if not is_floating(out_dtype):
        raise DTypeError(message(f"{what}: out_dtype is {out_dtype}", lines, "need a floating dtype"))
    return Spec((a.shape[0], b.shape[1]), out_dtype)


def _vjp_scale(which: int) -> Any:
    def rule(
        g: Array, ans: Any, a: Array, b: Array, scale_a: Array, scale_b: Array, bias: Any, out_dtype: DType
    ) -> Array:
        """The sum of g times the product without this scale."""
        mine, other = (scale_a, scale_b) if which == 0 else (scale_b, scale_a)
        wide = float64 if float64 in (out_dtype, mine.dtype) else float32
        y = _scaled_mm(a, b, op.ones_like(mine), other, None, out_dtype=wide)
        return op.cast(op.reshape(op.sum(op.multiply(op.cast(g, wide), y)), mine.shape), mine.dtype)

    return rule


def _vjp_bias(g: Array, ans: Any, a: Any, b: Any, scale_a: Any, scale_b: Any, bias: Any, out_dtype: DType) -> Array:
    return op.cast(op.sum(op.cast(g, float64 if g.dtype == float64 else float32), axis=0), bias.dtype)


def _drawn(dtype: Any, *shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def _samples() -> list[Any]:
    e4m3, e5m2 = ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2

    def of(out_dtype: DType, a: Any, b: Any, bias: bool = True) -> Any:
        """Scales and bias in float32: what is rounded to less than the dtype under test would not be its equal."""
        scales = (np.array([1.5], np.float32), np.array(0.75, np.float32))
        addend = _drawn(np.float32, b.shape[1]) if bias else None
        return sample(a, b, *scales, addend, out_dtype=out_dtype, smooth=False)

    return [
        sample(_drawn(e4m3, 5, 7), _drawn(e5m2, 7, 3), (1,), (1,), (3,), out_dtype=float64),
        sample(_drawn(e4m3, 5, 7), _drawn(e4m3, 7, 3), (), (), None, out_dtype=float64),
        of(float32, _drawn(e5m2, 70, 48), _drawn(e4m3, 40, 48).T),
        of(bfloat16, _drawn(e4m3, 4, 32), _drawn(e4m3, 32, 8)),
        of(float16, _drawn(e4m3, 5, 7), _drawn(e5m2, 7, 3), bias=False),
        of(float32, _drawn(e4m3, 3, 0), _drawn(e4m3, 0, 4)),
        of(float32, _drawn(e4m3, 0, 3), _drawn(e4m3, 3, 4)),
    ]


@leaf(
    "scaled_mm",
    infer=_infer,
    vjp=(None, None, _vjp_scale(0), _vjp_scale(1), _vjp_bias),
    saves=("", "", "a b scale_a scale_b", "a b scale_a scale_b", ""),
    moves=True,  # takes 8-bit floats, and rounds once by itself
    complex=False,
    samples=_samples,
)
def _scaled_mm(
    xp: Any, a: Array, b: Array, scale_a: Array, scale_b: Array, bias: Array | None = None, *, out_dtype: DType
) -> Array:
    """y = scale_a scale_b (a @ b) + bias; see `scaled_mm`."""
    wide = float64 if out_dtype == float64 else float32
    y = xp.matmul(a.astype(wide), b.astype(wide))
    y = y * (scale_a.reshape(()).astype(wide) * scale_b.reshape(()).astype(wide))
    return (y if bias is None else y + bias.astype(wide)).astype(out_dtype)


def scaled_mm(
    a: Array, b: Array, scale_a: Array, scale_b: Array, bias: Array | None = None, *, out_dtype: Any = "bfloat16"
) -> Array:
    """y = scale_a scale_b (a @ b) + bias, of 8-bit floats a and b.

    Parameters
    ----------
    a : (m, k)
        float8_e4m3fn or float8_e5m2, as `gl.quantize` makes them.
    b : (k, n)
        Either of the two, whichever a is.  Fast on sm_90a where it is the transpose of a contiguous (n, k): the
        tensor cores take 8-bit elements in no other order, and one that is not is copied first.
    scale_a, scale_b : (1,) or ()
        Floats, on the operands' device: no kernel waits for the host to know them.
    bias : (n,), optional
    out_dtype
        bfloat16, float16, float32 or float64.

    Returns
    -------
    (m, n)
        Summed in float32 (float64 for that `out_dtype`) and rounded once.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    DTypeError
        If a or b are no 8-bit floats, or `out_dtype` is no floating dtype.

    Notes
    -----
    Derivative: every order in the scales and the bias; none in a and b, which only store: a gradient ends at the cast
    to 8 bits.  Kernel: scaled_sm90.cu on sm_90a, where k is a multiple of 16: its tensor cores keep some 14 bits of a
    sum, which leaves them after every 256 of k; deep sums of few tiles are split over blocks (finish.cu).  Elsewhere
    float8.cu, exactly to bfloat16 (float32 without tensor cores), and products of that.  Floor: 2 m n k operations at
    twice the rate of 16 bits.
    Source: Micikevicius et al., "FP8 Formats for Deep Learning", 2022; the promotion of sums: DeepSeek-AI, "DeepSeek-V3
    Technical Report", 2024, section 3.3.2.  The model is ``torch._scaled_mm``.

    Examples
    --------
    >>> import numpy as np
    >>> a, scale_a = quantize(np.array([[1.0, 2.0]], np.float32), "float8_e4m3fn")
    >>> b, scale_b = quantize(np.array([[2.0], [4.0]], np.float32), "float8_e4m3fn")
    >>> scaled_mm(a, b, scale_a, scale_b, out_dtype="float16")
    array([[10.]], dtype=float16)
    """
    return _scaled_mm(a, b, scale_a, scale_b, bias, out_dtype=as_dtype(out_dtype))


# -- kernels


def _rows(x: Array) -> Array:
    """Return a contiguous matrix: itself, or a copy."""
    backend = backends.backend_of(x)
    if x.flags.c_contiguous:
        return x
    return backend.coerce(backend.xp.ascontiguousarray(x.view(np.uint8)).view(x.dtype))  # CuPy copies no 8-bit floats


@_scaled_mm.kernel("cuda", strided=True)
def _(a: Array, b: Array, scale_a: Array, scale_b: Array, bias: Array | None = None, *, out_dtype: DType) -> Any:
    (m, k), n = a.shape, b.shape[1]
    if max(m, n, k) > LARGEST:
        return NotImplemented
    backend = backends.backend_of(a)
    if m and n and k and k % 16 == 0 and out_dtype != float64:
        rows, columns = _rows(a), _rows(b.swapaxes(0, 1))
        if scaled.serves(rows, columns):
            y = backend.empty((m, n), out_dtype)
            left, right = (backend.coerce(op.cast(s, float32)) for s in (scale_a, scale_b))
            out = Outputs(y, bias=None if bias is None else op.cast(bias, out_dtype))
            problem = Problem(m, n, k, 1, 1, out_dtype.itemsize, False, True, Steps(bias=bias is not None))
            scaled.scaled(rows, columns, left, right, out, problem)
            return y
    wide = float64 if out_dtype == float64 else float32
    y = _exact_product(a, b, m, n, k, wide)
    y = op.multiply(y, op.multiply(*[op.reshape(op.cast(s, wide), ()) for s in (scale_a, scale_b)]))
    return op.cast(y if bias is None else op.add(y, op.cast(bias, wide)), out_dtype)


def _exact_product(a: Array, b: Array, m: int, n: int, k: int, wide: DType) -> Array:
    """Return a @ b, in float32 on tensor cores: bfloat16 holds every 8-bit float."""
    backend = backends.backend_of(a)
    if 0 in (m, n, k) or wide == float64 or not has_tensor_cores(backend.limits.architecture):
        return op.matmul(op.cast(_rows(a), wide), op.cast(_rows(b), wide))
    y = backend.empty((m, n), wide)
    left, right = (Matrix(op.cast(_rows(x), bfloat16)[None]) for x in (a, b))
    product(Problem(m, n, k, 1, 1, 4), left, right, Outputs(y.reshape(1, m, n)))
    return y


op.register(scaled_mm=scaled_mm)
