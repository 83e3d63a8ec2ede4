"""Every public layer, loss and optimizer says its formula, its shapes, and shows itself at work.

That the examples are right is for tests/test_doctests.py.
"""

from __future__ import annotations

import doctest
import inspect
import re
from typing import Any

import pytest

from gradlib import io, nn, optim

LAYERS = [n for n in nn.__all__ if inspect.isclass(getattr(nn, n)) and issubclass(getattr(nn, n), nn.Module)]
CONTAINERS = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList"}  # they compute nothing
OPTIMIZERS = [n for n in optim.__all__ if inspect.isclass(getattr(optim, n)) and n not in ("LRScheduler", "Schedule")]
NO_RULE = {"AveragedModel", "Optimizer", "ParameterGroup"} | {
    n for n in OPTIMIZERS if issubclass(getattr(optim, n), optim.Schedule)
}
BASES = {"Optimizer", "ParameterGroup"}


def doc_of(kind: Any) -> str:
    """Return the docstring of the class itself, not an inherited one."""
    assert "__doc__" in vars(kind), f"{kind.__name__} has no docstring of its own"
    return inspect.cleandoc(vars(kind)["__doc__"])


def shows_itself(kind: Any, doc: str) -> bool:
    code = "".join(example.source for example in doctest.DocTestParser().get_examples(doc))
    return re.search(rf"\b{kind.__name__}\b", code) is not None


@pytest.mark.parametrize("name", LAYERS)
def test_layers_and_losses(name: str) -> None:
    kind = getattr(nn, name)
    doc = doc_of(kind)
    assert shows_itself(kind, doc) or name == "Module"
    if name not in CONTAINERS:
        assert "=" in doc.split("\n\n")[0].split("\n")[0], "the first line is the formula"
        assert re.search(r"\b[Ss]hapes\b", doc)


@pytest.mark.parametrize("name", nn.functional.__all__)
def test_functions(name: str) -> None:
    doc = inspect.cleandoc(getattr(nn.functional, name).__doc__)
    assert "=" in doc.split("\n")[0], "the first line is the formula"
    assert re.search(rf">>> .*\b{'dense' if name == 'linear' else name}\(", doc)


@pytest.mark.parametrize("where", [nn.init, nn.utils, nn.utils.rnn, nn.utils.parametrizations, optim.swa_utils, io])
def test_initializers_and_utilities(where: Any) -> None:
    for name in where.__all__:
        function = getattr(where, name)
        if inspect.isfunction(function):
            assert re.search(rf">>> .*\b{function.__name__}\(", function.__doc__), name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_and_schedules(name: str) -> None:
    kind = getattr(optim, name)
    doc = doc_of(kind)
    if name not in NO_RULE:
        assert re.search(r"<-|=", doc.split("\n")[0]), "the first line is the rule"
    assert shows_itself(kind, doc) or name in BASES


@pytest.mark.parametrize("name", ["GRU", "LSTM", "MultiheadAttention", "RNN", "Transformer", "TransformerEncoderLayer"])
def test_the_default_of_batch_first_is_said_first(name: str) -> None:
    """It is not PyTorch's."""
    kind = getattr(nn, name)
    assert inspect.signature(kind).parameters["batch_first"].default is True
    head = doc_of(kind)[:600]
    assert "batch_first" in head
    assert "PyTorch" in head
