"""`einsum`: sums of products of elements, written with a letter for each axis."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..core import op
from ..errors import DTypeError, ShapeError, message, operand
from .arithmetic import multiply
from .matmul import matmul
from .operands import widened
from .reduce import sum as total
from .shape import permute_dims, reshape

__all__ = ["einsum"]

Labels = list[str]  # a letter, or "...k" for the k-th axis from the last of those an ellipsis stands for


class _Term:
    """An operand, and the label of each of its axes."""

    def __init__(self, x: Any, labels: Labels) -> None:
        self.x, self.labels = x, labels

    def size(self, label: str) -> int:
        return int(self.x.shape[self.labels.index(label)])


def einsum(subscripts: str, /, *operands: Any) -> Any:
    """y[output] = sum of the products of the operands' elements over all letters that are not in the output.

    Parameters
    ----------
    subscripts : a letter for each axis of each operand, ``"ij,jk->ik"``.  A letter twice in an operand takes its
        diagonal; an ellipsis stands for the other axes, which broadcast.  Without ``->`` the output has the ellipsis
        and then, in alphabetical order, each letter that occurs once.
    operands : arrays or Tensors of any dtype, brought to a common one.

    Returns
    -------
    an array with the axes of the output.

    Raises
    ------
    ShapeError : the text does not fit the operands, or a letter has two sizes.

    Notes
    -----
    Derivative: every order.  Kernel: composition over `matmul`; more than two operands are taken in pairs, the pair
    with the smallest result first.

    Examples
    --------
    >>> import gradlib as gl
    >>> a = gl.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> gl.einsum("ij,ij->i", a, a)
    tensor([ 5., 25.], dtype=float32)
    """
    for i, x in enumerate(operands):
        if not hasattr(x, "ndim"):
            what = f"einsum({subscripts!r}): operand {i} is of type {type(x).__name__}"
            raise DTypeError(f"{what}\n  need a Tensor or an array: gl.tensor(...)")
    return _einsum(*operands, subscripts=subscripts)


@widened
def _einsum(*operands: Any, subscripts: str) -> Any:
    labels, output = _parse(subscripts, operands)
    terms = [_prepared(subscripts, _Term(x, each)) for x, each in zip(operands, labels, strict=True)]
    _unify(subscripts, terms, output)
    while len(terms) > 1:
        i, j = _cheapest(terms, output)
        second, first = terms.pop(j), terms.pop(i)
        others = {label for term in terms for label in term.labels} | set(output)
        terms.append(_contract(first, second, others))
    return _arranged(_summed(terms[0], set(output)), output)


def _refuse(subscripts: str, operands: Sequence[Any], what: str, fix: str) -> ShapeError:
    lines = [operand(f"operand {i}", x) for i, x in enumerate(operands)]
    return ShapeError(message(f"einsum({subscripts!r}): {what}", lines, fix))


def _parse(subscripts: str, operands: Sequence[Any]) -> tuple[list[Labels], Labels]:
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        what = f"{len(inputs)} terms and {len(operands)} operands"
        raise _refuse(subscripts, operands, what, "need a term for each operand")
    labels = []
    for i, (part, x) in enumerate(zip(inputs, operands, strict=True)):
        letters = part.replace("...", "", 1)
        hidden = x.ndim - len(letters)
        if not all(c.isalpha() for c in letters) or hidden < 0 or (hidden and "..." not in part):
            what = f"{part!r} has {len(letters)} letters, operand {i} has {x.ndim} axes"
            raise _refuse(subscripts, operands, what, "need a letter for each axis, or an ellipsis")
        labels.append(_expanded(part, hidden))
    most = max((sum(len(label) > 1 for label in each) for each in labels), default=0)
    counts = Counter(label for each in labels for label in each)
    if arrow:
        output = _expanded(right, most if "..." in right else 0)
        if len(set(output)) != len(output) or not set(output) <= counts.keys():
            raise _refuse(subscripts, operands, f"the output is {right!r}", "need letters of the operands, each once")
        return labels, output
    once = sorted(label for label, count in counts.items() if count == 1 and len(label) == 1)
    return labels, _expanded("...", most) + once


def _expanded(part: str, hidden: int) -> Labels:
    before, dots, after = part.partition("...")
    return [*before, *([f"...{k}" for k in range(hidden, 0, -1)] if dots else []), *after]


def _prepared(subscripts: str, term: _Term) -> _Term:
    """Take the diagonal of axes that share a letter."""
    x, labels = term.x, list(term.labels)
    for label in [label for label, count in Counter(labels).items() for _ in range(count - 1)]:
        i = labels.index(label)
        j = labels.index(label, i + 1)
        if x.shape[i] != x.shape[j]:
            what = f"axes {i} and {j} of one operand are both {label!r}"
            raise _refuse(subscripts, [term.x], what, "need equal sizes")
        rest = [k for k in range(len(labels)) if k not in (i, j)]
        x = op.diagonal(permute_dims(x, (*rest, i, j)), offset=0)
        labels = [*[labels[k] for k in rest], label]
    return _Term(x, labels)


def _unify(subscripts: str, terms: list[_Term], output: Labels) -> None:
    """Check that each letter has one size; drop axes of size 1 that broadcast along another operand's."""
    for label in {label for term in terms for label in term.labels}:
        sizes = {term.size(label) for term in terms if label in term.labels}
        if len(sizes - {1}) > 1:
            operands = [term.x for term in terms]
            raise _refuse(subscripts, operands, f"{label!r} has sizes {sorted(sizes)}", "need one size, or 1")
        if len(sizes) == 1:
            continue
        for term in terms:
            if label in term.labels and term.size(label) == 1:
                i = term.labels.index(label)
                term.x = reshape(term.x, tuple(n for k, n in enumerate(term.x.shape) if k != i))
                term.labels = [each for each in term.labels if each != label]


