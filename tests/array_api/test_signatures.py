"""Every name of the Python Array API standard, 2024.12, with the standard's signature.

The standard's own suite is the judge, where it is at hand: test_conformance.py.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest

import gradlib as gl

NAMESPACE = """
arange(start, /, stop=None, step=1, *, dtype=None, device=None)
asarray(obj, /, *, dtype=None, device=None, copy=None)
empty(shape, *, dtype=None, device=None)
empty_like(x, /, *, dtype=None, device=None)
eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)
from_dlpack(x, /, *, device=None, copy=None)
full(shape, fill_value, *, dtype=None, device=None)
full_like(x, /, fill_value, *, dtype=None, device=None)
linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True)
meshgrid(*arrays, indexing='xy')
ones(shape, *, dtype=None, device=None)
ones_like(x, /, *, dtype=None, device=None)
tril(x, /, *, k=0)
triu(x, /, *, k=0)
zeros(shape, *, dtype=None, device=None)
zeros_like(x, /, *, dtype=None, device=None)

astype(x, dtype, /, *, copy=True, device=None)
can_cast(from_, to, /)
finfo(type, /)
iinfo(type, /)
isdtype(dtype, kind)
result_type(*arrays_and_dtypes)

abs(x, /)
acos(x, /)
acosh(x, /)
add(x1, x2, /)
asin(x, /)
asinh(x, /)
atan(x, /)
atan2(x1, x2, /)
atanh(x, /)
bitwise_and(x1, x2, /)
bitwise_left_shift(x1, x2, /)
bitwise_invert(x, /)
bitwise_or(x1, x2, /)
bitwise_right_shift(x1, x2, /)
bitwise_xor(x1, x2, /)
ceil(x, /)
clip(x, /, min=None, max=None)
conj(x, /)
copysign(x1, x2, /)
cos(x, /)
cosh(x, /)
divide(x1, x2, /)
equal(x1, x2, /)
exp(x, /)
expm1(x, /)
floor(x, /)
floor_divide(x1, x2, /)
greater(x1, x2, /)
greater_equal(x1, x2, /)
hypot(x1, x2, /)
imag(x, /)
isfinite(x, /)
isinf(x, /)
isnan(x, /)
less(x1, x2, /)
less_equal(x1, x2, /)
log(x, /)
log1p(x, /)
log2(x, /)
log10(x, /)
logaddexp(x1, x2, /)
logical_and(x1, x2, /)
logical_not(x, /)
logical_or(x1, x2, /)
logical_xor(x1, x2, /)
maximum(x1, x2, /)
minimum(x1, x2, /)
multiply(x1, x2, /)
negative(x, /)
nextafter(x1, x2, /)
not_equal(x1, x2, /)
positive(x, /)
pow(x1, x2, /)
real(x, /)
reciprocal(x, /)
remainder(x1, x2, /)
round(x, /)
sign(x, /)
signbit(x, /)
sin(x, /)
sinh(x, /)
square(x, /)
sqrt(x, /)
subtract(x1, x2, /)
tan(x, /)
tanh(x, /)
trunc(x, /)

__array_namespace_info__()
take(x, indices, /, *, axis=None)
take_along_axis(x, indices, /, *, axis=-1)
matmul(x1, x2, /)
matrix_transpose(x, /)
broadcast_arrays(*arrays)
broadcast_to(x, /, shape)
concat(arrays, /, *, axis=0)
expand_dims(x, /, axis)
flip(x, /, *, axis=None)
moveaxis(x, source, destination, /)
permute_dims(x, /, axes)
repeat(x, repeats, /, *, axis=None)
reshape(x, /, shape, *, copy=None)
roll(x, /, shift, *, axis=None)
squeeze(x, /, axis)
stack(arrays, /, *, axis=0)
tile(x, repetitions, /)
unstack(x, /, *, axis=0)

