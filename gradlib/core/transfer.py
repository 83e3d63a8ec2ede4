"""Moving a tensor between devices, differentiably: the gradient moves back."""

from __future__ import annotations

from typing import Any

from .. import backend as backends
from .apply import record
from .operators import op
from .primitive import leaf
from .scopes import state
from .tensor import Tensor


def to_device(x: Any, *, device: str) -> Any:
    """Return `x` on `device`; itself if it is there already."""
    array = x.data if isinstance(x, Tensor) else x
    source, target = backends.backend_of(array), backends.get(device)
    if source is target:
        return x
    host = source.to_host(array)
    moved = target.asarray(host.copy() if target.name != "cuda" and source.name != "cuda" else host)
    if not isinstance(x, Tensor):
        return moved
    if x.requires_grad and state.grad:
        return record(_transfer, (x,), {"device": device, "source": source.name}, moved, ())
    return Tensor(moved)


@leaf(
    "to_device",
    complex=True,
    infer=lambda x, device, source: x,
    vjp=(lambda g, ans, x, device, source: to_device(g, device=source),),
    jvp=lambda ts, ans, x, device, source: to_device(ts[0], device=device),
)
def _transfer(xp: Any, x: Any, *, device: str, source: str) -> Any:
    """y = x on another device (only ever recorded: an impl cannot leave its device)."""
    return x


op.register(to_device=to_device)
