"""Matrix products on tensor cores, with what stands around them: one front for every op that multiplies matrices."""

from . import grouped, scaled
from .front import as_matrix, gains, has_tensor_cores, passes, planes_of, prepared, product, worthwhile
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
    "gains",
    "gradient",
    "grouped",
    "has_tensor_cores",
    "passes",
    "planes_of",
    "prepared",
    "product",
    "scaled",
    "split",
    "worthwhile",
]
