"""Rows of a learned table, alone and in bags."""

from __future__ import annotations

from typing import Any

from ..core import Tensor, asarray
from ..errors import ShapeError
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class Embedding(Module):
    """y = weight[x]: a learned row for each index; the row `padding_idx` starts at 0 and stays.

    With `max_norm` the rows used are made no longer than that, with `scale_grad_by_freq` their gradients divided by
    how often they occur; `sparse` is ignored with a warning.

    Shapes: input integers (...); weight (num_embeddings, embedding_dim), from N(0, 1); output (..., embedding_dim).
    Raises: ShapeError; IndexError (on ``cpu``) for an index that is no row.  Derivative: every order.
    Kernel: ``embedding.cu``.

    Examples
    --------
    >>> import gradlib as gl
    >>> layer = gl.nn.Embedding(10, 3, padding_idx=0)
    >>> layer(gl.tensor([[1, 0]])).shape, layer(gl.tensor([0])).tolist()
    ((1, 2, 3), [[0.0, 0.0, 0.0]])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._settings(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        self.weight = Parameter(init.allocate((num_embeddings, embedding_dim), dtype, device))
        self.reset_parameters()

    def _settings(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
    ) -> None:
        name = type(self).__name__
        if min(num_embeddings, embedding_dim) < 1:
            raise ShapeError(f"{name}: {num_embeddings} rows of {embedding_dim} features\n  need 1 or more")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ShapeError(f"{name}(padding_idx): {padding_idx} is none of {num_embeddings} rows")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse

    def reset_parameters(self) -> None:
        """Draw all rows anew from N(0, 1), but for the row `padding_idx`, which is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            values = self.weight.numpy().copy()
            values[self.padding_idx] = 0
            self.weight.assign(values)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, **settings: Any) -> Any:
        """Return a layer with these rows, which are not learned unless ``freeze=False``.

        >>> import gradlib as gl
        >>> Embedding.from_pretrained(gl.tensor([[1.0, 2.0]]))(gl.tensor([0])).tolist()
        [[1.0, 2.0]]
        """
        rows = asarray(embeddings)
        layer = cls(rows.shape[0], rows.shape[1], **settings, device=rows.device, dtype=rows.dtype)
        layer.weight.assign(rows)
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, input: Any) -> Any:
        """Return the rows."""
        settings = (self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse)
        return F.embedding(input, self.weight, *settings)

    def extra_repr(self) -> str:
        """Return the sizes and what differs from the defaults."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        shown = {"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False, "mode": "mean"}
        values = {key: getattr(self, key, default) for key, default in shown.items()}
        return text + "".join(f", {key}={value!r}" for key, value in values.items() if value != shown[key])


class EmbeddingBag(Embedding):
    """y[b] = the mean (`mode` "sum": the sum, "max": the largest value) of the rows of the indices of bag b.

    ``layer(input, offsets=None, per_sample_weights=None)``; see `functional.embedding_bag`.
    Shapes: input integers (bags, size), or (indices,) with offsets (bags,); output (bags, embedding_dim).
    Raises: ShapeError, ValueError, IndexError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> layer = gl.nn.EmbeddingBag(10, 3, mode="sum")
    >>> layer(gl.tensor([1, 2, 4, 5]), gl.tensor([0, 3])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        if mode not in ("mean", "sum", "max"):
            raise ValueError(f"EmbeddingBag(mode): {mode!r} is unknown\n  need 'mean', 'sum' or 'max'")
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            device=device, dtype=dtype,
        )  # fmt: skip
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        """Return a row for each bag."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )
