"""Ordinary mistakes of a first hour: each is refused where it is made, says what is wrong, and ends with the fix."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn, optim
from gradlib.nn import functional as F


def x(*shape: int, dtype: str = "float32") -> gl.Tensor:
    return gl.tensor(np.random.default_rng(0).standard_normal(shape), dtype=dtype)


def whole(*values: Any) -> gl.Tensor:
    return gl.tensor(np.array(values, np.int64))


def model() -> nn.Module:
    return nn.Dense(2, 3)


def sgd() -> optim.Optimizer:
    return optim.SGD(model().parameters(), lr=0.1)


def attention(**masks: Any) -> Any:
    return nn.MultiheadAttention(8, 2)(x(2, 3, 8), x(2, 3, 8), x(2, 3, 8), **masks)


def lbfgs(closure: Any) -> Any:
    return optim.LBFGS(model().parameters()).step(closure)


def ended_cycle() -> None:
    schedule = optim.OneCycleLR(sgd(), max_lr=1.0, total_steps=2)
    for _ in range(5):
        schedule.step()


# The call, the error, its first line, its last line.
LAYERS: list[tuple[Any, type[Exception], str, str]] = [
    (lambda: nn.Dense(4, 3)(x(2, 7)), gl.ShapeError, "input has 7 features, weight expects 4", "input.shape[1]"),
    (lambda: nn.Dense(4, 3)(whole([1, 2, 3, 4])), gl.DTypeError, "dtypes differ, int64 and float32", "x.to(float32)"),
    (lambda: nn.Dense(4, 3)(None), gl.DTypeError, "input is None", "need a Tensor or an array"),
    (lambda: nn.Conv2d(3, 8, 3)(None), gl.DTypeError, "input is None", "need a Tensor or an array"),
    (lambda: nn.Dense(0, 3), gl.ShapeError, "sizes are 0 and 3", "ints of at least 1"),
    (lambda: nn.Dense(4, 3, activation="rely"), ValueError, "no activation 'rely'", "need one of elu, gelu"),
    (lambda: nn.Conv2d(3, 8, 3)(x(2, 3, 9, 9)), gl.ShapeError, "has 9 channels, weight expects 3", "gl.moveaxis(input"),
    (lambda: nn.Conv1d(3, 8, 3)(x(2, 3, 9)), gl.ShapeError, "has 9 channels, weight expects 3", "gl.moveaxis(input"),
    (lambda: nn.ConvTranspose2d(3, 8, 3)(x(2, 3, 9, 9)), gl.ShapeError, "channels do not fit", "gl.moveaxis(input"),
    (lambda: nn.Conv2d(3, 8, 3)(x(9, 9, 3)), gl.ShapeError, "input has 3 dimensions, expected 4", "4 dimensions"),
    (lambda: nn.Conv2d(3, 8, 3, groups=2), gl.ShapeError, "3 and 8 channels in 2 groups", "groups divides"),
    (lambda: nn.Conv2d(3, 8, 3.0), gl.ShapeError, "kernel_size is 3.0", "an int, or 2 of them"),  # type: ignore[arg-type]
    (lambda: nn.BatchNorm2d(3)(x(2, 3, 8, 8)), gl.ShapeError, "the input does not fit", "gl.moveaxis(input"),
    (lambda: nn.BatchNorm1d(3)(x(1, 3)), gl.ShapeError, "one value per channel has no variance", "eval()"),
    (lambda: nn.LayerNorm(5)(x(2, 3)), gl.ShapeError, "does not end in normalized_shape (5,)", "normalized_shape"),
    (lambda: nn.MaxPool2d(0)(x(1, 4, 4, 1)), gl.ShapeError, "kernel_size 0, stride 0", "1 or more"),
    (lambda: nn.Embedding(5, 3)(x(2)), gl.DTypeError, "indices are float32", "an integer dtype"),
    (lambda: nn.Embedding(5, 3)(whole(1, 7)), IndexError, "an index is 7, weight has 5 rows", "0 <= index < 5"),
    (lambda: nn.Dropout("a"), gl.ShapeError, "p is 'a'", "0 <= p <= 1"),  # type: ignore[arg-type]
    (lambda: nn.LSTM(4, 5, dropout=2.0), gl.ShapeError, "LSTM(dropout): p is 2.0", "0 <= p <= 1"),
    (lambda: nn.LSTM(4, 5)(x(2, 3, 7)), gl.ShapeError, "LSTM(4, 5)(input): the input does not fit", "of size 4"),
    (lambda: nn.LSTM(4, 5)(x(2, 3, 4), x(1, 2, 5)), gl.ShapeError, "hx does not fit", "a pair, (h, c)"),
    (lambda: nn.GRU(4, 5)(x(2, 3, 4), (x(1, 2, 5),) * 2), gl.ShapeError, "hx does not fit", "one tensor"),
    (lambda: nn.GRU(4, 5)(x(2, 3, 4), x(1, 3, 5)), gl.ShapeError, "hx does not fit", "(1, 2, 5)"),
    (lambda: nn.LSTM(4, 5)(x(2, 3, 4), None, [9, 1]), gl.ShapeError, "lengths are [9, 1]", "2 numbers from 1 to 3"),
    (lambda: nn.LSTMCell(4, 5)(x(2, 4), x(2, 5)), gl.ShapeError, "hx does not fit", "(h, c), both of shape (2, 5)"),
    (lambda: nn.GRUCell(4, 5)(x(2, 4), x(3, 5)), gl.ShapeError, "hx does not fit", "one of shape (2, 5)"),
    (lambda: nn.RNNCell(4, 5, nonlinearity="gelu"), ValueError, "'gelu' is unknown", "'tanh' or 'relu'"),
    (lambda: nn.MultiheadAttention(10, 3), gl.ShapeError, "10 features in 3 heads", "a multiple of num_heads"),
    (lambda: attention(attn_mask=gl.ones((4, 4), dtype="bool")), gl.ShapeError, "attn_mask does not fit", "(3, 3), or"),
    (lambda: attention(key_padding_mask=gl.ones((2, 4), dtype="bool")), gl.ShapeError, "key_padding_mask", "(2, 3)"),
    (lambda: nn.TransformerEncoder(8, 2), gl.DTypeError, "8 is not a Module", "TransformerEncoderLayer(...)"),  # type: ignore[arg-type]
    (lambda: nn.Bilinear(3, 4, 5)(x(2, 3), x(2, 5)), gl.ShapeError, "shapes do not fit", "input2.shape[-1] =="),
    (lambda: nn.PReLU(3)(x(2, 4)), gl.ShapeError, "weight has 3 slopes, input 4 channels", "(input.shape[-1],)"),
    (lambda: nn.PixelShuffle(2)(x(1, 3, 3, 3)), gl.ShapeError, "3 channels are not a multiple", "upscale_factor^2"),
    (lambda: nn.PixelUnshuffle(2)(x(1, 3, 3, 3)), gl.ShapeError, "3 by 3 places are not multiples", "downscale_factor"),
    (lambda: nn.Upsample()(x(1, 3, 3, 3)), ValueError, "they are None and None", "one of them"),
    (lambda: nn.Upsample(2, mode="blur")(x(1, 3, 3, 3)), ValueError, "'blur' is none for 2", "'bilinear', 'bicubic'"),
    (lambda: nn.Unflatten(1, (2, 4))(x(2, 6)), gl.ShapeError, "axis 1 has 6 places, not 8", "prod(unflattened_size)"),
    (lambda: nn.Sequential([nn.ReLU()]), gl.DTypeError, "a list of Modules is not a Module", "Sequential(*modules)"),  # type: ignore[arg-type]
    (lambda: nn.Sequential(nn.ReLU), gl.DTypeError, "the class ReLU is not a Module", "ReLU(...)"),  # type: ignore[arg-type]
    (lambda: nn.Sequential(F.relu), gl.DTypeError, "is not a Module", "such as nn.ReLU()"),  # type: ignore[arg-type]
    (lambda: nn.ModuleList(nn.ReLU()), gl.DTypeError, "modules is one Module", "[module]"),  # type: ignore[arg-type]
    (lambda: nn.ModuleList([nn.ReLU()])(x(1)), NotImplementedError, "does not define forward", "the parts are called"),
    (lambda: nn.summary(model(), 2), gl.ShapeError, "input_shape is 2", "(1, 28, 28, 1)"),  # type: ignore[arg-type]
    (lambda: model().to("gpu"), gl.DeviceError, "neither a device nor a dtype", "cpu, sim, cuda, float16"),
    (lambda: model().get_parameter("bios"), gl.CheckpointError, "no Parameter 'bios'", "named_parameters()"),
    (lambda: model().get_submodule("a.b"), gl.CheckpointError, "no module 'a.b'", "named_modules()"),
    (lambda: model().get_buffer("bias"), gl.CheckpointError, "no buffer 'bias'", "named_buffers()"),
    (lambda: model().add_module("forward", nn.ReLU()), ValueError, "'forward' cannot be the name", "without a dot"),
    (lambda: model().add_module("a", F.relu), gl.DTypeError, "is not a Module", "one, or None"),  # type: ignore[arg-type]
    (lambda: model().register_parameter("a", x(2)), gl.DTypeError, "of type Tensor", "nn.Parameter(...)"),  # type: ignore[arg-type]
    (lambda: nn.init.xavier_uniform_(np.ones((3, 3))), gl.DTypeError, "type ndarray", "such as layer.weight"),  # type: ignore[arg-type]
    (lambda: nn.init.zeros_(nn.ReLU()), gl.DTypeError, "type ReLU", "such as layer.weight"),  # type: ignore[arg-type]
    (lambda: nn.init.kaiming_normal_(x(3)), gl.ShapeError, "tensor has 1 dimensions", "normal_, uniform_ or zeros_"),
    (lambda: nn.init.normal_(x(3), std=-1.0), ValueError, "std is -1.0", "std >= 0"),
    (lambda: nn.init.uniform_(x(3), 2.0, 1.0), ValueError, "a is 2.0, b 1.0", "a <= b"),
    (lambda: nn.init.eye_(x(3)), gl.ShapeError, "tensor has 1 dimensions", "a matrix"),
    (lambda: nn.utils.weight_norm(nn.ReLU()), gl.DTypeError, "it is no Parameter of ReLU", "it has none"),
]  # fmt: skip
LOSSES: list[tuple[Any, type[Exception], str, str]] = [
    (lambda: F.cross_entropy(x(4, 3), x(4)), gl.DTypeError, "target is float32, as prob", "target.to('int64')"),
    (lambda: F.cross_entropy(x(4, 3), whole(0, 1, 2, 3)), IndexError, "class 3, input has 3 classes", "ignore_index"),
    (lambda: F.cross_entropy(x(4, 3), whole(0, 1)), gl.ShapeError, "input (4, 3) expects (4,)", "target.shape =="),
    (lambda: nn.CrossEntropyLoss(x(4, 3), whole(0, 1, 2, 1)), gl.DTypeError, "of type Tensor", "()(input, target)"),  # type: ignore[arg-type]
    (lambda: F.nll_loss(x(4, 3), x(4)), gl.DTypeError, "target is float32", "target.to('int64')"),
    (lambda: F.one_hot(x(4)), gl.DTypeError, "not of integers", "tensor.to('int64')"),
    (lambda: F.mse_loss(x(4, 1), x(4)), gl.ShapeError, "shapes differ", "equal shapes"),
    (lambda: F.mse_loss(x(4), x(4), reduction="avg"), ValueError, "'avg' is unknown", "'mean', 'sum' or 'none'"),
    (lambda: F.kl_div(x(4), x(4), reduction="avg"), ValueError, "'avg' is unknown", "'batchmean'"),
    (lambda: F.binary_cross_entropy(x(4), F.sigmoid(x(4))), ValueError, "input has values from -0.13", "_with_logits"),
    (lambda: F.triplet_margin_loss(x(4, 3), x(4, 3), x(4, 2)), gl.ShapeError, "shapes differ", "equal shapes"),
    (lambda: F.triplet_margin_loss(*(x(4, 3),) * 3, margin=-1.0), ValueError, "margin is -1.0", "margin > 0"),
    (lambda: F.margin_ranking_loss(x(4), x(4), x(4, 1)), gl.ShapeError, "shapes differ", "equal shapes"),
    (lambda: F.cosine_embedding_loss(x(4, 3), x(4, 3), x(3)), gl.ShapeError, "do not fit", "input1.shape[:-1]"),
    (lambda: F.multi_margin_loss(x(4, 3), whole(1)), gl.ShapeError, "do not fit", "input.shape[:-1]"),
    (lambda: F.ctc_loss(x(5, 2, 4), whole([1, 2], [3, 3]), [5, 5], [2, 2]), gl.ShapeError, "do not fit", "swapaxes"),
]  # fmt: skip
TRAINING: list[tuple[Any, type[Exception], str, str]] = [
    (lambda: optim.SGD(model(), lr=0.1), gl.DTypeError, "params is of type Dense", "model.parameters(), called"),  # type: ignore[arg-type]
    (lambda: optim.SGD(model().parameters, lr=0.1), gl.DTypeError, "of type method", "model.parameters(), called"),  # type: ignore[arg-type]
    (lambda: optim.SGD(model().state_dict(), lr=0.1), gl.DTypeError, "of type dict", "model.parameters(), called"),
    (lambda: optim.SGD([np.ones(3)], lr=0.1), gl.DTypeError, "float64[3] is not a floating Tensor", "need Parameters"),
    (lambda: optim.SGD([], lr=0.1), gl.ShapeError, "there are no parameters", "not yet used up"),
    (lambda: optim.SGD([x(2)], lr=-0.1), ValueError, "SGD(lr): lr is -0.1", "a finite number of at least 0"),
    (lambda: optim.Muon([x(2, 2)], lr="fast"), ValueError, "Muon(lr): lr is 'fast'", "a finite number"),  # type: ignore[arg-type]
    (lambda: optim.SGD([x(2)], momentum="a"), ValueError, "momentum is 'a'", "a finite number"),  # type: ignore[arg-type]
    (lambda: optim.SGD([x(2)], nesterov=True), ValueError, "momentum is 0.0, dampening 0.0", "momentum > 0"),
    (lambda: optim.Adam([x(2)], betas=0.9), ValueError, "betas is 0.9", "two numbers"),  # type: ignore[arg-type]
    (lambda: optim.Adam([x(2)], betas=(0.9, 1.0)), ValueError, "betas is (0.9, 1.0)", "[0, 1)"),
    (lambda: optim.Rprop([x(2)], etas=2), ValueError, "etas is 2", "two numbers"),  # type: ignore[arg-type]
    (lambda: setattr(sgd(), "lr", -1.0), ValueError, "lr is -1.0", "a finite number of at least 0"),
    (lambda: lbfgs(None), TypeError, "there is no closure", "calls backward and returns the loss"),
    (lambda: lbfgs(lambda: None), TypeError, "the closure returned None", "calls backward and returns the loss"),
    (lambda: lbfgs(lambda: 3.0), gl.GradientError, "no parameter has a gradient", "calls backward and returns"),
    (lambda: optim.CosineAnnealingLR(model(), 3), gl.DTypeError, "optimizer is of type Dense", "gl.optim.SGD("),  # type: ignore[arg-type]
    (lambda: optim.OneCycleLR(model(), 0.1, 3), gl.DTypeError, "optimizer is of type Dense", "gl.optim.SGD("),  # type: ignore[arg-type]
    (lambda: optim.ReduceLROnPlateau(model()), gl.DTypeError, "optimizer is of type Dense", "gl.optim.SGD("),  # type: ignore[arg-type]
    (lambda: optim.LambdaLR(sgd(), 0.3), ValueError, "lr_lambda is 0.3", "lambda n: ..."),  # type: ignore[arg-type]
    (lambda: optim.LambdaLR(sgd(), [float] * 2), ValueError, "2 functions for 1 groups", "one for each"),
    (lambda: optim.ExponentialLR(sgd(), "0.9"), ValueError, "gamma is '0.9'", "a number of at least 0"),  # type: ignore[arg-type]
    (lambda: optim.StepLR(sgd(), 0), ValueError, "step_size is 0", "1 or more"),
    (lambda: optim.MultiStepLR(sgd(), 3), ValueError, "milestones is 3", "a list of steps"),  # type: ignore[arg-type]
    (lambda: optim.CyclicLR(sgd(), "low", 1.0), ValueError, "base_lr is 'low'", "one for each group"),  # type: ignore[arg-type]
    (lambda: optim.OneCycleLR(sgd(), 1.0), ValueError, "number of steps is not given", "epochs and steps_per_epoch"),
    (ended_cycle, ValueError, "OneCycleLR.step: step 3 of 2", "total_steps"),
    (lambda: optim.ReduceLROnPlateau(sgd()).step(), TypeError, "no metric to watch", "the validation loss"),
    (lambda: nn.utils.clip_grad_norm_([x(2)], -1.0), ValueError, "max_norm is -1.0", "a number of at least 0"),
    (lambda: nn.utils.clip_grad_value_([x(2)], -1.0), ValueError, "clip_value is -1.0", "a number of at least 0"),
    (lambda: nn.utils.clip_grad_norm_(model().parameters, 1.0), gl.DTypeError, "of type method", "model.parameters()"),  # type: ignore[arg-type]
    (lambda: x(2, 3).view(6), AttributeError, "no attribute 'view'", "x.reshape(shape)"),
    (lambda: x(2, 3).clip_(0, 1), AttributeError, "no attribute 'clip_'", "x = x.clip(...)"),
    (lambda: x(2, 3).contiguous(), AttributeError, "no attribute 'contiguous'", "not needed"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "first", "last"), LAYERS + LOSSES + TRAINING)
def test_first_line_and_fix(call: Any, kind: type[Exception], first: str, last: str) -> None:
    with pytest.raises(kind) as error:
        call()
    lines = str(error.value).split("\n")
    assert first in lines[0]
    assert len(lines) > 1
    assert all(line.startswith("  ") for line in lines[1:])
    assert re.search(r"^  (need|or|it is not|a tensor)\b", lines[-1])
    assert last in lines[-1]


def test_hints_name_what_is_there() -> None:
    """Every name and function that a hint tells of."""
    from gradlib.core.hints import INSTEAD

    for name, instead in INSTEAD.items():
        assert not hasattr(gl.tensor([1.0]), name)
        for owner, member in re.findall(r"\b(x|gl|gl\.linalg)\.(?!linalg\b)(\w+)", instead):
            there: Any = {"x": gl.tensor([1.0]), "gl": gl, "gl.linalg": gl.linalg}[owner]
            assert hasattr(there, member), instead
    assert not hasattr(gl.tensor([1.0]), "no_such_name")


def test_named_parameters_are_parameters() -> None:
    """As in PyTorch from 2.6 on."""
    layer = model()
    a = optim.SGD(layer.named_parameters(), lr=0.1)
    b = optim.SGD([{"params": layer.named_parameters(), "lr": 0.2}], lr=0.1)
    assert [p.shape for p in a.param_groups[0]["params"]] == [p.shape for p in b.param_groups[0]["params"]] == [
        (2, 3), (3,),
    ]  # fmt: skip


def test_parts_by_name() -> None:
    net = nn.Module()
    net.add_module("norm", nn.BatchNorm1d(3))
    net.register_module("none", None)
    net.register_parameter("scale", nn.Parameter(x(2)))
    net.register_parameter("shift", None)
    assert [name for name, _ in net.named_parameters()] == ["scale", "norm.weight", "norm.bias"]
    assert net.get_submodule("") is net
    assert net.get_submodule("norm").get_buffer("running_mean") is net.get_buffer("norm.running_mean")
    assert net.get_parameter("scale") is net.scale
    assert net.shift is None is net.none
    for change, dtype in (("half", "float16"), ("bfloat16", "bfloat16"), ("double", "float64"), ("float", "float32")):
        assert getattr(net, change)() is net
        assert {p.dtype.name for p in net.parameters()} == {dtype}
        assert net.get_buffer("norm.num_batches_tracked").dtype == np.int64
    assert net.type("float64").cpu().get_parameter("scale").dtype == np.float64


def test_lists_and_dicts_give_back() -> None:
    layers = nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.GELU()])
    assert isinstance(layers.pop(1), nn.Tanh)
    del layers[-1]
    assert [type(layer) for layer in layers] == [nn.ReLU]
    heads = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()})
    assert isinstance(heads.pop("a"), nn.ReLU)
    assert list(heads) == ["b"]
    with pytest.raises(KeyError):
        heads.pop("a")
    heads.clear()
    assert len(heads) == 0
