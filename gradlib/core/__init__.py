"""Tensor, Primitive, Node, apply, and the walks over the tape."""

from .apply import apply
from .batched import Batched, Frame, at_level, lift, per_example
from .batching import apply_batched
from .chained import Chain, Handed, Slope
from .debug import debug
from .forward import Linear, jvp
from .functional import vjp
from .fused import make_backward
from .interchange import from_dlpack
from .node import Node
from .operators import op
from .primitive import PRIMITIVES, Primitive, Saved, _install, fused, leaf
from .samples import apart, between, booleans, integers, sample
from .scopes import current_backend, current_device, device, enable_grad, is_grad_enabled, no_grad
from .tensor import Tensor, Version, asarray, ones_as, tensor, zeros_as
from .transfer import to_device
from .update import UPDATES, Update, update

_install(apply, make_backward)

__all__ = [
    "PRIMITIVES",
    "UPDATES",
    "Batched",
    "Chain",
    "Frame",
    "Handed",
    "Linear",
    "Node",
    "Primitive",
    "Saved",
    "Slope",
    "Tensor",
    "Update",
    "Version",
    "apart",
    "apply",
    "apply_batched",
    "asarray",
    "at_level",
    "between",
    "booleans",
    "current_backend",
    "current_device",
    "debug",
    "device",
    "enable_grad",
    "from_dlpack",
    "fused",
    "integers",
    "is_grad_enabled",
    "jvp",
    "leaf",
    "lift",
    "no_grad",
    "ones_as",
    "op",
    "per_example",
    "sample",
    "tensor",
    "to_device",
    "update",
    "vjp",
    "zeros_as",
]
