"""Matrix products of one and two dimensions and of batches."""

from __future__ import annotations

import math
from typing import Any

from .. import backend as backends
from ..backend import watch
from ..core import leaf, op, sample
from ..errors import ShapeError, message, operand
from ..kernel import Kernel, ctype
from ..spec import Spec, is_complex
from .product import Matrix, Outputs, Problem, as_matrix, direct, passes, prepared, product, worthwhile
from .tiling import LARGEST, tiling

__all__ = ["matmul"]

Array = Any


def _infer(x1: Spec, x2: Spec) -> Spec:
    def refuse(what: str, fix: str) -> ShapeError:
        roles = ("(..., m, k)", "(..., k, n)")
        lines = [operand(name, x, role[1:-1]) for name, x, role in zip(("x1", "x2"), (x1, x2), roles, strict=True)]
        return ShapeError(message(f"matmul(x1, x2): {what}", lines, fix))

    if x1.ndim == 0 or x2.ndim == 0:
        raise refuse(f"x1 has {x1.ndim} dimensions and x2 has {x2.ndim}", "need at least 1 each; multiply() scales")
    rows, columns = x1.shape[-2:-1], x2.shape[-1:] if x2.ndim > 1 else ()
    inner = x2.shape[-2] if x2.ndim > 1 else x2.shape[0]
    if x1.shape[-1] != inner:
        axis = -2 if x2.ndim > 1 else 0
        raise refuse(f"x1 has {x1.shape[-1]} columns, x2 has {inner} rows", f"need x1.shape[-1] == x2.shape[{axis}]")
    lead1, lead2 = x1.shape[:-2], x2.shape[:-2]
    n = max(len(lead1), len(lead2))
    batch = []
    for a, b in zip((1,) * (n - len(lead1)) + lead1, (1,) * (n - len(lead2)) + lead2, strict=True):
        if a != b and 1 not in (a, b):
            raise refuse(f"batch dimensions {lead1} and {lead2} do not broadcast", "need equal sizes, or 1")
        batch.append(b if a == 1 else a)
    return Spec((*batch, *rows, *columns), x1.dtype)


def _matrices(g: Array, x1: Any, x2: Any) -> tuple[Any, Any, Any]:
    """Give 1-d operands the axis that the product pretends they have: (1, k) on the left, (k, 1) on the right."""
    if x1.ndim == 1:
        g = op.reshape(g, (*g.shape[:-1], 1, *g.shape[-1:]) if x2.ndim > 1 else (1, *g.shape))
        x1 = _reshaped(x1, (1, x1.shape[0]))
    if x2.ndim == 1:
        g = op.reshape(g, (*g.shape, 1))
        x2 = _reshaped(x2, (x2.shape[0], 1))
    return g, x1, x2


def _reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    return Spec(shape, x.dtype) if isinstance(x, Spec) else op.reshape(x, shape)


def _vjp_x1(g: Array, ans: Any, x1: Any, x2: Array) -> Array:
    """dx1 = g x2^T, summed over the batch dimensions that x1 broadcast along."""
    g, m1, m2 = _matrices(g, x1, x2)
    return op.reshape(op.sum_to(matmul(g, op.matrix_transpose(m2)), shape=m1.shape), x1.shape)


def _vjp_x2(g: Array, ans: Any, x1: Array, x2: Any) -> Array:
    """dx2 = x1^T g, summed over the batch dimensions that x2 broadcast along: by the product itself if it has none."""
    g, m1, m2 = _matrices(g, x1, x2)
    if m2.ndim == 2 and m1.ndim > 2:
        g, m1 = op.reshape(g, (-1, m2.shape[1])), op.reshape(m1, (-1, m2.shape[0]))
    return op.reshape(op.sum_to(matmul(op.matrix_transpose(m1), g), shape=m2.shape), x2.shape)


