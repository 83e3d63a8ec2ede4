"""Complex numbers: dtypes, promotion, what refuses them, and values against NumPy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gradlib as gl
from gradlib.testing import assert_close, gradcheck

RNG = np.random.default_rng(3)
Z = RNG.standard_normal((3, 4)) + 1j * RNG.standard_normal((3, 4))


def test_python_numbers_become_complex64_and_arrays_keep_their_dtype() -> None:
    assert gl.tensor([1 + 2j, 3.0]).dtype == gl.complex64
    assert gl.tensor(Z).dtype == gl.complex128
    assert gl.full((2,), 1j).dtype == gl.complex64
    assert gl.zeros(2, dtype=gl.complex128).dtype == gl.complex128
    assert gl.tensor([1, 2], dtype="complex64").dtype == gl.complex64


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("float32", "complex64", "complex64"),
        ("float64", "complex64", "complex128"),
        ("float32", "complex128", "complex128"),
        ("float16", "complex64", "complex64"),
        ("bfloat16", "complex64", "complex64"),
        ("int64", "complex64", "complex64"),
        ("complex64", "complex128", "complex128"),
    ],
)
def test_promotion(a: str, b: str, expected: str) -> None:
    x, y = gl.ones(2, dtype=a), gl.ones(2, dtype=b)
    assert (x + y).dtype == (y * x).dtype == gl.concat([x, y]).dtype == np.dtype(expected)
    assert gl.where(gl.tensor([True, False]), x, y).dtype == np.dtype(expected)


def test_numbers_are_weak() -> None:
    z = gl.tensor(Z.astype(np.complex64))
    assert (z + 1.0).dtype == (2 * z).dtype == (z * 1j).dtype == gl.complex64
    assert (gl.ones(2) * 1j).dtype == gl.complex64
    assert (gl.ones(2, dtype="float64") * 1j).dtype == gl.complex128
    assert (gl.ones(2, dtype="float16") * 1j).dtype == (gl.ones(2, dtype="int32") * 1j).dtype == gl.complex64
    assert gl.where(gl.tensor([True, False]), gl.ones(2, dtype="float64"), 1j).dtype == gl.complex128


def test_parts() -> None:
    z = gl.tensor(Z)
    assert_close(z.real, Z.real)
    assert_close(gl.imag(z), Z.imag)
    assert_close(z.conj(), Z.conj())
    assert_close(gl.angle(z), np.angle(Z))
    assert_close(gl.sign(z), Z / abs(Z))
    assert_close(gl.complex(z.real, z.imag), Z)
    assert gl.abs(z).dtype == gl.float64
    x = gl.tensor([1.0, -2.0])
    assert gl.real(x) is x
    assert gl.conj(x) is x
    assert gl.imag(x).tolist() == [0.0, 0.0]
    assert complex(gl.tensor(1 + 2j)) == 1 + 2j
    for convert in (float, int):
        with pytest.raises(TypeError, match=r"gl.real\(x\)"):
            convert(gl.tensor(1j))
    infinite = gl.complex(gl.tensor(0.0), gl.tensor(float("inf")))
    assert infinite.real.item() == 0.0  # not the NaN of a product with i


def test_functions_against_numpy() -> None:
    names = {n: n for n in ("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "square", "reciprocal")}
    for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh"):
        names |= {n: n, f"a{n}": f"arc{n}"}
    names["round"] = "rint"
    for mine, theirs in names.items():
        for dtype in (np.complex64, np.complex128):
            z = Z.astype(dtype)
            result = getattr(gl, mine)(gl.tensor(z))
            assert result.dtype == dtype
            assert_close(result, getattr(np, theirs)(z.astype(np.complex128)), what=mine)
    assert_close(gl.tensor(Z) @ gl.tensor(Z.T), Z @ Z.T)
    assert_close(gl.tensor(Z) ** gl.tensor(Z[0]), Z ** Z[0])
    for name in ("sum", "mean", "prod"):
        assert_close(getattr(gl, name)(gl.tensor(Z), axis=0), getattr(Z, name)(axis=0))
    assert_close(gl.cumsum(gl.tensor(Z), axis=1), Z.cumsum(1))


def test_what_has_no_meaning_is_refused() -> None:
    z = gl.tensor(Z)
    for refused in (
        lambda: z < z,
        lambda: gl.maximum(z, z),
        lambda: gl.max(z),
        lambda: gl.sort(z),
        lambda: gl.argmax(z, axis=0),
        lambda: gl.floor(z),
        lambda: z // z,
        lambda: gl.softmax(z),
        lambda: gl.erf(z),
        lambda: gl.relu(z),
        lambda: gl.clip(z, 0.0, 1.0),
        lambda: gl.atan2(z, z),
        lambda: z.to("float32"),
        lambda: gl.var(z),
        lambda: gl.ones(2).assign(gl.ones(2, dtype="complex64")),
        lambda: gl.nn.functional.dense(z, gl.tensor(Z.T)),
    ):
        with warnings.catch_warnings(), pytest.raises(gl.DTypeError, match=r"complex"):
            refused()
    assert z.to("bool").all().item()


def test_long_sums_keep_their_digits() -> None:
    """Down a column NumPy adds row after row, which loses three digits of complex64."""
    z = (RNG.random((100_000, 2)) + 1j * RNG.random((100_000, 2))).astype(np.complex64)
    assert_close(gl.sum(gl.tensor(z), axis=0), z.astype(np.complex128).sum(0))


def test_a_real_operand_gets_a_real_gradient() -> None:
    x = gl.tensor([1.0, 2.0], requires_grad=True)
    z = gl.tensor([3 + 4j, 1j], requires_grad=True)
    gl.sum(gl.real(x * z)).backward()
    assert x.grad.dtype == gl.float32
    assert x.grad.tolist() == [3.0, 0.0]
    assert z.grad.tolist() == [1.0, 2.0]
    gradcheck(lambda x, z: gl.matmul(gl.exp(x) * z, z), RNG.standard_normal((3, 4)), Z[0])


def test_gradcheck_takes_complex_functions_that_are_not_holomorphic() -> None:
    gradcheck(lambda z: gl.abs(z) * gl.conj(z) + gl.real(z) * gl.sign(z) + gl.imag(z) * gl.angle(z), Z)

    @gl.leaf("wrong_conj", infer=lambda z: z, vjp=(lambda g, ans, z: g,), complex=True)
    def wrong(xp, z):  # type: ignore[no-untyped-def]
        return xp.conj(z)

    with pytest.raises(AssertionError, match=r"entry \(0, 0\).*by finite differences"):
        gradcheck(wrong, Z[:1, :1])


def test_a_users_op_says_whether_it_takes_complex_numbers() -> None:
    @gl.fused("twice_real_only", infer=lambda x: x)
    def twice(x):  # type: ignore[no-untyped-def]
        return x + x

    with pytest.raises(gl.DTypeError, match=r"twice_real_only\(x\): not defined for complex128"):
        twice(gl.tensor(Z))


def test_on_sim(sim: str) -> None:
    z = gl.tensor(Z, device=sim, requires_grad=True)
    loss = gl.sum(gl.abs(gl.exp(z) @ gl.matrix_transpose(z)[:, ::2] + z[:, [0, 0]]))
    assert loss.device == sim
    loss.backward()
    here = gl.tensor(Z, requires_grad=True)
    gl.sum(gl.abs(gl.exp(here) @ gl.matrix_transpose(here)[:, ::2] + here[:, [0, 0]])).backward()
    assert_close(z.grad, here.grad)
