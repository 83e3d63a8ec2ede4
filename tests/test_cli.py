"""The command line, as a user calls it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import gradlib as gl
from gradlib import cli


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "gradlib", *argv], capture_output=True, text=True, check=False)


def test_train_digits_writes_weights_and_a_picture(tmp_path: Path) -> None:
    result = run("train", "digits", "--epochs", "2", "--limit", "1280", "--out", str(tmp_path / "new" / "folder"))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "training on 1280 images of optical digits, device cpu, float32"
    assert lines[1].startswith("epoch 1/2  loss ")
    match = re.fullmatch(r"test accuracy (\d+\.\d\d) %", lines[-1])
    assert match is not None
    assert float(match[1]) > 80
    folder = tmp_path / "new" / "folder"
    assert {str(folder / "model.safetensors"), str(folder / "loss.png")} <= set(lines)
    assert (folder / "loss.png").read_bytes()[:4] == b"\x89PNG"
    # the weights are those that were measured
    from gradlib.train import digits

    model = digits.network()
    model.load_state_dict(gl.io.load(folder / "model.safetensors"))
    _, test = gl.data.digits()
    with gl.no_grad():
        output = model.eval()(gl.tensor(test.inputs)).numpy()
    assert 100 * (output.argmax(1) == test.targets).mean() == pytest.approx(float(match[1]), abs=0.006)


def test_train_on_sim_says_that_a_part_of_the_data_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sim: str
) -> None:
    monkeypatch.setattr("gradlib.train.digits.SIM_LIMIT", 64)
    assert cli.main(["train", "digits", "--device", sim, "--epochs", "1", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "training on 64 images of optical digits, device sim, float32"
    assert "--limit changes that" in lines[1]
    assert lines[-1].startswith("test accuracy ")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--device", "tpu"], "device 'tpu' is unknown"),
        (["--dtype", "float8"], "dtype 'float8' is not supported"),
        (["--epochs", "0"], "epochs is 0"),
        (["--lr", "-1"], "lr is -1"),
        (["--batch-size", "1"], "batch_size is 1"),
    ],
)
def test_wrong_calls_are_one_clear_message(
    argv: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "digits", "--out", str(tmp_path), *argv]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("gradlib train: ")
    assert text in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["train", "digits", "--out", str(tmp_path / "file")]) == 2
    assert "gradlib train:" in capsys.readouterr().err


def test_argparse_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["dance"], ["train", "cats"], ["train", "digits", "--epochs", "many"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(argv)
        assert caught.value.code == 2
    assert "usage: gradlib" in capsys.readouterr().err


def test_a_loss_that_runs_away_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["train", "digits", "--dtype", "float16", "--lr", "1e30", "--limit", "256", "--out", str(tmp_path)]
    assert cli.main(argv) == 1
    assert "need finite inputs, or a learning rate below" in capsys.readouterr().err


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    devices = {f"device {name}" for name in ("cpu", "sim", "cuda")}
    assert set(rows) == {"gradlib", *devices, "driver", "NVRTC", "headers", "compiler", "kernels", "kernel cache"}
    assert rows["gradlib"].startswith(gl.__version__)
    assert rows["device cpu"] == "available"
    assert all(rows.values())
    assert re.search(r"\d+ kernels, \d+\.\d MB", rows["kernel cache"])


def test_info_without_a_compiler(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"device sim +not available: .*C\+\+ compiler", out)
    assert re.search(r"compiler +none: ", out)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"gradlib {gl.__version__}"


def test_bench_is_handed_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["bench", "--help"])
    assert caught.value.code == 0
    assert "usage: gradlib bench" in capsys.readouterr().out
