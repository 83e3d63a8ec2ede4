"""RNN, LSTM and GRU, with PyTorch's equations and parameter names.

Weights are (in, gates * hidden), the gates side by side in PyTorch's order: i, f, g, o (LSTM); r, z, n (GRU).
A product makes the part of the input of all steps at once; then come the steps in turn (`ops.recurrent`).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..core import op
from ..errors import ShapeError, message, operand
from ..ops.recurrent import GATES, times
from . import functional as F
from . import init
from .functional_dropout import check_probability
from .host import beside, on_host
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

__all__ = ["GRU", "LSTM", "RNN"]

Array = Any
State = tuple[Array, ...]


KINDS = {"RNN": "rnn", "LSTM": "lstm", "GRU": "gru"}  # the ops of a layer; GATES says how wide their rows are


def check_nonlinearity(name: str, nonlinearity: str) -> None:
    """Raise ValueError for what is not 'tanh' or 'relu'."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{name}(nonlinearity): {nonlinearity!r} is unknown\n  need 'tanh' or 'relu'")


class _Recurrent(Module):
    """What the three have in common."""

    kind: ClassVar[str]
    states: ClassVar[int] = 1

    def _build(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: str | None,
        dtype: Any,
        *,
        nonlinearity: str = "tanh",
        proj_size: int = 0,
    ) -> None:
        name = type(self).__name__
        if min(input_size, hidden_size, num_layers) < 1 or not 0 <= proj_size < hidden_size:
            sizes = f"sizes {input_size}, {hidden_size}, {num_layers} layers, proj_size {proj_size}"
            raise ShapeError(f"{name}: {sizes}\n  need 1 or more, and proj_size below hidden_size")
        check_nonlinearity(name, nonlinearity)
        check_probability(f"{name}(dropout)", dropout)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.nonlinearity, self.proj_size = bidirectional, nonlinearity, proj_size
        out, wide = proj_size or hidden_size, GATES[KINDS[self.kind]] * hidden_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                into = input_size if layer == 0 else out * (2 if bidirectional else 1)
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (into, wide), "weight_hh": (out, wide)}
                if bias:
                    shapes |= {"bias_ih": (wide,), "bias_hh": (wide,)}
                if proj_size:
                    shapes["weight_hr"] = (hidden_size, proj_size)
                for key, shape in shapes.items():
                    setattr(self, f"{key}_{suffix}", Parameter(init.allocate(shape, dtype, device)))
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        return [f"l{layer}", f"l{layer}_reverse"] if self.bidirectional else [f"l{layer}"]

    def reset_parameters(self) -> None:
        """Draw all parameters from U[-b, b), b = 1 / sqrt(hidden_size), as PyTorch does."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _one_way(self, x: Array, state: State, suffix: str, lengths: Array | None) -> tuple[Array, State]:
        """Return the outputs and the last state of one layer in one direction; time is the first axis."""
        own = {  # each read once: a parametrized one is computed when it is read
            key: getattr(self, f"{key}_{suffix}", None)
            for key in ("weight_ih", "weight_hh", "weight_hr", "bias_ih", "bias_hh")
        }
        fed = F.dense(x, own["weight_ih"], own["bias_ih"])
        reverse = suffix.endswith("reverse")
        if self.proj_size:
            return self._projected(fed, state, own, lengths, reverse)
        params = {"nonlinearity": self.nonlinearity} if self.kind == "RNN" else {}
        sequence = getattr(op, KINDS[self.kind])
        y, *last = sequence(fed, own["weight_hh"], own["bias_hh"], *state, lengths, reverse=reverse, **params)
        return y, tuple(last)

    def _projected(
        self, fed: Array, state: State, own: dict[str, Any], lengths: Array | None, reverse: bool
    ) -> tuple[Array, State]:
        """The same where a product stands between the steps of an LSTM."""
        outputs: list[Any] = [None] * fed.shape[0]
        for t in times(fed.shape[0], reverse):
            h, c = op.lstm_cell(fed[t], F.dense(state[0], own["weight_hh"], own["bias_hh"]), state[1])
            new = (op.matmul(h, own["weight_hr"]), c)
            out = new[0]
            if lengths is not None:
                on = op.expand_dims(op.greater(lengths, t), axis=-1)
                new = tuple(op.where(on, a, b) for a, b in zip(new, state, strict=True))
                out = op.where(on, out, 0.0)
            outputs[t], state = out, new
        return op.stack(outputs), state

    def _start(self, x: Array, hx: Any) -> list[State]:
        """Return the first state of each layer and direction."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)[: self.states]
        if hx is None:
            zero = op.zeros_like(x[0, :, :1])
            return [tuple(op.broadcast_to(zero, (x.shape[1], n)) for n in sizes)] * count
        several = hx if isinstance(hx, (tuple, list)) else (hx,)
        if len(several) != self.states:
            lines = [operand(f"hx[{i}]" if len(several) > 1 else "hx", given) for i, given in enumerate(several)]
            need = "need a pair, (h, c)" if self.states == 2 else "need one tensor"
            raise ShapeError(message(f"{type(self).__name__}(input, hx): hx does not fit", lines, need))
        for given, n in zip(several, sizes, strict=True):
            if tuple(given.shape) != (count, x.shape[1], n):
                lines = [operand("hx", given, "layers * directions, batch, hidden")]
                need = f"need {(count, x.shape[1], n)}"
                raise ShapeError(message(f"{type(self).__name__}(input, hx): hx does not fit", lines, need))
        return [tuple(given[k] for given in several) for k in range(count)]

    def forward(self, input: Array, hx: Any = None, lengths: Any = None) -> Any:
        """Return (output, last states); of sequences shorter than the longest, `lengths` says where they end.

        A `utils.rnn.PackedSequence` carries its lengths, and the output is one.
        """
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if len(input.shape) != 3 or input.shape[-1] != self.input_size or 0 in input.shape[:2]:
            lines = [
                operand("input", input, "batch, length, features" if self.batch_first else "length, batch, features")
            ]
            name = f"{type(self).__name__}({self.input_size}, {self.hidden_size})(input): the input does not fit"
            raise ShapeError(message(name, lines, f"need 3 dimensions, none empty, the last of size {self.input_size}"))
        x = op.swapaxes(input, 0, 1) if self.batch_first else input
        if lengths is not None:
            lengths = on_host(lengths)
            if lengths.shape != (x.shape[1],) or lengths.min() < 1 or lengths.max() > x.shape[0]:
                raise ShapeError(
                    f"{type(self).__name__}(lengths): lengths are {lengths.tolist()}, the input has {x.shape[1]} "
                    f"sequences of {x.shape[0]} steps\n  need {x.shape[1]} numbers from 1 to {x.shape[0]}"
                )
            lengths = beside(lengths, x)
        starts = self._start(x, hx)
        ends: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            ways = []
            for suffix in self._suffixes(layer):
                y, end = self._one_way(x, starts[len(ends)], suffix, lengths)
                ways.append(y)
                ends.append(end)
            x = ways[0] if len(ways) == 1 else op.concat(ways, axis=-1)
        last = tuple(op.stack(values, axis=0) for values in zip(*ends, strict=True))
        output = op.swapaxes(x, 0, 1) if self.batch_first else x
        return output, (last if self.states > 1 else last[0])

    def _packed(self, input: PackedSequence, hx: Any) -> Any:
        """Return the same of a packed sequence, the output packed alike."""
        padded, lengths = pad_packed_sequence(input, self.batch_first)
        output, last = self.forward(padded, hx, lengths)
        y = pack_padded_sequence(output, lengths, self.batch_first, enforce_sorted=input.sorted_indices is None)
        return y, last

    def extra_repr(self) -> str:
        """Return the sizes and what differs from the defaults."""
        shown = [str(self.input_size), str(self.hidden_size)]
        defaults: dict[str, Any] = {
            "num_layers": 1,
            "bias": True,
            "batch_first": True,
            "dropout": 0.0,
            "bidirectional": False,
        }
        defaults |= {"nonlinearity": "tanh", "proj_size": 0}
        shown += [f"{key}={getattr(self, key)!r}" for key, value in defaults.items() if getattr(self, key) != value]
        return ", ".join(shown)


