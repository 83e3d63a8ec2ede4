"""gl.debug: the op, the line; hooks on gradients."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import Tensor, primitive
from gradlib.core.apply import apply


def here(offset: int = 0) -> str:
    """The line of the caller, as an error names it."""
    frame = inspect.currentframe().f_back
    return f"{__file__}:{frame.f_lineno + offset} in"


def test_stops_at_the_first_nan_forward() -> None:
    def f(x: Tensor) -> Tensor:
        y = x * 2.0
        lines.append(here(1))
        y = gl.sqrt(y)
        return gl.exp(y)

    lines: list[str] = []
    with gl.debug(nans=True), pytest.raises(gl.GradientError) as caught:
        f(gl.tensor([1.0, -1.0, 4.0]))
    assert "sqrt(x): made 1 NaN of 3 elements" in str(caught.value)
    assert lines[0] in str(caught.value)


def test_stops_at_the_first_inf_and_lets_masks_pass() -> None:
    with gl.debug(nans=True):
        with pytest.raises(gl.GradientError, match=r"divide\(x1, x2\): made 1 Inf of 2 elements"):
            gl.tensor([1.0, 2.0]) / gl.tensor([1.0, 0.0])
        masked = gl.where(gl.tensor([True, False]), gl.tensor([1.0, 2.0]), -np.inf)
        assert gl.softmax(masked).tolist() == [1.0, 0.0]
        with pytest.raises(gl.GradientError, match=r"add.*: got NaN in x1"):
            gl.tensor([np.nan]) + 1.0


def test_backward_names_both_lines() -> None:
    x = gl.tensor([0.0, 1.0], requires_grad=True)
    with gl.debug(nans=True):
        line = here(1)
        y = gl.sqrt(x)
        with pytest.raises(gl.GradientError) as caught:
            gl.sum(y).backward()
    assert "divide(x1, x2): made 1 Inf" in str(caught.value)
    assert "in the backward of sqrt" in str(caught.value)
    assert line in str(caught.value)


def test_inside_fused_ops_vmap_and_grad() -> None:
    x = np.array([[1.0, 1.0], [2.0, 2.0]])
    with gl.debug(nans=True):
        for f in (
            lambda: gl.vmap(lambda r: gl.log(gl.sum(r) - 2.0))(x),
            lambda: gl.grad(lambda t: gl.sum(gl.log(t - 1.0)))(x),
            lambda: gl.grad(lambda t: gl.sum(gl.var(t, axis=1) ** 0.5))(x),
        ):
            with pytest.raises(gl.GradientError, match=r"made . Inf|made . NaN"):
                f()


def test_an_error_of_the_backward_names_the_line() -> None:
    @gl.leaf("test_wrong_rule", infer=lambda x: x, vjp=(lambda g, ans, x: gl.reshape(g, (7,)),))
    def wrong(xp: object, x: np.ndarray) -> np.ndarray:
        return x.copy()

    try:
        x = gl.ones((3,), requires_grad=True)
        with gl.debug(nans=False):
            line = here(1)
            y = wrong(x)
            with pytest.raises(gl.ShapeError, match="in the backward of test_wrong_rule") as caught:
                gl.sum(y).backward()
        assert line in str(caught.value)
    finally:
        del gl.core.PRIMITIVES["test_wrong_rule"]


def test_the_line_of_functions_with_a_backward_of_their_own() -> None:
    @gl.custom_vjp
    def f(x: Tensor) -> Tensor:
        return gl.sin(x)

    f.defvjp(lambda x: (gl.sin(x), x), lambda x, g: (gl.ones((3,)),))
    x = gl.ones((2,), requires_grad=True)
    with gl.debug():
        line = here(1)
        y = f(x)
        with pytest.raises(gl.ShapeError, match=r"in the backward of custom_vjp\(f\)") as caught:
            gl.sum(y).backward()
        assert line in str(caught.value)
        line = here(1)
        y = gl.checkpoint(gl.sqrt)(x * 0.0)
        with pytest.raises(gl.GradientError, match=r"in the backward of sqrt|in the backward of checkpoint") as caught:
            gl.sum(y).backward()
        assert line in str(caught.value)


def test_without_debug_an_error_of_the_backward_says_how_to_find_the_line() -> None:
    x, w = (gl.ones((2,), requires_grad=True) for _ in range(2))
    y = gl.sum(x * w)
    w.assign([3.0, 4.0])
    with pytest.raises(gl.GradientError, match=r"gl\.debug\(\) around the computation names the line of multiply"):
        y.backward()
    z = gl.sum(gl.exp(x))
    z.backward()
    with pytest.raises(gl.GradientError, match=r"already used(.|\n)*gl\.debug\(\)"):
        z.backward()


def test_nothing_remains_of_it() -> None:
    with gl.debug(), gl.debug(nans=False):
        assert primitive._apply is not apply
    assert primitive._apply is apply
    with np.errstate(invalid="ignore"):
        assert np.isnan(gl.sqrt(gl.tensor(-1.0)).item())


def test_hooks() -> None:
    x = gl.tensor([1.0, 2.0], requires_grad=True)
    seen: list[object] = []
    y = x * x
    y.register_hook(lambda g: seen.append(g.tolist()))
    double = y.register_hook(lambda g: 2.0 * g)
    last = x.register_hook(lambda g: seen.append(g.tolist()))
    gl.sum(gl.sin(y) + y * 3.0).backward(retain_graph=True)
    slope = np.cos([1.0, 4.0]) + 3.0
    np.testing.assert_allclose(seen[0], slope, rtol=1e-6)  # once, summed over both uses
    np.testing.assert_allclose(seen[1], 2 * slope * [2.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), seen[1])
    double.remove()
    double.remove()
    last.remove()
    x.grad = None
    gl.sum(y).backward()
    np.testing.assert_allclose(x.grad.numpy(), [2.0, 4.0])
    assert len(seen) == 3


def test_hooks_in_grad_of_every_order_and_their_errors() -> None:
    def f(x: Tensor) -> Tensor:
        y = gl.sin(x)
        y.register_hook(lambda g: 3.0 * g)
        return gl.sum(y * y)

    x = np.array([0.3, 0.4])
    np.testing.assert_allclose(gl.grad(f)(x), 3 * np.sin(2 * x))
    with pytest.raises(gl.GradientError, match="no gradient"):
        gl.tensor(1.0).register_hook(print)
    t = gl.ones((2,), requires_grad=True)
    t.register_hook(lambda g: gl.ones((3,)))
    with pytest.raises(gl.ShapeError, match="hook returned another shape"):
        gl.sum(t).backward()
    assert t.grad is None


def test_hook_sees_each_output_of_an_op() -> None:
    x = gl.tensor(np.random.default_rng(0).standard_normal((5, 2)), requires_grad=True)
    y, mean, _ = gl.batch_norm(x)
    mean.register_hook(lambda g: 10.0 * g)
    (gl.sum(y * 0.0) + gl.sum(mean)).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full((5, 2), 2.0), atol=1e-12)
