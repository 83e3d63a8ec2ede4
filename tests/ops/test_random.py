"""Philox against its published vectors, the same bits on every device, and the distributions."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradlib as gl
from gradlib import ShapeError
from gradlib import backend as backends
from gradlib.core import Tensor
from gradlib.errors import DTypeError
from gradlib.kernel import Kernel
from gradlib.ops import philox, random
from gradlib.ops.dropout import dropout
from gradlib.ops.random import Generator, bernoulli, manual_seed, normal, permutation, randint, uniform
from gradlib.testing import launches

KEY = np.array([2**63 + 5, 2**40], np.uint64)
FLOATS = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]

# kat_vectors of Random123 (Salmon et al.): philox4x32, 10 rounds: counter, key, result
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_philox_gives_the_published_words(counter: str, key: str, result: str) -> None:
    k0, k1 = words(key)
    got = philox.philox(tuple(np.array([c], np.uint64) for c in words(counter)), (k0, k1))  # type: ignore[arg-type]
    assert [int(w[0]) for w in got] == words(result)


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_the_header_gives_the_published_words(counter: str, key: str, result: str, sim: str) -> None:
    text = """
    #include "gradlib/philox.cuh"
    extern "C" __global__ void words(const unsigned long long* key, unsigned int* out, unsigned long long block) {
      Words found = philox(key, block);
      for (int k = 0; k < 4; ++k) out[k] = found.at[k];
    }
    """
    c, k = words(counter), words(key)
    device = backends.get(sim)
    out = device.zeros((4,), np.dtype(np.uint32))
    pair = device.asarray(np.array([k[0] | k[1] << 32, c[2] | c[3] << 32], np.uint64))
    Kernel.from_source("known_answers.cu", text, "words", "key out | block")(1, 1, pair, out, c[0] | c[1] << 32)
    assert np.asarray(out).tolist() == words(result)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", [1, 2, 1001, 40000])
def test_uniforms_and_bits_are_the_same_on_every_device(n: int, dtype: Any, sim: str) -> None:
    key = backends.get(sim).asarray(KEY)
    with launches() as log:
        got = np.asarray(random._uniform(key, shape=(n,), dtype=np.dtype(dtype)))
        bits = np.asarray(random._bits(key, shape=(n,)))
    assert [record.entry for record in log] == ["random_uniform", "random_bits"]
    assert np.array_equal(got, philox.fill_uniform(KEY, n, np.dtype(dtype)))
    assert np.array_equal(bits, philox.fill_bits(KEY, n))
    assert (got.astype(float) >= 0).all()
    assert (got.astype(float) < 1).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_normals_agree_to_a_few_ulp(dtype: Any, sim: str) -> None:
    got = np.asarray(random._normal(backends.get(sim).asarray(KEY), shape=(5001,), dtype=np.dtype(dtype)))
    expected = philox.fill_normal(KEY, 5001, np.dtype(dtype))
    error = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    assert (error <= 4 * np.abs(np.spacing(expected.astype(np.float32 if dtype != np.float64 else dtype)))).all()


def test_a_number_depends_on_the_key_and_its_index_alone() -> None:
    for fill in (philox.fill_uniform, philox.fill_normal):
        for dtype in map(np.dtype, FLOATS):
            long, short = fill(KEY, 40000, dtype), fill(KEY, 777, dtype)
            assert np.array_equal(long[:777], short)
    assert np.array_equal(philox.fill_bits(KEY, 20000)[:55], philox.fill_bits(KEY, 55))


def test_streams_of_a_generator_differ_and_repeat() -> None:
    a, b = Generator(7), Generator(7)
    first, second = uniform((1000,), generator=a).numpy(), uniform((1000,), generator=a).numpy()
    assert not np.intersect1d(first.view(np.uint32), second.view(np.uint32)).size > 5  # 24-bit numbers may coincide
    assert np.array_equal(first, uniform((1000,), generator=b).numpy())
    state = a.state
    third = a.key()
    a.state = state
    assert np.array_equal(a.key(), third)
    seeds = {g.state[0] for g in Generator(1).spawn(100)}
    assert len(seeds) == 100
    assert np.array_equal(manual_seed(3).key(), Generator(3).key())
    assert Generator(-1).state == (2**64 - 1, 0)


def test_distributions() -> None:
    g, n = Generator(0), 200_000
    u = uniform((n,), -1, 3, generator=g).numpy()
    assert u.dtype == np.float32
    assert u.min() >= -1
    assert u.max() < 3
    assert abs(u.mean() - 1) < 5 * np.sqrt(16 / 12 / n)
    z = normal((n,), 2, 3, dtype=gl.float64, generator=g).numpy()
    assert abs(z.mean() - 2) < 5 * 3 / np.sqrt(n)
    assert abs(z.std() - 3) < 5 * 3 / np.sqrt(2 * n)
    assert abs((np.abs(z - 2) < 3).mean() - 0.6826895) < 5 * np.sqrt(0.25 / n)
    i = randint(-3, 4, (n,), generator=g).numpy()
    counts = np.bincount(i + 3, minlength=7)
    assert ((counts - n / 7) ** 2 / (n / 7)).sum() < 27.9  # chi squared, 6 degrees of freedom, p = 1e-4
    assert i.dtype == np.int64
    b = bernoulli(0.3, (n,), generator=g).numpy()
    assert set(np.unique(b)) == {0.0, 1.0}
    assert abs(b.mean() - 0.3) < 5 * np.sqrt(0.21 / n)
    p = np.array([0.0, 1.0, 0.5])
    assert np.array_equal(bernoulli(p, generator=g).numpy()[:2], [0, 1])
    order = permutation(1000, generator=g).numpy()
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert (order == np.arange(1000)).sum() < 10


def test_randint_reaches_the_whole_range() -> None:
    low, high = -(2**63), 2**63
    values = randint(low, high, (1000,), generator=Generator(0)).numpy()
    assert values.min() < -(2**62)
    assert values.max() > 2**62
    small = randint(250, 256, (500,), dtype="uint8", generator=Generator(0)).numpy()
    assert set(small) == set(range(250, 256))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("dtype", FLOATS)
def test_dropout_is_the_same_to_the_bit_on_every_device(p: float, dtype: Any, sim: str) -> None:
    x = np.random.default_rng(0).standard_normal((77, 13)).astype(dtype)
    move = backends.get(sim).asarray
    on_sim, on_cpu = Tensor(move(x), requires_grad=True), Tensor(x, requires_grad=True)
    a, b = dropout(on_sim, move(KEY), p=p), dropout(on_cpu, KEY, p=p)
    assert np.array_equal(a.numpy(), b.numpy())
    a.backward(Tensor(move(x)))
    b.backward(Tensor(x))
    assert on_sim.grad is not None
    assert on_cpu.grad is not None
    assert np.array_equal(on_sim.grad.numpy(), on_cpu.grad.numpy())
    assert np.array_equal(on_cpu.grad.numpy(), b.numpy())  # linear: the gradient of x is the same map


def test_dropout_keeps_what_it_should() -> None:
    x = np.ones(100_000, np.float32)
    y = dropout(x, KEY, p=0.25)
    kept = y != 0
    assert np.array_equal(np.unique(y), np.float32([0, 1 / 0.75]))
    assert abs(kept.mean() - 0.75) < 5 * np.sqrt(0.1875 / x.size)
    for dtype in FLOATS:
        assert np.array_equal(dropout(x.astype(dtype), KEY, p=0.25) != 0, kept)
    assert np.array_equal(dropout(np.full(9, np.inf), KEY, p=1.0), np.zeros(9))  # 0, not 0 * inf


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"p is 1\.5"):
        dropout(np.ones(3), KEY, p=1.5)
    with pytest.raises(ShapeError, match="key is no"):
        dropout(np.ones(3), np.zeros(3, np.uint64), p=0.5)
    with pytest.raises(DTypeError, match="x is not floating"):
        dropout(np.ones(3, int), KEY, p=0.5)
    with pytest.raises(ShapeError, match=r"the range \[3, 3\) is empty"):
        randint(3, 3, (2,))
    with pytest.raises(DTypeError, match="does not fit int8"):
        randint(0, 200, (2,), dtype="int8")
    with pytest.raises(ShapeError, match="negative size"):
        uniform((-1,))
    with pytest.raises(DTypeError, match="need a floating dtype"):
        uniform((2,), dtype="int32")
