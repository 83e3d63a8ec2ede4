"""The bench engine: gradlib beside NumPy, PyTorch, JAX and others, and against what the machine can do."""

from .command import main

__all__ = ["main"]
