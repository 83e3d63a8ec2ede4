"""The optical digits: a small real data set that comes with the package."""

from __future__ import annotations

from importlib import resources
from typing import Any, NamedTuple

import numpy as np


class Arrays(NamedTuple):
    """Inputs and what to predict from them, as arrays of equal length."""

    inputs: Any
    targets: Any


def digits() -> tuple[Arrays, Arrays]:
    """Return ``(train, test)`` of 1,797 handwritten digits; every fifth image (index % 5 == 4) is held out for test.

    Shapes: inputs (n, 8, 8, 1), that is NHWC; targets (n,).  Dtypes: inputs float32 in [0, 1] (the
    count of dark pixels in a 4x4 cell of the scan, over 16), targets int64, 0 to 9.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (1998), UCI Machine
    Learning Repository, doi 10.24432/C50P49, the test set.  Licence: CC BY 4.0.

    Examples
    --------
    >>> import gradlib as gl
    >>> train, test = gl.data.digits()
    >>> train.inputs.shape, test.inputs.shape
    ((1438, 8, 8, 1), (359, 8, 8, 1))
    """
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as archive:
        images, labels = archive["images"], archive["labels"]
    inputs = (images / 16).astype(np.float32)[..., np.newaxis]
    targets = labels.astype(np.int64)
    held_out = np.arange(len(targets)) % 5 == 4
    return Arrays(inputs[~held_out], targets[~held_out]), Arrays(inputs[held_out], targets[held_out])
