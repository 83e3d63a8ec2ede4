"""dense: the formula, what its kernels are asked for, and that every activation is one function everywhere."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from gradlib import backend as backends
from gradlib.core import Tensor
from gradlib.errors import DTypeError, ShapeError
from gradlib.kernel import include_folder, launches
from gradlib.ops.activation import FUSED, READS_OUTPUT
from gradlib.ops.dense import dense

erf = np.vectorize(math.erf, otypes=[float])


def logistic(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# Value and derivative of each activation, written from its definition.
DEFINITIONS = {
    "relu": (lambda x: np.maximum(x, 0), lambda x: x > 0),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1, 0.01)),
    "relu6": (lambda x: np.clip(x, 0, 6), lambda x: (x > 0) & (x < 6)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), lambda x: np.exp(np.minimum(x, 0))),
    "selu": (
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
        lambda x: 1.0507009873554805 * np.where(x > 0, 1, 1.6732632423543772 * np.exp(np.minimum(x, 0))),
    ),
    "sigmoid": (logistic, lambda x: logistic(x) * logistic(-x)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(np.clip(x, -300, 300)) ** 2),
    "gelu": (
        lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
        lambda x: (1 + erf(x / math.sqrt(2))) / 2 + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    ),
    "silu": (lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * logistic(-x))),
    "softplus": (softplus, logistic),
    "hardswish": (
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(x <= -3, 0, np.where(x < 3, x / 3 + 0.5, 1)),
    ),
    "mish": (
        lambda x: x * np.tanh(softplus(x)),
        lambda x: np.tanh(softplus(x)) + x * (1 - np.tanh(softplus(x)) ** 2) * logistic(x),
    ),
}
POINTS = [-1e4, -300.0, -30.0, -5.5, -1.0, -0.1, 0.25, 1.0, 2.9, 5.0, 7.5, 40.0, 300.0, 1e4]


def run(device, x, w, b, g, activation, dtype=None):
    """Return y and the three gradients on a device, as NumPy arrays."""
    backend = backends.get(device)
    tensors = [
        None if a is None else Tensor(backend.asarray(a if dtype is None else a.astype(dtype)), requires_grad=True)
        for a in (x, w, b)
    ]
    y = dense(*tensors, activation=activation)
    y.backward(Tensor(backend.asarray(g if dtype is None else g.astype(dtype))))
    return [y.numpy(), *[None if t is None else t.grad.numpy() for t in tensors]]


def test_python_and_cuda_know_the_same_activations():
    text = (include_folder() / "gradlib" / "activation.cuh").read_text()
    functors = dict(re.findall(r"^struct (\w+) \{.*\n  static constexpr bool reads_output = (\w+)", text, re.MULTILINE))
    assert set(functors) == FUSED | {"none"}
    assert {name for name, reads in functors.items() if reads == "true"} - {"none"} == READS_OUTPUT
    assert set(DEFINITIONS) == FUSED


@pytest.mark.parametrize("activation", sorted(FUSED))
@pytest.mark.parametrize("device", ["cpu", "sim"])
def test_activations_are_right_and_finite(activation, device, request):
    if device == "sim":
        request.getfixturevalue("sim")
    x = np.array(POINTS)[:, None]
    f, df = DEFINITIONS[activation]
    one = np.ones((1, 1))
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-6)):
        exact = x.astype(dtype).astype("f8")
        y, dx, dw, db = run(device, x, one, None, np.ones_like(x), activation, dtype)
        assert y.dtype == dx.dtype == dw.dtype == dtype
        assert db is None
        np.testing.assert_allclose(y, f(exact), rtol=tolerance, atol=tolerance, err_msg=f"{activation} {dtype}")
        np.testing.assert_allclose(dx, df(exact), rtol=tolerance, atol=tolerance, err_msg=f"d{activation} {dtype}")


@pytest.mark.parametrize("device", ["cpu", "sim"])
@pytest.mark.parametrize("lead", [(13,), (2, 3), (), (700,)])
def test_formula(device, lead, request):
    if device == "sim":
        request.getfixturevalue("sim")
    rng = np.random.default_rng(0)
    x, w, b, g = (rng.standard_normal(s) for s in ((*lead, 5), (5, 7), (7,), (*lead, 7)))
    y, dx, dw, db = run(device, x, w, b, g, "tanh")
    expected = np.tanh(x @ w + b)
    dz = (g * (1 - expected**2)).reshape(-1, 7)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    np.testing.assert_allclose(dx, (dz @ w.T).reshape(x.shape), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dw, x.reshape(-1, 5).T @ dz, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(db, dz.sum(0), rtol=1e-10, atol=1e-12)


def test_only_wanted_gradients_are_launched(sim):
    backend = backends.get(sim)
    x, w, b = (backend.asarray(np.ones(s, "f4")) for s in ((4, 3), (3, 2), (2,)))
    y = dense(Tensor(x), Tensor(w, requires_grad=True), Tensor(b, requires_grad=True), activation="relu")
    with launches() as log:
        y.backward(Tensor(backend.asarray(np.ones((4, 2), "f4"))))
    assert {record.entry for record in log} == {"dense_dw", "dense_db"}


def test_nothing_is_saved_without_a_tape(sim):
    backend = backends.get(sim)
    x, w = (backend.asarray(np.ones(s, "f4")) for s in ((4, 3), (3, 2)))
    plain = dense(x, w, None, activation="gelu")
    assert type(plain) is backend.array_type
    with launches() as log:
        dense(Tensor(x), Tensor(w), None, activation="gelu")
    assert [record.entry for record in log] == ["dense_forward"]


@pytest.mark.parametrize(
    ("k", "n", "combined", "few"),
    [(3, 2, ["finish", "split_sum"], 3e-7), (13, 11, ["split_sum"] * 2, 6e-7)],  # the worst of 8 sums, and of 154
)
def test_long_sums_are_split_and_lose_few_digits(sim, k, n, combined, few):
    """Column sums of 20,000 float32 rows: one running sum would be some 1e-5 off."""
    rng = np.random.default_rng(1)
    m = 20_000
    x, g = rng.random((m, k)).astype("f4"), rng.random((m, n)).astype("f4")
    backend = backends.get(sim)
    w, b = (Tensor(backend.asarray(np.zeros(s, "f4")), requires_grad=True) for s in ((k, n), (n,)))
    with launches() as log:
        dense(Tensor(backend.asarray(x)), w, b).backward(Tensor(backend.asarray(g)))
    assert [record.entry for record in log if record.entry in ("finish", "split_sum")] == combined
    np.testing.assert_allclose(b.grad.numpy(), g.astype("f8").sum(0), rtol=few)
    np.testing.assert_allclose(w.grad.numpy(), x.astype("f8").T @ g.astype("f8"), rtol=few)


def test_empty_sizes(sim):
    for device in ("cpu", sim):
        y, dx, dw, db = run(device, np.ones((0, 3)), np.ones((3, 2)), np.ones(2), np.ones((0, 2)), "gelu")
        assert (y.shape, dx.shape) == ((0, 2), (0, 3))
        assert not dw.any()
        assert not db.any()
        y, dx, dw, db = run(device, np.ones((4, 0)), np.ones((0, 2)), np.arange(2.0), np.ones((4, 2)), "relu")
        np.testing.assert_array_equal(y, [[0, 1]] * 4)
        np.testing.assert_array_equal(db, [0, 4])


def test_callable_activation_is_composed(sim):
    x, w = np.full((2, 3), -1.0), np.ones((3, 2))
    for device in ("cpu", sim):
        backend = backends.get(device)
        y = dense(backend.asarray(x), backend.asarray(w), activation=lambda z: z)
        np.testing.assert_array_equal(np.asarray(y), x @ w)


def test_errors():
    x, w = np.ones((2, 7)), np.ones((4, 3))
    with pytest.raises(ShapeError) as caught:
        dense(x, w)
    assert str(caught.value) == (
        "dense(input, weight, bias): input has 7 features, weight expects 4\n"
        "  input:  float64[2, 7]  (batch, in)\n"
        "  weight: float64[4, 3]  (in, out)\n"
        "  need input.shape[1] == weight.shape[0]"
    )
    with pytest.raises(ShapeError, match=r"bias has shape \(4,\), weight makes 3 features"):
        dense(np.ones((2, 4)), w, np.ones(4))
    with pytest.raises(ShapeError, match="weight has 3 dimensions, need 2"):
        dense(x, np.ones((1, 7, 3)))
    with pytest.raises(ValueError, match="there is no activation 'rulu'"):
        dense(x, np.ones((7, 3)), activation="rulu")
    with pytest.raises(DTypeError, match="an activation needs floats"):
        dense(x.astype(int), np.ones((7, 3), int), activation="relu")