class RNN(_Recurrent):
    """h_t = tanh(x_t W_ih + b_ih + h_(t-1) W_hh + b_hh), or relu of it: Elman's network, in layers.

    ``batch_first=True`` is the default, where it is False in PyTorch; pass False for its layout.

    Shapes: input (batch, length, input_size), or (length, batch, input_size) with ``batch_first=False``; hx
    (layers * directions, batch, hidden_size); returns (output (batch, length, directions * hidden_size), h_n shaped
    as hx).  State: weight_ih_l0 (input_size, hidden_size), weight_hh_l0 (hidden_size, hidden_size), bias_ih_l0,
    bias_hh_l0; then _l1, ..., and each with _reverse.
    ``layer(input, hx, lengths)`` stops each sequence at its length: zeros behind it, the state of its end.
    Raises: ShapeError.  Kernel: ``recurrent.cu``.  Source: Elman, "Finding structure in time", 1990.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> y, h = gl.nn.RNN(3, 5, num_layers=2)(gl.tensor(np.ones((4, 7, 3), np.float32)))
    >>> y.shape, h.shape
    ((4, 7, 5), (2, 4, 5))
    """

    kind = "RNN"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        sizes = (input_size, hidden_size, num_layers)
        self._build(*sizes, bias, batch_first, dropout, bidirectional, device, dtype, nonlinearity=nonlinearity)


