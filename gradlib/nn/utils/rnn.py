"""Sequences of unequal lengths: padded to one length, or packed without the padding, as ``torch.nn.utils.rnn``.

Sequences are (batch, length, ...): ``batch_first=True`` is the default, where it is False in PyTorch.  The recurrent
layers take the lengths themselves (``layer(input, hx, lengths)``), or a `PackedSequence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...core import op
from ...errors import ShapeError, message, operand
from ..host import beside, on_host

__all__ = [
    "PackedSequence",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

Array = Any


class PackedSequence(NamedTuple):
    """Sequences without padding: step after step, of each the sequences that still go on, the longest first.

    `data` (sum of the lengths, ...); `batch_sizes`, how many sequences each step has; `sorted_indices`, where each
    sequence, longest first, was in the batch (None: they were sorted); `unsorted_indices`, the inverse of that.
    """

    data: Array
    batch_sizes: Any
    sorted_indices: Any = None
    unsorted_indices: Any = None


def _lengths(name: str, lengths: Any, count: int, longest: int) -> Any:
    values = on_host(lengths).astype(np.int64)
    if values.shape != (count,) or (count and (values.min() < 1 or values.max() > longest)):
        raise ShapeError(f"{name}: lengths are {values}\n  need {count} from 1 to {longest}")
    return values


def _places(lengths: Any) -> tuple[Any, Any, Any]:
    """Return (sequence, step) of each packed element, and the number of sequences of each step; lengths descending."""
    steps = int(lengths.max(initial=0))
    sizes = (lengths[None] > np.arange(steps)[:, None]).sum(1)
    sequence = np.concatenate([np.arange(n) for n in sizes]) if steps else np.zeros(0, np.int64)
    return sequence, np.repeat(np.arange(steps), sizes), sizes


def pack_padded_sequence(
    input: Array, lengths: Any, batch_first: bool = True, enforce_sorted: bool = True
) -> PackedSequence:
    """Return the first `lengths` steps of each sequence, packed.

    Shapes: input (batch, length, ...), or (length, batch, ...) with ``batch_first=False``; lengths (batch,).
    Raises: ShapeError; ValueError for lengths that do not descend, with `enforce_sorted`.  Derivative: every order.

    >>> import gradlib as gl
    >>> packed = pack_padded_sequence(gl.tensor([[1.0, 2.0], [3.0, 0.0]]), [2, 1])
    >>> packed.data.tolist(), packed.batch_sizes.tolist()
    ([1.0, 3.0, 2.0], [2, 1])
    """
    if len(input.shape) < 2:
        raise ShapeError(message("pack_padded_sequence(input): too few axes", [operand("input", input)]))
    x = input if batch_first else op.swapaxes(input, 0, 1)
    count, longest = x.shape[:2]
    values = _lengths("pack_padded_sequence(input, lengths)", lengths, count, longest)
    order = None
    if not enforce_sorted:
        order = np.argsort(-values, kind="stable")
    elif (np.diff(values) > 0).any():
        raise ValueError(
            f"pack_padded_sequence(lengths): {values} do not descend\n  need sorted ones, or enforce_sorted=False"
        )
    sequence, step, sizes = _places(values if order is None else values[order])
    rows = sequence if order is None else order[sequence]
    flat = op.reshape(x, shape=(count * longest, *x.shape[2:]))
    data = op.take(flat, beside(rows * longest + step, input), axis=0)
    back = None if order is None else np.argsort(order, kind="stable")
    return PackedSequence(data, sizes, order, back)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = True, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Array, Any]:
    """Return (the sequences with `padding_value` behind their ends, their lengths): the inverse of packing.

    Shapes: result (batch, longest or `total_length`, ...), or (length, batch, ...) with ``batch_first=False``.
    Raises: ShapeError for a `total_length` below the longest.

    >>> import gradlib as gl
    >>> padded, lengths = pad_packed_sequence(PackedSequence(gl.tensor([1.0, 3.0, 2.0]), [2, 1]))
    >>> padded.tolist(), lengths.tolist()
    ([[1.0, 2.0], [3.0, 0.0]], [2, 1])
    """
    sizes = on_host(sequence.batch_sizes)
    steps, count = len(sizes), int(sizes[0])
    length = steps if total_length is None else total_length
    if length < steps:
        raise ShapeError(f"pad_packed_sequence(total_length): {length} for sequences of up to {steps} steps")
    lengths = (sizes[None] > np.arange(count)[:, None]).sum(1)
    first = np.zeros(length, np.int64)  # where each step begins
    first[1:steps] = np.cumsum(sizes)[:-1]
    inside = np.arange(length)[None] < lengths[:, None]
    places = np.where(inside, first[None] + np.arange(count)[:, None], 0)
    if sequence.unsorted_indices is not None:
        back = on_host(sequence.unsorted_indices)
        places, inside, lengths = places[back], inside[back], lengths[back]
    data = sequence.data
    x = op.reshape(op.take(data, beside(places.reshape(-1), data), axis=0), shape=(count, length, *data.shape[1:]))
    mask = beside(inside.reshape(count, length, *(1,) * (len(data.shape) - 1)), data)
    x = op.where(mask, x, padding_value)
    return (x if batch_first else op.swapaxes(x, 0, 1)), lengths


def pad_sequence(
    sequences: Sequence[Array], batch_first: bool = True, padding_value: float = 0.0, padding_side: str = "right"
) -> Array:
    """Return sequences (length, ...) as one array (batch, longest, ...), with `padding_value` behind or before them.

    >>> import gradlib as gl
    >>> pad_sequence([gl.tensor([1.0, 2.0]), gl.tensor([3.0])]).tolist()
    [[1.0, 2.0], [3.0, 0.0]]
    """
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence(padding_side): {padding_side!r} is unknown\n  need 'right' or 'left'")
    longest = max(x.shape[0] for x in sequences)
    parts = []
    for x in sequences:
        room = longest - x.shape[0]
        ends = (0, room) if padding_side == "right" else (room, 0)
        parts.append(op.pad(x, (ends, *((0, 0),) * (len(x.shape) - 1)), padding_value))
    return op.stack(parts, axis=0 if batch_first else 1)


def unpad_sequence(padded_sequences: Array, lengths: Any, batch_first: bool = True) -> list[Array]:
    """Return each sequence without its padding: the inverse of `pad_sequence`.

    >>> import gradlib as gl
    >>> [x.tolist() for x in unpad_sequence(gl.tensor([[1.0, 2.0], [3.0, 0.0]]), [2, 1])]
    [[1.0, 2.0], [3.0]]
    """
    x = padded_sequences if batch_first else op.swapaxes(padded_sequences, 0, 1)
    values = _lengths("unpad_sequence(padded_sequences, lengths)", lengths, x.shape[0], x.shape[1])
    return [x[i, : int(n)] for i, n in enumerate(values)]


def pack_sequence(sequences: Sequence[Array], enforce_sorted: bool = True) -> PackedSequence:
    """Return sequences (length, ...) packed; see `pack_padded_sequence`.

    >>> import gradlib as gl
    >>> pack_sequence([gl.tensor([1.0, 2.0]), gl.tensor([3.0])]).data.tolist()
    [1.0, 3.0, 2.0]
    """
    lengths = [x.shape[0] for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Array]:
    """Return each sequence (length, ...): the inverse of `pack_sequence`.

    >>> import gradlib as gl
    >>> [x.tolist() for x in unpack_sequence(pack_sequence([gl.tensor([1.0, 2.0]), gl.tensor([3.0])]))]
    [[1.0, 2.0], [3.0]]
    """
    padded, lengths = pad_packed_sequence(packed_sequences)
    return unpad_sequence(padded, lengths)
