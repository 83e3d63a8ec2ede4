"""What is said where the input is wrong: every public function, every kind of mistake."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.backend import cuda

SQUARE = ["inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "eig", "eigvals", "expm"]
MATRIX = [*SQUARE, "qr", "svd", "svdvals", "pinv", "matrix_rank", "lu", "cond", "matrix_norm"]


def exactly(text: str) -> str:
    return "^" + re.escape(text) + "$"


@pytest.mark.parametrize("wrap", [gl.tensor, np.array])
@pytest.mark.parametrize("name", SQUARE)
def test_not_square(name: str, wrap: Any) -> None:
    text = f"{name}(x): x has 2 rows and 3 columns\n  x: float64[5, 2, 3]  (..., n, n)\n  need a square matrix"
    with pytest.raises(gl.ShapeError, match=exactly(text)):
        getattr(gl.linalg, name)(wrap(np.ones((5, 2, 3))))


@pytest.mark.parametrize("name", MATRIX)
def test_not_a_matrix(name: str) -> None:
    with pytest.raises(gl.ShapeError, match=rf"^{name}\(x\): x has 1 axes\n  x: float64\[3\].*\n  need at least 2$"):
        getattr(gl.linalg, name)(np.ones(3))


@pytest.mark.parametrize("name", [*MATRIX, "vector_norm"])
def test_integers(name: str) -> None:
    with pytest.raises(gl.DTypeError, match=rf"^{name}\(x\): not defined for int64\n(.*\n)*  need a floating or c"):
        getattr(gl.linalg, name)(gl.tensor([[1, 2], [3, 4]]))


@pytest.mark.parametrize("name", [*MATRIX, "vector_norm", "norm", "trace", "diagonal"])
def test_lists(name: str) -> None:
    with pytest.raises(gl.DTypeError, match=rf"^{name}\(x.*\): x is of type list\n  need a Tensor or an array"):
        getattr(gl.linalg, name)([[1.0, 2.0], [3.0, 4.0]])


SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


@pytest.mark.parametrize("name", ["inv", "solve"])
def test_singular(name: str) -> None:
    args = () if name == "inv" else (np.ones((2, 2)),)
    call = "inv(x)" if name == "inv" else "solve(a, b)"
    first = "x" if name == "inv" else "a"
    with pytest.raises(gl.LinAlgError, match=rf"^{re.escape(call)}: {first} is singular\n  {first}: float64\[2, 2\]\n"):
        getattr(gl.linalg, name)(SINGULAR, *args)
    batch = np.stack([np.stack([np.eye(2), np.eye(2)]), np.stack([np.eye(2), SINGULAR])])
    for x in (batch, gl.tensor(batch)):
        with pytest.raises(gl.LinAlgError, match=rf"^{re.escape(call)}: {first}\[1, 1\] is singular\n"):
            getattr(gl.linalg, name)(x, *args)
    with pytest.raises(np.linalg.LinAlgError):
        getattr(gl.linalg, name)(SINGULAR, *args)
    with pytest.raises(gl.LinAlgError, match="need an invertible matrix; gl"):
        gl.linalg.matrix_power(SINGULAR, -1)


def test_not_positive_definite() -> None:
    with pytest.raises(gl.LinAlgError, match=r"^cholesky\(x\): x\[2\] is not positive definite\n  x: float64\[3, "):
        gl.linalg.cholesky(np.stack([np.eye(2), np.eye(2), -np.eye(2)]))


def test_not_finite() -> None:
    with pytest.raises(gl.LinAlgError, match=r"^svd\(x\): x\[1\] has no decomposition: .*\n.*\n  need finite values$"):
        gl.linalg.svd(np.stack([np.eye(2), np.full((2, 2), np.nan)]))


def test_sizes_that_do_not_fit() -> None:
    a = np.ones((3, 3))
    with pytest.raises(gl.ShapeError, match=exactly(
        "solve(x1, x2): x1 has 3 columns, x2 has 4 rows\n"
        "  x1: float64[3, 3]  (..., n, n)\n"
        "  x2: float64[4, 2]  (..., n, k)\n"
        "  need x1.shape[-1] == x2.shape[-2]"
    )):  # fmt: skip
        gl.linalg.solve(a, np.ones((4, 2)))
    with pytest.raises(gl.ShapeError, match=r"shapes \(2,\) and \(5,\) do not broadcast"):
        gl.linalg.solve(np.ones((2, 3, 3)), np.ones((5, 3, 1)))
    with pytest.raises(gl.ShapeError, match=r"lstsq\(x1, x2\): x1 has 4 rows, x2 has 3 rows"):
        gl.linalg.lstsq(np.ones((4, 2)), np.ones(3))
    with pytest.raises(gl.ShapeError, match=r"vecdot\(x1, x2, axis\): vectors of x1 have 3 elements, of x2 4"):
        gl.vecdot(np.ones(3), np.ones(4))
    with pytest.raises(gl.ShapeError, match=r"cross\(x1, x2, axis\): vectors have 2 elements"):
        gl.linalg.cross(np.ones(2), np.ones(2))
    with pytest.raises(gl.ShapeError, match=r"tensordot\(x1, x2, axes\): sizes along the axes are \(3,\) and \(4,\)"):
        gl.tensordot(np.ones((2, 3)), np.ones((4, 2)), axes=1)
    with pytest.raises(gl.ShapeError, match=r"tensordot\(x1, x2, axes\): axes is 3"):
        gl.tensordot(np.ones((2, 3)), np.ones((4, 2)), axes=3)
    with pytest.raises(gl.ShapeError, match=r"outer\(x1, x2\): x1 has 2 axes, x2 has 1"):
        gl.linalg.outer(a, np.ones(2))
    with pytest.raises(gl.ShapeError, match=r"multi_dot\(arrays\): arrays\[1\] has 1 axes"):
        gl.linalg.multi_dot([a, np.ones(3), a])
    with pytest.raises(gl.ShapeError, match=r"multi_dot\(arrays\): there are 1 arrays"):
        gl.linalg.multi_dot([a])
    with pytest.raises(gl.DTypeError, match=r"multi_dot\(arrays\): arrays\[1\] is of type list"):
        gl.linalg.multi_dot([a, [1.0]])
    with pytest.raises(gl.ShapeError, match=r"norm\(x, ord, axis\): 3 axes"):
        gl.linalg.norm(np.ones((2, 2, 2)), ord=2)


def test_wrong_choices() -> None:
    with pytest.raises(ValueError, match=r"qr\(x, mode\): mode is 'full'\n  need \"reduced\" or \"complete\""):
        gl.linalg.qr(np.eye(2), mode="full")
    with pytest.raises(ValueError, match=r"matrix_norm\(x, ord\): ord is 3\n  need one of 'fro'"):
        gl.linalg.matrix_norm(np.eye(2), ord=3)
    with pytest.raises(gl.DTypeError, match=r"cross\(x1, x2, axis\): not defined for bool"):
        gl.linalg.cross(np.ones(3, bool), np.ones(3, bool))


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small install on a GPU: CuPy without cuSOLVER and cuFFT."""
    from gradlib.ops.linalg.host import require

    monkeypatch.setattr(cuda, "lacks", lambda name: f"lib{name.lower()}.so.12: cannot open shared object file")
    with pytest.raises(gl.DeviceError) as caught:
        require(object(), "inv(x)", "cuSOLVER")
    assert str(caught.value) == (
        "inv(x): on cuda this needs cuSOLVER, which the small install is without: "
        "libcusolver.so.12: cannot open shared object file\n"
        "  need pip install 'gradlib[cuda13-full]' (or cuda12-full), or x.to(device=\"cpu\")"
    )


def test_what_is_missing_is_found_by_asking_cupy() -> None:
    pytest.importorskip("cupy")
    for name in ("cuSOLVER", "cuFFT"):
        assert isinstance(cuda.lacks(name), str)
