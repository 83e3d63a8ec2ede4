"""The command ``gradlib bench``, which ``bench/run.py`` is a front to."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend as backends
from ..spec import FLOATING
from . import results, table
from .arguments import parser
from .case import Case, Run
from .engine import run_case
from .libraries import libraries
from .machine import Others, commit, machine, versions
from .roofline import roofline
from .suites import SUITES
from .timing import CLOCKS, describe

DEFAULT_SIZE = {"cpu": "small", "sim": "tiny", "cuda": "full"}
DEFAULT_DTYPES = {"cpu": ["float32"], "sim": ["float32"], "cuda": ["float32", "bfloat16"]}
DTYPES = [dtype.name for dtype in FLOATING]
_OF_SIM = "sim"
_ONLY = {_OF_SIM: ("sim",), "launch": ("cpu", "cuda")}  # suites that are not for every device


class UsageError(Exception):
    """Something asked for that is not there."""


def main(argv: list[str] | None = None) -> int:
    """Run the benches and return the exit code: 0, 1 where gradlib failed at a case, 2 for a wrong call."""
    arguments = parser(SUITES).parse_args(argv)
    try:
        if arguments.table is not None:
            print("\n".join(table.report(path) for path in arguments.table))
            return 0
        if arguments.readme is not None:
            path = arguments.readme
            text = table.fill(path.read_text(), path.parent)
            path.write_text(text)
            for place, svg in table.files(text, path.parent).items():
                place.write_text(svg)
            return 0
        if arguments.worst is not None:
            for record in table.worst(arguments.worst, arguments.count):
                print(*(record[name] for name in ("suite", "device", "dtype", "pass", "case")), sep="\t")
            return 0
        return _bench(arguments)
    except (UsageError, ValueError, OSError) as error:
        print(f"gradlib bench: {error}", file=sys.stderr)
        return 2


def _devices(asked: list[str] | None, suites: list[str]) -> list[str]:
    if asked is None:
        if suites == [_OF_SIM]:
            return _devices(["sim"], suites)
        return [name for name in ("cuda", "cpu") if backends.available(name)[0]]
    for name in asked:
        if name not in backends.DEVICES:
            raise UsageError(f"unknown device {name!r}\n  need one of {', '.join(backends.DEVICES)}")
        usable, reason = backends.available(name)
        if not usable:
            raise UsageError(f"device {name!r} cannot be used here\n  {reason}")
    return asked


def _check(arguments: argparse.Namespace) -> None:
    for what, asked, known in (("suite", arguments.suite, SUITES), ("dtype", arguments.dtype or [], DTYPES)):
        for name in asked:
            if name not in known:
                raise UsageError(f"unknown {what} {name!r}\n  need one of {', '.join(known)}")
    if not arguments.seconds > 0:
        raise UsageError(f"--seconds {arguments.seconds:g}: need more than 0")
    if arguments.repeat < 0:
        raise UsageError(f"--repeat {arguments.repeat}: need 1 or more")


def _selected(arguments: argparse.Namespace, device: str) -> list[Case]:
    """Return the cases to run on a device, suite by suite, the first dtype of each before the next."""
    size = arguments.size or DEFAULT_SIZE[device]
    dtypes = arguments.dtype or DEFAULT_DTYPES[device]
    suites = [name for name in arguments.suite or SUITES if device in _ONLY.get(name, (device,))]
    found = [case for name in suites for dtype in dtypes for case in SUITES[name](size, dtype)]
    wanted = set(arguments.which)
    return [case for case in found if arguments.case in case.name and (not wanted or wanted & set(case.work))]


def default_out() -> Path:
    """Return ``bench/results`` of the checkout this is run from, or the same below the working folder."""
    checkout = Path(__file__).resolve().parents[2] / "bench"
    return (checkout if (checkout / "run.py").is_file() else Path("bench")) / "results"


def _bench(arguments: argparse.Namespace) -> int:
    _check(arguments)
    devices = _devices(arguments.device, arguments.suite)
    plan = {device: _selected(arguments, device) for device in devices}
    if arguments.limits:
        plan = {device: [] for device in devices}
    elif not any(plan.values()):
        raise UsageError(f"no case matches --case {arguments.case!r} --pass {','.join(arguments.which) or 'all'}")
    if arguments.once or arguments.repeat:
        return _untimed(arguments, plan)
    revision, dirty = commit()
    about = machine(devices)
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    path = (arguments.out or default_out()) / about["slug"] / results.file_name(date, revision, dirty)
    run: dict[str, Any] = {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "arguments": {k: v for k, v in vars(arguments).items() if isinstance(v, (str, int, float, list))},
        "versions": versions(),
        "others": 0.0,
        "rooflines": {},
        "absent": {},
    }
    header = {"machine": about, "commit": revision, "dirty": dirty, "date": date}
    file = results.Results(path, header, run)
    if arguments.clock == "processor":
        _one_thread()
    failed, others = 0, Others()
    try:
        for device, cases in plan.items():
            failed += _device(arguments, device, cases, file, others)
    except KeyboardInterrupt:
        print("stopped; what was measured is kept", file=sys.stderr)
        failed = 1
    print(f"results: {path}")
    return 1 if failed else 0


def _device(
    arguments: argparse.Namespace, device: str, cases: list[Case], file: results.Results, others: Others
) -> int:
    found, absent = libraries(device, not arguments.no_peers, CLOCKS[arguments.clock])
    file.run["absent"][device] = absent
    print(f"{device}: {', '.join(found)}" + "".join(f"; {name}: {why}" for name, why in absent.items()), flush=True)
    dtypes = [case.dtype for case in cases] or arguments.dtype or DEFAULT_DTYPES[device]
    limits = file.run["rooflines"][device] = roofline(device, list(dict.fromkeys(dtypes)), found)
    file.write()
    if limits:
        print(table.limits(device, limits), flush=True)
    print(flush=True)
    failed = 0
    group: list[results.Record] = []
    for i, case in enumerate(cases):
        with np.errstate(all="ignore"):  # a baseline may overflow where a real network would not
            records = run_case(case, device, found, limits, arguments.seconds, arguments.which)
        for record in records:
            file.add(record)
        file.run["others"] = others.cores()
        file.write()
        failed += any(r["who"] == "gradlib" and "error" in r for r in records)
        group += records
        last = i + 1 == len(cases) or (cases[i + 1].suite, cases[i + 1].dtype) != (case.suite, case.dtype)
        if last:
            print(table.tables(group), flush=True)
            group = []
    return failed


def _one_thread() -> None:
    """Refuse the processor clock where several threads would be counted together, or waiting counted as work."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name) != "1":
            raise UsageError(f"--clock processor: need {name}=1 in the environment, or several threads are added up")


