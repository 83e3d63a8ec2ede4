"""`debug`: stop where the first NaN or Inf is made, and name the user's lines.

Nothing of it costs anything while it is off: it is switched on by putting a checking `apply` in the place of
the plain one.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from .. import backend as backends
from ..errors import GradientError, GradlibError, message, operand
from ..spec import is_differentiable
from . import primitive, reverse
from .apply import apply
from .batched import Batched
from .node import Node
from .primitive import Primitive
from .reverse import node_vjp
from .tensor import Tensor

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_lock = threading.Lock()
_users = 0


class _Settings(threading.local):
    def __init__(self) -> None:
        self.on = False
        self.nans = False
        self.node: Node | None = None  # whose backward is running


_settings = _Settings()


@contextmanager
def debug(nans: bool = True) -> Iterator[None]:
    """Context for finding out: ops remember the line that called them, and errors of the backward pass name it.

    With `nans`, an op that makes a NaN, or an Inf out of finite inputs, raises `GradientError`: with the op's name,
    its inputs, and your line; in the backward pass also with the line of the op that is being differentiated.

    >>> import gradlib as gl
    >>> with gl.debug(nans=True):  # doctest: +ELLIPSIS
    ...     gl.log(gl.tensor([1.0, -1.0]))
    Traceback (most recent call last):
    ...
    gradlib.errors.GradientError: log(x): made 1 NaN of 2 elements ...
    """
    before = _settings.on, _settings.nans
    _count(1)
    _settings.on, _settings.nans = True, nans
    try:
        with np.errstate(all="ignore") if nans else nullcontext():  # the error says more than NumPy's warning
            yield
    finally:
        _settings.on, _settings.nans = before
        _count(-1)


def _count(step: int) -> None:
    """Switch the checking on with the first user, of any thread, and off with the last."""
    global _users
    with _lock:
        _users += step
        primitive._apply = _checked_apply if _users else apply
        reverse.node_vjp = _checked_vjp if _users else node_vjp
        reverse.chaining = not _users


def _checked_apply(prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    if not _settings.on:
        return apply(prim, args, params)
    out = apply(prim, args, params)
    outputs = out if type(out) is tuple else (out,)
    for y in outputs:
        if isinstance(y, Tensor) and y.node is not None and not hasattr(y.node, "where"):
            note_line(y)
    if _settings.nans:
        for y in outputs:
            _check(prim, args, y)
    return out


def note_line(y: Tensor) -> None:
    """Under `debug`, remember the user's line at the Node that made `y`."""
    if _settings.on and y.node is not None:
        y.node.where = user_line()


def _check(prim: Primitive, args: Sequence[Any], y: Any) -> None:
    """Refuse a NaN, or an Inf where every input is finite (a mask of -inf is no mistake)."""
    array = _array(y)
    if array is None:
        return
    xp = backends.backend_of(array).xp
    nans = int(xp.isnan(array).sum())
    infs = 0 if nans else int(xp.isinf(array).sum())
    if not nans and not infs:
        return
    inputs = [_array(a) for a in args]
    if infs and any(a is not None and not bool(xp.isfinite(a).all()) for a in inputs):
        return
    given = [
        name
        for name, a in zip(_names(prim, len(args)), inputs, strict=True)
        if a is not None and bool(xp.isnan(a).any())
    ]
    kind, count = ("NaN", nans) if nans else ("Inf", infs)
    made = f"got NaN in {' and '.join(given)}" if given else f"made {count} {kind} of {array.size} elements"
    lines = [operand(n, a) for n, a in zip(_names(prim, len(args)), args, strict=True) if a is not None]
    place = f"at {user_line()}"
    node = _settings.node
    if node is not None:
        place += f"\n  in the backward of {node.prim.name}, called at {getattr(node, 'where', 'an unknown line')}"
    raise GradientError(message(f"{prim.call}: {made}", lines, place))


def _array(x: Any) -> Any:
    data = x.data if isinstance(x, Tensor) else x
    if isinstance(data, Batched) or not backends.is_array(data) or not is_differentiable(data.dtype):
        return None  # under vmap the op on the batch, which runs inside, is checked instead
    return data


def _names(prim: Primitive, count: int) -> list[str]:
    if prim.variadic:
        return [f"input {i}" for i in range(count)]
    return [*prim.inputs, *(f"input {i}" for i in range(len(prim.inputs), count))][:count]


def _checked_vjp(node: Node, g: Any, needs: Sequence[bool], create: bool) -> Sequence[Any]:
    if not _settings.on:
        return node_vjp(node, g, needs, create)
    before, _settings.node = _settings.node, node
    try:
        return node_vjp(node, g, needs, create)
    except GradlibError as error:
        where = getattr(node, "where", None)
        if where is None or str(where) in str(error):
            raise
        raise type(error)(f"{error}\n  in the backward of {node.prim.name}, called at {where}") from error
    finally:
        _settings.node = before


def user_line() -> str:
    """Return ``file:line in function`` of the innermost frame outside of gradlib."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HOME):
        frame = frame.f_back
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno} in {code.co_name}"
