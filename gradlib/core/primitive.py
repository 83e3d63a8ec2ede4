"""`Primitive`: everything about one op in one place.

A *leaf* has `impl(xp, ...)` and derivative rules written in other ops.  A *fused* op has only a
composite; its derivatives follow from it, and kernels only make it fast.  Its backward is itself a
fused primitive, whose composite is the vjp of the composite.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DTypeError, GradientError, message, operand
from ..kernel import Plan, Planner, Record
from ..spec import STORAGE, Spec, is_complex, is_floating, spec_of

if TYPE_CHECKING:
    from .chained import Chain

Rule = Callable[..., Any]

PRIMITIVES: dict[str, Primitive] = {}  # every declared op by name: what the registry tests walk


class Saved(NamedTuple):
    """What a forward launcher returns when its backward kernel wants more than the inputs."""

    outputs: Any
    residuals: tuple[Any, ...]


class Primitive:
    """An op: its definition, shape rule, derivative, kernels and samples.  Calling it applies it."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        fused: bool,
        infer: Callable[..., Any],
        vjp: Rule | Sequence[Rule | None] | None = None,
        saves: Sequence[str] | None = None,
        jvp: Rule | None = None,
        linear: bool = False,
        promote: str | None = None,
        broadcasts: bool = False,
        view: bool = False,
        moves: bool = False,
        wide: bool = False,
        partial: bool = False,
        joint: bool = False,
        complex: bool | None = None,
        outputs: int = 1,
        expr: str | None = None,
        samples: Callable[[], Any] | None = None,
        doc: str | None = None,
    ) -> None:
        self.name = name
        self.module = function.__module__
        self.fused = fused
        self.impl = None if fused else function
        self.composite = function if fused else None
        self.infer = infer
        self.linear = linear  # linear in all its array inputs together: then jvp is the op itself
        self.jvp = jvp
        self.promote = promote  # "same": common dtype; "float": also integers become float32; None: as they come
        self.broadcasts = broadcasts  # gradients are summed back to each input's shape by the sweep
        self.view = view  # the output may share the input's buffer
        self.moves = moves  # only moves or copies data, of 8-bit floats too: never widened to float32
        self.wide = wide  # takes no float16 or bfloat16: its derivative reads an answer that must not be rounded
        self.partial = partial  # its rule takes None for the cotangent of an output that nothing depended on
        self.joint = joint  # one rule, rule(needs, g, ans, *inputs), gives all gradients: they share work
        # takes complex dtypes, with rules that transpose without conjugating
        self.complex = moves if complex is None else complex
        self.outputs = outputs
        self.expr = expr  # one C expression per element, for the kernel generator
        self.samples = samples
        self.launchers: dict[str, Callable[..., Any]] = {}
        self._wants_save: dict[str, bool] = {}
        self.batch: Callable[..., Any] | None = None  # the rule of `vmap`; see core/batching.py
        self.draws = False  # random: under `vmap` every example draws its own
        self.opaque = False  # its backward is a function of its own, not the vjp of the composite
        self.derived = False  # the backward of a fused op: where it is recorded itself, its composite runs
        self.chain: Chain | None = None  # how its backward shares passes with its neighbours'
        self.strided: set[str] = set()  # devices whose launcher takes arrays of any strides
        self.planner: Planner | None = None  # of launchers that can be planned: see kernel/plan.py
        self._specs: dict[Any, Any] = {}
        self._backward: Primitive | None = None
        self._keeps: dict[tuple[int, int], tuple[list[bool] | None, bool]] = {}
        self.__doc__ = doc or function.__doc__
        self.__name__ = self.__qualname__ = name
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())[0 if fused else 1 :]
        self.__signature__ = signature.replace(parameters=parameters)
        self.inputs = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        self.call = f"{name}({', '.join(self.inputs)})"  # how messages show it
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self._defaults = {
            p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty
        }
        self._static = sum(p.kind is p.KEYWORD_ONLY for p in parameters)
        self._optional = [p.default for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.vjp = vjp
        self.differentiable = fused or vjp is not None
        self.saves: tuple[frozenset[str], ...] = self._parse_saves(saves)

    def _parse_saves(self, saves: Sequence[str] | None) -> tuple[frozenset[str], ...]:
        if self.vjp is None or callable(self.vjp):
            return (frozenset((saves or "").split() if isinstance(saves, str) or saves is None else saves),)
        rules = list(self.vjp)
        texts = [""] * len(rules) if saves is None else list(saves)
        if len(rules) != len(self.inputs) or len(texts) != len(rules):
            raise ValueError(f"{self.name}: need one vjp rule and one saves entry per input {self.inputs}")
        parsed = tuple(frozenset(text.split()) for text in texts)
        unknown = frozenset().union(*parsed) - {*self.inputs, "ans"}
        if unknown:
            raise ValueError(f"{self.name}: saves names {sorted(unknown)}, not an input nor 'ans'")
        return parsed

    # -- calling

    def __call__(self, *args: Any, **params: Any) -> Any:
        if len(args) < len(self.inputs) and not self.variadic:
            args = self._fill(args, params)
        if self._defaults and len(params) < self._static:
            params = {**self._defaults, **params}
        return _apply(self, args, params)

    def _fill(self, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Take array arguments given by keyword, and the defaults of those left out."""
        full = list(args)
        for name, default in zip(self.inputs[len(args) :], self._optional[len(args) :], strict=True):
            value = params.pop(name, default)
            if value is inspect.Parameter.empty:
                raise TypeError(f"{self.call}: argument {name!r} is missing")
            full.append(value)
        return tuple(full)

    def __repr__(self) -> str:
        return f"<{'fused' if self.fused else 'leaf'} op {self.name}{self.__signature__}>"

    # -- what is known without computing

    def spec(self, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
        """Return the output Spec (or tuple of Specs), checking the inputs; remembered by shapes, dtypes and params."""
        try:
            key = (tuple([None if a is None else (a.shape, a.dtype) for a in arrays]), tuple(params.items()))
            found = self._specs.get(key)
        except TypeError:  # an unhashable parameter, such as an index array
            return self._infer(arrays, params)
        if found is None:
            found = self._infer(arrays, params)
            if len(self._specs) >= 4096:
                self._specs.clear()
            self._specs[key] = found
        return found

    def _infer(self, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
        if not self.complex:
            for a in arrays:
                if a is not None and is_complex(a.dtype):
                    self._refuse(arrays, a.dtype, "need a real dtype: gl.real(x), gl.imag(x) or gl.abs(x)")
        self.refuse_storage(arrays)
        try:
            return self.infer(*[None if a is None else spec_of(a) for a in arrays], **params)
        except AttributeError:  # a shape rule looked at an input that it cannot do without
            given = zip(self.inputs, arrays, self._optional, strict=False)
            missing = [name for name, a, default in given if a is None and default is inspect.Parameter.empty]
            if not missing:
                raise
            text = f"{self.call}: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} None"
            raise DTypeError(f"{text}\n  need a Tensor or an array: gl.tensor(...)") from None

    def refuse_storage(self, arrays: Sequence[Any]) -> None:
        """Refuse 8-bit floats, unless the op only moves them."""
        if not self.moves:
            for a in arrays:
                if getattr(a, "dtype", None) in STORAGE:
                    self._refuse(arrays, a.dtype, "8-bit floats only store: need x.to(gl.float32), or scaled_mm")

    def _refuse(self, arrays: Sequence[Any], dtype: Any, fix: str) -> None:
        names = [*self.inputs, *(f"input {i}" for i in range(len(self.inputs), len(arrays)))]
        lines = [operand(n, x) for n, x in zip(names, arrays, strict=False) if x is not None]
        raise DTypeError(message(f"{self.call}: not defined for {dtype}", lines, fix))

    # -- kernels

    def kernel(
        self, *devices: str, strided: bool = False, planned: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Attach a launcher: ``@dense.kernel("cuda")``.  One for ``"cuda"`` serves ``"sim"`` too.

        It gets contiguous arrays (as they are if `strided`) and the params, and returns the output (or `Saved`), or
        `NotImplemented` to let the definition run.  A keyword `save` tells whether the call is recorded.  `planned`:
        it need not be called for every call, since what it does can be done again by a plan (kernel/plan.py).
        """

        def attach(launcher: Callable[..., Any]) -> Callable[..., Any]:
            self.planner = Planner() if planned else None
            for device in devices:
                for served in ("cuda", "sim") if device == "cuda" else (device,):
                    self.launchers[served] = launcher
                    self._wants_save[served] = "save" in inspect.signature(launcher).parameters
                    (self.strided.add if strided else self.strided.discard)(served)
            return launcher

        return attach

    def launch(self, backend: Any, arrays: Sequence[Any], params: dict[str, Any], save: bool) -> Any:
        """Run the launcher for a device, or return `NotImplemented`."""
        launcher = self.launchers.get(backend.name)
        if launcher is None:
            return NotImplemented
        extra = {"save": save} if self._wants_save[backend.name] else {}
        planned = None if self.planner is None else self.planner.look(backend, arrays, params, save)
        if type(planned) is Plan and (done := planned.run(arrays)) is not None:
            return Saved(*done)
        if type(planned) is Record:
            with planned:
                out = launcher(*planned.inputs, **extra, **params)
            outputs, residuals = out if type(out) is Saved else (out, ())
            self.planner.keep(planned, outputs, residuals, params)  # type: ignore[union-attr]
        else:
            out = launcher(*arrays, **extra, **params)
        if out is NotImplemented and _declines is not None and not _any_complex(arrays):
            shown = [a if a is None else f"{_kind(a.dtype)}{list(a.shape)}" for a in arrays]
            _declines.append(f"{self.name}({', '.join(map(str, shown))}, {params})")
        return out

    # -- derivative

    def keeps(self, mask: int, count: int) -> tuple[list[bool] | None, bool]:
        """Return which inputs, and whether the output, to keep when the inputs in the bit `mask` want a gradient.

        None: no input.
        """
        found = self._keeps.get((mask, count))
        if found is None:
            keep, answer = self._plan_keeps(mask, count)
            found = self._keeps[mask, count] = (keep if any(keep) else None), answer
        return found

    def _plan_keeps(self, mask: int, count: int) -> tuple[list[bool], bool]:
        if self.fused:  # its backward may read any input; what is freed is everything inside it
            return [True] * count, False
        names = frozenset().union(*[s for i, s in enumerate(self.saves) if callable(self.vjp) or mask >> i & 1])
        if self.variadic:
            return [bool(names - {"ans"})] * count, "ans" in names
        return [name in names for name in self.inputs], "ans" in names

    @property
    def backward(self) -> Primitive:
        """The fused backward: takes (inputs, one cotangent per output, residuals), gives one gradient per input.

        Its `needs` says which inputs want a gradient; the others' outputs are None.
        """
        if not self.fused:
            raise GradientError(f"{self.name} is a leaf op: it has vjp rules, not a backward primitive")
        if self._backward is None:
            self._backward = _make_backward(self)
        return self._backward


def _any_complex(arrays: Sequence[Any]) -> bool:
    """Whether the definition is meant to serve a call: there are few kernels for complex arrays."""
    return any(a is not None and is_complex(a.dtype) for a in arrays)


def _kind(dtype: Any) -> str:
    return "float" if is_floating(dtype) else str(dtype)


_declines: list[str] | None = None


@contextmanager
def declines() -> Iterator[list[str]]:
    """Collect the calls that a launcher declined, so that tests can list them."""
    global _declines
    before, _declines = _declines, []
    try:
        yield _declines
    finally:
        _declines = before


_apply: Callable[..., Any]
_make_backward: Callable[[Primitive], Primitive]


def _install(apply: Callable[..., Any], make_backward: Callable[[Primitive], Primitive]) -> None:
    """Close the circle: `apply` and the derived backward are defined in terms of Primitive."""
    global _apply, _make_backward
    _apply, _make_backward = apply, make_backward


def _declare(primitive: Primitive) -> Primitive:
    known = PRIMITIVES.get(primitive.name)
    if known is not None and known.module != primitive.module:  # the same module again: a re-run notebook cell
        raise ValueError(f"an op called {primitive.name!r} exists already")
    PRIMITIVES[primitive.name] = primitive
    return primitive


def leaf(name: str, **declaration: Any) -> Callable[[Callable[..., Any]], Primitive]:
    """Declare an op by ``impl(xp, *arrays, **params)``, which must run on NumPy and on CuPy.

    ``vjp`` is one rule per input, ``rule(g, ans, *inputs, **params)``, written in ops that have
    derivatives themselves; None marks an input without one.  An op with a variable number of
    inputs gives a single rule, ``rule(i, g, ans, *inputs, **params)``.  ``saves`` names, per rule,
    what it reads (``"x1 ans"``); whatever it does not name arrives as its `Spec`.  Complex dtypes are refused
    unless ``complex=True`` says that the rules are right for them: g times f'(x), never conjugated.
    """
    return lambda impl: _declare(Primitive(name, impl, fused=False, **declaration))


def fused(name: str, **declaration: Any) -> Callable[[Callable[..., Any]], Primitive]:
    """Declare an op by a composite: the same mathematics in other ops, from which every derivative follows."""
    return lambda composite: _declare(Primitive(name, composite, fused=True, **declaration))


def first_spec(spec: Any) -> Spec:
    """Return the Spec of the first (or only) output."""
    return spec if isinstance(spec, Spec) else spec[0]
