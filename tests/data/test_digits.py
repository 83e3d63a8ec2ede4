"""The bundled data set."""

from __future__ import annotations

import hashlib
from importlib import resources

import numpy as np

import gradlib as gl


def test_shapes_dtypes_and_the_split() -> None:
    train, test = gl.data.digits()
    assert train.inputs.shape == (1438, 8, 8, 1)
    assert test.inputs.shape == (359, 8, 8, 1)
    assert train.targets.shape == (1438,)
    for part in (train, test):
        assert part.inputs.dtype == np.float32
        assert part.targets.dtype == np.int64
        assert part.inputs.min() == 0
        assert part.inputs.max() == 1
        assert set(np.unique(part.targets)) == set(range(10))
    assert list(np.bincount(np.concatenate([train.targets, test.targets]))) == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]


def test_values_are_those_of_the_source() -> None:
    """The digest was taken from scikit-learn's copy: ``load_digits()``, images then target, as uint8."""
    train, test = gl.data.digits()
    images, labels = np.empty((1797, 8, 8), np.uint8), np.empty(1797, np.uint8)
    held_out = np.arange(1797) % 5 == 4
    for chosen, part in ((held_out, test), (~held_out, train)):
        images[chosen], labels[chosen] = part.inputs[..., 0] * 16, part.targets
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_the_first_image_is_the_zero_everybody_knows() -> None:
    train, _ = gl.data.digits()
    assert list(train.targets[:4]) == [0, 1, 2, 3]
    assert list((train.inputs[0, 0, :, 0] * 16).astype(int)) == [0, 0, 5, 13, 9, 1, 0, 0]
    assert list((train.inputs[0, 3, :, 0] * 16).astype(int)) == [0, 4, 12, 0, 0, 8, 8, 0]


def test_licence_and_source_are_bundled() -> None:
    notice = resources.files("gradlib.data").joinpath("NOTICE").read_text()
    assert "10.24432/C50P49" in notice
    assert "CC BY 4.0" in notice
    assert "CC BY 4.0" in (gl.data.digits.__doc__ or "")


def test_a_linear_model_separates_them() -> None:
    """Labels belong to the images: least squares on the pixels alone gets more than 90 %."""
    train, test = gl.data.digits()
    flat = lambda x: np.concatenate([x.reshape(len(x), -1), np.ones((len(x), 1))], 1)  # noqa: E731
    solution = np.linalg.lstsq(flat(train.inputs), np.eye(10)[train.targets], rcond=None)[0]
    assert ((flat(test.inputs) @ solution).argmax(1) == test.targets).mean() > 0.9
