"""Tensors of a module that are functions of others: `register_parametrization`, as ``torch.nn.utils.parametrize``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...core import Tensor, no_grad
from ...errors import DTypeError, ShapeError, message, operand
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = ["ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations"]

_cache: dict[int, Any] | None = None  # of `cached`: tensors by the lists that made them


class ParametrizationList(ModuleList):
    """The functions behind one tensor, and what they are computed from: `original`, or `original0`, `original1`, ..."""

    def __init__(self, modules: list[Module], original: Parameter | Tensor) -> None:
        super().__init__(modules)
        self.count = 0  # how many originals there are beside each other; 0: one, called `original`
        value: Any = original
        for module in reversed(modules):
            inverse = getattr(module, "right_inverse", None)
            if inverse is not None:
                try:
                    with no_grad():
                        value = inverse(value)
                except NotImplementedError:  # there is none: the tensor changes, as in PyTorch
                    break
        several = value if isinstance(value, (tuple, list)) else None
        if several is not None and len(modules) != 1:
            raise ShapeError("register_parametrization: several originals need a single parametrization")
        if several is None:
            self._keep("original", original, value)
        else:
            self.count = len(several)
            for i, part in enumerate(several):
                self._keep(f"original{i}", original, part)

    def _keep(self, name: str, original: Any, value: Any) -> None:
        """Keep a value as what the tensor was: a Parameter (itself, where it has not changed), or a buffer."""
        if not isinstance(original, Parameter):
            self.register_buffer(name, value.detach())
        elif value is original:
            setattr(self, name, original)
        else:
            setattr(self, name, Parameter(value.detach(), original.requires_grad))

    def originals(self) -> list[Any]:
        """Return what the tensor is computed from."""
        names = [f"original{i}" for i in range(self.count)] or ["original"]
        return [getattr(self, name) for name in names]

    def forward(self) -> Any:
        """Return the tensor."""
        if _cache is not None and id(self) in _cache:
            return _cache[id(self)]
        values = self.originals()
        for module in self.children():
            values = [module(*values)]
        if _cache is not None:
            _cache[id(self)] = values[0]
        return values[0]

    def right_inverse(self, value: Any) -> None:
        """Overwrite the originals so that the tensor becomes `value`."""
        with no_grad():
            for module in reversed(list(self.children())):
                inverse = getattr(module, "right_inverse", None)
                if inverse is None:
                    raise DTypeError(f"{type(module).__name__} has no right_inverse\n  need one to assign the tensor")
                value = inverse(value)
            for old, new in zip(self.originals(), value if self.count else [value], strict=True):
                old.assign(new)


def register_parametrization(module: Any, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Any:
    """Let ``module.<tensor_name>`` be ``parametrization(original)``, computed whenever it is read; return the module.

    The original is learned in its place, under ``parametrizations.<tensor_name>.original``.  If the parametrization
    has a ``right_inverse``, the original is that of the tensor, and the tensor may be assigned; a tuple of several
    makes several originals.  More than one parametrization of a tensor are applied in the order of their registration.
    Unless `unsafe`, shape and dtype must stay.

    Raises: ShapeError, DTypeError.

    >>> import gradlib as gl
    >>> class Symmetric(gl.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(k=1).T
    >>> layer = gl.nn.Dense(2, 2, bias=False)
    >>> layer = register_parametrization(layer, "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all()), [name for name, _ in layer.named_parameters()]
    (True, ['parametrizations.weight.original'])
    """
    name = f"register_parametrization(module, {tensor_name!r})"
    before = module.parametrizations[tensor_name] if is_parametrized(module, tensor_name) else None
    value = vars(module).get(tensor_name) if before is None else before()
    if not isinstance(value, Tensor):
        raise DTypeError(f"{name}: it is no Parameter nor buffer of {type(module).__name__}")
    made = ParametrizationList([parametrization], value)
    with no_grad():
        new = made() if before is None else parametrization(value)
    if not unsafe and (not isinstance(new, Tensor) or new.shape != value.shape or new.dtype != value.dtype):
        lines = [operand("before", value), operand("after", new)]
        raise ShapeError(message(f"{name}: it changes shape or dtype", lines, "need the same, or unsafe=True"))
    if before is not None:
        before.append(parametrization)
        return module
    del vars(module)[tensor_name]
    vars(module).get("_buffers", {}).pop(tensor_name, None)
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = made
    return module


def is_parametrized(module: Any, tensor_name: str | None = None) -> bool:
    """Return whether a module has parametrizations, or one of that tensor."""
    parts = vars(module).get("parametrizations")
    return isinstance(parts, ModuleDict) and len(parts) > 0 and (tensor_name is None or tensor_name in parts)


def remove_parametrizations(module: Any, tensor_name: str, leave_parametrized: bool = True) -> Any:
    """Make a tensor an ordinary one again: as it is, or (``leave_parametrized=False``) its original; return the module.

    Raises: DTypeError for a tensor that has no parametrization, or several originals to be left.
    """
    name = f"remove_parametrizations(module, {tensor_name!r})"
    if not is_parametrized(module, tensor_name):
        raise DTypeError(f"{name}: it has no parametrization")
    parts = module.parametrizations[tensor_name]
    first = parts.originals()[0]
    if not leave_parametrized:
        if parts.count:
            raise DTypeError(f"{name}: it has several originals\n  need leave_parametrized=True")
        result: Any = first
    else:
        with no_grad():
            value = parts().detach()
        result = Parameter(value, first.requires_grad) if isinstance(first, Parameter) else value
    del module.parametrizations[tensor_name]
    if len(module.parametrizations) == 0:
        del module.parametrizations
    if isinstance(result, Parameter):
        setattr(module, tensor_name, result)
    else:
        module.register_buffer(tensor_name, result)
    return module


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor once inside a ``with``, for modules that read it again and again."""
    global _cache
    before, _cache = _cache, {} if _cache is None else _cache
    try:
        yield
    finally:
        _cache = before
