"""`linearize`, `jacobian`, `hessian`, `hvp`: derivatives as linear maps and as arrays.

A Jacobian is the pullback (or the pushforward) applied to a basis by `vmap`: the tape is recorded once, and
the number of Nodes does not depend on how many rows or columns there are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Linear, Tensor, op
from ..errors import GradientError, ShapeError, message, operand
from ..spec import is_complex, is_differentiable, promote
from .derivative import _as_output, _check_like, _name, _operands, _result, grad, pushed_forward
from .tree import Build, flatten
from .vmap import vmap


class _Traced:
    """A function of containers, made linear at the chosen arguments."""

    def __init__(self, what: str, f: Callable[..., Any], args: tuple[Any, ...], chosen: Sequence[int], kwargs: Any):
        leaves, self.rebuild_input = flatten(tuple(args[n] for n in chosen))
        values, self.plain = _operands(what, f, leaves)
        structure: list[Build] = []

        def flat(*xs: Any) -> Any:
            full = list(args)
            for n, value in zip(chosen, self.rebuild_input(list(xs)), strict=True):
                full[n] = value
            outputs, unflatten = flatten(f(*full, **kwargs))
            structure.append(unflatten)
            return tuple(_as_output(f, y) for y in outputs)

        self.linear = Linear(flat, values, [True] * len(values))
        self.inputs = values
        self.rebuild_output = structure[0]


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Return ``(f(*primals), pushforward)``: ``pushforward(*tangents)`` is J t, without running `f` again.

    >>> import gradlib as gl
    >>> y, pushforward = gl.linearize(gl.sin, gl.tensor(0.0))
    >>> pushforward(gl.tensor(2.0))
    tensor(2., dtype=float32)
    """
    traced = _Traced("linearize", f, primals, range(len(primals)), {})

    def pushforward(*tangents: Any) -> Any:
        ts, _ = flatten(tangents)
        if len(ts) != len(traced.inputs):
            raise ShapeError(f"pushforward of {_name(f)}: got {len(ts)} tangents for {len(traced.inputs)} primals")
        ts = [_operands("linearize", f, [t])[0][0] for t in ts]
        for x, t in zip(traced.inputs, ts, strict=True):
            _check_like(f"pushforward of {_name(f)}", "tangent", t, "primal", x)
        return traced.rebuild_output([_result(t, traced.plain) for t in traced.linear.pushforward(ts)])

    return traced.rebuild_output([_result(y, traced.plain) for y in traced.linear.values]), pushforward


def jacobian(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, mode: str = "auto", holomorphic: bool = False
) -> Callable[..., Any]:
    """Return the function that computes the Jacobian, ``J[i, j] = d f_i / d x_j``.

    Parameters
    ----------
    f : function of containers of arrays, with a container of arrays as its result.
    argnums : which argument; a tuple gives a tuple of Jacobians.
    mode : ``"reverse"``, a row at a time in mathematics and all rows at once here; ``"forward"``, all columns;
        ``"auto"`` takes what has fewer of them.
    holomorphic : whether `f` maps complex numbers to complex ones, and is holomorphic.  (A complex function of real
        arguments needs forward mode, a real one of complex arguments reverse mode: ``"auto"`` sees to it.)

    Returns
    -------
    callable : its result has the structure of f's, with the argument's structure in the place of each array,
        of shape ``output.shape + input.shape``.

    >>> import gradlib as gl
    >>> gl.jacobian(lambda x: x * x)(gl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]], dtype=float32)
    """
    if mode not in ("auto", "reverse", "forward"):
        raise ValueError(f'jacobian(mode): mode is {mode!r}\n  need "auto", "reverse" or "forward"')
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(f)
    def compute(*args: Any, **kwargs: Any) -> Any:
        for n in chosen:
            if not -len(args) <= n < len(args):
                raise IndexError(
                    f"jacobian({_name(f)}, argnums={argnums}): the function was called with {len(args)} arguments"
                )
        traced = _Traced("jacobian", f, args, chosen, kwargs)
        outputs = traced.linear.values
        for y in outputs:
            if not is_differentiable(y.dtype):
                raise GradientError(
                    message(f"jacobian({_name(f)}): the function returned {y.dtype}", [operand("result", y)])
                )
        reverse = _by_rows(f"jacobian({_name(f)})", traced.inputs, outputs, mode, holomorphic)
        table = (_rows if reverse else _columns)(traced)
        blocks = []
        for row in table:
            block = traced.rebuild_input([_result(entry, traced.plain) for entry in row])
            blocks.append(block[0] if isinstance(argnums, int) else block)
        return traced.rebuild_output(blocks)

    return compute


