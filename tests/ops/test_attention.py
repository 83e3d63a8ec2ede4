"""Attention: every tile edge, mask and width on the kernels against the plain formula; what is launched, and when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import ShapeError
from gradlib import backend as backends
from gradlib.core import Tensor
from gradlib.errors import DTypeError
from gradlib.ops.attention import attention
from gradlib.testing import assert_close, launches

DTYPES = ["float32", "float16", "bfloat16"]


def formula(q: Any, k: Any, v: Any, mask: Any, causal: bool, offset: int, scale: float | None) -> Any:
    """Vaswani et al. 2017, equation 1, a query at a time."""
    y = np.zeros((*q.shape[:3], v.shape[3]))
    batch, heads, queries, width = q.shape
    group = heads // k.shape[1]
    full = None if mask is None else np.broadcast_to(mask, (batch, heads, queries, k.shape[2]))
    for b, h, i in np.ndindex(batch, heads, queries):
        s = k[b, h // group] @ q[b, h, i] * (width**-0.5 if scale is None else scale)
        seen = np.ones(len(s), bool)
        if causal:
            seen &= np.arange(len(s)) <= i + offset
        if full is not None and full.dtype == bool:
            seen &= full[b, h, i]
        elif full is not None:
            s = s + full[b, h, i]
            seen &= s != -np.inf
        if seen.any():
            p = np.where(seen, np.exp(s - s[seen].max()), 0)
            y[b, h, i] = p / p.sum() @ v[b, h // group]
    return y


def values(shapes: tuple[tuple[int, ...], ...], dtype: str, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    kind = gl.tensor([0.0], dtype=dtype).dtype
    return [rng.standard_normal(shape).astype(kind) for shape in shapes]


def run(device: str, arrays: list[Any], g: Any, mask: Any = None, **params: Any) -> list[Any]:
    """Return y, dq, dk, dv."""
    move = backends.get(device).asarray
    xs = [Tensor(move(a.copy()), requires_grad=True) for a in arrays]
    y = attention(*xs, None if mask is None else Tensor(move(mask)), **params)
    y.backward(Tensor(move(g)))
    return [y, *[x.grad for x in xs]]


def compare(sim: str, shapes: Any, dtype: str, mask: Any = None, **params: Any) -> None:
    arrays = values(shapes, dtype)
    g = values(((*shapes[0][:3], shapes[2][3]),), dtype, 1)[0]
    with launches() as log:
        found = run(sim, arrays, g, mask, **params)
    assert {r.entry for r in log} == {f"attention_{name}" for name in ("forward", "delta", "dq", "dkv")}
    exact = [a.astype(np.float64) for a in arrays]
    wide = None if mask is None or mask.dtype == bool else mask.astype(np.float64)
    wanted = run("cpu", exact, g.astype(np.float64), mask if wide is None else wide, **params)
    plain = formula(*exact, mask if wide is None else wide, **{"causal": False, "offset": 0, "scale": None, **params})
    np.testing.assert_allclose(wanted[0].numpy(), plain, rtol=1e-11, atol=1e-12)
    for name, a, e in zip(("y", "dq", "dk", "dv"), found, wanted, strict=True):
        assert_close(a, e.numpy(), what=f"{name} {shapes} {dtype} {params}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 8, 33, 64, 80, 128, 136, 256])
def test_every_width(width: int, dtype: str, sim: str) -> None:
    compare(sim, ((1, 2, 37, width), (1, 2, 70, width), (1, 2, 70, width)), dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("queries", "keys"), [(2, 2), (64, 64), (65, 63), (130, 150), (3, 200), (129, 2)])
def test_tile_edges_causal_or_not(queries: int, keys: int, dtype: str, sim: str) -> None:
    for causal in (False, True):
        compare(sim, ((1, 1, queries, 16), (1, 1, keys, 16), (1, 1, keys, 24)), dtype, causal=causal)


@pytest.mark.parametrize("offset", [-40, -1, 5, 63])
def test_the_diagonal_may_be_moved(offset: int, sim: str) -> None:
    for dtype in ("float32", "float16"):
        compare(sim, ((1, 1, 70, 8), (1, 1, 90, 8), (1, 1, 90, 8)), dtype, causal=True, offset=offset)


MASKS = [(2, 4, 35, 67), (2, 1, 1, 67), (4, 35, 67), (35, 67), (1, 4, 35, 1), (67,)]


@pytest.mark.parametrize("shape", MASKS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_masks_of_every_shape(shape: tuple[int, ...], dtype: str, sim: str) -> None:
    rng = np.random.default_rng(0)
    shapes = ((2, 4, 35, 16), (2, 2, 67, 16), (2, 2, 67, 16))
    open_ = rng.random(shape) < 0.7
    kind = gl.tensor([0.0], dtype=dtype).dtype
    for mask in (open_, rng.standard_normal(shape).astype(kind), np.where(open_, 0.0, -np.inf).astype(np.float32)):
        compare(sim, shapes, dtype, mask, scale=0.3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_query_that_sees_nothing_gets_zeros(dtype: str, sim: str) -> None:
    shapes = ((1, 1, 5, 8), (1, 1, 70, 8), (1, 1, 70, 8))
    closed = np.ones((5, 70), bool)
    closed[2] = False
    for mask in (closed, np.where(closed, 0.0, -np.inf).astype(np.float32)):
        y, dq, dk, dv = run(sim, values(shapes, dtype), np.ones((1, 1, 5, 8), values(shapes, dtype)[0].dtype), mask)
        assert not y.numpy()[0, 0, 2].any()
        assert not dq.numpy()[0, 0, 2].any()
        for t in (y, dq, dk, dv):
            assert np.isfinite(t.numpy().astype(np.float64)).all()
    _, _, dk, dv = run(
        sim, values(shapes, dtype), np.ones((1, 1, 5, 8), values(shapes, dtype)[0].dtype), np.zeros(70, bool)
    )
    assert not dk.numpy().any()
    assert not dv.numpy().any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_is_the_definitions(dtype: str, sim: str) -> None:
    arrays = values(((2, 2, 67, 8), (2, 1, 70, 8), (2, 1, 70, 8)), dtype)
    g = values(((2, 2, 67, 8),), dtype, 1)[0]
    seed = gl.Generator(3).key()
    both = []
    for device, xs in ((sim, arrays), ("cpu", [a.astype(np.float64) for a in arrays])):
        move = backends.get(device).asarray
        tensors = [Tensor(move(a.copy()), requires_grad=True) for a in xs]
        y = attention(*tensors, None, move(seed), dropout=0.4, causal=True)
        y.backward(Tensor(move(g.astype(xs[0].dtype))))
        both.append([y, *[t.grad for t in tensors]])
    for a, e in zip(*both, strict=True):
        assert_close(a, e.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_that_are_not_aligned(dtype: str, sim: str) -> None:
    arrays = values(((1, 2, 20, 16), (1, 2, 33, 16), (1, 2, 33, 16)), dtype)
    moved = []
    for a in arrays:
        base = backends.get(sim).asarray(np.concatenate([np.zeros(1, a.dtype), a.ravel()]))
        moved.append(base[1:].reshape(a.shape))
    y = attention(*moved)
    assert_close(y, attention(*[a.astype(np.float64) for a in arrays]))


def test_only_the_gradients_that_are_needed(sim: str) -> None:
    arrays = values(((1, 2, 9, 16), (1, 2, 9, 16), (1, 2, 9, 16)), "float32")

    def entries(*needs: bool) -> list[str]:
        xs = [Tensor(backends.get(sim).asarray(a), requires_grad=n) for a, n in zip(arrays, needs, strict=True)]
        y = attention(*xs)
        with launches() as log:
            y.backward(Tensor(y.data))
        return [r.entry.removeprefix("attention_") for r in log]

    assert entries(True, False, False) == ["delta", "dq"]
    assert entries(False, True, True) == ["delta", "dkv"]
    assert entries(False, False, True) == ["delta", "dkv"]


def test_without_gradients_one_launch_and_nothing_saved(sim: str) -> None:
    arrays = [backends.get(sim).asarray(a) for a in values(((1, 2, 9, 16),) * 3, "bfloat16")]
    with launches() as log:
        attention(*arrays)
    assert [r.entry for r in log] == ["attention_forward"]


def test_the_gradient_of_a_mask_is_composed(sim: str) -> None:
    arrays = values(((2, 2, 5, 8), (2, 2, 6, 8), (2, 2, 6, 8), (2, 1, 6)), "float32")
    both = []
    for device, xs in ((sim, arrays), ("cpu", [a.astype(np.float64) for a in arrays])):
        tensors = [Tensor(backends.get(device).asarray(a), requires_grad=True) for a in xs]
        attention(*tensors).sum().backward()
        both.append([t.grad for t in tensors])
    for a, e in zip(*both, strict=True):
        assert_close(a, e.numpy())


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_is_free_of_faults(dtype: str, sim: str) -> None:
    with backends.checked():
        compare(
            sim, ((1, 2, 5, 12), (1, 1, 70, 12), (1, 1, 70, 8)), dtype, np.ones((5, 70), bool), causal=True, offset=60
        )
        compare(sim, ((1, 1, 67, 8), (1, 1, 5, 8), (1, 1, 5, 8)), dtype)


def test_what_does_not_fit_is_refused() -> None:
    q, k, v = (np.ones(s, np.float32) for s in ((2, 4, 5, 8), (2, 2, 6, 8), (2, 2, 6, 3)))
    assert attention(q, k, v).shape == (2, 4, 5, 3)
    with pytest.raises(ShapeError, match="3, 4 and 4 dimensions"):
        attention(q[0], k, v)
    with pytest.raises(ShapeError, match="query has 4 heads, key has 3"):
        attention(q, np.ones((2, 3, 6, 8), np.float32), np.ones((2, 3, 6, 8), np.float32))
    with pytest.raises(ShapeError, match="shapes do not fit"):
        attention(q, k[..., :7], v)
    with pytest.raises(ShapeError, match=r"mask has shape \(5, 7\), scores have \(2, 4, 5, 6\)"):
        attention(q, k, v, np.ones((5, 7), bool))
    with pytest.raises(DTypeError, match="mask is int64"):
        attention(q, k, v, np.ones((5, 6), np.int64))
    with pytest.raises(ShapeError, match="and there is no seed"):
        attention(q, k, v, dropout=0.5)
