"""How the definitions call NumPy's and CuPy's linear algebra: what they take, and what is said where they fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...backend import cuda
from ...errors import DeviceError, DTypeError, LinAlgError, ShapeError, message, operand
from ...spec import REDUCED, Spec, is_differentiable

Array = Any

# Why LAPACK found no answer, and what to do about it.
SINGULAR = ("is singular", "need an invertible matrix; gl.linalg.pinv and gl.linalg.lstsq take any")
INDEFINITE = ("is not positive definite", "need x = b b^T + eps I with eps > 0, say; gl.linalg.eigh takes any")
DIVERGED = ("has no decomposition: the iteration did not converge", "need finite values")


def lapack(xp: Any, call: str, why: tuple[str, str], function: Callable[..., Any], *arrays: Array) -> Any:
    """Return ``function(*arrays)``; where it fails say so in gradlib's words, with the place in the batch.

    `call` is how messages show the op, ``"solve(a, b)"``: it names the arrays.
    """
    require(xp, call, "cuSOLVER")

    def attempt(*xs: Array) -> Any:
        if xp is np:
            return function(*xs)
        with cuda.raising():
            return function(*xs)

    try:
        return attempt(*arrays)
    except np.linalg.LinAlgError:
        raise _failure(call, why, attempt, arrays) from None


def _failure(call: str, why: tuple[str, str], attempt: Callable[..., Any], arrays: tuple[Array, ...]) -> LinAlgError:
    names = call[call.index("(") + 1 : -1].split(", ")
    lines = [operand(name, x) for name, x in zip(names, arrays, strict=True)]
    batch = arrays[0].shape[:-2]
    where = names[0]
    if batch:
        for index in np.ndindex(batch):
            try:
                attempt(*[x[index] for x in arrays])
            except np.linalg.LinAlgError:
                where = f"{names[0]}[{', '.join(map(str, index))}]"
                break
    return LinAlgError(message(f"{call}: {where} {why[0]}", lines, why[1]))


def require(xp: Any, call: str, library: str) -> None:
    """Refuse to go on, naming the extra, where `xp` is CuPy and CUDA's `library` is not installed."""
    if xp is not np and (reason := cuda.lacks(library)):
        raise DeviceError(
            f"{call}: on cuda this needs {library}, which the small install is without: {reason}\n"
            f"  need pip install 'gradlib[cuda13-full]' (or cuda12-full), or x.to(device=\"cpu\")"
        )


# -- what the ops take


def check_inexact(call: str, **operands: Spec) -> None:
    """Refuse what is not float32, float64, complex64 or complex128 (float16 and bfloat16 are widened before)."""
    for name, x in operands.items():
        if not is_differentiable(x.dtype) or x.dtype in REDUCED:
            lines = [operand(n, s) for n, s in operands.items()]
            fix = f"need a floating or complex dtype: {name}.to(gl.float32)"
            raise DTypeError(message(f"{call}: not defined for {x.dtype}", lines, fix))


def check_matrix(call: str, x: Spec, name: str = "x", square: bool = False) -> Spec:
    """Refuse what is no stack of matrices (of square ones) of a floating or complex dtype; return its Spec."""
    role = "..., n, n" if square else "..., m, n"
    if len(x.shape) < 2:
        lines = [operand(name, x, role)]
        raise ShapeError(message(f"{call}: {name} has {len(x.shape)} axes", lines, "need at least 2"))
    if square and x.shape[-1] != x.shape[-2]:
        lines = [operand(name, x, role)]
        what = f"{call}: {name} has {x.shape[-2]} rows and {x.shape[-1]} columns"
        raise ShapeError(message(what, lines, "need a square matrix"))
    check_inexact(call, **{name: x})
    return x


def square(call: str, name: str = "x") -> Callable[..., Spec]:
    """Return the shape rule of an op that makes a square matrix of a square matrix."""
    return lambda x, **params: check_matrix(call, x, name, square=True)
