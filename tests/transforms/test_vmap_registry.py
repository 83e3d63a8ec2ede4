"""`vmap` of every declared op, on its own samples, against a loop over examples."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import PRIMITIVES, Primitive
from gradlib.core.node import collect
from gradlib.spec import is_floating
from gradlib.testing.check_op import draw
from gradlib.transforms.batch_rules import loops

NAMES = sorted(n for n, p in PRIMITIVES.items() if p.module.startswith("gradlib.") and p.samples is not None)
SIZE = 3

# Leaf ops that run example by example under vmap.  A new op without a rule shows up here.
LOOPS: list[str] = []


def test_the_list_of_ops_that_loop() -> None:
    assert loops() == LOOPS


def outputs(result: object) -> list[np.ndarray]:
    return [y.numpy() if isinstance(y, gl.Tensor) else y for y in (result if isinstance(result, tuple) else (result,))]


def patterns(count: int) -> list[tuple[bool, ...]]:
    """All inputs batched, and each alone."""
    each = [tuple(i == k for i in range(count)) for k in range(count)]
    return [(True,) * count, *(each if count > 1 else [])]


def cases(prim: Primitive, number: int, sample: object) -> list[tuple[list, tuple[bool, ...]]]:
    draws = [draw(sample, np.dtype("float64"), zlib.crc32(prim.name.encode()) + number + k) for k in range(SIZE)]
    present = [i for i, a in enumerate(draws[0]) if a is not None]
    found = []
    for pattern in patterns(len(present)):
        over = [False] * len(draws[0])
        for i, on in zip(present, pattern, strict=True):
            over[i] = on
        found.append((draws, tuple(over)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_against_a_loop(name: str) -> None:
    prim = PRIMITIVES[name]
    for number, sample in enumerate(prim.samples()):
        for draws, over in cases(prim, number, sample):
            fixed = draws[0]
            batch = [np.stack([d[i] for d in draws]) if o else fixed[i] for i, o in enumerate(over)]
            expected = [
                outputs(prim(*[d[i] if o else fixed[i] for i, o in enumerate(over)], **sample.params)) for d in draws
            ]
            f = gl.vmap(lambda *xs, p=sample.params: prim(*xs, **p), in_axes=tuple(0 if o else None for o in over))
            got = outputs(f(*batch))
            for k, y in enumerate(got):
                e = np.stack([row[k] for row in expected])
                assert y.shape == e.shape, (name, number, over)
                assert y.dtype == e.dtype, (name, number, over)
                np.testing.assert_allclose(y, e, rtol=1e-11, atol=1e-11, err_msg=f"{name} {number} {over}")


@pytest.mark.parametrize("name", [n for n in NAMES if PRIMITIVES[n].differentiable])
def test_per_example_gradients(name: str) -> None:
    """vmap of the gradient, and the gradient through vmap, against a loop of gradients."""
    prim = PRIMITIVES[name]
    for number, sample in enumerate(prim.samples()):
        draws, _ = cases(prim, number, sample)[0]
        wanted = [i for i, a in enumerate(draws[0]) if a is not None and is_floating(a.dtype)]

        def loss(*xs: object, wanted: list[int] = wanted, draws: list = draws, sample: object = sample) -> object:
            full = list(draws[0])
            for i, x in zip([i for i, a in enumerate(full) if a is not None], xs, strict=True):
                full[i] = x
            ys = prim(*full, **sample.params)
            ys = [y for y in (ys if isinstance(ys, tuple) else (ys,)) if is_floating(y.dtype)]
            return sum((gl.sum(gl.multiply(y, gl.cos(y))) for y in ys[1:]), gl.sum(gl.multiply(ys[0], gl.cos(ys[0]))))

        present = [i for i, a in enumerate(draws[0]) if a is not None]
        argnums = tuple(present.index(i) for i in wanted)
        first = outputs(prim(*draws[0], **sample.params))
        if not argnums or not any(is_floating(y.dtype) for y in first):
            continue
        g = gl.grad(loss, argnums=argnums)
        expected = [g(*[d[i] for i in present]) for d in draws]
        batch = [np.stack([d[i] for d in draws]) for i in present]
        inside = gl.vmap(g)(*batch)
        through = gl.grad(lambda *xs, loss=loss: gl.sum(gl.vmap(loss)(*xs)), argnums=argnums)(*batch)
        for k in range(len(argnums)):
            e = np.stack([row[k] for row in expected])
            room = 1e-10 if e.dtype == np.float64 else 4e-7  # some samples have a dtype of their own
            np.testing.assert_allclose(inside[k], e, rtol=room, atol=room, err_msg=f"{name} {number}")
            np.testing.assert_allclose(through[k], e, rtol=room, atol=room, err_msg=f"{name} {number}")


@pytest.mark.parametrize("name", [n for n in NAMES if PRIMITIVES[n].differentiable])
def test_nodes_do_not_depend_on_the_batch(name: str) -> None:
    """The tape around vmap, for every op and every choice of what is batched."""
    prim = PRIMITIVES[name]
    for number, sample in enumerate(prim.samples()):
        for draws, over in cases(prim, number, sample):
            counts = set()
            for size in (2, SIZE):
                batch = [np.stack([d[i] for d in draws[:size]]) if o else draws[0][i] for i, o in enumerate(over)]
                tensors = [
                    None if a is None else gl.tensor(a, requires_grad=is_floating(a.dtype) and a.size > 0)
                    for a in batch
                ]
                f = gl.vmap(lambda *xs, p=sample.params: prim(*xs, **p), in_axes=tuple(0 if o else None for o in over))
                ys = f(*tensors)
                ys = ys if isinstance(ys, tuple) else (ys,)
                counts.add(len(collect([y.node for y in ys if y is not None and y.node is not None])))
            assert len(counts) == 1, (number, over, counts)
