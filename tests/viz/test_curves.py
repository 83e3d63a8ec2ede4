"""The loss curve is a picture that shows something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradlib as gl


def test_a_png_with_both_curves(tmp_path: Path) -> None:
    from matplotlib.image import imread

    steps = list(np.exp(-np.arange(200) / 50))
    gl.viz.loss_curve(tmp_path / "a.png", steps, {"validation loss": [0.5, 0.2]})
    gl.viz.loss_curve(tmp_path / "b.png", steps)
    with_curve, without = imread(tmp_path / "a.png"), imread(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert with_curve.shape == without.shape
    assert min(with_curve.shape[:2]) > 400
    red = (with_curve[..., 0] > 0.7) & (with_curve[..., 1] < 0.5)
    assert red.sum() > 100
    assert not ((without[..., 0] > 0.7) & (without[..., 1] < 0.5)).any()


def test_losses_that_are_not_positive_are_drawn_too(tmp_path: Path) -> None:
    gl.viz.loss_curve(tmp_path / "a.png", [1.0, 0.0, -1.0])
    gl.viz.loss_curve(tmp_path / "b.png", [1.0])
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(gl.ShapeError, match="no losses"):
        gl.viz.loss_curve(tmp_path / "a.png", [])
    with pytest.raises(OSError, match="No such file"):
        gl.viz.loss_curve(tmp_path / "missing" / "a.png", [1.0])
