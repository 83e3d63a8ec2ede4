"""The other activations as layers.  Each holds the settings of its function in `nn.functional`."""

from __future__ import annotations

from typing import Any

from ..ops import Generator
from . import functional as F
from . import init
from .held import Held
from .module import Module
from .parameter import Parameter


class _Plain(Held):
    """An activation without settings."""

    def __init__(self) -> None:
        self._keep({})


class _Inplace(Held):
    """An activation without settings but PyTorch's `inplace`, which means nothing: tensors do not change."""

    def __init__(self, inplace: bool = False) -> None:
        self._keep({})


class ReLU6(_Inplace):
    """y = min(max(x, 0), 6)."""

    function = F.relu6


class SELU(_Inplace):
    """y = 1.0507 x for x > 0, else 1.0507 1.6733 (exp(x) - 1)."""

    function = F.selu


class Hardswish(_Inplace):
    """y = x min(max(x + 3, 0), 6) / 6."""

    function = F.hardswish


class Hardsigmoid(_Inplace):
    """y = min(max(x + 3, 0), 6) / 6."""

    function = F.hardsigmoid


class Mish(_Inplace):
    """y = x tanh(log(1 + exp(x)))."""

    function = F.mish


class LogSigmoid(_Plain):
    """y = log(1 / (1 + exp(-x)))."""

    function = F.logsigmoid


class Softsign(_Plain):
    """y = x / (1 + |x|)."""

    function = F.softsign


class Tanhshrink(_Plain):
    """y = x - tanh(x)."""

    function = F.tanhshrink


class Softmax2d(_Plain):
    """y = exp(x) / sum of exp(x) over the channels of images (batch, height, width, channels)."""

    function = F.softmax


class CELU(Held):
    """y = x for x > 0, else alpha (exp(x / alpha) - 1)."""

    function = F.celu

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self._keep(locals())


class Hardtanh(Held):
    """y = min(max(x, min_val), max_val)."""

    function = F.hardtanh

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self._keep(locals())


class Hardshrink(Held):
    """y = x for |x| > lambd, else 0."""

    function = F.hardshrink

    def __init__(self, lambd: float = 0.5) -> None:
        self._keep(locals())


class Softshrink(Held):
    """y = x - lambd for x > lambd, x + lambd for x < -lambd, else 0."""

    function = F.softshrink

    def __init__(self, lambd: float = 0.5) -> None:
        self._keep(locals())


class Threshold(Held):
    """y = x for x > threshold, else value."""

    function = F.threshold

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self._keep(locals())


class GLU(Held):
    """y = a sigmoid(b), a and b the halves of x along axis `dim`, by default the last."""

    function = F.glu

    def __init__(self, dim: int = -1) -> None:
        self._keep(locals())


class Softmin(Held):
    """y = exp(-x) / sum of exp(-x) along axis `dim`, by default the last."""

    function = F.softmin

    def __init__(self, dim: int = -1) -> None:
        self._keep(locals())


class LogSoftmax(Held):
    """y = x - log(sum of exp(x)) along axis `dim`, by default the last."""

    function = F.log_softmax

    def __init__(self, dim: int = -1) -> None:
        self._keep(locals())


class PReLU(Module):
    """y = x for x > 0, else weight x, the weight learned: one, or one for each channel (the last axis).

    Source: He et al., "Delving deep into rectifiers", ICCV 2015, equation 1.

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
