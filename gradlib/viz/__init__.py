"""Pictures.  matplotlib is imported when the first one is drawn."""

from .curves import loss_curve
from .graph import graph

__all__ = ["graph", "loss_curve"]
