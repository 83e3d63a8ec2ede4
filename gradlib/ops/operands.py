"""Front functions that look at an array before an op does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from .. import backend as backends
from ..core import Tensor
from ..errors import DTypeError

__all__ = ["of_arrays"]

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
