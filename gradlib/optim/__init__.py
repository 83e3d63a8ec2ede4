"""Optimizers and learning rate schedules."""

from . import lr_scheduler, swa_utils
from .adam import Adam, AdamW
from .adam_family import Adamax, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop, Rprop
from .averaging import ExponentialMovingAverage
from .combine import ChainedScheduler, ReduceLROnPlateau, SequentialLR
from .cyclic import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from .descent import GradientDescent
from .factored import Adafactor
from .large import ASGD, LAMB, Lion, Muon
from .lbfgs import LBFGS
from .optimizer import Optimizer, ParameterGroup
from .schedule import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    Schedule,
    StepLR,
)
from .schedule import Schedule as LRScheduler
from .sgd import SGD
from .swa_utils import SWALR, AveragedModel
from .trust_region import TrustRegionGradientDescent

__all__ = [
    "ASGD",
    "LAMB",
    "LBFGS",
    "SGD",
    "SWALR",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AveragedModel",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "ExponentialMovingAverage",
    "GradientDescent",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "Lion",
    "MultiStepLR",
    "MultiplicativeLR",
    "Muon",
    "NAdam",
    "OneCycleLR",
    "Optimizer",
    "ParameterGroup",
    "PolynomialLR",
    "RAdam",
    "RMSprop",
    "ReduceLROnPlateau",
    "Rprop",
    "Schedule",
    "SequentialLR",
    "StepLR",
    "TrustRegionGradientDescent",
    "lr_scheduler",
    "swa_utils",
]
