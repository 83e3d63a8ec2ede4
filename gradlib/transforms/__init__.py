"""Functions to functions: derivatives and batches that compose."""

from .checkpoint import checkpoint
from .custom import custom_vjp, stop_gradient
from .derivative import grad, jvp, value_and_grad, vjp
from .maps import hessian, hvp, jacobian, linearize
from .vmap import vmap

__all__ = [
    "checkpoint", "custom_vjp", "grad", "hessian", "hvp", "jacobian", "jvp", "linearize", "stop_gradient",
    "value_and_grad", "vjp", "vmap",
]  # fmt: skip
