"""`grad`, `value_and_grad`, `vjp`, `jvp`: derivatives of functions, as in JAX.

They compose: the derivative of a function that itself calls `grad` is the second derivative, through
every op.  Arguments and results may be nested dicts, lists and tuples of Tensors or arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import backend as backends
from ..core import Tensor, asarray
from ..core import jvp as _jvp
from ..core import vjp as _vjp
from ..errors import DTypeError, GradientError, ShapeError, message, operand
from ..spec import is_complex, is_differentiable
from .tree import flatten


def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """Return the function that computes the gradient of the scalar function `f`.

    Parameters
    ----------
    f : callable returning a single floating element (with ``has_aux``: a pair ``(value, anything)``).
    argnums : which positional argument to differentiate with respect to; a tuple gives a tuple of gradients.
    has_aux : whether `f` returns auxiliary data, handed on beside the gradient.
    holomorphic : whether `f` maps complex numbers to a complex one, and is holomorphic.

    Returns
    -------
    callable : takes what `f` takes; its result has the structure, shapes and dtypes of the argument.

    Raises
    ------
    ShapeError : `f` returned more than one element.
    GradientError : an argument, or the result, is not floating.

    Notes
    -----
    The gradient of a real `f` at a complex ``z = x + iy`` is ``df/dx - i df/dy``, so that
    ``df = Re(grad * dz)`` (JAX's convention; PyTorch's is the conjugate): go down along ``-conj(grad)``.
    That of a holomorphic one is its complex derivative f'(z).

    >>> import gradlib as gl
    >>> gl.grad(lambda x: x * x * x)(2.0)
    tensor(12., dtype=float32)
    >>> gl.grad(lambda z: z * z, holomorphic=True)(1 + 1j)
    tensor(2.+2.j, dtype=complex64)
    """
    compute = value_and_grad(f, argnums, has_aux, holomorphic)

    @functools.wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = compute(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """Return the function that computes ``(f(...), gradient)``; parameters as for `grad`.

    >>> import gradlib as gl
    >>> gl.value_and_grad(lambda x: x * x)(3.0)
    (tensor(9., dtype=float32), tensor(6., dtype=float32))
    """

    @functools.wraps(f)
    def compute(*args: Any, **kwargs: Any) -> Any:
        chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        name = getattr(f, "__name__", "f")
        for n in chosen:
            if not -len(args) <= n < len(args):
                raise IndexError(f"grad({name}, argnums={argnums}): the function was called with {len(args)} arguments")
        aux: Any = None

        def scalar(*primals: Any) -> Any:
            full = list(args)
            for n, primal in zip(chosen, primals, strict=True):
                full[n] = primal
            value = f(*full, **kwargs)
            if has_aux:
                nonlocal aux
                value, aux = value
            return _checked_scalar(name, value, holomorphic), [x for x in flatten(aux)[0] if _is_made(x)]

        scalar.__name__ = name
        (value, made), pullback = _pulled_back("grad", scalar, tuple(args[n] for n in chosen))
        one = asarray(1, dtype=value.dtype, device=_device(value))
        ones = one.reshape(value.shape) if value.shape else one
        grads = pullback((ones if isinstance(value, Tensor) else ones.data, [None] * len(made)))
        result = grads[0] if isinstance(argnums, int) else grads
        if not has_aux:
            return value, result
        if made:  # auxiliary results are not on the tape of this derivative either
            leaves, rebuild = flatten(aux)
            released = iter(made)
            aux = rebuild([next(released) if _is_made(x) else x for x in leaves])
        return (value, aux), result

    return compute


def _is_made(x: Any) -> bool:
    return isinstance(x, Tensor) and x.node is not None


def _checked_scalar(name: str, value: Any, holomorphic: bool) -> Any:
    if not isinstance(value, Tensor) and not backends.is_array(value):
        raise DTypeError(f"grad({name}): the function returned {type(value).__name__}, not a Tensor")
    if value.size != 1:
        raise ShapeError(
            message(
                f"grad({name}): the function returned {value.size} elements; a gradient is of one",
                [operand("result", value)],
                "need f(...).sum(), or gl.vjp for a chosen cotangent",
            )
        )
    if not is_differentiable(value.dtype):
        raise GradientError(f"grad({name}): the function returned {value.dtype}, which has no gradient")
    if is_complex(value.dtype) != holomorphic:
        fix = "leave holomorphic=True out" if holomorphic else "need gl.real(...) of it, or holomorphic=True"
        raise GradientError(f"grad({name}, holomorphic={holomorphic}): the function returned {value.dtype}\n  {fix}")
    return value


def _device(value: Any) -> str:
    return backends.backend_of(value.data if isinstance(value, Tensor) else value).name  # type: ignore[no-any-return]


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return ``(f(*primals), pullback)``: the pullback maps a cotangent g to ``g^T J``, one entry per primal.

    The cotangent has the structure, shapes and dtypes of the result (None stands for zeros); the pullback may be
    called again.
    It is the transpose of the differential, without conjugating: Re <pullback(g), t> = Re <g, J t> with
    <u, v> the sum of u v, for complex numbers too.

    >>> import gradlib as gl
    >>> y, pullback = gl.vjp(lambda a, b: a * b, gl.tensor([1.0, 2.0]), gl.tensor([3.0, 4.0]))
    >>> pullback(gl.tensor([1.0, 10.0]))
    (tensor([ 3., 40.], dtype=float32), tensor([ 1., 20.], dtype=float32))
    """
    return _pulled_back("vjp", f, primals)


