"""float32 as bfloat16 planes, and the gradient before an activation."""

from __future__ import annotations

from collections.abc import Iterator

import ml_dtypes
import numpy as np
import pytest

from gradlib.backend import checked, get
from gradlib.ops.product import gradient, split

from ...devices import device_params
from .against_float64 import SLOPE

BF16 = np.dtype(ml_dtypes.bfloat16)
rng = np.random.default_rng(3)

pytestmark = pytest.mark.parametrize("device", device_params())


@pytest.fixture(autouse=True)
def _checked() -> Iterator[None]:
    with checked(orders=("forward",)):
        yield


def planes(device: str, x: np.ndarray) -> np.ndarray:
    """Return the four planes of a vector in float64."""
    backend = get(device)
    return backend.to_host(split(backend.asarray(x[None, None]), 4).array).astype(np.float64)[:, 0]


def test_three_planes_hold_24_bits(device):
    exponents = rng.integers(-100, 100, 5000)
    x = (rng.standard_normal(5000) * 2.0**exponents).astype(np.float32)
    p = planes(device, x)
    np.testing.assert_array_equal(p[3], p[0])
    assert (abs(p[1]) <= 2.0**-8 * abs(x)).all()
    assert (abs(p[2]) <= 2.0**-16 * abs(x)).all()
    assert (abs(p[:3].sum(0) - x.astype(np.float64)) <= 2.0**-24 * abs(x)).all()


def test_extremes(device):
    big = np.finfo(np.float32).max
    x = np.array([np.inf, -np.inf, np.nan, big, -big, 1e-40, 2.0**-149, -0.0, 3.3e38], np.float32)
    p = planes(device, x)
    np.testing.assert_array_equal(p[0][:3], x[:3])
    assert (p[1:, :3] == 0).all()  # nothing that is not finite meets a lower plane
    assert np.isfinite(p[:, 3:]).all()  # nothing finite becomes infinite
    wide = x[3:].astype(np.float64)
    assert (abs(p[:3, 3:].sum(0) - wide) <= 2.0**-24 * abs(wide) + 2.0**-133).all()  # the least bfloat16 is 2^-133


@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
@pytest.mark.parametrize(("dtype", "count"), [(np.float32, 4), (np.float32, 1), (BF16, 1), (np.float16, 1)])
@pytest.mark.parametrize("shape", [(300, 70), (5, 1000), (1, 3)])
def test_gradient(device, activation, dtype, count, shape):
    backend = get(device)
    g, s = (rng.standard_normal((1, *shape)).astype(dtype) for _ in range(2))
    made, sums = gradient(backend.asarray(g), backend.asarray(s), activation, count)
    dz = g.astype(np.float64) * (SLOPE[activation](s.astype(np.float64)) if activation else 1)
    got = backend.to_host(made.array).astype(np.float64)
    assert made.array.strides[1] % 16 == 0
    # The result's rounding, and the derivative's error: that of activation16.cuh in 16 bits, else float32's.
    rounding = 2.0**-22 if count == 4 else 2.0**-11 if dtype == np.float16 else 2.0**-8
    slope = 3e-7 if dtype == np.float32 else 2e-5
    off = abs((got[:3].sum(0) if count == 4 else got[0]) - dz[0])
    tiny = 2.0**-25 if dtype == np.float16 else 0  # half of its least number
    assert (off <= rounding * abs(dz[0]) + slope * abs(g[0].astype(np.float64)) + tiny).all()
    total = backend.to_host(sums).astype(np.float64).sum(0)
    # In 16 bits the derivative itself is computed by the hardware's approximate functions.
    room = 1e-5 if dtype == np.float32 else 1e-4
    np.testing.assert_allclose(total, dz[0].sum(0), atol=room * np.sqrt(shape[0]), rtol=room)
