"""How fully connected layers share passes in a backward walk (core/chained.py), on tensor cores.

Of ``y = act(x w + b)``, the layer that takes y computes ``dz = (dz' w'^T) act'(s)``, times the mask of a dropout, and
its column sums in the epilogue of its own product, so that here nothing is left to do but dx and dw.  And dw is added
to the gradient that is there already as it leaves.  Only in 16 bits: a float32 gradient is split into planes by a pass
that can as well multiply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import backend as backends
from ..core import Handed, Node, Slope, Tensor, op
from ..kernel import Planner
from ..spec import REDUCED
from .dense_launch import on_tensor_cores, products, sizes
from .product import Problem, in_one_launch

__all__ = ["backward", "slope"]

Array = Any


def slope(node: Node) -> Slope | None:
    """Return what the consumer of a layer's output may multiply its gradient by."""
    if node.inputs is None:
        return None
    activation, residuals = node.params["activation"], node.residuals
    x, w, _, *rest = (_array(a) for a in node.inputs)
    key = rest[1] if rest else None
    if activation is None and key is None and node.parents[2] is None:
        return None  # nothing to multiply by, nothing to add up
    if (not residuals and activation is not None) or (rest and node.parents[3] is not None):
        return None  # the gradient itself is wanted: it is that of the residual
    if x.dtype not in REDUCED or not _ready(x, w, *residuals) or not on_tensor_cores(x, w, activation):
        return None
    s = residuals[0] if activation is not None else None
    if key is not None:
        key = backends.backend_of(x).asarray(key)  # drawn on the CPU
    return Slope(activation, s, node.parents[2] is not None, key, node.params.get("p", 0.0))


def backward(node: Node, g: Any, needs: Sequence[bool], slope: Slope | None, before: Array | None) -> Any:
    """Return the gradients of input, weight and bias, and of a residual, and of a key, which has none."""
    (x, w, _, *rest), _ = node.kept(False)
    activation, residuals = node.params["activation"], node.residuals
    key = rest[1] if rest else None
    handed = g if type(g) is Handed else None
    if handed is None:
        if activation is not None and not residuals:
            return NotImplemented
        if not _ready(g, x, w, *residuals, before) or not on_tensor_cores(x, w, activation):
            return NotImplemented
    if slope is not None and not _gains(x, w):
        slope = None
    if handed is None and slope is None and before is None:
        return NotImplemented  # nothing to share
    dz, sums, kept = (handed.dz, handed.sums, None) if handed else (None, None, g)
    if handed is None and key is not None:
        kept = op.dropout(g, key, p=node.params["p"])
    s = residuals[0] if activation is not None else None
    of_slope = None if slope is None else (slope.activation, slope.sums, slope.p)
    arrays = (x, w, kept, s, dz, sums, before, *((None, None) if slope is None else (slope.s, slope.key)))
    params = {"activation": activation, "needs": tuple(needs), "slope": of_slope}
    found = _planner.call(_products, arrays, params)
    if found is NotImplemented:
        return found
    (dx, dw, db), totals = found
    of_input = dx if slope is None else Handed(dx, totals)
    return (of_input, dw, db, g, None) if rest else (of_input, dw, db)


_planner = Planner()


def _products(
    x: Array,
    w: Array,
    g: Array | None,
    s: Array | None,
    dz: Array | None,
    sums: Array | None,
    before: Array | None,
    slope_s: Array | None,
    key: Array | None,
    *,
    activation: str | None,
    needs: Sequence[bool],
    slope: tuple[str | None, bool, float] | None,
) -> Any:
    """`products`, of arrays and parameters alone."""
    of_slope = None if slope is None else Slope(slope[0], slope_s, slope[1], key, slope[2])
    return products(x, w, g, s, activation, needs, dz=dz, sums=sums, slope=of_slope, before=before)


def _array(x: Any) -> Array:
    return x.data if isinstance(x, Tensor) else x


def _ready(*arrays: Array | None) -> bool:
    """Whether these are contiguous arrays of one device that runs kernels."""
    first = backends.backend_of(arrays[0])
    return bool(first.runs_kernels) and all(
        a is None or (backends.backend_of(a) is first and a.flags.c_contiguous) for a in arrays
    )


def _gains(x: Array, w: Array) -> bool:
    """Whether the product that makes dx can take the slope at no loss: in one launch, into rows that can be loaded."""
    m, n, k = sizes(x, w)
    problem = Problem(m, k, n, 1, 1, x.dtype.itemsize, False, True)
    rows = backends.backend_of(x).limits.architecture != "sm_90a" or k % 8 == 0
    return x.dtype in REDUCED and rows and in_one_launch(problem, x, w)
