"""Random numbers: `Generator`, and arrays of random values.

Drawing a key from a Generator is the only step with a side effect.  Everything else is a pure function
of the key: element i's number depends on the key and on i alone, on every device.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor, current_backend, leaf, op, per_example, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..kernel import Kernel
from ..spec import (
    INTEGER,
    Spec,
    as_dtype,
    bfloat16,
    default_float,
    float16,
    float32,
    float64,
    int64,
    is_floating,
    uint64,
)
from . import philox
from .replay import drawn

__all__ = [
    "Generator",
    "bernoulli",
    "default_generator",
    "manual_seed",
    "normal",
    "permutation",
    "randint",
    "uniform",
]

Array = Any
Shape = int | Sequence[int]
_MASK = 2**64 - 1


class Generator:
    """A source of keys: a 64-bit seed and a counter that each draw advances by one.

    Two generators of one seed give the same keys in the same order, on every device.  Threads may
    share one.
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed` (any integer; its low 64 bits count)."""
        with self._lock:
            self._seed, self._counter = int(seed) & _MASK, 0
        return self

    def key(self) -> Array:
        """Draw a key, ``uint64[2]``: no two draws of a generator share their numbers."""
        if drawn.again is not None:
            key = drawn.next()
        else:
            with self._lock:
                key = np.array([self._seed, self._counter], np.uint64)
                self._counter = (self._counter + 1) & _MASK
        for keys in drawn.noted:
            keys.append(key)
        return key

    def spawn(self, n: int) -> list[Generator]:
        """Return n generators with seeds of their own, for workers that must not wait for each other."""
        return [Generator(int(seed)) for seed in philox.fill_bits(self.key(), n)]

    @property
    def state(self) -> tuple[int, int]:
        """Seed and counter: all there is to save in a checkpoint; may be assigned."""
        return self._seed, self._counter

    @state.setter
    def state(self, value: tuple[int, int]) -> None:
        seed, counter = value
        with self._lock:
            self._seed, self._counter = int(seed) & _MASK, int(counter) & _MASK

    def __repr__(self) -> str:
        return f"Generator(seed={self._seed}, counter={self._counter})"


_default = Generator()


def default_generator() -> Generator:
    """Return the generator that is used where none is given."""
    return _default


def manual_seed(seed: int) -> Generator:
    """Seed the default generator and return it."""
    return _default.manual_seed(seed)


# -- the numbers of a key: leaves without inputs that a derivative could reach


def check_key(name: str, key: Spec) -> None:
    if key.shape != (2,) or key.dtype != uint64:
        raise ShapeError(
            message(f"{name}: key is no (seed, counter)", [operand("key", key)], "need generator.key(), uint64[2]")
        )


def _infer_float(key: Spec, *, shape: tuple[int, ...], dtype: Any) -> Spec:
    check_key("random", key)
    if not is_floating(dtype):
        raise DTypeError(f"random: dtype is {dtype}\n  need a floating dtype")
    return Spec(shape, dtype)


def _infer_bits(key: Spec, *, shape: tuple[int, ...]) -> Spec:
    check_key("random", key)
    return Spec(shape, uint64)


def _host(key: Array) -> Array:
    return backends.backend_of(key).to_host(key)


_KEY = np.array([2**63 + 5, 2**40], np.uint64)


def _float_samples() -> list[Any]:
    shapes = [sample(_KEY, shape=shape, dtype=float32) for shape in ((7, 11), (1,), (0, 3))]
    return shapes + [sample(_KEY, shape=(3, 5), dtype=dtype) for dtype in (float64, float16, bfloat16)]


@leaf("random_uniform", infer=_infer_float, samples=_float_samples)
def _uniform(xp: Any, key: Array, *, shape: tuple[int, ...], dtype: Any) -> Array:
    """u ~ U[0, 1)."""
    return xp.asarray(philox.fill_uniform(_host(key), math.prod(shape), dtype).reshape(shape))


@leaf("random_normal", infer=_infer_float, samples=_float_samples)
def _normal(xp: Any, key: Array, *, shape: tuple[int, ...], dtype: Any) -> Array:
    """z ~ N(0, 1)."""
    return xp.asarray(philox.fill_normal(_host(key), math.prod(shape), dtype).reshape(shape))


@leaf("random_bits", infer=_infer_bits, samples=lambda: [sample(_KEY, shape=(7, 11)), sample(_KEY, shape=(0,))])
def _bits(xp: Any, key: Array, *, shape: tuple[int, ...]) -> Array:
    """64 random bits an element."""
    return xp.asarray(philox.fill_bits(_host(key), math.prod(shape)).reshape(shape))


# -- what a user calls


def _setup(
    shape: Shape, dtype: Any, device: str | None, generator: Generator | None
) -> tuple[Any, tuple[int, ...], Any]:
    """Return a key on the device, the shape as a tuple, the dtype."""
    sizes = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    if any(n < 0 for n in sizes):
        raise ShapeError(f"random: shape {sizes} has a negative size")
    key = per_example(current_backend(device).asarray((generator or _default).key()))
    return key, sizes, as_dtype(default_float if dtype is None else dtype)


def uniform(
    shape: Shape,
    low: float = 0.0,
    high: float = 1.0,
    *,
    dtype: Any = None,
    device: str | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw x ~ U[low, high), elementwise independent; float32 unless `dtype` says otherwise.

    Examples
    --------
    >>> a = uniform((2, 3), generator=Generator(7))
    >>> b = uniform((2, 3), generator=Generator(7))
    >>> bool((a.numpy() == b.numpy()).all())
    True
    """
    key, sizes, dtype = _setup(shape, dtype, device, generator)
    return Tensor(_affine(_uniform(key, shape=sizes, dtype=dtype), high - low, low))


def normal(
    shape: Shape,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    dtype: Any = None,
    device: str | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw x ~ N(mean, std^2), elementwise independent; float32 unless `dtype` says otherwise."""
    key, sizes, dtype = _setup(shape, dtype, device, generator)
    return Tensor(_affine(_normal(key, shape=sizes, dtype=dtype), std, mean))


def _affine(x: Array, scale: float, shift: float) -> Array:
    if scale != 1:
        x = op.multiply(x, scale)
    return op.add(x, shift) if shift != 0 else x


def randint(
    low: int,
    high: int,
    shape: Shape,
    *,
    dtype: Any = int64,
    device: str | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw integers uniform in [low, high); int64 unless `dtype` says otherwise.

    The remainder of 64 random bits: the bias, (high - low) / 2^64, is below what any test can see.
    """
    key, sizes, dtype = _setup(shape, dtype, device, generator)
    if not low < high:
        raise ShapeError(f"randint(low, high, shape): the range [{low}, {high}) is empty\n  need low < high")
    if dtype not in INTEGER or low < np.iinfo(dtype).min or high - 1 > np.iinfo(dtype).max:
        raise DTypeError(
            f"randint(low, high, shape): [{low}, {high}) does not fit {dtype}\n  need a wider integer dtype"
        )
    bits = _bits(key, shape=sizes)
    values = bits if high - low == 2**64 else op.remainder(bits, np.uint64(high - low))
    return Tensor(op.cast(op.add(values, np.uint64(low & _MASK)), dtype))  # modulo 2^64: right for a negative low too


def bernoulli(
    p: Any,
    shape: Shape | None = None,
    *,
    dtype: Any = None,
    device: str | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw 1 with probability p, else 0; p is a number, or an array of the result's shape."""
    values = p.data if isinstance(p, Tensor) else p
    if shape is None:
        shape = np.shape(values) if not backends.is_array(values) else values.shape
    if device is None and backends.is_array(values):
        device = backends.backend_of(values).name
    key, sizes, dtype = _setup(shape, dtype, device, generator)
    u = _uniform(key, shape=sizes, dtype=float64)
    return Tensor(op.cast(op.less(u, values), dtype))


def permutation(n: int, *, device: str | None = None, generator: Generator | None = None) -> Tensor:
    """Return 0 ... n - 1 in random order, int64: the order that sorts n words of 64 random bits."""
    key, sizes, _ = _setup(n, None, device, generator)
    return Tensor(current_backend(device).asarray(np.argsort(_host(_bits(key, shape=sizes)), kind="stable")))


# -- kernels

_uniform_kernel = Kernel("dropout.cu", "random_uniform", "key y | n")
_normal_kernel = Kernel("dropout.cu", "random_normal", "key y | n")
_bits_kernel = Kernel("dropout.cu", "random_bits", "key y | n")


def blocks_for(n: int, per_thread: int) -> int:
    """Blocks of 256 threads for n elements; the kernels loop, so a few waves are enough."""
    return min(-(-n // (256 * per_thread)), 4096)


@_uniform.kernel("cuda", planned=True)
def _(key: Array, *, shape: tuple[int, ...], dtype: Any) -> Array:
    return _filled(_uniform_kernel, key, shape, dtype, T=dtype)


@_normal.kernel("cuda", planned=True)
def _(key: Array, *, shape: tuple[int, ...], dtype: Any) -> Array:
    return _filled(_normal_kernel, key, shape, dtype, T=dtype)


@_bits.kernel("cuda", planned=True)
def _(key: Array, *, shape: tuple[int, ...]) -> Array:
    return _filled(_bits_kernel, key, shape, uint64)


def _filled(kernel: Kernel, key: Array, shape: tuple[int, ...], dtype: Any, **macros: Any) -> Array:
    y = backends.backend_of(key).empty(shape, dtype)
    if y.size:
        kernel(blocks_for(y.size, 2), 256, key, y, y.size, **macros)
    return y
