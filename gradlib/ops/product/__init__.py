"""Matrix products on tensor cores, with what stands around them: one front for every op that multiplies matrices."""

from . import grouped, scaled
from .front import (
    as_matrix,
    direct,
    gains,
    has_tensor_cores,
    in_one_launch,
    passes,
    planes_of,
    prepared,
    product,
    worthwhile,
)
from .planes import gradient, split
from .problem import AFTER, BEFORE, Matrix, Outputs, Problem, Steps, Totals

__all__ = [
    "AFTER",
    "BEFORE",
    "Matrix",
    "Outputs",
    "Problem",
    "Steps",
    "Totals",
    "as_matrix",
    "direct",
    "gains",
    "gradient",
    "grouped",
    "has_tensor_cores",
    "in_one_launch",
    "passes",
    "planes_of",
    "prepared",
    "product",
    "scaled",
    "split",
    "worthwhile",
]
