"""`vmap`: a function of one example becomes one of a batch, without a loop over examples."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import backend as backends
from ..core import Batched, Frame, Tensor, asarray, at_level, op
from ..errors import ShapeError, VmapError, operand
from ..spec import normalize_axis
from . import batch_rules as batch_rules
from .tree import flatten, spread_prefix


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """Return the function that applies `f` to every example of a batch at once.

    Parameters
    ----------
    f : function of one example, in ops of gradlib.
    in_axes : which axis of each argument is the batch (None: the same value for every example): an int, or a
        tuple with an entry per argument, each an int, None, or a container of them.  Keyword arguments are
        batched along axis 0.
    out_axes : where the batch goes in each result, likewise.

    Returns
    -------
    callable : as many Nodes as `f` records for one example; transforms compose with it in any order.

    Raises
    ------
    ShapeError : the batch sizes differ, or an axis is not there.
    VmapError : `f` reads the value of what differs from example to example (``if x > 0``, ``x.item()``).

    Notes
    -----
    Elementwise ops, and fused ops through their composite, are batched by themselves; other ops have a
    rule each, and an op of yours without one runs example by example.  Random ops draw each example's own number.

    >>> import gradlib as gl
    >>> gl.vmap(lambda row: gl.sum(row * row))(gl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([ 5., 25.], dtype=float32)
    """
    name = getattr(f, "__name__", "f")

    @functools.wraps(f)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes_of_args = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes_of_args) != len(args):
            raise ShapeError(f"vmap({name}): in_axes has {len(axes_of_args)} entries for {len(args)} arguments")
        leaves, rebuild = flatten((args, kwargs))
        axes = [
            *(a for axis, arg in zip(axes_of_args, args, strict=True) for a in spread_prefix("in_axes", axis, arg)),
            *(a for value in kwargs.values() for a in spread_prefix("in_axes", 0, value)),
        ]
        values, size = _batch(name, leaves, axes)
        plain = not any(isinstance(x, Tensor) for x in leaves)
        frame = Frame(size)
        inner = [
            x if axis is None or x is None else Tensor(Batched(frame, x, True))
            for x, axis in zip(values, axes, strict=True)
        ]
        with at_level(frame):
            inner_args, inner_kwargs = rebuild(inner)
            results, unflatten = flatten(f(*inner_args, **inner_kwargs))
        ends = list(spread_prefix("out_axes", out_axes, unflatten(list(results))))
        outs = [_collect(name, frame, y, end) for y, end in zip(results, ends, strict=True)]
        return unflatten([_plain(y) if plain else y for y in outs])

    return mapped


def _batch(name: str, leaves: list[Any], axes: list[Any]) -> tuple[list[Any], int]:
    """Return the leaves with their batch along axis 0, and its size."""
    values: list[Any] = []
    found: dict[int, str] = {}
    for i, (x, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None or x is None:
            values.append(x)
            continue
        x = x if isinstance(x, Tensor) or backends.is_array(x) else asarray(x)
        if x.ndim == 0:
            raise ShapeError(
                f"vmap({name}): leaf {i} of the arguments has no axis to map\n  need in_axes with None for it"
            )
        axis = normalize_axis(f"vmap({name}, in_axes)", axis, x.ndim)
        values.append(op.moveaxis(x, axis, 0) if axis else x)
        found.setdefault(int(x.shape[axis]), operand(f"leaf {i}", x, f"axis {axis}"))
    if len(found) != 1:
        lines = "".join(f"\n  {line}" for line in found.values())
        sizes = " and ".join(map(str, found)) if found else "none: every in_axes is None"
        raise ShapeError(f"vmap({name}): batch sizes are {sizes}{lines}\n  need one size, along one axis at least")
    (size,) = found
    if size == 0:
        raise ShapeError(f"vmap({name}): the batch is empty\n  need at least one example")
    return values, size


def _collect(name: str, frame: Frame, y: Any, axis: Any) -> Any:
    """Return a result of the function on the whole batch, the batch along `axis`."""
    if y is None:
        return None
    y = y if isinstance(y, Tensor) or backends.is_array(y) else asarray(y)
    data = y.data if isinstance(y, Tensor) else y
    if isinstance(data, Batched) and data.frame is frame:
        value, over = data.value, data.over
    else:
        value, over = y, False
    if axis is None:
        if over:
            raise VmapError(
                f"vmap({name}, out_axes=None): the result differs from example to example\n  need out_axes=0"
            )
        return value
    if not over:
        value = op.broadcast_to(value, (frame.size, *value.shape))
    axis = normalize_axis(f"vmap({name}, out_axes)", axis, value.ndim)
    value = op.moveaxis(value, 0, axis) if axis else value
    return value if isinstance(value, Tensor) else Tensor(value)


def _plain(y: Any) -> Any:
    return y if not isinstance(y, Tensor) or y.requires_grad else y.data
