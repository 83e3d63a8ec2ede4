"""Recurrent layers: one step without its products (`lstm_cell`, ...), and a whole sequence (`lstm`, ...).

PyTorch's equations and order of gates, which lie side by side: i, f, g, o (LSTM); r, z, n (GRU).  The products of the
input with its weights, of all steps at once, are made before: ``fed = input @ weight_ih + bias_ih``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..core import fused, integers, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import INTEGER, Spec, check_one_dtype, is_floating
from .dense import dense

__all__ = ["GATES", "gru", "gru_cell", "lstm", "lstm_cell", "rnn", "rnn_cell"]

Array = Any

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def _parts(x: Array, count: int) -> list[Array]:
    size = x.shape[-1] // count
    return [op.getitem(x, (..., slice(k * size, (k + 1) * size))) for k in range(count)]


# -- shapes


def _require(call: str, wanted: Mapping[str, tuple[Spec | None, tuple[int, ...], str]]) -> None:
    lines = [operand(name, spec, role) for name, (spec, _, role) in wanted.items() if spec is not None]
    for name, (spec, shape, _) in wanted.items():
        if spec is not None and spec.shape != shape:
            what = f"{call}: {name} has shape {spec.shape}, expected {shape}"
            raise ShapeError(message(what, lines, "need shapes that fit"))
    specs = [spec for spec, _, _ in wanted.values() if spec is not None]
    check_one_dtype(call, lines, *specs)
    if not is_floating(specs[0].dtype):
        raise DTypeError(message(f"{call}: the dtype is not floating", lines, "need a floating dtype"))


def _infer_cell(kind: str, states: int) -> Callable[..., Any]:
    def infer(fed: Spec, hidden: Spec, *state: Spec, **params: Any) -> Any:
        if fed.ndim != 2 or fed.shape[1] % GATES[kind]:
            what = f"{kind}_cell(fed, hidden): fed has shape {fed.shape}"
            raise ShapeError(message(what, [operand("fed", fed)], f"need (batch, {GATES[kind]} * size)"))
        batch, size = fed.shape[0], fed.shape[1] // GATES[kind]
        wanted = {
            "fed": (fed, fed.shape, "batch, gates * size"),
            "hidden": (hidden, fed.shape, "batch, gates * size"),
            **{f"state {i}": (s, (batch, size), "batch, size") for i, s in enumerate(state)},
        }
        _require(f"{kind}_cell(fed, hidden)", wanted)
        found = Spec((batch, size), fed.dtype)
        return found if states == 1 else (found,) * states

    return infer


def _infer_sequence(kind: str) -> Callable[..., Any]:
    def infer(fed: Spec, weight_hh: Spec, bias_hh: Spec | None, *rest: Spec | None, **params: Any) -> Any:
        *states, lengths = rest
        call = f"{kind}(fed, weight_hh, bias_hh, ...)"
        if fed.ndim != 3 or fed.shape[0] == 0 or fed.shape[2] % GATES[kind]:
            what = f"{call}: fed has shape {fed.shape}"
            raise ShapeError(
                message(what, [operand("fed", fed)], f"need (time, batch, {GATES[kind]} * size), time > 0")
            )
        time, batch, wide = fed.shape
        size = wide // GATES[kind]
        wanted = {
            "fed": (fed, fed.shape, "time, batch, gates * size"),
            "weight_hh": (weight_hh, (size, wide), "size, gates * size"),
            "bias_hh": (bias_hh, (wide,), "gates * size"),
            **{f"state {i}": (s, (batch, size), "batch, size") for i, s in enumerate(states)},
        }
        _require(call, wanted)
        if lengths is not None and (lengths.shape != (batch,) or lengths.dtype not in INTEGER):
            lines = [operand("fed", fed), operand("lengths", lengths)]
            raise ShapeError(message(f"{call}: lengths do not fit", lines, "need integers, (batch,)"))
        state = Spec((batch, size), fed.dtype)
        return (Spec((time, batch, size), fed.dtype), *([state] * len(states)))

    return infer


# -- one step


@fused(
    "rnn_cell",
    infer=_infer_cell("rnn", 1),
    samples=lambda: [
        sample((3, 5), (3, 5), nonlinearity="tanh"),
        sample((7, 33), (7, 33), nonlinearity="relu", smooth=False),
        sample((0, 4), (0, 4), nonlinearity="tanh"),
    ],
)
def rnn_cell(fed: Array, hidden: Array, *, nonlinearity: str = "tanh") -> Array:
    """h' = tanh(fed + hidden), or relu of it.

    Shapes: (batch, size).  Dtypes: floating.  Raises: ShapeError, DTypeError.  Derivative: every order.
    Kernel: ``recurrent.cu``.  Source: Elman, "Finding structure in time", 1990.
    """
    total = op.add(fed, hidden)
    return op.tanh(total) if nonlinearity == "tanh" else op.relu(total)


@fused(
    "lstm_cell",
    infer=_infer_cell("lstm", 2),
    outputs=2,
    samples=lambda: [
        sample((3, 20), (3, 20), (3, 5)),
        sample((7, 132), (7, 132), (7, 33)),
        sample((0, 8), (0, 8), (0, 2)),
    ],
)
def lstm_cell(fed: Array, hidden: Array, c: Array) -> tuple[Array, Array]:
    """c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c'); (i, f, g, o) = fed + hidden; returns (h', c').

    Shapes: fed, hidden (batch, 4 size); c, h', c' (batch, size).  Dtypes: floating.  Raises: ShapeError, DTypeError.
    Derivative: every order.  Kernel: ``recurrent.cu``.
    Source: Hochreiter, Schmidhuber, "Long short-term memory", 1997; Gers et al., 2000 (f).
    """
    i, f, g, o = _parts(op.add(fed, hidden), 4)
    new = op.add(op.multiply(op.sigmoid(f), c), op.multiply(op.sigmoid(i), op.tanh(g)))
    return op.multiply(op.sigmoid(o), op.tanh(new)), new


@fused(
    "gru_cell",
    infer=_infer_cell("gru", 1),
    samples=lambda: [
        sample((3, 15), (3, 15), (3, 5)),
        sample((7, 99), (7, 99), (7, 33)),
        sample((0, 6), (0, 6), (0, 2)),
    ],
)
def gru_cell(fed: Array, hidden: Array, h: Array) -> Array:
    """h' = n + z (h - n), n = tanh(x_n + r a_n); r, z = sigmoid of x_r + a_r, x_z + a_z; x is fed, a is hidden.

    Shapes: fed, hidden (batch, 3 size); h, h' (batch, size).  Dtypes: floating.  Raises: ShapeError, DTypeError.
    Derivative: every order.  Kernel: ``recurrent.cu``.
    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.
    """
    (xr, xz, xn), (ar, az, an) = _parts(fed, 3), _parts(hidden, 3)
    r, z = op.sigmoid(op.add(xr, ar)), op.sigmoid(op.add(xz, az))
    n = op.tanh(op.add(xn, op.multiply(r, an)))
    return op.add(n, op.multiply(z, op.subtract(h, n)))


# -- whole sequences


def times(count: int, reverse: bool) -> Iterator[int]:
    """Yield the times of a sequence in the order of the steps."""
    return iter(range(count - 1, -1, -1) if reverse else range(count))


def _walk(
    fed: Array, states: tuple[Array, ...], lengths: Array | None, reverse: bool, step: Callable[..., tuple[Array, ...]]
) -> tuple[Array, ...]:
    """Return the outputs at every time and the last states; a sequence that has ended keeps its states and gives 0."""
    outputs: list[Any] = [None] * fed.shape[0]
    for t in times(fed.shape[0], reverse):
        new = step(op.getitem(fed, t), *states)
        out = new[0]
        if lengths is not None:
            on = op.expand_dims(op.greater(lengths, t), axis=-1)
            out = op.where(on, out, 0.0)
            new = tuple(op.where(on, a, b) for a, b in zip(new, states, strict=True))
        outputs[t], states = out, new
    return (op.stack(outputs), *states)


def _samples(kind: str, **params: Any) -> Callable[[], list[Any]]:
    gates, states = GATES[kind], 2 if kind == "lstm" else 1

    def case(time: int, batch: int, size: int, bias: bool, lengths: Any, reverse: bool) -> Any:
        wide = gates * size
        hidden = lambda rng: rng.uniform(-1, 1, (size, wide)) * size**-0.5  # noqa: E731  (as layers start)
        state = [(batch, size)] * states
        arrays = ((time, batch, wide), hidden, (wide,) if bias else None, *state, lengths)
        return sample(*arrays, reverse=reverse, **params)

    return lambda: [
        case(4, 3, 5, True, None, False),
        case(3, 2, 4, False, None, True),
        case(5, 3, 4, True, integers(1, 6, 3), False),
        case(5, 3, 4, True, np.array([5, 1, 3]), True),
        case(2, 4, 33, True, None, False),
    ]


@fused("rnn", infer=_infer_sequence("rnn"), samples=_samples("rnn", nonlinearity="tanh"), outputs=2)
def rnn(
    fed: Array,
    weight_hh: Array,
    bias_hh: Array | None,
    h0: Array,
    lengths: Array | None = None,
    *,
    reverse: bool = False,
    nonlinearity: str = "tanh",
) -> tuple[Array, Array]:
    """h_t = tanh(fed_t + h_(t-1) weight_hh + bias_hh), or relu of it; returns (all h_t, the last h).

    With `reverse` time runs backwards.  Where lengths[b] <= t the output is 0 and the state stays.
    Shapes: fed (time, batch, size); weight_hh (size, size); h0 (batch, size); lengths (batch,).  Dtypes: floating.
    Raises: ShapeError, DTypeError.  Derivative: every order.
    Kernel: ``recurrent.cu`` and a product a step; the gradient of the weights is one product for all steps.
    Source: Elman, "Finding structure in time", 1990.
    """

    def step(x: Array, h: Array) -> tuple[Array, ...]:
        return (rnn_cell(x, dense(h, weight_hh, bias_hh), nonlinearity=nonlinearity),)

    return _walk(fed, (h0,), lengths, reverse, step)


@fused("lstm", infer=_infer_sequence("lstm"), samples=_samples("lstm"), outputs=3)
def lstm(
    fed: Array,
    weight_hh: Array,
    bias_hh: Array | None,
    h0: Array,
    c0: Array,
    lengths: Array | None = None,
    *,
    reverse: bool = False,
) -> tuple[Array, Array, Array]:
    """h_t, c_t = lstm_cell(fed_t, h_(t-1) weight_hh + bias_hh, c_(t-1)); returns (all h_t, the last h, the last c).

    With `reverse` time runs backwards.  Where lengths[b] <= t the output is 0 and the states stay.
    Shapes: fed (time, batch, 4 size); weight_hh (size, 4 size); h0, c0 (batch, size); lengths (batch,).
    Dtypes: floating; cell states of reduced dtypes are kept in float32.  Raises: ShapeError, DTypeError.
    Derivative: every order.
    Kernel: ``recurrent.cu`` and a product a step; the gradient of the weights is one product for all steps.
    Source: Hochreiter, Schmidhuber, "Long short-term memory", 1997; Gers et al., 2000 (f).
    """

    def step(x: Array, h: Array, c: Array) -> tuple[Array, ...]:
        return lstm_cell(x, dense(h, weight_hh, bias_hh), c)  # type: ignore[no-any-return]

    return _walk(fed, (h0, c0), lengths, reverse, step)


@fused("gru", infer=_infer_sequence("gru"), samples=_samples("gru"), outputs=2)
def gru(
    fed: Array,
    weight_hh: Array,
    bias_hh: Array | None,
    h0: Array,
    lengths: Array | None = None,
    *,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """h_t = gru_cell(fed_t, h_(t-1) weight_hh + bias_hh, h_(t-1)); returns (all h_t, the last h).

    With `reverse` time runs backwards.  Where lengths[b] <= t the output is 0 and the state stays.
    Shapes: fed (time, batch, 3 size); weight_hh (size, 3 size); h0 (batch, size); lengths (batch,).
    Dtypes: floating.  Raises: ShapeError, DTypeError.  Derivative: every order.
    Kernel: ``recurrent.cu`` and a product a step; the gradient of the weights is one product for all steps.
    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.
    """

    def step(x: Array, h: Array) -> tuple[Array, ...]:
        return (gru_cell(x, dense(h, weight_hh, bias_hh), h),)

    return _walk(fed, (h0,), lengths, reverse, step)


op.register(gru=gru, gru_cell=gru_cell, lstm=lstm, lstm_cell=lstm_cell, rnn=rnn, rnn_cell=rnn_cell)
