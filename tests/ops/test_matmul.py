"""matmul: NumPy's shapes and dtypes, on the CPU and by the kernel, and how a product is cut into tiles."""

from __future__ import annotations

import numpy as np
import pytest

from gradlib import backend as backends
from gradlib.core import Tensor, vjp
from gradlib.errors import ShapeError
from gradlib.kernel import launches
from gradlib.ops.matmul import matmul
from gradlib.ops.tiling import split, tiling
from gradlib.spec import bfloat16

SHAPES = [
    ((3, 5), (5, 2)),
    ((7,), (7,)),
    ((5,), (5, 3)),
    ((4, 5), (5,)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((3, 2, 1, 4), (3, 1, 4, 6)),
    ((0, 3), (3, 2)),
    ((3, 0), (0, 2)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
@pytest.mark.parametrize("device", ["cpu", "sim"])
def test_agrees_with_numpy(a, b, device, request):
    if device == "sim":
        request.getfixturevalue("sim")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(a), rng.standard_normal(b)
    backend = backends.get(device)
    result = matmul(backend.asarray(x), backend.asarray(y))
    assert type(result) is backend.array_type
    np.testing.assert_allclose(np.asarray(result), np.matmul(x, y), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"])
def test_integers_wrap_as_in_numpy(dtype, sim):
    rng = np.random.default_rng(1)
    high = 2 if dtype == "bool" else 120
    x, y = (rng.integers(0, high, shape).astype(dtype) for shape in ((9, 33), (33, 5)))
    backend = backends.get(sim)
    np.testing.assert_array_equal(np.asarray(matmul(backend.asarray(x), backend.asarray(y))), np.matmul(x, y))


@pytest.mark.parametrize("dtype", [np.dtype("float16"), bfloat16])
def test_reduced_precision_is_rounded_once(dtype, sim):
    rng = np.random.default_rng(2)
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in ((5, 1000), (1000, 3)))
    exact = x.astype(np.float64) @ y.astype(np.float64)
    for name in ("cpu", sim):
        backend = backends.get(name)
        result = np.asarray(matmul(backend.asarray(x), backend.asarray(y)))
        assert result.dtype == dtype
        # one rounding of a float32 sum: half a unit in the last place, and the sum's own error
        bound = np.abs(exact) * (2.0**-11 if dtype != bfloat16 else 2.0**-8) * 1.01 + 1e-4
        assert (np.abs(result.astype(np.float64) - exact) <= bound).all()


def test_views_are_read_in_place(sim):
    rng = np.random.default_rng(3)
    backend = backends.get(sim)
    big = backend.asarray(rng.standard_normal((4, 6, 10, 8)))
    pairs = [
        (big[0, 0].T, big[1, 1]),  # transposed
        (big[0, 0, ::-1, ::2], big[0, 1, 1:5, ::-2]),  # reversed, every second
        (big.transpose(1, 0, 3, 2), big),  # batches that do not fold into one stride
        (np.broadcast_to(big[:1], big.shape).view(type(big)), big.swapaxes(-1, -2)),  # a batch of stride 0
        (big[:, 0, 0], big[0, 0].T),
    ]
    for x, y in pairs:
        assert not (x.flags.c_contiguous and y.flags.c_contiguous)
        if x.ndim == 4 and x.shape[0] != y.shape[0]:
            x = x[:4, :4]
            y = y[:, :4]
        with launches() as log:
            result = matmul(x, y)
        assert {record.entry for record in log} == {"matmul"}
        np.testing.assert_allclose(np.asarray(result), np.matmul(np.asarray(x), np.asarray(y)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("m", "n", "k"), [(300, 7, 19), (301, 29, 5), (2100, 2090, 3), (65, 66, 67), (1, 200, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_tiling_is_right(m, n, k, dtype, sim):
    rng = np.random.default_rng(4)
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n)))
    backend = backends.get(sim)
    result = np.asarray(matmul(backend.asarray(x), backend.asarray(y)))
    np.testing.assert_allclose(result, x.astype("f8") @ y.astype("f8"), atol=1e-5 if dtype == "float32" else 1e-12)


def test_tilings_and_splits():
    assert {tiling(m, n) for m, n in ((300, 7), (301, 29), (2100, 2090), (65, 66))} == {
        tiling(10**6, 16), tiling(10**6, 32), tiling(10**5, 10**5), tiling(1, 1)
    }  # fmt: skip
    for blocks, length, least in ((1, 10**6, 256), (1, 100, 256), (264, 10**6, 256), (7, 12345, 128), (3, 0, 256)):
        count, each = split(blocks, length, least)
        assert (count - 1) * each < max(length, 1) <= max(count * each, 1)
        assert count == 1 or each >= least
    assert split(1, 10**6, 256)[0] > 200
    assert split(1000, 10**6, 256)[0] == 1


def test_gradients_of_broadcast_batches():
    rng = np.random.default_rng(5)
    for a, b in SHAPES[:-2]:
        x, y = rng.standard_normal(a), rng.standard_normal(b)
        out, pullback = vjp(matmul, [x, y], [True, True])
        g = rng.standard_normal(out[0].shape)
        for i, d in enumerate(map(np.asarray, pullback([g]))):
            assert d.shape == (a, b)[i]
            t = rng.standard_normal(d.shape)
            along = np.matmul(t, y) if i == 0 else np.matmul(x, t)  # linear in each operand
            np.testing.assert_allclose(np.sum(d * t), np.sum(g * along), rtol=1e-10)


def test_dtypes_promote():
    assert matmul(np.ones((2, 2), "f4"), np.ones((2, 2), "f8")).dtype == np.float64
    assert matmul(np.ones((2, 2), "i4"), np.ones((2, 2), "f4")).dtype == np.float32


def test_errors():
    one = Tensor(np.ones((2, 7)))
    with pytest.raises(ShapeError) as caught:
        matmul(one, np.ones((4, 3)))
    assert str(caught.value) == (
        "matmul(x1, x2): x1 has 7 columns, x2 has 4 rows\n"
        "  x1: float64[2, 7]  (..., m, k)\n"
        "  x2: float64[4, 3]  (..., k, n)\n"
        "  need x1.shape[-1] == x2.shape[-2]"
    )
    with pytest.raises(ShapeError, match="x1 has 0 dimensions"):
        matmul(np.ones(()), np.ones((4, 3)))
    with pytest.raises(ShapeError, match=r"batch dimensions \(2,\) and \(3,\) do not broadcast"):
        matmul(np.ones((2, 1, 1)), np.ones((3, 1, 1)))
