"""Reparametrised weights: PyTorch's values through training, the state, taking them away; functional_call; fusion."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.io import load_torch_weights, save_torch_weights
from gradlib.nn import utils
from gradlib.nn.utils import parametrizations, parametrize

STORED = np.load(Path(__file__).parent.parent / "reference" / "parametrization.npz")
CASES = json.loads(str(STORED["cases"]))


def state(n: int, when: str) -> dict[str, np.ndarray]:
    start = f"{n}.{when}."
    return {k.removeprefix(start): STORED[k] for k in STORED.files if k.startswith(start)}


def ours(a: np.ndarray) -> np.ndarray:
    return np.moveaxis(a, 1, -1) if a.ndim == 3 else a


@pytest.mark.parametrize("n", range(len(CASES)), ids=[f"{i}-{c[0]}-{c[2]}" for i, c in enumerate(CASES)])
def test_training_is_pytorchs(n: int) -> None:
    """Losses, weights, and the state of the power iteration, step by step and in evaluation."""
    name, settings, kind, sizes = CASES[n]
    function: Any = utils
    for part in name.split("."):
        function = getattr(function, part)
    layer = function(getattr(nn, kind)(*sizes, dtype="float64"), **settings)
    load_torch_weights(layer, state(n, "before"))
    x = gl.tensor(ours(STORED[f"{n}.x"]))
    optimizer = gl.optim.SGD(layer.parameters(), lr=0.1)
    for expected in STORED[f"{n}.losses"]:
        optimizer.zero_grad()
        y = layer(x)
        loss = (y * y).sum()
        loss.backward()
        optimizer.step()
        np.testing.assert_allclose(loss.item(), expected, rtol=1e-10)
    np.testing.assert_allclose(layer.eval()(x).numpy(), ours(STORED[f"{n}.y"]), rtol=1e-9, atol=1e-12)
    for key, value in save_torch_weights(layer).items():
        np.testing.assert_allclose(value, state(n, "after")[key], rtol=1e-9, atol=1e-12, err_msg=key)


class Positive(nn.Module):
    def forward(self, x: Any) -> Any:
        return gl.exp(x)

    def right_inverse(self, x: Any) -> Any:
        return gl.log(x)


class Doubled(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 2.0


def test_parametrizations_chain_assign_and_go() -> None:
    layer = nn.Dense(2, 3, dtype="float64")
    layer.weight.assign(np.full((2, 3), 2.0))
    parametrize.register_parametrization(layer, "weight", Positive())
    assert parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    np.testing.assert_allclose(layer.weight.numpy(), 2.0)
    np.testing.assert_allclose(layer.parametrizations.weight.original.numpy(), np.log(2.0))
    layer.weight = gl.tensor(np.full((2, 3), 3.0))
    np.testing.assert_allclose(layer.weight.numpy(), 3.0)
    parametrize.register_parametrization(layer, "weight", Doubled())
    np.testing.assert_allclose(layer.weight.numpy(), 6.0)
    assert [name for name, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    with pytest.raises(gl.DTypeError, match="Doubled has no right_inverse"):
        layer.weight = gl.tensor(np.ones((2, 3)))
    other = pickle.loads(pickle.dumps(copy.deepcopy(layer)))
    parametrize.remove_parametrizations(layer, "weight")
    assert isinstance(vars(layer)["weight"], nn.Parameter)
    np.testing.assert_allclose(layer.weight.numpy(), 6.0)
    assert "parametrizations" not in vars(layer)
    np.testing.assert_allclose(other.weight.numpy(), 6.0)  # a copy keeps its own
    parametrize.remove_parametrizations(other, "weight", leave_parametrized=False)
    np.testing.assert_allclose(other.weight.numpy(), np.log(3.0))


def test_buffers_stay_buffers() -> None:
    layer = nn.BatchNorm1d(3)
    parametrize.register_parametrization(layer, "running_var", Positive())
    np.testing.assert_allclose(layer.running_var.numpy(), 1.0)
    assert "parametrizations.running_var.original" in layer.state_dict()
    assert len(list(layer.parameters())) == 2
    parametrize.remove_parametrizations(layer, "running_var")
    assert "running_var" in dict(layer.named_buffers())


def test_cached_computes_once() -> None:
    calls = []

    class Counted(nn.Module):
        def forward(self, x: Any) -> Any:
            calls.append(1)
            return x * 1.0

    layer = parametrize.register_parametrization(nn.Dense(2, 2), "weight", Counted())
    calls.clear()
    with parametrize.cached():
        first = layer.weight
        assert layer.weight is first
        assert len(calls) == 1
    assert layer.weight is not first


def test_recurrent_weights_are_read_once_a_pass() -> None:
    """So that spectral norm makes one step of its iteration for each forward pass, as for other layers."""
    layer = parametrizations.spectral_norm(nn.GRU(3, 4, dtype="float64"), "weight_hh_l0")
    calls = []
    layer.parametrizations.weight_hh_l0[0].register_forward_hook(lambda *_: calls.append(1))
    y, _ = layer(gl.tensor(np.random.default_rng(0).standard_normal((2, 5, 3))))
    assert len(calls) == 1
    y.sum().backward()
    assert layer.parametrizations.weight_hh_l0.original.grad is not None


def test_the_iteration_moves_once_under_checkpoint_and_not_in_evaluation() -> None:
    x = gl.tensor(np.random.default_rng(0).standard_normal((5, 4)), requires_grad=True)
    for make in (parametrizations.spectral_norm, utils.spectral_norm):
        first = make(nn.Dense(4, 3, dtype="float64"))
        second = copy.deepcopy(first)
        first(x).sum().backward()
        gl.checkpoint(second)(x).sum().backward()
        for a, b in zip(first.buffers(), second.buffers(), strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        before = [b.numpy().copy() for b in first.eval().buffers()]
        first(x)
        assert all((a == b.numpy()).all() for a, b in zip(before, first.buffers(), strict=True))


def test_hooks_are_taken_away() -> None:
    x = gl.tensor(np.random.default_rng(0).standard_normal((5, 4)))
    for make, remove in (
        (utils.weight_norm, utils.remove_weight_norm),
        (utils.spectral_norm, utils.remove_spectral_norm),
    ):
        layer = make(nn.Dense(4, 3, dtype="float64")).eval()
        expected = layer(x).numpy()
        remove(layer)
        assert list(layer.state_dict()) == ["bias", "weight"]
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12)
        with pytest.raises(gl.DTypeError, match="no such hook"):
            remove(layer)


def test_functional_call_differentiates_and_maps_over_parameters() -> None:
    model, x = nn.Sequential(nn.Dense(3, 4, activation="tanh"), nn.Dense(4, 1)), gl.ones((5, 3))
    weights = dict(model.named_parameters())
    loss = gl.grad(lambda p: nn.utils.functional_call(model, p, x).sum())({k: v.detach() for k, v in weights.items()})
    model(x).sum().backward()
    for name, p in weights.items():
        np.testing.assert_allclose(loss[name].numpy(), p.grad.numpy(), rtol=1e-6)
    many = {k: gl.stack([v.detach(), v.detach() * 2.0]) for k, v in weights.items()}
    both = gl.vmap(lambda p: nn.utils.functional_call(model, p, x))(many)
    np.testing.assert_allclose(both[0].numpy(), model(x).numpy(), rtol=1e-6)
    assert all(dict(model.named_parameters())[k] is v for k, v in weights.items())
    with pytest.raises(gl.CheckpointError, match=r"not Sequential's\n  unexpected  0\.scale\n  need names"):
        nn.utils.functional_call(model, {"0.weight": x, "0.scale": x}, x)
    assert model[0].weight is weights["0.weight"]


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Dense(3, 4), nn.BatchNorm1d(4), (5, 3)),
        (nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False), (2, 5, 5, 2)),
        (nn.ConvTranspose1d(2, 4, 3), nn.BatchNorm1d(4, bias=False), (2, 5, 2)),
    ],
)
def test_fusion(layer: Any, norm: Any, shape: tuple[int, ...]) -> None:
    layer, norm = layer.to(dtype="float64"), norm.to(dtype="float64")
    rng = np.random.default_rng(0)
    norm.running_mean.assign(rng.standard_normal(4))
    norm.running_var.assign(rng.uniform(0.5, 2, 4))
    x = gl.tensor(rng.standard_normal(shape))
    fuse = utils.fuse_linear_bn_eval if isinstance(layer, nn.Dense) else utils.fuse_conv_bn_eval
    with pytest.raises(gl.ShapeError, match="in training"):
        fuse(layer, norm)
    expected = norm.eval()(layer.eval()(x)).numpy()
    np.testing.assert_allclose(fuse(layer, norm)(x).numpy(), expected, rtol=1e-10, atol=1e-12)


def test_bad_arguments() -> None:
    layer = nn.Dense(2, 3)
    for call, error, text in (
        (lambda: parametrize.register_parametrization(layer, "gain", Doubled()), gl.DTypeError, "no Parameter"),
        (lambda: parametrize.register_parametrization(layer, "weight", nn.Flatten(0)), gl.ShapeError, "changes shape"),
        (lambda: parametrize.remove_parametrizations(layer, "weight"), gl.DTypeError, "no parametrization"),
        (lambda: parametrizations.spectral_norm(layer, n_power_iterations=0), ValueError, "1 or more"),
        (lambda: parametrizations.spectral_norm(layer, "gain"), gl.ShapeError, "has no tensor 'gain'"),
        (lambda: utils.weight_norm(layer, "gain"), gl.DTypeError, "no Parameter"),
        (lambda: utils.spectral_norm(layer, n_power_iterations=0), ValueError, "1 or more"),
    ):
        with pytest.raises(error, match=text):
            call()  # type: ignore[no-untyped-call]
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_functional_call_ties_what_the_module_ties() -> None:
    encoder, decoder, x = nn.Dense(2, 2, bias=False), nn.Dense(2, 2, bias=False), gl.tensor([[1.0, 2.0]])
    decoder.weight = encoder.weight
    model, twice = nn.Sequential(encoder, decoder), {"0.weight": gl.tensor([[2.0, 0.0], [0.0, 2.0]])}
    assert nn.utils.functional_call(model, twice, x, strict=False).tolist() == [[4.0, 8.0]]
    alone = nn.utils.functional_call(model, twice, x, tie_weights=False)
    np.testing.assert_allclose(alone.numpy(), decoder(x * 2.0).numpy(), rtol=1e-6)
    with pytest.raises(gl.CheckpointError, match=r"missing     1\.weight"):
        nn.utils.functional_call(model, twice, x, strict=True)
    assert model[0].weight is model[1].weight


def test_copies_of_a_layer_that_has_run() -> None:
    """Its weight is the result of an op: the copy has the value, and computes its own."""
    x = gl.tensor([[1.0, 2.0, 3.0]])
    model = nn.Sequential(utils.weight_norm(nn.Dense(3, 4)), utils.spectral_norm(nn.Dense(4, 2)))
    model(x).sum().backward()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.eval()
        np.testing.assert_array_equal(other(x).numpy(), model.eval()(x).numpy())
        other[0].weight_g.assign(other[0].weight_g.detach() * 2.0)
        assert (other[0](x) - other[0].bias).numpy() == pytest.approx((model[0](x) - model[0].bias).numpy() * 2)


@pytest.mark.parametrize("layer", [nn.Dense(5, 3), nn.Dense(3, 5), nn.Dense(4, 4), nn.Embedding(6, 2)])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder", None])
def test_orthogonal_weights_are_and_stay(layer: nn.Module, kind: str | None) -> None:
    layer, rng = copy.deepcopy(layer).double(), np.random.default_rng(0)
    parametrizations.orthogonal(layer, orthogonal_map=kind)
    original = layer.get_parameter("parametrizations.weight.original")
    for _ in range(2):
        w = layer.weight.numpy()
        tall = w if w.shape[0] >= w.shape[1] else w.T
        np.testing.assert_allclose(tall.T @ tall, np.eye(tall.shape[1]), atol=1e-12)
        original.assign(original.detach() + 0.3 * rng.standard_normal(original.shape))
        original.assign(np.where(np.eye(*original.shape) == 1, -1.0, original.numpy()))  # the reflections' signs
    layer.weight = w  # what is orthogonal can be assigned
    np.testing.assert_allclose(layer.weight.numpy(), w, atol=1e-12)


def test_orthogonal_reflections_without_a_base_can_be_assigned() -> None:
    layer = nn.Dense(5, 3, dtype="float64")
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 3)))[0]
    layer.weight.assign(q)
    parametrizations.orthogonal(layer, use_trivialization=False)
    np.testing.assert_allclose(layer.weight.numpy(), q, atol=1e-12)
    square = parametrizations.orthogonal(nn.Dense(3, 3, dtype="float64"), use_trivialization=False)
    np.testing.assert_allclose((square.weight.T @ square.weight).numpy(), np.eye(3), atol=1e-12)
    with pytest.raises(NotImplementedError, match=r"'matrix_exp' without a base.*\n  need use_trivialization=True"):
        square.weight = gl.eye(3, dtype="float64")
    with pytest.raises(gl.ShapeError, match=r"Conv2d\.weight is no matrix"):
        parametrizations.orthogonal(nn.Conv2d(1, 2, 3))
    with pytest.raises(ValueError, match="need one of matrix_exp, cayley, householder"):
        parametrizations.orthogonal(nn.Dense(2, 2), orthogonal_map="qr")
