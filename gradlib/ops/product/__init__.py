"""Matrix products on tensor cores, with what stands around them: one front for every op that multiplies matrices."""

from .front import as_matrix, passes, planes_of, prepared, worthwhile
from .planes import gradient, split
from .problem import Matrix, Problem, Steps
from .sm90 import product, serves

__all__ = [
    "Matrix",
    "Problem",
    "Steps",
    "as_matrix",
    "gradient",
    "passes",
    "planes_of",
    "prepared",
    "product",
    "serves",
    "split",
    "worthwhile",
]
