"""Every example of the lecture notes runs as it stands, and what it says is so."""

from __future__ import annotations

import importlib.util
import runpy
import sys
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import PRIMITIVES, jvp
from gradlib.spec import is_differentiable, is_floating
from gradlib.testing.check_op import draw

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "lecture_notes"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
RNG = np.random.default_rng(11)


def load(name: str) -> ModuleType:
    before = dict(PRIMITIVES)
    spec = importlib.util.spec_from_file_location(f"lecture_notes_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for extra in PRIMITIVES.keys() - before.keys():  # the op of an example is not the library's
        del PRIMITIVES[extra]
    return module


@pytest.mark.parametrize("name", NAMES)
def test_runs_and_prints(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name])
    monkeypatch.setattr(gl.core.primitive, "PRIMITIVES", dict(PRIMITIVES))
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert len(capsys.readouterr().out) > 20
    assert f"def test_{name}" in Path(__file__).read_text()


def test_riesz() -> None:
    notes = load("riesz")
    x, v = RNG.standard_normal((2, 5))
    left, right = notes.differential_and_inner_product(x, v)
    assert left == pytest.approx(right, rel=1e-12)
    np.testing.assert_allclose(notes.gradient_from_differential(x), gl.grad(notes.f)(x), rtol=1e-12)
    for f in (gl.softmax, gl.sort, gl.cumsum, lambda x: x @ np.ones((5, 5))):
        left, right = notes.adjoint_identity(f, x, v, 2 * x + v)
        assert left == pytest.approx(right, rel=1e-11, abs=1e-13)


def test_linearization() -> None:
    notes = load("linearization")
    x, v = RNG.standard_normal((2, 6))
    for name in ("exp", "sin", "tanh", "sigmoid", "softmax", "gelu", "square"):
        assert notes.slope(getattr(gl, name), x, v) == pytest.approx(2.0, abs=0.05), name
    assert max(notes.remainders(gl.flip, x, v, (1.0, 1e-3))) < 1e-14


SMOOTH = [
    n for n, p in sorted(PRIMITIVES.items()) if p.module.startswith("gradlib.") and p.samples and p.differentiable
]


@pytest.mark.parametrize("name", SMOOTH)
def test_linearization_of_every_primitive(name: str) -> None:
    """The remainder of a linear primitive is nothing; of any other it is nothing or has slope 2."""
    prim, checked = PRIMITIVES[name], 0
    for number, sample in enumerate(prim.samples()):
        args = draw(sample, np.dtype("float64"), zlib.crc32(name.encode()) + number)
        if not sample.smooth or any(a is not None and a.size > 3000 for a in args):
            continue
        rng = np.random.default_rng(number)
        ts = [rng.standard_normal(a.shape) if a is not None and is_floating(a.dtype) else None for a in args]

        def f(*xs: object, sample: object = sample) -> object:
            ys = prim(*xs, **sample.params)
            ys = ys if isinstance(ys, tuple) else (ys,)
            return tuple(y for y in ys if y is not None and is_differentiable(y.dtype))

        if all(t is None for t in ts) or not f(*args):
            continue
        base, tangents = jvp(f, args, ts)

        def remainder(h: float, args: list = args, ts: list = ts, f: object = f) -> float:
            ahead = f(*[a if t is None else np.asarray(a + h * t) for a, t in zip(args, ts, strict=True)])
            parts = [
                np.asarray(a) - b.numpy() - h * np.asarray(t)
                for a, b, t in zip(ahead, base, tangents, strict=True)  # noqa: B023
            ]
            return float(np.sqrt(sum(np.sum(np.abs(p) ** 2) for p in parts)))

        size = 1 + sum(float(np.abs(b.numpy()).sum()) for b in base)
        checked += 1
        if prim.linear:
            assert remainder(0.5) <= 1e-12 * size
        elif (small := remainder(1e-4)) > 1e-11 * size:
            assert np.log10(remainder(1e-3) / small) > 1.9
    assert checked or not any(s.smooth for s in prim.samples())


def test_steepest_direction() -> None:
    notes = load("steepest_direction")
    x0 = np.array([0.5, -1.0, 2.0])
    step = notes.steepest_step(notes.f, x0, 0.1)
    assert np.linalg.norm(step) == pytest.approx(0.1)
    best, steepest = notes.best_of_random_steps(notes.f, x0, 0.1, 20_000)
    assert steepest <= best <= 0.999 * steepest
    assert steepest == pytest.approx(-0.1 * np.linalg.norm(gl.grad(notes.f)(x0)))


def test_jacobian_and_differential() -> None:
    notes = load("jacobian_and_differential")
    x, h, g = RNG.standard_normal((3, 3, 3))
    np.testing.assert_allclose(*notes.differential_of_inverse(x, h), rtol=1e-11)
    np.testing.assert_allclose(*notes.representer_of_inverse(x, g), rtol=1e-11)
    second = gl.jvp(lambda x: gl.jvp(gl.linalg.inv, (x,), (h,))[1], (x,), (h,))[1]
    y = np.linalg.inv(x)
    np.testing.assert_allclose(second, 2 * y @ h @ y @ h @ y, rtol=1e-10)
    for f in (lambda x: gl.sin(x @ x), gl.linalg.inv, lambda x: gl.sum(x * x)):
        np.testing.assert_allclose(*notes.jacobian_times(f, x, h), rtol=1e-10)
    assert notes.inner(x, h) == pytest.approx(float(np.sum(x * h)))


