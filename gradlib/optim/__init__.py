"""Optimizers and learning rate schedules."""

from .adam import Adam, AdamW
from .optimizer import Optimizer, ParameterGroup
from .schedule import CosineAnnealingLR, LambdaLR, LinearLR, Schedule
from .sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "LambdaLR",
    "LinearLR",
    "Optimizer",
    "ParameterGroup",
    "Schedule",
]
