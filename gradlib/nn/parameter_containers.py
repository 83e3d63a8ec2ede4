"""Modules that hold Parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..core import Tensor
from .module import Module
from .parameter import Parameter

__all__ = ["ParameterDict", "ParameterList"]


def _learned(value: Any) -> Any:
    """Return a Tensor as a Parameter, anything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


class ParameterList(Module):
    """A list of Parameters that are found; their names are their positions.  Tensors become Parameters.

    Examples
    --------
    >>> import gradlib as gl
    >>> parts = gl.nn.ParameterList([gl.tensor([1.0]), gl.tensor([2.0])])
    >>> len(parts), [name for name, _ in parts.named_parameters()], parts[-1].item()
    (2, ['0', '1'], 2.0)
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._count = 0
        self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add a Parameter at the end; return the list."""
        setattr(self, str(self._count), _learned(value))
        self._count += 1
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add several at the end; return the list."""
        for value in values:
            self.append(value)
        return self

    def _name(self, index: int) -> str:
        if not -self._count <= index < self._count:
            raise IndexError(f"ParameterList: index {index} of {self._count}")
        return str(index % self._count)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, self._name(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name(index), _learned(value))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(i)) for i in range(self._count))

    def extra_repr(self) -> str:
        """Return what there is."""
        return ", ".join(f"{p.dtype}{list(p.shape)}" for p in self)


class ParameterDict(Module):
    """A dict of Parameters that are found, by name, in the order in which they came.  Tensors become Parameters.

    Examples
    --------
    >>> import gradlib as gl
    >>> parts = gl.nn.ParameterDict({"a": gl.tensor([1.0]), "b": gl.tensor([2.0])})
    >>> list(parts), "a" in parts, parts["b"].item()
    (['a', 'b'], True, 2.0)
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self._names: list[str] = []
        self.update(parameters)

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add or replace Parameters."""
        for name, value in parameters.items() if isinstance(parameters, Mapping) else parameters:
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if hasattr(ParameterDict, name) or name == "_names" or "." in name or not name:
            raise ValueError(f"ParameterDict: {name!r} cannot be a name\n  need none of a dict's methods, and no dot")
        if name not in self._names:
            self._names.append(name)
        setattr(self, name, _learned(value))

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return getattr(self, name)

    def __delitem__(self, name: str) -> None:
        self[name]
        self._names.remove(name)
        delattr(self, name)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._names))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._names)

    def values(self) -> list[Any]:
        """Return the Parameters."""
        return [getattr(self, name) for name in self._names]

    def items(self) -> list[tuple[str, Any]]:
        """Return names and Parameters."""
        return [(name, getattr(self, name)) for name in self._names]

    def extra_repr(self) -> str:
        """Return what there is."""
        return ", ".join(f"{name}: {p.dtype}{list(p.shape)}" for name, p in self.items())
