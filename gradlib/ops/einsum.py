"""`einsum`: sums of products of elements, written with a letter for each axis."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..core import op
from ..errors import DTypeError, ShapeError, message, operand
from .arithmetic import multiply
from .matmul import matmul
from .operands import widened
from .reduce import sum as total
from .shape import permute_dims, reshape

__all__ = ["einsum"]

Shape = tuple[int, ...]
Labels = list[str]  # a letter, or "...k" for the k-th axis from the last of those an ellipsis stands for


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
    return _run(*operands, subscripts=subscripts)


@widened
def _run(*operands: Any, subscripts: str) -> Any:
    try:
        steps = _planned(subscripts, tuple([tuple(x.shape) for x in operands]))
    except _Misfit as misfit:
        lines = [operand(f"operand {i}", x) for i, x in enumerate(operands)]
        raise ShapeError(message(f"einsum({subscripts!r}): {misfit.what}", lines, misfit.fix)) from None
    values = list(operands)
    for function, places, more in steps:
        values.append(function(*[values[i] for i in places], *more))
    return values[-1]


class _Misfit(Exception):  # noqa: N818  (it never leaves this file)
    def __init__(self, what: str, fix: str) -> None:
        self.what, self.fix = what, fix


# -- the plan: made once for a text and shapes


class _Term(NamedTuple):
    """An array of the computation: its place among the values, and a label and a size for each axis."""

    place: int
    labels: Labels
    shape: Shape

    def size(self, label: str) -> int:
        return self.shape[self.labels.index(label)]


Step = tuple[Callable[..., Any], tuple[int, ...], tuple[Any, ...]]


@lru_cache(maxsize=1024)
def _planned(subscripts: str, shapes: tuple[Shape, ...]) -> list[Step]:
    """Return the steps: a function, which values it takes, and what else.  Each makes one more value."""
    return _Plan(subscripts, shapes).steps


class _Plan:
    def __init__(self, subscripts: str, shapes: tuple[Shape, ...]) -> None:
        self.steps: list[Step] = []
        self.values = len(shapes)
        labels, output = _parse(subscripts, [len(shape) for shape in shapes])
        terms = [_Term(i, each, shape) for i, (each, shape) in enumerate(zip(labels, shapes, strict=True))]
        terms = self.unified([self.diagonals(term) for term in terms])
        while len(terms) > 1:
            i, j = _cheapest(terms, output)
            second, first = terms.pop(j), terms.pop(i)
            others = {label for term in terms for label in term.labels} | set(output)
            terms.append(self.contracted(first, second, others))
        last = self.arranged(self.summed(terms[0], set(output)), output)
        if not self.steps:  # nothing to do
            self.reshaped(last, output, last.shape, even_so=True)

    def step(
        self, function: Callable[..., Any], terms: Sequence[_Term], more: Any, labels: Labels, shape: Shape
    ) -> _Term:
        self.steps.append((function, tuple([term.place for term in terms]), more))
        self.values += 1
        return _Term(self.values - 1, labels, shape)

    def reshaped(self, term: _Term, labels: Labels, shape: Shape, even_so: bool = False) -> _Term:
        if shape == term.shape and not even_so:
            return _Term(term.place, labels, shape)
        return self.step(reshape, [term], (shape,), labels, shape)

    def arranged(self, term: _Term, labels: Labels) -> _Term:
        order = tuple(term.labels.index(label) for label in labels)
        if order == tuple(range(len(order))):
            return term
        return self.step(permute_dims, [term], (order,), labels, tuple(term.shape[i] for i in order))

    def summed(self, term: _Term, kept: set[str]) -> _Term:
        """Sum over the axes that nothing else has."""
        axes = tuple(i for i, label in enumerate(term.labels) if label not in kept)
        if not axes:
            return term
        left = [(label, n) for label, n in zip(term.labels, term.shape, strict=True) if label in kept]
        return self.step(_sum, [term], (axes,), [label for label, _ in left], tuple(n for _, n in left))

    def diagonals(self, term: _Term) -> _Term:
        """Take the diagonal of axes that share a letter."""
        for label in [label for label, count in Counter(term.labels).items() for _ in range(count - 1)]:
            labels, shape = term.labels, term.shape
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if shape[i] != shape[j]:
                raise _Misfit(f"axes {i} and {j} of one operand are both {label!r}", "need equal sizes")
            rest = [k for k in range(len(labels)) if k not in (i, j)]
            order = (*rest, i, j)
            term = self.step(permute_dims, [term], (order,), [labels[k] for k in order], tuple(shape[k] for k in order))
            term = self.step(_diagonal, [term], (), term.labels[:-1], term.shape[:-1])
        return term

    def unified(self, terms: list[_Term]) -> list[_Term]:
        """Check that each letter has one size; drop axes of size 1 that broadcast along another operand's."""
        for label in sorted({label for term in terms for label in term.labels}):
            sizes = {term.size(label) for term in terms if label in term.labels}
            if len(sizes - {1}) > 1:
                raise _Misfit(f"{label!r} has sizes {sorted(sizes)}", "need one size, or 1")
            if len(sizes) > 1:
                terms = [self.without(term, label) for term in terms]
        return terms

    def without(self, term: _Term, label: str) -> _Term:
        if label not in term.labels or term.size(label) != 1:
            return term
        i = term.labels.index(label)
        labels, shape = list(term.labels), list(term.shape)
        del labels[i], shape[i]
        return self.reshaped(term, labels, tuple(shape))

    def contracted(self, a: _Term, b: _Term, others: set[str]) -> _Term:
        """Multiply two operands and sum over the letters that no other has: one batched product of matrices."""
        a = self.summed(a, others | set(b.labels))
        b = self.summed(b, others | set(a.labels))
        shared = [label for label in a.labels if label in b.labels]
        batch, inner = [s for s in shared if s in others], [s for s in shared if s not in others]
        left = [label for label in a.labels if label not in shared]
        right = [label for label in b.labels if label not in shared]
        sizes = {s: (a if s in a.labels else b).size(s) for s in (*a.labels, *b.labels)}
        n, m, k, p = (math.prod(sizes[s] for s in each) for each in (batch, left, inner, right))
        lead = (n,) if batch else ()
        x, y = self.arranged(a, batch + left + inner), self.arranged(b, batch + inner + right)
        if inner:
            x, y = self.reshaped(x, [], (*lead, m, k)), self.reshaped(y, [], (*lead, k, p))
            product = self.step(matmul, [x, y], (), [], (*lead, m, p))
        else:
            x, y = self.reshaped(x, [], (*lead, m, 1)), self.reshaped(y, [], (*lead, 1, p))
            product = self.step(multiply, [x, y], (), [], (*lead, m, p))
        labels = batch + left + right
        return self.reshaped(product, labels, tuple(sizes[s] for s in labels))


