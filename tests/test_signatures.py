"""Names, order and defaults of arguments are PyTorch's, of every layer, loss, optimizer, schedule and initializer.

Optional where PyTorch is not installed.  What differs is listed here, with the reason; nothing else may.
"""

from __future__ import annotations

import inspect
import typing
from typing import Any

import pytest

from gradlib import nn, optim

from . import readme_table

Pairs = list[tuple[str, Any]]

# PyTorch's arguments that choose an implementation, a memory or a deprecated spelling: any of them may be keyword-only
# here, or absent.
NO_MEANING = {"foreach", "fused", "capturable", "differentiable", "out", "options", "_stacklevel", "_weight", "_freeze"}
NO_MEANING |= {"size_average", "reduce", "min_value", "max_value", "device", "dtype", "unsafe"}
BETWEEN = {"foreach", "capturable"}
# Defaults that differ.
LAYOUT = {
    "batch_first": ("sequences are (batch, length, channels)", True),
    "dim": ("channels are the last axis", -1),
}
SAME_MEANING = {  # (name, argument): spelled otherwise
    ("Buffer", "data"), ("Parameter", "data"),  # needed: there is no empty Tensor to stand for nothing
    ("ModuleDict", "modules"), ("ModuleList", "modules"), ("ParameterDict", "parameters"), ("ParameterList", "values"),
    ("Transformer", "activation"), ("TransformerDecoderLayer", "activation"), ("TransformerEncoderLayer", "activation"),
    ("affine_grid", "align_corners"),  # None is False, with a warning
    ("batch_norm", "running_mean"), ("batch_norm", "running_var"),  # None in training
    ("PackedSequence", "batch_sizes"),  # None makes no sense
    ("fuse_conv_bn_eval", "transpose"),  # None: known from the layer
}  # fmt: skip
# Arguments of torch._scaled_mm: there is one way to scale here, by a number for each operand.
OTHER_MODEL = {"scaled_mm"}
# Theirs take (*args, **kwargs) and nothing else, or are written in C++: see tests/nn/test_functional.py.
UNREADABLE = {"Module", "Sequential"}


def parameters(kind: Any) -> Pairs:
    """Return the arguments that may be given by position, without what has no meaning here, with their defaults."""
    return [(p.name, p.default) for p in _split(kind)[0]]


def keywords(kind: Any) -> Pairs:
    """Return the arguments that must be named."""
    return [(p.name, p.default) for p in _split(kind)[1]]


def _split(kind: Any) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    """An argument behind one of NO_MEANING counts as named: nobody counts the places to it."""
    stated = overload(kind)
    named = [p for p in inspect.signature(stated or kind).parameters.values() if p.name != "self"]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    first: list[inspect.Parameter] = []
    last: list[inspect.Parameter] = []
    for i, p in enumerate(named):
        if p.kind in kinds and not any(q.name in BETWEEN for q in named[:i]):
            first.append(p)
        elif p.kind in (*kinds, p.KEYWORD_ONLY):
            last.append(p)
    return [p for p in first if p.name not in NO_MEANING], [p for p in last if p.name not in NO_MEANING]


def overload(kind: Any) -> Any:
    """Return the constructor as it is stated, where what runs takes (*args, **kwargs)."""
    stated = typing.get_overloads(kind.__init__) if inspect.isfunction(getattr(kind, "__init__", None)) else []
    return stated[0] if stated else None


def same(name: str, argument: str, ours: Any, theirs: Any) -> bool:
    if (name, argument) in SAME_MEANING or ours == theirs:
        return True
    return argument in LAYOUT and ours == LAYOUT[argument][1]


def compared(name: str, ours: Any, theirs: Any) -> None:
    here, there = parameters(ours), parameters(theirs)
    assert [n for n, _ in here[: len(there)]] == [n for n, _ in there], f"{name}: other arguments, or another order"
    assert len(here) == len(there), f"{name}: what is only ours is keyword-only: {here[len(there) :]}"
    for (argument, mine), (_, other) in zip(here, there, strict=True):
        assert same(name, argument, mine, other), f"{name}({argument}): {mine!r}, PyTorch has {other!r}"
    named = dict(keywords(ours))
    for argument, other in keywords(theirs):
        assert argument in named, f"{name}({argument})"
        assert same(name, argument, named[argument], other), f"{name}({argument}): {named[argument]!r}, {other!r}"


LAYERS = [n for n in nn.__all__ if inspect.isclass(getattr(nn, n)) and n not in readme_table.OURS_ALONE]
OPTIMIZERS = [n for n in optim.__all__ if inspect.isclass(getattr(optim, n))]
SCHEDULES = [n for n in OPTIMIZERS if issubclass(getattr(optim, n), optim.Schedule)]
UTILITIES = ["", ".parametrizations", ".parametrize", ".rnn", ".stateless"]


@pytest.mark.parametrize("name", [n for n in LAYERS if n not in {*UNREADABLE, "KeyValueCache"}])
def test_layers_and_losses(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)
    if list(inspect.signature(theirs).parameters) == ["args", "kwargs"] and overload(theirs) is None:
        assert parameters(getattr(nn, name)) == []  # an activation without settings
    else:
        compared(name, getattr(nn, name), theirs)


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if n not in SCHEDULES])
def test_optimizers(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.optim, name, None) or getattr(torch.optim.swa_utils, name, None)
    if theirs is None:
        assert name in readme_table.OURS_ALONE | {"ParameterGroup"}
    else:
        compared(name, getattr(optim, name), theirs)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str) -> None:
    torch = pytest.importorskip("torch")
    if name != "Schedule":
        theirs = getattr(torch.optim.lr_scheduler, name, None) or getattr(torch.optim.swa_utils, name)
        compared(name, getattr(optim, name), theirs)


@pytest.mark.parametrize("name", [n for n in nn.init.__all__ if n.endswith("_") and n not in readme_table.OURS_ALONE])
def test_initializers(name: str) -> None:
    torch = pytest.importorskip("torch")
    compared(name, getattr(nn.init, name), getattr(torch.nn.init, name))


def test_functions() -> None:
    """Their defaults; names and order of the builtins too are in tests/nn/test_functional.py."""
    torch = pytest.importorskip("torch")
    seen = 0
    for name in set(nn.functional.__all__) - OTHER_MODEL:
        theirs = getattr(torch.nn.functional, name, None)
        if inspect.isfunction(theirs) and "args" not in inspect.signature(theirs).parameters:
            compared(name, getattr(nn.functional, name), theirs)
            seen += 1
    assert seen > 50


@pytest.mark.parametrize("module", UTILITIES)
def test_utilities(module: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = nn.utils, torch.nn.utils
    for part in module.split(".")[1:]:
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    for name in ours.__all__:
        if callable(getattr(theirs, name, None)):
            compared(name, getattr(ours, name), getattr(theirs, name))
