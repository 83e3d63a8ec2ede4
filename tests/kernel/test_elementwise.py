"""The generated elementwise kernels: every op, every dtype, every way operands meet; and that they compile for GPUs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import backend as backends
from gradlib.backend import nvrtc
from gradlib.core import PRIMITIVES
from gradlib.kernel import compile_many, launches, variants
from gradlib.kernel.elementwise import _plan, geometry, programs
from gradlib.kernel.source import from_text
from gradlib.spec import DTYPES, FLOATING, INTEGER, Spec, bool_
from gradlib.testing import assert_close

RNG = np.random.default_rng(0)
GENERATED = sorted(n for n, p in PRIMITIVES.items() if p.expr is not None and p.module.startswith("gradlib."))


def values(dtype: Any, *shape: int) -> Any:
    """Small positive numbers: inside the domain of nearly every op, and of every dtype."""
    if dtype in FLOATING:
        return RNG.uniform(0.2, 0.8, shape).astype(dtype)
    return RNG.integers(0, 2, shape).astype(dtype) if dtype == bool_ else RNG.integers(1, 5, shape).astype(dtype)


def on(device: str, array: Any) -> Any:
    return backends.get(device).asarray(array)


def host(array: Any) -> Any:
    return np.asarray(backends.backend_of(array).to_host(array))


def test_every_elementwise_op_has_a_kernel() -> None:
    without = {n for n, p in PRIMITIVES.items() if p.broadcasts and p.expr is None and p.module.startswith("gradlib.")}
    assert without == {"complex", "conj", "imag", "real", "nextafter"}  # of complex numbers; of the dtype's own grid
    assert len(GENERATED) > 80


@pytest.mark.parametrize("name", GENERATED)
def test_integers_and_bool(name: str, sim: str) -> None:
    """(The floating dtypes are the registry suite's.)  Bit for bit what NumPy gives; a launch each, or an error."""
    op = PRIMITIVES[name]
    params = op.samples()[0].params  # type: ignore[misc]
    for dtype in (*INTEGER, bool_):
        args = [values(bool_ if n == "condition" else dtype, 3, 7) for n in op.inputs]
        try:
            op.infer(*[Spec(a.shape, a.dtype) for a in args], **params)
        except gl.DTypeError:
            continue
        expected = op(*args, **params)
        with launches() as log:
            result = op(*[on(sim, a) for a in args], **params)
        assert [r.entry for r in log] == [f"map_{name}"]
        assert result.dtype == expected.dtype
        assert np.array_equal(host(result), expected), dtype


EDGES = [-7, -1, 0, 1, 2, 7, -128, 127]


@pytest.mark.parametrize(
    "name",
    [
        "floor_divide", "remainder", "pow", "multiply", "subtract", "abs", "negative", "sign", "bitwise_left_shift",
        "bitwise_right_shift",
    ],
)  # fmt: skip
def test_edges_of_the_integers(name: str, sim: str) -> None:
    op = getattr(gl, name)
    a, b = (v.ravel() for v in np.meshgrid(np.array(EDGES, np.int8), np.array(EDGES, np.int8)))
    if name == "pow" or name.endswith("shift"):
        a, b = a[b >= 0], b[b >= 0]
    args = (a,) if name in ("abs", "negative", "sign") else (a, b)
    with np.errstate(all="ignore"):
        expected = op(*args)
    assert np.array_equal(host(op(*[on(sim, v) for v in args])), expected)


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_division_at_the_edges(name: str, dtype: str, sim: str) -> None:
    edges = np.array([-7.5, -1.0, -0.0, 0.0, 0.1, 0.3, 1.0, 6.0, np.inf, -np.inf, np.nan], dtype)
    a, b = (v.ravel() for v in np.meshgrid(edges, edges))
    with np.errstate(all="ignore"):
        expected = getattr(gl, name)(a, b)
    got = host(getattr(gl, name)(on(sim, a), on(sim, b)))
    if name == "remainder":  # how NumPy takes the remainder of infinities differs between its versions
        got, expected = (y[np.isfinite(a) & np.isfinite(b)] for y in (got, expected))
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got)[got == got], np.signbit(expected)[got == got])


