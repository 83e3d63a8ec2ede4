"""Ops that move elements: values against NumPy, gradients by weights, errors with their texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 5))

CASES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "reshape": (lambda x: x.reshape(5, -1), lambda x: x.reshape(5, -1)),
    "reshape of a list": (lambda x: gl.reshape(x, [30]), lambda x: x.reshape(30)),
    "flatten": (lambda x: x.flatten(1), lambda x: x.reshape(2, 15)),
    "flatten between": (lambda x: x.flatten(0, 1), lambda x: x.reshape(6, 5)),
    "permute_dims": (lambda x: x.permute_dims((2, 0, -2)), lambda x: x.transpose(2, 0, 1)),
    "T": (lambda x: x.T, lambda x: x.T),
    "mT": (lambda x: x.mT, lambda x: x.swapaxes(1, 2)),
    "moveaxis": (lambda x: x.moveaxis(0, -1), lambda x: np.moveaxis(x, 0, -1)),
    "moveaxis of two": (lambda x: gl.moveaxis(x, (0, 1), (2, 0)), lambda x: np.moveaxis(x, (0, 1), (2, 0))),
    "swapaxes": (lambda x: x.swapaxes(0, -1), lambda x: x.swapaxes(0, -1)),
    "expand_dims": (lambda x: x.expand_dims((0, -1)), lambda x: np.expand_dims(x, (0, -1))),
    "squeeze": (lambda x: x.reshape(2, 1, 15, 1).squeeze(1), lambda x: x.reshape(2, 15, 1)),
    "squeeze all": (lambda x: x.reshape(2, 1, 15, 1).squeeze(), lambda x: x.reshape(2, 15)),
    "broadcast_to": (lambda x: x.broadcast_to((4, 2, 3, 5)), lambda x: np.broadcast_to(x, (4, 2, 3, 5))),
    "flip": (lambda x: x.flip(1), lambda x: np.flip(x, 1)),
    "flip all": (lambda x: x.flip(), lambda x: np.flip(x)),
    "roll": (lambda x: x.roll((1, -7), (0, 2)), lambda x: np.roll(x, (1, -7), (0, 2))),
    "roll flat": (lambda x: x.roll(4), lambda x: np.roll(x, 4)),
    "tile": (lambda x: x.tile((2, 1, 3)), lambda x: np.tile(x, (2, 1, 3))),
    "tile in front": (lambda x: x.tile((2, 1, 1, 2)), lambda x: np.tile(x, (2, 1, 1, 2))),
    "tile behind": (lambda x: x.tile(2), lambda x: np.tile(x, 2)),
    "repeat": (lambda x: x.repeat(3, 1), lambda x: np.repeat(x, 3, 1)),
    "repeat flat": (lambda x: x.repeat(2), lambda x: np.repeat(x, 2)),
    "pad": (
        lambda x: x.pad(((1, 0), (0, 0), (2, 1)), 7.0),
        lambda x: np.pad(x, ((1, 0), (0, 0), (2, 1)), constant_values=7),
    ),
    "pad alike": (lambda x: x.pad(1), lambda x: np.pad(x, 1)),
    "split": (lambda x: x.split(3, 1)[1], lambda x: np.split(x, 3, 1)[1]),
    "split at": (lambda x: x.split([1, 4], 2)[1], lambda x: np.split(x, [1, 4], 2)[1]),
    "unstack": (lambda x: x.unstack(1)[2], lambda x: x[:, 2]),
    "concat": (lambda x: gl.concat([x, x[:1]], 0), lambda x: np.concatenate([x, x[:1]], 0)),
    "concat flat": (lambda x: gl.concat([x, x[0]], None), lambda x: np.concatenate([x, x[0]], None)),
    "stack": (lambda x: gl.stack([x, x], -1), lambda x: np.stack([x, x], -1)),
    "broadcast_arrays": (
        lambda x: gl.broadcast_arrays(x, gl.ones((4, 1, 1, 1), dtype="float64"))[0],
        lambda x: np.broadcast_to(x, (4, 2, 3, 5)),
    ),
    "sum_to": (lambda x: gl.sum_to(x, (3, 1)), lambda x: x.sum((0, 2)).reshape(3, 1)),
    "meshgrid": (lambda x: gl.meshgrid(x[0, 0], x[0, :, 0])[0], lambda x: np.meshgrid(x[0, 0], x[0, :, 0])[0]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case: str) -> None:
    """The value is NumPy's; the gradient, of a linear function, comes from pushing unit vectors through NumPy."""
    ours, numpys = CASES[case]
    expected = numpys(X)
    assert np.array_equal(np.asarray(ours(gl.tensor(X))), expected)
    x = gl.tensor(X, requires_grad=True)
    g = RNG.standard_normal(expected.shape)
    ours(x).backward(gl.tensor(g))
    base = numpys(np.zeros_like(X))
    units = np.eye(X.size).reshape(X.size, *X.shape)
    by_units = np.array([((numpys(u) - base) * g).sum() for u in units]).reshape(X.shape)
    np.testing.assert_allclose(x.grad.numpy(), by_units, rtol=1e-12, atol=1e-12)


