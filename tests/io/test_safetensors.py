"""Weights in safetensors files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import gradlib as gl
from gradlib.spec import DTYPES

SAVED = [dtype for dtype in DTYPES if dtype != "complex128"]  # which the format has not


@pytest.mark.parametrize("dtype", SAVED)
def test_every_dtype_and_shape_round_trips(tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(0)
    state = {str(shape): gl.tensor(rng.integers(0, 2, shape), dtype=dtype) for shape in ((), (0, 3), (1,), (5, 7, 2))}
    gl.io.save(tmp_path / "x.safetensors", state)
    loaded = gl.io.load(tmp_path / "x.safetensors")
    assert loaded.keys() == state.keys()
    for name, value in loaded.items():
        assert value.dtype.name == dtype
        np.testing.assert_array_equal(value.numpy(), state[name].numpy())


def test_a_model_round_trips_through_every_layer_kind(tmp_path: Path) -> None:
    def net(seed: int) -> gl.nn.Sequential:
        gl.manual_seed(seed)
        return gl.nn.Sequential(gl.nn.Conv2d(1, 3, 3), gl.nn.BatchNorm2d(3), gl.nn.Flatten(), gl.nn.Dense(12, 2))

    first, second = net(0), net(1)
    x = gl.tensor(np.random.default_rng(0).standard_normal((2, 4, 4, 1)).astype(np.float32))
    first(x)  # moves the running statistics
    gl.io.save(tmp_path / "net.safetensors", first.state_dict())
    second.load_state_dict(gl.io.load(tmp_path / "net.safetensors"))
    np.testing.assert_array_equal(first.eval()(x).numpy(), second.eval()(x).numpy())


def test_other_libraries_read_and_write_the_same_files(tmp_path: Path) -> None:
    numpy_files = pytest.importorskip("safetensors.numpy")
    values = {"a": np.arange(6.0, dtype=np.float32).reshape(2, 3), "b": np.array([1, 2])}
    numpy_files.save_file(values, tmp_path / "theirs.safetensors")
    for name, value in gl.io.load(tmp_path / "theirs.safetensors").items():
        np.testing.assert_array_equal(value.numpy(), values[name])
    transposed = np.arange(6.0).reshape(2, 3).T  # not contiguous
    gl.io.save(tmp_path / "ours.safetensors", {"t": transposed, **values}, {"made": "by a test"})
    np.testing.assert_array_equal(numpy_files.load_file(tmp_path / "ours.safetensors")["t"], transposed)


def test_from_and_to_sim(tmp_path: Path, sim: str) -> None:
    gl.io.save(tmp_path / "x.safetensors", {"x": gl.tensor([1.0, 2.0], device=sim)})
    assert gl.io.load(tmp_path / "x.safetensors", device=sim)["x"].device == sim
    assert gl.io.load(tmp_path / "x.safetensors")["x"].tolist() == [1.0, 2.0]


def test_loaded_tensors_can_be_assigned(tmp_path: Path) -> None:
    gl.io.save(tmp_path / "x.safetensors", {"x": gl.tensor([1.0, 2.0])})
    x = gl.io.load(tmp_path / "x.safetensors")["x"]
    x.assign(np.zeros(2, np.float32))
    assert x.tolist() == [0.0, 0.0]


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    gl.io.save(path, {"x": gl.tensor(np.ones(1000))})
    content = path.read_bytes()
    for damaged in (b"", b"no weights at all", content[:-1], content[:20], b"\xff" * 8 + content[8:]):
        path.write_bytes(damaged)
        with pytest.raises(gl.CheckpointError, match="not a complete safetensors file"):
            gl.io.load(path)
    with pytest.raises(FileNotFoundError):
        gl.io.load(tmp_path / "nothing.safetensors")


def test_a_model_is_saved_by_its_state(tmp_path: Path) -> None:
    with pytest.raises(gl.DTypeError, match=r"state is of type Dense(.|\n)*model.state_dict\(\)"):
        gl.io.save(tmp_path / "m.safetensors", gl.nn.Dense(2, 2))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    gl.io.save(path, {"x": gl.tensor([1.0])})
    with pytest.raises(gl.DTypeError, match="'y' is of type list"):
        gl.io.save(path, {"x": gl.tensor([2.0]), "y": [1.0]})
    with pytest.raises(gl.DTypeError, match=r"'z' is complex128(.|\n)*need complex64"):
        gl.io.save(path, {"x": gl.tensor([2.0]), "z": np.zeros(2, np.complex128)})
    with pytest.raises(OSError, match="missing"):
        gl.io.save(tmp_path / "missing" / "x.safetensors", {"x": gl.tensor([1.0])})
    assert gl.io.load(path)["x"].tolist() == [1.0]
    assert os.listdir(tmp_path) == ["x.safetensors"]
