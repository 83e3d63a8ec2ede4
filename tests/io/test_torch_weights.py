"""PyTorch's weights: whole networks give PyTorch's stored float64 outputs, and go back to the bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.io import load_torch_weights, save_torch_weights

from . import networks

HERE = Path(__file__).parent
STORED = np.load(HERE.parent / "reference" / "torch_weights.npz")
NETWORKS, CHW = networks.NETWORKS, networks.CHW


def stored(name: str) -> dict[str, np.ndarray]:
    return {key.partition("/")[2]: STORED[key] for key in STORED.files if key.startswith(f"{name}/")}


def inputs(name: str) -> list[gl.Tensor]:
    """PyTorch's images are NCHW, ours NHWC."""
    arrays = [STORED[key] for key in sorted(STORED.files) if key.startswith(f"{name}.x")]
    return [gl.tensor(np.moveaxis(a, 1, -1) if a.ndim == 4 else a) for a in arrays]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_pytorchs(name: str) -> None:
    model = NETWORKS[name]()
    load_torch_weights(model, stored(name), chw=CHW.get(name))
    np.testing.assert_allclose(model.eval()(*inputs(name)).numpy(), STORED[f"{name}.y"], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_back_to_the_bit(name: str, dtype: str, tmp_path: Path) -> None:
    """By a dict and by a file; floats in other dtypes too."""
    state = {
        k: v.astype(gl.tensor(0.0, dtype=dtype).dtype) if v.dtype.kind == "f" else v for k, v in stored(name).items()
    }
    model, chw = NETWORKS[name]().to(dtype=dtype), CHW.get(name)
    load_torch_weights(model, state, chw=chw)
    back = save_torch_weights(model, tmp_path / "model.safetensors", chw=chw)
    assert {k: (v.shape, v.dtype) for k, v in back.items()} == {k: (v.shape, v.dtype) for k, v in state.items()}
    assert all(back[k].tobytes() == v.tobytes() for k, v in state.items())
    other = NETWORKS[name]().to(dtype=dtype)
    load_torch_weights(other, tmp_path / "model.safetensors", chw=chw)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), other.state_dict()[key].numpy(), err_msg=key)


def test_modules_on_another_device(sim: str) -> None:
    model, chw = networks.Cnn().to(device=sim), CHW["Cnn"]
    load_torch_weights(model, stored("Cnn"), chw=chw)
    assert {p.device for p in model.parameters()} == {sim}
    assert all(v.tobytes() == stored("Cnn")[k].tobytes() for k, v in save_torch_weights(model, chw=chw).items())


def test_a_flattened_map_needs_its_shape() -> None:
    model = networks.Cnn()
    with pytest.raises(gl.CheckpointError, match=r"order +fc1.weight: fc1 \(Dense\) reads 36 features.*6 channels"):
        load_torch_weights(model, stored("Cnn"))
    with pytest.raises(gl.CheckpointError, match=r'need chw={"fc1.weight": \(C, H, W\)}'):
        save_torch_weights(model)
    with pytest.raises(gl.CheckpointError, match=r"no axis for a map \(6, 2, 2\)"):
        load_torch_weights(model, stored("Cnn"), chw={"fc1.weight": (6, 2, 2)})
    with pytest.raises(gl.CheckpointError, match=r"fc9\.weight is no entry"):
        load_torch_weights(model, stored("Cnn"), chw={"fc1.weight": (6, 2, 3), "fc9.weight": (1, 2)})
    load_torch_weights(model, stored("Cnn"), chw={"fc1.weight": None})  # "it is no map" is believed
    np.testing.assert_array_equal(model.fc1.weight.numpy(), stored("Cnn")["fc1.weight"].T)


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Dense(16, 2)), ["2.weight"]),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Dense(4, 2), nn.Dense(2, 8)), []),  # a map of 1 x 1
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dense(4, 8)), []),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), nn.Dense(8, 8)), ["3.weight"]),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.GlobalMaxPool(), nn.Dense(4, 8), nn.Dense(8, 16)), []),
        (nn.Sequential(nn.Conv2d(1, 8, 3), nn.PixelShuffle(2), nn.Flatten(), nn.Dense(8, 1)), ["3.weight"]),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.BatchNorm1d(8), nn.Dense(8, 1)),
         ["2.weight", "2.bias", "2.running_mean", "2.running_var", "3.weight"]),
        (nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten(), nn.utils.weight_norm(nn.Dense(8, 1))), ["2.weight_v"]),
        (nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten(), nn.utils.parametrizations.spectral_norm(nn.Dense(8, 1))),
         ["2.parametrizations.weight.original", "2.parametrizations.weight.0._v"]),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.LSTM(12, 5, bidirectional=True)),
         ["1.weight_ih_l0", "1.weight_ih_l0_reverse"]),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.LayerNorm((5, 5, 4))), ["1.weight", "1.bias"]),
        (nn.Sequential(nn.Unfold(2), nn.Dense(12, 4)), ["1.weight"]),
        (nn.Sequential(nn.Dense(3, 16), nn.BatchNorm1d(16), nn.Unflatten(1, (2, 2, 4)), nn.ConvTranspose2d(4, 1, 2)),
         ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]),
        (nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.TransformerEncoderLayer(8, 2, 32)), []),
        (nn.Sequential(nn.Dense(4, 3), nn.Dense(3, 6)), []),
    ],
    ids=lambda v: ", ".join(type(m).__name__ for m in v) if isinstance(v, nn.Module) else None,
)  # fmt: skip
def test_what_is_asked_for(model: nn.Module, asked: list[str]) -> None:
    if not asked:
        save_torch_weights(model)
        return
    with pytest.raises(gl.CheckpointError) as error:
        save_torch_weights(model)
    lines = [line.split()[1].rstrip(":") for line in str(error.value).splitlines() if line.startswith("  order")]
    assert sorted(lines) == sorted(asked)


