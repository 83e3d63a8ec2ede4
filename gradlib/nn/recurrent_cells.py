"""One step of RNN, LSTM and GRU, with PyTorch's equations and parameter names."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..core import op
from ..errors import ShapeError, message, operand
from ..ops.recurrent import GATES
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .recurrent import KINDS, check_nonlinearity

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]

Array = Any
State = tuple[Array, ...]


class _Cell(Module):
    """One step."""

    kind: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        name = type(self).__name__
        if min(input_size, hidden_size) < 1:
            raise ShapeError(f"{name}: sizes {input_size} and {hidden_size}\n  need 1 or more")
        self.input_size, self.hidden_size, self.nonlinearity = input_size, hidden_size, "tanh"
        wide = GATES[KINDS[self.kind]] * hidden_size
        self.weight_ih = Parameter(init.allocate((input_size, wide), dtype, device))
        self.weight_hh = Parameter(init.allocate((hidden_size, wide), dtype, device))
        self.bias_ih = Parameter(init.allocate((wide,), dtype, device)) if bias else None
        self.bias_hh = Parameter(init.allocate((wide,), dtype, device)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters from U[-b, b), b = 1 / sqrt(hidden_size), as PyTorch does."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Array, hx: Any = None) -> Any:
        """Return the next state."""
        count = 2 if self.kind == "LSTM" else 1
        fed = F.dense(input, self.weight_ih, self.bias_ih)
        if hx is None:
            state: State = (op.zeros_like(fed[..., : self.hidden_size]),) * count
        else:
            state = self._checked(input, tuple(hx) if isinstance(hx, (tuple, list)) else (hx,), count)
        hidden = F.dense(state[0], self.weight_hh, self.bias_hh)
        if self.kind == "RNN":
            return op.rnn_cell(fed, hidden, nonlinearity=self.nonlinearity)
        return (op.lstm_cell if self.kind == "LSTM" else op.gru_cell)(fed, hidden, state[-1])

    def _checked(self, input: Array, state: State, count: int) -> State:
        wanted = (*input.shape[:-1], self.hidden_size)
        if len(state) != count or any(tuple(part.shape) != wanted for part in state):
            lines = [operand("input", input, "batch, features")]
            lines += [operand(f"hx[{i}]" if len(state) > 1 else "hx", h, "batch, hidden") for i, h in enumerate(state)]
            need = f"need {'(h, c), both' if count == 2 else 'one'} of shape {wanted}"
            raise ShapeError(message(f"{type(self).__name__}(input, hx): hx does not fit", lines, need))
        return state

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias_ih is not None else ", bias=False")


class RNNCell(_Cell):
    """h' = tanh(x W_ih + b_ih + h W_hh + b_hh), or relu of it; (batch, input_size), (batch, hidden_size); see `RNN`.

    Shapes: input (batch, input_size), h (batch, hidden_size); weights as `RNN`'s, without _l0.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.RNNCell(3, 5)(gl.tensor(np.ones((2, 3), np.float32))).shape
    (2, 5)
    """

    kind = "RNN"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        check_nonlinearity("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity


class LSTMCell(_Cell):
    """c' = f c + i g, h' = o tanh(c'), of x and (h, c): one step of `LSTM`.

    Shapes: input (batch, input_size), h and c (batch, hidden_size); weights as `LSTM`'s, without _l0.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> h, c = gl.nn.LSTMCell(3, 5)(gl.tensor(np.ones((2, 3), np.float32)))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    kind = "LSTM"


class GRUCell(_Cell):
    """h' = (1 - z) n + z h, of x and h: one step of `GRU`.

    Shapes: input (batch, input_size), h (batch, hidden_size); weights as `GRU`'s, without _l0.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.GRUCell(3, 5)(gl.tensor(np.ones((2, 3), np.float32))).shape
    (2, 5)
    """

    kind = "GRU"
