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
    module: Module, parameters_and_buffers: Mapping[str, Any], args: Any = None, kwargs: Mapping[str, Any] | None = None
) -> Any:
    """Return ``module(*args, **kwargs)`` with other tensors in place of the named parameters and buffers.

    The module is as it was afterwards.  So the transforms differentiate, and `vmap` maps, over the parameters.

    Raises: CheckpointError for a name that the module does not have.

    >>> import gradlib as gl
    >>> layer, x = gl.nn.Dense(2, 1, bias=False), gl.tensor([[1.0, 2.0]])
    >>> f = lambda w: functional_call(layer, {"weight": w}, x).sum()
    >>> gl.grad(f)(gl.zeros((2, 1))).tolist()
    [[1.0], [2.0]]
    """
    with _swapped(module, parameters_and_buffers):
        return module(*(args if isinstance(args, tuple) else () if args is None else (args,)), **(kwargs or {}))


@contextmanager
def _swapped(module: Module, tensors: Mapping[str, Any]) -> Iterator[None]:
    owners = dict(module.named_modules())
    before: list[tuple[Module, str, Any]] = []
    try:
        for name, tensor in tensors.items():
            prefix, _, key = name.rpartition(".")
            owner = owners.get(prefix)
            if owner is None or not isinstance(vars(owner).get(key), Tensor):
                raise CheckpointError(
                    f"functional_call(module, parameters_and_buffers): {type(module).__name__} has no tensor {name!r}\n"
                    f"  need names of named_parameters() or named_buffers()"
                )
            before.append((owner, key, vars(owner)[key]))
            vars(owner)[key] = tensor  # not through __setattr__, which guards Parameters
        yield
    finally:
        for owner, key, tensor in reversed(before):
            vars(owner)[key] = tensor
