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


def device_of(x: Array) -> str:
    """Return the device of a Tensor or an array."""
    return str(backends.backend_of(plain(x)).name)


def placed(x: Any, like: Array) -> Array:
    """Return an array of the host on the device of another, and what is not one as it is."""
    return beside(x, like) if type(x) is np.ndarray else x


def known(x: Any) -> bool:
    """Whether the values can be read: they cannot where they differ from example to example under `vmap`."""
    return not isinstance(plain(x), Batched)
