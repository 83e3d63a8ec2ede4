"""`check_op`: everything that must hold for an op, on its own samples.

In float64 on the CPU its derivatives are held to finite differences; in every dtype and on every
device its values and gradients are held to the definition evaluated in float64.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Primitive, Tensor, jvp, vjp
from ..core.primitive import declines
from ..core.samples import Sample
from ..kernel import launches, plans_at_once
from ..spec import (
    COMPLEX,
    FLOATING,
    REDUCED,
    Spec,
    as_dtype,
    complex128,
    float64,
    is_complex,
    is_differentiable,
    is_floating,
)
from .gradcheck import directional, inner, like, outputs_of
from .tolerance import FINITE_DIFFERENCE, assert_close, to_numpy, widest


@dataclass
class Report:
    """What one `check_op` saw: entries launched, and calls a launcher declined."""

    launched: set[str] = field(default_factory=set)
    declined: list[str] = field(default_factory=list)


def draw(sample: Sample, dtype: Any, seed: int) -> list[Any]:
    """Return the sample's arguments as NumPy arrays, floats rounded to `dtype`: every device starts from the same.

    For a complex dtype floats get a small imaginary part, which leaves them where they are defined and smooth.
    """
    rng = np.random.default_rng(seed)
    args: list[Any] = []
    for arg in sample.args:
        if arg is None or isinstance(arg, np.ndarray):  # an array is taken as it is
            args.append(arg)
            continue
        value = rng.standard_normal(arg) if isinstance(arg, tuple) else arg(rng) if callable(arg) else np.asarray(arg)
        value = np.asarray(value)
        if is_floating(value.dtype):
            if is_complex(dtype):
                value = value + 0.3j * rng.standard_normal(value.shape)
            value = np.asarray(value).astype(dtype)
        args.append(value)
    return args


def _shown(sample: Sample) -> str:
    args = ["drawn" if callable(arg) else str(arg) for arg in sample.args]
    return f"({', '.join(args)}) {sample.params or ''}".rstrip()


def check_op(op: Primitive, *, device: str = "cpu", dtypes: Sequence[Any] | None = None) -> Report:
    """Check `op` on all its samples; raise `AssertionError` that names the op, the sample and what failed.

    On ``cpu``: value and `infer` agree; inputs are not changed; results repeat to the bit; strided inputs
    give the same; vjp and jvp agree with finite differences along random directions and with each other
    (``<u, J v> = <J^T u, v>``); the Taylor remainder shrinks with slope 2; the gradient's own derivative
    agrees with finite differences of the gradient.  On ``sim`` and ``cuda``: value and gradients agree with
    the definition in float64, and a declared kernel was launched or its launcher declined (see the Report).
    """
    if op.samples is None:
        raise AssertionError(f"{op.name} has no samples")
    report = Report()
    for number, sample in enumerate(op.samples()):
        seed = zlib.crc32(op.name.encode()) + number
        for dtype in map(as_dtype, dtypes or ((*FLOATING, *COMPLEX) if op.complex else FLOATING)):
            if op.wide and dtype in REDUCED:
                continue
            what = f"{op.name} sample {number} {_shown(sample)} {dtype} on {device}"
            args = draw(sample, dtype, seed)
            with plans_at_once():
                _check_values(op, sample, args, device, what, report)
            if device == "cpu" and dtype in (float64, complex128) and op.differentiable:
                _check_derivatives(op, sample, args, np.random.default_rng(seed), what)
    return report


def _check_values(op: Primitive, sample: Sample, args: list[Any], device: str, what: str, report: Report) -> None:
    backend = backends.get(device)
    exact = [None if a is None else widest(a) if is_differentiable(a.dtype) else a for a in args]
    expected = outputs_of(lambda *xs: op(*xs, **sample.params), exact)
    for a, e in zip(args, exact, strict=True):
        if a is not None and e is not None:
            assert np.array_equal(a.astype(e.dtype), e, equal_nan=True), f"{what}: an input was changed"
    inputs = [None if a is None else backend.asarray(a.copy()) for a in args]
    tensors = [None if a is None else Tensor(a, requires_grad=is_differentiable(a.dtype)) for a in inputs]
    with launches() as log, declines() as declined:
        result = op(*tensors, **sample.params)
    outputs = list(result) if isinstance(result, tuple) else [result]
    if not any(x is not None and is_complex(x.dtype) for x in (*inputs, *outputs)):  # those the definition serves
        _check_launched(op, device, log, declined, outputs, what, report)
    spec = op.spec(inputs, sample.params)
    specs = [spec] if isinstance(spec, Spec) else list(spec)
    outputs = [y for y in outputs if y is not None]
    assert len(outputs) == len(specs), f"{what}: {len(outputs)} outputs, infer says {len(specs)}"
    for k, (y, s, e) in enumerate(zip(outputs, specs, expected, strict=True)):
        assert isinstance(y, Tensor), f"{what}: output {k} of Tensors is no Tensor but {type(y).__name__}"
        assert (y.shape, y.dtype) == s, f"{what}: output {k} is {y.spec}, infer says {s}"
        assert y.device == device, f"{what}: output {k} is on {y.device}"
        assert_close(y, e, what=f"{what}: output {k}")
    for a, x in zip(args, inputs, strict=True):
        assert a is None or np.array_equal(_bits(a), _bits(to_numpy(x))), f"{what}: an input was changed"
    # On other arrays, and recorded too: one that is may take another path than one that is not.  On a device with
    # kernels this run is by a plan, where there is one.
    fresh = [
        None if a is None else Tensor(backend.asarray(a.copy()), requires_grad=is_differentiable(a.dtype)) for a in args
    ]
    again = op(*fresh, **sample.params)
    for y, z in zip(
        outputs, [z for z in (again if isinstance(again, tuple) else (again,)) if z is not None], strict=True
    ):
        assert np.array_equal(_bits(to_numpy(y)), _bits(to_numpy(z))), f"{what}: a second run gives other bits"
    strided = outputs_of(
        lambda *xs: op(*xs, **sample.params), [None if a is None else backend.asarray(_strided(a)) for a in args]
    )
    for k, (z, e) in enumerate(zip(strided, expected, strict=True)):
        assert_close(z, e, what=f"{what}: output {k} of strided inputs")
    if op.differentiable:
        _check_gradients(op, sample, exact, tensors, outputs, device, what, report)


def _check_gradients(
    op: Primitive,
    sample: Sample,
    exact: list[Any],
    tensors: list[Any],
    outputs: list[Any],
    device: str,
    what: str,
    report: Report,
) -> None:
    """Gradients in this dtype, on this device, against the definition's vjp in float64."""
    tracked = [y for y in outputs if y.requires_grad]
    if not tracked:
        return
    rng = np.random.default_rng(1)
    gs = [like(rng, y).astype(y.dtype) for y in tracked]
    active = [t is not None and t.requires_grad for t in tensors]

    def definition(*xs: Any) -> Any:
        ys = (op.composite or op)(*xs, **sample.params)
        ys = ys if isinstance(ys, tuple) else (ys,)
        return tuple(y for y, z in zip(ys, outputs, strict=True) if z.requires_grad)

    _, pullback = vjp(definition, exact, active)
    expected = pullback([widest(g) for g in gs])
    backend = backends.get(device)
    leaves = [t for t, on in zip(tensors, active, strict=True) if on]

    def passes() -> list[list[Any]]:
        """Return each leaf's gradient through each output, which are not added up in the dtype under test."""
        found = []
        for y, g in zip(tracked, gs, strict=True):
            for t in leaves:
                t.grad = None
            y.backward(Tensor(backend.asarray(g)), retain_graph=True)
            found.append([t.grad for t in leaves])
        return found

    with launches() as log, declines() as declined:
        first = passes()
    recorded = any(y.node is not None and y.node.prim is op for y in tracked)  # else the definition's ops were
    if op.fused and recorded and device in op.backward.launchers:
        made = [x for grads in first for x in grads]
        _check_launched(op.backward, device, log, declined, made, what, report)
    for k, (t, e) in enumerate(zip(leaves, expected, strict=True)):
        parts = [grads[k] for grads in first if grads[k] is not None]
        for part in parts:
            assert part.dtype == t.dtype, f"{what}: gradient {k} is {part.dtype}"
        got = parts[0] if len(parts) == 1 else sum((widest(to_numpy(p)) for p in parts), np.zeros(t.shape))
        assert_close(got, e, dtype=t.dtype, what=f"{what}: gradient {k}")
    if not log:  # what runs kernels may depend on the order in which blocks finish
        return
    for before, after in zip(first, passes(), strict=True):
        for k, (x, y) in enumerate(zip(before, after, strict=True)):
            if x is not None:
                same = np.array_equal(_bits(to_numpy(x)), _bits(to_numpy(y)))
                assert same, f"{what}: gradient {k}: a second backward gives other bits"


