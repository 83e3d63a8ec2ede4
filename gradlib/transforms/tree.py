"""Nested containers of arrays: dicts, lists and tuples (named ones too) taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """Return the leaves of `tree` and a function that puts as many new leaves in their places.

    Dicts are walked in their own order; anything that is not a dict, list or tuple (None included) is a leaf.
    """
    leaves: list[Any] = []
    _walk(tree, leaves)

    def unflatten(new: list[Any]) -> Any:
        if len(new) != len(leaves):
            raise ValueError(f"unflatten: {len(new)} leaves for a tree of {len(leaves)}")
        return _build(tree, iter(new))

    return leaves, unflatten


def _walk(tree: Any, leaves: list[Any]) -> None:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for branch in tree:
            _walk(branch, leaves)
    else:
        leaves.append(tree)


def _build(tree: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _build(branch, leaves) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        branches = [_build(branch, leaves) for branch in tree]
        if isinstance(tree, list):
            return branches
        return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)
    return next(leaves)
