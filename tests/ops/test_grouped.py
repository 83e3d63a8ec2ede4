"""Grouped dense layers: what they refuse, what they leave out, derivatives of all orders, and the public name."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib.errors import DTypeError, ShapeError

from ..devices import device_params

X, W = np.ones((5, 3)), np.ones((2, 3, 4))
SIZES = np.array([2, 2])


def test_each_row_meets_the_weight_of_its_group() -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((9, 5)), rng.standard_normal((3, 5, 4)), rng.standard_normal((3, 4))
    y = gl.nn.functional.grouped_dense(x, w, np.array([4, 0, 3]), b, activation="sigmoid")
    dense = gl.nn.functional.dense
    np.testing.assert_allclose(y[:4], dense(x[:4], w[0], b[0], activation="sigmoid"))
    np.testing.assert_allclose(y[4:7], dense(x[4:7], w[2], b[2], activation="sigmoid"))
    assert (y[7:] == 0).all()  # of no group, whatever the activation makes of 0


def test_a_callable_activation_is_composed() -> None:
    y = gl.grouped_dense(X, W, SIZES, activation=lambda u: u * 2 + 1)
    np.testing.assert_array_equal(y[:4], np.full((4, 4), 7.0))


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        ((X, W, np.array([2.0, 2.0])), DTypeError, "group_sizes are float64"),
        ((X, W, np.array([2, 2], np.uint8)), DTypeError, "need int32 or int64"),
        ((X, W, np.array([[2, 2]])), ShapeError, "group_sizes has 2 dimensions, need 1"),
        ((X, W, np.array([1, 1, 1])), ShapeError, "weight has 2 matrices, group_sizes 3 groups"),
        ((X, W[:0], SIZES[:0]), ShapeError, "there are no groups"),
        ((X[:, :2], W, SIZES), ShapeError, "input has 2 features, weight expects 3"),
        ((X[0], W, SIZES), ShapeError, "input has 1 dimensions, need 2"),
        ((X, W[0], SIZES), ShapeError, "weight has 2 dimensions, need 3"),
        ((X, W, SIZES, np.ones((2, 3))), ShapeError, "bias has shape (2, 3), weight makes 4 features in 2 groups"),
        ((X, W.astype("f4"), SIZES), DTypeError, "dtypes differ"),
        ((X, W, np.array([3, -1])), ShapeError, "group 1 has size -1"),
        ((X, W, np.array([3, 3])), ShapeError, "the groups have 6 rows together, input has 5"),
        ((X.astype(int), W.astype(int), SIZES), DTypeError, "need a floating dtype"),
    ],
)
def test_what_is_refused(args, error, text) -> None:
    with pytest.raises(error) as caught:
        gl.grouped_dense(*args)
    assert text in str(caught.value)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no activation 'rely'"):
        gl.grouped_dense(X, W, SIZES, activation="rely")


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_rows_of_no_group_have_no_part_in_gradients(device, activation, dtype) -> None:
    """Nor values of their own: NaN in them reaches nothing."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((90, 24))
    x[80:] = np.nan
    given = [x, rng.standard_normal((3, 24, 16)), rng.standard_normal((3, 16))]
    results = []
    for where, kind in (("cpu", "float64"), (device, dtype)):
        x, w, b = (gl.tensor(v, dtype=kind, device=where, requires_grad=True) for v in given)
        y = gl.grouped_dense(x, w, gl.tensor(np.array([9, 0, 71]), device=where), b, activation=activation)
        g = gl.tensor(np.where(np.arange(90)[:, None] < 80, 0.5, np.nan) + np.zeros((90, 16)), dtype=kind, device=where)
        y.backward(g)
        assert (x.grad.numpy()[80:] == 0).all()
        assert (w.grad.numpy()[1] == 0).all()
        results.append([v.numpy().astype(float) for v in (y, x.grad, w.grad, b.grad)])
    room = {"float32": 1e-5, "bfloat16": 3e-2, "float64": 1e-12}[dtype]
    for want, got in zip(*results, strict=True):
        assert np.isfinite(want).all()
        np.testing.assert_allclose(got, want, rtol=room, atol=room * abs(want).max())
