"""Smooth activations as layers.  Each holds the settings of its function in `nn.functional`.

Dense and convolution layers take `activation=` instead, which saves a pass over memory.
"""

from __future__ import annotations

from . import functional as F
from .held import Held


class Sigmoid(Held):
    """y = 1 / (1 + exp(-x)).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Sigmoid()(gl.tensor([0.0, 2.0])).tolist()]
    [0.5, 0.8808]
    """

    function = F.sigmoid


class Tanh(Held):
    """y = tanh(x).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Tanh()(gl.tensor([0.0, 2.0])).tolist()]
    [0.0, 0.964]
    """

    function = F.tanh


class SiLU(Held):
    """y = x sigmoid(x).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.
    Source: Elfwing, Uchibe, Doya, "Sigmoid-weighted linear units", 2018, equation 4.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.SiLU()(gl.tensor([-1.0, 1.0])).tolist()]
    [-0.2689, 0.7311]
    """

    function = F.silu

    def __init__(self, inplace: bool = False) -> None:
        self._keep({})


class Mish(Held):
    """y = x tanh(log(1 + exp(x))).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.
    Source: Misra, "Mish", 2019.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Mish()(gl.tensor([-1.0, 1.0])).tolist()]
    [-0.3034, 0.8651]
    """

    function = F.mish

    def __init__(self, inplace: bool = False) -> None:
        self._keep({})


class GELU(Held):
    """y = x Phi(x), Phi the normal distribution function; ``approximate="tanh"`` for its usual approximation.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.
    Source: Hendrycks, Gimpel, "Gaussian error linear units", 2016.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.GELU()(gl.tensor([-1.0, 1.0])).tolist()]
    [-0.1587, 0.8413]
    """

    function = F.gelu

    def __init__(self, approximate: str = "none") -> None:
        self._keep(locals())


class Softplus(Held):
    """y = log(1 + exp(beta x)) / beta; linear where beta x > threshold.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Softplus()(gl.tensor([0.0, 30.0])).tolist()]
    [0.6931, 30.0]
    """

    function = F.softplus

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self._keep(locals())


class ELU(Held):
    """y = x for x > 0, else alpha (exp(x) - 1).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.
    Source: Clevert, Unterthiner, Hochreiter, "Exponential linear units", ICLR 2016.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.ELU()(gl.tensor([-1.0, 2.0])).tolist()]
    [-0.6321, 2.0]
    """

    function = F.elu

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self._keep(locals())


class CELU(Held):
    """y = x for x > 0, else alpha (exp(x / alpha) - 1).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.
    Source: Barron, "Continuously differentiable exponential linear units", 2017, equation 2.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.CELU(2.0)(gl.tensor([-1.0, 2.0])).tolist()]
    [-0.7869, 2.0]
    """

    function = F.celu

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self._keep(locals())


class SELU(Held):
    """y = 1.0507 x for x > 0, else 1.0507 1.6733 (exp(x) - 1).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: generated.
    Source: Klambauer et al., "Self-normalizing neural networks", 2017, equation 2.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.SELU()(gl.tensor([-1.0, 1.0])).tolist()]
    [-1.1113, 1.0507]
    """

    function = F.selu

    def __init__(self, inplace: bool = False) -> None:
        self._keep({})


class LogSigmoid(Held):
    """y = log(1 / (1 + exp(-x))), exact for large -x.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.LogSigmoid()(gl.tensor([-100.0, 0.0])).tolist()]
    [-100.0, -0.6931]
    """

    function = F.logsigmoid


class Softsign(Held):
    """y = x / (1 + |x|).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Softsign()(gl.tensor([-3.0, 1.0])).tolist()]
    [-0.75, 0.5]
    """

    function = F.softsign


class Tanhshrink(Held):
    """y = x - tanh(x).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.Tanhshrink()(gl.tensor([0.0, 1.0])).tolist()]
    [0.0, 0.2384]
    """

    function = F.tanhshrink


class GLU(Held):
    """y = a sigmoid(b), a and b the halves of x along axis `dim`, by default the last.

    Shapes: axis `dim` of the input is even, of the output half as long.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.
    Source: Dauphin et al., "Language modeling with gated convolutional networks", 2017, equation 1.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.GLU()(gl.tensor([4.0, 0.0])).tolist()
    [2.0]
    """

    function = F.glu

    def __init__(self, dim: int = -1) -> None:
        self._keep(locals())
