"""Matrix products on tensor cores, with what stands around them: one front for every op that multiplies matrices."""

from .front import as_matrix, gains, has_tensor_cores, passes, planes_of, prepared, product, worthwhile
from .planes import gradient, split
from .problem import Matrix, Outputs, Problem, Steps

__all__ = [
    "Matrix",
    "Outputs",
    "Problem",
    "Steps",
    "as_matrix",
    "gains",
    "gradient",
    "has_tensor_cores",
    "passes",
    "planes_of",
    "prepared",
    "product",
    "split",
    "worthwhile",
]
