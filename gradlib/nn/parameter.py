"""`Parameter`: a Tensor that a Module learns."""

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
