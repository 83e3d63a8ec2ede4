"""Activations with kinks as layers.  Each holds the settings of its function in `nn.functional`."""

from __future__ import annotations

from typing import Any

from ..ops import Generator
from . import functional as F
from . import init
from .held import Held
from .module import Module
from .parameter import Parameter


class ReLU(Held):
    """y = max(x, 0).

    PyTorch's `inplace` is taken by every activation that has it there, and means nothing: tensors do not change.
    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.ReLU()(gl.tensor([-1.0, 2.0])).tolist()]
    [0.0, 2.0]
    """

    function = F.relu

    def __init__(self, inplace: bool = False) -> None:
        self._keep({})


class ReLU6(Held):
    """y = min(max(x, 0), 6).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.ReLU6()(gl.tensor([-1.0, 8.0])).tolist()]
    [0.0, 6.0]
    """

    function = F.relu6

    def __init__(self, inplace: bool = False) -> None:
        self._keep({})


class LeakyReLU(Held):
    """y = x for x > 0, else negative_slope x.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.LeakyReLU(0.5)(gl.tensor([-1.0, 2.0])).tolist()]
    [-0.5, 2.0]
    """

    function = F.leaky_relu

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self._keep(locals())


class Hardswish(Held):
    """y = x min(max(x + 3, 0), 6) / 6.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.
    Source: Howard et al., "Searching for MobileNetV3", 2019.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Hardswish()(gl.tensor([-1.0, 4.0])).tolist()]
    [-0.3333, 4.0]
    """

    function = F.hardswish

    def __init__(self, inplace: bool = False) -> None:
        self._keep({})


class Hardsigmoid(Held):
    """y = min(max(x + 3, 0), 6) / 6.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Hardsigmoid()(gl.tensor([0.0, 4.0])).tolist()]
    [0.5, 1.0]
    """

    function = F.hardsigmoid

    def __init__(self, inplace: bool = False) -> None:
        self._keep({})


class Hardtanh(Held):
    """y = min(max(x, min_val), max_val).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Hardtanh()(gl.tensor([-4.0, 0.5])).tolist()]
    [-1.0, 0.5]
    """

    function = F.hardtanh

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self._keep(locals())


class Hardshrink(Held):
    """y = x for |x| > lambd, else 0.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Hardshrink()(gl.tensor([0.25, -2.0])).tolist()]
    [0.0, -2.0]
    """

    function = F.hardshrink

    def __init__(self, lambd: float = 0.5) -> None:
        self._keep(locals())


class Softshrink(Held):
    """y = x - lambd for x > lambd, x + lambd for x < -lambd, else 0.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Softshrink()(gl.tensor([0.25, -2.0])).tolist()]
    [0.0, -1.5]
    """

    function = F.softshrink

    def __init__(self, lambd: float = 0.5) -> None:
        self._keep(locals())


class Threshold(Held):
    """y = x for x > threshold, else value.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Threshold(2.0, -1.0)(gl.tensor([1.0, 3.0])).tolist()]
    [-1.0, 3.0]
    """

    function = F.threshold

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self._keep(locals())


class PReLU(Module):
    """y = x for x > 0, else weight x, the weight learned: one, or one for each channel (the last axis).

    Shapes: (..., channels), the output alike; weight (1,) or (channels,), `init` at first.  Derivative: every order.
    Kernel: composition.  Source: He et al., "Delving deep into rectifiers", ICCV 2015, equation 1.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.PReLU()(gl.tensor([1.0, -2.0])).tolist()
    [1.0, -0.5]
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, *, device: str | None = None, dtype: Any = None
    ) -> None:
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(_filled(num_parameters, init, dtype, device))

    def forward(self, input: Any) -> Any:
        """Return the input, its negative part scaled."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Return the number of weights."""
        return f"num_parameters={self.num_parameters}"


def _filled(count: int, value: float, dtype: Any, device: str | None) -> Any:
    return init.constant_(init.allocate((count,), dtype, device), value)


class RReLU(Module):
    """y = x for x > 0, else a x, a ~ U[lower, upper) for each element in training, their mean in evaluation.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.
    Source: Xu et al., "Empirical evaluation of rectified activations", 2015.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.RReLU(0.25, 0.75).eval()(gl.tensor([1.0, -2.0])).tolist()
    [1.0, -1.0]
    """

    def __init__(
        self,
        lower: float = 1.0 / 8,
        upper: float = 1.0 / 3,
        inplace: bool = False,
        *,
        generator: Generator | None = None,
    ) -> None:
        self.lower, self.upper, self.generator = lower, upper, generator

    def forward(self, input: Any) -> Any:
        """Return the input, its negative part scaled."""
        return F.rrelu(input, self.lower, self.upper, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """Return the bounds."""
        return f"lower={self.lower}, upper={self.upper}"
