"""gradcheck: a user's function of whatever it takes, with the worst entry named."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib.testing import gradcheck

X = np.random.default_rng(0).standard_normal((3, 2))


def test_functions_of_arrays_containers_and_networks() -> None:
    gradcheck(lambda x, n: gl.sin(x) * n, X, np.array([1, 2]))
    gradcheck(lambda z: z * z + gl.conj(z), X + 1j * X[::-1])
    gradcheck(lambda x, p: {"a": gl.sin(x) * p["w"], "b": [gl.exp(p["v"]), None]}, X, {"w": X, "v": gl.ones((2,))})
    network = gl.nn.Sequential(gl.nn.Dense(2, 3, activation="tanh"), gl.nn.Dense(3, 1))
    before = network.state_dict()
    gradcheck(lambda network, x: network(x), network, X)
    assert network[0].weight.dtype == gl.float32  # it was checked in float64, on a copy
    assert all(np.array_equal(v.numpy(), before[k].numpy()) for k, v in network.state_dict().items())


def test_the_worst_entry_is_named() -> None:
    def f(x: gl.Tensor, p: dict) -> gl.Tensor:
        scale = np.where(np.arange(6).reshape(3, 2) == 4, 100.0, 1.0)
        return x * x + gl.stop_gradient(p["w"]) * p["w"] * scale + gl.sum(p["v"])

    with pytest.raises(AssertionError) as caught:
        gradcheck(f, X, {"v": gl.ones((2,)), "w": np.ones((3, 2))})
    assert "gradcheck(f): vjp, input 1, leaf 1: entry (2, 0) is" in str(caught.value)
    assert "by the tape" in str(caught.value)
    assert "by finite differences" in str(caught.value)


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(TypeError, match=r"gradcheck\(<lambda>\): the function returned a float, need Tensors"):
        gradcheck(lambda x: 3.0, X)
