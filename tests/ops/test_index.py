"""Brackets, take, sorting: values against NumPy, gradients against adding back in place, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gradlib as gl
from gradlib.core import op
from gradlib.kernel import launches
from gradlib.testing import assert_close

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3, 5))
I, J = np.array([2, 0, -1]), np.array([[0], [2]])  # noqa: E741
MASK = X > 0.3

INDICES: list[Any] = [
    0, -1, np.int64(2), slice(1, 3), slice(None, None, -1), slice(3, 0, -2), slice(10, 20), slice(-2, None), ...,
    None, (), (1, 2, 3), (0, slice(None), -2), (..., 1), (None, 0, ..., None), (slice(None), None, 1),
    I, J, [0, 3], [], MASK, MASK[:, 0, 0], np.zeros(4, bool),
    (I, 1), (1, I), (I, slice(None), 2), (slice(None), I, I), (I, slice(None), I), (J, slice(1, 3), I),
    (slice(None), 1, I),    (..., I), (I, None, I), (None, I, 1), (slice(None), MASK[0]),
    (MASK[:, 0, 0], slice(1, 2)), (MASK[:, :, 0], 2),
    (MASK[:, 0, 0], slice(None), I[:1]), (np.array(1), slice(None), np.array(2)), (I[:, None], J[:, 0], 0),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_brackets_are_numpys(index: Any) -> None:
    expected = X[index]
    x = gl.tensor(X, requires_grad=True)
    y = x[index]
    assert y.shape == expected.shape
    assert np.array_equal(y.numpy(), expected)
    assert type(gl.getitem(X, index)) is np.ndarray
    g = RNG.standard_normal(expected.shape)
    y.backward(gl.tensor(g))
    back = np.zeros_like(X)
    np.add.at(back, index, g)
    np.testing.assert_allclose(x.grad.numpy(), back, rtol=1e-12, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_index(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    x = np.arange(np.prod(shape)).reshape(shape) * 1.0
    index = data.draw(
        hnp.basic_indices(shape, allow_newaxis=True) | hnp.integer_array_indices(shape, result_shape=hnp.array_shapes())
    )
    assert np.array_equal(np.asarray(gl.tensor(x)[index]), x[index])


def test_tensors_as_indices() -> None:
    x = gl.tensor(X)
    assert np.array_equal(x[gl.tensor(I)].numpy(), X[I])
    assert np.array_equal(x[x > 0.3].numpy(), X[MASK])
    assert np.array_equal(x[gl.tensor(1)].numpy(), X[1])
    assert np.array_equal(x[:, gl.tensor([0, 1]), gl.tensor([2, 2])].numpy(), X[:, [0, 1], [2, 2]])


def test_gradient_of_what_is_picked_twice() -> None:
    x = gl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x[[0, 0, 2]] * gl.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [11, 0, 100]


def test_second_order_through_an_index() -> None:
    x = gl.tensor([1.0, 2.0, 3.0])
    f = lambda v: (v[[0, 1, 1]] ** 3).sum()  # noqa: E731
    assert gl.grad(lambda v: (gl.grad(f)(v) * v).sum())(x).tolist() == [9.0, 72.0, 0.0]


def test_adding_back_is_in_order() -> None:
    """float32 addition does not associate: one order, so one result."""
    g = RNG.standard_normal((1000, 3)).astype(np.float32) * 10.0 ** RNG.integers(-3, 4, (1000, 1)).astype(np.float32)
    indices = RNG.integers(0, 5, 1000)
    result = op.index_add(g, indices, axis=0, size=5)
    expected = np.zeros((5, 3))
    np.add.at(expected, indices, g.astype(float))
    assert result.dtype == np.float32
    assert np.abs(result - expected).max() < 1e-6 * np.abs(g).sum()
    for _ in range(3):
        assert np.array_equal(op.index_add(g, indices, axis=0, size=5), result)
    line = op.index_add(g[:, 0].copy(), indices, axis=0, size=5)
    assert np.abs(line - expected[:, 0]).max() < 1e-6 * np.abs(g).sum()


def test_take() -> None:
    x = gl.tensor(X)
    assert np.array_equal(x.take(I, axis=0).numpy(), X.take(I, axis=0))
    assert np.array_equal(gl.take(x, J, axis=1).numpy(), X.take(J, axis=1))
    assert np.array_equal(gl.take(x, [3, -1]).numpy(), X.take([3, -1]))


def test_take_along_axis() -> None:
    order = X.argsort(1)
    assert np.array_equal(gl.take_along_axis(X, order, axis=1), np.sort(X, 1))
    picks = RNG.integers(0, 5, (4, 3, 2))
    x = gl.tensor(X, requires_grad=True)
    y = x.take_along_axis(gl.tensor(picks), axis=-1)
    assert np.array_equal(y.numpy(), np.take_along_axis(X, picks, -1))
    y.sum().backward()
    assert x.grad.numpy().sum() == picks.size
    assert np.array_equal(x.grad.numpy(), np.stack([(picks == k).sum(-1) for k in range(5)], -1))


def test_sort() -> None:
    x = np.array([[3.0, 1.0, 2.0, 1.0], [0.0, np.nan, -1.0, 5.0]])
    assert np.array_equal(gl.sort(x), np.sort(x), equal_nan=True)
    assert np.array_equal(gl.argsort(x, axis=0), np.argsort(x, 0, stable=True))
    assert gl.argsort(x[0], descending=True).tolist() == [0, 2, 1, 3]  # equal elements keep their order
    t = gl.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (t.sort(descending=True) * gl.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert t.grad.tolist() == [1, 100, 10]


def test_nonzero_one_hot_and_triangles() -> None:
    x = gl.tensor([[0, 2], [3, 0]])
    rows, columns = x.nonzero()
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])
    assert gl.one_hot(gl.tensor([1, 0, 7]), 3).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert gl.one_hot(gl.tensor([1]), 2).dtype == "float32"
    assert gl.one_hot(np.array([1]), 2, dtype="int8").dtype == "int8"
    for k in (-1, 0, 1):
        assert np.array_equal(gl.tril(X, k=k), np.tril(X, k))
        assert np.array_equal(gl.tensor(X).triu(k=k).numpy(), np.triu(X, k))


def test_iteration_ends() -> None:
    assert [row.tolist() for row in gl.tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]


def test_errors() -> None:
    x = gl.tensor(X)
    with pytest.raises(IndexError, match=r"x\[index\]: index 4 on axis 0 of size 4\n  x: float64\[4, 3, 5\]"):
        x[4]
    with pytest.raises(IndexError, match=r"x\[index\]: 4 indices for 3 axes"):
        x[0, 0, 0, 0]
    with pytest.raises(IndexError, match="two or more ellipses"):
        x[..., 0, ...]
    with pytest.raises(IndexError, match=r"out of bounds|out of range"):
        x[[7]]
    with pytest.raises(IndexError, match="indices from 0 to 9 on an axis of size 5"):
        x[:, [0, 1], [0, 9]]
    with pytest.raises(IndexError, match=r"x\[mask\]: mask has shape \(2,\), those axes \(4,\)"):
        x[gl.tensor([True, False])]
    with pytest.raises(gl.DTypeError, match="an index is float32"):
        x[gl.tensor([0.0])]
    with pytest.raises(gl.DTypeError, match=r"1.5 is no index"):
        x[1.5]
    with pytest.raises(gl.DTypeError, match="True is no index"):
        x[True]
    with pytest.raises(gl.DTypeError, match="an index of type str"):
        x["a"]
    with pytest.raises(gl.ShapeError, match=r"take_along_axis.*shapes differ"):
        gl.take_along_axis(x, np.zeros((4, 2, 1), int), axis=2)
    with pytest.raises(gl.DTypeError, match=r"take.*indices are float64"):
        gl.take(x, np.array([0.5]), axis=0)
    with pytest.raises(gl.DTypeError, match=r"one_hot.*no class index"):
        gl.one_hot(gl.tensor([1.0]), 3)
    with pytest.raises(gl.ShapeError, match=r"tril.*x has 1 axes"):
        gl.tril(gl.tensor([1.0]))


def test_adding_back_on_a_device(sim: str) -> None:
    """The kernel adds in a fixed order too, and gives NumPy's sums; one launch for each way of picking."""
    g = RNG.standard_normal((2, 300, 3)).astype(np.float32)
    indices = RNG.integers(-7, 7, 300)
    with launches() as log:
        ours = op.index_add(gl.tensor(g, device=sim), gl.tensor(indices, device=sim), axis=1, size=7)
    assert [r.entry for r in log] == ["index_add"]
    expected = np.zeros((2, 7, 3))
    np.add.at(expected, (slice(None), indices), g.astype(float))
    assert_close(ours, expected)
    again = op.index_add(gl.tensor(g, device=sim), gl.tensor(indices, device=sim), axis=1, size=7)
    assert np.array_equal(ours.numpy(), again.numpy())
    x = gl.tensor(X.astype(np.float32), device=sim, requires_grad=True)
    with launches() as log:
        (x[:, [0, 2, 2], [1, 1, 1]] ** 2).sum().backward()
    assert "index_add" in [r.entry for r in log]
    expected = np.zeros_like(X)
    expected[:, [0, 2], 1] = 2 * X[:, [0, 2], 1] * [1, 2]
    assert_close(x.grad, expected)
