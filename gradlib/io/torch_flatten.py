"""Where a network reads a map as a vector: PyTorch's has the channels first, (C, H, W), ours last, (H, W, C).

What is found is found by the modules and their order; what a ``forward`` does between them cannot be seen.
"""

from __future__ import annotations

from typing import Any

from .. import nn
from ..nn.conv import Windowed

_ADAPTIVE = (
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)


class _Walk:
    """The state of a walk: how many channels the map has that flows here, if it is one."""

    def __init__(self) -> None:
        self.channels: int | None = None
        self.unfolded = False
        self.dense: list[str] = []  # the last dense layer, and the norms after it
        self.found: dict[str, str] = {}

    def reads(self, prefix: str, keys: list[str], size: int, what: str) -> None:
        """Note that entries read a vector of this size, if that is a map with more than one place."""
        joined = self.channels is not None and size != self.channels and size % self.channels == 0
        if joined or self.unfolded:
            for key in keys:
                shape = f"{self.channels} channels" if self.channels else "windows"
                self.found[f"{prefix}.{key}" if prefix else key] = f"{what} reads {size} features, a map of {shape}"


def flattened(module: nn.Module) -> dict[str, str]:
    """Return the entries of the state whose rows follow a map, by name, each with what is known of it."""
    walk = _Walk()
    for prefix, part in module.named_modules():
        _visit(walk, prefix, part)
    return walk.found


def _visit(walk: _Walk, prefix: str, part: Any) -> None:
    name = f"{prefix or 'module'} ({type(part).__name__})"
    if isinstance(part, Windowed):
        walk.channels, walk.unfolded, walk.dense = part.out_channels, False, []
    elif isinstance(part, (nn.GlobalAvgPool, nn.GlobalMaxPool)):
        walk.channels = None
    elif isinstance(part, _ADAPTIVE):
        if _is_one(part):
            walk.channels = None
    elif isinstance(part, nn.PixelShuffle) and walk.channels:
        walk.channels //= vars(part)["upscale_factor"] ** 2
    elif isinstance(part, nn.PixelUnshuffle) and walk.channels:
        walk.channels *= vars(part)["downscale_factor"] ** 2
    elif isinstance(part, nn.Unfold):
        walk.unfolded = True
    elif isinstance(part, nn.Unflatten):
        if walk.dense and len(part.unflattened_size) > 1 and any(n > 1 for n in part.unflattened_size[:-1]):
            for entry in walk.dense:
                walk.found[entry] = f"{name} makes a map {part.unflattened_size} of what it gives"
    elif isinstance(part, nn.Dense):
        walk.reads(prefix, ["weight"], part.in_features, name)
        walk.channels, walk.unfolded = None, False
        walk.dense = [
            f"{prefix}.{key}" if prefix else key for key in ("weight", "bias") if getattr(part, key) is not None
        ]
    elif isinstance(part, (nn.RNN, nn.LSTM, nn.GRU)):
        ways = ("", "_reverse") if part.bidirectional else ("",)
        walk.reads(prefix, [f"weight_ih_l0{way}" for way in ways], part.input_size, name)
        walk.channels, walk.unfolded, walk.dense = None, False, []
    elif isinstance(part, nn.MultiheadAttention):
        walk.channels, walk.unfolded, walk.dense = None, False, []
    elif isinstance(part, nn.BatchNorm1d):
        keys = [key for key in ("weight", "bias", "running_mean", "running_var") if getattr(part, key) is not None]
        walk.reads(prefix, keys, part.num_features, name)
        if walk.dense:
            walk.dense += [f"{prefix}.{key}" for key in keys]
    elif isinstance(part, (nn.LayerNorm, nn.RMSNorm)):
        keys = [key for key in ("weight", "bias") if getattr(part, key, None) is not None]
        if walk.channels and len(part.normalized_shape) > 1:
            for key in keys:
                text = f"{name} normalises maps {part.normalized_shape}"
                walk.found[f"{prefix}.{key}" if prefix else key] = text
        else:
            walk.reads(prefix, keys, part.normalized_shape[-1], name)


def _is_one(part: Any) -> bool:
    size = vars(part)["output_size"]
    return bool(size == 1 or (isinstance(size, (tuple, list)) and all(n == 1 for n in size)))
