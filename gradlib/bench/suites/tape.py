"""The price of the tape: a chain of 1,000 ops on arrays too small to take any time."""

from __future__ import annotations

from typing import Any

from ..case import Arrays, Case, Passes, Work, noise

LENGTH = 500  # of (multiply, add) pairs


def cases(size: str, dtype: str) -> list[Case]:
    """Return the chain, over 8 numbers; shorter where every op is a kernel run on a simulated device."""
    return [_case(5 if size == "tiny" else LENGTH, dtype)]


def _case(pairs: int, dtype: str) -> Case:
    def inputs() -> Arrays:
        return {"x": noise((8,), dtype), "a": noise((8,), dtype, seed=2, scale=1e-3), "g": noise((8,), dtype, seed=1)}

    def chain(x: Any, a: Any) -> Any:
        for _ in range(pairs):
            x = x * a + x
        return x

    def simple(lib: Any, at: Arrays) -> Passes:
        x, a, g = map(lib.array, at.values())
        return _both(lib, chain, x, a, g)

    def numpy(lib: Any, at: Arrays) -> Passes:
        x, a, g = at.values()

        def forward() -> Any:
            y, saved = x, []
            for _ in range(pairs):
                saved.append(y)
                y = y * a + y
            return y, saved

        def both() -> Any:
            dy, da = g, 0.0
            for y in reversed(forward()[1]):
                da = da + dy * y
                dy = dy * a + dy
            return dy, da

        return {"forward": lambda: forward()[0], "forward + backward": both}

    def jax(lib: Any, at: Arrays) -> Passes:
        x, a, g = map(lib.array, at.values())

        def both() -> Any:
            return lib.jax.vjp(chain, x, a)[1](g)

        return {"forward": lambda: chain(x, a), "forward + backward": both}

    work = {"forward": Work(ops=2 * pairs), "forward + backward": Work(ops=2 * pairs)}
    entries = {"gradlib": simple, "numpy": numpy, "torch": simple, "jax without jit": jax}
    entries |= {"autograd": simple, "mygrad": simple}
    return Case("tape", f"{2 * pairs} ops on 8 numbers", dtype, work, inputs, entries)


def _both(lib: Any, f: Any, x: Any, a: Any, g: Any) -> Passes:
    """Return forward and, as one run, recording and backward."""
    passes: Passes = lib.differentiate(f, (x, a), g)

    def both() -> Any:
        return lib.differentiate(f, (x, a), g)["backward"]()

    return {"forward": passes["forward"], "forward + backward": both}
