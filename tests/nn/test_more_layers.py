"""Activations, norms and the like against PyTorch's stored float64 values; dropouts by their statistics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.nn import functional as F

STORED = np.load(Path(__file__).parent.parent / "reference" / "layer.npz")
ACTIVATIONS, NORMS = json.loads(str(STORED["activations"])), json.loads(str(STORED["norms"]))


def leaf(key: str) -> gl.Tensor:
    return gl.tensor(STORED[key], requires_grad=True)


def compare(key: str, y: gl.Tensor, leaves: list[gl.Tensor], g: np.ndarray | None = None) -> None:
    np.testing.assert_allclose(y.numpy(), STORED[f"{key}_y"], rtol=1e-10, atol=1e-11)
    g = STORED["g"] if g is None else g
    y.backward(gl.tensor(np.ascontiguousarray(g[tuple(slice(0, n) for n in y.shape)])))
    for i, t in enumerate(leaves):
        expected = STORED[f"{key}_d{i}"]
        expected = expected.transpose(1, 2, 0) if key == "bilinear" and i == 2 else expected
        np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("n", range(len(ACTIVATIONS)), ids=[name for name, _ in ACTIVATIONS])
def test_activations_are_pytorchs(n: int) -> None:
    name, settings = ACTIVATIONS[n]
    x = leaf("x")
    compare(f"activation{n}", getattr(F, name)(x, **settings), [x])
    found = [key for key in nn.__all__ if key.lower() == name and key != name]
    if not settings and found:
        np.testing.assert_allclose(getattr(nn, found[0])().eval()(x).numpy(), STORED[f"activation{n}_y"], atol=1e-11)
    half = getattr(F, name)(x.detach().to("float16"), **settings)
    assert half.dtype == np.float16


@pytest.mark.parametrize("n", range(len(NORMS)))
def test_norms_are_pytorchs(n: int) -> None:
    name, settings, names = NORMS[n]
    x, extra = leaf("x"), {key: leaf(key) for key in names}
    compare(f"norm{n}", getattr(F, name)(x, **settings, **extra), [x, *extra.values()])


def test_group_and_instance_norm_are_pytorchs() -> None:
    x, w, b = leaf("x"), leaf("weight"), leaf("bias")
    compare("group", F.group_norm(x, 3, w, b, 1e-3), [x, w, b])
    for key, own in (("instance", True), ("running", False)):
        x, w, b = leaf("x"), leaf("weight"), leaf("bias")
        mean, var = gl.tensor(STORED["weight"]), gl.tensor(np.abs(STORED["bias"]))
        compare(key, F.instance_norm(x, mean, var, w, b, own, 0.3, 1e-3), [x, w, b])
        if own:
            np.testing.assert_allclose(mean.numpy(), STORED["instance_mean"], rtol=1e-12)
            np.testing.assert_allclose(var.numpy(), STORED["instance_var"], rtol=1e-12)


def test_prelu_embedding_and_bilinear_are_pytorchs() -> None:
    x, w = leaf("x"), leaf("weight")
    compare("prelu", F.prelu(x, w), [x, w])
    table = leaf("table")
    compare("embedding", F.embedding(gl.tensor(STORED["index"]), table, padding_idx=2), [table])
    layer = nn.Bilinear(3, 5, 6, dtype="float64")
    layer.weight.assign(gl.tensor(STORED["form"]))
    layer.bias.assign(gl.tensor(STORED["bias"]))
    one, two = leaf("one"), leaf("two")
    compare("bilinear", layer(one, two), [one, two, layer.weight], STORED["bilinear_g"])


@pytest.mark.parametrize(
    ("layer", "shape", "shown"),
    [
        (nn.LayerNorm((3, 6)), (2, 3, 6), "LayerNorm((3, 6))"),
        (nn.LayerNorm(6, bias=False), (2, 3, 6), "LayerNorm(6, bias=False)"),
        (nn.RMSNorm(6, eps=0.1), (2, 6), "RMSNorm(6, eps=0.1)"),
        (nn.GroupNorm(3, 6), (2, 4, 6), "GroupNorm(3, 6)"),
        (nn.InstanceNorm1d(6, affine=True), (2, 4, 6), "InstanceNorm1d(6, affine=True)"),
        (nn.InstanceNorm2d(6, track_running_stats=True), (2, 4, 3, 6), "InstanceNorm2d(6, track_running_stats=True)"),
        (nn.InstanceNorm3d(6), (2, 4, 3, 2, 6), "InstanceNorm3d(6)"),
        (nn.PReLU(6), (2, 6), "PReLU(num_parameters=6)"),
        (nn.Hardtanh(-2.0), (2, 6), "Hardtanh(min_val=-2.0)"),
        (nn.Threshold(0.5, 1.0), (2, 6), "Threshold(threshold=0.5, value=1.0)"),
        (nn.Residual(nn.LayerNorm(6)), (2, 6), "Residual("),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else None,
)
def test_layers_train_in_every_precision(layer: nn.Module, shape: tuple[int, ...], shown: str) -> None:
    assert repr(layer).startswith(shown)
    x = np.random.default_rng(0).standard_normal(shape)
    exact = layer.to(dtype="float64")(gl.tensor(x)).numpy()
    y = layer.to(dtype="bfloat16")(gl.tensor(x, dtype="bfloat16"))
    assert y.dtype.name == "bfloat16"
    np.testing.assert_allclose(y.numpy().astype(float), exact, rtol=0.05, atol=0.05)
    y = layer.to(dtype="float32")(gl.tensor(x, dtype="float32", requires_grad=True))
    (y * y).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


def test_batch_norm_of_volumes_is_that_of_their_rows() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 4, 5))
    volumes, rows = nn.BatchNorm3d(5, dtype="float64"), nn.BatchNorm1d(5, dtype="float64")
    y = volumes(gl.tensor(x)).numpy()
    np.testing.assert_allclose(y.reshape(-1, 5), rows(gl.tensor(x.reshape(-1, 5))).numpy(), rtol=1e-12)
    np.testing.assert_allclose(volumes.running_var.numpy(), rows.running_var.numpy(), rtol=1e-12)
    with pytest.raises(gl.ShapeError, match="5 dimensions"):
        volumes(gl.tensor(x[0]))


def test_second_order() -> None:
    x = gl.tensor(STORED["x"][0, 0])

    def f(v: Any) -> Any:
        return (F.layer_norm(v, 6) ** 3).sum() + (F.rms_norm(v, 6) ** 3).sum()

    slope = gl.grad(lambda v: (gl.grad(f)(v) * x).sum())(x).numpy()
    step = 1e-5
    there, back = (gl.grad(f)(gl.tensor(x.numpy() + s * x.numpy())).numpy() for s in (step, -step))
    np.testing.assert_allclose(slope, (there - back) / (2 * step), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Dropout1d, (64, 5, 32)), (nn.Dropout2d, (64, 3, 2, 32)), (nn.Dropout3d, (64, 2, 2, 2, 32))],
)
def test_channel_dropout(layer: Any, shape: tuple[int, ...]) -> None:
    made = layer(0.25, generator=gl.Generator(1))
    x = gl.tensor(np.ones(shape), requires_grad=True)
    y = made(x)
    flat = y.numpy().reshape(shape[0], -1, shape[-1])
    assert (flat == flat[:, :1]).all()
    assert set(np.unique(flat)) == {0.0, 1 / 0.75}
    assert abs((flat[:, 0] == 0).mean() - 0.25) < 0.04
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert made.eval()(x) is x
    with pytest.raises(gl.ShapeError, match="dimensions"):
        made(gl.tensor(np.ones((2, 2))))


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = gl.tensor(np.random.default_rng(0).standard_normal((50, 4, 500)))
    for layer in (nn.AlphaDropout, nn.FeatureAlphaDropout):
        made = layer(0.2, generator=gl.Generator(0))
        y = made(x).numpy()
        assert abs(y.mean()) < 0.03
        assert abs(y.var() - 1) < 0.05
        assert made.eval()(x) is x
    rest = np.abs(y - y[:, :1]).max(1) < 1e-12  # of a whole channel
    assert abs(rest.mean() - 0.2) < 0.02
    np.testing.assert_array_equal(nn.FeatureAlphaDropout(1.0)(x).numpy(), 0)


def test_rrelu_draws_its_slopes() -> None:
    y = -nn.RReLU(0.2, 0.4, generator=gl.Generator(0))(gl.tensor(-np.ones(20000))).numpy()
    assert 0.2 <= y.min() < 0.201 < 0.399 < y.max() < 0.4
    assert abs(y.mean() - 0.3) < 0.002


def test_containers_and_summary() -> None:
    heads = nn.ModuleDict([("a", nn.Dense(2, 3)), ("b", nn.Dense(2, 1))])
    assert [name for name, _ in heads.named_parameters()] == ["a.weight", "a.bias", "b.weight", "b.bias"]
    del heads["a"]
    assert heads.keys() == ["b"]
    assert len(heads.values()) == len(heads.items()) == 1
    for bad, error in (("keys", ValueError), ("x.y", ValueError)):
        with pytest.raises(error, match="name"):
            heads[bad] = nn.ReLU()
    with pytest.raises(gl.DTypeError, match="not a Module"):
        heads["c"] = 3  # type: ignore[assignment]
    with pytest.raises(KeyError):
        heads["a"]
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Residual(nn.ReLU()), nn.Flatten(), nn.Dense(144, 10)
    )
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    text = nn.summary(model, (2, 8, 8, 1))
    assert "(2, 6, 6, 4)" in text
    assert "1,498 parameters" in text
    assert model.training
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_summary_of_sequences_and_of_several_inputs() -> None:
    tagger = nn.Sequential(nn.Embedding(20, 8, padding_idx=0), nn.LSTM(8, 6, bidirectional=True))
    tagger[0].weight.requires_grad_(False)
    lines = nn.summary(tagger, (2, 5)).splitlines()  # integers, as it begins with an embedding
    assert lines[2].split() == ["0:", "Embedding", "(2,", "5,", "8)", "160"]
    assert "(2, 5, 12), (2, 2, 6), (2, 2, 6)" in lines[3]  # output, h, c
    assert lines[-1] == "928 parameters, of which 768 are learned"
    model = nn.Transformer(8, 2, 1, 1, 16)
    text = nn.summary(model, [(2, 7, 8), (2, 5, 8)])
    assert "self_attn: MultiheadAttention" in text
    assert text.splitlines()[1].split("  ")[-1] == f"{sum(p.size for p in model.parameters()):,}"
    assert nn.summary(model, [gl.ones((2, 7, 8)), (2, 5, 8)]) == text
    assert model.training
    with pytest.raises(gl.ShapeError, match="2 inputs, 1 dtypes"):
        nn.summary(model, [(2, 7, 8), (2, 5, 8)], dtype=["float32"])


def test_every_layer_is_shown_with_what_differs() -> None:
    """The repr of a layer makes it again, where its arguments are numbers and texts."""
    for text in (
        "AdaptiveLogSoftmaxWithLoss(16, 20, cutoffs=[4, 10])",
        "BatchNorm2d(3, eps=0.1, bias=False)",
        "Conv1d(4, 6, kernel_size=3, padding=1, padding_mode='reflect', activation='relu')",
        "Conv2d(4, 6, kernel_size=3, stride=2, bias=False)",
        "Embedding(5, 3, padding_idx=1, max_norm=2.0)",
        "EmbeddingBag(5, 3, mode='sum')",
        "Fold(output_size=(3, 4), kernel_size=2)",
        "GroupNorm(2, 4, eps=0.1, bias=False)",
        "InstanceNorm1d(4, affine=True, bias=False)",
        "LPPool2d(norm_type=2, kernel_size=3)",
        "LearnedPositionalEncoding(7, 4, dropout=0.1)",
        "MaxPool2d(3, stride=2, return_indices=True)",
        "PositionalEncoding(4, dropout=0.1)",
        "RBF(2, 3, basis='multiquadric')",
        "RotaryEmbedding(4, base=100.0, interleaved=False)",
        "LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2)",
    ):
        assert repr(eval(f"nn.{text}")).split("\n")[0].rstrip("(") in (text, text.rstrip(")"))
    lines = repr(nn.TransformerEncoderLayer(8, 2, 16, norm_first=True)).split("\n")
    assert lines[:3] == [
        "TransformerEncoderLayer(norm_first=True",
        "  (self_attn): MultiheadAttention(8, 2, dropout=0.1",
        "    (out_proj): Dense(8, 8)",
    ]


def test_bad_arguments() -> None:
    x = np.ones((2, 3))
    for call, error in (
        (lambda: F.layer_norm(x, 4), gl.ShapeError),
        (lambda: F.group_norm(x, 2), gl.ShapeError),
        (lambda: nn.GroupNorm(2, 3), gl.ShapeError),
        (lambda: F.instance_norm(x[:, None]), gl.ShapeError),
        (lambda: F.instance_norm(x, use_input_stats=False), gl.ShapeError),
        (lambda: nn.InstanceNorm1d(4)(x[None]), gl.ShapeError),
        (lambda: F.glu(x), gl.ShapeError),
        (lambda: nn.Embedding(3, 2, padding_idx=3), gl.ShapeError),
        (lambda: nn.Dropout2d(2.0), gl.ShapeError),
        (lambda: nn.AlphaDropout(1.5), gl.ShapeError),
    ):
        with pytest.raises(error):
            call()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rms_norm_of_small_numbers(dtype: str) -> None:
    """By default eps is float32's, in which halves are computed, as in PyTorch: not so large that it hides them."""
    x = gl.tensor([0.01, -0.01], dtype=dtype)
    np.testing.assert_allclose(F.rms_norm(x, 2).numpy().astype(np.float32), [1.0, -1.0], rtol=1e-3)
