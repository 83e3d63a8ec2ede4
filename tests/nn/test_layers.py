"""Layers: shapes, state, training and evaluation, agreement with PyTorch's layers."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn

RNG = np.random.default_rng(1)


def images(*shape: int) -> gl.Tensor:
    return gl.tensor(RNG.standard_normal(shape).astype(np.float32))


def test_dense_is_linear() -> None:
    assert nn.Linear is nn.Dense
    layer = nn.Dense(4, 3, activation="relu")
    x = images(2, 5, 4)
    expected = np.maximum(x.numpy() @ layer.weight.numpy() + layer.bias.numpy(), 0)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert repr(layer) == "Dense(4, 3, activation='relu')"
    assert repr(nn.Dense(4, 3, False, activation=np.tanh)) == "Dense(4, 3, bias=False, activation=tanh)"
    for size in (0, 2.5, "3"):
        with pytest.raises(gl.ShapeError, match="need ints of at least 1"):
            nn.Dense(size, 3)
    with pytest.raises(ValueError, match="no activation 'rleu'"):
        nn.Dense(2, 3, activation="rleu")
    with pytest.raises(gl.ShapeError, match="input has 7 features, weight expects 4"):
        layer(images(2, 7))
    with pytest.raises(gl.DTypeError, match="floating"):
        nn.Dense(2, 2, dtype="int32")


def test_conv2d_shapes_and_errors() -> None:
    layer = nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2, dtype="float64")
    assert layer.weight.shape == (3, 2, 2, 6)
    assert layer.weight.dtype == np.float64
    assert layer(gl.tensor(RNG.standard_normal((2, 7, 8, 4)))).shape == (2, 4, 5, 6)
    assert repr(layer) == "Conv2d(4, 6, kernel_size=(3, 2), stride=2, padding=1, groups=2)"
    with pytest.raises(gl.ShapeError, match="4 and 6 channels in 3 groups"):
        nn.Conv2d(4, 6, 3, groups=3)
    with pytest.raises(gl.ShapeError, match="an int, or 2 of them"):
        nn.Conv2d(4, 6, (3, 3, 3))
    with pytest.raises(gl.ShapeError, match="1 or more"):
        nn.Conv2d(4, 6, 0)
    with pytest.raises(ValueError, match="padding is 'sane'"):
        nn.Conv2d(4, 6, 3, padding="sane")
    with pytest.raises(ValueError, match="no activation 'rleu'"):
        nn.Conv2d(4, 6, 3, activation="rleu")


def test_pooling_layers() -> None:
    x = images(2, 4, 6, 3)
    v = x.numpy().reshape(2, 2, 2, 3, 2, 3)
    np.testing.assert_array_equal(nn.MaxPool2d(2)(x).numpy(), v.max((2, 4)))
    np.testing.assert_allclose(nn.AvgPool2d(2)(x).numpy(), v.mean((2, 4)), rtol=1e-5, atol=1e-6)
    assert repr(nn.MaxPool2d(3, 2, 1)) == "MaxPool2d(3, stride=2, padding=1)"
    assert repr(nn.AvgPool2d(2, count_include_pad=False)) == "AvgPool2d(2, count_include_pad=False)"
    assert nn.MaxPool2d(3, 2, 1, ceil_mode=True)(x).shape == (2, 3, 4, 3)


def test_batch_norm_training_and_evaluation_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = nn.BatchNorm2d(3, dtype="float64"), torch.nn.BatchNorm2d(3, dtype=torch.float64)
    for _ in range(3):
        x = RNG.standard_normal((4, 5, 6, 3)) * 3 + 1
        y, other = ours(gl.tensor(x)), theirs(torch.tensor(x).permute(0, 3, 1, 2))
        np.testing.assert_allclose(y.numpy(), other.permute(0, 2, 3, 1).detach().numpy(), rtol=1e-9, atol=1e-10)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        np.testing.assert_allclose(getattr(ours, name).numpy(), getattr(theirs, name).numpy(), rtol=1e-12)
    y, other = ours.eval()(gl.tensor(x)), theirs.eval()(torch.tensor(x).permute(0, 3, 1, 2))
    np.testing.assert_allclose(y.numpy(), other.permute(0, 2, 3, 1).detach().numpy(), rtol=1e-9, atol=1e-10)
    assert int(ours.num_batches_tracked) == 3


def test_batch_norm_variants() -> None:
    plain = nn.BatchNorm1d(3, affine=False, track_running_stats=False)
    assert plain.state_dict() == {}
    x = images(8, 3)
    expected = (x.numpy() - x.numpy().mean(0)) / np.sqrt(x.numpy().var(0) + 1e-5)
    np.testing.assert_allclose(plain.eval()(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    average = nn.BatchNorm1d(3, momentum=None)
    batches = [images(8, 3) for _ in range(3)]
    for batch in batches:
        average(batch)
    np.testing.assert_allclose(
        average.running_mean.numpy(), np.mean([b.numpy().mean(0) for b in batches], 0), rtol=1e-4, atol=1e-6
    )
    with pytest.raises(gl.ShapeError, match=r"BatchNorm2d\(3\)\(input\)"):
        nn.BatchNorm2d(3)(x)
    with pytest.raises(gl.ShapeError, match="the last of size 3"):
        nn.BatchNorm1d(3)(images(8, 4))
    assert repr(plain) == "BatchNorm1d(3, affine=False, track_running_stats=False)"


def test_running_statistics_are_off_the_tape() -> None:
    layer = nn.BatchNorm1d(3)
    layer(images(8, 3)).sum().backward()
    assert layer.running_mean.is_leaf
    assert not layer.running_mean.requires_grad
    assert layer.weight.grad is not None


@pytest.mark.parametrize("make", [nn.BatchNorm1d, nn.InstanceNorm1d])
def test_running_statistics_move_once_under_checkpoint(make: type) -> None:
    x = gl.tensor(RNG.standard_normal((4, 5, 3)), requires_grad=True)
    found = []
    for wrap in (lambda f: f, gl.checkpoint):
        layer = make(3, track_running_stats=True, dtype="float64")
        y = wrap(layer)(x)
        (y * y).sum().backward()
        found.append([b.numpy() for b in layer.buffers()])
        assert (found[-1][0] != 0).all()
    for once, again in zip(*found, strict=True):
        np.testing.assert_array_equal(once, again)


def test_dropout_layer() -> None:
    layer = nn.Dropout(0.25, generator=gl.Generator(0))
    x = images(100, 10)
    first, second = layer(x).numpy(), layer(x).numpy()
    assert ((first == 0) != (second == 0)).any()
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())
    assert repr(layer) == "Dropout(p=0.25)"
    with pytest.raises(gl.ShapeError, match="0 <= p <= 1"):
        nn.Dropout(-0.1)


def test_flatten_and_identity() -> None:
    x = images(2, 3, 4, 5)
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert nn.Identity(1, two=2)(x) is x


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        (nn.ReLU(), "ReLU()"),
        (nn.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
        (nn.ELU(0.5), "ELU(alpha=0.5)"),
        (nn.GELU("tanh"), "GELU(approximate='tanh')"),
        (nn.SiLU(), "SiLU()"),
        (nn.Softplus(2.0, 10.0), "Softplus(beta=2.0, threshold=10.0)"),
        (nn.Sigmoid(), "Sigmoid()"),
        (nn.Tanh(), "Tanh()"),
    ],
)
def test_activation_layers_against_pytorch(layer: nn.Module, shown: str) -> None:
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((5, 7)) * 3
    arguments = {
        k: v for k, v in vars(layer).items() if k in ("negative_slope", "alpha", "approximate", "beta", "threshold")
    }
    other = getattr(torch.nn, type(layer).__name__)(**arguments)
    np.testing.assert_allclose(layer(gl.tensor(x)).numpy(), other(torch.tensor(x)).numpy(), rtol=1e-7, atol=1e-10)
    assert repr(layer) == shown


def test_softmax_layer() -> None:
    y = nn.Softmax()(images(3, 4)).numpy()
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-6)


def test_losses_as_modules() -> None:
    x, target = images(4, 3), gl.tensor([0, 1, 2, 1])
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    assert float(loss(x, target)) == pytest.approx(float(nn.functional.cross_entropy(x, target, label_smoothing=0.1)))
    assert repr(loss) == "CrossEntropyLoss(label_smoothing=0.1)"
    weighted = nn.CrossEntropyLoss(gl.tensor([1.0, 2.0, 3.0]))
    assert set(weighted.state_dict()) == {"weight"}
    assert nn.MSELoss("none")(x, x).shape == (4, 3)


def test_layers_train_in_every_floating_dtype() -> None:
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        net = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding="same", activation="relu", dtype=dtype),
            nn.BatchNorm2d(4, dtype=dtype),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dense(16, 3, dtype=dtype),
        )
        y = net(gl.tensor(RNG.standard_normal((5, 4, 4, 2)), dtype=dtype))
        assert y.dtype.name == dtype
        nn.functional.cross_entropy(y, gl.tensor([0, 1, 2, 0, 1])).backward()
        assert {p.grad.dtype.name for p in net.parameters()} == {dtype}
