"""What is asked of a matrix product, apart from its data: shapes, layouts, element types, what follows the sum."""

from __future__ import annotations

from typing import Any, NamedTuple

from ... import backend as backends
from ...spec import float32
from ..dropout import dropout_scale, dropout_threshold

AFTER, BEFORE = 1, 2  # the places of a residual

# Parameters of every kernel that ends in finish.cuh: `Outputs.arrays` and `Outputs.limits` are their values.
ARRAYS, LIMITS = "bias scale slope residual key y z", "threshold keep"

__all__ = ["AFTER", "ARRAYS", "BEFORE", "LIMITS", "Matrix", "Outputs", "Problem", "Steps", "Totals", "paired_of"]

Array = Any


class Matrix(NamedTuple):
    """A batch of matrices as they stand in memory.

    ``array`` is (batch, rows, columns) with contiguous columns; batch is 1 where one matrix serves all products.
    ``transposed`` says that it holds the transpose of the operand.  ``planes`` > 1: each matrix is that many, one after
    the other along the batch, as `planes.split` makes them of float32.
    """

    array: Array
    transposed: bool = False
    planes: int = 1

    @property
    def batch(self) -> int:
        return int(self.array.shape[0]) // self.planes


class Steps(NamedTuple):
    """What a sum passes through on its way out; the fields are the macros of finish.cuh."""

    bias: bool = False
    scale: bool = False
    activation: str | None = None
    save: bool = False
    slope: str | None = None  # the activation whose derivative is multiplied
    residual: int = 0  # AFTER or BEFORE the activation
    dropout: bool = False
    sums: bool = False  # of the columns of y
    moments: bool = False  # their means and squared deviations

    @property
    def macros(self) -> dict[str, Any]:
        return {
            "BIAS": self.bias,
            "SCALE": self.scale,
            "ACT": self.activation or "none",
            "SAVE": self.save,
            "SLOPE": self.slope is not None,
            "SLOPE_ACT": self.slope or "none",
            "RESIDUAL": int(self.residual),
            "DROPOUT": self.dropout,
            "SUMS": self.sums,
            "MOMENTS": self.moments,
        }

    @property
    def totals(self) -> int:
        """How many numbers are kept of each column of a part."""
        return int(self.sums) + 2 * int(self.moments)


class Problem(NamedTuple):
    """One product, or `products` independent ones: y (m, n) = steps(sum over k of a b)."""

    m: int
    n: int
    k: int
    products: int = 1
    passes: int = 1  # products of planes that make one of float32
    itemsize: int = 2  # of y
    a_transposed: bool = False
    b_transposed: bool = False
    steps: Steps = Steps()


class Outputs(NamedTuple):
    """The arrays around a product's results."""

    y: Array
    z: Array | None = None
    slope: Array | None = None
    residual: Array | None = None
    bias: Array | None = None
    scale: Array | None = None
    key: Array | None = None
    p: float = 0.0  # of dropout

    @property
    def fetched(self) -> Array | None:
        """What comes by bulk copies: output.cuh."""
        return self.slope if self.slope is not None else self.residual

    @property
    def arrays(self) -> tuple[Array | None, ...]:
        """The values of ARRAYS."""
        return (self.bias, self.scale, self.slope, self.residual, self.key, self.y, self.z)

    @property
    def limits(self) -> tuple[int, float]:
        """The values of LIMITS: those of the dropout."""
        return (0, 0.0) if self.key is None else (dropout_threshold(self.p), dropout_scale(self.p))


class Totals(NamedTuple):
    """What was added up of the columns of a result, in parts of so many rows.

    ``array`` is (products * parts, n) in float32; of moments (2, products * parts, n): means, squared deviations.
    """

    array: Array
    rows: int

    @classmethod
    def room(cls, problem: Problem, rows: int, y: Array) -> Totals | None:
        """Return what a kernel is to fill, if anything is asked for."""
        steps, parts = problem.steps, problem.products * -(-problem.m // rows)
        if not steps.totals:
            return None
        shape = (2, parts, problem.n) if steps.moments else (parts, problem.n)
        return cls(backends.backend_of(y).empty(shape, float32), rows)


def paired_of(n: int, pitch: int, out: Outputs) -> bool:
    """Whether two neighbours of every array around a product can be read and written at once."""
    if n % 2 or pitch % 2:
        return False
    pointer = backends.backend_of(out.y).pointer
    around = (out.y, out.z, out.slope, out.residual, out.bias, out.scale)
    return all(pointer(array) % (2 * array.dtype.itemsize) == 0 for array in around if array is not None)
