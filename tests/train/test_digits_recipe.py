"""The network of `gradlib train digits` and its recipe, on the CPU."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib.train import digits


def test_the_network_is_small_and_as_documented() -> None:
    model = digits.network()
    count = sum(p.size for p in model.parameters())
    assert f"{count:,} parameters" in (digits.network.__doc__ or "")
    assert model(gl.tensor(np.zeros((2, 8, 8, 1), np.float32))).shape == (2, 10)


def test_it_learns_and_repeats_itself() -> None:
    recipe = digits.Recipe(epochs=2, progress="none")
    first, second = digits.train(recipe), digits.train(recipe)
    assert first.accuracy > 0.8
    assert first.images == 1408  # whole batches of the 1438
    assert first.history.steps == second.history.steps
    assert (
        digits.train(digits.Recipe(epochs=1, limit=128, seed=1, progress="none")).history.steps[0]
        != first.history.steps[0]
    )


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes(dtype: str) -> None:
    result = digits.train(digits.Recipe(epochs=1, dtype=dtype, progress="none"))
    assert result.accuracy > 0.5
    assert {p.dtype.name for p in result.model.parameters()} == {dtype}


def test_recipes_that_make_no_sense() -> None:
    for settings, error, text in (
        ({"device": "tpu"}, gl.DeviceError, "'tpu' is unknown"),
        ({"dtype": "int32"}, gl.ShapeError, "floating"),
        ({"dtype": "float128"}, gl.DTypeError, "float128"),
        ({"epochs": 0}, gl.ShapeError, "epochs is 0"),
        ({"batch_size": 1}, gl.ShapeError, "variance"),
        ({"limit": -5}, gl.ShapeError, "limit is -5"),
    ):
        with pytest.raises(error, match=text):
            digits.Recipe(**settings).check()  # type: ignore[arg-type]
