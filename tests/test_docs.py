"""The page on one's own op runs as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gradlib as gl
from gradlib.core import PRIMITIVES

FOLDER = Path(__file__).resolve().parents[1] / "examples"


def run(page: str) -> dict[str, object]:
    names: dict[str, object] = {"__name__": "docs"}
    before = dict(PRIMITIVES)
    try:
        for block in re.findall(r"```python\n(.*?)```", (FOLDER / page).read_text(), re.S):
            exec(compile(block, page, "exec"), names)
    finally:
        for extra in PRIMITIVES.keys() - before.keys():  # the ops of a page are not the library's
            del PRIMITIVES[extra]
    return names


def test_your_own_op(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("your_own_op.md")
    assert capsys.readouterr().out.splitlines() == [
        "tensor([-0.5 ,  0.5 ,  0.75], dtype=float32)",
        "tensor([0.25  , 0.25  , 0.0625], dtype=float32)",
        "tensor([ 0.25   , -0.25   , -0.03125], dtype=float32)",
    ]
    x = gl.tensor([8.0, 27.0], dtype="float64")
    assert gl.vmap(gl.grad(names["cube_root"]))(x).tolist() == pytest.approx([1 / 12, 1 / 27])  # type: ignore[arg-type]
