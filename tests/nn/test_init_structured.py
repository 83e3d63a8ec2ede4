"""Initializers with structure: PyTorch's values where they are determined, statistics where they are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradlib as gl
from gradlib.nn import init
from gradlib.nn.init_structured import erfinv, orthonormal

STORED = np.load(Path(__file__).parent.parent / "reference" / "init.npz")


def empty(*shape: int, dtype: str = "float64") -> gl.Tensor:
    return gl.tensor(np.full(shape, 9.0), dtype=dtype)


def test_gains_are_pytorchs() -> None:
    for name, expected in zip(STORED["gain_names"], STORED["gains"], strict=True):
        assert init.calculate_gain(str(name)) == pytest.approx(expected, rel=1e-12)
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(float(STORED["leaky"]), rel=1e-12)


def test_erfinv_is_pytorchs() -> None:
    np.testing.assert_allclose(erfinv(STORED["y"]), STORED["erfinv"], rtol=1e-11, atol=1e-16)
    np.testing.assert_allclose(erfinv(-STORED["y"]), -STORED["erfinv"], rtol=1e-11, atol=1e-16)


@pytest.mark.parametrize("n", range(4))
def test_orthonormal_factor_is_pytorchs(n: int) -> None:
    np.testing.assert_allclose(1.5 * orthonormal(STORED[f"numbers{n}"]), STORED[f"orthogonal{n}"], atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 3, 4, 6)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    tensor = empty(*shape)
    assert init.orthogonal_(tensor, 2.0, gl.Generator(3)) is tensor
    matrix = tensor.numpy().reshape(-1, shape[-1])
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


@pytest.mark.parametrize("n", range(4))
def test_dirac_is_pytorchs(n: int) -> None:
    expected = STORED[f"dirac{n}"]
    np.testing.assert_array_equal(init.dirac_(empty(*expected.shape), int(STORED[f"groups{n}"])).numpy(), expected)


def test_eye_and_sparse() -> None:
    np.testing.assert_array_equal(init.eye_(empty(3, 5)).numpy(), np.eye(3, 5))
    values = init.sparse_(empty(200, 50), 0.31, std=2.0, generator=gl.Generator(0)).numpy()
    assert ((values == 0).sum(axis=1) == 16).all()  # ceil(0.31 * 50), as PyTorch counts
    assert abs(values[values != 0].std() / 2 - 1) < 0.05
    assert (values == 0).any(axis=0).all()


def test_trunc_normal_has_its_distribution() -> None:
    values = init.trunc_normal_(empty(20000), 1.0, 2.0, -1.0, 4.0, gl.Generator(1)).numpy()
    assert -1 <= values.min() < -0.99
    assert 3.99 < values.max() <= 4
    grid = 1 + 2 * np.random.default_rng(0).standard_normal(400000)
    grid = grid[(grid >= -1) & (grid <= 4)]
    assert abs(values.mean() - grid.mean()) < 0.03
    assert abs(values.std() - grid.std()) < 0.03
    assert init.trunc_normal_(empty(5, dtype="bfloat16")).dtype.name == "bfloat16"


def test_bad_arguments() -> None:
    for call, error in (
        (lambda: init.eye_(empty(3)), gl.ShapeError),
        (lambda: init.sparse_(empty(3, 3, 3), 0.1), gl.ShapeError),
        (lambda: init.sparse_(empty(3, 3), 1.1), ValueError),
        (lambda: init.orthogonal_(empty(3)), gl.ShapeError),
        (lambda: init.dirac_(empty(3, 3)), gl.ShapeError),
        (lambda: init.dirac_(empty(3, 3, 4), 3), gl.ShapeError),
        (lambda: init.trunc_normal_(empty(3), a=1, b=1), ValueError),
    ):
        with pytest.raises(error):
            call()  # type: ignore[no-untyped-call]
