"""Matrices on which the ops of linear algebra are tested: well away from where they have no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.samples import Draw

Array = Any


def _orthogonal(rng: np.random.Generator, *shape: int) -> Array:
    """Return matrices with orthonormal columns or rows, whichever are fewer."""
    m, n = shape[-2:]
    if m < n:
        return np.swapaxes(_orthogonal(rng, *shape[:-2], n, m), -1, -2)
    return np.linalg.qr(rng.standard_normal(shape))[0]


def _spectrum(k: int) -> Array:
    return 1.0 + 1.5 * np.arange(k) / max(k - 1, 1)


def regular(*shape: int) -> Draw:
    """Matrices whose singular values are spaced evenly from 1 to 2.5."""

    def draw(rng: np.random.Generator) -> Array:
        m, n = shape[-2:]
        k = min(m, n)
        left, right = _orthogonal(rng, *shape[:-2], m, k), _orthogonal(rng, *shape[:-2], k, n)
        return left * _spectrum(k) @ right

    return draw


def of_rank(rank: int, *shape: int) -> Draw:
    """Matrices of that rank, in float64 alone exactly so."""

    def draw(rng: np.random.Generator) -> Array:
        *batch, m, n = shape
        return regular(*batch, m, rank)(rng) @ _orthogonal(rng, *batch, rank, n)

    return draw


def definite(*shape: int) -> Draw:
    """Symmetric matrices with eigenvalues spaced evenly from 1 to 2.5."""

    def draw(rng: np.random.Generator) -> Array:
        q = _orthogonal(rng, *shape)
        return q * _spectrum(shape[-1]) @ np.swapaxes(q, -1, -2)

    return draw


def triangular(*shape: int, upper: bool) -> Draw:
    """Matrices with a diagonal in [1, 2], of which one triangle is to be read."""

    def draw(rng: np.random.Generator) -> Array:
        x = 0.3 * rng.standard_normal(shape)
        i = np.arange(min(shape[-2:]))
        x[..., i, i] = rng.uniform(1.0, 2.0, x[..., i, i].shape)
        return x

    return draw


def spread(*shape: int) -> Draw:
    """Square matrices that are not symmetric, with eigenvalues at least 0.4 apart and none complex."""

    def draw(rng: np.random.Generator) -> Array:
        n = shape[-1]
        basis = np.eye(n) + 0.3 * rng.uniform(-1.0, 1.0, shape) / n
        return basis * (1.0 + 0.5 * np.arange(n)) @ np.linalg.inv(basis)

    return draw
