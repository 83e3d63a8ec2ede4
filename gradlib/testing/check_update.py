"""`check_update`: what must hold for an in-place op, on its own samples."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor, Update
from ..kernel import launches
from ..spec import FLOATING, as_dtype, is_floating
from .check_op import draw
from .tolerance import assert_close, to_numpy


def check_update(op: Update, *, device: str = "cpu", dtypes: Sequence[Any] = FLOATING) -> None:
    """Check that `op` writes what its composite returns in float64, only where it says, and counts the version.

    On a device that runs kernels, a declared kernel must have been launched.
    """
    assert op.samples is not None, f"{op.name} has no samples"
    backend = backends.get(device)
    for number, sample in enumerate(op.samples()):
        for dtype in map(as_dtype, dtypes):
            what = f"{op.name} sample {number} {sample.params} {dtype} on {device}"
            args = draw(sample, dtype, zlib.crc32(op.name.encode()) + number)
            exact = [None if a is None else a.astype(np.float64) if is_floating(a.dtype) else a for a in args]
            expected = op.composite(*exact, **sample.params)
            tensors = [None if a is None else Tensor(backend.asarray(a.copy())) for a in args]
            before = [None if t is None else t.detach() for t in tensors]  # shares the version
            counts = [0 if t is None or t.version is None else t.version.count for t in tensors]
            with launches() as log:
                op(*tensors, **sample.params)
            declared = device in op.launchers or device in op.group_launchers
            if backend.runs_kernels and declared and any(t is not None and t.size for t in tensors[:1]):
                assert log, f"{what}: a kernel is declared, and none was launched"
            for k, (name, t) in enumerate(zip(op.inputs, tensors, strict=True)):
                if t is None:
                    continue
                assert t.version is not None
                assert before[k] is not None
                if name in op.writes:
                    assert t.version.count == counts[k] + 1, f"{what}: {name} was written and its version stayed"
                    assert_close(t, expected[k], what=f"{what}: {name}")
                else:
                    assert t.version.count == counts[k], f"{what}: {name} is not written and its version changed"
                    assert np.array_equal(to_numpy(t), args[k], equal_nan=True), f"{what}: {name} was changed"
