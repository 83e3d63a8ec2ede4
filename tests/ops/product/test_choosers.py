"""Every configuration that a chooser can name is one that can be launched, and was compiled in the tests."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlib.backend import Limits
from gradlib.kernel import load, variants
from gradlib.ops.product import AFTER, BEFORE, Problem, Steps, choose_mma, choose_scaled, choose_sm90
from gradlib.ops.product.choice import Question, rounded
from gradlib.ops.product.mma import config_macros as mma_macros
from gradlib.ops.product.sm90 import config_macros as sm90_macros
from gradlib.testing import run_kernel

SIZES = st.one_of(st.integers(1, 300), st.integers(1, 20_000), st.sampled_from([64, 128, 768, 4096, 50_304, 3_211_264]))
STEPS = st.sampled_from(
    [
        Steps(),
        Steps(bias=True, activation="gelu", save=True),
        Steps(slope="gelu", sums=True),
        Steps(scale=True, bias=True, activation="relu", residual=True),
        Steps(sums=True),
        Steps(scale=True, bias=True, activation="silu", residual=BEFORE, save=True),
        Steps(bias=True, activation="gelu", dropout=True, residual=AFTER),
        Steps(slope="gelu", dropout=True, sums=True),
    ]
)
DTYPES = st.sampled_from([(1, 2), (1, 4), (3, 4), (6, 4)])  # passes and itemsize: 16-bit, to float32, float32 in planes
MULTIPROCESSORS = st.sampled_from([4, 46, 66, 78, 108, 114, 132, 148])
SHARED_FROM_80_ON = 101_376  # bytes of a block where there is least: sm_86, sm_89, sm_120


@st.composite
def problems(draw: Any) -> Problem:
    passes, itemsize = draw(DTYPES)
    products = draw(st.one_of(st.just(1), st.integers(1, 64)))
    return Problem(
        draw(SIZES), draw(SIZES), draw(SIZES), products, passes, itemsize, draw(st.booleans()), draw(st.booleans()),
        draw(STEPS),
    )  # fmt: skip


PARTS = r"""
#include "gradlib/schedule.cuh"
extern "C" __global__ void parts(const int* splits, int* parts, int count, int slabs, int most) {
  for (int i = 0; i < count; ++i) {
    for (int index = 0; index < splits[i]; ++index) {
      const schedule::Part part = schedule::part(slabs, splits[i], index);
      parts[2 * (i * most + index)] = part.begin;
      parts[2 * (i * most + index) + 1] = part.end;
    }
  }
}
"""


def cover_k_once(problem: Problem, found: list[Any], tile: int) -> None:
    """Hold the kernels' parts of k, in slabs, to be neighbours, none of them empty, from the first slab to the last."""
    slabs, splits = -(-problem.k // tile), np.array(sorted({c.splits for c in found}), np.int32)
    most = int(splits[-1])
    seen = np.zeros((len(splits), most, 2), np.int32)
    run_kernel(PARTS, "parts", 1, 1, [splits, seen, len(splits), slabs, most], check=False)
    for count, parts in zip(splits, seen, strict=True):
        begin, end = parts[:count].T
        assert (begin < end).all()
        np.testing.assert_array_equal(begin, [0, *end[:-1]])
        assert end[-1] == slabs


@settings(max_examples=200, deadline=None)
@given(problems(), MULTIPROCESSORS)
def test_sm90(problem: Problem, multiprocessors: int) -> None:
    found = choose_sm90.candidates(problem, multiprocessors)
    assert choose_sm90.choose(problem, multiprocessors) in found
    assert len(set(found)) == len(found)
    for c in found:
        shared = {
            choose_sm90.shared_bytes(c, direct=direct, **_totals(problem))
            for direct in ({True} if problem.itemsize != 2 or c.splits > 1 else {True, False})
        }
        assert max(shared) <= choose_sm90.SHARED
        assert 2 <= c.stages <= 8
        assert c.bm % 64 == c.bn % 64 == 0
        assert c.rows * (2 - c.pingpong) == c.bm
        assert c.rows % 64 == 0
        assert c.bm <= 256  # rows of a bulk copy
        assert c.bn <= 256  # columns of a wgmma
        assert c.bn % c.cluster == 0
        assert c.bn // c.cluster % 8 == 0  # each block of a cluster copies its share of B
        registers = c.rows // 64 * c.bn // 2 * (2 if problem.passes > 1 else 1)
        assert registers <= 128  # accumulators of a thread, of its 232 to 240 registers
        if c.rows == 128 and registers == 128 and c.splits == 1:  # what was seen to spill there
            s = problem.steps
            assert not s.dropout
            assert [s.save, s.residual > 0, s.totals > 0].count(True) <= 1
        assert 1 <= c.cluster <= multiprocessors
        assert c.group >= 1
        assert c.splits == 1 or not problem.steps.totals
    cover_k_once(problem, found, choose_sm90.TILE_K)


@settings(max_examples=50, deadline=None)
@given(problems(), MULTIPROCESSORS)
def test_scaled(problem: Problem, multiprocessors: int) -> None:
    """Of 8-bit floats: what fits in 16 bits, and leaves as many registers again."""
    problem = problem._replace(passes=1, products=1, a_transposed=False, b_transposed=True)
    found = choose_scaled.candidates(problem, multiprocessors)
    assert choose_scaled.choose(problem, multiprocessors) in found
    assert set(found) <= set(choose_sm90.candidates(problem, multiprocessors))
    assert all(c.rows // 64 * c.bn <= 128 for c in found)
    assert {(c.bm, c.bn, c.cluster, c.pingpong) for c in found} == {
        (c.bm, c.bn, c.cluster, c.pingpong) for c in choose_scaled.CANDIDATES
    }


@settings(max_examples=200, deadline=None)
@given(problems(), MULTIPROCESSORS)
def test_mma(problem: Problem, multiprocessors: int) -> None:
    found = choose_mma.candidates(problem, multiprocessors)
    assert choose_mma.choose(problem, multiprocessors) in found
    assert len(set(found)) == len(found)
    transposed = {"a_transposed": problem.a_transposed, "b_transposed": problem.b_transposed}
    for c in found:
        assert choose_mma.shared_bytes(c, **transposed) <= SHARED_FROM_80_ON
        assert c.bm % c.wm == c.bn % c.wn == 0
        assert c.wm % 16 == c.wn % 16 == 0
        assert c.threads in (128, 256)
        sums = c.wm * c.wn // 32 * (2 if problem.passes > 1 else 1)
        assert sums <= 64  # of a thread
        assert c.splits == 1 or not problem.steps.totals
    cover_k_once(problem, found, choose_mma.TILE_K)


@pytest.mark.parametrize("family", [choose_sm90, choose_mma])
@settings(max_examples=100, deadline=None)
@given(problems(), MULTIPROCESSORS)
def test_of_so_many_splits(family: Any, problem: Problem, multiprocessors: int) -> None:
    """Convolutions forward do not split their sum: the choice is the best of those candidates that do not."""
    whole = family.candidates(problem, multiprocessors, 1)
    assert whole == [c for c in family.candidates(problem, multiprocessors) if c.splits == 1]
    assert family.choose(problem, multiprocessors, 1) in whole


@settings(max_examples=50, deadline=None)
@given(problems(), MULTIPROCESSORS)
def test_the_first_candidate_of_a_question_is_the_choice(problem: Problem, multiprocessors: int) -> None:
    limits = Limits(multiprocessors=multiprocessors)
    for family in (choose_sm90, choose_mma, choose_scaled):
        question = Question(family, "x.cu", problem, limits)
        assert question.candidates[0] == family.choose(problem, multiprocessors)


@given(st.integers(1, 2**31))
def test_rounded_is_within_an_eighth(n: int) -> None:
    assert abs(rounded(n) - n) <= n / 8
    assert rounded(rounded(n)) == rounded(n)


FILES = ["product", "conv", "conv_weights", "grouped", "grouped_weights"]


@pytest.mark.parametrize(
    ("file", "family", "macros", "passes"),
    [
        *itertools.product(FILES, [choose_sm90], [sm90_macros], [1, 6]),
        *itertools.product(FILES, [choose_mma], [mma_macros], [1, 6]),
        ("scaled", choose_scaled, sm90_macros, 1),
    ],
)
def test_every_tile_is_among_the_compiled_variants(file: str, family: Any, macros: Any, passes: int) -> None:
    """Those are compiled without spills for every architecture.  (The stages, a loop's bound, change no register.)"""
    source = load(f"{file}_{'mma' if family is choose_mma else 'sm90'}.cu")
    tile = [name for name in macros(family.CANDIDATES[0]) if name != "STAGES"]

    def of(given: Any) -> tuple[str, ...]:
        return tuple(f"{name}={int(given.get(name, source.options.get(name)))}" for name in tile)

    compiled = {of(v) for v in variants(source) if int(v.get("PASSES", 1)) == passes}
    itemsize = 2 if passes == 1 and file != "conv_weights" else 4
    problem = Problem(4096, 4096, 4096, 1, passes, itemsize, a_transposed="weights" in file)
    used = {of(macros(c)) for c in family.candidates(problem, 132)}
    assert used - compiled == set()
    if family is choose_scaled:  # and the parts of a sum that is split, which are float32
        assert used - {of(v) for v in variants(source) if v.get("T") == "float"} == set()


def _totals(problem: Problem) -> dict[str, Any]:
    """The argument of `shared_bytes` for what is added up of the columns."""
    return {"totals": problem.steps.totals}
