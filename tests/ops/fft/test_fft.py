"""Fourier transforms: values and dtypes against NumPy, transposes, derivatives, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(0)
NORMS = ["backward", "ortho", "forward"]
BOTH = ["fft", "ifft", "irfft", "hfft"]  # of real and of complex arrays
REAL = ["rfft", "ihfft"]
SEVERAL = ["fftn", "ifftn", "irfftn"]


def draw(shape: tuple[int, ...], dtype: Any) -> Any:
    x = RNG.standard_normal(shape)
    return (x + 1j * RNG.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def close(got: Any, expected: Any) -> None:
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    limit = 1e-12 if got.dtype in (np.float64, np.complex128) else 2e-5
    np.testing.assert_allclose(got, expected, rtol=limit, atol=limit * max(1.0, np.abs(expected).max(initial=0.0)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", [*BOTH, *REAL])
def test_along_one_axis(name: str, norm: str, dtype: str) -> None:
    if name in REAL and dtype.startswith("complex"):
        with pytest.raises(gl.DTypeError, match=rf"{name}\(x\): not defined for {dtype}\n.*\n  need a floating dtype"):
            getattr(gl.fft, name)(draw((4,), dtype))
        return
    for shape, n, axis in (
        ((5,), None, -1), ((6,), None, 0), ((2, 5, 3), None, 1), ((2, 5), 3, -1), ((2, 5), 8, 1), ((4, 2), 7, -2),
        ((1,), 1, 0), ((3, 1), 4, 1), ((2,), 1, 0),
    ):  # fmt: skip
        x = draw(shape, dtype)
        expected = getattr(np.fft, name)(x, n=n, axis=axis, norm=norm)
        close(getattr(gl.fft, name)(x, n=n, axis=axis, norm=norm), expected)
        close(getattr(gl.fft, name)(gl.tensor(x), n=n, axis=axis, norm=norm).numpy(), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", [*SEVERAL, "rfftn"])
def test_over_several_axes(name: str, norm: str, dtype: str) -> None:
    if name == "rfftn" and dtype.startswith("complex"):
        with pytest.raises(gl.DTypeError, match=r"rfftn\(x\): not defined for complex"):
            gl.fft.rfftn(draw((4, 4), dtype))
        return
    for shape, s, axes in (
        ((4, 5), None, None), ((2, 3, 4), None, (0, 2)), ((2, 3, 4), (5, 2), (-1, 0)), ((2, 3, 4), (2, 6), (1, 2)),
        ((3, 4), (-1, 3), (0, 1)), ((5,), None, (0,)), ((2, 3, 4), None, (2, 0, 1)),
    ):  # fmt: skip
        x = draw(shape, dtype)
        close(getattr(gl.fft, name)(x, s=s, axes=axes, norm=norm), getattr(np.fft, name)(x, s=s, axes=axes, norm=norm))
    x = draw((3, 5), dtype)
    if name == "irfftn":  # NumPy's -1 stands for 5
        close(gl.fft.irfftn(x, s=(4, -1), axes=(0, 1)), np.fft.irfftn(x, s=(4, 8), axes=(0, 1)))
    else:
        close(getattr(gl.fft, name)(x, s=(4, -1), axes=(0, 1)), getattr(np.fft, name)(x, s=(4, -1), axes=(0, 1)))
    x = draw((2, 3, 4), dtype)
    close(getattr(gl.fft, name)(x, s=(3, 4)), getattr(np.fft, name)(x, s=(3, 4), axes=(-2, -1)))


def test_inverses() -> None:
    x, z = draw((3, 5), "float64"), draw((3, 5), "complex128")
    for norm in NORMS:
        np.testing.assert_allclose(gl.fft.ifft(gl.fft.fft(z, norm=norm), norm=norm), z, atol=1e-14)
        np.testing.assert_allclose(gl.fft.irfft(gl.fft.rfft(x, norm=norm), n=5, norm=norm), x, atol=1e-14)
        np.testing.assert_allclose(gl.fft.hfft(gl.fft.ihfft(x, norm=norm), n=5, norm=norm), x, atol=1e-14)
        np.testing.assert_allclose(gl.fft.irfftn(gl.fft.rfftn(x, norm=norm), s=x.shape, norm=norm), x, atol=1e-14)
        np.testing.assert_allclose(gl.fft.ifftn(gl.fft.fftn(z, norm=norm), norm=norm), z, atol=1e-14)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 3, 4, 9])
@pytest.mark.parametrize("name", [*BOTH, *REAL, "fftn", "ifftn", "rfftn", "irfftn"])
def test_gradients(name: str, n: int | None, norm: str) -> None:
    more: dict[str, Any] = {"norm": norm}
    if name.endswith("n"):
        more |= {"s": None if n is None else (n, 2), "axes": (0, 1)}
    else:
        more |= {"n": n, "axis": 0}
    for dtype in ("float64", "complex128"):
        if dtype == "complex128" and name in (*REAL, "rfftn"):
            continue
        gl.testing.gradcheck(lambda x: getattr(gl.fft, name)(x, **more), draw((5, 3), dtype))


def test_the_matrix_of_the_transform() -> None:
    """y[k] = sum x[j] exp(-2 pi i j k / n): its Jacobian is that matrix, its transpose itself."""
    n = 6
    k = np.arange(n)
    matrix = np.exp(-2j * np.pi * np.outer(k, k) / n)
    x, g = draw((n,), "complex128"), draw((n,), "complex128")
    np.testing.assert_allclose(gl.jacobian(gl.fft.fft, holomorphic=True)(x), matrix, atol=1e-14)
    np.testing.assert_allclose(gl.vjp(gl.fft.fft, x)[1](g)[0], matrix.T @ g, atol=1e-14)
    np.testing.assert_allclose(gl.jacobian(gl.fft.rfft)(draw((n,), "float64")), matrix[:4], atol=1e-14)


def test_energy_and_its_derivatives() -> None:
    """Parseval: sum |y|^2 = n sum x^2, so the gradient is 2 n x and the Hessian 2 n."""
    x = draw((8,), "float64")

    def energy(x: Any) -> Any:
        return gl.sum(gl.abs(gl.fft.fft(x)) ** 2)

    np.testing.assert_allclose(gl.grad(energy)(x), 16 * x, atol=1e-13)
    np.testing.assert_allclose(gl.hessian(energy)(x), 16 * np.eye(8), atol=1e-12)


def test_derivative_of_a_periodic_function_by_its_spectrum() -> None:
    n = 32
    t = np.arange(n) * 2 * np.pi / n
    k = gl.fft.fftfreq(n, d=1 / n, dtype="float64")
    slope = gl.fft.ifft(gl.fft.fft(gl.tensor(np.sin(3 * t))) * (1j * k))
    np.testing.assert_allclose(gl.real(slope).numpy(), 3 * np.cos(3 * t), atol=1e-12)


def test_convolution_theorem_and_vmap() -> None:
    x, w = draw((4, 9), "float64"), draw((9,), "float64")

    def convolve(x: Any) -> Any:
        return gl.fft.irfft(gl.fft.rfft(x) * gl.fft.rfft(w), n=9)

    expected = np.stack([[sum(row[(i - j) % 9] * w[j] for j in range(9)) for i in range(9)] for row in x])
    np.testing.assert_allclose(gl.vmap(convolve)(x), expected, atol=1e-13)
    np.testing.assert_allclose(gl.vmap(convolve, in_axes=1, out_axes=1)(x.T), expected.T, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_reduced_precision(dtype: str) -> None:
    """Computed from float32; a spectrum has no narrower dtype than complex64."""
    x = gl.tensor(draw((8,), "float64"), dtype=dtype)
    wide = x.to("float32")
    assert gl.fft.fft(x).dtype == gl.complex64
    np.testing.assert_array_equal(gl.fft.rfft(x).numpy(), gl.fft.rfft(wide).numpy())
    leaf = gl.tensor(x, requires_grad=True)
    gl.sum(gl.abs(gl.fft.fft(leaf)) ** 2).backward()
    assert leaf.grad is not None
    assert str(leaf.grad.dtype) == dtype


@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies(n: int) -> None:
    for name in ("fftfreq", "rfftfreq"):
        got = getattr(gl.fft, name)(n, d=0.1)
        assert (got.dtype, got.device) == (gl.float32, "cpu")
        np.testing.assert_allclose(got.numpy(), getattr(np.fft, name)(n, 0.1), rtol=1e-6)
        assert getattr(gl.fft, name)(n, dtype=gl.float64, device="sim").device == "sim"


@pytest.mark.parametrize("axes", [None, 0, (1,), (0, 1), (-1, 0)])
def test_shifts(axes: Any) -> None:
    for shape in ((4, 5), (3, 6)):
        x = draw(shape, "float64")
        close(gl.fft.fftshift(x, axes=axes), np.fft.fftshift(x, axes))
        close(gl.fft.ifftshift(x, axes=axes), np.fft.ifftshift(x, axes))
        np.testing.assert_array_equal(gl.fft.ifftshift(gl.fft.fftshift(x, axes=axes), axes=axes), x)
        gl.testing.gradcheck(lambda x: gl.fft.fftshift(x, axes=axes), x)


def test_on_sim() -> None:
    x = draw((3, 4), "float64")
    y = gl.fft.fftn(gl.tensor(x, device="sim"))
    assert y.device == "sim"
    np.testing.assert_allclose(y.numpy(), np.fft.fftn(x), atol=1e-13)


def test_errors() -> None:
    x = np.ones(4)
    with pytest.raises(
        gl.DTypeError, match=r"^fft\(x\): not defined for int64\n  x: int64\[2\]\n  need a floating or com"
    ):
        gl.fft.fft(np.array([1, 2]))
    with pytest.raises(gl.DTypeError, match=r"^fft\(x\): x is of type list"):
        gl.fft.fft([1.0, 2.0])
    with pytest.raises(gl.ShapeError, match=r"^rfft\(x\): 0 elements along axis -1\n.*\n  need at least 1"):
        gl.fft.rfft(x, n=0)
    for n in (0, -3):
        with pytest.raises(gl.ShapeError, match=rf"^irfft\(x\): {n} elements along axis -1"):
            gl.fft.irfft(x, n=n)
    with pytest.raises(gl.ShapeError, match=r"^irfft\(x\): 0 elements along axis -1"):
        gl.fft.irfft(np.ones(1))  # two times none
    with pytest.raises(gl.ShapeError, match=r"^fft\(x\): axis 1 is out of range for 1 dimensions"):
        gl.fft.fft(x, axis=1)
    with pytest.raises(ValueError, match=r"^hfft\(x\): norm is 'unit'\n  need \"backward\", \"ortho\" or \"forward\"$"):
        gl.fft.hfft(x, norm="unit")
    with pytest.raises(
        gl.ShapeError, match=r"^fftn\(x\): s is None, axes are \(0, 0\)\n.*\n  need a size for each axis"
    ):
        gl.fft.fftn(x, axes=(0, 0))
    with pytest.raises(gl.ShapeError, match=r"^ifftn\(x\): s is \(2, 3\), axes are \(0,\)"):
        gl.fft.ifftn(x, s=(2, 3), axes=(0,))
    with pytest.raises(gl.ShapeError, match=r"^fftfreq\(n\): n is 0"):
        gl.fft.fftfreq(0)
    with pytest.raises(gl.DTypeError, match=r"^rfftfreq\(n\): dtype is int64"):
        gl.fft.rfftfreq(3, dtype="int64")
