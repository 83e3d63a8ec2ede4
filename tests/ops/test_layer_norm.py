"""Layer and RMS normalisation: rows of every width, digits far from zero, what is computed and what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import ShapeError
from gradlib import backend as backends
from gradlib.core import Tensor, op
from gradlib.errors import DTypeError
from gradlib.ops.layer_norm import _split
from gradlib.testing import assert_close, launches


@pytest.fixture(params=["cpu", "sim"])
def device(request: pytest.FixtureRequest) -> str:
    return "cpu" if request.param == "cpu" else str(request.getfixturevalue("sim"))


def both(sim: str, f: Any, *values: Any) -> list[list[Any]]:
    """Return value and gradients of f on sim, and on the CPU in float64."""
    found = []
    for device in (sim, "cpu"):
        move = backends.get(device).asarray
        wide = [v if device == sim else v.astype(np.float64) for v in values]
        xs = [Tensor(move(v.copy()), requires_grad=True) for v in wide]
        y = f(*xs)
        g = np.random.default_rng(9).standard_normal(y.shape)
        y.backward(Tensor(move(g.astype(values[0].dtype).astype(y.dtype))))
        found.append([y, *[x.grad for x in xs]])
    return found


WIDTHS = [1, 2, 7, 8, 31, 64, 255, 256, 512, 513, 768, 1024, 1600, 2047, 4096, 8191, 8192, 8200, 16385]


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_of_any_width(columns: int, dtype: str, sim: str) -> None:
    rng = np.random.default_rng(columns)
    kind = gl.tensor([0.0], dtype=dtype).dtype
    x, w, b = (rng.standard_normal(s).astype(kind) for s in ((11, columns), (columns,), (columns,)))
    for name, args in (("layer_norm", (x, w, b)), ("rms_norm", (x, w))):
        f = lambda *xs, name=name: getattr(op, name)(*xs, normalized_shape=(columns,), eps=0.1)  # noqa: E731
        for k, (found, wanted) in enumerate(zip(*both(sim, f, *args), strict=True)):
            assert_close(found, wanted.numpy(), what=f"{name} {k}")


@pytest.mark.parametrize("itemsize", [2, 4, 8])
@pytest.mark.parametrize("backward", [False, True])
def test_a_row_fits_the_threads_that_hold_it(itemsize: int, backward: bool) -> None:
    for columns in range(1, 20000, 7):
        split = _split(columns, itemsize, backward)
        threads, rows = split.block
        assert threads % 32 == 0
        assert threads * rows <= (512 if backward or not split.packs else 1024)
        if split.packs:
            assert threads * split.packs * 16 // itemsize >= columns
            assert (threads - 32) * split.packs * 16 // itemsize < columns  # no idle warp


@pytest.mark.parametrize("columns", [37, 4099, 20011])
def test_variance_far_from_zero_keeps_its_digits(columns: int, device: str) -> None:
    # a mean of 1e4 deviations: mean(x^2) - mean(x)^2 would lose every digit of a float32 variance
    x = (1e4 + np.random.default_rng(0).standard_normal((3, columns))).astype(np.float32)
    exact = x.astype(np.float64)
    wanted = (exact - exact.mean(1, keepdims=True)) / exact.std(1, keepdims=True)
    y = op.layer_norm(backends.get(device).asarray(x), normalized_shape=(columns,), eps=0.0)
    assert np.abs(np.asarray(y) - wanted).max() < 4e-3  # the mean of float32 numbers near 1e4 is known to 5e-4


def test_float32_parameters_of_reduced_inputs(sim: str) -> None:
    rng = np.random.default_rng(0)
    kind = gl.tensor([0.0], dtype="bfloat16").dtype
    x = Tensor(backends.get(sim).asarray(rng.standard_normal((5, 33)).astype(kind)), requires_grad=True)
    w, b = (Tensor(backends.get(sim).asarray(rng.random(33).astype(np.float32)), requires_grad=True) for _ in range(2))
    with launches() as log:
        y = gl.nn.functional.layer_norm(x, 33, w, b)
        y.backward(Tensor(y.data))
    assert [r.entry for r in log] == ["layer_norm_forward", "layer_norm_backward", "layer_norm_finish"]
    assert (y.dtype, x.grad.dtype, w.grad.dtype, b.grad.dtype) == (kind, kind, np.float32, np.float32)
    exact = [t.numpy().astype(np.float64) for t in (x, w, b)]
    wanted = op.layer_norm(*exact, normalized_shape=(33,), eps=1e-5)
    assert_close(y, wanted)


@pytest.mark.parametrize("wide", [False, True])
def test_only_what_is_needed_is_computed(wide: bool, sim: str) -> None:
    columns = 9000 if wide else 40
    values = [gl.tensor(np.ones(s, np.float32), device=sim) for s in ((3, columns), (columns,), (columns,))]

    def entries(*needs: bool) -> list[str]:
        x, w, b = (Tensor(t.data, requires_grad=on) for t, on in zip(values, needs, strict=True))
        y = op.layer_norm(x, w, b, normalized_shape=(columns,))
        with launches() as log:
            y.backward(Tensor(y.data))
        return [r.entry.removeprefix("layer_norm_") for r in log]

    assert entries(True, False, False) == ["backward"]
    assert entries(False, True, False) == (["columns", "finish"] if wide else ["backward", "finish"])
    assert entries(True, True, True) == (["backward", "columns", "finish"] if wide else ["backward", "finish"])


def test_without_gradients_nothing_is_saved(sim: str) -> None:
    x = gl.tensor(np.ones((3, 5), np.float32), device=sim)
    with launches() as log:
        op.layer_norm(x, normalized_shape=(5,))
    assert [r.entry for r in log] == ["layer_norm_forward"]


def test_views_that_are_not_aligned(sim: str) -> None:
    base = np.random.default_rng(0).standard_normal(5 * 64 + 1).astype(np.float32)
    moved = backends.get(sim).asarray(base)[1:].reshape(5, 64)
    y = op.layer_norm(moved, normalized_shape=(64,))
    assert_close(y, op.layer_norm(base[1:].reshape(5, 64).astype(np.float64), normalized_shape=(64,)))


@pytest.mark.parametrize("columns", [24, 96, 700, 9000])
def test_it_is_free_of_faults(columns: int, sim: str) -> None:
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(s).astype(np.float32) for s in ((9, columns), (columns,), (columns,))]
    with backends.checked():
        both(sim, lambda *xs: op.layer_norm(*xs, normalized_shape=(columns,)), *values)


def test_what_does_not_fit_is_refused() -> None:
    x = np.ones((2, 3, 4), np.float32)
    with pytest.raises(ShapeError, match=r"input does not end in normalized_shape \(4, 3\)"):
        gl.nn.functional.layer_norm(x, (4, 3))
    with pytest.raises(ShapeError, match=r"weight has shape \(3,\), normalized_shape is \(4,\)"):
        gl.nn.functional.layer_norm(x, 4, np.ones(3, np.float32))
    with pytest.raises(DTypeError, match="input is not floating"):
        gl.nn.functional.rms_norm(np.ones((2, 3), np.int64), 3, eps=1e-5)