def _pulled_back(
    what: str, f: Callable[..., Any], primals: tuple[Any, ...]
) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Do what `vjp` says; `what` is how errors call it."""
    leaves, rebuild = flatten(primals)
    values, plain = _operands(what, f, leaves)
    structure: list[Any] = []

    def flat(*xs: Any) -> Any:
        outputs, unflatten = flatten(f(*rebuild(list(xs))))
        structure.append(unflatten)
        return tuple(_as_output(f, y) for y in outputs)

    ys, back = _vjp(flat, values, [True] * len(values))
    unflatten = structure[0]

    def pullback(cotangents: Any) -> tuple[Any, ...]:
        gs, _ = flatten(cotangents)
        if len(gs) != len(ys):
            raise ShapeError(f"pullback of {_name(f)}: got {len(gs)} cotangents for {len(ys)} outputs")
        for g, y in zip(gs, ys, strict=True):
            if g is None:
                continue
            _check_like(f"pullback of {_name(f)}", "cotangent", g, "output", y)
        return rebuild([_result(g, plain) for g in back(gs)])  # type: ignore[no-any-return]

    return unflatten([_result(y, plain) for y in ys]), pullback


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return ``(f(*primals), J t)``: the value and its directional derivative along `tangents`, in forward mode.

    >>> import gradlib as gl
    >>> gl.jvp(lambda x: x * x, (gl.tensor(3.0),), (gl.tensor(1.0),))
    (tensor(9., dtype=float32), tensor(6., dtype=float32))
    """
    return pushed_forward("jvp", f, primals, tangents)


def pushed_forward(what: str, f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Do what `jvp` says; `what` is how errors call it."""
    call = f"{what}({_name(f)}, primals, tangents)"
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError(f"{call}: primals and tangents are tuples, one entry per argument of f")
    leaves, rebuild = flatten(tuple(primals))
    ts, _ = flatten(tuple(tangents))
    if len(ts) != len(leaves):
        raise ShapeError(f"{call}: {len(leaves)} primals and {len(ts)} tangents")
    values, plain = _operands(what, f, leaves)
    ts = [_operands(what, f, [t])[0][0] for t in ts]
    for x, t in zip(values, ts, strict=True):
        _check_like(call, "tangent", t, "primal", x)
    structure: list[Any] = []

    def flat(*xs: Any) -> Any:
        outputs, unflatten = flatten(f(*rebuild(list(xs))))
        structure.append(unflatten)
        return tuple(_as_output(f, y) for y in outputs)

    ys, out = _jvp(flat, values, ts)
    unflatten = structure[0]
    return unflatten([_result(y, plain) for y in ys]), unflatten([_result(t, plain) for t in out])


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", "f")


def _operands(what: str, f: Callable[..., Any], leaves: list[Any]) -> tuple[list[Any], bool]:
    """Return the primals as Tensors or arrays, and whether all were plain arrays."""
    values = [x if isinstance(x, Tensor) or backends.is_array(x) else asarray(x) for x in leaves]
    for x in values:
        if not is_differentiable(x.dtype):
            raise GradientError(
                message(
                    f"{what}({_name(f)}): gradient of {x.dtype}: only floating and complex dtypes have one",
                    [operand("primal", x)],
                    "need x.to(gl.float32), or argnums= that leave this argument out",
                )
            )
    return values, bool(leaves) and all(backends.is_array(x) for x in leaves)


def _as_output(f: Callable[..., Any], y: Any) -> Tensor:
    if isinstance(y, Tensor):
        return y
    if backends.is_array(y) or isinstance(y, (bool, int, float, complex)):
        return asarray(y)
    raise DTypeError(f"{_name(f)} returned {type(y).__name__}; a derivative needs Tensors, in dicts, lists or tuples")


def _check_like(what: str, name: str, value: Any, like_name: str, like: Any) -> None:
    if not isinstance(value, Tensor) and not backends.is_array(value):
        raise DTypeError(f"{what}: the {name} is of type {type(value).__name__}\n  need a Tensor or an array")
    lines = [operand(name, value), operand(like_name, like)]
    if tuple(value.shape) != tuple(like.shape):
        raise ShapeError(
            message(f"{what}: the {name}'s shape differs from the {like_name}'s", lines, "need equal shapes")
        )
    if value.dtype != like.dtype:
        raise DTypeError(
            message(f"{what}: the {name}'s dtype differs from the {like_name}'s", lines, "need equal dtypes")
        )


def _result(value: Any, plain: bool) -> Any:
    if plain:
        return value.data if isinstance(value, Tensor) and not value.requires_grad else value
    return value if isinstance(value, Tensor) else Tensor(value)
