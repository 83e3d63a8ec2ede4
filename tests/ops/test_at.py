"""x.at[index]: every kind of index and change against NumPy's own in place; derivatives; places picked twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.testing import gradcheck

RNG = np.random.default_rng(3)
X = RNG.standard_normal((4, 5))
INDICES = {
    "number": 2,
    "negative": (-1, 0),
    "slice": slice(1, 4, 2),
    "backwards": (slice(None), slice(None, None, -2)),
    "ellipsis and new axis": (None, ..., 3),
    "list": [3, 0],
    "array": np.array([[1, 2], [0, 3]]),
    "two arrays": (np.array([0, 3, 2]), np.array([1, 1, 4])),
    "array and slice": (slice(None, 2), np.array([4, 0])),
    "mask": X > 0.3,
    "mask of rows": np.array([True, False, True, True]),
    "nothing": slice(2, 2),
    "none of them": np.zeros(4, bool),
}
CHANGES: dict[str, Any] = {
    "set": lambda y, i, v: y.__setitem__(i, v),
    "add": np.add.at,
    "subtract": np.subtract.at,
    "min": np.minimum.at,
    "max": np.maximum.at,
}
TWICE = (np.array([1, 1, 0]), np.array([2, 2, 0]))


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("change", CHANGES)
def test_is_numpys(change: str, index: Any) -> None:
    for value in (RNG.standard_normal(X[index].shape), 1.5):
        expected = X.copy()
        CHANGES[change](expected, index, value)
        x = gl.tensor(X)
        got = getattr(x.at[index], change)(value)
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-14)
        np.testing.assert_array_equal(x.numpy(), X)  # nothing is changed in place


def test_what_there_is() -> None:
    there = {name for name in dir(gl.tensor(X).at[0]) if not name.startswith("_")}
    assert there - {"get"} == set(CHANGES)


@pytest.mark.parametrize("index", [*INDICES.values(), TWICE], ids=[*INDICES, "twice"])
@pytest.mark.parametrize("change", CHANGES)
def test_derivatives_of_both_orders(change: str, index: Any) -> None:
    v = RNG.uniform(0.5, 2.0, X[index].shape)

    def f(x: gl.Tensor, v: gl.Tensor) -> gl.Tensor:
        return getattr(gl.sin(x).at[index], change)(v * v)

    gradcheck(f, X, v)
    gradcheck(lambda x, v: gl.grad(lambda x, v: gl.sum(f(x, v) ** 2), argnums=(0, 1))(x, v), X, v)


@pytest.mark.parametrize("device", ["cpu", "sim"])
def test_places_picked_twice(device: str, request: pytest.FixtureRequest) -> None:
    if device == "sim":
        request.getfixturevalue("sim")
    x, v = gl.zeros((4,), device=device), gl.tensor([5.0, -7.0, 3.0], device=device)
    index = gl.tensor([1, 1, 2], device=device)
    assert x.at[index].set(v).tolist() == [0, -7, 3, 0]  # the last
    assert x.at[index].add(v).tolist() == [0, -2, 3, 0]  # all
    assert x.at[index].max(v).tolist() == [0, 5, 3, 0]
    assert x.at[index].min(v).tolist() == [0, -7, 0, 0]
    g = gl.grad(lambda v: gl.sum(gl.zeros((4,), device=device).at[index].set(v)))(v)
    assert g.tolist() == [0, 1, 1]


def test_dtype_stays_and_what_does_not_fit_is_refused() -> None:
    n = gl.tensor([1, 2, 3])
    assert n.at[0].set(7).dtype == gl.int64
    assert gl.ones((2,), dtype="float16").at[0].add(1.0).dtype == gl.float16
    with pytest.raises(gl.DTypeError):
        n.at[0].set(1.5)
    with pytest.raises(gl.ShapeError):
        n.at[:2].set(gl.ones((3,), dtype="int64"))
    with pytest.raises(IndexError):
        n.at[3].set(1)
    with pytest.raises(IndexError):
        n.at[np.array([0, -4])].add(1)
