"""The digits network through the CUDA kernels on `sim` (or a GPU), beside the same training on `cpu`."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib.testing import launches
from gradlib.train import digits

from ..devices import needs_gpu

STEPS = 10

# What a training step of the digits network must launch: forward and backward of every layer, and the optimizer.
KERNELS = {
    ("adam", "update.cu"),
    ("avg_pool_backward", "pool2d.cu"),
    ("avg_pool_forward", "pool2d.cu"),
    ("batch_norm_apply", "batch_norm.cu"),
    ("batch_norm_backward_apply", "batch_norm.cu"),
    ("batch_norm_backward_finish", "batch_norm.cu"),
    ("batch_norm_backward_partial", "batch_norm.cu"),
    ("batch_norm_finish", "batch_norm.cu"),
    ("batch_norm_partial", "batch_norm.cu"),
    ("conv2d_dgrad", "conv2d.cu"),
    ("conv2d_forward", "conv2d.cu"),
    ("conv2d_wgrad", "conv2d.cu"),
    ("cross_entropy_backward", "softmax.cu"),
    ("cross_entropy_forward", "softmax.cu"),
    ("dense_db", "dense.cu"),
    ("dense_dw", "dense.cu"),
    ("dense_dx", "dense.cu"),
    ("dense_forward", "dense.cu"),
    ("dropout", "dropout.cu"),
    ("max_pool_backward", "pool2d.cu"),
    ("max_pool_forward", "pool2d.cu"),
    ("split_sum", "split.cu"),
}


def recipe(device: str, steps: int, seed: int = 0) -> digits.Recipe:
    return digits.Recipe(device=device, epochs=1, seed=seed, limit=64 * steps, progress="none")


def losses(device: str, seed: int = 0) -> np.ndarray:
    return np.array(digits.train(recipe(device, STEPS, seed)).history.steps)


def masks(device: str) -> list[np.ndarray]:
    """Return what each dropout layer lets pass in one forward of the training network."""
    gl.manual_seed(0)
    model = digits.network("float32", device)
    seen: list[np.ndarray] = []
    for module in model.modules():
        if isinstance(module, gl.nn.Dropout):
            module.register_forward_pre_hook(lambda module, inputs: (gl.ones_like(inputs[0]),))
            module.register_forward_hook(lambda module, inputs, output: seen.append(output.numpy()))
    images, _ = next(iter(digits.loaders(recipe(device, 1))[0]))
    model(images)
    return seen


def test_a_training_run_launches_every_kernel_it_should(sim: str) -> None:
    with launches() as log:
        digits.train(recipe(sim, 1))
    assert KERNELS - {(record.entry, record.file) for record in log} == set()


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_losses_agree_with_the_cpu(sim: str, seed: int) -> None:
    here = losses("cpu", seed)
    assert len(here) == STEPS
    np.testing.assert_allclose(losses(sim, seed), here, rtol=1e-5)


def test_dropout_masks_agree_to_the_bit(sim: str) -> None:
    here, there = masks("cpu"), masks(sim)
    assert len(here) == 3
    for a, b in zip(here, there, strict=True):
        assert 0.2 < np.mean(a == 0) < 0.4
        np.testing.assert_array_equal(a, b)


@needs_gpu
def test_ten_losses_on_a_gpu_agree_with_the_cpu() -> None:
    np.testing.assert_allclose(losses("cuda"), losses("cpu"), rtol=1e-4)