def _by_rows(what: str, inputs: Sequence[Any], outputs: Sequence[Any], mode: str, holomorphic: bool) -> bool:
    """Return whether reverse mode it is; refuse where one number per entry cannot hold the derivative."""
    rows, columns = sum(y.size for y in outputs), sum(int(x.size) for x in inputs)
    complex_in, complex_out = any(is_complex(x.dtype) for x in inputs), any(is_complex(y.dtype) for y in outputs)
    if holomorphic:
        for x in (*inputs, *outputs):
            if not is_complex(x.dtype):
                raise GradientError(f"{what}: holomorphic=True, and {x.dtype} among arguments and results")
    elif complex_in and complex_out:
        raise GradientError(f"{what}: a complex function of complex arguments\n  need holomorphic=True, or gl.jvp")
    elif complex_in or complex_out:
        only = "reverse" if complex_in else "forward"
        if mode not in ("auto", only):
            what = f"{what}: a {'real function of complex' if complex_in else 'complex function of real'} arguments"
            raise GradientError(f'{what}\n  need mode="{only}"')
        return complex_in
    return mode == "reverse" or (mode == "auto" and rows <= columns)


def _basis(x: Any) -> Any:
    """Return the unit arrays of x's shape, stacked."""
    shape, n = tuple(x.shape), math.prod(x.shape)
    backend = backends.backend_of(x.data if isinstance(x, Tensor) else x)
    return Tensor(backend.asarray(np.eye(n, dtype=x.dtype).reshape(n, *shape)))


def _zeros(x: Any) -> Any:
    backend = backends.backend_of(x.data if isinstance(x, Tensor) else x)
    return Tensor(backend.zeros(tuple(x.shape), x.dtype))


def _rows(traced: _Traced) -> list[list[Any]]:
    """For each output, its Jacobian in every input: the pullback of all its unit cotangents at once."""
    outputs = traced.linear.values
    table = []
    for k, y in enumerate(outputs):
        if y.size == 0:
            table.append([_zeros_of(y, x) for x in traced.inputs])
            continue
        others = [_zeros(other) for other in outputs]

        def pullback(g: Any, k: int = k, others: list[Any] = others) -> Any:
            return tuple(traced.linear.pullback([*others[:k], g, *others[k + 1 :]]))

        grads = vmap(pullback)(_basis(y))
        table.append([op.reshape(g, (*y.shape, *x.shape)) for g, x in zip(grads, traced.inputs, strict=True)])
    return table


def _columns(traced: _Traced) -> list[list[Any]]:
    """The same by the pushforward of all unit tangents of each input at once."""
    outputs = traced.linear.values
    table: list[list[Any]] = [[] for _ in outputs]
    for k, x in enumerate(traced.inputs):
        if math.prod(x.shape) == 0:
            for row, y in zip(table, outputs, strict=True):
                row.append(_zeros_of(y, x))
            continue
        others = [_zeros(other) for other in traced.inputs]

        def pushforward(t: Any, k: int = k, others: list[Any] = others) -> Any:
            return tuple(traced.linear.pushforward([*others[:k], t, *others[k + 1 :]]))

        for row, y, ts in zip(table, outputs, vmap(pushforward, out_axes=-1)(_basis(x)), strict=True):
            row.append(op.reshape(ts, (*y.shape, *x.shape)))
    return table


def _zeros_of(y: Any, x: Any) -> Any:
    backend = backends.backend_of(y.data)
    return Tensor(backend.zeros((*y.shape, *x.shape), promote((y.dtype, x.dtype))))


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, mode: str = "forward") -> Callable[..., Any]:
    """Return the function that computes the second derivatives of the scalar `f`: the Jacobian of its gradient.

    ``mode`` is how that Jacobian is taken: forward over reverse, or reverse over reverse.  The result has the
    argument's structure twice, of shapes ``x.shape + x.shape``.

    >>> import gradlib as gl
    >>> gl.hessian(lambda x: x[0] * x[0] * x[1])(gl.tensor([3.0, 5.0]))
    tensor([[10.,  6.],
            [ 6.,  0.]], dtype=float32)
    """
    return jacobian(grad(f, argnums), argnums, mode)


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Return the product of the Hessian of the scalar `f` and `tangents`: the directional derivative of the gradient.

    It has the structure of `primals`; for one primal it is the array itself.  The Hessian is never made.

    >>> import gradlib as gl
    >>> x, v = gl.tensor([3.0, 5.0]), gl.tensor([1.0, 0.0])
    >>> gl.hvp(lambda x: x[0] * x[0] * x[1], (x,), (v,))
    tensor([10.,  6.], dtype=float32)
    """
    count = len(primals) if isinstance(primals, (tuple, list)) else 1
    result = pushed_forward("hvp", grad(f, argnums=tuple(range(count))), primals, tangents)[1]
    return result[0] if len(primals) == 1 else result
