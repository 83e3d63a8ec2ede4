"""`stop_gradient` and `custom_vjp`: derivatives that the user decides."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import backend as backends
from ..core import Batched, Tensor, at_level, op
from ..core.scopes import quiet, state
from ..errors import GradientError, ShapeError, message, operand
from ..spec import is_differentiable
from .derivative import _as_output
from .opaque import is_inside, is_tracked, outside_of_vmap, put_on_tape
from .tree import Build, flatten
from .vmap import vmap


def stop_gradient(x: Any) -> Any:
    """Return `x` (or a container of arrays) as a constant: y = x, dy = 0, at every level of differentiation.

    >>> import gradlib as gl
    >>> gl.grad(lambda x: x * gl.stop_gradient(x))(3.0)
    tensor(3., dtype=float32)
    """
    leaves, rebuild = flatten(x)
    return rebuild([_stopped(leaf) for leaf in leaves])


def _stopped(x: Any) -> Any:
    if isinstance(x, Batched):
        return Batched(x.frame, _stopped(x.value), x.over)
    if not isinstance(x, Tensor):
        return x
    return Tensor(_stopped(x.data)) if isinstance(x.data, Batched) else x.detach()


class custom_vjp:  # noqa: N801  (lower case: a decorator, as in JAX)
    """A function with a pullback of your own: ``@gl.custom_vjp``, then ``f.defvjp(forward, backward)``.

    ``forward(*args)`` returns ``(f(*args), residuals)``; ``backward(residuals, g)`` returns a tuple with one
    cotangent per argument, None for zero.  Higher orders differentiate these two functions, so write them in
    ops of gradlib.  Arguments may be containers; those at ``nondiff_argnums`` are handed first to
    ``backward`` instead of having a cotangent, as in JAX.

    >>> import gradlib as gl
    >>> @gl.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (gl.clip(g, -1.0, 1.0),))
    >>> gl.grad(lambda x: 5.0 * clipped(x))(2.0)
    tensor(1., dtype=float32)
    """

    def __init__(self, f: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        functools.update_wrapper(self, f)
        self._f = f
        self._fixed = tuple(nondiff_argnums)
        self._forward: Callable[..., Any] | None = None
        self._backward: Callable[..., Any] | None = None

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Set the two functions of the derivative."""
        self._forward, self._backward = forward, backward

    def __call__(self, *args: Any) -> Any:
        if self._forward is None or self._backward is None:
            raise GradientError(f"custom_vjp({self._name}): no derivative is set\n  need {self._name}.defvjp(...)")
        leaves, rebuild = flatten(args)
        if state.grad and any(map(is_tracked, leaves)):
            return self._record(args, leaves, rebuild)
        if state.frame is not None and not any(map(is_inside, leaves)):  # nothing of it differs between examples
            with state.frame.left():
                return self(*args)
        structure: list[Build] = []

        def flat(*xs: Any) -> tuple[Any, ...]:
            outputs, unflatten = flatten(self._f(*rebuild(list(xs))))
            structure.append(unflatten)
            return tuple(outputs)

        outputs = outside_of_vmap(lambda f, axes: self._batched(f, axes, rebuild, structure), flat, leaves)
        return self._f(*args) if outputs is None else structure[0](outputs)

    @property
    def _name(self) -> str:
        return getattr(self._f, "__name__", "f")

    def _pull(self, args: tuple[Any, ...], residuals: Any, g: Any) -> list[Any]:
        """Return one cotangent (or None) per leaf of the arguments."""
        assert self._backward is not None
        free = [i for i in range(len(args)) if i not in self._fixed]
        cotangents = self._backward(*[args[i] for i in self._fixed], residuals, g)
        if not isinstance(cotangents, (tuple, list)) or len(cotangents) != len(free):
            n = len(cotangents) if isinstance(cotangents, (tuple, list)) else 1
            raise ShapeError(
                f"custom_vjp({self._name}): backward returned {n} cotangents for {len(free)} arguments\n"
                f"  need a tuple with one for each"
            )
        by_place = dict(zip(free, cotangents, strict=True))
        result: list[Any] = []
        for i, arg in enumerate(args):
            xs, found = flatten(arg)[0], by_place.get(i)
            gs = [None] * len(xs) if found is None else flatten(found)[0]
            if len(gs) != len(xs):
                raise ShapeError(f"custom_vjp({self._name}): the cotangent of argument {i} has another structure")
            for x, g_x in zip(xs, gs, strict=True):
                if g_x is not None and hasattr(x, "shape") and tuple(g_x.shape) != tuple(x.shape):
                    lines = [operand("cotangent", g_x), operand("argument", x)]
                    what = f"custom_vjp({self._name}): the cotangent of argument {i} has another shape"
                    raise ShapeError(message(what, lines, "need equal shapes"))
            result += gs
        return result

    def _record(self, args: tuple[Any, ...], leaves: list[Any], rebuild: Build) -> Any:
        assert self._forward is not None
        forward = self._forward
        level = state.frame
        places = [i for i, x in enumerate(leaves) if is_tracked(x)]
        with quiet():
            out, residuals = forward(*args)
        outputs, unflatten = flatten(out)
        outputs = [_as_output(self._f, y) for y in outputs]
        tracked = [k for k, y in enumerate(outputs) if is_differentiable(y.dtype)]

        def backward(inputs: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
            full, kept = list(leaves), residuals
            if state.grad:  # the derivative of the derivative goes through `forward` too
                for i, x in zip(places, inputs, strict=True):
                    full[i] = x
                with at_level(level):
                    _, kept = forward(*rebuild(full))
            gs: list[Any] = [None] * len(outputs)
            for k, g in zip(tracked, cotangents, strict=True):
                gs[k] = g if g is None or isinstance(g, Tensor) else Tensor(g)
            gs = [Tensor(_zeros(y)) if g is None else g for g, y in zip(gs, outputs, strict=True)]
            grads = self._pull(rebuild(full), kept, unflatten(gs))
            wanted = [grads[i] for i in places]
            return [g.data if isinstance(g, Tensor) and not state.grad else g for g in wanted]

        results = iter(
            put_on_tape(
                f"custom_vjp({self._name})",
                [leaves[i] for i in places],
                [outputs[k].data for k in tracked],
                backward,
                [True] * len(places),
            )
        )
        return unflatten([next(results) if k in tracked else y for k, y in enumerate(outputs)])

    def _batched(
        self, flat: Callable[..., Any], axes: tuple[int | None, ...], rebuild: Build, structure: list[Build]
    ) -> custom_vjp:
        """Return this function for a batch of flat arguments."""
        forward = self._forward
        assert forward is not None

        def one_forward(*xs: Any) -> Any:
            out, residuals = forward(*rebuild(list(xs)))
            outputs, unflatten = flatten(out)
            structure.append(unflatten)
            return tuple(outputs), residuals

        def one_backward(xs: tuple[Any, ...], residuals: Any, gs: tuple[Any, ...]) -> Any:
            return tuple(self._pull(rebuild(list(xs)), residuals, structure[-1](list(gs))))

        def all_forward(*xs: Any) -> Any:
            outputs, residuals = vmap(one_forward, axes)(*xs)
            return outputs, (xs, residuals)

        def all_backward(kept: Any, gs: tuple[Any, ...]) -> Any:
            grads = vmap(one_backward, (axes, 0, 0))(kept[0], kept[1], gs)
            return tuple(
                g if g is None or axis is not None else op.sum(g, axis=0) for g, axis in zip(grads, axes, strict=True)
            )

        result = custom_vjp(vmap(flat, axes))
        result.defvjp(all_forward, all_backward)
        return result


def _zeros(y: Tensor) -> Any:
    return backends.backend_of(y.data).zeros(y.shape, y.dtype)
