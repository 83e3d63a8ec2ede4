"""Products of vectors and matrices against NumPy, and einsum against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(5)


def normal(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [RNG.standard_normal(s) for s in shapes]


CASES: dict[str, tuple[Any, Any, list[tuple[int, ...]]]] = {
    "tensordot": (gl.tensordot, np.tensordot, [(2, 3, 4), (3, 4, 5)]),
    "tensordot 0": (lambda a, b: gl.tensordot(a, b, axes=0), lambda a, b: np.tensordot(a, b, 0), [(2, 3), (4,)]),
    "tensordot 1": (lambda a, b: gl.tensordot(a, b, axes=1), lambda a, b: np.tensordot(a, b, 1), [(2, 3), (3,)]),
    "tensordot pairs": (
        lambda a, b: gl.tensordot(a, b, axes=((-1, 0), (1, 3))),
        lambda a, b: np.tensordot(a, b, ((2, 0), (1, 3))),
        [(2, 3, 4), (5, 4, 6, 2)],
    ),
    "tensordot scalars": (lambda a, b: gl.tensordot(a, b, axes=0), lambda a, b: np.tensordot(a, b, 0), [(), ()]),
    "tensordot nothing": (gl.tensordot, np.tensordot, [(2, 3, 0), (3, 0, 5)]),
    "vecdot": (gl.vecdot, np.linalg.vecdot, [(5, 3), (5, 3)]),
    "vecdot broadcast": (gl.vecdot, np.linalg.vecdot, [(2, 1, 3), (5, 3)]),
    "vecdot axis": (
        lambda a, b: gl.vecdot(a, b, axis=-2),
        lambda a, b: np.linalg.vecdot(a, b, axis=-2),
        [(2, 3, 4), (3, 4)],
    ),
    "outer": (gl.linalg.outer, np.outer, [(3,), (4,)]),
    "cross": (gl.linalg.cross, np.cross, [(2, 3), (2, 3)]),
    "cross broadcast": (gl.linalg.cross, np.cross, [(4, 1, 3), (2, 3)]),
    "cross axis": (
        lambda a, b: gl.linalg.cross(a, b, axis=0),
        lambda a, b: np.linalg.cross(a, b, axis=0),
        [(3, 2), (3, 2)],
    ),
    "kron": (gl.linalg.kron, np.kron, [(2, 3), (4, 5)]),
    "kron missing axes": (gl.linalg.kron, np.kron, [(3,), (2, 2)]),
    "kron of batches": (gl.linalg.kron, np.kron, [(2, 1, 3), (2, 2)]),
    "trace": (gl.linalg.trace, lambda x: np.trace(x, axis1=-2, axis2=-1), [(2, 4, 3)]),
    "trace offset": (
        lambda x: gl.linalg.trace(x, offset=-2),
        lambda x: np.trace(x, -2, axis1=-2, axis2=-1),
        [(2, 4, 3)],
    ),
    "diagonal": (gl.linalg.diagonal, lambda x: np.diagonal(x, 0, -2, -1), [(2, 4, 3)]),
    "diag of a vector": (lambda x: gl.diag(x, -1), lambda x: np.diag(x, -1), [(3,)]),
    "diag of a matrix": (lambda x: gl.diag(x, 1), lambda x: np.diag(x, 1), [(3, 4)]),
    "multi_dot": (lambda *x: gl.linalg.multi_dot(x), lambda *x: np.linalg.multi_dot(x), [(3, 9), (9, 2), (2, 5)]),
    "multi_dot vectors": (
        lambda *x: gl.linalg.multi_dot(x),
        lambda *x: np.linalg.multi_dot(x),
        [(3,), (3, 9), (9, 2), (2,)],
    ),
    "multi_dot two": (lambda *x: gl.linalg.multi_dot(x), lambda *x: np.linalg.multi_dot(x), [(3, 4), (4, 2)]),
    **{
        f"matrix_power {n}": (
            lambda x, n=n: gl.linalg.matrix_power(x, n),
            lambda x, n=n: np.linalg.matrix_power(x, n),
            [(2, 3, 3)],
        )
        for n in (-2, -1, 0, 1, 2, 3, 7)
    },
}


@pytest.mark.parametrize("name", CASES)
def test_against_numpy(name: str) -> None:
    ours, theirs, shapes = CASES[name]
    args = normal(*shapes)
    got, expected = ours(*args), theirs(*args)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    gl.testing.gradcheck(ours, *args)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64"])
def test_integers_keep_their_dtype(dtype: str) -> None:
    a, b = (RNG.integers(0, 50, (3, 3)).astype(dtype) for _ in range(2))
    for ours, theirs in (
        (gl.vecdot, np.linalg.vecdot),
        (lambda a, b: gl.tensordot(a, b, axes=1), lambda a, b: np.tensordot(a, b, 1)),
        (gl.linalg.cross, np.linalg.cross),
        (gl.linalg.kron, np.kron),
        (lambda a, b: gl.einsum("ij,jk->k", a, b), lambda a, b: np.einsum("ij,jk->k", a, b)),
        (lambda a, b: gl.linalg.matrix_power(a, 3), lambda a, b: np.linalg.matrix_power(a, 3)),
    ):
        got, expected = ours(a, b), theirs(a, b)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    assert gl.linalg.trace(a).dtype == (np.uint64 if dtype[0] == "u" else np.int64)


def test_multi_dot_takes_the_cheap_order() -> None:
    from gradlib.ops.linalg.powers import _splits

    assert _splits([10, 100, 5, 50]) == {(0, 1): 0, (1, 2): 1, (0, 2): 1}
    assert _splits([50, 5, 100, 10])[0, 2] == 0


EINSUMS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij->ji", [(2, 3)]),
    ("ba", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("iij->j", [(3, 3, 2)]),
    ("ijij->ij", [(2, 3, 2, 3)]),
    ("iii", [(3, 3, 3)]),
    ("ij,ij->", [(2, 3), (2, 3)]),
    ("i,j->ij", [(2,), (3,)]),
    ("i,i->i", [(3,), (3,)]),
    (",->", [(), ()]),
    ("i,->i", [(3,), ()]),
    ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
    ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("ib,bj->bji", [(2, 5), (5, 3)]),
    ("...ij,...jk->...ik", [(5, 1, 2, 3), (4, 3, 2)]),
    ("...i,i", [(2, 4, 3), (3,)]),
    ("i...,i...", [(3, 2, 4), (3, 4)]),
    ("...->...", [(2, 3)]),
    ("...ii->...i", [(2, 3, 3)]),
    ("a...b->b...a", [(2, 3, 4, 5)]),
    ("...i->...", [(2, 3)]),
    ("i...->", [(3,)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("ij,jk,kl,lm->im", [(2, 9), (9, 3), (3, 7), (7, 2)]),
    ("i,j,k->kji", [(2,), (3,), (4,)]),
    ("abc,bd,cd->a", [(2, 3, 4), (3, 5), (4, 5)]),
    ("ij,ik,il->jkl", [(4, 2), (4, 3), (4, 2)]),
    ("ij,j,ji->i", [(2, 3), (3,), (3, 2)]),
    ("ij,kj->ik", [(2, 1), (4, 3)]),
    ("i,i", [(1,), (3,)]),
    ("ij,jk->ik", [(0, 3), (3, 2)]),
    ("ij,jk->ik", [(2, 0), (0, 2)]),
    ("Ij , jK -> K I", [(2, 3), (3, 4)]),
    ("ij,kl->", [(2, 3), (4, 5)]),
]


@pytest.mark.parametrize(("subscripts", "shapes"), EINSUMS)
def test_einsum(subscripts: str, shapes: list[tuple[int, ...]]) -> None:
    args = normal(*shapes)
    got, expected = gl.einsum(subscripts, *args), np.einsum(subscripts, *args)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    gl.testing.gradcheck(lambda *xs: gl.einsum(subscripts, *xs), *args)


def test_einsum_under_vmap_and_twice() -> None:
    a, b = normal((4, 2, 3), (3, 5))
    got = gl.vmap(lambda a: gl.einsum("ij,jk->ki", a, b))(a)
    np.testing.assert_allclose(got, np.einsum("aij,jk->aki", a, b), rtol=1e-12)
    h = gl.hessian(lambda a: gl.einsum("ij,jk,ik->", a, b, a @ b))(a[0])
    expected = 2 * np.einsum("ip,jk,qk->ijpq", np.eye(2), b, b)
    np.testing.assert_allclose(h, expected, rtol=1e-12, atol=1e-12)


def test_einsum_on_sim(sim: str) -> None:
    a, b = normal((2, 3), (3, 4))
    y = gl.einsum("ij,jk->ki", gl.tensor(a, device=sim), gl.tensor(b, device=sim))
    assert y.device == sim
    np.testing.assert_allclose(y.numpy(), (a @ b).T, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_einsum_is_rounded_once(dtype: str) -> None:
    xs = [gl.tensor(x, dtype=dtype) for x in normal((3, 9), (9, 4), (4,))]
    got = gl.einsum("ij,jk,k->i", *xs)
    assert got.tolist() == gl.einsum("ij,jk,k->i", *[x.to("float32") for x in xs]).to(dtype).tolist()


@pytest.mark.parametrize(
    ("subscripts", "shapes", "text"),
    [
        ("ij,jk->ik", [(2, 3), (4, 5)], r"'j' has sizes \[3, 4\]"),
        ("ij->i", [(2, 3, 4)], r"'ij' has 2 letters, operand 0 has 3 axes"),
        ("ij,jk", [(2, 3)], "2 terms and 1 operands"),
        ("ij->k", [(2, 3)], "the output is 'k'"),
        ("ij->ii", [(2, 3)], "the output is 'ii'"),
        ("ii->i", [(2, 3)], "axes 0 and 1 of one operand are both 'i'"),
        ("i1->i", [(2, 3)], "letter"),
    ],
)
def test_einsum_errors(subscripts: str, shapes: list[tuple[int, ...]], text: str) -> None:
    with pytest.raises(gl.ShapeError, match=text):
        gl.einsum(subscripts, *normal(*shapes))
    with pytest.raises(gl.DTypeError, match="operand 0 is of type list"):
        gl.einsum("i->i", [1.0])


def test_the_public_functions_under_vmap() -> None:
    """Each of `CASES` for three examples at once, and with the first operand alone mapped."""
    for name, (ours, _, shapes) in CASES.items():
        args = [np.stack(each) for each in zip(*[normal(*shapes) for _ in range(3)], strict=True)]
        expected = np.stack([ours(*map(np.asarray, each)) for each in zip(*args, strict=True)])
        np.testing.assert_allclose(gl.vmap(ours)(*args), expected, rtol=1e-10, atol=1e-12, err_msg=name)
        if len(args) > 1:
            rest = [np.asarray(a[0]) for a in args[1:]]
            expected = np.stack([ours(np.asarray(each), *rest) for each in args[0]])
            axes = (0, *[None] * len(rest))
            got = gl.vmap(ours, in_axes=axes)(args[0], *rest)
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12, err_msg=name)