argmax(x, /, *, axis=None, keepdims=False)
argmin(x, /, *, axis=None, keepdims=False)
count_nonzero(x, /, *, axis=None, keepdims=False)
nonzero(x, /)
searchsorted(x1, x2, /, *, side='left', sorter=None)
where(condition, x1, x2, /)
unique_all(x, /)
unique_counts(x, /)
unique_inverse(x, /)
unique_values(x, /)
argsort(x, /, *, axis=-1, descending=False, stable=True)
sort(x, /, *, axis=-1, descending=False, stable=True)
cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False)
cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False)
max(x, /, *, axis=None, keepdims=False)
mean(x, /, *, axis=None, keepdims=False)
min(x, /, *, axis=None, keepdims=False)
prod(x, /, *, axis=None, dtype=None, keepdims=False)
std(x, /, *, axis=None, correction=0.0, keepdims=False)
sum(x, /, *, axis=None, dtype=None, keepdims=False)
var(x, /, *, axis=None, correction=0.0, keepdims=False)
all(x, /, *, axis=None, keepdims=False)
any(x, /, *, axis=None, keepdims=False)
diff(x, /, *, axis=-1, n=1, prepend=None, append=None)
"""

# Products of the namespace that live with linear algebra.
PRODUCTS = """
tensordot(x1, x2, /, *, axes=2)
vecdot(x1, x2, /, *, axis=-1)
"""

LINALG = """
cholesky(x, /, *, upper=False)
cross(x1, x2, /, *, axis=-1)
det(x, /)
diagonal(x, /, *, offset=0)
eigh(x, /)
eigvalsh(x, /)
inv(x, /)
matmul(x1, x2, /)
matrix_norm(x, /, *, keepdims=False, ord='fro')
matrix_power(x, n, /)
matrix_rank(x, /, *, rtol=None)
matrix_transpose(x, /)
outer(x1, x2, /)
pinv(x, /, *, rtol=None)
qr(x, /, *, mode='reduced')
slogdet(x, /)
solve(x1, x2, /)
svd(x, /, *, full_matrices=True)
svdvals(x, /)
tensordot(x1, x2, /, *, axes=2)
trace(x, /, *, offset=0, dtype=None)
vecdot(x1, x2, /, *, axis=-1)
vector_norm(x, /, *, axis=None, keepdims=False, ord=2)
"""

FFT = """
fft(x, /, *, n=None, axis=-1, norm='backward')
ifft(x, /, *, n=None, axis=-1, norm='backward')
fftn(x, /, *, s=None, axes=None, norm='backward')
ifftn(x, /, *, s=None, axes=None, norm='backward')
rfft(x, /, *, n=None, axis=-1, norm='backward')
irfft(x, /, *, n=None, axis=-1, norm='backward')
rfftn(x, /, *, s=None, axes=None, norm='backward')
irfftn(x, /, *, s=None, axes=None, norm='backward')
hfft(x, /, *, n=None, axis=-1, norm='backward')
ihfft(x, /, *, n=None, axis=-1, norm='backward')
fftfreq(n, /, *, d=1.0, dtype=None, device=None)
rfftfreq(n, /, *, d=1.0, dtype=None, device=None)
fftshift(x, /, *, axes=None)
ifftshift(x, /, *, axes=None)
"""

METHODS = """
__abs__(self, /)
__add__(self, other, /)
__and__(self, other, /)
__array_namespace__(self, /, *, api_version=None)
__bool__(self, /)
__complex__(self, /)
__dlpack__(self, /, *, stream=None, max_version=None, dl_device=None, copy=None)
__dlpack_device__(self, /)
__eq__(self, other, /)
__float__(self, /)
__floordiv__(self, other, /)
__ge__(self, other, /)
__getitem__(self, key, /)
__gt__(self, other, /)
__index__(self, /)
__int__(self, /)
__invert__(self, /)
__le__(self, other, /)
__lshift__(self, other, /)
__lt__(self, other, /)
__matmul__(self, other, /)
__mod__(self, other, /)
__mul__(self, other, /)
__ne__(self, other, /)
__neg__(self, /)
__or__(self, other, /)
__pos__(self, /)
__pow__(self, other, /)
__rshift__(self, other, /)
__setitem__(self, key, value, /)
__sub__(self, other, /)
__truediv__(self, other, /)
__xor__(self, other, /)
__radd__(self, other, /)
__rand__(self, other, /)
__rfloordiv__(self, other, /)
__rlshift__(self, other, /)
__rmatmul__(self, other, /)
__rmod__(self, other, /)
__rmul__(self, other, /)
__ror__(self, other, /)
__rpow__(self, other, /)
__rrshift__(self, other, /)
__rsub__(self, other, /)
__rtruediv__(self, other, /)
__rxor__(self, other, /)
to_device(self, device, /, *, stream=None)
"""

EXTENSIONS = {"linalg": LINALG, "fft": FFT}


def lines(table: str) -> list[str]:
    return [line for line in table.splitlines() if line]


def check(function: Any, line: str) -> None:
    """The standard's calls are calls of `function`, and what it has more may be left out."""
    standard = inspect.signature(eval(f"lambda {line.partition('(')[2][:-1]}: 0"))
    ours = list(inspect.signature(function).parameters.values())
    named = {p.name: p for p in ours}
    used = []
    for i, p in enumerate(standard.parameters.values()):
        if p.kind is p.VAR_POSITIONAL:
            assert ours[i].kind is p.VAR_POSITIONAL
            used.append(ours[i])
            continue
        mine = ours[i] if p.kind is p.POSITIONAL_ONLY else named[p.name]
        used.append(mine)
        if p.kind is not p.KEYWORD_ONLY:
            assert mine is ours[i], f"{p.name} is at another place"
            assert mine.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        if p.kind is not p.POSITIONAL_ONLY:
            assert mine.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        if p.default is not p.empty:
            assert mine.default == p.default, f"{p.name}: default {mine.default!r}, the standard's is {p.default!r}"
    for p in ours:
        optional = p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        assert optional or p in used, f"{p.name} is required, and the standard has it not"


