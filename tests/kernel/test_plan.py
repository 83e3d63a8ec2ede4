"""Plans: a launcher is asked once, and its launches are made again for other arrays; for each setting its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import backend as backends
from gradlib.backend import watch
from gradlib.core import Primitive, Tensor
from gradlib.kernel import Kernel, Planner, launches, plan, without_plans
from gradlib.ops.precision import passes
from gradlib.ops.product import choice
from gradlib.testing.tolerance import assert_close

Array = Any

_TEXT = """
extern "C" __global__ void toy(const float* a, const float* b, float* y, int n, float factor, double by) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = float(by) * (factor * a[i] - (b ? b[i] : 0.0f));
}
"""
_SHAPE = (3, 4)


@pytest.fixture(autouse=True)
def _in_the_fast_build() -> Iterator[None]:
    """Which GRADLIB_SIM=checked, under which every launcher runs, is not."""
    with backends.checked(False):
        yield


class Toy:
    """y = by (factor a - b), where factor is a setting of the thread; `asked` counts the calls of its launcher."""

    def __init__(self, finish: Callable[[Array], Array] = lambda y: y) -> None:
        self.asked = 0
        self.kernel = Kernel.from_source("toy.cu", _TEXT, "toy", "a b y | n factor by")

        def toy(xp: Any, a: Array, b: Array | None = None, *, by: float = 1.0) -> Array:
            raise AssertionError("the launcher serves every call")

        self.op = Primitive("toy", toy, fused=False, infer=lambda a, b=None, *, by: a, vjp=(None, None))

        @self.op.kernel("sim", planned=True)
        def _(a: Array, b: Array | None, *, by: float) -> Array:
            self.asked += 1
            y = backends.backend_of(a).empty(a.shape, a.dtype)
            self.kernel(1, 32, a, b, y, a.size, float(passes()), by)
            return finish(y)

    @property
    def plans(self) -> int:
        assert self.op.planner is not None
        return len(self.op.planner.plans)

    def __call__(self, a: Array, b: Array | None = None, by: float = 1.0) -> Any:
        """Call the op and check its result."""
        y = self.op(a, b, by=by)
        expected = np.float32(by) * (np.float32(passes()) * np.asarray(a) - (0 if b is None else np.asarray(b)))
        np.testing.assert_array_equal(np.asarray(y), expected)
        np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))
        return y


def _new(seed: int = 0, shape: tuple[int, ...] = _SHAPE) -> Array:
    values = np.random.default_rng(seed).uniform(1, 2, shape)
    return backends.get("sim").asarray(values.astype(np.float32))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call of a kind is written down."""
    monkeypatch.setattr(plan, "_PATIENCE", 2)


@pytest.fixture
def toy(sim: str) -> Toy:
    return Toy()


def test_only_what_comes_often_is_written_down(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_PATIENCE", 5)
    for calls in range(1, 9):
        toy(_new())
        assert (toy.asked, toy.plans) == (min(calls, 5), int(calls >= 5))


def test_the_third_call_of_a_kind_does_not_ask(toy: Toy) -> None:
    for seed in range(4):
        toy(_new(seed), _new(9))
    assert (toy.asked, toy.plans) == (2, 1)
    for other in (_new(shape=(2, 4)), _new(shape=(4, 3)), _new(shape=(12,))):
        toy(other, other)
    assert toy.asked == 5


def test_a_plan_reads_as_what_it_does(toy: Toy) -> None:
    for _ in range(2):
        toy(_new())
    assert toy.op.planner is not None
    [found] = toy.op.planner.plans
    lines = [line.strip() for line in found.text.splitlines()]
    assert lines[:4] == ["def run(arrays):", "(x0, x1,) = arrays", "a0 = pointer(x0)", "if (a0) & 15: return None"]
    assert lines[4].startswith("x2 = make((3, 4), ")
    assert lines[6].endswith("((a0, 0, a2, ))")
    assert lines[7] == "return x2, ()"


def test_each_precision_has_its_own(toy: Toy) -> None:
    for _ in range(4):
        for precision in ("highest", "high", "medium"):
            with gl.matmul_precision(precision):
                toy(_new())
    assert (toy.asked, toy.plans) == (6, 3)


def test_the_precision_is_that_of_the_thread(toy: Toy) -> None:
    for _ in range(3):
        toy(_new())
    wrong: list[BaseException] = []

    def other() -> None:
        try:
            gl.set_matmul_precision("medium")
            for seed in range(20):
                toy(_new(seed), _new(1))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=other) for _ in range(3)]
    for thread in threads:
        thread.start()
    for seed in range(20):
        toy(_new(seed), _new(1))
    for thread in threads:
        thread.join()
    assert wrong == []


def test_parameters_have_their_own_down_to_the_sign_of_zero(toy: Toy) -> None:
    for _ in range(4):
        for by in (2.0, 0.0, -0.0, 1.0):
            toy(_new(), by=by)
    assert toy.plans == 3
    assert toy.asked == 2 * 3 + 4  # -0.0 is of the kind of 0.0, and not the same


def test_an_input_passed_twice_and_two_inputs(toy: Toy) -> None:
    a = _new()
    for _ in range(3):
        toy(a, a)
    toy(_new(1), _new(2))
    assert toy.asked == 2
    both = _new(shape=(8,))
    for _ in range(3):
        toy(both[:4], both[:4])  # the same memory in two arrays
    assert toy.asked == 5
    for seed in range(3):
        toy(both[:4], _new(seed, (4,)))
    assert toy.asked == 6


