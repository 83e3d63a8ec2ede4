"""Data sets, and batches of them."""

from .digits import Arrays, digits
from .loader import DataLoader

__all__ = ["Arrays", "DataLoader", "digits"]
