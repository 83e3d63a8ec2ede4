"""The README does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import gradlib as gl

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_code_runs(capsys: pytest.CaptureFixture[str], sim: str) -> None:
    names: dict[str, object] = {
        name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        for name, shape in (("images", (2, 8, 8, 3)), ("filters", (3, 3, 3, 4)))
    }
    plain = dict(names)
    for block in blocks("python"):
        exec(block.replace("epochs=5", "epochs=1"), names)
    printed = capsys.readouterr().out
    assert "tensor([ 3., 12.], dtype=float32)" in printed
    assert "tensor([ 6., 12.], dtype=float32)" in printed
    assert "race 4 tile" in printed
    assert type(names["y"]) is np.ndarray
    assert names["y"].shape == (2, 4, 4, 4)
    x, w = (gl.tensor(plain[name], requires_grad=True) for name in ("images", "filters"))
    gl.nn.functional.conv2d(x, w, stride=2, padding=1, activation="relu").mean().backward()
    for name, leaf in (("d_images", x), ("d_filters", w)):
        np.testing.assert_allclose(names[name], leaf.grad.numpy(), rtol=1e-5, atol=1e-7)


def test_every_extra_it_names_exists() -> None:
    project = (README.parent / "pyproject.toml").read_text()
    for extra in re.findall(r"'\.\[([\w-]+)\]'", README.read_text()):
        assert re.search(rf"^{extra} = \[", project, flags=re.MULTILINE), extra


def test_every_file_it_names_exists() -> None:
    for path in re.findall(r"`((?:gradlib|kernels|bench|examples|\.github)/[\w./-]*)`", README.read_text()):
        assert (README.parent / path).exists(), path


def test_the_public_names_it_uses_exist() -> None:
    for name in set(re.findall(r"\bgl\.([a-z_]+(?:\.[A-Za-z_0-9]+)*)", README.read_text())):
        value: object = gl
        for part in name.split("."):
            value = getattr(value, part)
