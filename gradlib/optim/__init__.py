"""Optimizers and learning rate schedules."""

from .adam import Adam, AdamW
from .adam_family import Adamax, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop, Rprop
from .averaging import ExponentialMovingAverage
from .descent import GradientDescent
from .large import ASGD, LAMB, Lion, Muon
from .lbfgs import LBFGS
from .optimizer import Optimizer, ParameterGroup
from .schedule import CosineAnnealingLR, LambdaLR, LinearLR, Schedule
from .sgd import SGD

__all__ = [
    "ASGD",
    "LAMB",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "CosineAnnealingLR",
    "ExponentialMovingAverage",
    "GradientDescent",
    "LambdaLR",
    "LinearLR",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "ParameterGroup",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Schedule",
]
