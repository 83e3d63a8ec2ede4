"""Losses with margins and distances, and CTC; users reach them as `nn.functional`.

Every one is a composition of ops, differentiable to every order; ``reduction`` is "mean", "sum" or "none".
Classes and features are the last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import op
from ..errors import ShapeError, message, operand
from .functional_loss import log1p_exp, positive_part, reduced, same_shape
from .host import beside, known, on_host, placed

__all__ = [
    "cosine_embedding_loss",
    "cosine_similarity",
    "ctc_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "pairwise_distance",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]

Array = Any
Distance = Callable[[Array, Array], Array]


def cosine_similarity(x1: Array, x2: Array, dim: int = -1, eps: float = 1e-8) -> Array:
    """y = x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along axis `dim`, by default the last.

    >>> import numpy as np
    >>> round(float(cosine_similarity(np.array([1.0, 0.0]), np.array([1.0, 1.0]))), 4)
    0.7071
    """

    def norm(x: Array) -> Array:
        return op.sqrt(op.maximum(op.sum(op.multiply(x, x), axis=dim), eps * eps))

    return op.divide(op.sum(op.multiply(x1, x2), axis=dim), op.multiply(norm(x1), norm(x2)))


def pairwise_distance(x1: Array, x2: Array, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Array:
    """y = (sum of |x1 - x2 + eps|^p)^(1/p) along the last axis; the largest for an infinite p.

    >>> import numpy as np
    >>> round(float(pairwise_distance(np.array([3.0, 4.0]), np.zeros(2))), 4)
    5.0
    """
    d = op.add(op.subtract(x1, x2), eps)
    if p == 2:
        return op.sqrt(op.sum(op.multiply(d, d), axis=-1, keepdims=keepdim))
    size = op.abs(d)
    if p == float("inf"):
        return op.max(size, axis=-1, keepdims=keepdim)
    if p == 1:
        return op.sum(size, axis=-1, keepdims=keepdim)
    return op.power(op.sum(op.power(size, p), axis=-1, keepdims=keepdim), 1.0 / p)


def hinge_embedding_loss(input: Array, target: Array, margin: float = 1.0, reduction: str = "mean") -> Array:
    """loss = x where the target is 1, max(0, margin - x) where it is -1.  Raises: ShapeError.

    >>> import numpy as np
    >>> hinge_embedding_loss(np.array([0.25, 0.25]), np.array([1, -1]), reduction="none")
    array([0.25, 0.75])
    """
    same_shape("hinge_embedding_loss", input, target)
    losses = op.where(op.equal(target, 1), input, positive_part(op.subtract(margin, input)))
    return reduced("hinge_embedding_loss", losses, reduction)


def margin_ranking_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    """loss = max(0, margin - t (x1 - x2)): x1 should rank higher where t = 1, lower where t = -1.

    >>> import numpy as np
    >>> float(margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    if not tuple(input1.shape) == tuple(input2.shape) == tuple(target.shape):
        lines = [operand("input1", input1), operand("input2", input2), operand("target", target)]
        what = "margin_ranking_loss(input1, input2, target): shapes differ"
        raise ShapeError(message(what, lines, "need equal shapes"))
    gap = op.multiply(target, op.subtract(input1, input2))
    return reduced("margin_ranking_loss", positive_part(op.subtract(margin, gap)), reduction)


def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """loss = max(0, d(a, p) - d(a, n) + margin), d the `pairwise_distance`; with `swap`, d(p, n) if that is less.

    Shapes: anchor, positive, negative (..., features); result () or (...).
    Source: Balntas et al., "Learning shallow convolutional feature descriptors with triplet losses", BMVC 2016.

    >>> import numpy as np
    >>> a = np.zeros((1, 2))
    >>> round(float(triplet_margin_loss(a, a, a + 3.0, margin=5.0)), 4)
    0.7574
    """

    def distance(x: Array, y: Array) -> Array:
        return pairwise_distance(x, y, p, eps)

    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction
    )