def _check_launched(
    op: Primitive, device: str, log: Any, declined: list[str], outputs: list[Any], what: str, report: Report
) -> None:
    report.launched |= {record.entry for record in log}
    report.declined += [d for d in declined if d not in report.declined]
    if device not in op.launchers or any(d.startswith(f"{op.name}(") for d in declined):
        return
    if any(y is not None and y.size for y in outputs) and not log:
        raise AssertionError(f"{what}: a kernel is declared for {op.name}, and none was launched")


def _check_derivatives(op: Primitive, sample: Sample, args: list[Any], rng: Any, what: str) -> None:
    """First and second order in float64, against finite differences and against each other."""
    if not sample.smooth or (sample.smooth == "real" and any(a is not None and is_complex(a.dtype) for a in args)):
        return
    active = [a is not None and is_differentiable(a.dtype) for a in args]
    first = outputs_of(lambda *xs: op(*xs, **sample.params), args)
    keep = [is_differentiable(y.dtype) for y in first]

    def f(*xs: Any) -> Any:
        ys = op(*xs, **sample.params)
        ys = ys if isinstance(ys, tuple) else (ys,)
        return tuple(y for y, k in zip(ys, keep, strict=True) if k)

    if not any(keep) or not any(active):
        return
    ts = [like(rng, a) if on else None for a, on in zip(args, active, strict=True)]
    gs = [like(rng, y) for y, k in zip(first, keep, strict=True) if k]
    used = [t for t in ts if t is not None]
    _, pullback = vjp(f, args, active)
    grads = pullback(gs)
    _, tangents = jvp(f, args, ts)
    along = directional(f, args, ts)
    size = sum(abs(inner([g], [d])) for g, d in zip(gs, along, strict=True)) + _norm(grads) * _norm(used) * 1e-2 + 1e-9
    _agree(f"{what}: vjp against finite differences", inner(grads, used), inner(gs, along), size, FINITE_DIFFERENCE)
    for k, (t, d) in enumerate(zip(tangents, along, strict=True)):
        scale = np.abs(d).max(initial=0.0) + 1e-3
        _agree(
            f"{what}: jvp, output {k}, against finite differences",
            np.abs(to_numpy(t) - d).max(initial=0.0),
            0.0,
            scale,
            FINITE_DIFFERENCE,
        )
    _agree(f"{what}: adjoint identity <u, J v> = <J^T u, v>", inner(gs, tangents), inner(grads, used), size, 1e-11)
    _check_taylor(f, args, ts, tangents, what)

    def gradient(*xs: Any) -> Any:
        return tuple(vjp(f, xs, active)[1](gs))

    _, second = vjp(gradient, args, active)
    twice = second(used)
    along = directional(gradient, args, ts)
    size = abs(inner(used, along)) + _norm(twice) * _norm(used) * 1e-2 + _norm(grads) * 1e-3 + 1e-9
    _agree(
        f"{what}: second order against finite differences of the gradient",
        inner(twice, used),
        inner(used, along),
        size,
        10 * FINITE_DIFFERENCE,
    )


