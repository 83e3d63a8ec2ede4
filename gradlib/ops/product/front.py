"""From arrays to operands of a product on tensor cores, or the answer that another kernel should take it; and products
of operands as they are, where memory is the floor, and of float64."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ... import backend as backends
from ...spec import bfloat16, float16, float32, float64
from ..precision import passes as passes_of_float32
from . import choose_mma, choose_sm90, double, mma, sm90, thin
from .planes import split
from .problem import Matrix, Outputs, Problem, Totals

__all__ = [
    "as_matrix",
    "direct",
    "gains",
    "has_tensor_cores",
    "in_one_launch",
    "passes",
    "planes_of",
    "prepared",
    "product",
    "worthwhile",
]

Array = Any

_FFMA = 78.0  # multiplications of a multiprocessor per cycle that the plain float32 kernel reaches
_PLANES = 5000.0  # cycles to launch the split of an operand


@lru_cache
def has_tensor_cores(architecture: str) -> bool:
    """Whether an architecture multiplies bfloat16 on tensor cores, as all do from sm_80 on."""
    return int(architecture.removeprefix("sm_").rstrip("af")) >= 80


def passes(array: Array) -> int:
    """Return in how many products of 16-bit operands this dtype is multiplied; 0 if in none."""
    if array.dtype in (float16, bfloat16):
        return 1
    return passes_of_float32() if array.dtype == float32 else 0


def planes_of(array: Array) -> int:
    """Return the planes of which its operand consists: 1, or the 4 of planes.cu."""
    return 4 if passes(array) > 1 else 1


def as_matrix(array: Array) -> Matrix | None:
    """View (batch, rows, columns) as a matrix with contiguous columns, or its transpose; None if neither is."""
    item = array.dtype.itemsize
    _, rows, columns = array.shape
    _, row, column = array.strides
    if column == item or columns == 1:
        return Matrix(array, False)
    if row == item or rows == 1:
        return Matrix(array.swapaxes(1, 2), True)
    return None


def prepared(matrix: Matrix | None) -> Matrix | None:
    """Return the operand that the tensor cores take of a matrix of any float dtype; None if they cannot."""
    if matrix is None or matrix.array.dtype != float32:
        return matrix
    if not matrix.array.flags.c_contiguous:
        return None
    return split(matrix.array, planes_of(matrix.array))._replace(transposed=matrix.transposed)


def direct(problem: Problem, a: Matrix | None, b: Matrix | None, out: Outputs) -> bool:
    """Compute out.y from operands of any float dtype as they are, without planes, if that is the fastest way."""
    narrow = min(problem.m, problem.n) <= thin.ROWS
    if a is None or b is None or not (narrow or a.array.dtype == float64):
        return False
    limits = backends.backend_of(out.y).limits
    count, architecture = limits.multiprocessors, limits.architecture
    if narrow and thin.serves(problem, a, b) and thin.gains(problem, a.array.dtype.itemsize, count, architecture):
        thin.product(problem, a, b, out)
        return True
    if double.serves(problem, a, b) and double.gains(problem, count, architecture):
        double.product(problem, a, b, out)
        return True
    return False


def product(problem: Problem, a: Matrix, b: Matrix, out: Outputs) -> Totals | None:
    """Compute out.y (products, m, n); return the totals of its columns, where they are asked for."""
    if direct(problem, a, b, out):
        return None
    hopper = backends.backend_of(out.y).limits.architecture == "sm_90a"
    family: Any = sm90 if hopper and sm90.serves(a.array) and sm90.serves(b.array) else mma
    found: Totals | None = family.product(problem, a, b, out)
    return found


def in_one_launch(problem: Problem, a: Array, b: Array) -> bool:
    """Whether the product of these operands is computed so, which whatever adds up its columns asks for."""
    limits = backends.backend_of(a).limits
    if min(problem.m, problem.n) <= thin.ROWS:
        return False  # a kernel that adds up nothing takes it
    family: Any = choose_sm90 if limits.architecture == "sm_90a" and sm90.serves(a) and sm90.serves(b) else choose_mma
    return bool(family.choose(problem, limits.multiprocessors).splits == 1)


def worthwhile(array: Array, m: int, n: int, k: int, products: int = 1) -> bool:
    """Whether a product of these sizes and this array's dtype should go to tensor cores on this array's device."""
    count, limits = passes(array), backends.backend_of(array).limits
    if count == 0 or 0 in (m, n, k, products) or not has_tensor_cores(limits.architecture):
        return False
    if products > limits.grid[2]:  # of the mma family they are the grid's third dimension
        return False
    return array.dtype != float32 or _gains(m, n, k, products, count, limits.multiprocessors, limits.architecture)


def gains(
    m: int, n: int, padded: int, k: int, products: int, count: int, moved: int, multiprocessors: int, *, hopper: bool
) -> bool:
    """Whether tensor cores, walking over `padded` of k, beat the plain kernel, which walks over k itself.

    `moved` elements of float32 are first split into planes.
    """
    family: Any = choose_sm90 if hopper else choose_mma
    problem = Problem(m, n, padded, products, count, 4)
    fast = family.cycles(problem, family.choose(problem, multiprocessors), multiprocessors)
    planes = 2 * _PLANES + moved * (12 if count > 1 else 6) / 2400 if moved else 0.0
    busy = min(products * -(-m // 64) * -(-n // 64), multiprocessors)
    return bool(fast + planes < 5000 + products * m * n * k / _FFMA / busy)


@lru_cache(4096)
def _gains(m: int, n: int, k: int, products: int, count: int, multiprocessors: int, architecture: str) -> bool:
    moved = products * (m * k + k * n)
    return gains(m, n, k, k, products, count, moved, multiprocessors, hopper=architecture == "sm_90a")
