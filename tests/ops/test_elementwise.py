"""Elementwise ops against NumPy and Python's math in float64, and against PyTorch; dtypes, extremes, errors.

Derivatives on ordinary values are checked by the registry suite; here are the places where they go wrong.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import PRIMITIVES, Primitive
from gradlib.spec import FLOATING, INTEGER, Spec, bool_, complex_of, float32, float64
from gradlib.testing import assert_close
from gradlib.testing.check_op import draw

RNG = np.random.default_rng(0)
ELEMENTWISE = sorted(n for n, p in PRIMITIVES.items() if p.broadcasts and p.module.startswith("gradlib."))


def gradient(f: Callable[..., Any], *args: Any) -> Any:
    """Gradients of the sum of f at plain arrays."""
    tensors = [gl.tensor(a, requires_grad=True) for a in args]
    f(*tensors).sum().backward()
    grads = [t.grad.numpy() for t in tensors]
    return grads[0] if len(grads) == 1 else grads


# -- values

NUMPY_NAMES = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atanh": "arctanh",
    "atan2": "arctan2", "pow": "power", "bitwise_invert": "invert", "round": "rint",
}  # fmt: skip
UNARY = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "expm1", "floor",
    "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not", "negative", "reciprocal", "round",
    "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
]  # fmt: skip
BINARY = [
    "add", "atan2", "divide", "equal", "floor_divide", "greater", "greater_equal", "less", "less_equal",
    "logical_and", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "not_equal", "pow", "remainder",
    "subtract",
]  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_unary_is_numpys(name: str) -> None:
    x = RNG.uniform(0.1, 0.9, (3, 7)) + (1.0 if name == "acosh" else 0.0)
    expected = getattr(np, NUMPY_NAMES.get(name, name))(x)
    result = getattr(gl, name)(gl.tensor(x))
    assert result.dtype == expected.dtype
    assert_close(result, expected)
    assert_close(getattr(gl.tensor(x), name)(), expected)  # the method
    assert type(getattr(gl, name)(x)) is np.ndarray  # plain in, plain out


@pytest.mark.parametrize("name", BINARY)
def test_binary_is_numpys(name: str) -> None:
    a, b = RNG.uniform(0.5, 3, (4, 1, 3)), RNG.uniform(0.5, 3, (2, 1))
    expected = getattr(np, NUMPY_NAMES.get(name, name))(a, b)
    assert_close(getattr(gl, name)(gl.tensor(a), gl.tensor(b)), expected)
    assert_close(getattr(gl.tensor(a), name)(gl.tensor(b)), expected)


@pytest.mark.parametrize("name", BINARY)
def test_integers_are_numpys(name: str) -> None:
    for dtype in ("int8", "uint8", "int32", "int64"):
        a, b = RNG.integers(0, 9, (3, 5)).astype(dtype), RNG.integers(1, 4, 5).astype(dtype)
        expected = getattr(np, NUMPY_NAMES.get(name, name))(a, b)
        result = getattr(gl, name)(a, b)
        if name in ("divide", "atan2"):
            assert result.dtype == float32
            assert_close(result, getattr(np, NUMPY_NAMES.get(name, name))(a.astype(float), b.astype(float)))
        else:
            assert result.dtype == expected.dtype
            assert np.array_equal(result, expected)


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
def test_bits(name: str) -> None:
    a, b = RNG.integers(-99, 99, (3, 5)), RNG.integers(-99, 99, 5)
    assert np.array_equal(getattr(gl, name)(a, b), getattr(np, name)(a, b))
    p, q = a > 0, b > 0
    assert np.array_equal(getattr(gl, name)(p, q), getattr(np, name)(p, q))
    assert np.array_equal(gl.bitwise_invert(a), ~a)
    assert np.array_equal((~gl.tensor(p)).numpy(), ~p)


def test_division_rounds_down() -> None:
    a, b = np.array([7, -7, 7, -7, 0]), np.array([2, 2, -2, -2, 5])
    assert (gl.tensor(a) // gl.tensor(b)).tolist() == [3, -4, -4, 3, 0]
    assert (gl.tensor(a) % gl.tensor(b)).tolist() == [1, 1, -1, -1, 0]
    x = gl.tensor([5.5, -5.5])
    assert (x // 2.0).tolist() == [2.0, -3.0]
    assert (x % 2.0).tolist() == [1.5, 0.5]
    inf = np.inf
    a, b = np.array([inf, inf, -inf, 3.0, -3.0, 3.0, -3.0]), np.array([2.0, -2.0, 2.0, inf, -inf, -inf, inf])
    quotient = gl.floor_divide(a, b)  # floor(a / b), as the array standard prefers; NumPy's are NaN and -1
    assert quotient.tolist() == [inf, -inf, -inf, 0.0, 0.0, 0.0, 0.0]
    assert np.signbit(quotient[3:]).tolist() == [False, False, True, True]
    with np.errstate(invalid="ignore"):
        assert np.isnan(gl.floor_divide(np.array([inf, np.nan, 0.0]), np.array([-inf, 1.0, 0.0]))).all()


@pytest.mark.parametrize(("dtype", "ulps"), [("float64", 5), ("float32", 5)])
def test_erf_against_the_math_library(dtype: str, ulps: int) -> None:
    x = np.concatenate([np.linspace(-9, 9, 4001), RNG.standard_normal(4000) * 1e-3, [0.0, 1e-30, -1e-12]]).astype(dtype)
    eps = np.finfo(dtype).eps
    for ours, theirs in ((gl.erf, math.erf), (gl.erfc, math.erfc)):
        expected = np.array([theirs(float(v)) for v in x])
        got = ours(x)
        assert got.dtype == dtype
        normal = np.abs(expected) > np.finfo(dtype).tiny
        assert (np.abs(got - expected)[normal] / np.abs(expected)[normal]).max() <= ulps * eps
        assert np.all(got[expected == 0] == 0)
    assert gl.erf(np.array([np.inf, -np.inf])).tolist() == [1.0, -1.0]
    assert gl.erfc(np.array([np.inf, -np.inf])).tolist() == [0.0, 2.0]
    assert np.isnan(gl.erf(np.array([np.nan]))).all()


def test_every_array_function_is_a_method() -> None:
    """But those that take several arrays, make one, or belong to networks."""
    apart = {"broadcast_arrays", "concat", "concatenate", "getitem", "one_hot", "power", "stack", "where"}
    families = ("along", "arithmetic", "comparisons", "functions", "index", "join", "reduce", "shape", "softmax")
    names = {n for family in families for n in sys.modules[f"gradlib.ops.{family}"].__all__}
    assert {n for n in names if not hasattr(gl.Tensor, n)} == apart | {"sum_to"}
    x = gl.tensor([[1.0, 2.0], [3.0, 4.0]])
    for name in ("softmax", "log_softmax", "logsumexp", "matrix_transpose", "tril", "nonzero", "relu", "silu"):
        ours, methods = getattr(gl, name)(x), getattr(x, name)()
        assert np.array_equal(np.asarray(ours[0]), np.asarray(methods[0])) if name != "logsumexp" else ours == methods
    assert x.matmul(x).tolist() == [[7, 10], [15, 22]]


# -- activations

ACTIVATIONS = [
    "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "selu", "relu6", "hardswish", "mish", "sigmoid", "tanh",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, name, None) or getattr(torch, name)
    x = np.concatenate([np.linspace(-30, 30, 601) + 0.003, RNG.standard_normal(100)])
    t = torch.tensor(x, requires_grad=True)
    y = theirs(t)
    g = RNG.standard_normal(x.shape)
    (first,) = torch.autograd.grad(y, t, torch.tensor(g), create_graph=True)
    second = torch.autograd.grad(first, t, torch.tensor(g))[0] if first.requires_grad else torch.zeros_like(t)
    ours = getattr(gl, name)
    assert_close(ours(x), y.detach().numpy())
    value, pullback = gl.vjp(ours, gl.tensor(x))
    assert_close(value, y.detach().numpy())
    assert_close(pullback(gl.tensor(g))[0], first.detach().numpy())
    _, back = gl.vjp(lambda v: gl.vjp(ours, v)[1](gl.tensor(g))[0], gl.tensor(x))
    assert_close(back(gl.tensor(g))[0], second.numpy())


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("leaky_relu", {"negative_slope": 0.2}),
        ("leaky_relu", {"negative_slope": 1.5}),
        ("elu", {"alpha": 0.7}),
        ("softplus", {"beta": 2.0, "threshold": 3.0}),
        ("gelu", {"approximate": "tanh"}),
    ],
)
def test_parameters_of_activations(name: str, params: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    x = np.linspace(-5, 5, 101) + 0.003
    t = torch.tensor(x, requires_grad=True)
    y = getattr(torch.nn.functional, name)(t, **params)
    (expected,) = torch.autograd.grad(y.sum(), t)
    assert_close(getattr(gl, name)(x, **params), y.detach().numpy())
    assert_close(gradient(lambda v: getattr(gl, name)(v, **params), x), expected.numpy())


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_do_not_overflow(name: str, dtype: str) -> None:
    """Values, slopes and their slopes stay finite for every finite input, and NumPy warns of nothing."""
    largest = 3e4 if dtype == "float16" else 1e18
    x = gl.tensor([-largest, -1e3, -90.0, -1e-4, 0.0, 1e-4, 90.0, 1e3, largest], dtype=dtype)
    f = getattr(gl, name)
    y, pullback = gl.vjp(f, x)
    (dx,) = pullback(gl.ones_like(y))
    assert y.dtype == dx.dtype == x.dtype
    assert np.isfinite(y.numpy().astype(float)).all()
    assert np.isfinite(dx.numpy().astype(float)).all()
    assert np.isnan(float(f(gl.tensor([math.nan], dtype=dtype))))


def test_unknown_approximation() -> None:
    with pytest.raises(ValueError, match="approximate is 'erf'"):
        gl.gelu(gl.tensor([1.0]), approximate="erf")


# -- derivatives where they go wrong


def test_power_at_zero() -> None:
    zero = np.zeros(3)
    assert gradient(lambda x: x**2, zero).tolist() == [0, 0, 0]
    assert gradient(lambda x: x**1, zero).tolist() == [1, 1, 1]
    assert gradient(lambda x: x**0, zero).tolist() == [0, 0, 0]
    assert gradient(lambda x: x**3, zero).tolist() == [0, 0, 0]
    base, exponent = gradient(gl.pow, np.array([0.0, 0.0, 0.0, 2.0]), np.array([0.0, 1.0, 2.0, 0.0]))
    assert base.tolist() == [0, 1, 0, 0]
    assert_close(exponent, [0, 0, 0, math.log(2)])
    assert gradient(lambda x: x**2, np.array([-3.0])).tolist() == [-6]  # no logarithm of a negative base
    assert gradient(lambda x: gl.pow(x, gl.tensor([2.0], dtype="float64")), np.array([-3.0])).tolist() == [-6]


@pytest.mark.parametrize("exponent", [-3, -1, -0.5, 0, 0.5, 1, 2, 3, 7, 8, 9, 2.5])
def test_powers(exponent: float) -> None:
    x = RNG.uniform(0.5, 2, 11)
    assert_close(gl.tensor(x) ** exponent, x**exponent)
    assert_close(gradient(lambda v: v**exponent, x), exponent * x ** (exponent - 1.0))
    assert_close((2.0 ** gl.tensor(x)), 2.0**x)
    assert (gl.tensor([1, 2, 3]) ** 3).tolist() == [1, 8, 27]
    assert (gl.tensor([1, 4, 9]) ** 0.5).dtype == float32


def test_ties_share_the_gradient() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    for f in (gl.maximum, gl.minimum):
        one, other = gradient(f, a, b)
        first = f is gl.minimum
        assert one.tolist() == [float(first), 0.5, float(not first)]
        assert (one + other).tolist() == [1, 1, 1]
    assert gradient(gl.abs, np.array([-2.0, 0.0, 2.0])).tolist() == [-1, 0, 1]
    assert gradient(gl.relu, np.array([-2.0, 0.0, 2.0])).tolist() == [0, 0, 1]
    assert gradient(lambda x: gl.clip(x, -1, 1), np.array([-2.0, -1.0, 0.0, 1.0, 2.0])).tolist() == [0, 1, 1, 1, 0]


def test_clip() -> None:
    x = np.array([-2.0, 0.5, 3.0])
    assert gl.clip(x, 0, 1).tolist() == [0, 0.5, 1]
    assert gl.clip(x, max=1).tolist() == [-2, 0.5, 1]
    assert gl.clip(gl.tensor([1, 5]), 2, 3).tolist() == [2, 3]
    assert gl.clip(x, np.array([0.0, 1.0, 0.0]), None).tolist() == [0, 1, 3]


def test_step_functions_have_zero_gradients() -> None:
    for f in (gl.sign, gl.floor, gl.ceil, gl.trunc, gl.round):
        assert gradient(f, np.array([-1.2, 0.3, 2.5])).tolist() == [0, 0, 0]


def test_where_keeps_what_was_not_chosen_out_of_the_gradient() -> None:
    x = gl.tensor([-1.0, 4.0], requires_grad=True)
    safe = gl.where(x > 0, x, 1.0)
    gl.where(x > 0, gl.sqrt(safe), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]
    y = gl.tensor([2.0, 3.0], requires_grad=True)
    gl.where(gl.tensor([True, False]), y, gl.tensor([math.inf, math.nan])).backward(gl.tensor([1.0, 1.0]))
    assert y.grad.tolist() == [1.0, 0.0]


def test_where_takes_numbers_and_promotes() -> None:
    c = gl.tensor([True, False])
    assert gl.where(c, 1, 0).dtype == "int64"
    assert gl.where(c, 1.5, 0).dtype == float32
    assert gl.where(c, gl.tensor([1, 2]), 0.5).dtype == float32
    assert gl.where(c, gl.tensor([1.0, 2.0], dtype="float16"), 1).dtype == "float16"
    assert gl.where(gl.tensor([2, 0]), 1.0, 2.0).tolist() == [1, 2]
    assert gl.where(True, gl.tensor([1.0]), 2.0).tolist() == [1]
    assert gl.where(c, gl.tensor([1.0]), np.array([2.0])).dtype == float64


def test_infinite_slope_of_the_root() -> None:
    with np.errstate(divide="ignore"):
        assert gradient(gl.sqrt, np.array([0.0, 4.0])).tolist() == [math.inf, 0.25]


def test_ops_without_a_derivative_give_constants() -> None:
    x = gl.tensor([1.0], requires_grad=True)
    assert not (x > 0).requires_grad
    assert not gl.isnan(x).requires_grad
    with pytest.raises(gl.GradientError):
        (x == x).sum().backward()


# -- dtypes


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if PRIMITIVES[n].differentiable])
def test_gradients_keep_their_dtype(name: str) -> None:
    op = PRIMITIVES[name]
    sample = op.samples()[0]  # type: ignore[misc]
    for dtype in FLOATING:
        args = [gl.tensor(a, requires_grad=a.dtype == dtype) for a in draw(sample, dtype, 0)]
        y = op(*args, **sample.params)
        assert y.dtype == (complex_of(dtype) if name == "complex" else dtype)
        y.backward(gl.ones_like(y))
        assert all(a.grad is not None and a.grad.dtype == dtype for a in args if a.requires_grad)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_infer_agrees_for_integers_and_bool(name: str) -> None:
    """What `infer` says of integers and bool is what comes out, or is an error."""
    op = PRIMITIVES[name]
    sample = op.samples()[0]  # type: ignore[misc]
    taken = 0
    for dtype in (*INTEGER, bool_):
        args = [np.ones((2, 3), bool_ if n == "condition" else dtype) for n in op.inputs]
        try:
            spec = op.infer(*[Spec(a.shape, a.dtype) for a in _promoted(op, args)], **sample.params)
        except gl.DTypeError:
            with pytest.raises(gl.DTypeError, match=f"{name}.*not defined for {dtype}"):
                op(*args, **sample.params)
            continue
        with np.errstate(divide="ignore"):  # of atanh(1)
            y = op(*args, **sample.params)
        assert (y.shape, y.dtype) == spec
        taken += 1
    assert taken


def _promoted(op: Primitive, args: list[Any]) -> list[Any]:
    return [a.astype(float32) for a in args] if op.promote == "float" else args


def test_python_numbers_are_weak() -> None:
    for dtype in FLOATING:
        x = gl.tensor([1.0, 2.0], dtype=dtype)
        for y in (x + 1, 1 - x, x * 2.5, 1 / x, x**2, 2**x, gl.maximum(x, 0), gl.atan2(x, 1.0), np.float64(2.0) * x):
            assert y.dtype == dtype
    assert (gl.tensor([1, 2]) + 1).dtype == "int64"
    assert (gl.tensor([1, 2]) * 1.5).dtype == float32
    assert (gl.tensor([1, 2], dtype="uint8") / 2).dtype == float32
    assert (gl.tensor([True]) + 1).dtype == "int64"


def test_numbers_lose_no_digits_in_gradients() -> None:
    """A number is of the other operand's dtype in the derivative too."""
    x = np.array([0.7, 1.9])
    assert_close(gradient(lambda v: gl.atan2(v, 0.1), x), 0.1 / (x**2 + 0.01))
    assert_close(gradient(lambda v: gl.atan2(np.float64(0.1), v), x), -0.1 / (x**2 + 0.01))
    assert_close(gradient(lambda v: 2.1**v, x), 2.1**x * math.log(2.1))
    assert_close(gradient(lambda v: v ** np.float64(2.1), x), 2.1 * x**1.1)
    assert_close(gradient(lambda v: v / 0.1 - 0.3 * v, x), np.full(2, 9.7))
    assert_close(gradient(lambda v: gl.where(v > 1, v * 0.1, 0.3 * v), x), [0.3, 0.1])


