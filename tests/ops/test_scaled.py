"""8-bit floats: what they can and cannot, quantising, and scaled products."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import gradlib as gl
from gradlib.errors import DTypeError, GradientError, ShapeError

from ..devices import device_params
from .product.conftest import limits  # noqa: F401  (a fixture)

KINDS = {"float8_e4m3fn": ml_dtypes.float8_e4m3fn, "float8_e5m2": ml_dtypes.float8_e5m2}


def drawn(kind: str, *shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("device", ["cpu", *device_params()])
def test_casts_both_ways(device, kind, other) -> None:
    """Every code there and back; ties, what is too large, and NaN as NumPy casts them."""
    codes = np.arange(256, dtype=np.uint8).view(KINDS[kind])
    wide = gl.tensor(codes, device=device).to(other)
    np.testing.assert_array_equal(wide.numpy().astype("f4"), codes.astype("f4"))
    values = np.concatenate([codes.astype("f8"), codes[:-1].astype("f8") * 1.03125, [1e4, -1e4, 464, 465, np.inf]])
    x = gl.tensor(values, dtype=other)
    with np.errstate(all="ignore"):
        want = x.numpy().astype(KINDS[kind]).astype("f4")
    got = x.to(device=device).to(kind)
    assert got.dtype == getattr(gl, kind)
    np.testing.assert_array_equal(got.numpy().astype("f4"), want)


def test_they_move_but_do_not_compute() -> None:
    x = gl.tensor(drawn("float8_e4m3fn", 3, 4))
    assert x.T.shape == (4, 3)
    assert x.reshape(2, 6)[1].dtype == gl.float8_e4m3fn
    for function in (
        lambda: x + x,
        lambda: x * 2.0,
        lambda: gl.exp(x),
        lambda: x @ x.T,
        lambda: x.sum(),
        lambda: x + gl.ones((3, 4)),
        lambda: gl.softmax(x, axis=-1),
        lambda: gl.maximum(x, x),
    ):
        with pytest.raises(DTypeError) as caught:
            function()
        assert "not defined for float8_e4m3fn" in str(caught.value)
        assert "x.to(gl.float32), or scaled_mm" in str(caught.value)
    with pytest.raises(GradientError, match="float8_e4m3fn"):
        gl.tensor(drawn("float8_e4m3fn", 3), requires_grad=True)


def test_a_cast_to_8_bits_ends_a_gradient() -> None:
    x = gl.tensor(np.ones(3), requires_grad=True)
    assert not x.to("float8_e5m2").requires_grad


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("device", ["cpu", *device_params()])
def test_quantize(device, kind) -> None:
    x = np.random.default_rng(0).standard_normal((20, 7)) * 1e-3
    q, scale = gl.quantize(gl.tensor(x, dtype="float32", device=device), kind)
    assert (q.dtype, scale.dtype, scale.shape) == (getattr(gl, kind), gl.float32, (1,))
    assert abs(q.numpy().astype("f4")).max() == float(ml_dtypes.finfo(KINDS[kind]).max)
    back = q.numpy().astype("f8") * float(scale.numpy()[0])
    half = 2.0**-4 if kind == "float8_e4m3fn" else 2.0**-3
    assert (abs(back - x) <= half * abs(x) + 1e-3 * abs(x).max()).all()


@pytest.mark.parametrize("x", [np.zeros((2, 3)), np.zeros((0, 3)), np.full(2, 1e-45)])
def test_quantize_nothing(x) -> None:
    q, scale = gl.quantize(x, "float8_e4m3fn")
    assert (q.astype("f4") == 0).all()
    assert scale == [1.0]


def test_quantize_refuses() -> None:
    with pytest.raises(DTypeError, match="dtype is int8"):
        gl.quantize(np.ones(2), "int8")
    with pytest.raises(DTypeError, match="x is no float"):
        gl.quantize(np.ones(2, int), "float8_e5m2")


@pytest.mark.parametrize("device", ["cpu", *device_params()])
@pytest.mark.parametrize("architecture", ["sm_90a", "sm_80", "sm_75"])
@pytest.mark.parametrize("k", [48, 37])
@pytest.mark.parametrize("out", ["float32", "float16", "bfloat16"])
def test_scaled_mm(device, architecture, k, out, limits) -> None:  # noqa: F811
    """On every path: 8-bit tensor cores, bfloat16, float32; b in both orders."""
    if device != "cpu":
        limits(device, architecture=architecture)
    a, b = drawn("float8_e4m3fn", 33, k), drawn("float8_e5m2", 24, k)
    scales, bias = [np.array([v], "f4") for v in (0.3, 2.0)], np.random.default_rng(2).standard_normal(24).astype("f4")
    want = 0.6 * (a.astype("f8") @ b.astype("f8").T) + bias
    there = [gl.tensor(v, device=device) for v in (a, b, *scales, bias)]
    for right in (there[1].T, gl.tensor(np.ascontiguousarray(b.T), device=device)):
        y = gl.nn.functional.scaled_mm(there[0], right, *there[2:], out_dtype=out)
        assert y.dtype == getattr(gl, out)
        room = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 8e-3}[out]
        if device == "cuda" and architecture == "sm_90a":
            room += 2.0**-11
        np.testing.assert_allclose(y.numpy().astype("f8"), want, rtol=room, atol=room)


A, B, ONE = drawn("float8_e4m3fn", 2, 3), drawn("float8_e4m3fn", 3, 4), np.ones(1, "f4")


@pytest.mark.parametrize(
    ("args", "out", "error", "text"),
    [
        ((A, A, ONE, ONE), "float32", ShapeError, "shapes (2, 3) and (2, 3) do not fit"),
        ((A.astype("f4"), B, ONE, ONE), "float32", DTypeError, "a is float32"),
        ((A, B, np.ones(2, "f4"), ONE), "float32", ShapeError, "scale_a has shape (2,)"),
        ((A, B, ONE, ONE, np.ones(3, "f4")), "float32", ShapeError, "bias has shape (3,)"),
        ((A, B, ONE, ONE), "int32", DTypeError, "out_dtype is int32"),
    ],
)
def test_what_is_refused(args, out, error, text) -> None:
    with pytest.raises(error) as caught:
        gl.nn.functional.scaled_mm(*args, out_dtype=out)
    assert text in str(caught.value)
