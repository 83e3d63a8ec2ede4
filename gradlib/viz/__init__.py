"""Pictures.  matplotlib is imported when the first one is drawn."""

from .curves import loss_curve

__all__ = ["loss_curve"]
