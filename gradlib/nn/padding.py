"""Padding layers.  The numbers are (left, right), (left, right, top, bottom), ..., or one for all sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from . import functional as F
from .functional_spatial import sizes_of
from .module import Module

Size = int | Sequence[int]


class _Padding(Module):
    """What padding layers have in common."""

    ndim: ClassVar[int]
    mode: ClassVar[str]

    def __init__(self, padding: Size) -> None:
        self.padding = sizes_of(type(self).__name__, "padding", padding, 2 * self.ndim)
        self.value = 0.0

    def forward(self, input: Any) -> Any:
        """Return the padded input."""
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """Return the padding."""
        return str(self.padding)


class ConstantPad1d(_Padding):
    """y = the input, around it on its 1 spatial axis `value`.

    Shapes: (batch, length, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.ConstantPad1d((1, 0), 9.0)(gl.tensor([[[1.0], [2.0], [3.0]]])).flatten().tolist()
    [9.0, 1.0, 2.0, 3.0]
    """

    ndim, mode = 1, "constant"

    def __init__(self, padding: Size, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """Return padding and value."""
        return f"{self.padding}, value={self.value}"


class ConstantPad2d(_Padding):
    """y = the input, around it on its 2 spatial axes `value`.

    Shapes: (batch, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ConstantPad2d(1, 9.0)(gl.tensor(np.ones((1, 2, 3, 4)))).shape
    (1, 4, 5, 4)
    """

    ndim, mode = 2, "constant"

    def __init__(self, padding: Size, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """Return padding and value."""
        return f"{self.padding}, value={self.value}"


class ConstantPad3d(_Padding):
    """y = the input, around it on its 3 spatial axes `value`.

    Shapes: (batch, depth, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ConstantPad3d(1, 9.0)(gl.tensor(np.ones((1, 2, 3, 4, 5)))).shape
    (1, 4, 5, 6, 5)
    """

    ndim, mode = 3, "constant"

    def __init__(self, padding: Size, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """Return padding and value."""
        return f"{self.padding}, value={self.value}"


class ZeroPad1d(_Padding):
    """y = the input, around it on its 1 spatial axis 0.

    Shapes: (batch, length, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.ZeroPad1d((1, 0))(gl.tensor([[[1.0], [2.0], [3.0]]])).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """

    ndim, mode = 1, "constant"


class ZeroPad2d(_Padding):
    """y = the input, around it on its 2 spatial axes 0.

    Shapes: (batch, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ZeroPad2d(1)(gl.tensor(np.ones((1, 2, 3, 4)))).shape
    (1, 4, 5, 4)
    """

    ndim, mode = 2, "constant"


class ZeroPad3d(_Padding):
    """y = the input, around it on its 3 spatial axes 0.

    Shapes: (batch, depth, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ZeroPad3d(1)(gl.tensor(np.ones((1, 2, 3, 4, 5)))).shape
    (1, 4, 5, 6, 5)
    """

    ndim, mode = 3, "constant"


class ReflectionPad1d(_Padding):
    """y = the input, around it on its 1 spatial axis its mirror image, without the edge.

    Shapes: (batch, length, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.ReflectionPad1d((1, 0))(gl.tensor([[[1.0], [2.0], [3.0]]])).flatten().tolist()
    [2.0, 1.0, 2.0, 3.0]
    """

    ndim, mode = 1, "reflect"


class ReflectionPad2d(_Padding):
    """y = the input, around it on its 2 spatial axes its mirror image, without the edge.

    Shapes: (batch, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ReflectionPad2d(1)(gl.tensor(np.ones((1, 2, 3, 4)))).shape
    (1, 4, 5, 4)
    """

    ndim, mode = 2, "reflect"


class ReflectionPad3d(_Padding):
    """y = the input, around it on its 3 spatial axes its mirror image, without the edge.

    Shapes: (batch, depth, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ReflectionPad3d(1)(gl.tensor(np.ones((1, 2, 3, 4, 5)))).shape
    (1, 4, 5, 6, 5)
    """

    ndim, mode = 3, "reflect"


class ReplicationPad1d(_Padding):
    """y = the input, around it on its 1 spatial axis the value at its edge.

    Shapes: (batch, length, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.ReplicationPad1d((1, 0))(gl.tensor([[[1.0], [2.0], [3.0]]])).flatten().tolist()
    [1.0, 1.0, 2.0, 3.0]
    """

    ndim, mode = 1, "replicate"


class ReplicationPad2d(_Padding):
    """y = the input, around it on its 2 spatial axes the value at its edge.

    Shapes: (batch, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ReplicationPad2d(1)(gl.tensor(np.ones((1, 2, 3, 4)))).shape
    (1, 4, 5, 4)
    """

    ndim, mode = 2, "replicate"


class ReplicationPad3d(_Padding):
    """y = the input, around it on its 3 spatial axes the value at its edge.

    Shapes: (batch, depth, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ReplicationPad3d(1)(gl.tensor(np.ones((1, 2, 3, 4, 5)))).shape
    (1, 4, 5, 6, 5)
    """

    ndim, mode = 3, "replicate"


class CircularPad1d(_Padding):
    """y = the input, around it on its 1 spatial axis what is at its other side.

    Shapes: (batch, length, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.CircularPad1d((1, 0))(gl.tensor([[[1.0], [2.0], [3.0]]])).flatten().tolist()
    [3.0, 1.0, 2.0, 3.0]
    """

    ndim, mode = 1, "circular"


class CircularPad2d(_Padding):
    """y = the input, around it on its 2 spatial axes what is at its other side.

    Shapes: (batch, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.CircularPad2d(1)(gl.tensor(np.ones((1, 2, 3, 4)))).shape
    (1, 4, 5, 4)
    """

    ndim, mode = 2, "circular"


class CircularPad3d(_Padding):
    """y = the input, around it on its 3 spatial axes what is at its other side.

    Shapes: (batch, depth, height, width, channels); each spatial size grows by its two numbers.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.CircularPad3d(1)(gl.tensor(np.ones((1, 2, 3, 4, 5)))).shape
    (1, 4, 5, 6, 5)
    """

    ndim, mode = 3, "circular"