class LSTM(_Recurrent):
    """c_t = f c_(t-1) + i g, h_t = o tanh(c_t); i, f, o = sigmoid, g = tanh of x_t W_ih + b_ih + h_(t-1) W_hh + b_hh.

    ``batch_first=True`` is the default, where it is False in PyTorch; pass False for its layout.

    Shapes, state and `lengths` as in `RNN`, the weights four times as wide (i, f, g, o); the states are
    (h, c).  With `proj_size`, h_t is (o tanh(c_t)) W_hr.
    Raises: ShapeError.  Kernel: ``recurrent.cu``.
    Source: Hochreiter, Schmidhuber, "Long short-term memory", 1997; Gers et al., 2000 (f).

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> y, (h, c) = gl.nn.LSTM(3, 5, bidirectional=True)(gl.tensor(np.ones((4, 7, 3), np.float32)))
    >>> y.shape, h.shape, c.shape
    ((4, 7, 10), (2, 4, 5), (2, 4, 5))
    """

    kind = "LSTM"
    states = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        sizes = (input_size, hidden_size, num_layers)
        self._build(*sizes, bias, batch_first, dropout, bidirectional, device, dtype, proj_size=proj_size)


class GRU(_Recurrent):
    """h_t = (1 - z) n + z h_(t-1), n = tanh(x_n + r h_n); r, z = sigmoid of x_r + h_r, x_z + h_z.

    ``batch_first=True`` is the default, where it is False in PyTorch; pass False for its layout.

    (x_r, x_z, x_n) = x_t W_ih + b_ih, (h_r, h_z, h_n) = h_(t-1) W_hh + b_hh.  Shapes, state and `lengths` as
    in `RNN`, the weights three times as wide (r, z, n).
    Raises: ShapeError.  Kernel: ``recurrent.cu``.
    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> y, h = gl.nn.GRU(3, 5)(gl.tensor(np.ones((4, 7, 3), np.float32)))
    >>> y.shape, h.shape
    ((4, 7, 5), (1, 4, 5))
    """

    kind = "GRU"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self._build(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
