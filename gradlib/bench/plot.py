"""Roofline plots of a result file, as SVG: what each case reached, over how much it computes for each byte it moves.

The text is written here, not by a plotting library: the same file gives the same picture everywhere, and a test holds
the committed ones to that.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

from .results import Record, load

__all__ = ["Name", "rooflines"]

Name = tuple[str, str]  # of a file, and in words

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 30, 50
_COLORS = ("#1b6ca8", "#d1495b", "#edae49", "#3d9970", "#8e6c8a", "#777777")  # gradlib's first


def rooflines(path: Path) -> dict[Name, str]:
    """Return a plot for each device and dtype of a file in which something computes, by name and title."""
    document = load(path)
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in document["records"]:
        shown = record["flops"] and record["bytes"] and not record.get("error")
        if shown and record["cache"] == ("cold" if record["device"] == "cuda" else "warm"):
            groups.setdefault((record["device"], record["dtype"]), []).append(record)
    found: dict[Name, str] = {}
    for (device, dtype), records in groups.items():
        limits: dict[str, Any] = {}
        for run in document["runs"]:
            limits |= run["rooflines"].get(device, {})
        peak, copy = limits.get(f"{dtype}_flops"), limits.get("copy_bytes")
        if peak and copy:
            title = f"Roofline of {device}, {dtype}, commit {document['commit']}"
            found[f"{path.stem}-{device}-{dtype}.svg", title] = _svg(title, records, peak, copy)
    return found


def _svg(title: str, records: list[Record], peak: float, copy: float) -> str:
    who = sorted({r["who"] for r in records}, key=lambda name: (name != "gradlib", name))
    intensity = [r["flops"] / r["bytes"] for r in records]
    reached = [r["flops"] / r["seconds"] for r in records]
    x = _Axis([*intensity, peak / copy], _LEFT, _WIDTH - _RIGHT)
    y = _Axis([*reached, peak], _HEIGHT - _BOTTOM, _TOP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for value in x.decades:
        at, label = x(value), _number(value)
        lines.append(f'<path d="M{at} {y.start}V{y.end}" stroke="#dddddd"/>')
        lines.append(f'<text x="{at}" y="{y.start + 16}" text-anchor="middle">{label}</text>')
    for value in y.decades:
        at, label = y(value), _number(value / 1e12)
        lines.append(f'<path d="M{x.start} {at}H{x.end}" stroke="#dddddd"/>')
        lines.append(f'<text x="{x.start - 6}" y="{at + 4}" text-anchor="end">{label}</text>')
    lines.append(f'<text x="{(x.start + x.end) // 2}" y="{_HEIGHT - 14}" text-anchor="middle">FLOP per byte</text>')
    lines.append(f'<text x="16" y="{_HEIGHT // 2}" text-anchor="middle" transform="rotate(-90 16 {_HEIGHT // 2})">'
                 "TFLOP/s</text>")  # fmt: skip
    ridge = peak / copy
    low = max(10.0**x.low, 10.0**y.low / copy)
    lines.append(f'<path d="M{x(low)} {y(low * copy)}L{x(ridge)} {y(peak)}H{x.end}" fill="none" stroke="black"/>')
    for i, name in enumerate(who):
        color, place = _COLORS[min(i, len(_COLORS) - 1)], _TOP + 14 + 18 * i
        lines.append(f'<circle cx="{_WIDTH - _RIGHT + 16}" cy="{place - 4}" r="4" fill="{color}"/>')
        lines.append(f'<text x="{_WIDTH - _RIGHT + 26}" y="{place}">{escape(name)}</text>')
        for record, across, up in zip(records, intensity, reached, strict=True):
            if record["who"] == name:
                about = f"{name}: {record['suite']} {record['case']} {record['pass']}, {up / 1e12:.3g} TFLOP/s"
                lines.append(f'<circle cx="{x(across)}" cy="{y(up)}" r="4" fill="{color}" fill-opacity="0.75">'
                             f"<title>{escape(about)}</title></circle>")  # fmt: skip
    return "\n".join([*lines, "</svg>"]) + "\n"


class _Axis:
    """A logarithmic axis of whole decades, from pixel `start` to `end`."""

    def __init__(self, values: list[float], start: int, end: int) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self.start, self.end = start, end

    @property
    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]

    def __call__(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def _number(value: float) -> str:
    return f"{value:g}"
