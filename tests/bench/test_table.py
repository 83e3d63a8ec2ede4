"""Tables are made from result files, never typed."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from gradlib.bench import plot, results, table

WORK = {"flops": 2e9, "bytes": 1e6, "ops": 1, "floor": 0.5e-3}


def record(who, seconds, **changes):
    base = {"suite": "dense", "case": "2x3x4 relu", "pass": "forward", "device": "cpu", "dtype": "float32"}
    return {
        **base,
        **WORK,
        "who": who,
        "cache": "warm",
        "clock": "wall",
        "seconds": seconds,
        "spread": seconds / 10,
        **changes,
    }


def document(records):
    roofline = {"copy_bytes": 2e10, "float32_flops": 3e11, "by": "numpy, products of 2048 x 2048"}
    run = {"versions": {"numpy": "2.4"}, "rooflines": {"cpu": roofline}, "others": 0.5}
    machine = {"slug": "m", "cpu": "Some CPU", "cores": 2}
    head = {"format": results.FORMAT, "machine": machine, "commit": "abc", "dirty": True, "date": "2026-01-02"}
    return {**head, "runs": [run], "records": records}


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_row_holds_time_spread_rate_floor_and_each_competitor():
    text = table.tables([record("gradlib", 1e-3), record("torch", 2e-3), record("jax", 0.5e-3)])
    head, _, row = [line for line in text.splitlines() if line.startswith("|")]
    assert cells(head) == ["case", "pass", "gradlib", "spread", "rate", "floor", "of floor", "torch", "jax"]
    assert cells(row) == [
        "2x3x4 relu", "forward", "1.00 ms", "10 %", "2.00 TFLOP/s", "500 us", "50 %",
        "2.00 ms (2.00x)", "500 us (0.50x)",
    ]  # fmt: skip
    assert text.startswith("**dense** on cpu, float32\n")


def test_memory_bound_rows_show_bytes_and_tape_rows_time_per_op():
    moved = table.tables([record("gradlib", 1e-3, flops=0)])
    assert "1.00 GB/s" in moved
    each = table.tables([record("gradlib", 1e-3, flops=0, bytes=0, ops=1000, floor=None)])
    assert "1.00 us an op" in each


def test_failures_are_shown_with_their_text():
    text = table.tables([record("gradlib", 1e-3), {**record("torch", 0), "error": "RuntimeError: no"}])
    assert "failed" in text
    assert "- 2x3x4 relu, forward, torch: RuntimeError: no" in text
    own = table.tables([{**record("gradlib", 0), "error": "KernelError: no"}, record("torch", 1e-3)])
    assert "KernelError: no" in own
    assert "1.00 ms" in own


def test_cold_and_warm_do_not_mix():
    text = table.tables([record("gradlib", 1e-3, device="cuda", clock="events", cache=c) for c in ("cold", "warm")])
    assert "**dense** on cuda, float32, cold cache" in text
    assert "**dense** on cuda, float32, warm cache" in text


def test_report_says_what_was_run_where_and_at_which_commit(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(results.dumps(document([record("gradlib", 1e-3)])))
    text = table.report(path)
    for word in (
        "Some CPU, 2 cores",
        "commit abc with uncommitted changes",
        "2026-01-02",
        "numpy 2.4",
        "copy 20.0 GB/s",
    ):
        assert word in text


def test_worst_are_the_furthest_from_their_floor(tmp_path):
    path = tmp_path / "r.json"
    rows = [record("gradlib", t, case=name) for name, t in (("a", 1e-3), ("b", 4e-3), ("c", 2e-3))]
    rows += [record("torch", 1.0, case="d"), record("gradlib", 9.0, case="e", floor=None)]
    path.write_text(json.dumps(document(rows)))
    assert [r["case"] for r in table.worst(path, 2)] == ["b", "c"]
    on_gpu = [record("gradlib", 1e-3, case=c, device="cuda", cache=c) for c in ("cold", "warm")]
    path.write_text(json.dumps(document(rows + on_gpu)))
    assert [r["case"] for r in table.worst(path, 2)] == ["cold"]
    gpu = {"device": "cuda", "cache": "cold"}
    on_gpu += [record("gradlib", 1e-3, case="tiny", floor=1e-7, **gpu)]  # a launch, whatever it does
    on_gpu += [
        record("gradlib", t, case="both", floor=1e-5, **gpu, **{"pass": p}) for p, t in (("a", 1e-4), ("b", 2e-4))
    ]
    path.write_text(json.dumps(document(on_gpu)))
    found = [r for r in table.worst(path, 9) if r["floor"] == 1e-5]
    assert [(r["case"], r["pass"]) for r in found] == [("both", "b")]
    assert "tiny" not in [r["case"] for r in table.worst(path, 9)]


def test_fill_replaces_what_stands_between_the_marks(tmp_path):
    (tmp_path / "r.json").write_text(results.dumps(document([record("gradlib", 1e-3)])))
    text = "before\n<!-- table: r.json -->\nold\n<!-- end -->\nafter\n"
    filled = table.fill(text, tmp_path)
    assert "old" not in filled
    assert "1.00 ms" in filled
    assert filled.startswith("before\n<!-- table: r.json -->\n")
    assert filled.endswith("<!-- end -->\nafter\n")
    assert table.fill(filled, tmp_path) == filled


def test_the_tables_of_the_readme_are_those_of_the_committed_files():
    readme = Path(__file__).resolve().parents[2] / "bench" / "README.md"
    text = readme.read_text()
    assert "<!-- table: results/" in text
    assert table.fill(text, readme.parent) == text


def test_the_plots_are_those_of_the_committed_files():
    root = Path(__file__).resolve().parents[2] / "bench"
    text = (root / "README.md").read_text()
    made = table.files(text, root)
    assert made
    for path, svg in made.items():
        assert path.read_text() == svg, path.name
        assert f"({path.relative_to(root).as_posix()})" in text
    assert set(root.glob("results/*/*.svg")) == set(made)  # none is left over


def test_a_plot_has_a_point_for_each_case_under_the_roof(tmp_path):
    path = tmp_path / "r.json"
    rows = [
        record("gradlib", 1e-3),
        record("torch", 2e-3),
        record("gradlib", 1.0, flops=0),
        record("jax", 1e-3, error="no"),
    ]
    path.write_text(results.dumps(document(rows)))
    ((name, title), svg), *rest = plot.rooflines(path).items()
    assert (name, title, rest) == ("r-cpu-float32.svg", "Roofline of cpu, float32, commit abc", [])
    circles = ElementTree.fromstring(svg).findall(".//{*}circle[{*}title]")
    points = [circle.find("{*}title").text for circle in circles]
    assert points == [
        "gradlib: dense 2x3x4 relu forward, 2 TFLOP/s",
        "torch: dense 2x3x4 relu forward, 1 TFLOP/s",
    ]


def test_without_a_measured_limit_there_is_no_plot(tmp_path):
    path = tmp_path / "r.json"
    made = document([record("gradlib", 1e-3)])
    made["runs"][0]["rooflines"] = {}
    path.write_text(results.dumps(made))
    assert plot.rooflines(path) == {}
    assert "![" not in table.report(path, tmp_path)


def test_the_limits_of_all_runs_are_told(tmp_path):
    path = tmp_path / "r.json"
    made = document([record("gradlib", 1e-3)])
    made["runs"].append(
        {**made["runs"][0], "rooflines": {"cpu": {"copy_bytes": 1e10, "float64_flops": 1e11, "by": "numpy"}}}
    )
    path.write_text(results.dumps(made))
    assert "Measured on cpu: copy 10.0 GB/s; float32 0.30 TFLOP/s, float64 0.10 TFLOP/s (numpy)" in table.report(path)
