"""The table through which core calls ops that are defined above it.

`core` needs a handful of ops (add two gradients, sum a broadcast away, cast) and the Tensor's methods
need all of them, but ops are built on core.  So `ops` fills this table as it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class _Operators:
    """Ops by name, as attributes: ``op.add(x, y)``."""

    def __getattr__(self, name: str) -> Any:  # only reached for what is not there
        raise AttributeError(f"no op called {name!r} is registered")

    def register(self, **ops: Callable[..., Any]) -> None:
        """Add ops under their names; a name is given once."""
        for name, function in ops.items():
            if name in self.__dict__:
                raise ValueError(f"op {name!r} is registered twice")
            self.__dict__[name] = function


op = _Operators()