def test_chain_rule() -> None:
    notes = load("chain_rule")
    x, dx = RNG.standard_normal((2, 3)) * 0.3
    np.testing.assert_allclose(*notes.jacobians(x), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(*notes.differentials(x, dx), rtol=1e-11, atol=1e-14)
    whole, first, second = notes.two_paths(x)
    np.testing.assert_allclose(whole, first + second, rtol=1e-12)
    np.testing.assert_allclose(first, np.cos(x) * x**2, rtol=1e-12)


def test_three_derivatives() -> None:
    notes = load("three_derivatives")
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(notes.automatic(x), [4, 3, 2], rtol=1e-12)
    np.testing.assert_allclose(notes.symbolic(x), [4, 3, 2], rtol=1e-12)
    np.testing.assert_allclose(notes.numeric(x), [4, 3, 2], rtol=1e-7)
    found = notes.values_and_derivatives(x)
    assert list(found.values()) == [(1, 4), (2, 3), (3, 2), (1, 2), (6, 1), (2, -1), (4, 1), (4, 1)]


def test_descent() -> None:
    notes = load("descent")
    np.testing.assert_allclose(notes.path(1.0), [1, -3, 9, -27])
    np.testing.assert_allclose(notes.path(0.1), [1, 0.6, 0.36, 0.216])


def test_sum_of_costs() -> None:
    notes = load("sum_of_costs")
    parameters, xs, ys = notes.data()
    each, whole = notes.per_example_gradients(parameters, xs, ys), gl.grad(notes.loss)(parameters, xs, ys)
    for name in parameters:
        np.testing.assert_allclose(each[name].mean(0), whole[name], rtol=1e-12, atol=1e-15)
        loop = np.stack([gl.grad(notes.cost)(parameters, x, y)[name] for x, y in zip(xs, ys, strict=True)])
        np.testing.assert_allclose(each[name], loop, rtol=1e-12, atol=1e-15)


def test_layered_network() -> None:
    notes = load("layered_network")
    peaks = [notes.peak_bytes(depth, 20_000) for depth in (5, 10, 15, 20)]
    steps = np.diff(peaks)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.1)  # linear in depth
    assert notes.peak_bytes(10, 40_000) / peaks[1] == pytest.approx(2.0, rel=0.1)  # and in width
    assert max(peaks) < 8 * 20_000**2 / 100  # far below one Jacobian
    depth, width = 3, 4
    z, xs = np.ones(width), [np.full(width, 1.0 + 1.0 / (k + 1)) for k in range(depth)]
    values = [z]
    for x in xs:
        values.append(np.tanh(values[-1] * x))
    row, expected = np.full(width, 1 / width), []
    for x, before, after in zip(xs[::-1], values[-2::-1], values[:0:-1], strict=True):
        expected.append(row * (1 - after**2) * before)
        row = row * (1 - after**2) * x  # a row vector times a Jacobian, from the left
    np.testing.assert_allclose(notes.gradients(depth, width), expected[::-1], rtol=1e-12)


def test_jacobians() -> None:
    notes = load("jacobians")
    x, g = RNG.standard_normal((2, 4))
    z, w = RNG.standard_normal(3), RNG.standard_normal((3, 4))
    whole, diagonal = notes.elementwise(x)
    np.testing.assert_allclose(whole, np.diag(diagonal), rtol=1e-12)
    np.testing.assert_allclose(*notes.softmax(x), rtol=1e-11, atol=1e-15)
    tensor = notes.dense_tensor(z, w)
    np.testing.assert_allclose(tensor, np.einsum("kj,i->kij", np.eye(4), z), rtol=1e-12)
    by_tensor, practical, outer = notes.dense_pullback(z, w, g)
    np.testing.assert_allclose(by_tensor, outer, rtol=1e-12)
    np.testing.assert_allclose(practical, outer, rtol=1e-12)


def test_all_derivatives() -> None:
    notes = load("all_derivatives")
    gl.manual_seed(0)
    network = notes.Network().to(gl.float64)
    images, targets = gl.normal((3, 8, 8, 1), dtype="float64"), gl.tensor([1, 2, 3])
    found = notes.all_derivatives(network, images, targets)
    layers = ("conv1", "conv2", "dense1", "dense2")
    expected = {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")} | {f"z_{n}" for n in layers}
    expected |= {"a_conv1", "a_conv2", "a_dense1", "p_conv1", "p_conv2", "x", "loss"}
    assert set(found) == expected
    assert found["loss"].item() == 1.0

    def loss(x: gl.Tensor) -> gl.Tensor:
        return gl.nn.functional.cross_entropy(network(x)["z_dense2"], targets)

    np.testing.assert_allclose(found["x"].numpy(), gl.grad(loss)(images).numpy(), rtol=1e-12)
    v, h = RNG.standard_normal(network.conv1.weight.shape), 1e-6
    start = network.conv1.weight.numpy().copy()
    ends = []
    for sign in (1, -1):
        network.conv1.weight.assign(start + sign * h * v)
        ends.append(loss(images).item())
    numeric = (ends[0] - ends[1]) / (2 * h)
    assert float(np.vdot(found["conv1.weight"].numpy(), v)) == pytest.approx(numeric, rel=1e-6)


def test_vanishing(tmp_path: Path) -> None:
    notes = load("vanishing")
    sigmoid, relu = (notes.gradient_norms(a) for a in ("sigmoid", "relu"))
    assert len(sigmoid) == len(relu) == 10
    assert sigmoid[0] / sigmoid[-1] < 1e-4
    assert relu[0] / relu[-1] > 0.05
    notes.plot(tmp_path / "vanishing.png")
    assert (tmp_path / "vanishing.png").read_bytes()[:4] == b"\x89PNG"
