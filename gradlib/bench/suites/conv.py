"""Convolution layers, y = act(conv(x, w) + b): every kind of layer of ResNet-50, one of MobileNet, and digits."""

from __future__ import annotations

from typing import Any, NamedTuple

from ... import nn
from ...spec import as_dtype
from .. import by_hand
from ..case import Arrays, Case, Work, noise
from .dense import jax_activation, torch_activation


class Layer(NamedTuple):
    """A convolution of (batch, size, size, channels) to `filters` channels."""

    batch: int
    size: int
    channels: int
    filters: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    groups: int = 1
    activation: str | None = "relu"

    @property
    def out(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def label(self) -> str:
        kind = " depthwise" if self.groups > 1 else ""
        stride = f" s{self.stride}" if self.stride > 1 else ""
        act = f" {self.activation}" if self.activation else ""
        n, s, c, k, r = self.batch, self.size, self.channels, self.filters, self.kernel
        return f"{n}x{s}x{s} {c}->{k} {r}x{r}{stride}{kind}{act}"


def _resnet(batch: int) -> list[Layer]:
    """ResNet-50 (v1.5: the stride sits in the 3x3) at 224 x 224."""
    return [
        Layer(batch, 56, 64, 64),
        Layer(batch, 14, 256, 256),
        Layer(batch, 28, 128, 128),
        Layer(batch, 7, 512, 512),
        Layer(batch, 56, 64, 256, kernel=1, padding=0, activation=None),
        Layer(batch, 14, 1024, 256, kernel=1, padding=0),
        Layer(batch, 56, 128, 128, stride=2),
        Layer(batch, 224, 3, 64, kernel=7, stride=2, padding=3),
        Layer(batch, 56, 128, 128, groups=128),  # MobileNet
    ]


_DIGITS = [Layer(64, 8, 1, 32), Layer(64, 8, 32, 64)]
SHAPES: dict[str, list[Layer]] = {
    "tiny": [Layer(2, 6, 3, 4), Layer(2, 7, 4, 5, stride=2), Layer(1, 5, 8, 3, kernel=1, padding=0, activation=None),
             Layer(2, 6, 5, 5, groups=5)],
    "small": [*_DIGITS, *(layer for layer in _resnet(2) if layer.size != 7)],
    "medium": [*_DIGITS, *_resnet(8)],
    "full": [*_resnet(32), Layer(256, 56, 64, 64), Layer(256, 14, 256, 256), *_DIGITS],
}  # fmt: skip


def work(layer: Layer, itemsize: int) -> dict[str, Work]:
    """Return the floors, counting taps in the padding as every library does; arrays as for `dense`."""
    per_group = layer.channels // layer.groups
    x, y, b = layer.batch * layer.size**2 * layer.channels, layer.batch * layer.out**2 * layer.filters, layer.filters
    w = layer.kernel**2 * per_group * layer.filters
    slope = y if layer.activation else 0
    flops = 2.0 * y * layer.kernel**2 * per_group
    return {
        "forward": Work(flops, float(itemsize * (x + w + b + y))),
        "backward": Work(2 * flops, float(itemsize * (2 * x + 2 * w + b + y + slope))),
    }


def cases(size: str, dtype: str) -> list[Case]:
    """Return the cases of a size."""
    return [case(layer, dtype) for layer in SHAPES[size]]


def case(layer: Layer, dtype: str) -> Case:
    """Return the case of one layer."""
    per_group = layer.channels // layer.groups
    stride, padding, groups, activation = layer.stride, layer.padding, layer.groups, layer.activation

    def inputs() -> Arrays:
        fan_in = layer.kernel**2 * per_group
        return {
            "x": noise((layer.batch, layer.size, layer.size, layer.channels), dtype),
            "w": noise((layer.kernel, layer.kernel, per_group, layer.filters), dtype, seed=1, scale=fan_in**-0.5),
            "b": noise((layer.filters,), dtype, seed=2),
            "g": noise((layer.batch, layer.out, layer.out, layer.filters), dtype, seed=3),
        }

    def gradlib(lib: Any, at: Arrays) -> Any:
        x, w, b, g = map(lib.array, at.values())
        f = nn.functional.conv2d

        def layer_(x: Any, w: Any, b: Any) -> Any:
            return f(x, w, b, stride, padding, 1, groups, activation=activation)

        return lib.differentiate(layer_, (x, w, b), g)

    def numpy(lib: Any, at: Arrays) -> Any:
        x, w, b, g = at.values()

        def forward(x: Any, w: Any, b: Any) -> Any:
            return by_hand.conv_forward(x, w, b, stride, padding, groups, activation)

        return lib.differentiate(forward, by_hand.conv_backward, (x, w, b), g)

    def torch(lib: Any, at: Arrays, channels_last: bool = False, compiled: bool = False) -> Any:
        order = lib.torch.channels_last if channels_last else lib.torch.contiguous_format
        x, g = (lib.array(at[a]).permute(0, 3, 1, 2).contiguous(memory_format=order) for a in "xg")
        w = lib.array(at["w"]).permute(3, 2, 0, 1).contiguous(memory_format=order)
        act, conv = torch_activation(activation), lib.torch.nn.functional.conv2d

        def layer_(x: Any, w: Any, b: Any) -> Any:
            return act(conv(x, w, b, stride, padding, 1, groups))

        return lib.differentiate(lib.compiled(layer_) if compiled else layer_, (x, w, lib.array(at["b"])), g)

    def jax(lib: Any, at: Arrays) -> Any:
        x, w, b, g = map(lib.array, at.values())
        act, conv = jax_activation(activation), lib.jax.lax.conv_general_dilated

        def layer_(x: Any, w: Any, b: Any) -> Any:
            y = conv(x, w, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"),
                     feature_group_count=groups)  # fmt: skip
            return act(y + b)

        return lib.differentiate(layer_, (x, w, b), g)

    entries = {
        "gradlib": gradlib,
        "numpy": numpy,
        "torch": torch,
        "torch channels_last": lambda lib, at: torch(lib, at, True),
        "jax": jax,
    }
    if dtype == "bfloat16" and activation:
        entries["torch channels_last compile"] = lambda lib, at: torch(lib, at, True, True)
    if dtype == "float32":
        entries["torch channels_last tf32"] = lambda lib, at: lib.tf32(torch(lib, at, True))
    return Case("conv", layer.label, dtype, work(layer, as_dtype(dtype).itemsize), inputs, entries)