def test_an_input_passed_twice_of_which_no_copy_is_alike(sim: str) -> None:
    a = gl.asarray(_new(shape=(6, 12)))
    for step in (1, 2, 2, 1, 2, 1):
        part = Tensor(a.data[:, ::step])  # matmul reads any strides
        got = gl.matmul(part, part.T).numpy()
        np.testing.assert_allclose(got, part.numpy() @ part.numpy().T, rtol=1e-5)
        square = Tensor(a.data[:, : 6 * step : step])
        np.testing.assert_allclose(gl.matmul(square, square).numpy(), square.numpy() @ square.numpy(), rtol=1e-5)
    other = [Tensor(_new(n, (6, 12))[:, ::2]) for n in (3, 4)]
    np.testing.assert_allclose(gl.matmul(*other).numpy(), other[0].numpy() @ other[1].numpy(), rtol=1e-5)


def test_what_begins_between_multiples_of_16_bytes_asks(toy: Toy) -> None:
    whole = _new(shape=(13,))
    for start in (1, 1, 0, 0, 1, 4):
        toy(whole[start : start + 8])
    assert (toy.asked, toy.plans) == (4, 1)


def test_what_is_not_contiguous_is_copied_and_then_planned(toy: Toy) -> None:
    for _ in range(4):
        toy(_new(shape=(4, 6)).T)
    assert (toy.asked, toy.plans) == (2, 1)


def test_the_log_the_checked_build_and_the_tuner_see_every_launcher(toy: Toy) -> None:
    for _ in range(3):
        toy(_new())
    with launches() as log:
        toy(_new())
    assert [record.entry for record in log] == ["toy"]
    with backends.checked():
        toy(_new())
    with without_plans():
        toy(_new())
    with choice.answering(lambda question: None):
        toy(_new())
    assert toy.asked == 2 + 4
    toy(_new())
    assert toy.asked == 6


def test_plans_are_forgotten_when_launchers_would_do_otherwise(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        toy(_new())
    Planner.forget()
    toy(_new())
    assert (toy.asked, toy.plans) == (3, 0)
    toy(_new())
    backend = backends.get("sim")
    monkeypatch.setattr(type(backend), "limits", replace(backend.limits, multiprocessors=7))
    toy(_new())
    assert toy.asked == 5


def test_only_so_many_are_kept(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_KINDS", 3)
    for n in range(1, 9):
        for _ in range(3):
            toy(_new(shape=(n,)))
        assert 1 <= toy.plans <= 3


def _filled(y: Array) -> Array:
    watch.spoil()
    y[...] = -y
    return -y


@pytest.mark.parametrize("finish", [_filled, lambda y: (2 * y) / 2, lambda y: y.reshape(*y.shape)])
def test_what_does_more_than_launch_has_no_plan(sim: str, finish: Any) -> None:
    toy = Toy(finish)
    for _ in range(4):
        toy(_new())
    assert (toy.asked, toy.plans) == (4, 0)


def test_a_launcher_that_fails_is_asked_again(sim: str) -> None:
    failing = [False, True, False, False, False]

    def finish(y: Array) -> Array:
        if failing.pop(0):
            raise MemoryError
        return y

    toy = Toy(finish)
    toy(_new())
    with pytest.raises(MemoryError):
        toy(_new())
    for _ in range(3):
        toy(_new())
    assert (toy.asked, toy.plans) == (3, 1)
    with launches() as log:  # nobody records any more
        toy(_new())
    assert len(log) == 1


def test_what_is_put_on_the_tape_is_the_same(sim: str) -> None:
    noted = []
    for seed in range(4):
        x, w = (Tensor(_new(seed + k, (4, 4)), requires_grad=True) for k in (0, 5))
        y = gl.nn.functional.dense(x, w, activation="gelu")
        z = gl.add(y, w)
        assert y.node is not None
        assert z.node is not None
        noted.append((y.node.outputs, [*z.node.inputs], z.node.outputs, [r.shape for r in y.node.residuals]))
        z.sum().backward()
        exact = [Tensor(t.numpy().astype(np.float64), requires_grad=True) for t in (x, w)]
        expected = gl.add(gl.nn.functional.dense(*exact, activation="gelu"), exact[1])
        expected.sum().backward()
        for got, true in ((z, expected), (x.grad, exact[0].grad), (w.grad, exact[1].grad)):
            assert got is not None
            assert_close(got, true)
    assert noted[0] == noted[-1]


def test_numbers_are_moved_no_more_than_twice_and_keep_their_sign(sim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = backends.get("sim")
    monkeypatch.setattr(backend, "_constants", {})
    x = Tensor(_new(), requires_grad=True)

    def check() -> None:
        assert (x / 0.0).numpy().min() == np.inf
        assert (x / -0.0).numpy().max() == -np.inf
        assert (x * 3).numpy().tolist() == (x * 3.0).numpy().tolist() == (3 * x).numpy().tolist()

    check()
    check()
    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "asarray", None)  # they are there
        check()
    monkeypatch.setattr("gradlib.core.constants._CONSTANTS", 4)
    for n in range(10):
        np.testing.assert_allclose((x + n).numpy(), x.numpy() + np.float32(n), rtol=1e-6)
        assert len(backend.constants()) <= 4