def _cheapest(terms: list[_Term], output: Labels) -> tuple[int, int]:
    """Return the pair whose product has the fewest elements beyond those of its factors."""
    best: tuple[float, int, int] | None = None
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            others = {label for k, t in enumerate(terms) if k not in (i, j) for label in t.labels} | set(output)
            a, b = terms[i], terms[j]
            kept = (set(a.labels) | set(b.labels)) & others
            size = math.prod((a if label in a.labels else b).size(label) for label in kept)
            growth = size - math.prod(a.x.shape) - math.prod(b.x.shape)
            if best is None or growth < best[0]:
                best = (growth, i, j)
    assert best is not None
    return best[1:]


def _summed(term: _Term, kept: set[str]) -> _Term:
    """Sum over the axes that nothing else has."""
    axes = tuple(i for i, label in enumerate(term.labels) if label not in kept)
    if not axes:
        return term
    x = op.cast(total(term.x, axis=axes), term.x.dtype)  # integers were added in 64 bits
    return _Term(x, [label for label in term.labels if label in kept])


def _arranged(term: _Term, labels: Labels) -> Any:
    order = tuple(term.labels.index(label) for label in labels)
    return term.x if order == tuple(range(len(order))) else permute_dims(term.x, order)


def _contract(a: _Term, b: _Term, others: set[str]) -> _Term:
    """Multiply two operands and sum over the letters that no other has: one batched product of matrices."""
    a = _summed(a, others | set(b.labels))
    b = _summed(b, others | set(a.labels))
    shared = [label for label in a.labels if label in b.labels]
    batch, inner = [s for s in shared if s in others], [s for s in shared if s not in others]
    left = [label for label in a.labels if label not in shared]
    right = [label for label in b.labels if label not in shared]
    sizes = {s: (a if s in a.labels else b).size(s) for s in (*a.labels, *b.labels)}
    n, m, k, p = (math.prod(sizes[s] for s in each) for each in (batch, left, inner, right))
    x = reshape(_arranged(a, batch + left + inner), (n, m, k))
    y = reshape(_arranged(b, batch + inner + right), (n, k, p))
    if not inner:
        product = multiply(x, reshape(y, (n, 1, p)))
    elif not batch:
        product = matmul(reshape(x, (m, k)), reshape(y, (k, p)))
    else:
        product = matmul(x, y)
    labels = batch + left + right
    return _Term(reshape(product, tuple(sizes[s] for s in labels)), labels)