def test_maps_made_and_normalised() -> None:
    """The columns of a layer whose output becomes a map, a norm behind it, a norm over whole maps."""
    rng = np.random.default_rng(0)
    make = nn.Sequential(nn.Dense(3, 12, dtype="float64"), nn.Unflatten(1, (2, 3, 2)))
    weight, bias, x = rng.standard_normal((12, 3)), rng.standard_normal(12), rng.standard_normal((5, 3))
    chw = dict.fromkeys(("0.weight", "0.bias"), (2, 2, 3))
    load_torch_weights(make, {"0.weight": weight, "0.bias": bias}, chw=chw)
    expected = (x @ weight.T + bias).reshape(5, 2, 2, 3).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(make(gl.tensor(x)).numpy(), expected, rtol=1e-12)
    assert save_torch_weights(make, chw=chw)["0.weight"].tobytes() == weight.tobytes()
    norm, w = nn.LayerNorm((2, 3, 4), bias=False, dtype="float64"), rng.standard_normal((4, 2, 3))
    load_torch_weights(norm, {"weight": w}, chw={"weight": (4, 2, 3)})
    np.testing.assert_array_equal(norm.weight.numpy(), w.transpose(1, 2, 0))


def test_everything_wrong_is_named_at_once() -> None:
    model = nn.Sequential(nn.Dense(3, 4), nn.BatchNorm1d(4))
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    state: dict[str, Any] = {
        "0.weight": np.ones((3, 4)),
        "0.bias": np.ones(4, np.int64),
        "1.weight": [1.0],
        "fc.weight": np.ones(2),
    }
    with pytest.raises(gl.CheckpointError) as error:
        load_torch_weights(model, state)
    text = str(error.value)
    for part in (
        "does not fit Sequential: 8 problems",
        "mismatched  0.weight: float64[3, 4], need float32[4, 3]",
        "mismatched  0.bias: int64[4], the module has float32",
        "mismatched  1.weight is of type list",
        "missing     1.num_batches_tracked: int64[]",
        "missing     1.running_var: float32[4]",
        "unexpected  fc.weight: float64[2]",
        "need PyTorch's names and shapes",
    ):
        assert part in text
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])
    prefixed = {f"module.{k}": v for k, v in save_torch_weights(model).items()}
    with pytest.raises(gl.CheckpointError, match=r"need the names without 'module\.'"):
        load_torch_weights(model, prefixed)
    load_torch_weights(model, {"0.weight": np.ones((4, 3)), "more": np.ones(1)}, strict=False)
    assert (model[0].weight.numpy() == 1).all()


def test_other_states_are_refused(tmp_path: Path) -> None:
    model = nn.Dense(2, 2)
    for path in ("model.pt", tmp_path / "model.pth", "model.bin"):
        with pytest.raises(gl.CheckpointError, match=r"a pickle may run any code\n.*save_file\(torch\.load"):
            load_torch_weights(model, path)
    with pytest.raises(gl.CheckpointError, match="need names to arrays: its state_dict"):
        load_torch_weights(model, model)  # type: ignore[arg-type]
    with pytest.raises(gl.CheckpointError, match="of type int"):
        load_torch_weights(model, 3)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        load_torch_weights(model, tmp_path / "none.safetensors")


def test_a_shared_tensor_is_needed_once() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.Dense(4, 5, bias=False))
    model[0].weight = nn.Parameter(gl.tensor(np.ones((5, 4), np.float32)))
    twice = nn.Sequential(model[0], model[0])
    load_torch_weights(twice, {"0.weight": np.zeros((5, 4))})
    assert (model[0].weight.numpy() == 0).all()


def test_torch_is_not_imported() -> None:
    code = """if True:
        import sys
        import gradlib as gl
        layer = gl.nn.Dense(2, 2)
        gl.io.load_torch_weights(layer, gl.io.save_torch_weights(layer))
        assert "torch" not in sys.modules"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_live_tensors(tmp_path: Path) -> None:
    """PyTorch's own tensors and its own bfloat16 file, where it is installed."""
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    theirs = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3)).to(torch.bfloat16)
    ours = nn.Sequential(nn.Conv2d(2, 3, 3, dtype="bfloat16"), nn.BatchNorm2d(3, dtype="bfloat16"))
    load_torch_weights(ours, theirs.state_dict())
    expected = theirs[0].weight.detach().float().numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(ours[0].weight.numpy().astype(np.float32), expected)
    save_file(theirs.state_dict(), tmp_path / "bf16.safetensors")
    other = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    load_torch_weights(other, tmp_path / "bf16.safetensors")
    np.testing.assert_array_equal(other[0].weight.numpy(), expected)
    save_torch_weights(ours, tmp_path / "back.safetensors")
    back = pytest.importorskip("safetensors.torch").load_file(tmp_path / "back.safetensors")
    theirs.load_state_dict(back)
    assert all(torch.equal(back[k], v) for k, v in theirs.state_dict().items())