def _check_taylor(f: Any, args: list[Any], ts: list[Any], tangents: list[Any], what: str) -> None:
    """|f(x + h t) - f(x) - h J t| falls with h^2 (or is nothing, for a linear op)."""
    base = outputs_of(f, args)
    remainders = []
    for h in (1e-3, 1e-4):
        ahead = outputs_of(f, [a if t is None else np.asarray(a + h * t) for a, t in zip(args, ts, strict=True)])
        remainders.append(_norm([p - b - h * to_numpy(t) for p, b, t in zip(ahead, base, tangents, strict=True)]))
    if remainders[1] > 1e-11 * (_norm(base) + 1):
        slope = np.log10(remainders[0] / remainders[1])
        assert slope > 1.8, f"{what}: Taylor remainder falls with slope {slope:.2f}, need 2"


def _agree(what: str, a: float, b: float, scale: float, limit: float) -> None:
    assert abs(a - b) <= limit * scale, (
        f"{what}: {a:.12g} against {b:.12g} (relative to {scale:.3g}, tolerance {limit:g})"
    )


def _norm(arrays: Sequence[Any]) -> float:
    return float(np.sqrt(sum(float(np.sum(np.abs(widest(to_numpy(a))) ** 2)) for a in arrays if a is not None)))


def _strided(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the same values with strides that are not C's: every second element of a larger array, transposed."""
    if a.ndim == 0:
        return a
    big = np.zeros((*a.shape[::-1], 2), a.dtype)
    view = big[..., 1].T
    view[...] = a
    return view


def _bits(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(a).reshape(-1).view(np.uint8)
