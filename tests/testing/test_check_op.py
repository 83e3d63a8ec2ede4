"""A test of the tests: every kind of fault that `check_op` promises to find, planted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from gradlib import backend as backends
from gradlib.core import PRIMITIVES, fused, leaf, op, sample, update
from gradlib.core.update import UPDATES
from gradlib.kernel import Kernel, ctype
from gradlib.spec import Spec
from gradlib.testing import assert_close, check_op, check_update

SQUARE = """
#include "gradlib/core.cuh"
#ifndef T
#define T float
#endif
#ifndef FACTOR
#define FACTOR 1.0
#endif
extern "C" __global__ void square(const T* x, const T* g, T* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    auto v = to_acc(x[i]);
    y[i] = from_acc<T>(acc_t<T>(FACTOR) * v * (g ? to_acc(g[i]) : v));
  }
}
"""
_square = Kernel.from_source("planted.cu", SQUARE, "square", "x g y | n")


@pytest.fixture(autouse=True)
def planted() -> Iterator[None]:
    """Forget the ops a test declares."""
    primitives, updates = dict(PRIMITIVES), dict(UPDATES)
    yield
    for table, before in ((PRIMITIVES, primitives), (UPDATES, updates)):
        table.clear()
        table.update(before)


def samples() -> list[Any]:
    return [sample((3, 5)), sample((0, 2))]


def declare(rule: Callable[..., Any], impl: Callable[..., Any] | None = None, infer: Any = None, **more: Any) -> Any:
    return leaf("planted", infer=infer or (lambda x: x), vjp=(rule,), saves=("x ans",), samples=samples, **more)(
        impl or (lambda xp, x: xp.multiply(x, x))
    )


def right(g: Any, ans: Any, x: Any) -> Any:
    return op.multiply(op.multiply(g, x), 2.0)


def test_a_right_op_passes() -> None:
    check_op(declare(right))
    check_op(declare(right, broadcasts=True))


def test_wrong_factor_in_the_derivative() -> None:
    with pytest.raises(AssertionError, match="vjp against finite differences"):
        check_op(declare(lambda g, ans, x: op.multiply(g, x)))


def test_wrong_second_derivative() -> None:
    def rule(g: Any, ans: Any, x: Any) -> Any:  # right to first order; its own derivative ignores x
        constant = x.detach() if hasattr(x, "detach") else x
        return op.multiply(op.multiply(g, constant), 2.0)

    with pytest.raises(AssertionError, match="second order against finite differences"):
        check_op(declare(rule))


def test_hand_written_jvp_that_is_not_the_vjps_adjoint() -> None:
    def jvp(ts: Any, ans: Any, x: Any) -> Any:
        return op.multiply(op.multiply(ts[0], x), 2.0000001)

    with pytest.raises(AssertionError, match="adjoint identity"):
        check_op(declare(right, jvp=jvp), dtypes=["float64"])


def test_input_changed() -> None:
    def impl(xp: Any, x: Any) -> Any:
        y = x * x
        x += 1
        return y

    with pytest.raises(AssertionError, match="an input was changed"):
        check_op(declare(right, impl))


def test_infer_that_disagrees() -> None:
    with pytest.raises(AssertionError, match="infer says"):
        check_op(declare(right, infer=lambda x: Spec((*x.shape, 1), x.dtype)))


def test_result_that_differs_from_run_to_run() -> None:
    count = iter(range(1000))

    def impl(xp: Any, x: Any) -> Any:
        return xp.multiply(x, x) * (1 + 1e-15 * next(count))

    with pytest.raises(AssertionError, match="a second run gives other bits"):
        check_op(declare(right, impl), dtypes=["float64"])


def test_gradient_of_another_dtype() -> None:
    with pytest.raises(AssertionError, match=r"float32 on cpu: .*(float64|infer says)"):
        check_op(declare(right, lambda xp, x: (x * x).astype(np.float64)), dtypes=["float32"])


def squaring(forward: Any = None, backward: Any = None) -> Any:
    prim = fused("planted", infer=lambda x: x, samples=samples)(lambda x: op.multiply(x, x))
    if forward is not None:
        prim.kernel("cuda")(lambda x: launch(x, None, forward))
    if backward is not None:
        prim.backward.kernel("cuda")(lambda x, g, *residuals, needs: (launch(x, g, backward),))
    return prim


def launch(x: Any, g: Any, factor: float) -> Any:
    y = backends.backend_of(x).empty(x.shape, x.dtype)
    if y.size:
        _square(-(-y.size // 32), 32, x, g, y, y.size, T=ctype(x.dtype), FACTOR=str(factor))
    return y


def test_right_kernels_pass(sim: str) -> None:
    report = check_op(squaring(1.0, 2.0), device=sim)
    assert report.launched == {"square"}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_wrong_kernels(sim: str, dtype: str) -> None:
    with pytest.raises(AssertionError, match="output 0: relative error"):
        check_op(squaring(1.05), device=sim, dtypes=[dtype])
    with pytest.raises(AssertionError, match="gradient 0: relative error"):
        check_op(squaring(1.0, 2.1), device=sim, dtypes=[dtype])


def test_kernels_that_differ_from_run_to_run(sim: str) -> None:
    factors = itertools.cycle((1.0, 1.0 + 1e-15))
    prim = squaring(1.0, 2.0)
    prim.kernel("cuda")(lambda x: launch(x, None, next(factors)))
    with pytest.raises(AssertionError, match="a second run gives other bits"):
        check_op(prim, device=sim, dtypes=["float64"])
    prim = squaring(1.0)
    prim.backward.kernel("cuda")(lambda x, g, *residuals, needs: (launch(x, g, 2 * next(factors)),))
    with pytest.raises(AssertionError, match="gradient 0: a second backward gives other bits"):
        check_op(prim, device=sim, dtypes=["float64"])


def test_declared_kernel_that_is_not_launched(sim: str) -> None:
    prim = squaring()
    prim.kernel("cuda")(lambda x: backends.backend_of(x).coerce(x * x))
    with pytest.raises(AssertionError, match="a kernel is declared for planted, and none was launched"):
        check_op(prim, device=sim)


def test_a_launcher_that_declines_is_reported(sim: str) -> None:
    prim = squaring()
    prim.kernel("cuda")(lambda x: NotImplemented)
    report = check_op(prim, device=sim)
    assert "map_multiply" in report.launched  # the definition's own op
    assert report.declined == ["planted(float[3, 5], {})", "planted(float[0, 2], {})"]


def test_update_that_writes_the_wrong_thing() -> None:
    @update("planted_update", writes="x", samples=lambda: [sample((3,), (3,))])
    def wrong(x: Any, y: Any) -> tuple[Any, ...]:
        return (op.add(x, y),)

    check_update(wrong)

    @wrong.kernel("cpu")
    def _(x: Any, y: Any) -> None:
        x += y
        y += 1

    with pytest.raises(AssertionError, match="y was changed"):
        check_update(wrong)


def test_assert_close_names_the_worst_entry() -> None:
    with pytest.raises(AssertionError, match=r"relative error .* at index \(1,\)"):
        assert_close(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.1, 3.0]))
    with pytest.raises(AssertionError, match=r"shape \(2,\), expected \(3,\)"):
        assert_close(np.zeros(2), np.zeros(3))
    with pytest.raises(AssertionError, match="inf"):
        assert_close(np.array([1.0, np.nan]), np.array([1.0, 1.0]))
    assert_close(np.array([np.nan, np.inf]), np.array([np.nan, np.inf]))
