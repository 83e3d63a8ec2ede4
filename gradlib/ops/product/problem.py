"""What is asked of a matrix product, apart from its data: shapes, layouts, element types, what follows the sum."""

from __future__ import annotations

from typing import Any, NamedTuple

from ... import backend as backends

__all__ = ["Matrix", "Outputs", "Problem", "Steps", "paired_of"]

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
    residual: bool = False
    sums: bool = False

    @property
    def macros(self) -> dict[str, Any]:
        return {
            "BIAS": self.bias,
            "SCALE": self.scale,
            "ACT": self.activation or "none",
            "SAVE": self.save,
            "SLOPE": self.slope is not None,
            "SLOPE_ACT": self.slope or "none",
            "RESIDUAL": self.residual,
            "SUMS": self.sums,
        }


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
    sums: Array | None = None

    @property
    def fetched(self) -> Array | None:
        """What comes by bulk copies: output.cuh."""
        return self.slope if self.slope is not None else self.residual


def paired_of(n: int, pitch: int, out: Outputs) -> bool:
    """Whether two neighbours of every array around a product can be read and written at once."""
    if n % 2 or pitch % 2:
        return False
    pointer = backends.backend_of(out.y).pointer
    return all(pointer(array) % (2 * array.dtype.itemsize) == 0 for array in out[:6] if array is not None)
