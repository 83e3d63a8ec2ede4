"""Showing how training goes: a bar on a terminal, one plain line an epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal

Style = Literal["auto", "bar", "lines", "none"]


class Progress:
    """Shows one run of `Trainer.fit`; ``examples`` is the size of an epoch, None if unknown."""

    def __init__(self, style: Style, epochs: int, examples: int | None) -> None:
        if style == "auto":
            style = "bar" if sys.stderr.isatty() else "lines"
        self.style, self.epochs = style, epochs
        self.bar: Any = None
        self.last: dict[str, float] = {}  # the validation numbers of the last epoch, which the bar keeps showing
        if style == "bar":
            from tqdm import tqdm

            total = None if examples is None else epochs * examples
            # what matters most comes first: a narrow terminal cuts the end off
            shape = "{desc} {bar} {rate_noinv_fmt}, {remaining} left{postfix}"
            self.bar = tqdm(total=total, unit=" examples", bar_format=shape, dynamic_ncols=True)

    def step(self, epoch: int, examples: int, averages: Mapping[str, float]) -> None:
        """Show the averages of the epoch so far, after `examples` more."""
        if self.bar is not None:
            self.bar.set_description_str(f"epoch {epoch}/{self.epochs} {described(averages, ' ')}", refresh=False)
            self.bar.set_postfix_str(described(self.last, " "), refresh=False)
            self.bar.update(examples)

    def epoch(self, record: Mapping[str, float]) -> None:
        """Show an epoch's record."""
        self.last = {name: value for name, value in record.items() if name.startswith("validation_")}
        if self.style == "lines":
            width = len(str(self.epochs))
            print(
                f"epoch {record['epoch']:{width}.0f}/{self.epochs}  {described(record, '  ')}  "
                f"{record['examples_per_second']:,.0f} examples/s",
                flush=True,
            )

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif self.style == "lines":
            print(text, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()


def described(values: Mapping[str, float], between: str) -> str:
    """Return losses and metrics as text: accuracies in percent."""
    parts = []
    for name, value in values.items():
        if name in ("epoch", "seconds", "examples_per_second"):
            continue
        shown = f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:.4f}"
        parts.append(f"{name.replace('_', ' ')} {shown}")
    return between.join(parts)
