"""Grouped products on both families: groups of any size, every configuration, layout and epilogue, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradlib.backend import get
from gradlib.ops.grouped_launch import offsets_of
from gradlib.ops.product import AFTER, Matrix, Outputs, Steps, choose_mma, choose_sm90, grouped, split

from ...devices import device_params, watched
from .against_float64 import ACTIVATION, BF16, F16, F32, SLOPE

pytestmark = pytest.mark.parametrize("device", device_params())

SIZES = [70, 0, 1, 129, 64, 3, 0]  # across tiles, within one, none, and 9 rows of no group
ROWS = sum(SIZES) + 9
FAMILIES = {"sm_90a": choose_sm90.Config, "sm_80": choose_mma.Config}
ROOM = {BF16: (2.0**-8, 2.0**-15), F16: (2.0**-11, 2.0**-15), F32: (2.0**-21, 2.0**-21)}


def close(got: np.ndarray, want: np.ndarray, dtype: Any) -> None:
    relative, of_sum = ROOM[dtype]
    room = relative * abs(want) + of_sum * np.sqrt((want**2).mean())
    assert (abs(got.astype(np.float64) - want) <= room).all(), (abs(got - want) / room).max()


def there(backend: Any, x: np.ndarray, transposed: bool = False) -> Matrix:
    array = backend.asarray(np.ascontiguousarray(x.swapaxes(1, 2) if transposed else x))
    return (Matrix(array) if x.dtype != F32 else split(array, 4))._replace(transposed=transposed)


def run(device: str, function: Any, *args: Any) -> None:
    with watched(device):
        function(*args)


def check_rows(device, n, k, dtype=BF16, transposed=False, config=None, sizes=SIZES, rows=ROWS, **given):
    backend, rng, steps, groups = get(device), np.random.default_rng(n + k), Steps(**given), len(sizes)
    x, w = rng.standard_normal((1, rows, k)).astype(dtype), rng.standard_normal((groups, k, n)).astype(dtype)
    bias, scale = (rng.standard_normal((groups, n)).astype(dtype) for _ in range(2))
    slope, residual = (rng.standard_normal((rows, n)).astype(dtype) for _ in range(2))
    wide = [v.astype(np.float64) for v in (x[0], w, bias, scale, slope, residual)]
    ends = np.minimum(np.cumsum(np.maximum(sizes, 0)), rows)
    group = np.searchsorted(ends, np.arange(rows), side="right")
    u, inside = np.zeros((rows, n)), group < groups
    for r in np.flatnonzero(inside):
        u[r] = wide[0][r] @ wide[1][group[r]] * (wide[3][group[r]] if steps.scale else 1)
        u[r] += wide[2][group[r]] if steps.bias else 0
    want = ACTIVATION[steps.activation](u) * (SLOPE[steps.slope](wide[4]) if steps.slope else 1)
    want = np.where(inside[:, None], want + (wide[5] if steps.residual else 0), 0)

    y, z = (backend.empty((rows, n), dtype) for _ in range(2))
    offsets = offsets_of(backend.asarray(np.array(sizes)), y, rows, y, z)
    np.testing.assert_array_equal(backend.to_host(offsets), [0, *ends])
    out = Outputs(
        y, z if steps.save else None, *(backend.asarray(v) if on else None for v, on in (
            (slope, steps.slope), (residual, steps.residual), (bias, steps.bias), (scale, steps.scale)))
    )  # fmt: skip
    operands = there(backend, x), there(backend, w, transposed)
    run(device, grouped.rows, *operands, offsets, out, 6 if dtype == F32 else 1, steps, config)
    close(backend.to_host(y), want, dtype)
    if steps.save:
        close(backend.to_host(z), u, dtype)


def check_columns(device, m, n, dtype=BF16, config=None, sizes=SIZES, rows=ROWS):
    backend, rng, groups = get(device), np.random.default_rng(m + n), len(sizes)
    a, b = (rng.standard_normal((1, rows, i)).astype(dtype) for i in (m, n))
    a[0, sum(sizes) :] = np.nan  # of no group: not to be read
    ends = np.cumsum([0, *sizes])
    parts = [slice(*ends[i : i + 2]) for i in range(groups)]
    want = np.stack([a[0, part].astype(float).T @ b[0, part].astype(float) for part in parts])
    y = backend.empty((groups, m, n), dtype)
    offsets = offsets_of(backend.asarray(np.array(sizes, np.int32)), y, rows)
    operands = there(backend, a)._replace(transposed=True), there(backend, b)
    run(device, grouped.columns, *operands, offsets, y, 6 if dtype == F32 else 1, config)
    close(backend.to_host(y), want, dtype)


@pytest.mark.parametrize("config", choose_sm90.CANDIDATES, ids=lambda c: f"{c.bm}x{c.bn}x{c.cluster}{'p' * c.pingpong}")
def test_every_configuration_on_hopper(device, config, limits):
    limits(device, architecture="sm_90a", multiprocessors=2)
    check_rows(device, 136, 72, config=config, bias=True, activation="gelu", save=True)
    check_columns(device, 136, 72, config=config)


@pytest.mark.exhaustive
@pytest.mark.parametrize("config", choose_sm90.CANDIDATES, ids=lambda c: f"{c.bm}x{c.bn}x{c.cluster}{'p' * c.pingpong}")
@pytest.mark.parametrize("few", [False, True])
def test_every_configuration_on_hopper_at_length(device, config, few, limits):
    limits(device, architecture="sm_90a", **({"multiprocessors": 4} if few else {}))
    check_rows(device, 264, 200, config=config, bias=True, activation="gelu", save=True)
    check_columns(device, 264, 136, config=config)


def test_blocks_without_a_tile_on_hopper(device, limits):
    """A block a multiprocessor, though the groups turn out to have fewer tiles."""
    limits(device, architecture="sm_90a", multiprocessors=24)
    config = choose_sm90.Config(128, 128, 2, stages=2)
    check_rows(device, 136, 72, config=config, bias=True, activation="gelu", save=True)
    check_columns(device, 136, 72, config=config)


@pytest.mark.parametrize("config", choose_mma.CANDIDATES, ids=lambda c: f"{c.bm}x{c.bn}")
def test_every_configuration_elsewhere(device, config, limits):
    limits(device, architecture="sm_80")
    check_rows(device, 136, 72, config=config, bias=True, activation="gelu", save=True)
    check_columns(device, 72, 136, config=config)


@pytest.mark.parametrize("architecture", FAMILIES)
@pytest.mark.parametrize(
    "case",
    [
        {"n": 72, "k": 72, "transposed": True},
        {"n": 40, "k": 136, "dtype": F16, "scale": True, "bias": True, "activation": "relu"},
        {"n": 37, "k": 72, "transposed": True, "bias": True, "activation": "gelu", "save": True},  # rows not aligned
        {"n": 33, "k": 45, "bias": True, "activation": "relu"},
        {"n": 72, "k": 72, "slope": "gelu"},
        {"n": 136, "k": 72, "bias": True, "activation": "relu", "residual": AFTER},
        {"n": 40, "k": 97, "dtype": F32, "bias": True, "activation": "gelu", "save": True},
        {"n": 41, "k": 72, "dtype": F32, "transposed": True},
        {"n": 8, "k": 8, "sizes": [1], "rows": 1},
        {"n": 8, "k": 8, "sizes": [0, 0, 0], "rows": 5},
        {"n": 72, "k": 72, "sizes": [100] * 3 + [0] * 40 + [2] * 30, "rows": 400},
        {"n": 72, "k": 72, "sizes": [50, -3, 2**40, 7], "rows": 130},  # clamped
    ],
)
def test_rows(device, architecture, case, limits):
    limits(device, architecture=architecture)
    check_rows(device, **case)


@pytest.mark.parametrize("architecture", FAMILIES)
@pytest.mark.parametrize(
    "case",
    [
        {"m": 72, "n": 40, "dtype": F16},
        {"m": 41, "n": 37},
        {"m": 72, "n": 36},
        {"m": 40, "n": 65, "dtype": F32},
        {"m": 8, "n": 8, "sizes": [0, 0], "rows": 3},
        {"m": 8, "n": 8, "sizes": [1], "rows": 1},
    ],
)
def test_columns(device, architecture, case, limits):
    limits(device, architecture=architecture)
    check_columns(device, **case)


@pytest.mark.parametrize("architecture", FAMILIES)
def test_columns_in_parts(device, architecture, limits):
    """Of groups that do not fill all parts of their sums."""
    limits(device, architecture=architecture)
    config = {
        "sm_90a": choose_sm90.Config(64, 64, pingpong=True, splits=3),
        "sm_80": choose_mma.Config(64, 64, 32, 32, splits=3),
    }
    check_columns(device, 72, 40, config=config[architecture], sizes=[300, 1, 0, 65], rows=366)


@pytest.mark.parametrize("architecture", FAMILIES)
def test_next_group_is_not_multiplied(device, architecture, limits):
    """Infinities in one group leave the others alone, though tiles are loaded across."""
    limits(device, architecture=architecture)
    backend, sizes = get(device), [5, 70, 6]
    a, b = np.ones((1, 81, 64), BF16), np.ones((1, 81, 64), BF16)
    a[0, 5:75], b[0, 5:75] = np.inf, np.nan
    y = backend.empty((3, 64, 64), BF16)
    offsets = offsets_of(backend.asarray(np.array(sizes)), y, 81)
    grouped.columns(Matrix(backend.asarray(a), True), Matrix(backend.asarray(b)), offsets, y, 1)
    got = backend.to_host(y).astype(float)
    assert (got[0] == 5).all()
    assert np.isnan(got[1]).all()
    assert (got[2] == 6).all()
