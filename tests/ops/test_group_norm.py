"""Group and instance normalisation: maps of several segments, digits far from zero, what is computed and when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import ShapeError
from gradlib import backend as backends
from gradlib.core import Tensor, op
from gradlib.testing import assert_close, launches


def run(device: str, values: list[Any], g: Any, groups: int) -> list[Any]:
    move = backends.get(device).asarray
    xs = [Tensor(move(v.copy()), requires_grad=True) for v in values]
    y = op.group_norm(*xs, num_groups=groups)
    y.backward(Tensor(move(g)))
    return [y, *[x.grad for x in xs]]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("shape", "groups"), [((2, 3000, 6), 3), ((300, 5, 40), 4), ((1, 4099, 1), 1), ((3, 9, 9, 66), 66), ((2, 7, 64), 1)]
)
def test_maps_of_every_size(shape: tuple[int, ...], groups: int, dtype: str, sim: str) -> None:
    rng = np.random.default_rng(0)
    kind = gl.tensor([0.0], dtype=dtype).dtype
    values = [rng.standard_normal(s).astype(kind) for s in (shape, shape[-1:], shape[-1:])]
    g = rng.standard_normal(shape).astype(kind)
    wanted = run("cpu", [v.astype(np.float64) for v in values], g.astype(np.float64), groups)
    for k, (a, e) in enumerate(zip(run(sim, values, g, groups), wanted, strict=True)):
        assert_close(a, e.numpy(), what=str(k))


def test_variance_far_from_zero_keeps_its_digits(sim: str) -> None:
    x = (1e4 + np.random.default_rng(0).standard_normal((2, 1001, 4))).astype(np.float32)
    exact = x.astype(np.float64).reshape(2, 1001, 2, 2)
    wanted = (exact - exact.mean((1, 3), keepdims=True)) / exact.std((1, 3), keepdims=True)
    for device in ("cpu", sim):
        y = op.group_norm(backends.get(device).asarray(x), num_groups=2, eps=0.0)
        assert np.abs(np.asarray(y) - wanted.reshape(x.shape)).max() < 6e-3  # float32 numbers near 1e4 are 1e-3 apart


def test_only_what_is_needed_is_computed(sim: str) -> None:
    values = [gl.tensor(np.ones(s, np.float32), device=sim) for s in ((2, 3, 4), (4,), (4,))]

    def entries(*needs: bool) -> list[str]:
        x, w, b = (Tensor(t.data, requires_grad=on) for t, on in zip(values, needs, strict=True))
        y = op.group_norm(x, w, b, num_groups=2)
        with launches() as log:
            y.backward(Tensor(y.data))
        return [r.entry.removeprefix("group_norm_") for r in log]

    assert entries(True, False, False) == ["backward_partial", "backward_finish", "backward_apply"]
    assert entries(False, True, False) == ["backward_partial", "weights"]


def test_instance_norm_is_a_group_a_channel(sim: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 3)).astype(np.float32)
    with launches() as log:
        y = gl.nn.functional.instance_norm(backends.get(sim).asarray(x))
    assert [r.entry for r in log] == ["group_norm_partial", "group_norm_finish", "group_norm_apply"]
    wanted = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)


def test_it_is_free_of_faults(sim: str) -> None:
    rng = np.random.default_rng(0)
    with backends.checked():
        for shape, groups in (((2, 300, 6), 3), ((3, 2, 40), 40)):
            values = [rng.standard_normal(s).astype(np.float32) for s in (shape, shape[-1:], shape[-1:])]
            run(sim, values, rng.standard_normal(shape).astype(np.float32), groups)


def test_groups_divide_the_channels() -> None:
    with pytest.raises(ShapeError, match="5 channels do not divide into 2 groups"):
        gl.nn.functional.group_norm(np.ones((2, 5)), 2)
