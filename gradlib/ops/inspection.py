"""What this namespace offers, in the Array API standard's words: ``__array_namespace_info__``, and its constants."""

from __future__ import annotations

import math
from typing import Any

from .. import backend as backends
from ..core import current_device
from ..spec import COMPLEX, FLOATING, INTEGER, REDUCED, DType, bool_, default_complex, default_float, int64
from .dtypes import kind_of

__all__ = ["__array_namespace_info__", "e", "inf", "nan", "newaxis", "pi"]

e = math.e
inf = math.inf
nan = math.nan
newaxis = None
pi = math.pi


class NamespaceInfo:
    """What `__array_namespace_info__` returns."""

    def capabilities(self) -> dict[str, Any]:
        """Return what is possible: masks as indices, shapes that depend on values, axes without limit but NumPy's."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Return the device on which new tensors are made."""
        return current_device()

    def default_dtypes(self, *, device: str | None = None) -> dict[str, DType]:
        """Return the dtypes that Python's numbers become."""
        return {
            "real floating": default_float, "complex floating": default_complex, "integral": int64, "indexing": int64,
        }  # fmt: skip

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, DType]:
        """Return the dtypes of the standard, or those of a kind, by name; float16 and bfloat16 are beside it."""
        every = [d for d in (bool_, *INTEGER, *FLOATING, *COMPLEX) if d not in REDUCED]
        chosen = every if kind is None else kind_of("dtypes(kind)", kind)
        return {d.name: d for d in every if d in chosen}

    def devices(self) -> list[str]:
        """Return the names of the devices that can be used here."""
        return [name for name in backends.DEVICES if backends.available(name)[0]]


def __array_namespace_info__() -> NamespaceInfo:  # noqa: N807  (the standard's name)
    """Return what this namespace offers: capabilities, devices, dtypes and their defaults.

    >>> import gradlib as gl
    >>> gl.__array_namespace_info__().default_dtypes()["real floating"]
    dtype('float32')
    """
    return NamespaceInfo()
