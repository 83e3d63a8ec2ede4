"""The tables of a result file, as Markdown that reads well on a terminal too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import plot
from .results import Record, load

_LAUNCH = 5e-6  # seconds that a launch takes, whatever it does
_BLOCK = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def seconds(value: float) -> str:
    """Return a time to three digits with its unit.

    >>> seconds(0.0012345), seconds(4.2e-8), seconds(12.3456)
    ('1.23 ms', '0.042 us', '12.3 s')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{_three(value / scale)} {unit}"
    return f"{_three(value * 1e6)} us"


def _three(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def rate(record: Record) -> str:
    """Return what a record achieved: FLOP/s where it computes, bytes per second where it moves, else time per op."""
    if record["flops"]:
        value = record["flops"] / record["seconds"]
        return f"{_three(value / 1e12)} TFLOP/s" if value >= 1e12 else f"{_three(value / 1e9)} GFLOP/s"
    if record["bytes"]:
        return f"{_three(record['bytes'] / record['seconds'] / 1e9)} GB/s"
    return f"{seconds(record['seconds'] / record['ops'])} an op" if record["ops"] > 1 else "-"


def tables(records: Iterable[Record]) -> str:
    """Return one table per device, dtype, cache state and suite.

    A row is a case and pass; beside each competitor's time stands how many times longer (above 1) or shorter it took
    than gradlib.
    """
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        group = tuple(record[name] for name in ("suite", "device", "dtype", "cache", "clock"))
        groups.setdefault(group, []).append(record)
    return "\n".join(_one(found, *group) for group, found in groups.items())


def _one(records: list[Record], suite: str, device: str, dtype: str, cache: str, clock: str) -> str:
    others = list(dict.fromkeys(r["who"] for r in records if r["who"] != "gradlib"))
    rows: dict[tuple[str, str], dict[str, Record]] = {}
    for record in records:
        rows.setdefault((record["case"], record["pass"]), {})[record["who"]] = record
    header = ["case", "pass", "gradlib", "spread", "rate", "floor", "of floor", *others]
    body = [_row(case, which, by, others) for (case, which), by in rows.items()]
    state = (
        f", {cache} cache" if clock == "events" else ", processor time of one thread" if clock == "processor" else ""
    )
    notes = [f"- {r['case']}, {r['pass']}, {r['who']}: {r['error']}" for r in records if r.get("error")]
    text = f"**{suite}** on {device}, {dtype}{state}\n\n{_markdown(header, body)}\n"
    return text + ("\n" + "\n".join(notes) + "\n" if notes else "")


def _row(case: str, which: str, by: dict[str, Record], others: list[str]) -> list[str]:
    own = by.get("gradlib")
    cells = [case, which]
    if own is None or own.get("error"):
        cells += ["-" if own is None else "failed", "", "", "", ""]
        own = None
    else:
        floor = own.get("floor")
        spread = f"{100 * own['spread'] / own['seconds']:.0f} %"
        cells += [seconds(own["seconds"]), spread, rate(own)]
        cells += [seconds(floor), f"{100 * floor / own['seconds']:.0f} %"] if floor else ["-", "-"]
    for who in others:
        other = by.get(who)
        if other is None:
            cells.append("")
        elif other.get("error"):
            cells.append("failed")
        else:
            ratio = f" ({other['seconds'] / own['seconds']:.2f}x)" if own else ""
            cells.append(seconds(other["seconds"]) + ratio)
    return cells


def _markdown(header: list[str], body: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in (header, *body)) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        left = [cells[0].ljust(widths[0]), cells[1].ljust(widths[1])]
        return "| " + " | ".join(left + [c.rjust(w) for c, w in zip(cells[2:], widths[2:], strict=True)]) + " |"

    rule = [":" + "-" * (w - 1) if i < 2 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(header), line(rule), *map(line, body)])


def report(path: Path, root: Path | None = None) -> str:
    """Return the tables of a result file under a line that says what was run, where, and at which commit.

    With the folder of the page they are for, `root`, the page shows the file's plots too.
    """
    document = load(path)
    machine, runs = document["machine"], document["runs"]
    dirty = " with uncommitted changes" if document["dirty"] else ""
    packages = ", ".join(f"{name} {version}" for name, version in runs[-1]["versions"].items()) if runs else ""
    where = f"{machine['gpu']}, " if machine.get("gpu") else ""
    others = max((run["others"] for run in runs), default=0.0)
    rooflines: dict[str, dict[str, Any]] = {}
    for run in runs:  # each measures anew what it needs
        for device, found in run["rooflines"].items():
            rooflines.setdefault(device, {}).update(found)
    lines = [
        f"{where}{machine['cpu']}, {machine['cores']} cores; commit {document['commit']}{dirty}; {document['date']};",
        f"{packages}. Other processes kept {others:g} cores busy meanwhile.",
        *(limits(device, found) for device, found in rooflines.items() if found),
        *_plots(path, root),
    ]
    return "\n".join(lines) + "\n\n" + tables(document["records"])


def limits(device: str, roofline: dict[str, Any]) -> str:
    """Return a line that says what the machine itself was measured to do."""
    peaks = ", ".join(
        f"{name.removesuffix('_flops')} {_three(value / 1e12)} TFLOP/s"
        for name, value in roofline.items()
        if name.endswith("_flops")
    )
    return f"Measured on {device}: copy {_three(roofline['copy_bytes'] / 1e9)} GB/s; {peaks} ({roofline['by']})."


def worst(path: Path, count: int) -> list[Record]:
    """Return gradlib's records furthest from their floor on the fastest device of the file, worst first.

    On a GPU those whose floor is more than what a launch takes, if there are any, and of a layer one pass: what a
    profile of the kernels can say something about.
    """
    records = [r for r in load(path)["records"] if r["who"] == "gradlib" and r.get("floor") and not r.get("error")]
    gpu = [r for r in records if r["device"] == "cuda" and r["cache"] == "cold"]
    found = [r for r in gpu if r["floor"] > _LAUNCH] or gpu or records
    found.sort(key=_share)
    if gpu:
        found = list({(r["suite"], r["case"], r["dtype"]): r for r in reversed(found)}.values())  # the worst remain
    return sorted(found, key=_share)[:count]


def _share(record: Record) -> float:
    return float(record["floor"] / record["seconds"])


def fill(text: str, root: Path) -> str:
    """Return a Markdown text with what stands between ``<!-- table: FILE -->`` and ``<!-- end -->`` made anew."""
    return _BLOCK.sub(lambda m: f"{m[1]}\n{report(root / m[2], root)}\n{m[3]}", text)


def files(text: str, root: Path) -> dict[Path, str]:
    """Return the plots that a page shows, by path."""
    paths = [root / found[2] for found in _BLOCK.finditer(text)]
    return {path.with_name(name): svg for path in paths for (name, _), svg in plot.rooflines(path).items()}


def _plots(path: Path, root: Path | None) -> list[str]:
    """Return the lines by which a page in `root` shows a file's plots."""
    if root is None:
        return []
    folder = path.parent.relative_to(root).as_posix()
    return [f"\n![{title}]({folder}/{name})" for name, title in plot.rooflines(path)]
