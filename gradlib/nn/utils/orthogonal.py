"""Orthogonal weights as a parametrization, as ``torch.nn.utils.parametrizations.orthogonal``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import Tensor, op
from ...errors import ShapeError, message, operand
from ...ops import linalg, normal
from ..embedding import Embedding
from ..host import beside, on_host
from ..module import Module
from .parametrize import register_parametrization

__all__ = ["Orthogonal", "orthogonal"]

Array = Any
_MAPS = ("matrix_exp", "cayley", "householder")


class Orthogonal(Module):
    """weight = base Q(original): Q has orthonormal columns, or rows where there are more columns.

    Everything is computed in PyTorch's orientation, (out, in): `turned` says that the weight here is its transpose.
    """

    base: Tensor | None

    def __init__(self, orthogonal_map: str, use_trivialization: bool, turned: bool) -> None:
        self.orthogonal_map, self.trivial, self.turned = orthogonal_map, use_trivialization, turned
        self.register_buffer("base", None)

    def forward(self, weight: Array) -> Array:
        """Return the weight."""
        x = self._turned(weight, weight.shape)
        rows, columns = x.shape
        if self.orthogonal_map == "householder":
            q = _householder(x)
        else:
            below = op.pad(op.tril(x), ((0, 0), (0, rows - columns)), 0.0)
            skew = op.subtract(below, op.swapaxes(below, 0, 1))
            q = (op.expm if self.orthogonal_map == "matrix_exp" else _cayley)(skew)[:, :columns]
        return self._turned(q if self.base is None else op.matmul(self.base, q), weight.shape)

    def _turned(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Return a weight of this shape as PyTorch's, made to have no more columns than rows; or the way back."""
        rows, columns = shape[::-1] if self.turned else shape
        return op.swapaxes(x, 0, 1) if self.turned != (rows < columns) else x

    def right_inverse(self, value: Array) -> Array:
        """Return an original: with a base the unit that it is multiplied by, otherwise the reflections."""
        x = self._turned(value, value.shape)
        rows, columns = x.shape
        host = on_host(x)
        if not self.trivial:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    f"orthogonal(orthogonal_map): {self.orthogonal_map!r} without a base cannot be assigned to\n"
                    f"  need use_trivialization=True, or 'householder'"
                )
            reflections, tau = np.linalg.qr(host, mode="raw")
            original = np.ascontiguousarray(reflections.T)
            signs = np.sign(np.diagonal(original))
            np.fill_diagonal(original, np.where(tau == 0, -signs, signs))
            return self._turned(Tensor(beside(original.astype(host.dtype), value)), value.shape)
        if rows == columns and np.allclose(host.T @ host, np.eye(rows), atol=10 * rows * np.finfo(host.dtype).eps):
            base = host.copy()
        else:
            more = on_host(normal((rows, rows - columns), dtype=value.dtype))
            base, upper = np.linalg.qr(np.concatenate([host, more], axis=1))
            base = base * np.sign(np.diagonal(upper))
        self.base = Tensor(beside(base.astype(host.dtype), value))
        return self._turned(Tensor(beside(-np.eye(rows, columns, dtype=host.dtype), value)), value.shape)

    def extra_repr(self) -> str:
        """Return the map."""
        return repr(self.orthogonal_map)


def _cayley(skew: Array) -> Array:
    """Return (1 - A / 2)^-1 (1 + A / 2)."""
    one, half = beside(np.eye(skew.shape[0], dtype=skew.dtype), skew), op.multiply(skew, 0.5)
    return op.solve(op.subtract(one, half), op.add(one, half))


def _householder(x: Array) -> Array:
    """Return the first columns of H_1 H_2 ..., times the signs on x's diagonal; H_i = 1 - 2 v_i v_i^T / |v_i|^2.

    v_i is 1 on the diagonal and x's column i below.  The product is 1 - V S^-1 V^T, S the part of V^T V above the
    diagonal and half its diagonal.  Source: Joffrain et al., "Accumulating Householder transformations, revisited",
    ACM TOMS 32 (2006), equation 6.
    """
    rows, columns = x.shape
    unit = beside(np.eye(rows, columns, dtype=x.dtype), x)
    v = op.add(op.tril(x, k=-1), unit)
    squares = op.matmul(op.swapaxes(v, 0, 1), v)
    halves = op.multiply(op.multiply(squares, beside(np.eye(columns, dtype=x.dtype), x)), 0.5)
    s = op.add(op.triu(squares, k=1), halves)
    q = op.subtract(unit, op.matmul(v, linalg.solve_triangular(s, op.swapaxes(v[:columns], 0, 1), upper=True)))
    signs = op.cast(op.diagonal(x), dtype="int32")  # 1 and -1, which are not learned
    return op.multiply(q, op.cast(signs, dtype=x.dtype))


def orthogonal(
    module: Any, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Any:
    """weight^T weight = 1, or weight weight^T = 1 where there are more columns than rows; return the module.

    `orthogonal_map` makes an orthogonal matrix of any: "matrix_exp", exp(A) with A = X - X^T, X below the diagonal;
    "cayley", (1 - A / 2)^-1 (1 + A / 2); "householder", a product of reflections.  By default the first for square
    weights, the last for others.  With `use_trivialization` it is multiplied by a `base`, the weight as it is now made
    orthogonal, and starts from 1.  State: parametrizations.weight.original and .0.base.
    Shapes: a matrix (a convolution's weight is none).  Raises: ShapeError; ValueError for an unknown map.
    Source: Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds", NeurIPS 2019.

    >>> import gradlib as gl
    >>> layer = orthogonal(gl.nn.Dense(5, 3))
    >>> bool(abs(layer.weight.T @ layer.weight - gl.eye(3)).max() < 1e-5)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        what = f"orthogonal(module, name): {type(module).__name__}.{name} is no matrix"
        raise ShapeError(message(what, [operand(name, weight)], "need a weight of two axes"))
    square = weight.shape[0] == weight.shape[1]
    chosen = orthogonal_map or ("matrix_exp" if square else "householder")
    if chosen not in _MAPS:
        raise ValueError(f"orthogonal(orthogonal_map): {chosen!r} is unknown\n  need one of {', '.join(_MAPS)}")
    part = Orthogonal(chosen, use_trivialization, turned=not isinstance(module, Embedding))
    return register_parametrization(module, name, part, unsafe=True)
