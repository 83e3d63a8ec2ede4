"""The launchers of the recurrent ops: of a step one kernel, of a sequence a product and a kernel for each time."""

from __future__ import annotations

from typing import Any

from .. import backend as backends
from ..core import Primitive, Saved, op
from ..kernel import Kernel
from ..spec import REDUCED, float32, int64
from .dense import dense
from .matmul import matmul
from .recurrent import GATES, gru, gru_cell, lstm, lstm_cell, rnn, rnn_cell, times

__all__: list[str] = []

Array = Any

_forward = {
    "rnn": Kernel(
        "recurrent.cu", "rnn_forward", "fed hidden before_h lengths out acts last_h | batch size at next relu"
    ),
    "lstm": Kernel(
        "recurrent.cu",
        "lstm_forward",
        "fed hidden before_h before_c lengths out acts last_h last_c | batch size at next",
    ),
    "gru": Kernel("recurrent.cu", "gru_forward", "fed hidden before_h lengths out acts last_h | batch size at next"),
}
_backward = {
    "rnn": Kernel("recurrent.cu", "rnn_backward", "acts lengths dout product carry slope | batch size at relu"),
    "lstm": Kernel(
        "recurrent.cu", "lstm_backward", "acts before_c lengths dout product carry dc slope | batch size at"
    ),
    "gru": Kernel(
        "recurrent.cu", "gru_backward", "acts before_h lengths dout product carry dfed dhidden | batch size at"
    ),
}
_ACTS = {"rnn": 1, "lstm": 4, "gru": 4}  # numbers an element of a state keeps for the backward pass


