"""A module as a function of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...core import Tensor
from ...errors import CheckpointError
from ..module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Any],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Return ``module(*args, **kwargs)`` with other tensors in place of the named parameters and buffers.

    The module is as it was afterwards.  So the transforms differentiate, and `vmap` maps, over the parameters.  A
    tensor that the module holds under several names is replaced under all of them, unless ``tie_weights=False``;
    `strict` asks for every name.

    Raises: CheckpointError for a name that the module does not have, and with `strict` for one that is not given.

    >>> import gradlib as gl
    >>> layer, x = gl.nn.Dense(2, 1, bias=False), gl.tensor([[1.0, 2.0]])
    >>> f = lambda w: functional_call(layer, {"weight": w}, x).sum()
    >>> gl.grad(f)(gl.zeros((2, 1))).tolist()
    [[1.0], [2.0]]
    """
    places = {name: (owner, key) for name, owner, key in _places(module)}
    problems = [f"unexpected  {name}" for name in parameters_and_buffers if name not in places]
    if strict:
        problems += [f"missing     {name}" for name in places if name not in parameters_and_buffers]
    if problems:
        lines = "".join(f"  {line}\n" for line in problems)
        raise CheckpointError(
            f"functional_call(module, parameters_and_buffers): the names are not {type(module).__name__}'s\n"
            f"{lines}  need names of named_parameters() or named_buffers()"
        )
    swapped = dict(parameters_and_buffers)
    if tie_weights:
        given = {id(vars(places[name][0])[places[name][1]]): tensor for name, tensor in swapped.items()}
        for name, (owner, key) in places.items():
            if id(vars(owner)[key]) in given:
                swapped.setdefault(name, given[id(vars(owner)[key])])
    with _swapped([(*places[name], tensor) for name, tensor in swapped.items()]):
        return module(*(args if isinstance(args, tuple) else () if args is None else (args,)), **(kwargs or {}))


def _places(module: Module) -> Iterator[tuple[str, Module, str]]:
    """Iterate over all Tensors of a module: the name, the module whose attribute it is, and its name there."""
    for prefix, owner in module._walk(""):
        for key, value in vars(owner).items():
            if isinstance(value, Tensor):
                yield f"{prefix}.{key}" if prefix else key, owner, key


@contextmanager
def _swapped(places: list[tuple[Module, str, Any]]) -> Iterator[None]:
    before = [(owner, key, vars(owner)[key]) for owner, key, _ in places]
    try:
        for owner, key, tensor in places:
            vars(owner)[key] = tensor  # not through __setattr__, which guards Parameters
        yield
    finally:
        for owner, key, tensor in reversed(before):
            vars(owner)[key] = tensor
