"""Where dense and matmul go: products of few rows or columns, and of float64, by the kernels made for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.ops.product import double, front, thin
from gradlib.testing.tolerance import assert_close

from ...devices import device_params

pytestmark = pytest.mark.parametrize("device", device_params())
rng = np.random.default_rng(11)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that `direct` took, in order."""
    names: list[str] = []
    for module, name in ((thin, "thin"), (double, "double")):
        product = module.product

        def note(*args: Any, product: Any = product, name: str = name) -> None:
            names.append(name)
            product(*args)

        monkeypatch.setattr(getattr(front, name), "product", note)
    return names


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("m", "k", "n"), [(4, 256, 512), (2000, 48, 6)])
def test_dense_layers_of_few_rows_or_features(device, taken, dtype, m, k, n):
    x, w, b = (
        gl.tensor(rng.standard_normal(s), dtype=dtype, device=device, requires_grad=True)
        for s in ((m, k), (k, n), (n,))
    )
    y = gl.dense(x, w, b, activation="relu")
    assert taken == ["thin"]
    wide = [t.numpy().astype(np.float64) for t in (x, w, b)]
    assert_close(y.numpy(), np.maximum(wide[0] @ wide[1] + wide[2], 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_a_layer_of_few_rows(device, taken, dtype):
    x, w = (
        gl.tensor(rng.standard_normal(s), dtype=dtype, device=device, requires_grad=True)
        for s in ((4, 256), (256, 512))
    )
    gl.dense(x, w).sum().backward()
    assert taken[:2] == ["thin", "thin"]  # y and dx
    assert_close(x.grad.numpy(), np.tile(w.numpy().astype(np.float64).sum(1), (4, 1)), dtype=dtype)
    assert_close(w.grad.numpy(), np.tile(x.numpy().astype(np.float64).sum(0)[:, None], (1, 512)), dtype=dtype)


def test_matrix_times_vector(device, taken):
    a, v = (rng.standard_normal(s).astype(np.float32) for s in ((512, 300), (300,)))
    for left, right in ((a, v), (v, a.T)):
        assert_close(
            (gl.tensor(left, device=device) @ gl.tensor(right, device=device)).numpy(), left @ right.astype(np.float64)
        )
    transposed = gl.matrix_transpose(gl.tensor(np.ascontiguousarray(a.T), device=device))
    assert_close((transposed @ gl.tensor(v, device=device)).numpy(), a @ v.astype(np.float64))
    assert taken == ["thin"] * 3


def test_float64_on_tensor_cores(device, taken, limits):
    limits(device, architecture="sm_90a", multiprocessors=1)
    x, w = (gl.tensor(rng.standard_normal(s), device=device, requires_grad=True) for s in ((130, 96), (96, 130)))
    y = gl.dense(x, w)
    z = gl.matmul(x, w)
    assert taken == ["double", "double"]
    y.sum().backward()
    assert taken[2:] == ["double", "double"]  # dx and dw
    for got in (y, z):
        assert_close(got.numpy(), x.numpy() @ w.numpy())
    assert_close(x.grad.numpy(), np.tile(w.numpy().sum(1), (130, 1)))
