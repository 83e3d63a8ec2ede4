"""The tape itself: what it keeps, frees, refuses, and that it needs no recursion."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import PRIMITIVES, Tensor, fused, jvp, leaf, op, vjp
from gradlib.spec import Spec


def numpy_of(x: object) -> np.ndarray:
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def test_a_value_used_twice_sums_over_its_paths() -> None:
    x = gl.tensor([1.0, 2.0, 3.0], dtype="float64", requires_grad=True)
    y1, y2 = x * x, gl.exp(x)
    (y1 * y2 + y1).sum().backward()
    v = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(x.grad.numpy(), np.exp(v) * (v * v + 2 * v) + 2 * v, rtol=1e-14)


def test_gradients_accumulate_and_may_be_assigned() -> None:
    x = gl.tensor(3.0, requires_grad=True)
    (x * x).backward()
    (x * x).backward()
    assert x.grad.item() == 12.0
    x.grad = None
    (x * 2.0).backward()
    assert x.grad.item() == 2.0


def test_leaf_backward_is_its_own_gradient() -> None:
    x = gl.tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1.0


def test_long_chain_neither_recurses_nor_overflows_when_freed() -> None:
    x = gl.tensor(0.0, dtype="float64", requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0
    del y  # a recursive destructor would end the process here


def test_graph_is_freed_without_the_cycle_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        x = gl.tensor(np.ones(1000), requires_grad=True)
        y = gl.exp(x * 2.0)
        node, array = weakref.ref(y.node), weakref.ref(y.data)
        z = gl.sum(y)
        z.backward(retain_graph=True)
        del y, z
        assert node() is None
        assert array() is None
    finally:
        gc.enable()


def test_backward_frees_what_was_kept() -> None:
    x = gl.tensor(np.ones(10), requires_grad=True)
    y = gl.exp(x)
    inside = weakref.ref((z := y * y).node)
    gl.sum(z).backward()
    assert inside().inputs is None


def test_only_what_the_derivative_reads_is_kept() -> None:
    x = gl.tensor(np.ones(10), requires_grad=True)
    c = gl.tensor(np.ones(10))
    assert all(isinstance(i, Spec) for i in (x + c).node.inputs)
    kept = (x * c).node.inputs
    assert isinstance(kept[0], Spec)
    assert kept[1] is c


def test_no_grad_records_nothing_and_nests() -> None:
    x = gl.tensor(2.0, requires_grad=True)
    with gl.no_grad():
        assert not (x * x).requires_grad
        with gl.enable_grad():
            assert (x * x).requires_grad
        assert not gl.is_grad_enabled()
    assert gl.is_grad_enabled()

    @gl.no_grad()
    def f(n: int) -> Tensor:
        return f(n - 1) * x if n else x * x

    assert not f(3).requires_grad
    assert gl.is_grad_enabled()


def test_tape_is_per_thread() -> None:
    seen = []

    def other() -> None:
        seen.append(gl.is_grad_enabled())

    with gl.no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == [True]


def test_nothing_is_recorded_for_plain_arrays() -> None:
    y = gl.exp(np.ones(3, np.float32))
    assert type(y) is np.ndarray
    assert y.dtype == np.float32
    assert type(gl.sum(y)) is np.ndarray


@pytest.mark.parametrize("expression", [lambda t, a: a * t, lambda t, a: t * a, lambda t, a: a - t, lambda t, a: a @ t])
def test_arrays_beside_tensors_are_constants(expression: object) -> None:
    a = np.arange(4.0).reshape(2, 2)
    t = gl.tensor([[1.0, 2.0], [3.0, 4.0]], dtype="float64", requires_grad=True)
    y = expression(t, a)
    assert isinstance(y, Tensor)
    np.testing.assert_allclose(y.detach().numpy(), expression(np.array([[1.0, 2.0], [3.0, 4.0]]), a))


def test_scalars_do_not_promote() -> None:
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        x = gl.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
        y = (2.0 * x + 1) / 3 - np.float64(0.5) * x**2
        assert y.dtype == x.dtype
        y.sum().backward()
        assert x.grad.dtype == x.dtype


def test_views_share_the_version_of_their_buffer() -> None:
    w = gl.tensor(np.ones((2, 3)), requires_grad=True)
    x = gl.tensor(np.ones((2, 2)), requires_grad=True)
    y = (x @ w.reshape(2, 3).mT.mT).sum()
    with gl.no_grad():
        w.assign(np.zeros((2, 3)))
    with pytest.raises(gl.GradientError, match="changed in place"):
        y.backward()


def test_assigning_a_detached_result_does_not_reach_the_tape() -> None:
    x = gl.tensor([0.5, 1.0], dtype="float64", requires_grad=True)
    y = gl.exp(x)
    z = (y * y).sum()
    d = y.detach()
    d.assign([0.0, 0.0])
    assert d.tolist() == [0.0, 0.0]
    z.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(2 * np.array([0.5, 1.0])))


def test_assigning_a_view_of_a_result_does_not_reach_the_tape() -> None:
    x = gl.tensor([0.5, 1.0], dtype="float64", requires_grad=True)
    y = gl.exp(x)
    with gl.no_grad():
        view = y.reshape(2, 1)
    view.assign([[0.0], [0.0]])
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp([0.5, 1.0]))


def test_a_copy_made_by_assign_is_a_change_too() -> None:
    x = gl.tensor([1.0, 2.0], dtype="float64", requires_grad=True)
    x.reshape(2).sum().backward()  # x has a version
    x.assign([3.0, 4.0])
    w = gl.tensor([1.0, 1.0], dtype="float64", requires_grad=True)
    d = x.reshape(2).detach()
    y = (d * w).sum()
    d.assign([0.0, 0.0])
    with pytest.raises(gl.GradientError, match="changed in place"):
        y.backward()


def test_gradients_share_no_memory_with_each_other_nor_with_the_given_one() -> None:
    x, z = (gl.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    g = gl.tensor([3.0, 4.0])
    (x + z).backward(g)
    g.assign([0.0, 0.0])
    assert x.grad.tolist() == [3.0, 4.0]
    x.grad.assign([5.0, 5.0])
    assert z.grad.tolist() == [3.0, 4.0]
    given = np.array([3.0, 4.0], np.float32)
    y = gl.tensor([1.0, 2.0], requires_grad=True)
    y.backward(given)
    given[:] = 0
    assert y.grad.tolist() == [3.0, 4.0]


def test_assign_does_not_cut_numbers() -> None:
    n = gl.tensor([1, 2])
    with pytest.raises(gl.DTypeError, match="cut from float"):
        n.assign([1.5, 2.0])
    with pytest.raises(gl.DTypeError, match="cut from int64"):
        gl.tensor([True]).assign([2])
    assert n.assign([3, 4]).tolist() == [3, 4]
    assert gl.tensor([1.0], dtype="bfloat16").assign([0.5]).tolist() == [0.5]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_leaves_are_copied_and_pickled_results_are_not(duplicate: Callable[[Tensor], Tensor]) -> None:
    x = gl.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = duplicate(x)
    assert y.requires_grad
    assert y.grad.tolist() == [2.0, 4.0]
    y.assign([7.0, 7.0])
    assert x.tolist() == [1.0, 2.0]
    with pytest.raises(gl.GradientError, match="result of multiply"):
        duplicate(x * x)


def test_a_failing_backward_leaves_the_gradients_as_they_were() -> None:
    x = gl.tensor(2.0, requires_grad=True)
    w = gl.tensor(3.0, requires_grad=True)
    y = x * w + x
    w.assign(1.0)
    with pytest.raises(gl.GradientError):
        y.backward()
    assert x.grad is None


def test_second_order_by_nested_vjp() -> None:
    a = np.array([0.3, 0.5])

    def gradient(x: object) -> object:
        return vjp(lambda t: gl.sum(gl.exp(t) * t), [x], [True])[1]([np.ones(())])[0]

    np.testing.assert_allclose(numpy_of(gradient(a)), np.exp(a) * (1 + a))
    twice = vjp(lambda t: gl.sum(op.multiply(gradient(t), np.array([1.0, 0.0]))), [a], [True])[1]([np.ones(())])[0]
    np.testing.assert_allclose(numpy_of(twice), np.exp(a) * (2 + a) * [1, 0])
    forward = jvp(gradient, [a], [np.array([1.0, 0.0])])[1][0]
    np.testing.assert_allclose(numpy_of(forward), np.exp(a) * (2 + a) * [1, 0])


def test_users_own_fused_op_has_every_derivative() -> None:
    @fused("test_users_own", infer=lambda x: x)
    def swish(x: object) -> object:
        return op.multiply(x, op.sigmoid(x))

    try:
        gl.testing.gradcheck(swish, np.array([0.1, -2.0, 3.0]))
        gl.testing.gradcheck(gl.grad(lambda x: gl.sum(swish(x))), np.array([0.1, -2.0, 3.0]))
    finally:
        del PRIMITIVES["test_users_own"]


def test_fused_op_may_leave_an_output_out(sim: str) -> None:
    @fused("test_left_out", infer=lambda x, y=None: (x, y), outputs=2)
    def both(x: object, y: object = None) -> object:
        return op.sin(x), None if y is None else op.exp(y)

    @both.kernel("cuda")
    def _(x: np.ndarray, y: np.ndarray | None) -> object:
        return np.sin(x), None if y is None else np.exp(y)

    try:
        v = np.array([0.3, 1.0])
        x = gl.tensor(v, requires_grad=True, device=sim)
        both(x)[0].sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), np.cos(v))
        _, tangent = gl.jvp(lambda x: both(x)[0], (x.detach(),), (x.detach(),))
        np.testing.assert_allclose(tangent.numpy(), np.cos(v) * v)
        _, tangent = gl.jvp(lambda x: both(x, x)[1], (x.detach(),), (x.detach(),))
        np.testing.assert_allclose(tangent.numpy(), np.exp(v) * v)
    finally:
        del PRIMITIVES["test_left_out"]


def test_wrong_derivative_is_caught() -> None:
    @leaf("test_wrong_square", infer=lambda x: x, vjp=(lambda g, ans, x: op.multiply(g, x),), saves=("x",))
    def wrong(xp: object, x: object) -> object:
        return x * x

    try:
        with pytest.raises(
            AssertionError, match=r"vjp, input 0: entry \(\d,\) is .* by the tape, .* by finite differences"
        ):
            gl.testing.gradcheck(wrong, np.array([1.5, 2.0]))
    finally:
        del PRIMITIVES["test_wrong_square"]