def test_cast() -> None:
    x = gl.tensor([1.5, -2.5], requires_grad=True)
    assert gl.cast(x, "float32") is x
    y = x.to("float64")
    (y * gl.tensor([2.0, 3.0], dtype="float64")).sum().backward()
    assert x.grad.dtype == float32
    assert x.grad.tolist() == [2, 3]
    assert not x.cast(gl.int32).requires_grad


# -- errors


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(gl.ShapeError, match=r"add\(x1, x2\): shapes \(2, 3\) and \(4,\) do not broadcast"):
        gl.ones((2, 3)) + gl.ones(4)
    with pytest.raises(gl.ShapeError, match=r"where\(condition, x1, x2\)"):
        gl.where(gl.ones(3) > 0, gl.ones(2), 0.0)


def test_dtypes_that_an_op_does_not_take() -> None:
    with pytest.raises(gl.DTypeError) as caught:
        gl.subtract(gl.tensor([True]), gl.tensor([False]))
    assert str(caught.value) == (
        "subtract(x1, x2): not defined for bool\n  x1: bool[1]\n  x2: bool[1]\n"
        "  need a number, not bool: x.to(gl.int64)"
    )
    with pytest.raises(gl.DTypeError, match="need an integer dtype or bool"):
        gl.tensor([1.0]) & gl.tensor([1.0])
    with pytest.raises(gl.DTypeError, match="is of type str"):
        gl.add(gl.tensor([1.0]), "1")
    with pytest.raises(gl.DTypeError, match="300 does not fit uint8"):
        gl.tensor([1], dtype="uint8") + 300
    with pytest.raises(gl.DTypeError, match="dtype 'complex256' is not supported"):
        gl.cast(gl.tensor([1.0]), "complex256")
