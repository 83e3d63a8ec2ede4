"""The computational graph of a tensor: as text, or as a picture through graphviz."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

from ..core import Node, Tensor
from ..core.node import collect
from ..errors import GradientError
from ..spec import Spec


def graph(y: Tensor, path: str | os.PathLike[str] | None = None, *, names: dict[str, Tensor] | None = None) -> str:
    """Return the computational graph that ends in `y` as text: an op a line, oldest first, with shapes and dtypes.

    Parameters
    ----------
    y : result of recorded ops.
    path : where to draw it as well: ``.svg`` through graphviz's ``dot``, where that is installed (where it is
        not, the file is the text instead, as ``.txt``); ``.dot`` is graphviz's own language.
    names : what to call leaves.

    Raises
    ------
    GradientError : `y` is not on the tape.

    >>> import gradlib as gl
    >>> x = gl.tensor([1.0, 2.0], requires_grad=True)
    >>> print(gl.viz.graph(gl.sum(gl.sin(x) * x), names={"x": x}))
    x   float32[2]  leaf
    %0  float32[2]  sin(x)
    %1  float32[2]  multiply(%0, x)
    %2  float32[]   sum(%1, axis=(0,), keepdims=False)
    """
    if y.node is None:
        raise GradientError("graph(y): y is not the result of a recorded op\n  need an input with requires_grad=True")
    nodes = collect([y.node])
    labels = _labels(nodes, names or {})
    text = _text(nodes, labels)
    if path is not None:
        _draw(os.fspath(path), nodes, labels, text)
    return text


def _labels(nodes: list[Node], names: dict[str, Tensor]) -> dict[Any, str]:
    """Return what to call each leaf and each Node, the leaves first."""
    known = {id(tensor if tensor.node is None else tensor.node): name for name, tensor in names.items()}
    labels: dict[Any, str] = {}
    for node in nodes:
        for parent in node.parents:
            if isinstance(parent, Tensor) and parent not in labels:
                labels[parent] = known.get(id(parent), f"leaf {len(labels)}")
    for number, node in enumerate(nodes):
        labels[node] = known.get(id(node), f"%{number}")
    return labels


def _kind(spec: Any) -> str:
    return f"{spec.dtype}[{', '.join(map(str, spec.shape))}]"


def _outputs(node: Node) -> str:
    return ", ".join("None" if spec is None else _kind(spec) for spec in node.output_specs())


def _call(node: Node, labels: dict[Any, str]) -> str:
    inputs = []
    for parent, slot, value in zip(node.parents, node.slots, node.inputs or node.parents, strict=True):
        if parent is not None:
            many = isinstance(parent, Node) and not isinstance(parent.outputs, Spec)
            inputs.append(labels[parent] + (f".{slot}" if many else ""))
        elif hasattr(value, "dtype"):
            inputs.append(f"constant {_kind(value)}")
        else:
            inputs.append(repr(value))
    params = [f"{key}={value}" for key, value in node.params.items()]
    where = f"  at {node.where}" if hasattr(node, "where") else ""
    return f"{node.prim.name}({', '.join([*inputs, *params])}){where}"


def _text(nodes: list[Node], labels: dict[Any, str]) -> str:
    rows = [(name, _kind(leaf), "leaf") for leaf, name in labels.items() if isinstance(leaf, Tensor)]
    rows += [(labels[node], _outputs(node), _call(node, labels)) for node in nodes]
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    return "\n".join(f"{name:<{first}}  {kind:<{second}}  {call}" for name, kind, call in rows)


def _dot(nodes: list[Node], labels: dict[Any, str]) -> str:
    number = {key: i for i, key in enumerate(labels)}
    lines = ["digraph {", '  node [fontname="Helvetica", fontsize=11]', "  rankdir=TB"]
    for key, name in labels.items():
        if isinstance(key, Tensor):
            lines.append(f'  n{number[key]} [shape=ellipse, label="{name}\\n{_kind(key)}"]')
        else:
            lines.append(f'  n{number[key]} [shape=box, style=rounded, label="{key.prim.name}\\n{_outputs(key)}"]')
    for node in nodes:
        for parent in node.parents:
            if parent is not None:
                lines.append(f"  n{number[parent]} -> n{number[node]}")
    return "\n".join([*lines, "}"]) + "\n"


def _draw(path: str, nodes: list[Node], labels: dict[Any, str], text: str) -> None:
    source = _dot(nodes, labels)
    stem, ending = os.path.splitext(path)
    if ending == ".dot":
        content, target = source, path
    elif ending == ".svg" and (dot := shutil.which("dot")):
        drawn = subprocess.run([dot, "-Tsvg"], input=source, capture_output=True, text=True, check=True)
        content, target = drawn.stdout, path
    elif ending == ".svg":
        content, target = text + "\n", f"{stem}.txt"
    else:
        raise ValueError(f"graph(y, path): path ends in {ending!r}\n  need .svg or .dot")
    with open(target, "w", encoding="utf-8") as file:
        file.write(content)