@pytest.mark.parametrize("line", lines(NAMESPACE))
def test_functions(line: str) -> None:
    check(getattr(gl, line.partition("(")[0]), line)


@pytest.mark.parametrize("line", lines(METHODS))
def test_methods(line: str) -> None:
    check(getattr(gl.Tensor, line.partition("(")[0]), line)


@pytest.mark.parametrize("line", lines(PRODUCTS))
def test_products(line: str) -> None:
    check(getattr(gl, line.partition("(")[0]), line)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_extensions(extension: str) -> None:
    for line in lines(EXTENSIONS[extension]):
        check(getattr(getattr(gl, extension), line.partition("(")[0]), line)


def test_a_wrong_signature_is_caught() -> None:
    for wrong in (
        lambda x, axis=0: x,  # another default
        lambda x: x,  # an argument too few
        lambda x, more, *, axis=None: x,  # one too many
        lambda *, x, axis=None: x,
    ):
        with pytest.raises((AssertionError, KeyError)):
            check(wrong, "f(x, /, *, axis=None)")


def test_attributes_constants_and_dtypes() -> None:
    x = gl.ones((2, 3))
    assert (x.dtype, x.device, x.ndim, x.shape, x.size) == (gl.float32, "cpu", 2, (2, 3), 6)
    assert x.T.shape == x.mT.shape == (3, 2)
    assert (gl.e, gl.pi, gl.inf, gl.newaxis) == (math.e, math.pi, math.inf, None)
    assert math.isnan(gl.nan)
    for name in (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
        "complex64", "complex128",
    ):  # fmt: skip
        dtype = getattr(gl, name)
        assert gl.zeros(1, dtype=dtype).dtype == dtype
        assert dtype.name == name
    assert gl.__array_api_version__ == "2024.12"


def test_the_namespace_of_a_tensor() -> None:
    x = gl.ones(2)
    assert x.__array_namespace__() is gl
    assert x.__array_namespace__(api_version="2023.12") is gl
    with pytest.raises(ValueError, match=r"2099\.12"):
        x.__array_namespace__(api_version="2099.12")


def test_asarray_shares_or_copies() -> None:
    """What test_asarray_arrays of the standard's suite sees by writing into the result."""
    array = np.zeros(2, np.float32)
    x = gl.tensor(array)
    shared = [gl.asarray(array), gl.asarray(array, copy=False), gl.asarray(x), gl.asarray(x, copy=False)]
    copied = [gl.asarray(array, copy=True), gl.asarray(x, copy=True), gl.asarray(x, dtype=gl.float64)]
    array[:] = 1.0
    x.assign([1.0, 1.0])
    assert all(y.tolist() == [1.0, 1.0] for y in shared)
    assert all(y.tolist() == [0.0, 0.0] for y in copied)
    for given, options in ((array, {"dtype": gl.float64}), (x, {"dtype": gl.int32}), ([1.0], {})):
        with pytest.raises(ValueError, match="copy"):
            gl.asarray(given, copy=False, **options)


def test_inspection() -> None:
    info = gl.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"]
    assert info.default_device() == "cpu"
    assert "cpu" in info.devices()
    assert info.default_dtypes(device="cpu") == {
        "real floating": gl.float32, "complex floating": gl.complex64, "integral": gl.int64, "indexing": gl.int64,
    }  # fmt: skip
    assert set(info.dtypes(kind="complex floating")) == {"complex64", "complex128"}
    assert set(info.dtypes(kind=("bool", "unsigned integer"))) == {"bool", "uint8", "uint16", "uint32", "uint64"}
    assert len(info.dtypes()) == 13
    with pytest.raises(ValueError, match="no kind 'quaternion'"):
        info.dtypes(kind="quaternion")
