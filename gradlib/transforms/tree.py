"""Nested containers of arrays, taken apart and put together again.

Containers are dicts, lists, tuples (named ones too), dataclasses (but for fields that
are None, strings or bools), objects with a ``tree_flatten`` method (it
returns the children and a function that makes the object of new children), and networks: whatever
has ``named_parameters``.  A network's leaves are its parameters, and what takes its place is a copy of it
whose parameters are the new leaves.  Anything else, None included, is a leaf.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ShapeError

Build = Callable[[list[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Build]:
    """Return the leaves of `tree` and a function that puts as many new leaves in their places.

    Dicts are walked in their own order.

    >>> leaves, rebuild = flatten({"a": 1, "b": (2, [3])})
    >>> leaves, rebuild([10, 20, 30])
    ([1, 2, 3], {'a': 10, 'b': (20, [30])})
    """
    leaves: list[Any] = []
    plan = _walk(tree, leaves)
    count = len(leaves)  # the function holds no leaf: what it is for may live long

    def unflatten(new: list[Any]) -> Any:
        if len(new) != count:
            raise ValueError(f"unflatten: {len(new)} leaves for a tree of {count}")
        return _build(plan, iter(new))

    return leaves, unflatten


def children(tree: Any) -> tuple[list[Any], Build] | None:
    """Return what a container holds and how to make one of new contents; None for a leaf."""
    if isinstance(tree, dict):
        keys = list(tree)
        return list(tree.values()), lambda new: dict(zip(keys, new, strict=True))
    if isinstance(tree, list):
        return tree, list
    if isinstance(tree, tuple):
        kind = type(tree)
        return list(tree), (lambda new: kind(*new)) if hasattr(tree, "_fields") else tuple
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in dataclasses.fields(tree) if not _is_setting(getattr(tree, field.name))]
        empty = _dataclass(tree, names, [None] * len(names))
        return [getattr(tree, name) for name in names], lambda new: _dataclass(empty, names, new)
    if hasattr(tree, "tree_flatten") and not isinstance(tree, type):
        held, make = tree.tree_flatten()
        return list(held), make
    if hasattr(tree, "named_parameters") and not isinstance(tree, type):
        parameters = vars(tree).get("_leaves") or [p for _, p in tree.named_parameters()]
        return parameters, lambda new: _network(tree, parameters, new)
    return None


Plan = tuple[Build, list[Any]] | None  # None for a leaf; else how to make the container, and the plans below


def _walk(tree: Any, leaves: list[Any]) -> Plan:
    found = children(tree)
    if found is None:
        leaves.append(tree)
        return None
    held, make = found
    return make, [_walk(branch, leaves) for branch in held]


def _build(plan: Plan, leaves: Iterator[Any]) -> Any:
    if plan is None:
        return next(leaves)
    make, below = plan
    return make([_build(branch, leaves) for branch in below])


def _is_setting(value: Any) -> bool:
    """Whether a field of a dataclass is no data but a setting, such as the name of an activation."""
    return value is None or isinstance(value, (str, bool))


def _dataclass(tree: Any, names: list[str], new: list[Any]) -> Any:
    result = copy.copy(tree)
    for name, value in zip(names, new, strict=True):
        object.__setattr__(result, name, value)  # frozen ones too
    return result


def _network(tree: Any, parameters: list[Any], new: list[Any]) -> Any:
    result = _replaced(tree, {id(p): n for p, n in zip(parameters, new, strict=True)}, {})
    vars(result)["_leaves"] = new  # which are no Parameters: how they are found again
    return result


def _replaced(value: Any, new: dict[int, Any], done: dict[int, Any]) -> Any:
    """Return a copy of a network, and of the containers in it, with other parameters; all else is shared."""
    if id(value) in new:
        return new[id(value)]
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, dict):
        return {key: _replaced(v, new, done) for key, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_replaced(v, new, done) for v in value)
    if hasattr(value, "named_parameters") and not isinstance(value, type):
        result = done[id(value)] = copy.copy(value)
        vars(result).update({key: _replaced(v, new, done) for key, v in vars(value).items()})
        return result
    return value


def spread_prefix(what: str, prefix: Any, tree: Any) -> Iterator[Any]:
    """Yield one entry of `prefix` per leaf of `tree`: an int or None serves all the leaves below it."""
    found = children(tree)
    if found is None or prefix is None or isinstance(prefix, int):
        if not (prefix is None or isinstance(prefix, int)):
            raise ShapeError(f"vmap: {what} is {prefix!r} for a single array\n  need an int or None")
        yield from (prefix for _ in flatten(tree)[0])
        return
    below = children(prefix)
    if isinstance(prefix, dict) and isinstance(tree, dict):
        entries = [prefix.get(key) for key in tree] if set(prefix) == set(tree) else None
    else:
        entries = None if below is None else below[0]
    if entries is None or len(entries) != len(found[0]):
        raise ShapeError(f"vmap: {what} {prefix!r} does not fit the structure it is for")
    for entry, branch in zip(entries, found[0], strict=True):
        yield from spread_prefix(what, entry, branch)
