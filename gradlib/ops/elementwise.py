"""How elementwise ops are declared: domains of dtypes, shape rule, samples, and the kernel made from `expr`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import Primitive, leaf, op, sample, zeros_as
from ..errors import DTypeError, message, operand
from ..kernel.elementwise import cast_kernel, elementwise_launcher
from ..spec import (
    COMPLEX,
    DTYPES,
    FLOATING,
    INTEGER,
    STORAGE,
    DType,
    Spec,
    as_dtype,
    bool_,
    broadcast_shapes,
    is_complex,
)
from . import float8

__all__ = ["as_array", "cast", "copy", "elementwise", "no_slope", "pairs", "unary"]

# What an op takes, and how its error says so.  float16 ... float64 are always among the floating dtypes.
# An op that takes complex numbers is holomorphic, so that one rule serves both; the others have a jvp rule, or a front.
DOMAINS: dict[str, tuple[frozenset[DType], str]] = {
    "any": (frozenset(DTYPES.values()), "any dtype"),
    "number": (frozenset((*FLOATING, *COMPLEX, *INTEGER)), "a number, not bool: x.to(gl.int64)"),
    "analytic": (frozenset((*FLOATING, *COMPLEX)), "a floating or complex dtype: x.to(gl.float32)"),
    "complex": (frozenset(COMPLEX), "a complex dtype: x.to(gl.complex64)"),
    "real": (frozenset(DTYPES.values()) - {*COMPLEX}, "a real dtype"),
    "real number": (frozenset((*FLOATING, *INTEGER)), "a real number, not bool: x.to(gl.int64)"),
    "floating": (frozenset(FLOATING), "a floating dtype: x.to(gl.float32)"),
    "bits": (frozenset((*INTEGER, bool_)), "an integer dtype or bool"),
    "integer": (frozenset(INTEGER), "an integer dtype"),
}


def elementwise(
    name: str,
    *,
    takes: str = "number",
    gives: DType | Callable[[DType], DType] | None = None,
    promote: str | None = None,
    samples: Callable[[], Any] | None = None,
    expr: str | None = None,
    **declaration: Any,
) -> Callable[[Callable[..., Any]], Primitive]:
    """Declare an op that treats each element alone.

    ``takes`` is one of `DOMAINS`; ``"floating"`` and ``"analytic"`` also take integers, which become float32.
    ``gives`` is the dtype of the result where it is not that of the inputs (or a function of that, the same for real
    dtypes).  ``expr`` computes one element in C, in the accumulator type ``A``, from the names of inputs and
    parameters; it becomes the op's kernel for real dtypes.
    """
    allowed, need = DOMAINS[takes]
    usual = "float" if takes in ("floating", "analytic") else "same"

    def declare(impl: Callable[..., Any]) -> Primitive:
        def infer(*specs: Spec, **params: Any) -> Spec:
            shape = specs[0].shape
            if any(s.shape != shape for s in specs):
                shape = broadcast_shapes(call, *[s.shape for s in specs])
            for spec in specs:
                if spec.dtype not in allowed:
                    lines = [operand(n, s) for n, s in zip(prim.inputs, specs, strict=True)]
                    raise DTypeError(message(f"{call}: not defined for {spec.dtype}", lines, f"need {need}"))
            dtype = specs[-1].dtype
            return Spec(shape, gives(dtype) if callable(gives) else gives or dtype)

        prim = leaf(
            name,
            infer=infer,
            promote={None: usual, "none": None}.get(promote, promote),
            broadcasts=True,
            complex=COMPLEX[0] in allowed,
            samples=samples,
            expr=expr,
            **declaration,
        )(impl)
        call = f"{name}({', '.join(prim.inputs)})"
        if expr is not None:
            launcher = elementwise_launcher(prim, allowed - {*COMPLEX}, None if callable(gives) else gives)
            prim.kernel("cuda", planned=True)(launcher)
        return prim

    return declare


def as_array(x: Any, like: Any) -> Any:
    """Return a number given for an operand as an array of the other operand's dtype: alone it would become float32."""
    return np.asarray(x, like.dtype) if isinstance(x, (int, float, complex, np.generic)) else x


