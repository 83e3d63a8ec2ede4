"""Front functions that look at an array before an op does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from .. import backend as backends
from ..core import Tensor, op
from ..errors import DTypeError
from ..spec import REDUCED, float32, promote

__all__ = ["of_arrays", "widened"]

_ARRAYS = ("indices", "target")  # beside the first argument, always an array

F = TypeVar("F", bound=Callable[..., Any])


def of_arrays(function: F) -> F:
    """Let `function` say so, as the ops do, where its array argument is a list or another object without a shape.

    The arguments are looked at only when it has failed: a right call pays for one more call, a fifth of a microsecond.
    """

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except AttributeError:
            _refuse_others(function, args, kwargs)
            raise

    return checked  # type: ignore[return-value]


def widened(function: F) -> F:
    """Let `function` see float32 for float16 and bfloat16, and round its floating results once.

    For functions over `wide` primitives, whose derivatives read answers that must not be rounded.
    """

    @functools.wraps(function)
    def wide(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if getattr(a, "dtype", None) in REDUCED:
                break
        else:
            return function(*args, **kwargs)
        dtypes = [a.dtype for a in args if hasattr(a, "dtype")]
        result = function(*[op.cast(a, float32) if getattr(a, "dtype", None) in REDUCED else a for a in args], **kwargs)
        dtype = promote(dtypes)
        if type(result) is tuple:
            return tuple(_rounded(y, dtype) for y in result)
        if isinstance(result, tuple):  # a named one
            return type(result)(*[_rounded(y, dtype) for y in result])
        return _rounded(result, dtype)

    return wide  # type: ignore[return-value]


def _rounded(y: Any, dtype: Any) -> Any:
    return op.cast(y, dtype) if y.dtype == float32 and dtype in REDUCED else y


def _refuse_others(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY]
    call = f"{function.__name__}({', '.join(str(p).partition(':')[0].partition('=')[0] for p in parameters)})"
    bound = signature.bind(*args, **kwargs).arguments
    for p in parameters:
        if p is not parameters[0] and p.name not in _ARRAYS:
            continue
        value = bound[p.name]
        several = p.kind is p.VAR_POSITIONAL
        for i, x in enumerate(value if several else (value,)):
            if not isinstance(x, Tensor) and not backends.is_array(x):
                raise DTypeError(
                    f"{call}: {f'{p.name}[{i}]' if several else p.name} is of type {type(x).__name__}\n"
                    f"  need a Tensor or an array: gl.tensor(...)"
                ) from None
