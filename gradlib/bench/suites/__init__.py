"""The suites, the most telling first."""

from __future__ import annotations

from collections.abc import Callable

from ..case import Case
from . import conv, dense, launch, memory, optimizer, sequence, simulator, step, tape

SUITES: dict[str, Callable[[str, str], list[Case]]] = {
    "dense": dense.cases,
    "conv": conv.cases,
    "attention": sequence.attention,
    "norm": sequence.norm,
    "embedding": sequence.embedding,
    "lstm": sequence.lstm,
    "step": step.cases,
    "tape": tape.cases,
    "launch": launch.cases,
    "elementwise": memory.elementwise,
    "cross_entropy": memory.cross_entropy,
    "batch_norm": memory.batch_norm,
    "pool": memory.pool,
    "adam": optimizer.cases,
    "sim": simulator.cases,
}
