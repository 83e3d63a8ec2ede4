"""Functions of a 4 by 4 matrix that do not depend on what a decomposition leaves open, for any array library."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

import gradlib as gl

GRADLIB = SimpleNamespace(
    linalg=gl.linalg, conj=gl.conj, real=gl.real, exp=gl.exp, sum=gl.sum, expm=gl.linalg.expm, norm=gl.linalg.norm,
    einsum=gl.einsum,
)  # fmt: skip


def draw(rng: np.random.Generator, dtype: str) -> Any:
    x = rng.standard_normal((4, 4))
    return x + 1j * rng.standard_normal((4, 4)) if dtype == "complex128" else x


def adjoint(m: Any, x: Any) -> Any:
    return m.conj(x).mT


def eigh(m: Any, x: Any) -> Any:
    w, v = m.linalg.eigh(x + adjoint(m, x))
    return v * m.exp(w / 5) @ adjoint(m, v)


def null_space(m: Any, x: Any) -> Any:
    q = m.linalg.qr(x[:, :2], mode="complete")[0][:, 2:]
    return q @ adjoint(m, q)


def polar(m: Any, x: Any) -> Any:
    u, _, vh = m.linalg.svd(x, full_matrices=False)
    return u @ vh


def svd(m: Any, x: Any) -> Any:
    u, s, vh = m.linalg.svd(x[:, :3], full_matrices=False)
    return u * s**2 @ vh


def eig(m: Any, x: Any) -> Any:
    w, v = m.linalg.eig(x)
    return v * w**2 @ m.linalg.inv(v)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "inv": lambda m, x: m.linalg.inv(x),
    "solve": lambda m, x: m.linalg.solve(x, x.mT @ x),
    "det": lambda m, x: m.linalg.det(x),
    "sign": lambda m, x: m.linalg.slogdet(x)[0],
    "logabsdet": lambda m, x: m.linalg.slogdet(x)[1],
    "cholesky": lambda m, x: m.linalg.cholesky(x @ adjoint(m, x)),
    "eigh": eigh,
    "eigvalsh": lambda m, x: m.linalg.eigvalsh(x + adjoint(m, x)),
    "q": lambda m, x: m.linalg.qr(x)[0],
    "r": lambda m, x: m.linalg.qr(x[:, :3])[1],
    "wide r": lambda m, x: m.linalg.qr(x[:3])[1],
    "null space": null_space,
    "svd": svd,
    "polar": polar,
    "svdvals": lambda m, x: m.linalg.svdvals(x),
    "pinv": lambda m, x: m.linalg.pinv(x[:, :3]),
    "wide pinv": lambda m, x: m.linalg.pinv(x[:2]),
    "eig": eig,
    "eigvals": lambda m, x: m.sum(m.linalg.eigvals(x) ** 3),
    "expm": lambda m, x: m.expm(x / 2),
    "matrix_power": lambda m, x: m.linalg.matrix_power(x, 5),
    "inverse power": lambda m, x: m.linalg.matrix_power(x, -2),
    "vector norm": lambda m, x: m.linalg.vector_norm(x, axis=0),
    "vector norm 3": lambda m, x: m.linalg.vector_norm(x, ord=3, axis=1),
    "vector norm 1": lambda m, x: m.linalg.vector_norm(x, ord=1, axis=1),
    "vector norm inf": lambda m, x: m.linalg.vector_norm(x, ord=float("inf"), axis=1),
    **{f"norm {p}": lambda m, x, p=p: m.norm(x, ord=p) for p in ("fro", "nuc", 1, -1, 2, -2, float("inf"))},
    "einsum": lambda m, x: m.einsum("ij,jk,ki->j", x, m.conj(x), x),
}
