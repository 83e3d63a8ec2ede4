"""The rules of `vmap` for leaf ops, and for those fused ops that take a batch as it is.

A rule gets the inputs with the batch along axis 0 where `over` says so, and gives the result with it there.
Elementwise ops need none; `loops` names the ops of the library that have none.
"""

from . import axes, draws, grouped, images, indices, products
from .rule import loops, rule

__all__ = ["axes", "draws", "grouped", "images", "indices", "loops", "products", "rule"]
