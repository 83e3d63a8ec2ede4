"""The command ``gradlib tune``: measure which configuration of the tensor-core kernels is the fastest on this GPU.

Nothing is ever tuned unless this is called.  The winners are kept in the cache folder, for this kind of GPU and these
sources of the kernels, and used by every process from then on; without them a table in the program decides.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from .. import backend as backends
from ..core import Tensor, no_grad
from ..errors import GradlibError
from ..kernel import tuned
from .arguments import words
from .case import Case, Passes
from .libraries import Gradlib
from .suites import conv, dense
from .table import seconds as in_words
from .timing import describe
from .tune import Outcome, short, tune

_DTYPES = {"cuda": ["bfloat16", "float32"], "sim": ["bfloat16"]}
_CANDIDATES = {"cuda": 12, "sim": 2}
_DENSE = re.compile(r"(\d+)x(\d+)x(\d+)(?: (\w+))?")
_CONV = re.compile(r"(\d+)x(\d+)x\2 (\d+)->(\d+) (\d+)x\5(?: s(\d+))?(?: (\w+))?")


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="gradlib tune", description=__doc__)
    add = p.add_argument
    add(
        "what",
        nargs="*",
        metavar="SHAPE",
        help="as `gradlib bench` writes them: '8192x768x3072 gelu' (batch x in x out, activation), "
        "'32x56x56 64->256 1x1 s2 relu' (batch, size, channels, filters, kernel, stride); default: layers of GPT-2 and "
        "ResNet-50",
    )
    add("--device", choices=["cuda", "sim"], default="cuda", help="sim: a rehearsal on tiny shapes (default: cuda)")
    add("--dtype", type=words, metavar="T,...", help="default: bfloat16,float32, on sim bfloat16")
    add("--candidates", type=int, metavar="N", help="the N that should be the fastest (default: 12, on sim 2)")
    add("--seconds", type=float, default=0.05, metavar="N", help="budget of each candidate (default: %(default)s)")
    add("--store", action="store_true", help="on sim: keep the answers, which say nothing of a GPU")
    add("--show", action="store_true", help="list what is stored for this device, and measure nothing")
    return p


def main(argv: Sequence[str]) -> int:
    """Run the command: 0, 1 where something failed to be measured, 2 for a wrong call."""
    chosen = _parser().parse_args(argv)
    try:
        usable, reason = backends.available(chosen.device)
        if not usable:
            raise ValueError(f"{reason}\n  --device sim rehearses it on this machine's CPU")
        if not chosen.seconds > 0 or (chosen.candidates is not None and chosen.candidates < 1):
            raise ValueError("need --seconds above 0 and --candidates of 1 or more")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # told below, in the command's own words
            if chosen.show:
                return _show(chosen.device)
            return _tune(chosen)
    except (GradlibError, ValueError, OSError) as error:
        print(f"gradlib tune: {error}", file=sys.stderr)
        return 2


def _cases(chosen: argparse.Namespace) -> list[Case]:
    dtypes = chosen.dtype or _DTYPES[chosen.device]
    if chosen.what:
        return [_case(text, dtype) for dtype in dtypes for text in chosen.what]
    if chosen.device == "sim":
        return [suite.cases("tiny", dtype)[0] for dtype in dtypes for suite in (dense, conv)]
    return [case for dtype in dtypes for suite in (dense, conv) for case in suite.cases("full", dtype)]


def _case(text: str, dtype: str) -> Case:
    """Return the case that a shape stands for."""
    if found := _DENSE.fullmatch(text):
        m, k, n = map(int, found.groups()[:3])
        return dense.case((m, k, n, found[4]), dtype)
    if found := _CONV.fullmatch(text):
        batch, size, channels, filters, kernel = map(int, found.groups()[:5])
        layer = conv.Layer(batch, size, channels, filters, kernel, int(found[6] or 1), kernel // 2, 1, found[7])
        return conv.case(layer, dtype)
    raise ValueError(f"{text!r} is no shape\n  need one like '8192x768x3072 gelu' or '32x56x56 64->256 1x1 s2 relu'")


class _Library(Gradlib):
    """gradlib with a further pass: forward as a training step runs it, recorded, where more is saved."""

    def differentiate(
        self, f: Callable[..., Any], inputs: Sequence[Any], g: Any = None, constants: Sequence[Any] = ()
    ) -> Passes:
        leaves = [Tensor(x.data, requires_grad=True) for x in inputs]
        passes = super().differentiate(f, inputs, g, constants)

        def forward() -> Any:
            with no_grad():
                return f(*leaves, *constants)

        return {"forward": forward, "forward, recorded": lambda: f(*leaves, *constants), "backward": passes["backward"]}


def _tune(chosen: argparse.Namespace) -> int:
    device, library = chosen.device, _Library(chosen.device)
    cases, keep = _cases(chosen), device == "cuda" or chosen.store
    store = tuned.store(library.backend.limits)
    print(f"{store.gpu}: {store.path if keep else 'nothing is stored'}")
    if device == "sim":
        print("sim: a rehearsal; these times are of this CPU and say nothing of a GPU")
    if store.problem:
        print(f"{store.problem}; it is written anew")
    count = chosen.candidates or _CANDIDATES[device]
    failed, done = 0, set[tuple[str, str]]()
    for case in cases:
        passes = case.entries["gradlib"](library, case.inputs())
        for which, run in passes.items():
            print(f"\n{case.suite} {case.name}, {case.dtype}, {which}", flush=True)
            try:
                for outcome in tune(run, library.timer, library.host, chosen.seconds, count, keep, done):
                    failed += _report(outcome)
            except (GradlibError, MemoryError) as error:  # the other shapes are still worth measuring
                print(f"  failed: {describe(error)}", flush=True)
                failed += 1
    if not done:
        print("\nnothing to choose: these shapes launch no kernel of several configurations")
    return 1 if failed else 0


def _report(outcome: Outcome) -> int:
    """Print what was found; return 1 if nothing was, or a candidate is wrong."""
    print(f"  {outcome.question.file} {outcome.question.text}")
    times, fastest = outcome.seconds, outcome.fastest
    for config, why in outcome.rejected.items():
        print(f"    not {short(config)}: {why}")
    if fastest is None:
        print("    none of the candidates can be used", flush=True)
        return 1
    table = outcome.question.candidates[0]
    text = f"    {short(fastest)}: {in_words(times[fastest])}, the best of {len(times)}"
    if table != fastest and table in times:
        text += f"; {short(table)}, the table's, {in_words(times[table])} ({times[table] / times[fastest]:.2f}x)"
    print(text, flush=True)
    return 1 if outcome.rejected else 0


def _show(device: str) -> int:
    store = tuned.store(backends.get(device).limits)
    print(f"{store.gpu}: {store.path}")
    if store.problem:
        print(store.problem)
        return 1
    if not store.entries:
        print("nothing is stored: the table in the program decides")
    for key, entry in store.entries.items():
        config = " ".join(f"{name}={value}" for name, value in entry["config"].items())
        stale = "  (of other sources, not used)" if store.stale(key) else ""
        print(f"{key}: {config}{stale}")
    return 0
