"""The README's table of layers, losses, optimizers, schedules and initializers, beside PyTorch's.

``python -m tests.readme_table`` writes it anew between its two marks; tests/test_readme_table.py holds it there.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from gradlib import nn, optim

README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- layers: python -m tests.readme_table -->", "<!-- end of layers -->"
VERSION = "2.13"

# The row of a class, by its file in gradlib/nn, or by its name where a file is about two things.
ROWS = {
    "activations": ("activations", "piecewise_activations", "softmaxes"),
    "dense": ("dense", "rbf"),
    "convolutions": ("conv", "conv_norm", "conv_transpose"),
    "pooling": ("pooling", "pooling_more", "unpooling"),
    "padding": ("padding",),
    "shapes, resizing": ("shape", "resizing", "folding"),
    "normalisation": ("norm", "more_norms"),
    "dropout": ("regularize",),
    "sequences": (
        *("embedding", "recurrent", "recurrent_cells", "attention", "position", "transformer", "transformer_stack"),
    ),
    "losses, distances": ("loss", "losses", "margin_losses", "adaptive_softmax"),
    "containers": ("containers", "parameter_containers"),
}
BY_NAME = {"LocalResponseNorm": "normalisation"}
OTHERS = {"Buffer", "KeyValueCache", "Module", "Parameter"}  # no layers

# What PyTorch does not have.
OURS_ALONE = {
    *(
        "ConvBatchNorm2d",
        "Dense",
        "GlobalAvgPool",
        "GlobalMaxPool",
        "L2Divergence",
        "LearnedPositionalEncoding",
        "MultiHeadAttention",
    ),
    *("PositionalEncoding", "RBF", "Regularizer", "Residual", "RotaryEmbedding"),
    *("ExponentialMovingAverage", "GradientDescent", "LAMB", "Lion", "TrustRegionGradientDescent"),
    *("glorot_normal_", "glorot_uniform_", "he_normal_", "he_uniform_", "lecun_normal_", "lecun_uniform_"),
}
# What PyTorch has beside: the row, and why it is not here.
NOT_HERE = {
    **dict.fromkeys(("SyncBatchNorm",), ("normalisation", "over several devices: a matter of `dist`")),
    "CrossMapLRN2d": ("normalisation", "LocalResponseNorm, in an older form"),
    "DataParallel": ("containers", "over several devices: a matter of `dist`"),
    "NLLLoss2d": ("losses, distances", "NLLLoss, in an older form"),
    "LazyLinear": ("dense", "lazy"),
    **{f"Lazy{kind}{n}d": ("convolutions", "lazy") for kind in ("Conv", "ConvTranspose") for n in (1, 2, 3)},
    **{f"Lazy{kind}Norm{n}d": ("normalisation", "lazy") for kind in ("Batch", "Instance") for n in (1, 2, 3)},
    "SparseAdam": ("optimizers", "gradients are dense"),
}
# Classes of torch.nn that are no layers: bases, and what belongs to others.
NO_LAYERS = {
    *("Buffer", "Container", "LinearCrossEntropyOptions", "Module", "Parameter", "RNNBase", "RNNCellBase"),
    *("UninitializedBuffer", "UninitializedParameter"),
}


def row_of(name: str) -> str:
    """Return the row of a layer or loss."""
    file = getattr(nn, name).__module__.rpartition(".")[2]
    return BY_NAME.get(name) or next(row for row, files in ROWS.items() if file in files)


def rows() -> dict[str, list[str]]:
    """Return the names of each row."""
    found: dict[str, list[str]] = {row: [] for row in ROWS}
    for name in nn.__all__:
        if inspect.isclass(getattr(nn, name)) and name not in OTHERS:
            found[row_of(name)].append(name)
    classes = {n: getattr(optim, n) for n in optim.__all__ if inspect.isclass(getattr(optim, n))}
    bases = ("LRScheduler", "Optimizer", "ParameterGroup", "Schedule")
    found["schedules"] = [n for n, c in classes.items() if issubclass(c, optim.Schedule) and n not in bases]
    found["optimizers"] = [n for n in classes if n not in (*found["schedules"], *bases)]
    found["initializers"] = [n for n in nn.init.__all__ if n.endswith("_")]
    order = [*ROWS, "optimizers", "schedules", "initializers"]
    return {row: sorted(found[row], key=str.lower) for row in order}


def table() -> str:
    """Return the table, a line for each kind: the names (ours alone in italics), and how many.

    Here, in PyTorch, and of PyTorch's here; last a line of the sums.
    """
    lines = [f"| | | here | PyTorch {VERSION} | of which here |", "|---|---|---|---|---|"]
    totals = [0, 0, 0]
    for row, names in rows().items():
        theirs = [n for n in names if n not in OURS_ALONE]
        beside = [n for n, (where, _) in NOT_HERE.items() if where == row]
        shown = ", ".join(f"*{n}*" if n in OURS_ALONE else n for n in names).replace("_", "\\_")
        counts = [len(names), len(theirs) + len(beside), len(theirs)]
        totals = [a + b for a, b in zip(totals, counts, strict=True)]
        lines.append(f"| {row} | {shown} | {' | '.join(map(str, counts))} |")
    lines.append(f"| all | of PyTorch's {totals[1]}, {totals[2]} are here | {' | '.join(map(str, totals))} |")
    return "\n".join(lines)


def written() -> str:
    """Return the README with the table as it is now."""
    text = README.read_text()
    return re.sub(
        rf"{re.escape(START)}.*?{re.escape(END)}", lambda _: f"{START}\n{table()}\n{END}", text, flags=re.DOTALL
    )


def here(module: Any) -> set[str]:
    """Return the classes of one of PyTorch's modules."""
    return {n for n in dir(module) if inspect.isclass(getattr(module, n)) and not n.startswith("_")}


if __name__ == "__main__":
    README.write_text(written())
