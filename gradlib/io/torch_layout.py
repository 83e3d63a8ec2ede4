"""How PyTorch lays out what a module holds: for each entry of its state, the way there and back.

PyTorch has a weight's outputs first, (out, in, *kernel); here they are last, (*kernel, in, out).  Every difference is a
permutation of axes, of an array that may first be cut into more of them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..core import Tensor
from ..nn import Bilinear, Dense, Module, MultiheadAttention, Parameter
from ..nn.conv import Windowed
from ..nn.recurrent import GRU, LSTM, RNN
from ..nn.recurrent_cells import GRUCell, LSTMCell, RNNCell
from ..nn.utils.hooked_norms import _SpectralNormHook
from ..nn.utils.parametrizations import SpectralNorm
from ..nn.utils.parametrize import ParametrizationList

Array = Any
Ints = tuple[int, ...]


class Layout(NamedTuple):
    """PyTorch's array is cut to `inner`, its axes are permuted by `axes`, and it is joined to our shape."""

    theirs: Ints  # the shape there
    inner: Ints
    axes: Ints
    ours: Ints  # the shape here

    def to_ours(self, array: Array) -> Array:
        """Return PyTorch's array in our layout."""
        return np.ascontiguousarray(array.reshape(self.inner).transpose(self.axes)).reshape(self.ours)

    def to_theirs(self, array: Array) -> Array:
        """Return our array in PyTorch's layout: the same bits, moved."""
        between = array.reshape([self.inner[k] for k in self.axes])
        return np.ascontiguousarray(between.transpose(np.argsort(self.axes))).reshape(self.theirs)


class Entry(NamedTuple):
    """One entry of a module's state: the tensor, and the module whose attribute (`key`) it is."""

    tensor: Tensor
    layout: Layout
    owner: Module
    key: str


def permuted(ours: Ints, axes: Ints) -> Layout:
    """Return the layout of an array whose axes k are PyTorch's axes[k]."""
    theirs = tuple(ours[k] for k in np.argsort(axes)) if axes else ()
    return Layout(theirs, theirs, axes, ours)


def entries(module: Module) -> dict[str, Entry]:
    """Return the state of a module by name, with the layouts."""
    found: dict[str, Entry] = {}
    for prefix, owner in module._walk(""):
        for key, value in vars(owner).items():
            kept = isinstance(value, Parameter) or vars(owner).get("_buffers", {}).get(key, False)
            if kept and isinstance(value, Tensor):
                name = f"{prefix}.{key}" if prefix else key
                found[name] = Entry(value, _layout(module, prefix, owner, key, value.shape), owner, key)
    return found


def _layout(root: Module, prefix: str, owner: Module, key: str, shape: Ints) -> Layout:
    part = prefix.rpartition("parametrizations.")
    if part[1]:  # ...parametrizations.<tensor>, or ...parametrizations.<tensor>.<which>
        base = _descend(root, part[0].rstrip("."))
        tensor = part[2].partition(".")[0]
        if isinstance(owner, ParametrizationList):
            return permuted(shape, _axes(base, tensor, len(shape)))
        if isinstance(owner, SpectralNorm) and key == "_v":
            weight = base.parametrizations[tensor].original.shape
            return _row_vector(weight, _axes(base, tensor, len(weight)), owner.dim)
        return permuted(shape, tuple(range(len(shape))))
    for hook in vars(owner).get("_forward_pre_hooks", {}).values():
        for name in getattr(hook, "names", ()):
            if key != f"{hook.name}_{name}":
                continue
            if isinstance(hook, _SpectralNormHook) and name == "v":
                weight = getattr(owner, f"{hook.name}_orig").shape
                return _row_vector(weight, _axes(owner, hook.name, len(weight)), hook.dim)
            if isinstance(hook, _SpectralNormHook) and name == "u":
                return permuted(shape, (0,))
            return permuted(shape, _axes(owner, hook.name, len(shape)))
    return permuted(shape, _axes(owner, key, len(shape)))


def _descend(root: Module, path: str) -> Any:
    module: Any = root
    for name in path.split(".") if path else []:
        module = vars(module)[name]
    return module


def _axes(owner: Module, key: str, ndim: int) -> Ints:
    """Return which of PyTorch's axes each of ours is."""
    straight, turned = tuple(range(ndim)), (1, 0)
    if ndim < 2:
        return straight
    if isinstance(owner, Dense) and key == "weight":
        return turned
    if (
        isinstance(owner, Windowed) and key == "weight"
    ):  # (out, in, *kernel), transposed convolutions (in, out, *kernel)
        return (*range(2, ndim), 1, 0)
    if isinstance(owner, Bilinear) and key == "weight":
        return (1, 2, 0)
    if isinstance(owner, MultiheadAttention) and ndim == 2:
        return turned
    if isinstance(owner, (RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell)) and key.startswith("weight_"):
        return turned
    return straight


def _row_vector(weight: Ints, axes: Ints, dim: int) -> Layout:
    """Return the layout of a vector over all axes of a weight but `dim`, in the order of the weight's axes."""
    rest = [k for k in range(len(weight)) if k != dim]  # our axes, in our order
    order = sorted(rest, key=lambda k: axes[k])  # the same, in PyTorch's
    size = math.prod(weight[k] for k in rest)
    return Layout((size,), tuple(weight[k] for k in order), tuple(order.index(k) for k in rest), (size,))


def unflattened(layout: Layout, chw: Ints) -> Layout | None:
    """Return the layout of an entry one of whose axes there is a map (C, *size), joined; None if no axis is as long.

    Here that map is (*size, C).  A matrix's columns there, its inputs, come before its rows.
    """
    size = math.prod(chw)
    if len(chw) > 1 and layout.ours == (*chw[1:], chw[0]) and layout.axes == tuple(range(len(chw))):
        return Layout(chw, chw, (*range(1, len(chw)), 0), layout.ours)  # not joined: a norm over whole maps
    for axis in reversed(range(len(layout.theirs))):
        if layout.theirs[axis] == size and len(layout.theirs) <= 2:
            inner = (*layout.theirs[:axis], *chw, *layout.theirs[axis + 1 :])
            axes: Ints = ()
            for k in layout.axes:
                first = k if k <= axis else k + len(chw) - 1
                axes += (*range(first + 1, first + len(chw)), first) if k == axis else (first,)
            return Layout(layout.theirs, inner, axes, layout.ours)
    return None
