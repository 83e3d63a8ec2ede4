"""Every function of the Python Array API standard on drawn arguments against NumPy, which follows the standard too.

Shapes of every rank and size 0 and 1, every dtype that the standard allows, mixed dtypes, axes, special values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gradlib as gl
from gradlib.testing import assert_close

KINDS = {
    "b": ["bool"],
    "i": ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"],
    "f": ["float32", "float64"],
    "c": ["complex64", "complex128"],
}
ALL, NUMBERS, REAL, FLOATS = "bifc", "ifc", "if", "fc"
FINITE = [-2.5, -1.0, -0.25, -0.0, 0.0, 0.5, 1.0, 2.0, 3.75]  # few, so that ties are common
SPECIAL = [*FINITE, math.inf, -math.inf, math.nan]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Call = tuple[list[Any], dict[str, Any]]


def dtypes(kinds: str) -> list[str]:
    return [name for kind in kinds for name in KINDS[kind]]


def array(dtype: str, shape: Any, floats: list[float] = FINITE, least: int = -9) -> st.SearchStrategy[Any]:
    kind = np.dtype(dtype).kind
    if kind == "b":
        elements: st.SearchStrategy[Any] = st.booleans()
    elif kind in "iu":
        elements = st.integers(max(least, 0 if kind == "u" else -9), 9)
    elif kind == "f":
        elements = st.sampled_from(floats)
    else:
        elements = st.builds(complex, st.sampled_from(FINITE), st.sampled_from(FINITE))
    return hnp.arrays(dtype, shape, elements=elements, fill=st.nothing())


def shapes(ranks: int = 0, side: int = 0) -> st.SearchStrategy[Any]:
    return hnp.array_shapes(min_dims=ranks, max_dims=3, min_side=side, max_side=4)


def draw_one(draw: Draw, kinds: str, ranks: int = 0, side: int = 0, floats: list[float] = FINITE) -> Any:
    return draw(array(draw(st.sampled_from(dtypes(kinds))), shapes(ranks, side), floats))


def draw_axis(draw: Draw, x: Any) -> int:
    return int(draw(st.integers(-x.ndim, x.ndim - 1)))


# -- how the arguments of a function are drawn


def one(kinds: str, floats: list[float] = SPECIAL) -> Callable[[Draw], Call]:
    return lambda draw: ([draw_one(draw, kinds, floats=floats)], {})


def two(kinds: str, floats: list[float] = SPECIAL, least: int = -9) -> Callable[[Draw], Call]:
    """Two arrays that broadcast, of dtypes that promote; or an array and a number."""

    def drawn(draw: Draw) -> Call:
        a = draw(st.sampled_from(dtypes(kinds)))
        fits = [b for b in dtypes(kinds) if promotes(a, b)]
        both = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4)).input_shapes
        x = draw(array(a, both[0], floats, least))
        if draw(st.integers(0, 4)) == 0:
            return [x, np.dtype(a).type(1).item()], {}
        return [x, draw(array(draw(st.sampled_from(fits)), both[1], floats, least))], {}

    return drawn


def promotes(a: str, b: str) -> bool:
    """Whether the standard promotes them: within a kind, and real with complex floats."""
    kinds = {next(k for k, names in KINDS.items() if name in names) for name in (a, b)}
    return (len(kinds) == 1 or kinds == {"f", "c"}) and (kinds != {"i"} or np.result_type(a, b).kind in "iu")


def reduced(kinds: str, side: int = 0, floats: list[float] = FINITE, several: bool = True) -> Callable[[Draw], Call]:
    def drawn(draw: Draw) -> Call:
        x = draw_one(draw, kinds, 1, side, floats)
        axis = draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1)))
        if several and draw(st.booleans()):
            axis = tuple(draw(st.lists(st.integers(0, x.ndim - 1), unique=True)))
        return [x], {"axis": axis, "keepdims": draw(st.booleans())}

    return drawn


def along(kinds: str, floats: list[float] = FINITE, **options: st.SearchStrategy[Any]) -> Callable[[Draw], Call]:
    def drawn(draw: Draw) -> Call:
        x = draw_one(draw, kinds, 1, 1, floats)
        return [x], {"axis": draw_axis(draw, x), **{name: draw(value) for name, value in options.items()}}

    return drawn


def picked(draw: Draw) -> Call:
    x = draw_one(draw, ALL, 1, 1)
    axis = draw_axis(draw, x)
    n = x.shape[axis]
    return [x, draw(hnp.arrays("int64", st.integers(0, 5), elements=st.integers(-n, n - 1)))], {"axis": axis}


def picked_along(draw: Draw) -> Call:
    x = draw_one(draw, ALL, 1, 1)
    axis = draw_axis(draw, x)
    n, shape = x.shape[axis], list(x.shape)
    shape[axis] = draw(st.integers(0, 4))
    return [x, draw(hnp.arrays("int64", tuple(shape), elements=st.integers(-n, n - 1)))], {"axis": axis}


def searched(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(dtypes(REAL)))
    x = draw(array(dtype, st.integers(0, 6), [*FINITE, math.inf]))
    order = np.argsort(x)
    side = draw(st.sampled_from(["left", "right"]))
    values = draw(array(dtype, shapes(), [*FINITE, math.inf]))
    return [x, values], {"side": side, "sorter": order}


def listed(draw: Draw) -> Call:
    dtype, shape = draw(st.sampled_from(dtypes(ALL))), draw(shapes(1))
    xs = [draw(array(dtype, shape)) for _ in range(draw(st.integers(1, 3)))]
    return [xs], {"axis": draw(st.integers(-len(shape), len(shape) - 1))}


def chosen(draw: Draw) -> Call:
    args, _ = two(ALL)(draw)
    condition = draw(array("bool", np.broadcast_shapes(*(np.shape(a) for a in args))))
    return [condition, *args], {}


def clipped(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(dtypes(REAL)))
    x, low = draw(array(dtype, shapes())), draw(array(dtype, ()))
    return [x], draw(st.sampled_from([{"min": low}, {"max": low}, {"min": low, "max": low + low.dtype.type(1)}, {}]))


def permuted(draw: Draw) -> Call:
    x = draw_one(draw, ALL)
    return [x, tuple(draw(st.permutations(range(x.ndim))))], {}


def moved(draw: Draw) -> Call:
    x = draw_one(draw, ALL, 1)
    return [x, draw_axis(draw, x), draw_axis(draw, x)], {}


def grown(draw: Draw) -> Call:
    x = draw_one(draw, ALL)
    return [x], {"axis": draw(st.integers(-x.ndim - 1, x.ndim))}


def squeezed(draw: Draw) -> Call:
    x = draw_one(draw, ALL, 1)
    ones = [k for k, n in enumerate(x.shape) if n == 1]
    return [x], {"axis": tuple(ones)}


def reshaped(draw: Draw) -> Call:
    x = draw_one(draw, ALL, 1, 1)
    return [x, draw(st.sampled_from([(-1,), (x.size,), (1, -1), x.shape[::-1]]))], {}


def spread(draw: Draw) -> Call:
    x = draw_one(draw, ALL, 0, 1)
    return [x, (*draw(shapes()), *x.shape)], {}


def rolled(draw: Draw) -> Call:
    x = draw_one(draw, ALL, 1)
    axis = draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1)))
    return [x, draw(st.integers(-5, 5))], {"axis": axis}


def repeated(draw: Draw) -> Call:
    x = draw_one(draw, ALL, 1)
    axis = draw_axis(draw, x)
    each = hnp.arrays("int64", x.shape[axis], elements=st.integers(0, 3))
    return [x, draw(st.one_of(st.integers(0, 3), each))], {"axis": axis}


def tiled(draw: Draw) -> Call:
    return [draw_one(draw, ALL), draw(st.tuples(st.integers(0, 2), st.integers(1, 2)))], {}


def triangle(draw: Draw) -> Call:
    return [draw_one(draw, ALL, 2)], {"k": draw(st.integers(-3, 3))}


def shifted(draw: Draw) -> Call:
    args, _ = two("i", least=0)(draw)
    return [args[0], np.asarray(args[1] % 8, np.asarray(args[1]).dtype)], {}


def differences(draw: Draw) -> Call:
    x = draw_one(draw, NUMBERS, 1, 1)
    axis = draw_axis(draw, x)
    more = dict.fromkeys(draw(st.sets(st.sampled_from(["prepend", "append"]))), x)
    return [x], {"axis": axis, "n": draw(st.integers(0, 2)), **more}


def grids(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(dtypes(ALL)))
    axes = draw(st.lists(array(dtype, st.integers(0, 3)), min_size=1, max_size=3))
    return axes, {"indexing": draw(st.sampled_from(["xy", "ij"]))}


def several(draw: Draw) -> Call:
    both = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3)).input_shapes
    return [draw(array(draw(st.sampled_from(dtypes(ALL))), shape)) for shape in both], {}


def product(draw: Draw) -> Call:
    a = draw(st.sampled_from(dtypes(NUMBERS)))
    b = draw(st.sampled_from([b for b in dtypes(NUMBERS) if promotes(a, b)]))
    m, k, n = (draw(st.integers(0, 3)) for _ in range(3))
    left, right = draw(st.sampled_from([((k,), (k,)), ((m, k), (k,)), ((k,), (2, k, n)), ((m, k), (2, k, n))]))
    return [draw(array(a, left)), draw(array(b, right))], {}


def contracted(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(dtypes(NUMBERS)))
    x, y = draw(array(dtype, (2, 3, 4))), draw(array(dtype, (3, 4, 2)))
    return [x, y], {"axes": draw(st.sampled_from([0, ((0,), (2,)), ((1, 2), (0, 1)), ((2, 1), (1, 0))]))}


def vectors(draw: Draw) -> Call:
    dtype = draw(st.sampled_from(dtypes(NUMBERS)))
    return [draw(array(dtype, (2, 1, 3))), draw(array(dtype, (4, 3)))], {}


def created(*args: Any, **options: Any) -> Callable[[Draw], Call]:
    return lambda draw: (
        list(args),
        {"dtype": draw(st.sampled_from(dtypes(NUMBERS))), **options},
    )


def alike(draw: Draw) -> Call:
    return [draw_one(draw, ALL)], {"dtype": draw(st.sampled_from([None, *dtypes(NUMBERS)]))}


UNARY = {
    "abs": NUMBERS, "acos": FLOATS, "acosh": FLOATS, "asin": FLOATS, "asinh": FLOATS, "atan": FLOATS, "atanh": FLOATS,
    "bitwise_invert": "bi", "ceil": REAL, "conj": NUMBERS, "cos": FLOATS, "cosh": FLOATS, "exp": FLOATS,
    "expm1": FLOATS, "floor": REAL, "imag": "c", "isfinite": NUMBERS, "isinf": NUMBERS, "isnan": NUMBERS,
    "log": FLOATS, "log1p": FLOATS, "log2": FLOATS, "log10": FLOATS, "logical_not": "b", "negative": NUMBERS,
    "positive": NUMBERS, "real": FLOATS, "reciprocal": FLOATS, "round": NUMBERS, "sign": NUMBERS, "signbit": "f",
    "sin": FLOATS, "sinh": FLOATS, "sqrt": FLOATS, "square": NUMBERS, "tan": FLOATS, "tanh": FLOATS, "trunc": REAL,
    "unique_values": ALL, "unique_counts": ALL, "unique_inverse": ALL, "unique_all": ALL,
}  # fmt: skip
BINARY = {
    "add": NUMBERS, "atan2": "f", "bitwise_and": "bi", "bitwise_or": "bi", "bitwise_xor": "bi", "copysign": "f",
    "divide": FLOATS, "equal": ALL, "greater": REAL, "greater_equal": REAL, "hypot": "f", "less": REAL,
    "less_equal": REAL, "logaddexp": "f", "logical_and": "b", "logical_or": "b", "logical_xor": "b", "maximum": REAL,
    "minimum": REAL, "multiply": NUMBERS, "not_equal": ALL, "subtract": NUMBERS,
}  # fmt: skip
ARGUMENTS: dict[str, Callable[[Draw], Call]] = {
    **{name: one(kinds) for name, kinds in UNARY.items()},
    **{name: two(kinds) for name, kinds in BINARY.items()},
    **dict.fromkeys(("bitwise_left_shift", "bitwise_right_shift"), shifted),
    **dict.fromkeys(("floor_divide", "remainder"), two(REAL, FINITE)),  # of infinities: test_elementwise.py
    "pow": two(NUMBERS, FINITE, least=0), "nextafter": two("f", FINITE),
    **{name: reduced(ALL) for name in ("all", "any", "count_nonzero")},
    **{name: reduced(REAL, 1, SPECIAL) for name in ("max", "min")},
    **{name: reduced(REAL, 1, SPECIAL, several=False) for name in ("argmax", "argmin")},
    **{name: reduced(NUMBERS) for name in ("sum", "prod")},
    "mean": reduced(FLOATS, 1),
    **{name: reduced("f", 1) for name in ("std", "var")},
    **{name: along(NUMBERS, include_initial=st.booleans()) for name in ("cumulative_sum", "cumulative_prod")},
    "sort": along(REAL),
    "argsort": along(REAL, stable=st.just(True)),
    "flip": along(ALL),
    "unstack": along(ALL),
    "take": picked, "take_along_axis": picked_along, "searchsorted": searched, "where": chosen, "clip": clipped,
    "concat": listed, "stack": listed, "permute_dims": permuted, "moveaxis": moved, "expand_dims": grown,
    "squeeze": squeezed, "reshape": reshaped, "broadcast_to": spread, "broadcast_arrays": several, "roll": rolled,
    "repeat": repeated, "tile": tiled, "tril": triangle, "triu": triangle, "diff": differences, "meshgrid": grids,
    "matmul": product, "tensordot": contracted, "vecdot": vectors, "result_type": two(ALL),
    "nonzero": lambda draw: ([draw_one(draw, ALL, 1, floats=SPECIAL)], {}),
    "matrix_transpose": lambda draw: ([draw_one(draw, ALL, 2)], {}),
    "ones": created((2, 0, 3)), "zeros": created(()), "full": created((3,), 2), "eye": created(3, 4, k=-1),
    "arange": created(1, 9, 2), "linspace": lambda draw: ([0.0, 1.0, 5], {"endpoint": draw(st.booleans())}),
    "ones_like": alike, "zeros_like": alike, "full_like": lambda draw: ([draw_one(draw, NUMBERS), 3], {}),
    "astype": lambda draw: ([draw_one(draw, "bif"), np.dtype(draw(st.sampled_from(dtypes("ifc"))))], {}),
}  # fmt: skip


def check(name: str, args: list[Any], options: dict[str, Any], wrap: Callable[[Any], Any], kind: type) -> None:
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(*args, **options)
        got = getattr(gl, name)(*map(wrap, args), **{key: wrap(value) for key, value in options.items()})
    many = isinstance(expected, (tuple, list))
    pairs = zip(got, expected, strict=True) if many else [(got, expected)]
    for a, e in pairs:
        if isinstance(e, np.dtype):
            assert a == e
            continue
        assert isinstance(a, kind), f"{type(a).__name__} of {kind.__name__}"
        e = np.asarray(e)
        if name == "linspace":
            e = e.astype("float32")  # gradlib's default
        if name == "unique_values":
            e = np.sort(e)  # the standard leaves the order open, and so do later versions of NumPy
        assert a.dtype == e.dtype
        assert_close(a, e, what=name)


def tensors(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return gl.asarray(x)
    return [tensors(y) for y in x] if isinstance(x, list) else x


@pytest.mark.parametrize("name", ARGUMENTS)
def test_is_numpys(name: str) -> None:
    if not hasattr(np, name):
        pytest.skip(f"this NumPy has no {name}")

    @settings(max_examples=20, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        args, options = ARGUMENTS[name](data.draw)
        check(name, args, options, tensors, gl.Tensor)
        if any(isinstance(a, np.ndarray) for a in args):
            check(name, args, options, lambda x: x, np.ndarray)

    run()


def test_nothing_is_left_out() -> None:
    from .test_signatures import NAMESPACE, PRODUCTS, lines

    elsewhere = {
        "asarray", "from_dlpack", "can_cast", "finfo", "iinfo", "isdtype", "empty", "empty_like",
        "__array_namespace_info__", "argsort",
    }  # fmt: skip
    names = {line.partition("(")[0] for line in (*lines(NAMESPACE), *lines(PRODUCTS))}
    assert names - set(ARGUMENTS) - elsewhere == set()


def test_descending_order_keeps_ties_in_theirs() -> None:
    x = np.array([[2.0, 1.0, 2.0, 0.0], [1.0, 1.0, 3.0, 1.0]])
    assert gl.argsort(gl.asarray(x), descending=True).tolist() == [[0, 2, 1, 3], [2, 0, 1, 3]]
    assert gl.sort(gl.asarray(x), descending=True).tolist() == [[2, 2, 1, 0], [3, 1, 1, 1]]


def test_dtypes_and_their_limits() -> None:
    every = dtypes(ALL)
    for a in every:
        for b in every:
            if promotes(a, b):
                assert gl.can_cast(a, b) == np.can_cast(a, b), (a, b)
                assert gl.result_type(a, b) == np.result_type(a, b), (a, b)
        for kind in ("bool", "signed integer", "unsigned integer", "integral", "real floating", "numeric"):
            assert gl.isdtype(np.dtype(a), kind) == np.isdtype(np.dtype(a), kind), (a, kind)
        assert gl.isdtype(np.dtype(a), (np.dtype(a), "bool"))
    for name in dtypes("f"):
        for what in ("bits", "eps", "max", "min", "smallest_normal"):
            assert getattr(gl.finfo(name), what) == getattr(np.finfo(name), what)
    for name in dtypes("i"):
        assert (gl.iinfo(name).min, gl.iinfo(name).max) == (np.iinfo(name).min, np.iinfo(name).max)
    assert gl.empty((2, 3), dtype="int8").shape == gl.empty_like(gl.ones((2, 3))).shape == (2, 3)


def test_exchange_without_a_copy() -> None:
    x = np.arange(6.0).reshape(2, 3)[:, ::2]
    t = gl.from_dlpack(x)
    assert np.shares_memory(np.from_dlpack(t), x)
    assert t.tolist() == x.tolist()
    assert t.__dlpack_device__() == x.__dlpack_device__()
    assert not np.shares_memory(gl.from_dlpack(x, copy=True).numpy(), x)


def test_exchange_with_torch() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.arange(3.0)
    ours = gl.from_dlpack(theirs)
    theirs[0] = 7.0
    assert ours.tolist() == [7.0, 1.0, 2.0]
    back = torch.from_dlpack(ours)
    assert back.data_ptr() == theirs.data_ptr()
