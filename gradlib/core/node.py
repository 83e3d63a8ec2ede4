"""`Node`: one application of a primitive.  The tape is the Nodes reachable from an output.

Nodes are sorted by creation, which is a topological order, so the walks over them (`reverse`, `forward`)
need no recursion and a chain of any length works.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import GradientError, message, operand
from ..spec import Spec
from .primitive import Primitive, leaf
from .tensor import Tensor

next_seq: Callable[[], int] = itertools.count().__next__


@leaf("alias", infer=lambda x: x, vjp=(lambda g, ans, x: g,), linear=True, view=True, moves=True)
def alias(xp: Any, x: Any) -> Any:
    """y = x: a new name for the same values, to differentiate with respect to."""
    return x


class Node:
    """One application of a primitive.  It owns no Tensor it produced; of its inputs it keeps what `saves` names."""

    __slots__ = (
        "__weakref__",
        "answer",
        "counts",
        "hooks",
        "inputs",
        "outputs",
        "params",
        "parents",
        "prim",
        "residuals",
        "seq",
        "slots",
        "where",
    )

    prim: Primitive
    params: dict[str, Any]
    seq: int
    parents: Sequence[Any]  # per input: the Node that made it, the leaf Tensor itself, or None
    slots: Sequence[int]  # per input: which output of the parent it is
    inputs: Sequence[Any]  # per input: the Tensor or array kept, or its Spec
    counts: list[int] | None  # per input: the version of its buffer when it was kept
    outputs: Any  # Spec, or a tuple of them
    answer: Any  # the output array(s), where the derivative reads them
    hooks: dict[int, list[Callable[..., Any]]]  # by output; only there once `register_hook` was called
    where: str  # the user's line; only there under `gl.debug`
    residuals: tuple[Any, ...]  # what the forward kernel left for the backward kernel

    def release(self) -> None:
        """Drop what was kept: a second backward cannot pass here."""
        self.inputs = self.answer = self.residuals = None  # type: ignore[assignment]

    def kept(self, create: bool) -> tuple[list[Any], Any]:
        """Return the kept inputs and answer for a rule: Tensors on the tape if `create`, else plain arrays."""
        if self.inputs is None:
            raise GradientError(
                f"backward: the tape through {self.prim.name} was already used and freed\n"
                f"  need backward(retain_graph=True) the first time{self._hint()}"
            )
        values: list[Any] = []
        for i, x in enumerate(self.inputs):
            if isinstance(x, Tensor):
                version = x.version
                if version is not None and version.count != (0 if self.counts is None else self.counts[i]):
                    self._refuse_changed(i, x, version.count)
                values.append(x if create else x.data)
            else:
                values.append(x)
        answer = self.answer
        if create and answer is not None:
            many = type(answer) is tuple
            rebuilt = tuple(_again(a, self, i) for i, a in enumerate(answer if many else (answer,)))
            answer = rebuilt if many else rebuilt[0]
        return values, answer

    def _refuse_changed(self, i: int, x: Tensor, count: int) -> None:
        raise GradientError(
            message(
                f"backward: an input of {self.prim.name} was changed in place after it was used",
                [operand(self.name_of(i), x)],
                f"version {count}, used at version {0 if self.counts is None else self.counts[i]}; "
                f"need backward() before assign() or the optimizer's step{self._hint()}",
            )
        )

    def _hint(self) -> str:
        if hasattr(self, "where"):
            return ""
        return f"\n  gl.debug() around the computation names the line of {self.prim.name}"

    def name_of(self, i: int) -> str:
        names = self.prim.inputs
        return names[i] if i < len(names) and not self.prim.variadic else f"input {i}"

    def output_specs(self) -> tuple[Spec, ...]:
        return (self.outputs,) if isinstance(self.outputs, Spec) else self.outputs


def _again(array: Any, node: Node, index: int) -> Tensor | None:
    """Return a Tensor for an output of `node`, on the tape as the first one was."""
    if array is None:
        return None
    result = Tensor(array)
    result.requires_grad, result.node, result.index = True, node, index
    return result


def collect(roots: Iterable[Node], since: int = -1) -> list[Node]:
    """Return every Node reachable from `roots` that was created at or after `since`, oldest first."""
    seen = {root for root in roots if root.seq >= since}
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if isinstance(parent, Node) and parent not in seen and parent.seq >= since:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=lambda node: node.seq)