def test_plain_arrays_stay_plain() -> None:
    assert type(gl.concat([X, X])) is np.ndarray
    assert type(gl.reshape(X, (30,))) is np.ndarray


def test_joining_promotes() -> None:
    joined = gl.concat([gl.tensor([1], dtype="int32"), gl.tensor([1.5])])
    assert joined.dtype == "float32"
    assert joined.tolist() == [1, 1.5]
    assert gl.stack([gl.tensor(1, dtype="int8"), gl.tensor(2)]).dtype == "int64"


def test_joining_keeps_what_is_constant_out() -> None:
    x = gl.tensor([1.0], requires_grad=True)
    gl.concat([x, gl.tensor([2.0]), x * 3]).sum().backward()
    assert x.grad.tolist() == [4]


def test_views_share_memory_and_are_watched() -> None:
    x = gl.tensor([[1.0, 2.0], [3.0, 4.0]])
    for view in (x.reshape(4), x.T, x[0], x.flip(), x.broadcast_to((3, 2, 2))):
        assert np.shares_memory(view.data, x.data)
    weight = gl.tensor([1.0, 2.0], requires_grad=True)
    loss = (weight.reshape(2, 1) * weight.reshape(1, 2)).sum()
    weight.assign(gl.tensor([0.0, 0.0]))
    with pytest.raises(gl.GradientError, match="changed in place"):
        loss.backward()


def test_sizes_of_nothing() -> None:
    assert gl.zeros((0, 3)).reshape(3, 0).shape == (3, 0)
    assert gl.concat([gl.zeros((0, 3)), gl.ones((2, 3))]).shape == (2, 3)
    assert gl.zeros((0, 3)).tile(2).shape == (0, 6)
    assert gl.tensor(1.0).flatten().shape == (1,)


ERRORS: list[tuple[Callable[[], Any], str]] = [
    (lambda: gl.reshape(X, (7, 4)), "reshape(x, shape): x has 30 elements, shape (7, 4) has 28\n  x: float64[2, 3, 5]\n"
     "  need equal numbers of elements"),
    (lambda: gl.reshape(X, (7, -1)), "reshape(x, shape): x has 30 elements, shape (7, -1) a multiple of 7"),
    (lambda: gl.reshape(X, (-1, -1)), "reshape(x, shape): shape is (-1, -1)"),
    (lambda: gl.reshape(X, "ab"), "reshape(x, shape): shape is 'ab'\n  need an int or a tuple of ints"),
    (lambda: gl.squeeze(X, 0), "squeeze(x, axis): axis 0 has size 2, not 1"),
    (lambda: gl.squeeze(X, 3), "squeeze(x, axis): axis 3 is out of range for 3 dimensions\n  need -3 <= axis < 3"),
    (lambda: gl.permute_dims(X, (0, 0, 1)), "permute_dims(x, axes): axes are (0, 0, 1)"),
    (lambda: gl.matrix_transpose(X[0, 0]), "matrix_transpose(x): x has 1 axes\n  x: float64[5]\n  need at least 2"),
    (lambda: gl.moveaxis(X, (0, 1), 2), "moveaxis(x, source, destination): source is (0, 1), destination 2"),
    (lambda: gl.broadcast_to(X, (2, 3, 4)), "broadcast_to(x, shape): shape (2, 3, 5) does not broadcast to (2, 3, 4)"),
    (lambda: gl.broadcast_to(X, (5,)), "broadcast_to(x, shape): shape (2, 3, 5) does not broadcast to (5,)"),
    (lambda: gl.concat([X, X[0]]), "concat(arrays, axis): shapes differ\n  arrays[0]: float64[2, 3, 5]\n"
     "  arrays[1]: float64[3, 5]\n  need equal sizes but on axis 0"),
    (lambda: gl.concat([]), "concat(arrays, axis): arrays is empty\n  need at least one"),
    (lambda: gl.stack([X, X[:1]]), "stack(arrays, axis): shapes differ"),
    (lambda: gl.split(X, 2, 1), "split(x, indices_or_sections, axis): axis 1 has size 3, which is no multiple of 2"),
    (lambda: gl.roll(X, (1, 2), 0), "roll(x, shift, axis): 2 shifts for 1 axes\n  need as many"),
    (lambda: gl.pad(X, ((1, 1),)), "pad(x, pad_width): pad_width is ((1, 1),)"),
    (lambda: gl.pad(X, -1), "pad(x, pad_width): pad_width is -1"),
    (lambda: gl.flatten(X, 2, 1), "flatten(x, start_dim, end_dim): start_dim 2 lies behind end_dim 1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), ERRORS)
def test_errors(call: Callable[[], Any], text: str) -> None:
    with pytest.raises(gl.ShapeError) as caught:
        call()
    assert str(caught.value).startswith(text)


def test_joining_something_else() -> None:
    with pytest.raises(gl.DTypeError, match=r"concat\(arrays, axis\): arrays\[1\] is of type float"):
        gl.concat([gl.ones(2), 1.0])
