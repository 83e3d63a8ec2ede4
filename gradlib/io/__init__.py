"""Files of weights."""

from .safetensors import load, save
from .torch_weights import load_torch_weights, save_torch_weights

__all__ = ["load", "load_torch_weights", "save", "save_torch_weights"]