@pytest.mark.parametrize(
    "name",
    [
        "maximum", "minimum", "relu", "sign", "equal", "less", "isnan", "isinf", "isfinite", "signbit", "copysign",
        "hypot", "logaddexp",
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_values_that_are_no_numbers(name: str, dtype: str, sim: str) -> None:
    edges = np.array([-np.inf, -1.0, -0.0, 0.0, 2.0, np.inf, np.nan]).astype(DTYPES[dtype])
    op = PRIMITIVES[name]
    a, b = (v.ravel() for v in np.meshgrid(edges, edges))
    args = (a, b) if len(op.inputs) == 2 else (a,)
    with np.errstate(all="ignore"):
        expected = op(*args)
    assert_close(host(op(*[on(sim, v) for v in args])), expected)


SHAPES: list[tuple[tuple[int, ...], ...]] = [
    ((5, 7), (5, 7)), ((5, 7), (7,)), ((5, 7), (5, 1)), ((5, 1), (7,)), ((5, 7), ()), ((), ()), ((1,), (1, 1, 1)),
    ((2, 3, 5), (3, 1)), ((2, 1, 5), (3, 1)), ((2, 1, 4, 1, 3), (5, 1, 2, 1)), ((2, 1, 3, 1, 2, 1), (1, 2, 1, 3, 1, 2)),
    ((4, 1, 1, 6), (1, 3, 2, 6)), ((0, 3), (3,)), ((2, 0), (2, 1)), ((1027,), (1027,)), ((1029,), (1,)),
    ((33, 65), (65,)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES, ids=repr)
def test_operands_of_any_shapes(shapes: Any, sim: str) -> None:
    for dtype in ("float32", "float16", "int64", "int8"):
        a, b = (values(DTYPES[dtype], *s) for s in shapes)
        expected = np.subtract(a, b)
        assert_close(host(gl.subtract(on(sim, a), on(sim, b))), expected)
        assert_close(host(gl.subtract(on(sim, b), on(sim, a))), -expected)
        chosen = RNG.random(shapes[1]) < 0.5
        assert np.array_equal(host(gl.where(on(sim, chosen), on(sim, a), on(sim, b))), np.where(chosen, a, b))


def test_addresses_that_do_not_align(sim: str) -> None:
    """Neighbours are read four at a time only where the address allows it."""
    for dtype in ("float32", "float64", "float16", "uint8"):
        x = values(DTYPES[dtype], 1000)
        for start in range(5):
            part = on(sim, x)[start : start + 37]
            assert np.array_equal(host(gl.add(part, part)), (x + x)[start : start + 37])


def test_more_elements_than_threads(sim: str) -> None:
    x = RNG.standard_normal(3_000_001).astype(np.float32)
    grid, block = geometry(2**31)
    assert (grid, block) == (4096, 256)
    with launches() as log:
        y = gl.negative(on(sim, x))
    assert len(log) == 1
    assert np.array_equal(host(y), -x)


def test_plans() -> None:
    assert _plan(((5, 7), (5, 7))).steps == (1, 1)
    assert _plan(((5, 7), (1, 1))).steps == (1, 0)
    # sizes of axes 1 to 3, then the strides of each operand: (2, 3, 4) and (3, 4) meet as (2, 12) and (12,)
    assert _plan(((2, 3, 4), (3, 4))).axes == (1, 2, 12, *(0, 0, 12, 1), *(0, 0, 0, 1))
    assert _plan(((2, 1, 3, 1, 2, 1), (1, 2, 1, 3, 1, 2))).axes is None  # six axes: the repetition is written out
    assert _plan(((2**16, 1), (1, 2**16))).axes is None  # more than 32 bits count


def test_casts(sim: str) -> None:
    x = np.array([0.0, 1.0, 2.4, 3.6, 100.0, 0.1])
    dtypes = [DTYPES[name] for name in ("float64", "float32", "float16", "bfloat16", "int8", "uint32", "int64", "bool")]
    for source in dtypes:
        a = x.astype(source)
        with launches() as log:
            results = {t: gl.cast(on(sim, a), t) for t in dtypes if t != source}
        assert [r.entry for r in log] == ["cast"] * (len(dtypes) - 1)
        for target, y in results.items():
            assert y.dtype == target
            assert np.array_equal(host(y).astype(float), a.astype(target).astype(float)), (source, target)


def test_texts_are_small_and_stable() -> None:
    texts = dict(programs())
    assert texts == dict(programs())
    assert {name.rpartition("_")[2] for name in texts} == {"floating.cu", "integer.cu", "boolean.cu"}
    for name, text in texts.items():
        assert len(variants(from_text(name, text))) in (1, 4, 8)


def test_programs_compile_for_a_gpu() -> None:
    """One dtype of each kind."""
    compile_programs("sm_90a", slice(-1, None))


@pytest.mark.exhaustive
@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_100"])
def test_programs_compile_for_every_gpu(arch: str) -> None:
    compile_programs(arch, slice(None))


def compile_programs(arch: str, dtypes: slice) -> None:
    try:
        compiler = nvrtc.Compiler(arch)
    except gl.KernelError as error:
        pytest.skip(str(error).splitlines()[0])
    items = []
    for name, text in programs():
        source = from_text(name, text)
        items += [(source, macros) for macros in list(variants(source))[dtypes]]
    assert len(compile_many(items, compiler, processes=1)) == len(items) >= 8
