"""What a user gets by `pip install` and `import`."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import gradlib as gl
from gradlib.kernel import folder


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages(gl.__path__, "gradlib.") if not m.name.endswith("__main__")]


def test_import_is_light() -> None:
    """Nothing that takes long or may be missing is imported before it is needed."""
    heavy = [
        "cupy",
        "cuda",
        "matplotlib",
        "torch",
        "jax",
        "scipy",
        "tqdm",
        "safetensors",
        "gradlib.bench",
        "gradlib.cli",
    ]
    code = f"import sys, gradlib; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", modules())
def test_every_module_imports_without_a_gpu(name: str) -> None:
    importlib.import_module(name)


def test_every_subpackage_is_reached_from_the_top() -> None:
    for name in ("nn", "optim", "data", "io", "viz", "testing", "train", "bench", "transforms", "ops"):
        assert getattr(gl, name).__name__ == f"gradlib.{name}"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gl.nothing


def test_the_kernels_are_installed_with_the_package() -> None:
    root = folder()
    assert (root / "include" / "gradlib" / "core.cuh").is_file()
    assert (root / "dense.cu").is_file()
    assert list((root / "sim").iterdir())


def test_files_stay_readable() -> None:
    """A file is about one thing and near 300 lines."""
    package = Path(gl.__file__).parent
    long = {p.name: n for p in package.rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert not long
