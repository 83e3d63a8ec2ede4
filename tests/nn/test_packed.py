"""Packed and padded sequences, and recurrent layers on them."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.nn.utils import rnn

X = np.random.default_rng(0).standard_normal((3, 5, 2))


@pytest.mark.parametrize("lengths", [[5, 3, 1], [2, 5, 4], [1, 1, 1]])
@pytest.mark.parametrize("batch_first", [True, False])
def test_packing_is_pytorchs(lengths: list[int], batch_first: bool) -> None:
    there = pytest.importorskip("torch.nn.utils.rnn")
    torch = pytest.importorskip("torch")
    x = X if batch_first else X.swapaxes(0, 1).copy()
    ours = rnn.pack_padded_sequence(gl.tensor(x), lengths, batch_first, enforce_sorted=False)
    theirs = there.pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), batch_first, enforce_sorted=False)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.numpy() if isinstance(a, gl.Tensor) else a, b.numpy())
    padded, found = rnn.pad_packed_sequence(ours, batch_first, -1.0, total_length=7)
    other, _ = there.pad_packed_sequence(theirs, batch_first, -1.0, total_length=7)
    np.testing.assert_array_equal(padded.numpy(), other.numpy())
    np.testing.assert_array_equal(found, lengths)


def test_round_trips_and_gradients() -> None:
    parts = [gl.tensor(X[i, :n], requires_grad=True) for i, n in enumerate((5, 3, 1))]
    packed = rnn.pack_sequence(parts)
    assert packed.sorted_indices is None
    for a, b in zip(rnn.unpack_sequence(packed), parts, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    (packed.data * packed.data).sum().backward()
    np.testing.assert_allclose(parts[2].grad.numpy(), 2 * X[2, :1])
    left = rnn.pad_sequence(parts, padding_value=9.0, padding_side="left")
    np.testing.assert_array_equal(left.numpy()[2, :4], 9)
    np.testing.assert_array_equal(left.numpy()[2, 4:], X[2, :1])
    assert rnn.pad_sequence(parts, batch_first=False).shape == (5, 3, 2)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_layers_take_packed_sequences(name: str, batch_first: bool) -> None:
    layer = getattr(nn, name)(2, 3, bidirectional=True, batch_first=batch_first, dtype="float64")
    x, lengths = gl.tensor(X if batch_first else X.swapaxes(0, 1).copy()), [2, 5, 4]
    y, last = layer(rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False))
    expected, ends = layer(x, None, lengths)
    np.testing.assert_array_equal(rnn.pad_packed_sequence(y, batch_first)[0].numpy(), expected.numpy())
    for a, b in zip(last if name == "LSTM" else [last], ends if name == "LSTM" else [ends], strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_bad_arguments() -> None:
    x = gl.tensor(X)
    for call, error, text in (
        (lambda: rnn.pack_padded_sequence(x, [1, 2, 3]), ValueError, "do not descend"),
        (lambda: rnn.pack_padded_sequence(x, [6, 2, 3]), gl.ShapeError, "from 1 to 5"),
        (lambda: rnn.pack_padded_sequence(x, [2, 3]), gl.ShapeError, "need 3"),
        (lambda: rnn.pack_padded_sequence(x[0, 0], [2]), gl.ShapeError, "too few axes"),
        (lambda: rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [5, 3, 1]), total_length=4), gl.ShapeError, "4"),
        (lambda: rnn.pad_sequence([x], padding_side="top"), ValueError, "top"),
    ):
        with pytest.raises(error, match=text):
            call()  # type: ignore[no-untyped-call]
