"""What `gradlib tune` keeps on disk: found again, ignored where it cannot be trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradlib.backend import Limits
from gradlib.kernel import load, tuned
from gradlib.kernel.tuned import Store, store

FILE = "finish.cu"
CONFIG = {"config": {"bm": 64}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tuned.json"


def test_what_is_put_is_found_by_another_process(path: Path) -> None:
    Store(path, "GPU").put(FILE, "nn 1x2x3", CONFIG)
    again = Store(path, "GPU")
    found = again.find(FILE, "nn 1x2x3")
    assert found == {"digest": load(FILE).digest, **CONFIG}
    assert again.find(FILE, "nn 1x2x4") is None
    assert again.find("planes.cu", "nn 1x2x3") is None
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]  # nothing half-written stays


def test_what_another_process_put_meanwhile_is_kept(path: Path) -> None:
    one, other = Store(path, "GPU"), Store(path, "GPU")
    one.put(FILE, "a", CONFIG)
    other.put(FILE, "b", CONFIG)
    assert set(Store(path, "GPU").entries) == {f"{FILE} a", f"{FILE} b"}


def test_no_file_is_no_news(path: Path, recwarn: pytest.WarningsRecorder) -> None:
    there = Store(path, "GPU")
    assert there.find(FILE, "a") is None
    assert there.problem == ""
    assert not recwarn.list


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{half", "Expecting"),
        ("[]", "not of format 1"),
        ('{"format": 2, "gpu": "GPU", "entries": {}}', "not of format 1"),
        ('{"format": 1, "gpu": "another", "entries": {}}', "it is of 'another'"),
        ('{"format": 1, "gpu": "GPU", "entries": {"a": {"config": {}}}}', "has no digest or no config"),
        ('{"format": 1, "gpu": "GPU", "entries": []}', "has no digest or no config"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_ignored(path: Path, text: str, why: str) -> None:
    path.write_text(text)
    with pytest.warns(RuntimeWarning, match=r"tuned\.json: not a file of `gradlib tune` for GPU") as caught:
        there = Store(path, "GPU")
    assert why in str(caught[0].message)
    assert "run gradlib tune again" in str(caught[0].message)
    assert there.find(FILE, "a") is None
    there.put(FILE, "a", CONFIG)  # and written anew
    assert Store(path, "GPU").find(FILE, "a") is not None


def test_entries_of_other_sources_are_not_used_and_said_once(path: Path) -> None:
    Store(path, "GPU").put(FILE, "a", CONFIG)
    document = json.loads(path.read_text())
    document["entries"][f"{FILE} a"]["digest"] = "0" * 64
    path.write_text(json.dumps(document))
    there = Store(path, "GPU")
    assert there.stale(f"{FILE} a")
    there.entries["gone.cu a"] = there.entries[f"{FILE} a"]
    assert there.stale("gone.cu a")
    with pytest.warns(RuntimeWarning, match=r"what was measured of finish\.cu is of other sources"):
        assert there.find(FILE, "a") is None
    assert there.find(FILE, "a") is None  # a second warning would be an error here


def test_each_kind_of_gpu_has_a_file_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRADLIB_CACHE", str(tmp_path))
    h200, part = Limits(name="NVIDIA H200"), Limits(name="NVIDIA H200", multiprocessors=60)
    assert store(h200).path == tmp_path / "tuned-nvidia-h200-132.json"
    assert store(part).path == tmp_path / "tuned-nvidia-h200-60.json"
    assert store(h200) is store(Limits(name="NVIDIA H200"))
    assert tuned.store(Limits()).gpu == "sim, 132 multiprocessors"
