"""Derivatives against finite differences: `gradcheck` for a user's function, and the pieces `check_op` uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor, jvp, no_grad, vjp
from ..spec import is_complex, is_differentiable
from ..transforms.tree import flatten
from .tolerance import FINITE_DIFFERENCE, to_numpy, widest

Arrays = Sequence["np.ndarray[Any, Any]"]
STEP = 1e-5


def outputs_of(f: Callable[..., Any], args: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """Return the outputs of `f` as NumPy arrays, as a list; nothing is recorded."""
    with no_grad():
        result = f(*args)
    return [to_numpy(y) for y in (result if isinstance(result, (tuple, list)) else (result,)) if y is not None]


def directional(
    f: Callable[..., Any], args: Arrays, ts: Sequence[Any], step: float = STEP
) -> list[np.ndarray[Any, Any]]:
    """Return the derivative of `f` at `args` along `ts` (None: held fixed) by central differences."""

    def moved(h: float) -> list[Any]:
        return [a if t is None else np.asarray(a + h * t) for a, t in zip(args, ts, strict=True)]  # 0-d too

    plus, minus = outputs_of(f, moved(step)), outputs_of(f, moved(-step))
    return [(widest(p) - widest(m)) / (2 * step) for p, m in zip(plus, minus, strict=True)]


def inner(us: Sequence[Any], vs: Sequence[Any]) -> float:
    """Return the sum of <u, v> over pairs, None counting as zero.

    Of complex numbers it is the real part of the sum of u v, by which cotangents meet tangents (nothing is conjugated).
    """
    return float(
        sum(
            np.sum(widest(to_numpy(u)) * widest(to_numpy(v))).real
            for u, v in zip(us, vs, strict=True)
            if u is not None and v is not None
        )
    )


def like(rng: np.random.Generator, x: Any) -> np.ndarray[Any, Any]:
    """Return normal numbers of x's shape, in float64, or complex128 where x is complex."""
    values = rng.standard_normal(x.shape)
    return np.asarray(values + 1j * rng.standard_normal(x.shape) if is_complex(x.dtype) else values)


def gradcheck(f: Callable[..., Any], *inputs: Any, seed: int = 0) -> None:
    """Check the derivatives of `f` at `inputs`, entry by entry, against central differences in float64.

    Checks the vjp for a random cotangent, the jvp along a random direction, and that both belong to
    one Jacobian.  Raises `AssertionError` that names the input, the worst entry, and both numbers.

    Parameters
    ----------
    f : a function that is smooth at `inputs` and returns Tensors, or a container of them.
    inputs : Tensors, arrays, or containers of them (dicts, networks, ...); floating and complex leaves are checked, in
        float64 and complex128.  Up to a few thousand elements in all.

    >>> import gradlib as gl
    >>> gl.testing.gradcheck(lambda x, p: gl.sum(x * p["w"]), gl.ones((2,)), {"w": gl.ones((2,))})
    >>> gl.testing.gradcheck(lambda x: x * gl.stop_gradient(x), gl.ones((2,)))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    AssertionError: gradcheck(<lambda>): vjp, input 0: entry (1,) is ... by the tape, ... by finite differences ...
    """
    rng = np.random.default_rng(seed)
    leaves, rebuild = flatten(inputs)
    args = [widest(to_numpy(x)) if is_differentiable(to_numpy(x).dtype) else to_numpy(x) for x in leaves]
    active = [is_differentiable(a.dtype) for a in args]
    name = getattr(f, "__name__", "f")
    names = _names(inputs)

    def on_tensors(*xs: Any) -> Any:
        found = flatten(f(*rebuild([x if isinstance(x, Tensor) else Tensor(x) for x in xs])))[0]
        results = [y for y in found if y is not None]
        for y in results:
            if not (isinstance(y, Tensor) or backends.is_array(y)):
                raise TypeError(f"gradcheck({name}): the function returned a {type(y).__name__}, need Tensors")
        return tuple(results)

    gs = [like(rng, y) for y in outputs_of(on_tensors, args)]
    _, pullback = vjp(on_tensors, args, active)
    grads = iter(to_numpy(g) for g in pullback(gs))
    exact = [next(grads) if on else None for on in active]
    for k, (x, grad) in enumerate(zip(args, exact, strict=True)):
        if grad is None:
            continue
        numeric = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            for unit in (1.0, 1j) if is_complex(x.dtype) else (1.0,):
                t = np.zeros_like(x)
                t[index] = unit
                along = directional(on_tensors, args, [t if j == k else None for j in range(len(args))])
                numeric[index] += inner(gs, along) * np.conj(unit)
        _compare(f"gradcheck({name}): vjp, {names[k]}", grad, numeric)
    ts = [like(rng, a) if on else None for a, on in zip(args, active, strict=True)]
    for k, (t, d) in enumerate(zip(jvp(on_tensors, args, ts)[1], directional(on_tensors, args, ts), strict=True)):
        _compare(f"gradcheck({name}): jvp, output {k}", to_numpy(t), d)


def _names(inputs: Sequence[Any]) -> list[str]:
    """Return what to call each leaf: by its input, and by its place where the input is a container of several."""
    names: list[str] = []
    for k, x in enumerate(inputs):
        count = len(flatten(x)[0])
        names += [f"input {k}" if count == 1 else f"input {k}, leaf {i}" for i in range(count)]
    return names


def _compare(what: str, exact: np.ndarray[Any, Any], numeric: np.ndarray[Any, Any]) -> None:
    if exact.shape != numeric.shape:
        raise AssertionError(f"{what}: shape {exact.shape}, need {numeric.shape}")
    if exact.size == 0:
        return
    error = np.abs(exact - numeric) / (np.abs(numeric) + max(1e-3, float(np.sqrt(np.mean(np.abs(numeric) ** 2)))))
    error = np.where(np.isnan(error), np.inf, error)
    index = np.unravel_index(int(np.argmax(error)), error.shape)
    if error[index] > FINITE_DIFFERENCE:
        where = tuple(int(i) for i in index)
        raise AssertionError(
            f"{what}: entry {where} is {exact[index]:.10g} by the tape, {numeric[index]:.10g} by finite differences "
            f"(relative error {error[index]:.2g}, tolerance {FINITE_DIFFERENCE:g})"
        )
