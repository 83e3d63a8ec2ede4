"""Linear algebra and Fourier transforms on a GPU: with CuPy's whole toolkit as on the CPU, without it an error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.backend import cuda
from gradlib.core import PRIMITIVES
from gradlib.testing import check_op

from ...devices import needs_gpu

UNIQUE = [
    "inv", "solve", "det", "det_derivative", "slogdet", "cholesky", "lu", "eigvalsh", "svdvals", "pinv", "expm",
    "length", "diagonal", "diagonal_matrix", "ratio", "fourier", "fourier_real", "fourier_half",
]  # fmt: skip
FFT = {"fourier", "fourier_real", "fourier_half"}
PLAIN = {"length", "diagonal", "diagonal_matrix", "ratio"}  # they need no library
RNG = np.random.default_rng(0)


@needs_gpu
@pytest.mark.parametrize("name", UNIQUE)
def test_as_on_the_cpu(name: str) -> None:
    library = "cuFFT" if name in FFT else "cuSOLVER"
    if name in PLAIN or not cuda.lacks(library):
        check_op(PRIMITIVES[name], device="cuda")
        return
    with pytest.raises(gl.DeviceError, match=rf"needs {library}.*\n  need pip install 'gradlib\[cuda13-full\]'"):
        check_op(PRIMITIVES[name], device="cuda")


@needs_gpu
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 5, 3), (2, 3, 5), (40, 40)])
def test_decompositions(shape: tuple[int, ...], dtype: str) -> None:
    """Their vectors are determined but for factors: what they make up again counts."""
    if cuda.lacks("cuSOLVER"):
        pytest.skip(f"cuSOLVER is not installed: {cuda.lacks('cuSOLVER')}")
    x: Any = RNG.standard_normal(shape)
    x = (x + 1j * RNG.standard_normal(shape) if dtype.startswith("complex") else x).astype(dtype)
    limit = 2e-4 if dtype in ("float32", "complex64") else 1e-11
    t = gl.tensor(x, device="cuda")
    for full in (False, True):
        u, s, vh = gl.linalg.svd(t, full_matrices=full)
        k = s.shape[-1]
        np.testing.assert_allclose((u[..., :k] * s[..., None, :] @ vh[..., :k, :]).numpy(), x, atol=limit)
    for mode in ("reduced", "complete"):
        q, r = gl.linalg.qr(t, mode=mode)
        np.testing.assert_allclose((q @ r).numpy(), x, atol=limit)
    if shape[-1] != shape[-2]:
        return
    h = (t + gl.conj(t).mT) / 2.0
    w, v = gl.linalg.eigh(h)
    np.testing.assert_allclose((v * w[..., None, :] @ gl.conj(v).mT).numpy(), h.numpy(), atol=limit)
    w, v = gl.linalg.eig(t)
    np.testing.assert_allclose((t @ v).numpy(), (v * w[..., None, :]).numpy(), atol=limit)


@needs_gpu
def test_singular_matrices_are_found_there_too() -> None:
    if cuda.lacks("cuSOLVER"):
        pytest.skip(f"cuSOLVER is not installed: {cuda.lacks('cuSOLVER')}")
    batch = gl.tensor(np.stack([np.eye(2), np.ones((2, 2))]), device="cuda")
    with pytest.raises(gl.LinAlgError, match=r"^inv\(x\): x\[1\] is singular"):
        gl.linalg.inv(batch)
    with pytest.raises(gl.LinAlgError, match=r"^solve\(a, b\): a\[1\] is singular"):
        gl.linalg.solve(batch, batch)
    with pytest.raises(gl.LinAlgError, match=r"^cholesky\(x\): x\[1\] is not positive definite"):
        gl.linalg.cholesky(gl.tensor(np.stack([np.eye(2), -np.eye(2)]), device="cuda"))


@needs_gpu
@pytest.mark.parametrize("n", [5, 6])
def test_what_a_half_spectrum_leaves_out_does_not_count(n: int) -> None:
    """The imaginary part of the frequencies 0 and n / 2."""
    if cuda.lacks("cuFFT"):
        pytest.skip(f"cuFFT is not installed: {cuda.lacks('cuFFT')}")
    x = RNG.standard_normal(n // 2 + 1) + 1j * RNG.standard_normal(n // 2 + 1)
    np.testing.assert_allclose(gl.fft.irfft(gl.tensor(x, device="cuda"), n=n).numpy(), np.fft.irfft(x, n), atol=1e-12)
