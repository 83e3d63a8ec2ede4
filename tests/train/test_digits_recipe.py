"""The network of `gradlib train digits`: on the CPU, and through the CUDA kernels on sim."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib.train import digits

# What one training step must launch: every family of kernels the network is made of.
ENTRIES = {
    "dense_forward",
    "dense_dx",
    "dense_dw",
    "max_pool_forward",
    "max_pool_backward",
    "avg_pool_forward",
    "avg_pool_backward",
    "batch_norm_partial",
    "batch_norm_finish",
    "batch_norm_apply",
    "batch_norm_backward_partial",
    "batch_norm_backward_finish",
    "batch_norm_backward_apply",
    "dropout",
    "adam",
}


def losses(device: str, steps: int) -> list[float]:
    recipe = digits.Recipe(device=device, epochs=1, limit=64 * steps, progress="none")
    return digits.train(recipe).history.steps


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


def test_sim_takes_the_same_first_ten_steps_as_cpu(sim: str) -> None:
    np.testing.assert_allclose(losses(sim, 10), losses("cpu", 10), rtol=1e-5)


def test_one_step_on_sim_launches_every_kernel_of_the_network(sim: str) -> None:
    with gl.testing.launches() as log:
        assert len(losses(sim, 1)) == 1
    launched = {record.entry for record in log}
    assert launched >= ENTRIES
    files = {record.file for record in log}
    assert {"conv2d.cu", "dense.cu", "pool2d.cu", "batch_norm.cu", "softmax.cu", "dropout.cu", "update.cu"} <= files


def test_dropout_masks_are_the_same_to_the_bit(sim: str) -> None:
    x = np.ones((64, 4, 4, 32), np.float32)
    on_cpu = gl.nn.functional.dropout(gl.tensor(x), 0.3, generator=gl.Generator(7))
    on_sim = gl.nn.functional.dropout(gl.tensor(x, device=sim), 0.3, generator=gl.Generator(7))
    np.testing.assert_array_equal(on_cpu.numpy(), on_sim.numpy())