def _untimed(arguments: argparse.Namespace, plan: dict[str, list[Case]]) -> int:
    """Run gradlib's cases once after a warm-up, or so often that a race would show in their bits."""
    failed = 0
    for device, cases in plan.items():
        library = libraries(device, peers=False)[0]["gradlib"]
        for case in cases:
            for which in case.work:
                if arguments.which and which not in arguments.which:
                    continue
                try:
                    run = case.entries["gradlib"](library, case.inputs())[which]
                    outcome = _repeated(run, arguments.repeat) if arguments.repeat else "ran"
                    if not arguments.repeat:
                        run()
                    library.timer.finish(run())
                except Exception as error:  # the other kernels are still worth a look
                    outcome = f"failed: {describe(error)}"
                failed |= outcome.startswith("failed")
                print(f"{device} {case.suite} {case.name} {case.dtype} {which}: {outcome}", flush=True)
    return failed


def _repeated(run: Run, times: int) -> str:
    """Say whether so many runs give the same bits; they are compared on their device."""
    first = _bits(run())
    for number in range(2, times + 1):
        for i, (one, other) in enumerate(zip(first, _bits(run()), strict=True)):
            count = int((one != other).sum())
            if count:
                return f"failed: run {number} differs from the first in {count} of {one.size} bytes of result {i}"
    return f"the same bits {times} times"


def _bits(value: Any) -> list[Any]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [v.data.reshape(-1).view(np.uint8) for v in values if v is not None]
