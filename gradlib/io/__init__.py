"""Files of weights."""

from .safetensors import load, save

__all__ = ["load", "save"]
