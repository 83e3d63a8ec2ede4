"""vmap: axes, nesting, composition with derivatives, random numbers, Nodes, errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.core import Tensor
from gradlib.core.node import collect

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 3))
W = RNG.standard_normal((3, 3))


def f(w: Tensor, x: Tensor) -> Tensor:
    return gl.sum(gl.tanh(x @ w) ** 2)


def test_axes_in_and_out() -> None:
    a, b = RNG.standard_normal((4, 2, 5)), RNG.standard_normal((5, 3))
    y = gl.vmap(lambda p, q: p["m"] @ q, in_axes=({"m": 1}, None), out_axes=1)({"m": a}, b)
    np.testing.assert_allclose(y, np.stack([a[:, i] @ b for i in range(2)], axis=1))
    assert type(y) is np.ndarray
    two = gl.vmap(lambda x: (x * 2, {"k": 1.0 + b}), out_axes=(-1, {"k": None}))(X)
    np.testing.assert_allclose(two[0], (2 * X).T)
    np.testing.assert_allclose(two[1]["k"], 1 + b)
    same = gl.vmap(lambda x, *, scale: gl.sum(x) * scale)(X, scale=np.arange(5.0))
    np.testing.assert_allclose(same, X.sum(1) * np.arange(5.0))
    np.testing.assert_allclose(gl.vmap(lambda x: np.ones(2))(X), np.ones((5, 2)))


def test_nesting() -> None:
    outer = gl.vmap(lambda a: gl.vmap(lambda b: a * b + gl.sum(b))(X[:, :2]), in_axes=0)(X[:, :2])
    np.testing.assert_allclose(outer, X[:, None, :2] * X[None, :, :2] + X[None, :, :2].sum(-1, keepdims=True))
    deep = gl.vmap(gl.vmap(gl.vmap(gl.sin)))(X.reshape(5, 3, 1))
    np.testing.assert_allclose(deep, np.sin(X).reshape(5, 3, 1))


def test_grad_of_vmap_of_jvp() -> None:
    v = RNG.standard_normal(3)

    def along(w: Tensor, x: Tensor) -> Tensor:
        return gl.jvp(lambda x: f(w, x), (x,), (gl.tensor(v),))[1]

    got = gl.grad(lambda w: gl.sum(gl.vmap(along, (None, 0))(w, X)))(W)
    z = np.tanh(X @ W)
    # sum over i of 2 z (1 - z^2) (v @ W), differentiated in W by hand through u = X W and s = v W
    s = v @ W
    du = (2 * (1 - z**2) ** 2 - 4 * z**2 * (1 - z**2)) * s
    np.testing.assert_allclose(got, X.T @ du + np.outer(v, (2 * z * (1 - z**2)).sum(0)), rtol=1e-12)


def test_every_composition_agrees_with_a_loop() -> None:
    """All words of three of grad, jvp and vmap on one function, against the same word with a loop for vmap."""
    direction = RNG.standard_normal(3)
    batch = RNG.standard_normal((4, 3))

    def base(x: Tensor) -> Tensor:
        return gl.sum(gl.sin(x) * gl.exp(x[::-1] * 0.5)) * gl.cos(x[0])

    def use(word: str, loop: bool) -> Tensor:
        g = base
        for letter in word:
            if letter == "g":
                g = (lambda h: lambda x: gl.sum(gl.grad(h)(x) * direction))(g)
            elif letter == "j":
                g = (lambda h: lambda x: gl.jvp(h, (x,), (gl.tensor(direction),))[1])(g)
            elif loop:
                g = (lambda h: lambda x: gl.sum(gl.stack([h(x * row) for row in batch])))(g)
            else:
                g = (lambda h: lambda x: gl.sum(gl.vmap(lambda row: h(x * row))(batch)))(g)
        return g(gl.tensor(X[0]))

    words = [a + b + c for a in "gjv" for b in "gjv" for c in "gjv"]
    for word in words:
        np.testing.assert_allclose(use(word, False).item(), use(word, True).item(), rtol=1e-10, err_msg=word)


def test_grad_inside_closes_over_what_is_differentiated_outside() -> None:
    def outer(w: Tensor) -> Tensor:
        scale = w * 2.0  # made outside of vmap
        return gl.sum(gl.vmap(lambda x: gl.grad(lambda t: gl.sum(t * t * scale * (w + 0.0)))(x))(X[:, 0]))

    np.testing.assert_allclose(gl.grad(outer)(3.0).item(), 4 * 2 * 3.0 * X[:, 0].sum(), rtol=1e-6)


def test_no_grad_inside() -> None:
    def frozen(w: Tensor, x: Tensor) -> Tensor:
        with gl.no_grad():
            y = w * x
        return y * w

    got = gl.grad(lambda w: gl.sum(gl.vmap(frozen, (None, 0))(w, X[:, 0])))(np.float64(2.0) * np.ones(()))
    np.testing.assert_allclose(got, (2 * X[:, 0]).sum())


def nodes(y: Tensor) -> int:
    return len(collect([y.node]))


def count(batch: int) -> tuple[int, int, int]:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, activation="relu"), nn.MaxPool2d(2), nn.Flatten(), nn.Dense(8, 4, activation="gelu")
    )
    images = gl.uniform((batch, 6, 6, 1))
    targets = gl.zeros((batch,), dtype="int64")

    def loss(image: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net(image[None]), target[None])

    w = gl.tensor(W, requires_grad=True)
    x = RNG.standard_normal((batch, 3))
    return (
        nodes(gl.vmap(loss)(images, targets)),
        nodes(gl.vmap(gl.grad(f, argnums=1), (None, 0))(w, x)),
        nodes(gl.vmap(lambda r: gl.sort(gl.softmax(r @ w))[gl.argmax(r)])(x)),
    )


def test_the_number_of_nodes_does_not_depend_on_the_batch() -> None:
    assert count(2) == count(7)


@pytest.mark.parametrize("by_frequency", [False, True])
@pytest.mark.parametrize("padding", [None, 1, -1])
def test_embedding_is_one_node_and_each_examples_own(padding: int | None, by_frequency: bool) -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((4, 3))

    def loss(w: Tensor, i: Tensor) -> Tensor:
        return gl.sum(gl.sin(nn.functional.embedding(i, w, padding, scale_grad_by_freq=by_frequency)))

    def through(batch: int) -> int:
        w = gl.tensor(weight, requires_grad=True)
        return nodes(gl.vmap(loss, (None, 0))(w, gl.tensor(rng.integers(0, 4, (batch, 6)))))

    assert through(2) == through(9)
    indices = rng.integers(-4, 4, (5, 2, 6))
    one = gl.grad(loss)
    expected = np.stack([[one(weight, i) for i in pair] for pair in indices])
    nested = gl.vmap(gl.vmap(one, (None, 0)), (None, 0))(weight, indices)
    np.testing.assert_allclose(nested, expected, rtol=1e-12)
    summed = gl.grad(lambda w: gl.sum(gl.vmap(gl.vmap(loss, (None, 0)), (None, 0))(w, indices)))(weight)
    np.testing.assert_allclose(summed, expected.sum((0, 1)), rtol=1e-12)
    own = rng.standard_normal((5, 4, 3))
    np.testing.assert_allclose(
        gl.vmap(one)(own, indices[:, 0]), np.stack([one(w, i) for w, i in zip(own, indices[:, 0], strict=True)])
    )


def test_per_example_gradients_of_a_network() -> None:
    gl.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, activation="relu"), nn.AvgPool2d(2), nn.Flatten(), nn.Dense(12, 5)
    ).to(gl.float64)
    images, targets = RNG.standard_normal((6, 4, 4, 2)), RNG.integers(0, 5, 6)

    def loss(net: nn.Module, image: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net(image[None]), target[None])

    per_example = gl.vmap(gl.grad(loss), in_axes=(None, 0, 0))(net, gl.tensor(images), gl.tensor(targets))
    total = nn.functional.cross_entropy(net(gl.tensor(images)), gl.tensor(targets))
    total.backward()
    layers = [per_example.get_submodule(n) if hasattr(per_example, "get_submodule") else None for n in ()]
    assert layers == []
    found = gl.transforms.tree.flatten(per_example)[0]
    for (name, p), g in zip(net.named_parameters(), found, strict=True):
        assert g.shape == (6, *p.shape), name
        np.testing.assert_allclose(g.numpy().mean(0), p.grad.numpy(), rtol=1e-10, atol=1e-13)
    assert per_example[3].weight.shape == (6, 12, 5)  # shaped like the network


def test_random_numbers_differ_from_example_to_example() -> None:
    gl.manual_seed(1)
    u = gl.vmap(lambda x: x + gl.uniform((4,)))(gl.zeros((6,))).numpy()
    assert len(np.unique(u)) == 24
    n = gl.vmap(gl.vmap(lambda x: x + gl.normal(())))(gl.zeros((3, 4))).numpy()
    assert len(np.unique(n)) == 12
    d = gl.vmap(lambda x: nn.functional.dropout(gl.ones((50,)), 0.5) + x)(gl.zeros((4,))).numpy()
    assert len({tuple(row) for row in d}) == 4
    r = gl.vmap(lambda x: gl.randint(0, 2**40, (3,)))(gl.zeros((5,))).numpy()
    assert len(np.unique(r)) == 15
    b = gl.vmap(lambda x: gl.bernoulli(0.5, (64,)))(gl.zeros((3,))).numpy()
    assert len({tuple(row) for row in b}) == 3


def test_an_op_without_a_rule_loops() -> None:
    @gl.leaf("test_no_rule", infer=lambda x: x, vjp=(lambda g, ans, x: gl.flip(g),), linear=True)
    def backwards(xp: object, x: np.ndarray) -> np.ndarray:
        assert x.ndim == 1
        return x[::-1]

    try:
        np.testing.assert_array_equal(gl.vmap(backwards)(X), X[:, ::-1])
        g = gl.grad(lambda x: gl.sum(gl.vmap(backwards)(x) * X))(X)
        np.testing.assert_array_equal(g, X[:, ::-1])
    finally:
        del gl.core.PRIMITIVES["test_no_rule"]


def test_containers() -> None:
    @dataclasses.dataclass(frozen=True)
    class Pair:
        a: Tensor
        b: list

    out = gl.vmap(lambda p: Pair(p.a + p.b[0], [gl.sum(p.a)]))(Pair(gl.tensor(X), [gl.tensor(X)]))
    np.testing.assert_allclose(out.a.numpy(), 2 * X)
    np.testing.assert_allclose(out.b[0].numpy(), X.sum(1))


def test_errors() -> None:
    with pytest.raises(gl.ShapeError, match="batch sizes are 5 and 3"):
        gl.vmap(lambda a, b: a)(X, W)
    with pytest.raises(gl.ShapeError, match="has no axis to map"):
        gl.vmap(lambda a: a)(1.0)
    with pytest.raises(gl.ShapeError, match="none: every in_axes is None"):
        gl.vmap(lambda a: a, in_axes=None)(X)
    with pytest.raises(gl.ShapeError, match="2 entries for 1 arguments"):
        gl.vmap(lambda a: a, in_axes=(0, 0))(X)
    with pytest.raises(gl.ShapeError, match="the batch is empty"):
        gl.vmap(lambda a: a)(X[:0])
    for read, name in (
        (bool, r"bool\(x\)"),
        (float, r"float\(x\)"),
        (lambda x: x.item(), r"item\(x\)"),
        (lambda x: x.numpy(), r"x\.numpy\(\)"),
        (lambda x: gl.tensor(X[0])[gl.zeros(3) < x], ""),
    ):
        with pytest.raises(gl.VmapError, match=f"^{name}.*differs from example to example"):
            gl.vmap(read)(X[:, 0])
    with pytest.raises(gl.VmapError, match="out_axes=None"):
        gl.vmap(lambda x: x, out_axes=None)(X)
    with pytest.raises(gl.ShapeError, match=r"float64\[3\]"):
        gl.vmap(lambda x: x @ gl.tensor(np.ones((4, 2))))(X)  # in the words of one example
    norm = nn.BatchNorm1d(3)
    with pytest.raises(gl.VmapError, match="differs from example to example"):
        gl.vmap(norm)(gl.ones((4, 2, 3)))
    assert norm.running_mean.tolist() == [0.0, 0.0, 0.0]
    assert gl.vmap(norm.eval())(gl.ones((4, 2, 3))).shape == (4, 2, 3)
    for f in (lambda r, i: gl.take(r, i), lambda r, i: r[i], lambda r, i: r.at[i].add(1.0)):
        for index in (3, -4):
            indices = np.array([0, index, 0, 0, 1])
            with pytest.raises(IndexError):
                gl.vmap(f)(X, indices)  # not an element of the next example
            with pytest.raises(IndexError):
                gl.vmap(gl.vmap(f))(X[None], indices[None])
    assert gl.core.scopes.state.frame is None


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_dtypes_stay(dtype: str) -> None:
    x = gl.tensor(X).to(dtype)
    w = gl.tensor(W).to(dtype)
    y = gl.vmap(lambda r: gl.gelu(r @ w) * 2.0 + gl.softmax(r))(x)
    assert str(y.dtype) == dtype
    expected = gl.gelu(x @ w) * 2.0 + gl.softmax(x)
    tolerance = {"float32": 1e-6, "float16": 4e-3, "bfloat16": 3e-2}[dtype]
    np.testing.assert_allclose(y.to("float64").numpy(), expected.to("float64").numpy(), atol=tolerance)
    g = gl.vmap(gl.grad(lambda r: gl.sum(gl.tanh(r))))(x)
    assert str(g.dtype) == dtype


def test_on_sim() -> None:
    there, reason = gl.backend.available("sim")
    if not there:
        pytest.skip(reason)
    with gl.device("sim"):
        net = nn.Sequential(nn.Dense(3, 4, activation="gelu"), nn.Dense(4, 2))
        x, targets = gl.uniform((6, 3)), gl.tensor([0, 1, 0, 1, 1, 0])

        def loss(net: nn.Module, x: Tensor, target: Tensor) -> Tensor:
            return nn.functional.cross_entropy(net(x[None]), target[None])

        each = gl.vmap(gl.grad(loss), (None, 0, 0))(net, x, targets)
        gl.mean(gl.vmap(loss, (None, 0, 0))(net, x, targets)).backward()
        for p, g in zip(net.parameters(), gl.transforms.tree.flatten(each)[0], strict=True):
            assert g.device == "sim"
            np.testing.assert_allclose(g.numpy().mean(0), p.grad.numpy(), rtol=1e-4, atol=1e-6)
        assert gl.jacobian(lambda t: gl.take(t, targets))(x[:, 0]).device == "sim"
        rows = gl.vmap(lambda t, i: gl.take(t, i))(x, targets)
        np.testing.assert_array_equal(rows.numpy(), x.numpy()[range(6), targets.numpy()])


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_mask_is_one_for_a_whole_jacobian(mode: str) -> None:
    """What was drawn outside of a `vmap` is no example's own: a Jacobian's rows see the mask of the value."""
    x = gl.tensor(np.linspace(1.0, 2.0, 9))

    def f(x: gl.Tensor) -> gl.Tensor:
        return nn.functional.dropout(x * x, 0.4)

    gl.manual_seed(5)
    kept = f(x).numpy() != 0
    gl.manual_seed(5)
    jacobian = gl.jacobian(f, mode=mode)(x).numpy()
    np.testing.assert_allclose(jacobian, np.diag(kept * 2 * x.numpy() / 0.6), rtol=1e-12)
    key = np.array([3, 4], np.uint64)
    rows = gl.vmap(lambda x: gl.dropout(x, key, p=0.4))(gl.ones((4, 50))).numpy()
    np.testing.assert_array_equal(rows, np.tile(gl.dropout(np.ones(50, np.float32), key, p=0.4), (4, 1)))
