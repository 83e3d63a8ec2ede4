"""The first network: a convolutional one for the optical digits, and how to train it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import backend as backends
from .. import data, io, nn, optim, viz
from ..errors import ShapeError
from ..ops import manual_seed
from ..spec import as_dtype, is_floating
from .history import History
from .progress import Style
from .trainer import Trainer

WARM_UP = 10
SIM_LIMIT = 1024  # training images that are used on `sim` unless the caller says otherwise: it runs kernels on a CPU


def network(dtype: Any = None, device: str | None = None) -> nn.Sequential:
    """Return the network: 8x8 images in, ten logits out; 62,506 parameters.

    Three convolutions, each with bias and ReLU fused and batch normalisation behind it, maximum and
    average pooling, two dense layers, dropout: one of each of the kernels that training needs.  The running
    statistics follow quickly (momentum 0.3), as an epoch is only 22 steps.
    """
    kind: dict[str, Any] = {"dtype": dtype, "device": device}
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding="same", activation="relu", **kind),
        nn.BatchNorm2d(32, momentum=0.3, **kind),
        nn.Conv2d(32, 32, 3, padding="same", activation="relu", **kind),
        nn.BatchNorm2d(32, momentum=0.3, **kind),
        nn.MaxPool2d(2),
        nn.Dropout(0.3),
        nn.Conv2d(32, 64, 3, padding="same", activation="relu", **kind),
        nn.BatchNorm2d(64, momentum=0.3, **kind),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Dense(256, 128, activation="relu", **kind),
        nn.Dropout(0.3),
        nn.Dense(128, 10, **kind),
    )


@dataclass(frozen=True)
class Recipe:
    """How to train it: AdamW, the rate first rising, then falling to 0, and labels smoothed by a tenth."""

    device: str = "cpu"
    epochs: int = 20
    batch_size: int = 64
    lr: float = 2e-3
    seed: int = 0
    dtype: str = "float32"
    limit: int | None = None  # of the training images; None: all, on sim SIM_LIMIT
    progress: Style = "auto"

    def factor(self, steps: int) -> Callable[[int], float]:
        """Return what to multiply the learning rate by at step n of `steps`: up in WARM_UP steps, then down to 0.

        Adam's first steps are of full size whatever the gradient; small rates keep them from being rash.
        """
        return lambda n: min((n + 1) / WARM_UP, 1.0 - n / steps)

    def check(self) -> None:
        """Raise an error for a value that makes no sense, before any work is done."""
        backends.get(self.device)
        if not is_floating(as_dtype(self.dtype)):
            raise ShapeError(f"dtype is {self.dtype}\n  need a floating one")
        for name in ("epochs", "batch_size", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ShapeError(f"{name} is {value}\n  need 1 or more")
        if not 0 <= self.lr < math.inf:
            raise ShapeError(f"lr is {self.lr:g}\n  need a finite number of at least 0")
        if self.batch_size < 2:
            raise ShapeError("batch_size is 1\n  need 2 or more: batch normalisation measures a variance")


@dataclass(frozen=True)
class Result:
    """A trained network and what was measured on the way."""

    model: nn.Sequential
    history: History
    accuracy: float  # on the held-out fifth, between 0 and 1
    images: int  # that it was trained on
    seconds: float

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write ``model.safetensors`` and ``loss.png`` (if a step was made) into a folder; return both paths."""
        weights, picture = folder / "model.safetensors", folder / "loss.png"
        io.save(weights, self.model.state_dict(), {"network": "gradlib digits"})
        if self.history.steps:
            held_out = self.history.column("validation_loss")
            viz.loss_curve(
                picture, self.history.steps, {"held-out loss": held_out} if held_out else None, "Optical digits"
            )
        return weights, picture


def loaders(recipe: Recipe) -> tuple[data.DataLoader, data.DataLoader]:
    """Return the batches to train on and those to test on."""
    train, test = data.digits()
    limit = SIM_LIMIT if recipe.limit is None and recipe.device == "sim" else recipe.limit
    kind = as_dtype(recipe.dtype)
    common: dict[str, Any] = {"batch_size": recipe.batch_size, "device": recipe.device}
    # drop_last: a last batch of a few images has poor statistics
    return (
        data.DataLoader(
            (train.inputs[:limit].astype(kind), train.targets[:limit]),
            shuffle=True,
            seed=recipe.seed,
            drop_last=len(train.targets[:limit]) >= recipe.batch_size,
            **common,
        ),
        data.DataLoader((test.inputs.astype(kind), test.targets), **common),
    )


def train(recipe: Recipe) -> Result:
    """Train the network as the recipe says, evaluating it on the held-out fifth after each epoch."""
    recipe.check()
    start = time.perf_counter()
    manual_seed(recipe.seed)
    training, test = loaders(recipe)
    model = network(recipe.dtype, recipe.device)
    optimizer = optim.AdamW(model.parameters(), lr=recipe.lr)
    schedule = optim.LambdaLR(optimizer, recipe.factor(recipe.epochs * len(training)))
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    trainer = Trainer(model, optimizer, loss, schedule=schedule, progress=recipe.progress)
    history = trainer.fit(training, recipe.epochs, validation=test)
    last = history.column("validation_accuracy")
    accuracy = last[-1] if last and not history.interrupted else trainer.evaluate(test)["accuracy"]
    return Result(model, history, accuracy, training.examples, time.perf_counter() - start)