def no_slope(g: Any, ans: Any, x: Any, *others: Any, **params: Any) -> Any:
    """The rule of a step function in its first input: zero wherever a derivative exists."""
    return zeros_as(g, shape=g.shape, dtype=g.dtype)


def unary(draw: Callable[..., Any] | None = None, smooth: bool = True) -> Callable[[], list[Any]]:
    """Samples for one input: primes, size 1, a scalar, size 0; `draw(*shape)` where normals will not do."""

    def samples() -> list[Any]:
        shapes: Sequence[tuple[int, ...]] = [(3, 7), (1,), (), (2, 0)]
        return [sample(draw(*s) if draw else s, smooth=smooth) for s in shapes]

    return samples


def pairs(
    first: Callable[..., Any] | None = None, second: Callable[..., Any] | None = None, smooth: bool = True
) -> Callable[[], list[Any]]:
    """Samples for two inputs: equal shapes, every way of broadcasting, size 1, size 0."""

    def samples() -> list[Any]:
        shapes: Sequence[tuple[tuple[int, ...], tuple[int, ...]]] = [
            ((2, 7), (2, 7)),
            ((3, 5), (5,)),
            ((4, 1, 3), (2, 1)),
            ((), (3,)),
            ((1,), (1, 1)),
            ((2, 3, 1, 5), (3, 7, 1)),
            ((0, 3), (3,)),
        ]
        return [sample(first(*a) if first else a, second(*b) if second else b, smooth=smooth) for a, b in shapes]

    return samples


# -- dtype


def _infer_cast(x: Spec, *, dtype: DType) -> Spec:
    return Spec(x.shape, dtype)


@leaf(
    "cast",
    infer=_infer_cast,
    vjp=(lambda g, ans, x, dtype: demote(g, x.dtype),),
    jvp=lambda ts, ans, x, dtype: demote(ts[0], dtype),
    moves=True,
    samples=lambda: [
        sample((3, 5), dtype=DTYPES["float64"]),
        sample((7,), dtype=DTYPES["float32"], smooth=False),  # rounds, so differences see steps
        sample((7,), dtype=DTYPES["float16"], smooth=False),
        sample((2, 3), dtype=DTYPES["bfloat16"], smooth=False),
        sample((2, 3), dtype=DTYPES["int32"]),
        sample((2, 3), dtype=DTYPES["complex128"]),
        sample((0, 3), dtype=DTYPES["float64"]),
    ],
)
def _cast(xp: Any, x: Any, *, dtype: DType) -> Any:
    """y = x in another dtype, rounded to nearest even; towards zero for an integer dtype; the real part of a complex x.

    Derivative: the cotangent, in x's dtype.
    """
    return (x.real if is_complex(x.dtype) and dtype.kind not in "cb" else x).astype(dtype)


def cast(x: Any, dtype: Any) -> Any:
    """Return x in another dtype; x itself if it has it already.

    >>> import gradlib as gl
    >>> gl.cast(gl.tensor([1.5, -2.5]), gl.int32)
    tensor([ 1, -2], dtype=int32)
    """
    dtype = as_dtype(dtype)
    if x.dtype is dtype:
        return x
    if is_complex(x.dtype) and not is_complex(dtype) and dtype != bool_:
        fix = f"need gl.real(x), gl.imag(x) or gl.abs(x), then .to({dtype})"
        raise DTypeError(message(f"cast(x, {dtype}): the imaginary part would be lost", [operand("x", x)], fix))
    return _cast(x, dtype=dtype)


def demote(g: Any, dtype: DType) -> Any:
    """Return a cotangent in the dtype of an input that was promoted, the transpose of the promotion.

    That of a real input to a complex op is the real part, since the input has no other.
    """
    return g if g.dtype is dtype else _cast(g, dtype=dtype)


@_cast.kernel("cuda", planned=True)
def _(x: Any, *, dtype: DType) -> Any:
    return float8.cast_kernel(x, dtype) if x.dtype in STORAGE or dtype in STORAGE else cast_kernel(x, dtype=dtype)


@leaf(
    "copy",
    infer=lambda x: x,
    vjp=(lambda g, ans, x: g,),
    linear=True,
    moves=True,
    samples=unary(),
)
def copy(xp: Any, x: Any) -> Any:
    """y = x, in memory of its own."""
    return x.copy()


op.register(cast=cast, copy=copy, demote=demote)
