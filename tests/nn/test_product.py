"""Radial basis functions, all distances, bags of rows, adaptive softmax, samples of categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.nn import functional as F

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("basis", "phi"),
    [
        ("gaussian", lambda r: np.exp(-(r**2))),
        ("multiquadric", lambda r: np.sqrt(1 + r**2)),
        ("inverse_quadratic", lambda r: 1 / (1 + r**2)),
        ("inverse_multiquadric", lambda r: 1 / np.sqrt(1 + r**2)),
        (lambda s: s * 2.0, lambda r: 2 * r**2),
    ],
)
def test_rbf(basis: Any, phi: Any) -> None:
    x, c, gamma = RNG.standard_normal((3, 2)), RNG.standard_normal((4, 2)), RNG.uniform(0.5, 2, 4)
    expected = [[phi(gamma[j] * np.linalg.norm(x[i] - c[j])) for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(F.rbf(x, c, gamma, basis), expected, rtol=1e-12)
    layer = nn.RBF(2, 4, basis, dtype="float64")
    layer.centers.assign(c)
    layer.gamma.assign(gamma)
    np.testing.assert_allclose(layer(gl.tensor(x)).numpy(), expected, rtol=1e-12)


def test_an_rbf_network_learns() -> None:
    gl.manual_seed(0)
    x = gl.tensor(np.linspace(-2, 2, 32)[:, None])
    model = nn.Sequential(nn.RBF(1, 8, dtype="float64"), nn.Dense(8, 1, dtype="float64"))
    optimizer = gl.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), gl.sin(x * 2.0))
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-2


def test_distances_have_slope_zero_at_equal_rows() -> None:
    x = gl.tensor([[1.0, 2.0], [1.0, 2.0], [4.0, 6.0]], requires_grad=True)
    for p in (1.0, 2.0, 3.0, np.inf):
        x.grad = None
        F.pdist(x, p).sum().backward()
        assert np.isfinite(x.grad.numpy()).all()
    assert F.pdist(x, 0.0).tolist() == [0.0, 2.0, 2.0]


def test_rows_are_shortened_and_gradients_shared() -> None:
    torch = pytest.importorskip("torch")
    table, index = 3 * RNG.standard_normal((5, 4)), np.array([[0, 2, 2], [4, 2, 0]])
    for settings in ({"max_norm": 2.0}, {"max_norm": 1.5, "norm_type": 1.0}, {"scale_grad_by_freq": True}):
        theirs = torch.nn.Embedding(5, 4, _weight=torch.tensor(table), **settings)
        ours = nn.Embedding(5, 4, dtype="float64", **settings)  # type: ignore[arg-type]
        ours.weight.assign(table)
        a, b = theirs(torch.tensor(index)), ours(gl.tensor(index))
        np.testing.assert_allclose(b.numpy(), a.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(ours.weight.numpy(), theirs.weight.detach().numpy(), rtol=1e-12)
        a.pow(2).sum().backward()
        (b * b).sum().backward()
        np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-12)
    with pytest.warns(UserWarning, match="sparse"):
        F.embedding(gl.tensor(index), ours.weight, sparse=True)


def test_bags() -> None:
    table, index = RNG.standard_normal((5, 4)), np.array([0, 2, 4, 1, 1])
    bags = [index[:2], index[2:2], index[2:]]
    for mode, reduce in (("sum", np.sum), ("mean", np.mean), ("max", np.max)):
        y = F.embedding_bag(index, table, np.array([0, 2, 2]), mode=mode)
        expected = [reduce(table[bag], axis=0) if len(bag) else np.zeros(4) for bag in bags]
        np.testing.assert_allclose(y, expected, rtol=1e-12)
    weights = RNG.standard_normal(5)
    y = F.embedding_bag(index, table, np.array([0, 2, 2]), mode="sum", per_sample_weights=weights)
    np.testing.assert_allclose(y[0], weights[:2] @ table[[0, 2]], rtol=1e-12)
    assert nn.EmbeddingBag.from_pretrained(gl.tensor(table), mode="sum")(gl.tensor(index), [0, 5]).shape == (2, 4)


def test_adaptive_softmax_is_a_distribution() -> None:
    layer = nn.AdaptiveLogSoftmaxWithLoss(6, 9, [2, 5], div_value=2.0, dtype="float64")
    x = gl.tensor(RNG.standard_normal((9, 6)))
    every = layer.log_prob(x).numpy()
    np.testing.assert_allclose(np.exp(every).sum(1), 1, rtol=1e-12)
    output, loss = layer(x, gl.tensor(np.arange(9)))
    np.testing.assert_allclose(output.numpy(), np.diag(every), rtol=1e-12)
    np.testing.assert_allclose(loss.item(), -np.diag(every).mean(), rtol=1e-12)
    np.testing.assert_array_equal(layer.predict(x).numpy(), every.argmax(1))
    alone, _ = layer(x[3], gl.tensor(3))
    np.testing.assert_allclose(alone.item(), every[3, 3], rtol=1e-12)


def test_gumbel_softmax_samples_the_categories() -> None:
    logits = gl.tensor(np.broadcast_to(np.log([0.5, 0.3, 0.2]), (20000, 3)).copy(), requires_grad=True)
    hard = F.gumbel_softmax(logits, hard=True, generator=gl.Generator(0))
    np.testing.assert_allclose(hard.numpy().mean(0), [0.5, 0.3, 0.2], atol=0.015)
    assert set(np.unique(hard.numpy().round(12))) == {0.0, 1.0}
    soft = F.gumbel_softmax(logits, 0.5, generator=gl.Generator(0))
    np.testing.assert_array_equal(soft.numpy().argmax(1), hard.numpy().argmax(1))
    (hard * gl.tensor([1.0, 2.0, 3.0], dtype="float64")).sum().backward()
    assert np.abs(logits.grad.numpy()).max() > 0.01


def test_bad_arguments() -> None:
    x = np.ones((2, 3))
    for call, error, text in (
        (lambda: F.rbf(x, np.ones((4, 2))), gl.ShapeError, "features differ"),
        (lambda: F.rbf(x, np.ones((4, 3)), basis="cubic"), ValueError, "cubic"),
        (lambda: nn.RBF(0, 2), gl.ShapeError, "1 or more"),
        (lambda: F.pdist(x, -1.0), ValueError, "p >= 0"),
        (lambda: F.pdist(x[0]), gl.ShapeError, "rows"),
        (lambda: F.bilinear(x, x, np.ones((3, 2, 1))), gl.ShapeError, "do not fit"),
        (lambda: F.embedding_bag(np.ones(3, int), x), gl.ShapeError, "need"),
        (lambda: F.embedding_bag(np.ones((2, 2), int), x, mode="least"), ValueError, "least"),
        (lambda: F.embedding_bag(np.ones(3, int), x, np.array([1, 0])), gl.ShapeError, "offsets"),
        (lambda: nn.EmbeddingBag(3, 2, mode="least"), ValueError, "least"),
        (lambda: nn.Embedding(0, 2), gl.ShapeError, "1 or more"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5, 2]), ValueError, "ascending"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [2, 5]), ValueError, "cluster 1"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [2])(gl.ones((1, 4)), gl.tensor([9])), IndexError, "target < 9"),
        (lambda: F.gumbel_softmax(x, 0.0), ValueError, "tau"),
        (lambda: F.channel_shuffle(x, 2), gl.ShapeError, "divide"),
        (lambda: F.local_response_norm(x, 0), gl.ShapeError, "size"),
        (lambda: F.unfold(np.ones((1, 2, 2, 1)), 3), gl.ShapeError, "fits"),
        (lambda: F.fold(np.ones((1, 3, 4)), 3, 2), gl.ShapeError, "need 4 windows"),
        (lambda: F.grid_sample(np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 3))), gl.ShapeError, "do not fit"),
        (lambda: F.grid_sample(np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 2)), "linear"), ValueError, "linear"),
        (lambda: F.affine_grid(x, (2, 3, 3, 1)), gl.ShapeError, "do not fit"),
        (lambda: F.max_unpool2d(np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 4), 2), IndexError, "4 places"),
        (lambda: F.max_unpool2d(np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1), int), 2, output_size=(4, 4)),
         gl.ShapeError, "less than a stride"),
        (lambda: F.lp_pool1d(np.ones((1, 4, 1)), 0, 2), ValueError, "norm_type"),
        (lambda: F.fractional_max_pool2d(np.ones((1, 4, 4, 1)), 2), ValueError, "one of them"),
        (lambda: F.fractional_max_pool2d(np.ones((1, 4, 4, 1)), 3, 3), gl.ShapeError, "windows"),
        (lambda: F.fractional_max_pool2d(np.ones((1, 4, 4, 1)), 2, output_ratio=2.0), ValueError, "between 0 and 1"),
        (lambda: F.avg_pool2d(np.ones((1, 4, 4, 1)), 2, divisor_override=0), ValueError, "divisor"),
        (lambda: F.interpolate(np.ones((1, 4, 1)), 2, mode="linear", antialias=True), ValueError, "antialias"),
        (lambda: F.l1_loss(x, x, weight=np.ones(3)), gl.ShapeError, "shapes differ"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            call()  # type: ignore[no-untyped-call]
