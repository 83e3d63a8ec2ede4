"""Result files: joined, replaced, written whole."""

from __future__ import annotations

import json

import pytest

from gradlib.bench import results

HEADER = {"machine": {"slug": "m", "cpu": "c", "cores": 2}, "commit": "abc", "dirty": False, "date": "2026-01-02"}


def record(case="1x1", **changes):
    base = {"suite": "dense", "case": case, "pass": "forward", "device": "cpu", "dtype": "float32", "who": "gradlib"}
    return {**base, "cache": "warm", "clock": "wall", "seconds": 1.0, **changes}


def test_what_was_measured_is_on_disk_after_every_write(tmp_path):
    path = tmp_path / "m" / "file.json"
    file = results.Results(path, HEADER, {"started": "now"})
    file.add(record())
    file.write()
    assert [r["case"] for r in json.loads(path.read_text())["records"]] == ["1x1"]
    file.add(record("2x2"))
    assert len(results.load(path)["records"]) == 1  # not written yet
    file.write()
    assert len(results.load(path)["records"]) == 2
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_a_second_run_completes_the_first_and_replaces_what_it_measures_again(tmp_path):
    path = tmp_path / "file.json"
    first = results.Results(path, HEADER, {"started": "one"})
    first.add(record())
    first.add(record("2x2"))
    first.write()
    second = results.Results(path, HEADER, {"started": "two"})
    second.add(record("2x2", seconds=3.0))
    second.add(record("3x3", who="torch"))
    second.write()
    document = results.load(path)
    assert [run["started"] for run in document["runs"]] == ["one", "two"]
    assert [(r["case"], r["seconds"], r["run"]) for r in document["records"]] == [
        ("1x1", 1.0, 0),
        ("2x2", 3.0, 1),
        ("3x3", 1.0, 1),
    ]


def test_records_differ_by_pass_device_dtype_competitor_and_cache(tmp_path):
    file = results.Results(tmp_path / "file.json", HEADER, {})
    for name in results.KEY:
        file.add(record(**{name: "other"}))
    file.add(record())
    assert len(file.document["records"]) == len(results.KEY) + 1


def test_one_record_a_line():
    text = results.dumps({**HEADER, "runs": [{"a": 1}], "records": [record(), record("2x2")]})
    assert json.loads(text)["records"][1]["case"] == "2x2"
    assert sum('"pass"' in line for line in text.splitlines()) == 2
    assert json.loads(results.dumps({**HEADER, "runs": [], "records": []}))["records"] == []


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}'])
def test_other_files_are_refused_by_name(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other\.json: not a result file"):
        results.load(path)


def test_file_name_says_when_files_differ_from_the_commit():
    assert results.file_name("2026-01-02", "abc", False) == "2026-01-02-abc.json"
    assert results.file_name("2026-01-02", "abc", True) == "2026-01-02-abc-dirty.json"
    assert results.file_name("2026-01-02", "unknown", True) == "2026-01-02-unknown.json"
