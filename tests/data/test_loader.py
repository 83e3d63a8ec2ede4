"""DataLoader: what is in the batches, in what order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.data import DataLoader


def order(loader: DataLoader) -> list[int]:
    return [int(i) for batch in loader for i in batch.numpy()]


def test_batches_cover_the_data() -> None:
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    loader = DataLoader((x, y), batch_size=4)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert [len(t) for _, t in batches] == [4, 4, 2]
    assert all(isinstance(a, gl.Tensor) and isinstance(b, gl.Tensor) for a, b in batches)
    np.testing.assert_array_equal(np.concatenate([a.numpy() for a, _ in batches]), x)
    assert batches[0][0].dtype == np.float64
    assert batches[0][1].dtype == np.int64


def test_drop_last() -> None:
    loader = DataLoader(np.arange(10), batch_size=4, drop_last=True)
    assert order(loader) == list(range(8))
    assert (len(loader), loader.examples) == (2, 8)
    assert len(DataLoader(np.arange(3), batch_size=4, drop_last=True)) == 0


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    loader = DataLoader(np.arange(50), batch_size=7, shuffle=True, seed=3)
    first, second = order(loader), order(loader)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert first != list(range(50))
    again = DataLoader(np.arange(50), batch_size=11, shuffle=True, seed=3)
    gl.manual_seed(99)
    assert order(again) == first
    again.epoch = 1
    assert order(again) == second
    assert order(DataLoader(np.arange(50), batch_size=7, shuffle=True, seed=4)) != first


def test_unfinished_and_overlapping_passes_are_passes_of_their_own() -> None:
    loader = DataLoader(np.arange(20), batch_size=5, shuffle=True)
    next(iter(loader))
    second = order(loader)
    fresh = DataLoader(np.arange(20), batch_size=5, shuffle=True)
    order(fresh)
    assert order(fresh) == second


def test_transform_gets_the_inputs_and_a_generator_of_the_epoch() -> None:
    def shift(x: Any, generator: gl.Generator) -> Any:
        return x + gl.uniform(x.shape, dtype="float64", generator=generator).numpy()

    def values() -> np.ndarray:
        loader = DataLoader((np.zeros(6), np.arange(6)), batch_size=4, transform=shift, seed=1)
        return np.concatenate([x.numpy() for x, _ in loader])

    assert len(set(values())) == 6
    np.testing.assert_array_equal(values(), values())


def test_examples_are_stacked() -> None:
    class Squares:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
            return np.full(3, i, np.float32), i * i

    batches = list(DataLoader(Squares(), batch_size=3))
    np.testing.assert_array_equal(batches[1][0].numpy(), [[3, 3, 3], [4, 4, 4]])
    np.testing.assert_array_equal(batches[1][1].numpy(), [9, 16])
    assert [b.tolist() for b in DataLoader([1.0, 2.0, 3.0], batch_size=2)] == [[1.0, 2.0], [3.0]]
    assert DataLoader(gl.tensor([1, 2, 3]), batch_size=3).single


def test_batches_live_on_the_device_asked_for(sim: str) -> None:
    for x in DataLoader(np.arange(4.0), batch_size=2, device=sim):
        assert x.device == sim
    with gl.device(sim):
        assert next(iter(DataLoader(np.arange(4.0)))).device == sim


def test_empty_data() -> None:
    assert list(DataLoader((np.zeros((0, 3)), np.zeros(0)), batch_size=2)) == []


def test_bad_arguments() -> None:
    for dataset, size, error, text in (
        ((np.zeros(3), np.zeros(4)), 1, gl.ShapeError, "different lengths"),
        (np.zeros(()), 1, gl.ShapeError, "different lengths"),
        (np.zeros(3), 0, gl.ShapeError, "batch_size is 0"),
        (np.zeros(3), 2.0, gl.ShapeError, "batch_size is 2.0"),
        (7, 1, gl.DTypeError, "of type int"),
    ):
        with pytest.raises(error, match=text):
            DataLoader(dataset, size)  # type: ignore[arg-type]


def test_repr() -> None:
    assert repr(DataLoader(np.zeros(3), 2)) == "DataLoader(3 examples, batch_size=2, shuffle=False, seed=0)"
