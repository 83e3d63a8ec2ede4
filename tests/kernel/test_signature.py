from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from gradlib.errors import KernelError
from gradlib.kernel import signature

TEXT = r"""
// extern "C" __global__ void commented(int n) {}
/* extern "C" __global__ void also_commented(int n) {} */
#include "gradlib/core.cuh"
#ifndef T
#define T float
#endif
#  ifndef BM
#  define BM 64   // rows of a tile
#  endif
#define ELEMENT T
using wide = acc_t<T>;
const char* text = "extern \"C\" __global__ void quoted(int n) {";
__device__ void helper(int a);
template <class E> __global__ void templated(const E* x) {}
static __global__ void static_one(const T* x) {}

extern "C" __global__ void __launch_bounds__(BM * (4 + 2), 1)
plain(const T* __restrict__ x,   // the input, a "T"
      T *__restrict__ y,
      unsigned long long seed, int n /* elements, of x */) { if (n) { y[0] = x[0]; } }
#if BM > 2
extern "C" __global__ __launch_bounds__(256) void many(
    const unsigned char * mask, wide * out, const acc_t< ELEMENT >*const w, float p, const unsigned n,
    long long count, [[maybe_unused]] double q) {}
#endif
extern "C" {
__global__ void in_block(T x[], const int n) { { } }
}
__global__ void after_block(int n) {}
extern "C" __global__ void nothing(void) {}
extern "C" __global__ void contin\
ued(const __grid_constant__ int n);
"""


def test_entries_lists_c_linkage_kernels_only() -> None:
    assert signature.entries(TEXT) == ("plain", "many", "in_block", "nothing", "continued")


def _parameters(entry: str) -> list[tuple[str, str, bool]]:
    return [(p.name, p.type, p.pointer) for p in signature.parse(TEXT, entry).parameters]


def test_parse_reads_names_types_and_pointers() -> None:
    assert _parameters("plain") == [
        ("x", "T", True), ("y", "T", True), ("seed", "unsigned long long", False), ("n", "int", False),
    ]  # fmt: skip
    assert _parameters("many") == [
        ("mask", "unsigned char", True), ("out", "wide", True), ("w", "acc_t< ELEMENT >", True), ("p", "float", False),
        ("n", "unsigned", False), ("count", "long long", False), ("q", "double", False),
    ]  # fmt: skip
    assert _parameters("in_block") == [("x", "T", True), ("n", "int", False)]
    assert _parameters("nothing") == []


def test_parse_names_the_entries_there_are() -> None:
    with pytest.raises(KernelError, match=r"no entry 'other'\n.*plain, many, in_block"):
        signature.parse(TEXT, "other")


@pytest.mark.parametrize("parameter", ["float** x", "float& x", "float"])
def test_parse_refuses_what_no_launch_can_pass(parameter: str) -> None:
    with pytest.raises(KernelError, match="cannot pass parameter"):
        signature.parse(f'extern "C" __global__ void f({parameter}) {{}}', "f")


@pytest.mark.parametrize(
    ("type_", "macros", "expected"),
    [
        ("T", {}, "float"),
        ("T", {"T": "__nv_bfloat16"}, "__nv_bfloat16"),
        ("ELEMENT", {"T": "double"}, "double"),
        ("wide", {"T": "__half"}, "float"),
        ("wide", {"T": "long long"}, "long long"),
        ("acc_t< ELEMENT >", {"T": "double"}, "double"),
        ("unsigned", {}, "unsigned int"),
        ("uint8_t", {}, "unsigned char"),
        ("Unknown", {}, "Unknown"),
        ("A", {"A": "B", "B": "A"}, "A"),
    ],
)
def test_resolve_substitutes_macros(type_: str, macros: dict[str, str], expected: str) -> None:
    assert signature.resolve(type_, {**signature.defaults(TEXT), **macros}) == expected


def test_options_are_the_macros_a_caller_may_choose() -> None:
    assert signature.options(TEXT) == {"T": "float", "BM": "64"}


def test_ctype_covers_every_kernel_dtype() -> None:
    names = {signature.ctype(dtype) for dtype in ("f4", "f8", "f2", ml_dtypes.bfloat16, "?", *"bBhHiIqQ")}
    names |= {signature.ctype(dtype) for dtype in (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)}
    assert names == set(signature.C_TYPES)
    for name, dtype in signature.C_TYPES.items():
        code = signature.scalar_format(name)
        if code is not None:
            assert np.dtype(code) == dtype
    with pytest.raises(KernelError, match="complex64"):
        signature.ctype(np.dtype("c8"))