def _samples() -> list[Any]:
    return [
        sample((3, 5), (5, 2)),
        sample((1, 1), (1, 1)),
        sample((67, 71), (71, 73)),
        sample((7,), (7,)),
        sample((5,), (5, 3)),
        sample((4, 5), (5,)),
        sample((2, 3, 4), (4, 5)),
        sample((3, 4), (2, 4, 5)),
        sample((2, 1, 3, 4), (5, 4, 2)),
        sample((2, 3, 4), (4,)),
        sample((4,), (2, 4, 3)),
        sample((0, 3), (3, 2)),
        sample((3, 0), (0, 2)),
        sample((0, 2, 3), (3, 2)),
        sample((300, 17), (17, 5)),
        sample((70, 72), (72, 40)),  # rows that bulk copies take
        sample((3, 40, 16), (3, 16, 24)),
        sample((5, 16, 8), (8, 16)),
    ]


@leaf(
    "matmul", infer=_infer, vjp=(_vjp_x1, _vjp_x2), saves=("x2", "x1"), promote="same", complex=True, samples=_samples
)
def matmul(xp: Any, x1: Array, x2: Array) -> Array:
    """y[..., i, j] = sum over k of x1[..., i, k] x2[..., k, j].

    A 1-d operand is a row on the left, a column on the right, and leaves no axis in the result.

    Parameters
    ----------
    x1 : (..., m, k) or (k,)
    x2 : (..., k, n) or (k,)
        Of any dtype; the two are brought to a common one.  Batch dimensions broadcast.

    Returns
    -------
    (..., m, n)
        float16 and bfloat16 are summed in float32 and rounded once; integers wrap.

    Raises
    ------
    ShapeError
        If the inner sizes differ, the batch dimensions do not broadcast, or an operand is 0-d.

    Notes
    -----
    Derivative: every order, by two further products.  Kernel: product_thin.cu (up to eight rows or columns),
    product_double.cu (float64 on tensor cores), product_sm90.cu and product_mma.cu (16-bit floats and, as bfloat16
    planes, float32), else matmul.cu (every dtype; transposed and broadcast operands are read in place).

    Examples
    --------
    >>> import numpy as np
    >>> matmul(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    if x2.ndim == 2 and x1.ndim > 2 and x1.flags.c_contiguous:  # one product instead of a batch of small ones
        k = x1.shape[-1]
        rows = math.prod(x1.shape[:-1])
        return xp.matmul(x1.reshape(rows, k), x2).reshape(*x1.shape[:-1], x2.shape[1])
    return xp.matmul(x1, x2)


_product = Kernel("matmul.cu", "matmul", "a b c | batch m n k a_batch a_row a_col b_batch b_row b_col")


@matmul.kernel("cuda", strided=True, planned=True)
def _launch(x1: Array, x2: Array) -> Array:
    spec = _infer(Spec(x1.shape, x1.dtype), Spec(x2.shape, x2.dtype))
    backend = backends.backend_of(x1)
    y = backend.empty(spec.shape, spec.dtype)
    if y.size == 0:
        return y
    if is_complex(y.dtype):
        return _launch_complex(x1, x2, y)
    m, k, a = _strides(x1 if x1.ndim > 1 else x1[None, :])
    k, n, b = _strides(x2 if x2.ndim > 1 else x2[:, None])
    batch = y.shape[: max(len(a), len(b)) - 2]
    if max(m, n, k, math.prod(batch)) > LARGEST:
        return NotImplemented
    if _as_product(x1, x2, y, m, n, k, batch):
        return y
    tile = tiling(m, n)
    macros: dict[str, Any] = {
        **tile.macros,
        "T": ctype(y.dtype),
        "A_K_FAST": int(a[-1] == 1 or a[-2] != 1),
        "B_K_FAST": int(b[-2] == 1 and b[-1] != 1),
    }
    blocks = tile.blocks(m, n)
    # The kernel walks one batch dimension; those that do not fold into one are walked here.
    outer, inner, a_step, b_step = _fold(batch, _lead(a, x1, len(batch)), _lead(b, x2, len(batch)))
    for index in range(math.prod(outer)):
        at: list[int] = []
        place = index
        for size in reversed(outer):
            place, i = divmod(place, size)
            at.insert(0, i)
        grid = (blocks, 1, min(inner, 65535))
        out = y.reshape(*outer, inner, m, n)[tuple(at)] if outer else y
        _product(grid, tile.threads, _first(x1, batch, at), _first(x2, batch, at), out,
                 inner, m, n, k, a_step, a[-2], a[-1], b_step, b[-2], b[-1], **macros)  # fmt: skip
    return y


def _as_product(x1: Array, x2: Array, y: Array, m: int, n: int, k: int, batch: tuple[int, ...]) -> bool:
    """Compute y by a kernel of ops/product, if that is faster and takes such operands."""
    products = math.prod(batch)
    if x2.ndim == 2 and x1.ndim > 2 and x1.flags.c_contiguous:  # one product of many rows
        x1, m, products = x1.reshape(1, products * m, k), products * m, 1
    a, b, out = _matrices_of(x1, m, k, products), _matrices_of(x2, k, n, products), Outputs(y)
    if a is None or b is None:
        return False
    problem = Problem(m, n, k, products, 1, y.dtype.itemsize, a.transposed, b.transposed)
    if direct(problem, a, b, out):
        return True
    if not worthwhile(x1, m, n, k, products):
        return False
    left, right = prepared(a), prepared(b)
    if left is None or right is None:
        return False
    product(problem._replace(passes=passes(x1)), left, right, out)
    return True


def _matrices_of(x: Array, rows: int, columns: int, products: int) -> Matrix | None:
    """View an operand as (products or 1, rows, columns); None if no such view exists."""
    if x.ndim <= 2:
        return as_matrix(x.reshape(1, rows, columns) if x.ndim == 1 else x[None])
    if math.prod(x.shape[:-2]) == 1:
        return as_matrix(x.reshape(1, rows, columns) if x.flags.c_contiguous else x[(0,) * (x.ndim - 2)][None])
    if math.prod(x.shape[:-2]) != products or (x.ndim > 3 and not x.flags.c_contiguous):
        return None  # broadcasts along some of the batch dimensions, or does not fold into one
    return as_matrix(x.reshape(products, rows, columns) if x.ndim > 3 else x)


def _launch_complex(x1: Array, x2: Array, y: Array) -> Array:
    """Fill y by the products of the parts: four, since the method of three loses digits of one part to the other."""
    parts = [_launch(a, b) for a in (x1.real, x1.imag) for b in (x2.real, x2.imag)]
    if any(part is NotImplemented for part in parts):
        return NotImplemented
    watch.spoil()
    y.real = parts[0] - parts[3]
    y.imag = parts[1] + parts[2]
    return y


def _strides(x: Array) -> tuple[int, int, tuple[int, ...]]:
    """Return rows, columns and all strides in elements (of a size-1 axis: 0, whatever NumPy says)."""
    item = x.dtype.itemsize
    strides = tuple(0 if size == 1 else stride // item for size, stride in zip(x.shape, x.strides, strict=True))
    return x.shape[-2], x.shape[-1], strides


def _lead(strides: tuple[int, ...], x: Array, ndim: int) -> tuple[int, ...]:
    """Return the strides of the batch dimensions, 0 for those that broadcast."""
    lead = strides[:-2]
    return (0,) * (ndim - len(lead)) + lead


def _fold(batch: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], int, int, int]:
    """Fold trailing batch dimensions into one while one stride serves each operand.

    Returns the dimensions left over, and size and strides of the folded one.
    """
    size, a_step, b_step, left = 1, 0, 0, len(batch)
    while left:
        n, sa, sb = batch[left - 1], a[left - 1], b[left - 1]
        if size == 1:
            a_step, b_step = sa, sb
        elif n > 1 and (sa != a_step * size or sb != b_step * size):
            break
        size *= n
        left -= 1
    return batch[:left], size, a_step, b_step


def _first(x: Array, batch: tuple[int, ...], at: list[int]) -> Array:
    """Return the one-element view that x's matrix for this place in the batch starts with: it carries the pointer."""
    lead = x.shape[:-2]
    index = [*at, *[0] * (len(batch) - len(at))][len(batch) - len(lead) :]
    return x[tuple([slice(i, i + 1) if n > 1 else slice(0, 1) for i, n in zip(index, lead, strict=True)])][
        (Ellipsis, *[slice(0, 1)] * min(x.ndim, 2))
    ]


op.register(matmul=matmul)
