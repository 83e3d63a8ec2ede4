"""Loss curves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..errors import ShapeError

_COLOURS = ("#1f5fa8", "#d1495b", "#2e8b57", "#8a6bbe")


def loss_curve(
    path: str | os.PathLike[str],
    steps: Sequence[float],
    epochs: Mapping[str, Sequence[float]] | None = None,
    title: str = "Training",
) -> None:
    """Draw a PNG of the loss at each step, its running mean, and further curves with one value an epoch.

    Parameters
    ----------
    path : the file to write.
    steps : the loss at each optimizer step, in order.
    epochs : curves by name, one value at the end of each epoch, such as the validation loss.
    title : above the picture.

    Raises
    ------
    ShapeError : there is no step to draw.
    OSError : the file cannot be written.
    """
    if len(steps) == 0:
        raise ShapeError("loss_curve(path, steps): there are no losses to draw\n  need at least one step")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no window, no global state
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.2, 4.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    at = range(1, len(steps) + 1)
    axes.plot(at, steps, color=_COLOURS[0], alpha=0.3, linewidth=0.8, label="loss of a step")
    axes.plot(at, _running_mean(steps), color=_COLOURS[0], linewidth=1.6, label="running mean")
    for (name, values), colour in zip((epochs or {}).items(), _COLOURS[1:], strict=False):
        ends = [len(steps) * (i + 1) / len(values) for i in range(len(values))]
        axes.plot(ends, values, color=colour, linewidth=1.4, marker="o", markersize=3, label=name)
    if 0 < 10 * min(steps) < max(steps):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(os.fspath(path), format="png")


def _running_mean(values: Sequence[float], decay: float = 0.8) -> list[float]:
    """Return the exponential running mean, corrected for its start."""
    result, total, weight = [], 0.0, 0.0
    for value in values:
        total = decay * total + (1 - decay) * value
        weight = decay * weight + (1 - decay)
        result.append(total / weight)
    return result
