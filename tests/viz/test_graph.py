"""gl.viz.graph: every op, shape and dtype; files; graphviz where it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import gradlib as gl


def result() -> tuple[gl.Tensor, gl.Tensor, gl.Tensor]:
    x = gl.ones((2, 3), requires_grad=True)
    w = gl.ones((3, 4), dtype="float32", requires_grad=True)
    return gl.mean(gl.tanh(x @ w + gl.ones((4,)))), x, w


def test_text() -> None:
    y, x, w = result()
    lines = gl.viz.graph(y, names={"x": x, "w": w}).splitlines()
    assert [line.split()[0] for line in lines] == ["x", "w", "%0", "%1", "%2", "%3"]
    assert lines[2].split(None, 2) == ["%0", "float32[2,", "4]  matmul(x, w)"]
    assert lines[3].endswith("add(%0, constant float32[4])")
    assert lines[5].endswith("mean(%2, axis=(0, 1), keepdims=False)")
    again = gl.viz.graph(y).splitlines()
    assert again[0].startswith("leaf 0")


def test_freed_and_lines() -> None:
    with gl.debug():
        y, *_ = result()
    assert f"at {__file__}" in gl.viz.graph(y)
    y.backward()
    assert "matmul(leaf 0, leaf 1)" in gl.viz.graph(y)


def test_files(tmp_path: Path) -> None:
    y, *_ = result()
    gl.viz.graph(y, tmp_path / "g.dot")
    source = (tmp_path / "g.dot").read_text()
    assert source.count("->") == 5
    assert 'label="tanh\\nfloat32[2, 4]"' in source
    gl.viz.graph(y, tmp_path / "g.svg")
    drawn = tmp_path / ("g.svg" if shutil.which("dot") else "g.txt")
    assert "tanh" in drawn.read_text()
    with pytest.raises(ValueError, match=r"need .svg or .dot"):
        gl.viz.graph(y, tmp_path / "g.png")
    with pytest.raises(gl.GradientError, match="not the result of a recorded op"):
        gl.viz.graph(gl.ones((2,)))
