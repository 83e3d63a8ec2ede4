"""nn.functional: PyTorch's values and argument order, plain arrays as well as Tensors."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import gradlib as gl
import gradlib.nn.functional as F

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


# Arguments of PyTorch's builtins, whose signatures Python cannot read.
BY_TEXT = {
    "avg_pool1d": "input kernel_size stride padding ceil_mode count_include_pad",
    "bilinear": "input1 input2 weight bias",
    "celu": "input alpha inplace",
    "channel_shuffle": "input groups",
    "cosine_similarity": "x1 x2 dim eps",
    "gelu": "input approximate",
    "hardshrink": "input lambd",
    "linear": "input weight bias",
    "logsigmoid": "input",
    "one_hot": "tensor num_classes",
    "pairwise_distance": "x1 x2 p eps keepdim",
    "pdist": "input p",
    "pixel_shuffle": "input upscale_factor",
    "pixel_unshuffle": "input downscale_factor",
    "prelu": "input weight",
    "scaled_dot_product_attention": "query key value attn_mask dropout_p is_causal scale enable_gqa",
    "softplus": "input beta threshold",
    "softshrink": "input lambd",
    **{f"conv{n}d": "input weight bias stride padding dilation groups" for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": "input weight bias stride padding output_padding groups dilation" for n in (1, 2, 3)},
    **{
        f"avg_pool{n}d": "input kernel_size stride padding ceil_mode count_include_pad divisor_override" for n in (2, 3)
    },
    **{f"max_pool{n}d": "input kernel_size stride padding dilation ceil_mode return_indices" for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": "input output_size" for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": "input output_size return_indices" for n in (1, 2, 3)},
    **{
        f"fractional_max_pool{n}d": "input kernel_size output_size output_ratio return_indices _random_samples"
        for n in (2, 3)
    },
}
OURS_ALONE = {"dense", "flatten", "l2_divergence", "rbf", "regularizer", "rotary_embedding", "sigmoid", "tanh"}
OURS_ALONE |= {"conv2d_batch_norm", "grouped_dense", "sinusoidal_positions"}
OURS_ALONE |= {"scaled_mm"}  # the arguments of torch._scaled_mm
OURS_ALONE |= {f"conv{n}d_{of}_gradient" for n in (1, 2, 3) for of in ("input", "weight")}  # torch.nn.grad's
# Of torch.nn.functional, and why it is not here.
NOT_HERE = {
    # tensors do not change
    *("celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_", "threshold_"),
    # deprecated: interpolate
    *("upsample", "upsample_bilinear", "upsample_nearest"),
    # return_indices=True
    *(f"{kind}max_pool{n}d_with_indices" for kind in ("", "adaptive_") for n in (1, 2, 3)),
    *(f"fractional_max_pool{n}d_with_indices" for n in (2, 3)),
    # other names, and layouts, of what is here
    *("conv_tbc", "native_channel_shuffle"),
    # other forms of grouped_dense, and of it with scaled_mm
    *("grouped_mm", "scaled_grouped_mm"),
    # none of its public functions
    *("Optional", "assert_int_or_pair", "boolean_dispatch", "DType", "ScalingType", "SwizzleType"),
    *("handle_torch_function", "has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"),
}


def test_all_of_pytorchs_functions_are_here() -> None:
    theirs = pytest.importorskip("torch").nn.functional
    public = {n for n in dir(theirs) if callable(getattr(theirs, n)) and not n.startswith("_")}
    assert {n for n in public if not hasattr(F, n)} == NOT_HERE


def test_all_of_pytorchs_utilities_are_here() -> None:
    torch = pytest.importorskip("torch")
    there, here = torch.nn.utils, gl.nn.utils
    missing = {n for n in there.__all__ if not hasattr(here, n)}
    assert missing == {
        "clip_grad_norm",  # deprecated: clip_grad_norm_
        "convert_conv2d_weight_memory_format",  # of layouts that are not here
        "convert_conv3d_weight_memory_format",
        "skip_init",  # parameters are drawn when they are made
    }
    assert {n for n in there.rnn.__all__ if not hasattr(here.rnn, n)} == {"invert_permutation"}  # no public use
    assert {n for n in there.parametrizations.__all__ if not hasattr(here.parametrizations, n)} == set()
    assert {n for n in there.parametrize.__all__ if not hasattr(here.parametrize, n)} == {
        "transfer_parametrizations_and_params",  # of quantisation
        "type_before_parametrizations",  # classes stay
    }
    assert {n for n in dir(torch.nn.init) if n.endswith("_") and n[0] != "_"} <= set(gl.nn.init.__all__)


DEPRECATED = {"size_average", "reduce", "_stacklevel", "out"}


@pytest.mark.parametrize("name", sorted(set(F.__all__) - OURS_ALONE))
def test_arguments_are_pytorchs(name: str) -> None:
    """All of them, in their order; what is only ours is keyword-only."""
    theirs = pytest.importorskip("torch").nn.functional
    parameters = inspect.signature(getattr(F, name)).parameters.values()
    ours = [p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    if name in BY_TEXT:
        assert ours == BY_TEXT[name].split()
    else:
        expected = inspect.signature(getattr(theirs, name)).parameters.values()
        positional = [p.name for p in expected if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert ours == [n for n in positional if n not in DEPRECATED]


@pytest.mark.parametrize("padding", ["same", "valid", 1, (2, 0)])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_conv2d_against_pytorch(padding: object, groups: int) -> None:
    torch = pytest.importorskip("torch")
    x, w, b = normal(2, 7, 5, 6), normal(3, 5, 6 // groups, 12), normal(12)
    y = F.conv2d(x, w, b, 1, padding, 1, groups)  # type: ignore[arg-type]
    kernel = torch.tensor(w).permute(3, 2, 0, 1)
    other = torch.nn.functional.conv2d(
        torch.tensor(x).permute(0, 3, 1, 2), kernel, torch.tensor(b), 1, padding, 1, groups
    )
    assert type(y) is np.ndarray
    np.testing.assert_allclose(y, other.permute(0, 2, 3, 1).numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "tanh", "sigmoid", "elu", "leaky_relu", "softplus"])
def test_activations_against_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    x, w = normal(4, 5), normal(5, 3)
    expected = getattr(torch.nn.functional, name)(torch.tensor(x @ w)).numpy()
    np.testing.assert_allclose(getattr(F, name)(x @ w), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(F.dense(x, w, activation=name), expected, rtol=1e-10, atol=1e-12)


def test_activation_parameters_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    x = 10 * normal(50)
    for ours, theirs in (
        (F.leaky_relu(x, 0.3), torch.nn.functional.leaky_relu(torch.tensor(x), 0.3)),
        (F.elu(x, 0.7), torch.nn.functional.elu(torch.tensor(x), 0.7)),
        (F.gelu(x, "tanh"), torch.nn.functional.gelu(torch.tensor(x), approximate="tanh")),
        (F.softplus(x, 2.0, 5.0), torch.nn.functional.softplus(torch.tensor(x), 2.0, 5.0)),
    ):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_against_pytorch(reduction: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.functional
    x, target, weight = normal(6, 4), np.array([0, 3, -100, 1, 1, 2]), np.array([1.0, 0.5, 2.0, 0.25])
    t = torch.tensor
    ours = F.cross_entropy(x, target, weight, reduction=reduction, label_smoothing=0.1)
    other = theirs.cross_entropy(t(x), t(target), t(weight), reduction=reduction, label_smoothing=0.1)
    np.testing.assert_allclose(ours, other.numpy(), rtol=1e-12)
    logs = F.log_softmax(x)
    other = theirs.nll_loss(t(logs), t(target), t(weight), reduction=reduction)
    np.testing.assert_allclose(F.nll_loss(logs, target, weight, reduction=reduction), other.numpy(), rtol=1e-12)
    y = normal(6, 4)
    other = theirs.mse_loss(t(x), t(y), reduction=reduction)
    np.testing.assert_allclose(F.mse_loss(x, y, reduction), other.numpy(), rtol=1e-12)


def test_losses_refuse_what_does_not_fit() -> None:
    with pytest.raises(gl.ShapeError, match="shapes differ"):
        F.mse_loss(np.ones((3, 1)), np.ones(3))
    with pytest.raises(ValueError, match="reduction"):
        F.mse_loss(np.ones(3), np.ones(3), "average")
    with pytest.raises(gl.ShapeError, match="nll_loss"):
        F.nll_loss(np.ones((3, 2)), np.ones(2, np.int64))
    for wrong in (2, -1):
        with pytest.raises(IndexError, match=f"class {wrong}, input has 2 classes"):
            F.nll_loss(np.ones((3, 2)), np.array([0, wrong, -100]))


def test_nll_loss_ignores_infinite_log_probabilities_of_other_classes() -> None:
    assert F.nll_loss(np.array([[0.0, -np.inf]]), np.array([0])) == 0.0


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 2, 3)])
def test_batch_norm_against_pytorch(shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    x, weight, bias = normal(*shape), normal(3), normal(3)
    mean, var = normal(3), np.abs(normal(3)) + 0.5
    to = lambda a: torch.tensor(np.moveaxis(a, -1, 1))  # noqa: E731
    t = torch.tensor
    other_mean, other_var = t(mean), t(var)
    expected = torch.nn.functional.batch_norm(to(x), other_mean, other_var, t(weight), t(bias), True, 0.3, 1e-3)
    running_mean, running_var = gl.tensor(mean), gl.tensor(var)
    y = F.batch_norm(gl.tensor(x), running_mean, running_var, gl.tensor(weight), gl.tensor(bias), True, 0.3, 1e-3)
    np.testing.assert_allclose(y.numpy(), np.moveaxis(expected.numpy(), 1, -1), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(running_mean.numpy(), other_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(running_var.numpy(), other_var.numpy(), rtol=1e-12)
    plain_mean, plain_var = mean.copy(), var.copy()  # plain arrays are overwritten likewise
    F.batch_norm(x, plain_mean, plain_var, training=True, momentum=0.3)
    np.testing.assert_allclose(plain_mean, other_mean.numpy(), rtol=1e-12)
    expected = torch.nn.functional.batch_norm(to(x), t(mean), t(var), t(weight), t(bias), False, 0.3, 1e-3)
    y = F.batch_norm(x, mean, var, weight, bias, False, 0.3, 1e-3)
    np.testing.assert_allclose(y, np.moveaxis(expected.numpy(), 1, -1), rtol=1e-10, atol=1e-12)


def test_batch_norm_refuses() -> None:
    with pytest.raises(gl.ShapeError, match="running statistics"):
        F.batch_norm(np.ones((2, 3)))
    with pytest.raises(gl.ShapeError, match="no variance"):
        F.batch_norm(np.ones((1, 3)), training=True)


def test_dropout() -> None:
    x = gl.tensor(np.ones((40, 50)))
    y = F.dropout(x, 0.3, generator=gl.Generator(1)).numpy()
    assert set(np.unique(y.round(12))) == {0.0, round(1 / 0.7, 12)}
    assert abs((y == 0).mean() - 0.3) < 0.06
    np.testing.assert_array_equal(y, F.dropout(x.numpy(), 0.3, generator=gl.Generator(1)))
    assert F.dropout(x, 0.3, training=False) is x
    assert F.dropout(x, 0.0) is x
    assert not F.dropout(x, 1.0).numpy().any()
    with pytest.raises(gl.ShapeError, match="0 <= p <= 1"):
        F.dropout(x, 1.5)


def test_softmax_takes_dim_and_dtype() -> None:
    x = normal(3, 4).astype(np.float32)
    expected = np.exp(x) / np.exp(x).sum(0)
    np.testing.assert_allclose(F.softmax(x, 0), expected, rtol=1e-5)
    np.testing.assert_allclose(F.log_softmax(x, 0), np.log(expected), rtol=1e-4, atol=1e-6)
    assert F.softmax(x, dtype="float64").dtype == np.float64


def test_one_hot() -> None:
    hot = F.one_hot(gl.tensor([[1, 0], [2, 1]]))
    assert hot.dtype == np.int64
    np.testing.assert_array_equal(hot.numpy(), np.eye(3, dtype=int)[[[1, 0], [2, 1]]])
    assert F.one_hot(np.array([1]), 5).shape == (1, 5)
    assert F.one_hot(np.zeros(0, np.int64), 4).shape == (0, 4)
    with pytest.raises(gl.ShapeError, match="values from 1 to 5 for 4 classes"):
        F.one_hot(np.array([1, 5]), 4)
    with pytest.raises(gl.DTypeError, match="integers"):
        F.one_hot(np.array([1.0]))


def test_flatten() -> None:
    x = normal(2, 3, 4, 5)
    assert F.flatten(x).shape == (120,)
    assert F.flatten(x, 1).shape == (2, 60)
    assert F.flatten(x, 1, 2).shape == (2, 12, 5)
    assert F.flatten(np.ones(())).shape == (1,)
    assert F.flatten(np.ones((0, 3, 2)), 1).shape == (0, 6)
    with pytest.raises(gl.ShapeError, match="comes after"):
        F.flatten(x, 2, 1)
    with pytest.raises(gl.ShapeError, match="out of range"):
        F.flatten(x, 4)


def test_tensors_and_arrays_of_one_call_mix() -> None:
    x = gl.tensor(normal(3, 4), requires_grad=True)
    w = normal(4, 2)
    y = F.dense(x, w)
    assert isinstance(y, gl.Tensor)
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), np.broadcast_to(w.sum(1), (3, 4)))


@pytest.mark.parametrize(("ndim", "convolve"), [(1, F.conv1d), (2, F.conv2d), (3, F.conv3d)])
def test_convolutions_of_every_dimension_fuse_an_activation(ndim: int, convolve: Any) -> None:
    x, w = np.ones((1, *(3,) * ndim, 2)), np.full((*(2,) * ndim, 2, 1), -1.0)
    total = -2.0 * 2**ndim  # of one window
    assert convolve(x, w).ravel().tolist() == [total] * 2**ndim
    assert convolve(x, w, activation="relu").ravel().tolist() == [0.0] * 2**ndim
    np.testing.assert_allclose(convolve(x, w, activation="leaky_relu").ravel(), 0.01 * total)
