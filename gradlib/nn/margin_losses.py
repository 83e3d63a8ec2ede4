"""Losses with margins, and distances, as modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import Tensor
from . import functional as F
from .held import Held


class SoftMarginLoss(Held):
    """loss = log(1 + exp(-t x)); see `functional.soft_margin_loss`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.

    Examples
    --------
    >>> import gradlib as gl
    >>> round(gl.nn.SoftMarginLoss()(gl.tensor([0.0]), gl.tensor([1.0])).item(), 4)
    0.6931
    """

    function = F.soft_margin_loss

    def __init__(self, reduction: str = "mean") -> None:
        self._keep(locals())


class HingeEmbeddingLoss(Held):
    """loss = x where the target is 1, max(0, margin - x) where it is -1; see `functional.hinge_embedding_loss`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.HingeEmbeddingLoss()(gl.tensor([0.25]), gl.tensor([-1.0])).item()
    0.75
    """

    function = F.hinge_embedding_loss

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        self._keep(locals())


class MarginRankingLoss(Held):
    """loss = max(0, margin - t (x1 - x2)); see `functional.margin_ranking_loss`.

    Shapes: input1, input2 and target equal; the loss (), or with ``reduction="none"`` as they.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.MarginRankingLoss()(gl.tensor([1.0]), gl.tensor([3.0]), gl.tensor([1.0])).item()
    2.0
    """

    function = F.margin_ranking_loss

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        self._keep(locals())


class TripletMarginLoss(Held):
    """loss = max(0, d(a, p) - d(a, n) + margin); see `functional.triplet_margin_loss`.

    Shapes: anchor, positive, negative (..., features); the loss (), or with ``reduction="none"`` (...).

    Examples
    --------
    >>> import gradlib as gl
    >>> x = gl.tensor([[1.0, 2.0]])
    >>> gl.nn.TripletMarginLoss()(x, x, x).item()
    1.0
    """

    function = F.triplet_margin_loss

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean"
    ) -> None:
        self._keep(locals())


class TripletMarginWithDistanceLoss(Held):
    """loss = max(0, d(a, p) - d(a, n) + margin), d any function; see `functional.triplet_margin_with_distance_loss`.

    Shapes: anchor, positive, negative (..., features); the loss (), or with ``reduction="none"`` (...).

    Examples
    --------
    >>> import gradlib as gl
    >>> x = gl.tensor([[1.0, 2.0]])
    >>> gl.nn.TripletMarginWithDistanceLoss()(x, x, x).item()
    1.0
    """

    function = F.triplet_margin_with_distance_loss

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        self._keep(locals())


class CosineEmbeddingLoss(Held):
    """loss = 1 - cos(x1, x2), or max(0, cos(x1, x2) - margin); see `functional.cosine_embedding_loss`.

    Shapes: input1, input2 (..., features), target (...); the loss (), or with ``reduction="none"`` (...).

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.CosineEmbeddingLoss()(gl.tensor([[1.0, 0.0]]), gl.tensor([[0.0, 1.0]]), gl.tensor([1])).item()
    1.0
    """

    function = F.cosine_embedding_loss

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        self._keep(locals())


class MultiMarginLoss(Held):
    """loss = sum over i != t of max(0, margin - x[t] + x[i])^p / classes; see `functional.multi_margin_loss`.

    Shapes: input (batch, classes), target (batch,); the loss (), or with ``reduction="none"`` (batch,).

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.MultiMarginLoss()(gl.tensor([[1.0, 0.5]]), gl.tensor([0])).item()
    0.25
    """

    function = F.multi_margin_loss

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, reduction: str = "mean") -> None:
        self._keep(locals())


class MultiLabelMarginLoss(Held):
    """loss = sum over labels j and others i of max(0, 1 - x[j] + x[i]) / classes; `functional.multilabel_margin_loss`.

    Shapes: input and target (..., classes); the loss (), or with ``reduction="none"`` (...).

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.MultiLabelMarginLoss()(gl.tensor([[1.0, 0.5]]), gl.tensor([[0, -1]])).item()
    0.25
    """

    function = F.multilabel_margin_loss

    def __init__(self, reduction: str = "mean") -> None:
        self._keep(locals())


class MultiLabelSoftMarginLoss(Held):
    """loss = -mean of t log sigmoid(x) + (1 - t) log sigmoid(-x); see `functional.multilabel_soft_margin_loss`.

    Shapes: input and target (..., classes); the loss (), or with ``reduction="none"`` (...).

    Examples
    --------
    >>> import gradlib as gl
    >>> round(gl.nn.MultiLabelSoftMarginLoss()(gl.tensor([[0.0]]), gl.tensor([[1.0]])).item(), 4)
    0.6931
    """

    function = F.multilabel_soft_margin_loss

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        self._keep(locals())


class CosineSimilarity(Held):
    """y = x1 . x2 / (|x1| |x2|) along axis `dim`, by default the last; see `functional.cosine_similarity`.

    Shapes: input1, input2 broadcast to one shape; the output without axis `dim`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.CosineSimilarity()(gl.tensor([[1.0, 0.0]]), gl.tensor([[2.0, 0.0]])).tolist()
    [1.0]
    """

    function = F.cosine_similarity

    def __init__(self, dim: int = -1, eps: float = 1e-8) -> None:
        self._keep(locals())


class PairwiseDistance(Held):
    """y = (sum of |x1 - x2 + eps|^p)^(1/p) along the last axis; see `functional.pairwise_distance`.

    Shapes: x1, x2 (..., features); the output (...), or (..., 1) with `keepdim`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.PairwiseDistance(eps=0.0)(gl.tensor([[3.0, 4.0]]), gl.tensor([[0.0, 0.0]])).tolist()
    [5.0]
    """

    function = F.pairwise_distance

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        self._keep(locals())
