"""One JSON file per machine, day and commit, rewritten after every case: a killed run keeps what it had."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FORMAT = 1
KEY = ("suite", "case", "pass", "device", "dtype", "who", "cache", "clock")

Record = dict[str, Any]


def key(record: Record) -> tuple[Any, ...]:
    """Return what a record is about."""
    return tuple(record[name] for name in KEY)


class Results:
    """The result file of one run, joined to what earlier runs of the same day and commit measured.

    A measurement taken again replaces the earlier one, so that a run that was killed is completed by another.
    """

    def __init__(self, path: Path, header: dict[str, Any], run: dict[str, Any]) -> None:
        """`header` is about machine and commit, `run` about this run: its arguments, versions and rooflines."""
        self.path = path
        self.document: dict[str, Any] = {"format": FORMAT, **header, "runs": [], "records": []}
        if path.exists():
            earlier = load(path)
            self.document["runs"], self.document["records"] = earlier["runs"], earlier["records"]
        self.run = run
        self.document["runs"].append(run)
        self._index = {key(record): i for i, record in enumerate(self.document["records"])}

    def add(self, record: Record) -> None:
        """Add a record, or replace the one about the same thing."""
        record = {**record, "run": len(self.document["runs"]) - 1}
        records = self.document["records"]
        at = self._index.setdefault(key(record), len(records))
        if at == len(records):
            records.append(record)
        else:
            records[at] = record

    def write(self) -> None:
        """Write the file whole, under another name first: whoever is killed meanwhile leaves the old one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        scratch.write_text(dumps(self.document))
        scratch.replace(self.path)


def dumps(document: dict[str, Any]) -> str:
    """Return the document as JSON with one record a line, so that two versions can be compared line by line."""
    head = {name: value for name, value in document.items() if name != "records"}
    text = json.dumps(head, indent=1)[:-2]
    lines = ",\n".join("  " + json.dumps(record) for record in document["records"])
    return f'{text},\n "records": [\n{lines}\n ]\n}}\n'


def load(path: Path) -> dict[str, Any]:
    """Read a result file; `ValueError` that names it if it is none."""
    try:
        document = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a result file: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"{path}: not a result file of format {FORMAT}")
    return document


def file_name(date: str, commit: str, dirty: bool) -> str:
    """Return ``<date>-<commit>.json``; files that differ from the commit say so in their name."""
    return f"{date}-{commit}{'-dirty' if dirty and commit != 'unknown' else ''}.json"