def triplet_margin_with_distance_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    distance_function: Distance | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """loss = max(0, d(a, p) - d(a, n) + margin), d any function, by default `pairwise_distance`.

    >>> import numpy as np
    >>> a = np.zeros((1, 2))
    >>> float(triplet_margin_with_distance_loss(a, a, a, distance_function=lambda x, y: (x - y).sum(-1)))
    1.0
    """
    if not margin > 0:
        raise ValueError(f"triplet_margin_loss(margin): margin is {margin}\n  need margin > 0")
    if not tuple(anchor.shape) == tuple(positive.shape) == tuple(negative.shape):
        three = (("anchor", anchor), ("positive", positive), ("negative", negative))
        lines = [operand(name, x, "..., features") for name, x in three]
        what = "triplet_margin_loss(anchor, positive, negative): shapes differ"
        raise ShapeError(message(what, lines, "need equal shapes"))
    d = distance_function or pairwise_distance
    far = d(anchor, negative)
    if swap:
        far = op.minimum(far, d(positive, negative))
    losses = positive_part(op.add(op.subtract(d(anchor, positive), far), margin))
    return reduced("triplet_margin_loss", losses, reduction)


def cosine_embedding_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    """loss = 1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    Shapes: input1, input2 (..., features); target (...).  1e-12 is added to each squared length.

    >>> import numpy as np
    >>> x, y = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    >>> float(cosine_embedding_loss(x, y, np.array([1])))
    1.0
    """

    if tuple(input1.shape) != tuple(input2.shape) or tuple(target.shape) != tuple(input1.shape[:-1]):
        lines = [operand("input1", input1, "..., features"), operand("input2", input2, "..., features")]
        lines.append(operand("target", target, "..."))
        what = "cosine_embedding_loss(input1, input2, target): the shapes do not fit"
        raise ShapeError(message(what, lines, "need input1.shape == input2.shape, target.shape == input1.shape[:-1]"))

    def square(x: Array) -> Array:
        return op.add(op.sum(op.multiply(x, x), axis=-1), 1e-12)

    cos = op.divide(op.sum(op.multiply(input1, input2), axis=-1), op.sqrt(op.multiply(square(input1), square(input2))))
    apart = positive_part(op.subtract(cos, margin))
    return reduced("cosine_embedding_loss", op.where(op.equal(target, 1), op.subtract(1.0, cos), apart), reduction)


def multi_margin_loss(
    input: Array,
    target: Array,
    p: int = 1,
    margin: float = 1.0,
    weight: Array | None = None,
    reduction: str = "mean",
) -> Array:
    """loss = sum over i != t of w[t] max(0, margin - x[t] + x[i])^p / classes, t = target.

    Shapes: input (batch, classes); target integers (batch,); weight (classes,).
    Raises: ShapeError; ValueError unless p is 1 or 2.

    >>> import numpy as np
    >>> float(multi_margin_loss(np.array([[1.0, 0.5]]), np.array([0])))
    0.25
    """
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss(p): p is {p}\n  need 1 or 2")
    if tuple(target.shape) != tuple(input.shape[:-1]):
        lines = [operand("input", input, "..., classes"), operand("target", target, "...")]
        need = "need target.shape == input.shape[:-1]"
        raise ShapeError(message("multi_margin_loss(input, target): the shapes do not fit", lines, need))
    index = op.expand_dims(target, axis=-1)
    gap = op.add(op.subtract(input, op.take_along_axis(input, index, axis=-1)), margin)
    losses = positive_part(gap)
    if p == 2:
        losses = op.multiply(losses, losses)
    losses = op.where(op.not_equal(beside(np.arange(input.shape[-1]), input), index), losses, 0.0)
    if weight is not None:
        losses = op.multiply(losses, op.expand_dims(op.take(weight, target, axis=0), axis=-1))
    return reduced("multi_margin_loss", op.mean(losses, axis=-1), reduction)


