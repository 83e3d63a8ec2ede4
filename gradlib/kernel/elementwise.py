"""CUDA kernels made from the C expressions of elementwise ops.

The ops of one module become one program, with an entry per op (and one more where operands broadcast), so that one
compilation per element type serves them all.  The loops are in ``elementwise.cuh``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..backend import backend_of
from ..spec import FLOATING, INTEGER, DType, bool_, is_complex
from .kernel import Kernel
from .signature import ctype

__all__ = ["cast_kernel", "elementwise_launcher", "geometry", "programs"]

KINDS: dict[str, tuple[DType, ...]] = {"floating": FLOATING, "integer": INTEGER, "boolean": (bool_,)}
_KIND_OF = {dtype: kind for kind, dtypes in KINDS.items() for dtype in dtypes}

_AXES = 4  # of the result, after joining, that a kernel for broadcast operands handles
_FEW = 2**31  # elements such a kernel may write: it counts in 32 bits


@dataclass(frozen=True)
class _Op:
    """What the generator needs to know of an op."""

    name: str
    inputs: tuple[str, ...]
    params: tuple[str, ...]  # numbers, passed as double
    expr: str
    dtypes: frozenset[DType]
    gives: DType | None  # of the result, if not that of the inputs

    @property
    def result(self) -> str:
        return "T" if self.gives is None else ctype(self.gives)

    @property
    def forms(self) -> tuple[bool, ...]:
        """Whether operands are repeated, for each entry: one alone never is."""
        return (False,) if len(self.inputs) == 1 else (False, True)

    def parameters(self, repeated: bool) -> str:
        """The parameters of the entry, as `Kernel` wants them."""
        return f"{' '.join(self.inputs)} result | {' '.join((*self._sizes(repeated), *self.params))}"

    def _sizes(self, repeated: bool) -> tuple[str, ...]:
        if repeated:
            return ("n", "n1", "n2", "n3", *[f"{x}_{k}" for x in self.inputs for k in range(_AXES)])
        return ("n", *[f"{x}_step" for x in self.inputs if len(self.inputs) > 1])

    def entry(self, repeated: bool) -> str:
        """Name of the entry: not the op's own, which may be a C function's (exp, isnan)."""
        return f"map_{self.name}_repeated" if repeated else f"map_{self.name}"

    def text(self, repeated: bool) -> str:
        """The text of the entry."""
        types = {x: "bool" if x == "condition" else "T" for x in self.inputs}
        arrays = [f"const {types[x]}* __restrict__ {x}" for x in self.inputs]
        size = "unsigned int" if repeated else "long long"
        scalars = [f"{size} {s}" for s in self._sizes(repeated)] + [f"double {p}" for p in self.params]
        given = ", ".join(f"{'bool' if x == 'condition' else 'A'} {x}" for x in self.inputs)
        function = f"[=]({given}) -> {'A' if self.gives is None else self.result} {{ return {self.expr}; }}"
        if repeated:
            operands = [f"repeated({x}, {', '.join(f'{x}_{k}' for k in range(_AXES))})" for x in self.inputs]
            call = f"map_repeated(result, n, n1, n2, n3, {function}, {', '.join(operands)})"
        else:
            operands = [f"operand({x}, {x}_step)" if len(self.inputs) > 1 else f"operand({x})" for x in self.inputs]
            call = f"map(result, n, {function}, {', '.join(operands)})"
        head = f'extern "C" __global__ void __launch_bounds__({_BLOCK})\n{self.entry(repeated)}'
        return f"{head}({', '.join([*arrays, f'{self.result}* __restrict__ result', *scalars])}) {{\n  {call};\n}}\n"


_FAMILIES: dict[str, dict[str, _Op]] = {}  # by module


def _text(family: str, kind: str) -> str:
    """The program of one family for one kind of element."""
    ops = [op for op in _FAMILIES[family].values() if op.dtypes & frozenset(KINDS[kind])]
    variants = ",".join(ctype(dtype) for dtype in KINDS[kind])
    entries = [op.text(repeated) for op in ops for repeated in op.forms]
    return "\n".join(
        [
            f"// Generated: the elementwise ops of {family}, {kind} elements.",
            f"// variants: T={variants}",
            '#include "gradlib/elementwise.cuh"',
            f"\n#ifndef T\n#define T {ctype(KINDS[kind][-1])}\n#endif",
            "\nusing A = acc_t<T>;\n",
            *entries,
        ]
    )


def programs() -> Iterator[tuple[str, str]]:
    """Yield the name and text of every generated program; the text lists its variants, as the `.cu` files do."""
    for family in _FAMILIES:
        for kind in KINDS:
            if any(op.dtypes & frozenset(KINDS[kind]) for op in _FAMILIES[family].values()):
                yield f"{family}_{kind}.cu", _text(family, kind)


# -- launching

_BLOCK = 256
_BLOCKS = 4096  # at most: enough to fill any GPU several times over; further elements go round


def geometry(n: int, each: int = 4) -> tuple[int, int]:
    """Return the grid and the block for `n` elements, `each` of them a thread."""
    threads = -(-n // each)
    block = _BLOCK if threads >= _BLOCK else -(-threads // 32) * 32
    return min(-(-threads // block), _BLOCKS), block


@dataclass(frozen=True)
class _Plan:
    """How operands of given shapes meet."""

    shape: tuple[int, ...]
    size: int
    steps: tuple[int, ...] | None  # 1 or 0 per operand, if that says it all
    axes: tuple[int, ...] | None  # sizes of the joined axes but the first, then the strides per operand


@lru_cache(4096)
def _plan(shapes: tuple[tuple[int, ...], ...]) -> _Plan:
    ndim = max(map(len, shapes))
    padded = [(1,) * (ndim - len(s)) + s for s in shapes]
    shape = tuple(0 if 0 in sizes else max(sizes) for sizes in zip(*padded, strict=True))
    size = math.prod(shape)
    if all(math.prod(s) in (1, size) for s in shapes):
        return _Plan(shape, size, tuple(int(math.prod(s) == size) for s in shapes), None)
    joined: list[list[int]] = []  # size, then a stride per operand, of each axis of the result; last axis first
    strides = [1] * len(shapes)
    for axis in range(ndim - 1, -1, -1):
        n = shape[axis]
        if n == 1:
            continue
        here = [stride if s[axis] > 1 else 0 for stride, s in zip(strides, padded, strict=True)]
        strides = [stride * s[axis] for stride, s in zip(strides, padded, strict=True)]
        if joined and all(a == joined[-1][0] * b for a, b in zip(here, joined[-1][1:], strict=True)):
            joined[-1][0] *= n
        else:
            joined.append([n, *here])
    if len(joined) > _AXES or size >= _FEW:
        return _Plan(shape, size, None, None)
    joined += [[1] + [0] * len(shapes)] * (_AXES - len(joined))
    axes = joined[::-1]
    flat = [n for n, *_ in axes[1:]] + [row[1 + k] for k in range(len(shapes)) for row in axes]
    return _Plan(shape, size, None, tuple(flat))


def elementwise_launcher(prim: Any, dtypes: frozenset[DType], gives: DType | None) -> Callable[..., Any]:
    """Return a launcher for an op, from its ``expr``.

    Parameters
    ----------
    prim
        The op: its name, inputs, module, ``expr`` and signature are read.
    dtypes
        Dtypes the inputs may have.  (An input called ``condition`` is bool.)
    gives
        Dtype of the result where it is not that of the inputs.
    """
    params = tuple(p.name for p in prim.__signature__.parameters.values() if p.kind is p.KEYWORD_ONLY)
    op = _Op(prim.name, prim.inputs, params, prim.expr, dtypes, gives)
    family = prim.module.rpartition(".")[2]
    _FAMILIES.setdefault(family, {})[op.name] = op
    kernels: dict[tuple[str, bool], Kernel] = {}

    def kernel(kind: str, repeated: bool) -> Kernel:
        found = kernels.get((kind, repeated))
        if found is None:
            name, text, parameters = f"{family}_{kind}.cu", _text(family, kind), op.parameters(repeated)
            found = kernels[kind, repeated] = Kernel.from_source(name, text, op.entry(repeated), parameters)
        return found

    def launch(*arrays: Any, **values: Any) -> Any:
        dtype = arrays[-1].dtype
        if dtype not in dtypes:
            return NotImplemented
        backend = backend_of(arrays[0])
        plan = _plan(tuple([a.shape for a in arrays]))
        y = backend.empty(plan.shape, gives or dtype)
        if plan.size == 0:
            return y
        scalars = [float(values[p]) for p in params]
        kind = _KIND_OF[dtype]
        if plan.axes is not None:
            grid, block = geometry(plan.size, 1)
            kernel(kind, True)(grid, block, *arrays, y, plan.size, *plan.axes, *scalars, T=ctype(dtype))
            return y
        steps = plan.steps
        if steps is None:  # too many axes, or elements: write the repetition out
            arrays = tuple(backend.xp.ascontiguousarray(backend.xp.broadcast_to(a, plan.shape)) for a in arrays)
            arrays = tuple(map(backend.coerce, arrays))
            steps = (1,) * len(arrays)
        grid, block = geometry(plan.size)
        sizes = (plan.size,) if len(arrays) == 1 else (plan.size, *steps)
        kernel(kind, False)(grid, block, *arrays, y, *sizes, *scalars, T=ctype(dtype))
        return y

    return launch


# -- casts

_CAST = """// Generated: y = x in another type.
#include "gradlib/elementwise.cuh"

#ifndef T
#define T float
#endif
#ifndef OUT
#define OUT double
#endif

extern "C" __global__ void __launch_bounds__(256)
cast(const T* __restrict__ x, OUT* __restrict__ y, long long n) {
  map(y, n, [=](acc_t<T> v) -> acc_t<OUT> { return acc_t<OUT>(v); }, operand(x));
}
"""

_cast = Kernel.from_source("cast.cu", _CAST, "cast", "x y | n")


def cast_kernel(x: Any, *, dtype: DType) -> Any:
    """Launcher of the op `cast`."""
    if is_complex(x.dtype) or is_complex(dtype):
        return NotImplemented
    y = backend_of(x).empty(x.shape, dtype)
    if x.size:
        _cast(*geometry(x.size), x, y, x.size, T=ctype(x.dtype), OUT=ctype(dtype))
    return y
