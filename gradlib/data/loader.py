"""`DataLoader`: a data set as batches of Tensors, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..core import Tensor, asarray
from ..errors import DTypeError, ShapeError
from ..ops import Generator, permutation

Transform = Callable[..., Any]  # (inputs, generator) -> inputs


class DataLoader:
    """Batches of a data set: iterate over it once for each epoch.

    Parameters
    ----------
    dataset : a tuple of arrays or Tensors of equal length (such as ``(inputs, targets)``), one array, or a
        sequence whose items are examples: tuples of numbers and arrays, which are stacked.
    batch_size : examples in a batch; the last one may be smaller.
    shuffle : whether each epoch has an order of its own.
    seed : decides every order: the one of epoch n depends on the seed and on n alone, on every machine.
    drop_last : leave out a last batch that is not full.
    device : where the batches are; the default device if not given.
    transform : called as ``transform(inputs, generator)`` on the host arrays of each batch's first field,
        with a generator that depends on seed and epoch: augmentation.

    Yields
    ------
    tuple of Tensors, one per field (a single Tensor for a single array).  The arrays' dtypes are kept.

    Raises
    ------
    ShapeError : fields of different lengths, or a batch size below 1.
    DTypeError : a data set that is neither arrays nor a sequence.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> loader = gl.data.DataLoader((np.arange(5.0), np.arange(5)), batch_size=2, shuffle=True, seed=1)
    >>> [len(x) for x, y in loader]
    [2, 2, 1]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        device: str | None = None,
        transform: Transform | None = None,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ShapeError(
                f"DataLoader(dataset, batch_size): batch_size is {batch_size!r}\n  need an int of at least 1"
            )
        self.fields, self.single = _fields(dataset)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.device = device
        self.transform = transform
        self.epoch = 0  # of the next pass; set it to go on from a checkpoint

    @property
    def examples(self) -> int:
        """The number of examples an epoch yields."""
        count = len(self.fields[0])
        return count - count % self.batch_size if self.drop_last else count

    def __len__(self) -> int:
        """Return the number of batches an epoch has."""
        return -(-self.examples // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        generator = Generator(self.seed)
        # Far from the keys that a generator of the same seed gives one after another (weights, dropout).
        generator.state = (self.seed, (self.epoch + 1) << 32)
        self.epoch += 1
        return self._batches(generator)

    def _batches(self, generator: Generator) -> Iterator[Any]:
        count = len(self.fields[0])
        order = permutation(count, device="cpu", generator=generator).numpy() if self.shuffle else np.arange(count)
        for start in range(0, self.examples, self.batch_size):
            chosen = order[start : start + self.batch_size]
            batch = [field[chosen] for field in self.fields]
            if self.transform is not None:
                batch[0] = self.transform(batch[0], generator)
            tensors = tuple(asarray(values, device=self.device) for values in batch)
            yield tensors[0] if self.single else tensors

    def __repr__(self) -> str:
        shown = {"batch_size": self.batch_size, "shuffle": self.shuffle, "seed": self.seed}
        return f"DataLoader({len(self.fields[0])} examples, {', '.join(f'{k}={v}' for k, v in shown.items())})"


def _fields(dataset: Any) -> tuple[list[Any], bool]:
    """Return the data set as a list of arrays of equal length, and whether it was a single one."""
    single = isinstance(dataset, (Tensor, np.ndarray))
    if single:
        fields = [dataset]
    elif isinstance(dataset, tuple) and dataset and all(hasattr(field, "shape") for field in dataset):
        fields = list(dataset)
    elif isinstance(dataset, Sequence) or (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        items = [dataset[i] for i in range(len(dataset))]
        single = not items or not isinstance(items[0], (tuple, list))
        columns = [items] if single else zip(*items, strict=True)
        fields = [np.stack([np.asarray(value) for value in column]) if items else np.empty(0) for column in columns]
    else:
        raise DTypeError(
            f"DataLoader(dataset): dataset is of type {type(dataset).__name__}\n"
            f"  need arrays of equal length, or a sequence of examples"
        )
    fields = [field.numpy() if isinstance(field, Tensor) else np.asarray(field) for field in fields]
    lengths = [len(field) if field.ndim else -1 for field in fields]
    if len(set(lengths)) != 1 or lengths[0] < 0:
        shapes = ", ".join(str(field.shape) for field in fields)
        raise ShapeError(f"DataLoader(dataset): the fields have different lengths: {shapes}\n  need equal first sizes")
    return fields, single