def multilabel_margin_loss(input: Array, target: Array, reduction: str = "mean") -> Array:
    """loss = sum over labels j and others i of max(0, 1 - x[j] + x[i]) / classes.

    Shapes: input (..., classes); target integers (..., classes): the labels of each example, then -1.
    Raises: ShapeError.

    >>> import numpy as np
    >>> round(float(multilabel_margin_loss(np.array([[0.1, 0.2, 0.4, 0.8]]), np.array([[3, 0, -1, 1]]))), 4)
    0.85
    """
    same_shape("multilabel_margin_loss", input, target)
    classes = target.shape[-1]
    listed = op.equal(op.cumsum(op.cast(op.less(target, 0), dtype="int64"), axis=-1), 0)  # before the first negative
    hit = op.equal(op.expand_dims(target, axis=-1), beside(np.arange(classes), input))
    member = op.any(op.logical_and(hit, op.expand_dims(listed, axis=-1)), axis=-2)
    gap = op.subtract(op.add(op.expand_dims(input, axis=-2), 1.0), op.expand_dims(input, axis=-1))  # [j, i]
    counted = op.logical_and(op.expand_dims(member, axis=-1), op.logical_not(op.expand_dims(member, axis=-2)))
    losses = op.where(counted, positive_part(gap), 0.0)
    return reduced("multilabel_margin_loss", op.divide(op.sum(losses, axis=(-2, -1)), float(classes)), reduction)


def multilabel_soft_margin_loss(
    input: Array, target: Array, weight: Array | None = None, reduction: str = "mean"
) -> Array:
    """loss = -mean over classes of w (t log sigmoid(x) + (1 - t) log sigmoid(-x)), t = target 0 or 1.

    Shapes: input, target (..., classes); weight (classes,).  Raises: ShapeError.

    >>> import numpy as np
    >>> round(float(multilabel_soft_margin_loss(np.zeros((1, 3)), np.ones((1, 3)))), 4)
    0.6931
    """
    same_shape("multilabel_soft_margin_loss", input, target)
    losses = op.add(log1p_exp(op.negative(input)), op.multiply(op.subtract(1.0, target), input))
    if weight is not None:
        losses = op.multiply(losses, weight)
    return reduced("multilabel_soft_margin_loss", op.mean(losses, axis=-1), reduction)


_NEVER = -1e30  # the logarithm of 0, without its infinite derivative


def ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Array:
    """loss = -log of the probability that the labels, with repeats and blanks between them removed, are the target.

    The sum over all alignments goes forward in time, in logarithms.  "mean" divides each loss by its target's
    length first; `zero_infinity` makes the loss of a target that no alignment fits 0.

    Shapes: log_probs (batch, length, classes), where PyTorch has (length, batch, classes); targets integers
    (batch, longest target), or all in one row; lengths (batch,).  Of one sequence without a batch: (length,
    classes), (target,), (), ().  Raises: ShapeError.
    Source: Graves et al., "Connectionist temporal classification", ICML 2006, equations 6 to 8.

    >>> import numpy as np
    >>> even = np.log(np.full((1, 2, 3), 1 / 3))
    >>> round(float(np.exp(-ctc_loss(even, np.array([[1]]), [2], [1]))), 4)  # 3 of 9: "11", "1-", "-1"
    0.3333
    """
    targets, input_lengths, target_lengths = (
        x if hasattr(x, "shape") else np.asarray(x) for x in (targets, input_lengths, target_lengths)
    )
    if len(log_probs.shape) == 2 and len(targets.shape) == 1:
        row, labels = op.expand_dims(log_probs, axis=0), op.expand_dims(placed(targets, log_probs), axis=0)
        n, size = (op.reshape(placed(x, log_probs), shape=(1,)) for x in (input_lengths, target_lengths))
        one = ctc_loss(row, labels, n, size, blank, reduction, zero_infinity)
        return one[0] if reduction == "none" else one
    if len(targets.shape) == 1:
        targets = _in_rows(on_host(targets), on_host(target_lengths))
    if len(log_probs.shape) != 3 or len(targets.shape) != 2 or targets.shape[0] != log_probs.shape[0]:
        lines = [
            operand("log_probs", log_probs, "batch, length, classes"),
            operand("targets", targets, "batch, longest"),
        ]
        need = "need equal batches; PyTorch's log_probs are (length, batch, classes): gl.swapaxes(log_probs, 0, 1)"
        raise ShapeError(message("ctc_loss(log_probs, targets): the shapes do not fit", lines, need))
    batch, steps, _ = log_probs.shape
    longest = targets.shape[1]
    for name, ends, most in (("input_lengths", input_lengths, steps), ("target_lengths", target_lengths, longest)):
        if known(ends) and on_host(ends).max(initial=0) > most:
            longest_given = on_host(ends).max()
            raise ShapeError(f"ctc_loss({name}): a length of {longest_given}, of {most} steps\n  need 0 to {most}")
    dtype = log_probs.dtype
    wide = op.cast(log_probs, dtype="float32") if dtype.itemsize < 4 else log_probs
    labels, lengths, sizes = (placed(x, wide) for x in (targets, input_lengths, target_lengths))
    path, may_skip = _path(labels, sizes, blank, wide)
    index = op.broadcast_to(op.expand_dims(path, axis=1), (batch, steps, 2 * longest + 1))
    emitted = op.take_along_axis(wide, index, axis=-1)
    first = beside(np.arange(2 * longest + 1) < 2, wide)
    alpha = op.where(first, emitted[:, 0], _NEVER)
    for t in range(1, steps):
        padded = op.pad(alpha, ((0, 0), (2, 0)), _NEVER)
        jump = op.where(may_skip, padded[:, :-2], _NEVER)
        reached = op.logsumexp(op.stack([alpha, padded[:, 1:-1], jump]), axis=0)
        following = op.maximum(op.add(reached, emitted[:, t]), _NEVER)
        alpha = op.where(op.expand_dims(op.greater(lengths, t), axis=-1), following, alpha)
    last = op.multiply(sizes, 2)
    places = op.stack([last, op.where(op.greater(sizes, 0), op.subtract(last, 1), 0)], axis=1)
    ends = op.take_along_axis(alpha, places, axis=1)
    ends = op.where(op.stack([op.greater_equal(sizes, 0), op.greater(sizes, 0)], axis=1), ends, _NEVER)
    losses = op.negative(op.logsumexp(ends, axis=1))
    losses = op.where(op.less(losses, 1e29), losses, 0.0 if zero_infinity else float("inf"))
    if reduction == "mean":
        losses = op.divide(losses, op.maximum(op.cast(sizes, dtype=wide.dtype), 1.0))
    return op.cast(reduced("ctc_loss", losses, reduction), dtype=dtype)


def _in_rows(targets: Any, sizes: Any) -> Any:
    """Return targets that stand one after the other as rows of one length."""
    if targets.ndim != 1 or len(targets) != sizes.sum():
        raise ShapeError(
            f"ctc_loss(targets): {len(targets)} labels, lengths {sizes}\n  need as many as the lengths' sum"
        )
    rows = np.split(targets, np.cumsum(sizes)[:-1])
    return np.array([np.pad(row, (0, int(sizes.max(initial=0)) - len(row))) for row in rows])


def _path(labels: Array, sizes: Array, blank: int, like: Array) -> tuple[Array, Array]:
    """Return the classes along the path, a blank before, between and after the labels, and where two steps are one."""
    batch, longest = labels.shape
    blanks = op.add(op.multiply(labels, 0), blank)
    pairs = op.reshape(op.stack([blanks, labels], axis=2), shape=(batch, 2 * longest))
    path = op.concat([pairs, op.add(op.reshape(op.multiply(sizes, 0), shape=(batch, 1)), blank)], axis=1)
    place = beside(np.arange(2 * longest + 1), like)
    path = op.where(op.less_equal(place, op.expand_dims(op.multiply(sizes, 2), axis=-1)), path, blank)
    other = op.logical_and(op.not_equal(path[:, 2:], blank), op.not_equal(path[:, 2:], path[:, :-2]))
    return path, op.pad(other, ((0, 0), (2, 0)), False)
