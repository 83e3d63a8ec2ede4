from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gradlib.errors import KernelError
from gradlib.kernel import cache


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GRADLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _write(text: str) -> cache.Callable[[Path], str]:  # type: ignore[name-defined]
    def build(target: Path) -> str:
        target.write_text(text)
        return f"log of {text}"

    return build


def _never(target: Path) -> str:
    raise AssertionError("built although it was there")


ONE, TWO = "a-" + 31 * "0" + "1", "a-" + 31 * "0" + "2"


def test_a_built_file_is_found_again(folder: Path) -> None:
    assert cache.find(ONE, ".cubin") is None
    path, built = cache.fetch(ONE, ".cubin", _write("one"))
    assert (path.read_text(), path.suffix, built, cache.log_of(path)) == ("one", ".cubin", True, "log of one")
    assert cache.fetch(ONE, ".cubin", _never) == (path, False)
    assert cache.find(ONE, ".cubin") == path
    assert cache.fetch(TWO, ".cubin", _write("two"))[1]
    assert cache.info() == cache.Info(folder, 2, sum(p.stat().st_size for p in folder.iterdir()))
    (folder / "sim-runtime-1.so").write_text("of the sim device")
    (folder / "notes.txt").write_text("not ours")
    assert cache.clear() == 2
    assert [p.name for p in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("damage", ["truncate", "change", "no record", "bad record", "short record", "no file"])
def test_what_is_broken_is_built_again(folder: Path, damage: str) -> None:
    path, _ = cache.fetch(ONE, ".cubin", _write("one"))
    record = folder / f"{ONE}.json"
    if damage == "truncate":
        path.write_text("on")
    elif damage == "change":
        path.write_text("two")
    elif damage == "no record":
        record.unlink()
    elif damage == "bad record":
        record.write_text("{")
    elif damage == "short record":
        record.write_text("{}")
    else:
        path.unlink()
    again, built = cache.fetch(ONE, ".cubin", _write("one"))
    assert (again, built, again.read_text()) == (path, True, "one")
    assert cache.fetch(ONE, ".cubin", _never) == (path, False)
    assert len(list(folder.iterdir())) == 2


def test_a_failed_build_leaves_nothing(folder: Path) -> None:
    def build(target: Path) -> str:
        target.write_text("half")
        raise KernelError("no")

    with pytest.raises(KernelError, match="no"):
        cache.fetch(ONE, ".cubin", build)
    assert list(folder.iterdir()) == []


RACE = """
import os
from gradlib.kernel import cache
for number in range(200):
    def build(target):
        target.write_text(f"{number} by {os.getpid()}")
        return "log"
    path, _ = cache.fetch(f"a-{number:032x}", ".so", build)
    assert path.read_text().split()[0] == str(number), path.read_text()
"""


def test_processes_share_the_cache(folder: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", RACE]) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    for number in range(200):
        path, built = cache.fetch(f"a-{number:032x}", ".so", _never)
        assert not built
        assert path.read_text().split()[0] == str(number)
    assert not list(folder.glob(".making-*"))


def test_the_users_cache_folder_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GRADLIB_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "gradlib"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cache._folder.cache_clear()
    assert cache.folder() == tmp_path / "home" / ".cache" / "gradlib"
    cache._folder.cache_clear()


def test_a_home_that_cannot_be_written_gives_a_private_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("a home that is no folder")
    (tmp_path / "temp").mkdir()
    monkeypatch.delenv("GRADLIB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    place = cache.folder()
    assert place.parent == tmp_path / "temp"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert cache.fetch(ONE, ".so", _write("one"))[0].read_text() == "one"
    place.chmod(0o777)  # others could plant code there: not used
    cache._folder.cache_clear()
    assert cache.folder() != place
    monkeypatch.setenv("GRADLIB_CACHE", str(tmp_path / "file" / "chosen"))
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        cache.folder()
    cache._folder.cache_clear()
