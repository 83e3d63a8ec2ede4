"""The run: every case in every library that is there, in turns, recorded as it is measured."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

from .case import Case, Passes
from .results import Record
from .timing import CLOCKS, Measured, Timer, describe, interleave

Emit = Callable[[list[Record]], None]


def variant_of(who: str) -> str:
    """Return the library of a competitor: ``"torch channels_last"`` is a way to use ``"torch"``."""
    return who.partition(" ")[0]


def competitors(case: Case, libraries: dict[str, Any], device: str) -> list[str]:
    """Return who takes part in a case, gradlib first.

    NumPy by hand, and what is built on it, only in the dtypes NumPy computes in; JAX not in float64, which it makes
    float32; TF32 on GPUs only.
    """

    def fits(who: str) -> bool:
        library = variant_of(who)
        if library not in libraries or (who.endswith(("tf32", "compile")) and device != "cuda"):
            return False
        if library in ("numpy", "autograd", "mygrad"):
            return case.dtype in ("float32", "float64")
        return library != "jax" or case.dtype != "float64"

    return [who for who in case.entries if fits(who)]


def run_case(
    case: Case,
    device: str,
    libraries: dict[str, Any],
    roofline: dict[str, Any],
    seconds: float,
    passes: Iterable[str] = (),
) -> list[Record]:
    """Measure one case and return a record per pass, competitor and cache state.

    Parameters
    ----------
    seconds
        Budget of each measurement.
    passes
        Only these, all if empty.
    """
    arrays = case.inputs()
    built: dict[str, Passes | str] = {}
    for who in competitors(case, libraries, device):
        try:
            built[who] = case.entries[who](libraries[variant_of(who)], arrays)
        except Exception as error:  # recorded below; the others go on
            built[who] = describe(error)
    records: list[Record] = []
    for which in case.work:
        if not passes or which in passes:
            records += _run_pass(case, which, device, libraries, built, roofline, seconds)
    built.clear()
    gc.collect()
    return records


def _run_pass(
    case: Case,
    which: str,
    device: str,
    libraries: dict[str, Any],
    built: dict[str, Passes | str],
    roofline: dict[str, Any],
    seconds: float,
) -> list[Record]:
    records: list[Record] = []
    runs = {who: p[which] for who, p in built.items() if not isinstance(p, str)}
    timers: dict[str, Timer] = {who: libraries[variant_of(who)].timer for who in runs}
    base = _base(case, which, device, _clock(libraries["gradlib"].timer), roofline)
    primary = timers["gradlib"].caches[0] if "gradlib" in timers else "warm"
    for who, failure in built.items():
        if isinstance(failure, str):
            records.append({**base, "who": who, "cache": primary, "error": failure})
    for cache in ("cold", "warm"):
        able = {who: (runs[who], timers[who]) for who in runs if cache in timers[who].caches}
        if not able or (cache == "cold" and "gradlib" not in able):
            continue
        for who, found in interleave(able, cache, seconds).items():
            record = {**base, "who": who, "cache": cache, **_measurement(found)}
            if who == "gradlib" and "error" not in record:
                record["launches"] = libraries["gradlib"].launches(runs[who])
            records.append(record)
    return records


def _base(case: Case, which: str, device: str, clock: str, roofline: dict[str, Any]) -> Record:
    work = case.work[which]
    return {
        "suite": case.suite,
        "case": case.name,
        "pass": which,
        "device": device,
        "dtype": case.dtype,
        "clock": clock,
        "flops": work.flops,
        "bytes": work.bytes,
        "ops": work.ops,
        "floor": work.floor(roofline, case.dtype),
    }


def _clock(timer: Timer) -> str:
    """Return what the times are of."""
    return "events" if timer.event else next(name for name, clock in CLOCKS.items() if clock is timer.clock)


def _measurement(found: Measured | str) -> Record:
    if isinstance(found, str):
        return {"error": found}
    return {
        "seconds": found.median,
        "spread": found.spread,
        "fastest": min(found.samples),
        "samples": len(found.samples),
        "calls": found.calls,
    }
