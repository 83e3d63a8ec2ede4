"""Between host and device: constants beside an array, and values that the shape of a computation depends on."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Batched, Tensor

Array = Any


def plain(x: Array) -> Array:
    """Return the array of a Tensor, an array itself."""
    return x.data if isinstance(x, Tensor) else x


def on_host(x: Any) -> Any:
    """Return a Tensor, an array of any device or a list as a NumPy array."""
    array = plain(x)
    return np.asarray(backends.backend_of(array).to_host(array)) if backends.is_array(array) else np.asarray(array)


def beside(values: Any, like: Array) -> Array:
    """Return a host array on the device of another."""
    return backends.backend_of(plain(like)).asarray(np.ascontiguousarray(values))


def known(x: Any) -> bool:
    """Whether the values can be read: they cannot where they differ from example to example under `vmap`."""
    return not isinstance(plain(x), Batched)