def _sum(x: Any, axes: Shape) -> Any:
    y = total(x, axis=axes)
    return y if y.dtype == x.dtype else op.cast(y, x.dtype)  # integers were added in 64 bits


def _diagonal(x: Any) -> Any:
    return op.diagonal(x, offset=0)


def _cheapest(terms: list[_Term], output: Labels) -> tuple[int, int]:
    """Return the pair whose product has the fewest elements beyond those of its factors."""
    best: tuple[float, int, int] | None = None
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            others = {label for k, t in enumerate(terms) if k not in (i, j) for label in t.labels} | set(output)
            a, b = terms[i], terms[j]
            kept = (set(a.labels) | set(b.labels)) & others
            size = math.prod((a if label in a.labels else b).size(label) for label in kept)
            growth = size - math.prod(a.shape) - math.prod(b.shape)
            if best is None or growth < best[0]:
                best = (growth, i, j)
    assert best is not None
    return best[1:]


# -- the text


def _parse(subscripts: str, axes: Sequence[int]) -> tuple[list[Labels], Labels]:
    """Return the labels of the axes of each operand, and of the output."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(axes):
        raise _Misfit(f"{len(inputs)} terms and {len(axes)} operands", "need a term for each operand")
    labels = []
    for i, (part, n) in enumerate(zip(inputs, axes, strict=True)):
        letters = part.replace("...", "", 1)
        hidden = n - len(letters)
        if not all(c.isalpha() for c in letters) or hidden < 0 or (hidden and "..." not in part):
            what = f"{part!r} has {len(letters)} letters, operand {i} has {n} axes"
            raise _Misfit(what, "need a letter for each axis, or an ellipsis")
        labels.append(_expanded(part, hidden))
    most = max((sum(len(label) > 1 for label in each) for each in labels), default=0)
    counts = Counter(label for each in labels for label in each)
    if arrow:
        output = _expanded(right, most if "..." in right else 0)
        if len(set(output)) != len(output) or not set(output) <= counts.keys():
            raise _Misfit(f"the output is {right!r}", "need letters of the operands, each once")
        return labels, output
    once = sorted(label for label, count in counts.items() if count == 1 and len(label) == 1)
    return labels, _expanded("...", most) + once


def _expanded(part: str, hidden: int) -> Labels:
    before, dots, after = part.partition("...")
    return [*before, *([f"...{k}" for k in range(hidden, 0, -1)] if dots else []), *after]
