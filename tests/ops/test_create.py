"""New tensors: NumPy's values, gradlib's dtypes, on the device asked for."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl


def test_filled() -> None:
    assert gl.zeros((2, 3)).tolist() == [[0] * 3] * 2
    assert gl.ones(3).dtype == "float32"
    assert gl.ones((2,), dtype="int8").dtype == "int8"
    assert gl.empty((2, 0)).shape == (2, 0)
    assert gl.full((2,), 1.5).dtype == "float32"
    assert gl.full(2, 3).dtype == "int64"
    assert gl.full((), True).dtype == bool
    assert gl.full((2,), gl.tensor(2.0, dtype="float64")).dtype == "float64"
    assert gl.zeros([2], dtype=gl.bfloat16, requires_grad=True).requires_grad


def test_like_another() -> None:
    x = gl.tensor([1, 2], dtype="int16")
    for y, value in ((gl.zeros_like(x), 0), (gl.ones_like(x), 1), (gl.full_like(x, 7), 7)):
        assert (y.dtype, y.tolist()) == ("int16", [value, value])
    assert gl.empty_like(x).shape == (2,)
    assert gl.ones_like(x, dtype="float32").dtype == "float32"
    assert type(gl.zeros_like(np.ones(2))) is np.ndarray


def test_counted_and_spaced() -> None:
    assert gl.arange(3).dtype == "int64"
    assert gl.arange(1, 2, 0.25).tolist() == [1, 1.25, 1.5, 1.75]
    assert gl.arange(5, 0, -2).tolist() == [5, 3, 1]
    assert gl.arange(3, dtype="float16").dtype == "float16"
    assert gl.linspace(0, 1, 5).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert gl.linspace(0, 1, 4, endpoint=False).tolist() == [0, 0.25, 0.5, 0.75]
    assert np.array_equal(gl.eye(3, 4, k=1).numpy(), np.eye(3, 4, 1))
    a, b = gl.meshgrid(gl.arange(2), gl.arange(3), indexing="ij")
    assert a.shape == b.shape == (2, 3)
    assert [m.shape for m in gl.meshgrid(gl.arange(2), gl.arange(3))] == [(3, 2), (3, 2)]


def test_on_a_device(sim: str) -> None:
    with gl.device(sim):
        assert gl.zeros(2).device == gl.arange(2).device == gl.full(2, 1.0).device == gl.eye(2).device == sim
    x = gl.ones(2, device=sim)
    assert gl.zeros_like(x).device == gl.one_hot(gl.arange(2, device=sim), 3).device == sim


def test_errors() -> None:
    with pytest.raises(gl.ShapeError, match=r"zeros\(shape\): shape is 1.5"):
        gl.zeros(1.5)
    with pytest.raises(gl.DTypeError, match="dtype 'complex256' is not supported"):
        gl.ones(2, dtype="complex256")
    with pytest.raises(gl.ShapeError, match="num is -1"):
        gl.linspace(0, 1, -1)
    with pytest.raises(ValueError, match="indexing is 'yx'"):
        gl.meshgrid(gl.arange(2), indexing="yx")
    with pytest.raises(gl.ShapeError, match="an array has 2 axes"):
        gl.meshgrid(gl.ones((2, 2)))
    with pytest.raises(gl.DeviceError, match="device 'tpu' is unknown"):
        gl.zeros(2, device="tpu")
