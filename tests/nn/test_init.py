"""Initializers: their moments and bounds, and that a seed decides."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradlib as gl
from gradlib.nn import init

SHAPES = {(300, 200): (300, 200), (3, 5, 40, 60): (600, 900)}  # dense and HWIO, with their fans


def empty(*shape: int, dtype: str = "float32") -> gl.Tensor:
    return gl.tensor(np.zeros(shape), dtype=dtype)


@pytest.mark.parametrize(("shape", "fans"), SHAPES.items())
def test_fans(shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    assert init.fans(empty(*shape)) == fans
    with pytest.raises(gl.ShapeError, match="1 dimensions, a weight at least 2"):
        init.fans(empty(3))


@pytest.mark.parametrize(("shape", "fans"), SHAPES.items())
@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("he", lambda i, o: 2 / i),
        ("kaiming", lambda i, o: 2 / i),
        ("glorot", lambda i, o: 2 / (i + o)),
        ("xavier", lambda i, o: 2 / (i + o)),
        ("lecun", lambda i, o: 1 / i),
    ],
)
def test_variances(shape: tuple[int, ...], fans: tuple[int, int], kind: str, name: str, variance: object) -> None:
    gl.manual_seed(3)
    tensor = empty(*shape)
    assert getattr(init, f"{name}_{kind}_")(tensor) is tensor
    values = tensor.numpy().astype(np.float64)
    expected = variance(*fans)  # type: ignore[operator]
    count = values.size
    kurtosis = 1.8 if kind == "uniform" else 3.0
    assert abs(values.mean()) < 5 * math.sqrt(expected / count)
    assert abs(values.var() / expected - 1) < 5 * math.sqrt((kurtosis - 1) / count)
    if kind == "uniform":
        bound = math.sqrt(3 * expected)
        assert 0.999 * bound < np.abs(values).max() <= bound * (1 + 1e-6)


def test_fan_out_and_gain() -> None:
    tensor = empty(100, 400)
    init.kaiming_normal_(tensor, mode="fan_out", nonlinearity="tanh")
    assert abs(tensor.numpy().std() / (5 / 3 / 20) - 1) < 0.03
    assert init.gain("leaky_relu", math.sqrt(5)) == pytest.approx(math.sqrt(1 / 3))
    with pytest.raises(ValueError, match="unknown"):
        init.gain("nothing")
    with pytest.raises(ValueError, match="fan_in"):
        init.kaiming_normal_(tensor, mode="fan")  # type: ignore[arg-type]


def test_constants_and_bounds() -> None:
    assert (init.ones_(empty(2, 3)).numpy() == 1).all()
    assert (init.constant_(empty(2, 3), 2.5).numpy() == 2.5).all()
    assert (init.zeros_(init.ones_(empty(2))).numpy() == 0).all()
    values = init.uniform_(empty(1000), -2, 3).numpy()
    assert -2 <= values.min() < -1.9 < 2.9 < values.max() < 3
    assert abs(init.normal_(empty(10000), 4, 0.5).numpy().mean() - 4) < 0.03


def test_the_seed_decides() -> None:
    def draw(seed: int) -> np.ndarray:
        gl.manual_seed(seed)
        return gl.nn.Dense(7, 5).weight.numpy()

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).all()
    a = init.normal_(empty(5), generator=gl.Generator(4))
    np.testing.assert_array_equal(a.numpy(), init.normal_(empty(5), generator=gl.Generator(4)).numpy())


def test_the_default_bounds_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    conv = gl.nn.Conv2d(6, 50, (3, 5), groups=2)
    other = torch.nn.Conv2d(6, 50, (3, 5), groups=2)
    for ours, theirs in ((conv.weight, other.weight), (conv.bias, other.bias)):
        bound = np.abs(ours.numpy()).max()
        assert bound == pytest.approx(float(theirs.detach().abs().max()), rel=0.1)
        assert bound <= 1 / math.sqrt(3 * 5 * 3)


def test_a_change_is_noticed_by_the_tape() -> None:
    x = gl.tensor([2.0], requires_grad=True)
    y = (x * x).sum()
    init.ones_(x)
    with pytest.raises(gl.GradientError, match="changed in place"):
        y.backward()


def test_sim_draws_the_same_numbers(sim: str) -> None:
    def draw(device: str) -> np.ndarray:
        gl.manual_seed(5)
        return gl.nn.Conv2d(3, 4, 3, device=device).weight.numpy()

    np.testing.assert_array_equal(draw("cpu"), draw(sim))