class _Steps:
    """What the steps of one call have in common."""

    def __init__(self, kind: str, fed: Array, states: int, nonlinearity: str) -> None:
        self.kind, self.backend = kind, backends.backend_of(fed)
        self.batch, self.size = fed.shape[-2], fed.shape[-1] // GATES[kind]
        self.dtype = fed.dtype
        self.wide = float32 if fed.dtype in REDUCED else fed.dtype
        self.extra = (int(nonlinearity == "relu"),) if kind == "rnn" else ()
        self.grid = max(1, min(-(-self.batch * self.size // 256), 4096))
        self.macros: dict[str, Any] = {"T": fed.dtype}
        if fed.dtype in REDUCED:
            self.macros["CELL"] = float32

    def empty(self, *lead: int, wide: bool = False, gates: int = 1) -> Array:
        shape = (*lead, self.batch, gates * self.size)
        return self.backend.empty(shape, self.wide if wide else self.dtype)

    def forward(self, at: int, next: int, *arrays: Array | None) -> None:
        sizes = (self.batch, self.size, at, next, *self.extra)
        _forward[self.kind](self.grid, 256, *arrays, *sizes, **self.macros)

    def backward(self, at: int, *arrays: Array | None) -> None:
        _backward[self.kind](self.grid, 256, *arrays, self.batch, self.size, at, *self.extra, **self.macros)

    def carried(self, g: Array | None) -> Array:
        """Return a cotangent in the wide dtype, to be overwritten."""
        if g is None:
            return self.backend.zeros((self.batch, self.size), self.wide)
        return g.astype(self.wide) if g.dtype != self.wide else g.copy()


# -- one step


def _attach_cell(primitive: Primitive, kind: str) -> None:
    """`acts` are what is kept; a cell state goes through the kernel in the wide dtype."""

    @primitive.kernel("cuda")
    def _(fed: Array, hidden: Array, *state: Array, save: bool, nonlinearity: str = "tanh") -> Any:
        if fed.size == 0:
            return NotImplemented
        steps = _Steps(kind, fed, len(state), nonlinearity)
        acts = steps.empty(wide=True, gates=_ACTS[kind]) if save else None
        h = steps.empty()
        if kind == "lstm":
            c, new = state[0].astype(steps.wide), steps.empty(wide=True)
            steps.forward(0, -1, fed, hidden, h, c, None, None, acts, h, new)  # before_h is not read
            outputs: Any = (h, new.astype(steps.dtype))
        else:
            before = state[0] if state else h
            steps.forward(0, -1, fed, hidden, before, None, None, acts, h)
            outputs = h
        return Saved(outputs, (acts,)) if save else outputs

    @primitive.backward.kernel("cuda")
    def _(fed: Array, hidden: Array, *rest: Any, needs: tuple[bool, ...], nonlinearity: str = "tanh") -> Any:
        state, rest = rest[: len(needs) - 2], rest[len(needs) - 2 :]
        cotangents, residuals = rest[: primitive.outputs], rest[primitive.outputs :]
        if fed.size == 0 or not residuals:
            return NotImplemented
        steps = _Steps(kind, fed, len(state), nonlinearity)
        (acts,) = residuals
        carry, slope = steps.carried(cotangents[0]), steps.empty(gates=GATES[kind])
        if kind == "lstm":
            dc = steps.carried(cotangents[1])
            steps.backward(0, acts, state[0].astype(steps.wide), None, None, None, carry, dc, slope)
            return slope, slope, dc.astype(steps.dtype)
        if kind == "gru":
            dhidden = steps.empty(gates=3)
            steps.backward(0, acts, state[0], None, None, None, carry, slope, dhidden)
            return slope, dhidden, carry.astype(steps.dtype)
        steps.backward(0, acts, None, None, None, carry, slope)
        return slope, slope


_attach_cell(rnn_cell, "rnn")
_attach_cell(lstm_cell, "lstm")
_attach_cell(gru_cell, "gru")


# -- whole sequences


def _run(
    kind: str, fed: Array, weight: Array, bias: Array | None, states: tuple[Array, ...], lengths: Array | None,
    reverse: bool, nonlinearity: str, save: bool,
) -> Any:  # fmt: skip
    """Return outputs and last states; the states that enter each time are kept, and what the gates became."""
    count = fed.shape[0]
    steps = _Steps(kind, fed, len(states), nonlinearity)
    order = list(times(count, reverse))
    before_h, out, last_h = steps.empty(count), steps.empty(count), steps.empty()
    before_h[order[0]] = states[0]
    acts = steps.empty(count, wide=True, gates=_ACTS[kind]) if save else None
    before_c = last_c = None
    if kind == "lstm":
        before_c, last_c = steps.empty(count, wide=True), steps.empty(wide=True)
        before_c[order[0]] = states[1]
    lengths = None if lengths is None else lengths.astype(int64)
    for k, at in enumerate(order):
        hidden = dense(steps.backend.coerce(before_h[at]), weight, bias, activation=None)
        following = order[k + 1] if k + 1 < count else -1
        if kind == "lstm":
            steps.forward(at, following, fed, hidden, before_h, before_c, lengths, out, acts, last_h, last_c)
        else:
            steps.forward(at, following, fed, hidden, before_h, lengths, out, acts, last_h)
    outputs = (out, last_h) if last_c is None else (out, last_h, last_c.astype(steps.dtype))
    return Saved(outputs, (acts, before_h, before_c, lengths)) if save else outputs


def _run_back(
    kind: str, fed: Array, weight: Array, bias: Array | None, cotangents: tuple[Array | None, ...],
    residuals: tuple[Any, ...], reverse: bool, nonlinearity: str,
    wanted: dict[str, bool],
) -> dict[str, Array]:  # fmt: skip
    """Return the gradients of fed, weight, bias, h0 and c0, those that are wanted."""
    acts, before_h, before_c, lengths = residuals
    count = fed.shape[0]
    steps = _Steps(kind, fed, len(cotangents) - 1, nonlinearity)
    backend, wide = steps.backend, GATES[kind] * steps.size
    dout, carry = cotangents[0], steps.carried(cotangents[1])
    slope = steps.empty(count, gates=GATES[kind])
    dhidden = steps.empty(count, gates=3) if kind == "gru" else slope
    dc = steps.carried(cotangents[2]) if kind == "lstm" else None
    across = weight.T
    product: Array | None = None
    for at in times(count, not reverse):
        if kind == "lstm":
            steps.backward(at, acts, before_c, lengths, dout, product, carry, dc, slope)
        elif kind == "gru":
            steps.backward(at, acts, before_h, lengths, dout, product, carry, slope, dhidden)
        else:
            steps.backward(at, acts, lengths, dout, product, carry, slope)
        if at != (count - 1 if reverse else 0) or wanted["h0"]:
            product = matmul(backend.coerce(dhidden[at]), across)
    found: dict[str, Array] = {"fed": slope}
    flat = dhidden.reshape(-1, wide)
    if wanted["weight"]:
        found["weight"] = matmul(before_h.reshape(-1, steps.size).T, flat)
    if wanted["bias"]:
        found["bias"] = op.sum(flat, axis=0)
    if wanted["h0"]:
        found["h0"] = backend.coerce((carry + product.astype(steps.wide)).astype(steps.dtype))  # type: ignore[union-attr]
    if dc is not None:
        found["c0"] = dc.astype(steps.dtype)
    return found


def _attach(primitive: Primitive, kind: str) -> None:
    states = primitive.outputs - 1

    @primitive.kernel("cuda")
    def _(
        fed: Array, weight: Array, bias: Array | None, *rest: Array, save: bool, reverse: bool,
        nonlinearity: str = "tanh",
    ) -> Any:  # fmt: skip
        if fed.size == 0:
            return NotImplemented
        return _run(kind, fed, weight, bias, rest[:states], rest[states], reverse, nonlinearity, save)

    @primitive.backward.kernel("cuda")
    def _(
        fed: Array, weight: Array, bias: Array | None, *rest: Any, reverse: bool, needs: tuple[bool, ...],
        nonlinearity: str = "tanh",
    ) -> Any:  # fmt: skip
        cotangents, residuals = rest[states + 1 : 2 * states + 2], rest[2 * states + 2 :]
        if fed.size == 0 or not residuals:
            return NotImplemented
        names = ("fed", "weight", "bias", "h0", "c0")[: 3 + states]
        wanted = dict(zip(names, needs, strict=False))
        found = _run_back(kind, fed, weight, bias, cotangents, residuals, reverse, nonlinearity, wanted)
        return (*[found[name] if wanted[name] else None for name in names], None)


_attach(rnn, "rnn")
_attach(lstm, "lstm")
_attach(gru, "gru")
