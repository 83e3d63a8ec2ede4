"""Functions to functions: derivatives that compose."""

from .derivative import grad, jvp, value_and_grad, vjp
from .vmap import vmap

__all__ = ["grad", "jvp", "value_and_grad", "vjp", "vmap"]
