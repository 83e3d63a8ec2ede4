"""`Parameter`: a Tensor that a Module learns.  `Buffer`: one that it only keeps."""

from __future__ import annotations

from typing import Any

from ..core import Tensor, asarray


class Parameter(Tensor):
    """A leaf Tensor that requires a gradient; a Module finds it among its attributes.

    It shares the memory of `data` (array or Tensor), whose dtype and device it keeps.

    Raises
    ------
    GradientError : `data` is not floating.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Parameter(gl.tensor([1.0, 2.0]))
    tensor([1., 2.], dtype=float32, requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(asarray(data).detach().data, requires_grad)


class Buffer(Tensor):
    """A Tensor that moves with its Module and, if `persistent`, is part of the state, but is not learned.

    Assigned as an attribute it is what ``register_buffer`` makes.  It shares the memory of `data`.

    Examples
    --------
    >>> import gradlib as gl
    >>> module = gl.nn.Module()
    >>> module.scale = gl.nn.Buffer(gl.tensor([2.0]))
    >>> list(module.state_dict())
    ['scale']
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any, *, persistent: bool = True) -> None:
        super().__init__(asarray(data).detach().data)
        self.persistent = persistent
