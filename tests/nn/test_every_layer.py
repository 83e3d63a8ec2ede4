"""Every layer and loss against PyTorch's stored float64 values: outputs, gradients, what training changes.

And that there is no layer without.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.io.torch_layout import entries

from .cases import CASES, COMPOSED, FUNCTIONS, OTHERS, Case, differentiated, filled, given, taken, title, to_theirs

STORED = np.load(Path(__file__).parent.parent / "reference" / "module.npz")
POOL = STORED["pool"]

# Layers without a stored value of PyTorch's: why, and the test that holds them.
WITHOUT: dict[str, tuple[str, str]] = {
    "ConvBatchNorm2d": ("two layers in one", "nn/test_conv_norm.py::test_it_is_the_two_layers"),
    "GlobalAvgPool": ("PyTorch has none: AdaptiveAvgPool at size 1", "nn/test_spatial.py::test_layers"),
    "GlobalMaxPool": ("PyTorch has none: AdaptiveMaxPool at size 1", "nn/test_spatial.py::test_layers"),
    "L2Divergence": ("of the lecture notes", "nn/test_losses.py::test_divergence_and_regularizer"),
    "LearnedPositionalEncoding": ("PyTorch has none", "nn/test_attention.py::test_positions"),
    "ModuleDict": ("a container", "nn/test_more_layers.py::test_containers_and_summary"),
    "ModuleList": ("a container", "nn/test_module.py::test_containers"),
    "ParameterDict": ("a container", "nn/test_module.py::test_containers_of_parameters"),
    "ParameterList": ("a container", "nn/test_module.py::test_containers_of_parameters"),
    "PositionalEncoding": ("PyTorch has none", "nn/test_attention.py::test_positions"),
    "RBF": ("PyTorch has none", "nn/test_product.py::test_rbf"),
    "Regularizer": ("of the lecture notes", "nn/test_losses.py::test_divergence_and_regularizer"),
    "Residual": ("PyTorch has none: x + block(x)", "nn/test_more_layers.py::test_layers_train_in_every_precision"),
    "RotaryEmbedding": ("PyTorch has none: the paper's formula", "nn/test_attention.py::test_rotary_is_the_papers"),
    "Sequential": ("a container", "nn/test_module.py::test_containers"),
    "TransformerDecoder": ("part of Transformer", "nn/test_every_layer.py::test_values_and_gradients_are_pytorchs"),
    "TransformerEncoder": ("part of Transformer", "nn/test_every_layer.py::test_values_and_gradients_are_pytorchs"),
}
# What is random in training is held to its statistics there, and to PyTorch's values in evaluation.
RANDOM = {
    "Dropout": "ops/test_random.py::test_dropout_keeps_what_it_should",
    "Dropout1d": "nn/test_more_layers.py::test_channel_dropout",
    "Dropout2d": "nn/test_more_layers.py::test_channel_dropout",
    "Dropout3d": "nn/test_more_layers.py::test_channel_dropout",
    "AlphaDropout": "nn/test_more_layers.py::test_alpha_dropout_keeps_mean_and_variance",
    "FeatureAlphaDropout": "nn/test_more_layers.py::test_alpha_dropout_keeps_mean_and_variance",
    "RReLU": "nn/test_more_layers.py::test_rrelu_draws_its_slopes",
    "FractionalMaxPool2d": "nn/test_spatial.py::test_fractional_steps_cover_the_image",
    "FractionalMaxPool3d": "nn/test_spatial.py::test_fractional_steps_cover_the_image",
}


# Functions without: why, and the test that holds them.
FUNCTIONS_WITHOUT = {
    **{
        f"conv{n}d_{of}_gradient": ("torch.nn.grad's", "nn/test_bare_arrays.py::test_they_are_what_torch_nn_grad_gives")
        for n in (1, 2, 3)
        for of in ("input", "weight")
    },
    "conv2d_batch_norm": ("PyTorch has none", "nn/test_conv_norm.py::test_it_is_the_two_layers"),
    "gumbel_softmax": ("random", "nn/test_product.py::test_gumbel_softmax_samples_the_categories"),
    "l2_divergence": ("of the lecture notes", "nn/test_losses.py::test_divergence_and_regularizer"),
    "rbf": ("PyTorch has none", "nn/test_product.py::test_rbf"),
    "regularizer": ("of the lecture notes", "nn/test_losses.py::test_divergence_and_regularizer"),
    "rotary_embedding": ("PyTorch has none", "nn/test_attention.py::test_rotary_is_the_papers"),
    "scaled_mm": ("PyTorch's runs on a GPU", "ops/test_scaled.py::test_scaled_mm"),
    "sinusoidal_positions": ("PyTorch has none", "nn/test_attention.py::test_positions"),
}


def flat(y: Any) -> list[Any]:
    return [t for part in y for t in flat(part)] if isinstance(y, tuple) else [] if y is None else [y]


def tensors(case: Case) -> tuple[list[Any], list[str]]:
    """Return the inputs, and their kinds."""
    pairs = [given(spec, POOL, j) for j, spec in enumerate(case.inputs)]
    inputs = [
        v if kind == "as" else gl.tensor(v, requires_grad=differentiated(kind) and v.dtype.kind == "f")
        for kind, v in pairs
    ]
    return inputs, [kind for kind, _ in pairs]


def made(case: Case) -> tuple[nn.Module, list[Any], list[str]]:
    """Return the layer with its weights, the inputs, and their kinds."""
    settings = {k: gl.tensor(v) if isinstance(v, np.ndarray) else v for k, v in case.settings.items()}
    layer = getattr(nn, case.layer)(*case.args, **settings).to(dtype="float64").train(case.train)
    state = sorted(entries(layer).items())
    for j, (name, entry) in enumerate(state):
        entry.tensor.assign(entry.layout.to_ours(filled(name, entry.layout.theirs, POOL, j)))
    return (layer, *tensors(case))


def ours(kind: str, a: np.ndarray, like: tuple[int, ...]) -> np.ndarray:
    """Return an array of PyTorch's in our layout."""
    places = np.arange(a.size).reshape(like)
    there = to_theirs(kind, places, like[2] // 6 if kind == "columns" else 0)
    result = np.empty(a.size, a.dtype)
    result[there.reshape(-1)] = a.reshape(-1)
    return result.reshape(like)


def weighted(key: str, outputs: list[Any], kind: str) -> Any:
    """Compare the outputs; return their sum with numbers of the pool as weights, or None."""
    total: Any = None
    for j, y in enumerate(outputs):
        np.testing.assert_allclose(y.numpy(), ours(kind, STORED[f"y{key}.{j}"], y.shape), rtol=1e-9, atol=1e-11)
        if y.requires_grad:
            part = (y * gl.tensor(ours(kind, taken(POOL, STORED[f"y{key}.{j}"].shape, 50 + j), y.shape))).sum()
            total = part if total is None else total + part
    assert f"y{key}.{len(outputs)}" not in STORED
    return total


def same_gradients(key: str, inputs: list[Any], kinds: list[str]) -> None:
    for j, (x, kind) in enumerate(zip(inputs, kinds, strict=True)):
        grad = x.grad if isinstance(x, gl.Tensor) else None
        expected = STORED[f"d{key}.{j}"] if f"d{key}.{j}" in STORED else np.zeros(0)
        assert (
            grad is not None
        ) == expected.any()  # where PyTorch has zeros, such as of a "nearest" place, we have none
        if grad is not None:
            np.testing.assert_allclose(grad.numpy(), ours(kind, STORED[f"d{key}.{j}"], x.shape), rtol=1e-9, atol=1e-10)


def kind_of(case: Case, outputs: list[Any], inputs: list[Any], kinds: list[str]) -> str:
    return case.out or ("map" if kinds[0] == "map" and outputs[0].ndim == inputs[0].ndim else "plain")


@pytest.mark.parametrize("n", [n for n, case in enumerate(CASES) if case.torch], ids=title)
def test_values_and_gradients_are_pytorchs(n: int) -> None:
    case = CASES[n]
    assert STORED["names"][n] == case.layer, "the table has changed: run tests/reference/make_module.py"
    layer, inputs, kinds = made(case)
    outputs = flat(layer(*inputs))
    total = weighted(str(n), outputs, kind_of(case, outputs, inputs, kinds))
    if total is not None:
        total.backward()
    same_gradients(str(n), inputs, kinds)
    for name, entry in entries(layer).items():
        stored, grad = f"p{n}.{name}", entry.tensor.grad
        assert (grad is not None) == (stored in STORED), name
        if grad is not None:
            theirs = entry.layout.to_theirs(grad.numpy())
            np.testing.assert_allclose(theirs, STORED[stored], rtol=1e-9, atol=1e-10, err_msg=name)
        if f"b{n}.{name}" in STORED:
            np.testing.assert_allclose(entry.tensor.numpy(), STORED[f"b{n}.{name}"], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("n", range(len(FUNCTIONS)), ids=lambda n: f"{n}-{FUNCTIONS[n].layer}")
def test_functions_are_pytorchs(n: int) -> None:
    case = FUNCTIONS[n]
    assert STORED["functions"][n] == case.layer, "the table has changed: run tests/reference/make_module.py"
    settings = {k: gl.tensor(v) if isinstance(v, np.ndarray) else v for k, v in case.settings.items()}
    inputs, kinds = tensors(case)
    outputs = flat(getattr(nn.functional, case.layer)(*inputs, *case.args, **settings))
    total = weighted(f"f{n}", outputs, kind_of(case, outputs, inputs, kinds))
    if total is not None:
        total.backward()
    same_gradients(f"f{n}", inputs, kinds)
    arrays = [x.numpy() if isinstance(x, gl.Tensor) else x for x in inputs]
    plain = flat(getattr(nn.functional, case.layer)(*arrays, *case.args, **case.settings))
    for y, other in zip(plain, outputs, strict=True):
        assert isinstance(y, (np.ndarray, np.generic))  # arrays in, arrays out
        np.testing.assert_array_equal(y, other.numpy())


def test_there_is_no_function_without() -> None:
    """Every function of nn.functional runs when the layers and functions of the table do."""
    functions = {n: inspect.unwrap(getattr(nn.functional, n)) for n in nn.functional.__all__ if n != "linear"}
    # An op itself, as grouped_dense, has the registry's tests.
    codes = {f.__code__: n for n, f in functions.items() if inspect.isfunction(f)}
    seen: set[str] = set()

    def note(frame: Any, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code in codes:
            seen.add(codes[frame.f_code])

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for case in (c for c in CASES if c.torch):
            layer, inputs, _ = made(case)
            layer(*inputs)
        for case in FUNCTIONS:
            settings = {k: gl.tensor(v) if isinstance(v, np.ndarray) else v for k, v in case.settings.items()}
            getattr(nn.functional, case.layer)(*tensors(case)[0], *case.args, **settings)
    finally:
        sys.setprofile(before)
    assert nn.functional.linear is nn.functional.dense
    assert set(codes.values()) - seen == FUNCTIONS_WITHOUT.keys()
    named(*(test for _, test in FUNCTIONS_WITHOUT.values()))


def named(*tests: str) -> None:
    """Assert that the tests are there."""
    folder = Path(__file__).parent.parent
    for where in tests:
        path, _, name = where.partition("::")
        assert re.search(rf"^def {name}\(", (folder / path).read_text(), re.MULTILINE), where


def public(kind: type) -> set[str]:
    return {n for n in nn.__all__ if isinstance(getattr(nn, n), type) and issubclass(getattr(nn, n), kind)}


def test_there_is_no_layer_without() -> None:
    layers = public(nn.Module) - OTHERS
    held = {case.layer for case in CASES if case.torch}
    assert layers - held == WITHOUT.keys()
    assert not held & WITHOUT.keys()
    assert {case.layer for case in CASES} | COMPOSED == layers
    assert {case.layer for case in CASES if not case.torch and case.train} <= RANDOM.keys() <= layers
    named(*(test for _, test in WITHOUT.values()), *RANDOM.values())
