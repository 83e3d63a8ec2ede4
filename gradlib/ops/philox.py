"""Philox 4x32-10 in NumPy: the same numbers, to the bit, as `kernels/include/gradlib/philox.cuh`.

A key is two 64-bit words, (seed, counter).  Word w of the key's stream is word ``w % 4`` of the block
whose 128-bit Philox counter is ``(w // 4, counter)`` and whose Philox key is ``seed``.  Element i of an
array uses word i, or words 2i and 2i + 1 where it needs 64 bits, so it depends on the key and i alone.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..spec import DType, bfloat16, float16, float32, float64

Array = Any

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_CHUNK = 4096  # blocks of four words at a time: the six arrays, 32 KB each, stay in the cache

# Bits of a uniform number: those of the significand, so that no rounding reaches 1.
UNIFORM_BITS = {float32: 24, float16: 11, bfloat16: 8, float64: 53}


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Array, Array, Array, Array]:
    """Return the four output words for counters of four 32-bit words (uint64 arrays, overwritten) and a key of two."""
    c0, c1, c2, c3 = counter
    p0, p1 = np.empty_like(c0), np.empty_like(c0)
    k0, k1 = key
    for _ in range(10):
        np.multiply(c0, _MULTIPLIERS[0], out=p0)
        np.multiply(c2, _MULTIPLIERS[1], out=p1)
        np.bitwise_xor(c1, np.uint64(k0), out=c1)
        np.bitwise_xor(c3, np.uint64(k1), out=c3)
        np.right_shift(p1, _HALF, out=c0)
        np.right_shift(p0, _HALF, out=c2)
        np.bitwise_xor(c0, c1, out=c0)
        np.bitwise_xor(c2, c3, out=c2)
        np.bitwise_and(p1, _LOW, out=c1)
        np.bitwise_and(p0, _LOW, out=c3)
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def chunks(key: Array, n: int) -> Iterator[tuple[int, Array]]:
    """Yield (start, words) that cover words 0 ... n - 1 of the key's stream; the buffer is used again for the next."""
    seed, stream = int(key[0]), int(key[1])
    k = (seed & 0xFFFFFFFF, seed >> 32)
    for first in range(0, -(-n // 4), _CHUNK):
        count = min(_CHUNK, -(-n // 4) - first)
        block = np.arange(first, first + count, dtype=np.uint64)
        counter = (
            block & _LOW,
            block >> _HALF,
            np.full(count, stream & 0xFFFFFFFF, np.uint64),
            np.full(count, stream >> 32, np.uint64),
        )
        words = np.empty((count, 4), np.uint32)
        for i, word in enumerate(philox(counter, k)):
            words[:, i] = word
        yield 4 * first, words.reshape(-1)[: n - 4 * first]


def fill_bits(key: Array, n: int) -> Array:
    """Return n words of 64 random bits, uint64."""
    out = np.empty(n, np.uint64)
    for start, words in chunks(key, 2 * n):
        out[start // 2 : (start + len(words)) // 2] = _wide(words)
    return out


def fill_uniform(key: Array, n: int, dtype: DType) -> Array:
    """Return n numbers uniform in [0, 1), with as many random bits as the dtype's significand has."""
    out = np.empty(n, dtype)
    bits = UNIFORM_BITS[dtype]
    if dtype == float64:
        for start, words in chunks(key, 2 * n):
            part = out[start // 2 : (start + len(words)) // 2]
            np.multiply(_wide(words) >> np.uint64(11), 2.0**-53, out=part)
        return out
    for start, words in chunks(key, n):
        words >>= np.uint32(32 - bits)
        out[start : start + len(words)] = words.astype(np.float32) * np.float32(2.0**-bits)
    return out


def fill_normal(key: Array, n: int, dtype: DType) -> Array:
    """Return n standard normal numbers (Box and Muller 1958): neighbours come from one pair of uniforms."""
    out = np.empty(n, dtype)
    even = n + n % 2
    if dtype == float64:
        for start, words in chunks(key, 2 * even):
            wide = _wide(words) >> np.uint64(11)
            u = (wide[0::2] + np.uint64(1)) * 2.0**-53  # in (0, 1]
            angle = (2 * np.pi) * (wide[1::2] * 2.0**-53)
            _box_muller(out[start // 2 :], u, angle)
        return out
    for start, words in chunks(key, even):
        u = words[0::2].astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)  # in (0, 1]
        angle = np.float32(2 * np.pi) * ((words[1::2] >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24))
        _box_muller(out[start:], u, angle)
    return out


def _box_muller(out: Array, u: Array, angle: Array) -> None:
    radius = np.sqrt(-2 * np.log(u))
    for first, wave in ((0, np.cos(angle)), (1, np.sin(angle))):
        part = out[first : first + 2 * len(u) : 2]
        part[:] = (radius * wave)[: len(part)]


def _wide(words: Array) -> Array:
    """Join neighbouring words into 64 bits, the first one on top."""
    return words[0::2].astype(np.uint64) << _HALF | words[1::2]
