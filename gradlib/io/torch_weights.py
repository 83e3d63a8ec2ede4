"""PyTorch's weights into a module, and back: names stay, layouts are transposed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor
from ..errors import CheckpointError, operand
from ..nn import Module
from ..spec import bfloat16, is_floating
from . import safetensors
from .torch_flatten import flattened
from .torch_layout import Entry, Layout, entries, unflattened

__all__ = ["load_torch_weights", "save_torch_weights"]

Array = Any
Maps = Mapping[str, "tuple[int, ...] | None"]


def load_torch_weights(
    module: Module,
    state: Mapping[str, Any] | str | os.PathLike[str],
    *,
    chw: Maps | None = None,
    strict: bool = True,
) -> None:
    """Overwrite a module's Parameters and buffers with PyTorch's, transposed into our layouts; dtypes stay.

    Dense weights (out, in) become (in, out), convolutions (out, in, *kernel) become (*kernel, in, out), transposed ones
    (in, out, *kernel) (*kernel, out, in); recurrent and attention weights are transposed; the rest is as it is.  Names
    are PyTorch's, so the module's parts must have its names too.

    Parameters
    ----------
    state : names to arrays or PyTorch tensors, as ``torch_module.state_dict()``; or a ``.safetensors`` path.
    chw : the entries that read, or give, a map as a vector, with the map's shape there, such as
        ``{"fc.weight": (16, 5, 5)}``: its rows are put from (C, H, W) into our order (H, W, C).  None in place of
        a shape says that the entry does not.
    strict : whether missing and unexpected names are errors.

    Raises
    ------
    CheckpointError : names are missing or unexpected, shapes differ, entries need `chw`: all of them are listed, and
        the module is left as it was.  Also for a pickle (``.pt``, ``.pth``, ``.bin``), which may run any code.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer = gl.nn.Dense(2, 3)
    >>> gl.io.load_torch_weights(layer, {"weight": np.arange(6.0).reshape(3, 2), "bias": np.zeros(3)})
    >>> layer.weight.tolist()
    [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]
    """
    given = _read(state)
    own = entries(module)
    maps = dict(chw or {})
    layouts, problems = _layouts(module, own, maps)
    aliases: dict[int, list[str]] = {}
    for name, entry in own.items():
        aliases.setdefault(id(entry.tensor), []).append(name)
    if strict:
        for name, entry in own.items():  # a tensor that the module has twice is there if it is there once
            if not any(other in given for other in aliases[id(entry.tensor)]):
                theirs = operand("", np.empty(layouts[name].theirs, entry.tensor.dtype))[2:]
                problems.append(f"missing     {name}: {theirs}")
        problems += [f"unexpected  {operand(name, value)}" for name, value in given.items() if name not in own]
    arrays: dict[str, Array] = {}
    for name in own.keys() & given.keys():
        array = _array(given[name])
        problem = _misfit(name, given[name], array, own[name], layouts[name])
        if problem:
            problems.append(problem)
        else:
            arrays[name] = array
    if problems:
        raise CheckpointError(_report("load_torch_weights", module, problems, given))
    for name, array in arrays.items():
        tensor = own[name].tensor
        tensor.assign(layouts[name].to_ours(array).astype(tensor.dtype))


def save_torch_weights(
    module: Module, path: str | os.PathLike[str] | None = None, *, chw: Maps | None = None
) -> dict[str, Any]:
    """Return a module's state as NumPy arrays under PyTorch's names and in its layouts; write it to a file if `path`.

    The inverse of `load_torch_weights`, to the bit, with the same `chw`.  A ``.safetensors`` file is read by
    ``safetensors.torch.load_file``; arrays by ``torch.from_numpy``.

    Raises: CheckpointError for entries that need `chw`; DTypeError, OSError as `gl.io.save`.

    Examples
    --------
    >>> import gradlib as gl
    >>> {name: a.shape for name, a in gl.io.save_torch_weights(gl.nn.Conv2d(3, 8, 5)).items()}
    {'weight': (8, 3, 5, 5), 'bias': (8,)}
    """
    own = entries(module)
    layouts, problems = _layouts(module, own, dict(chw or {}))
    if problems:
        raise CheckpointError(_report("save_torch_weights", module, problems, {}))
    result = {}
    for name, entry in own.items():
        data = entry.tensor.data
        result[name] = layouts[name].to_theirs(np.asarray(backends.backend_of(data).to_host(data)))
    if path is not None:
        safetensors.save(path, result)
    return result


def _read(state: Any) -> Mapping[str, Any]:
    if isinstance(state, (str, os.PathLike)):
        path = Path(state)
        if path.suffix != ".safetensors":
            convert = f'save_file(torch.load("{path.name}", weights_only=True), "{path.stem}.safetensors")'
            raise CheckpointError(
                f"load_torch_weights(module, state): {path} is no safetensors file, and a pickle may run any code\n"
                f"  need it converted where PyTorch is: from safetensors.torch import save_file; {convert}"
            )
        return safetensors.load(path, device="cpu")
    if isinstance(state, Mapping):
        return state
    hint = ": its state_dict()" if hasattr(state, "state_dict") else ""
    raise CheckpointError(
        f"load_torch_weights(module, state): state is of type {type(state).__name__}\n"
        f"  need names to arrays{hint}, or the path of a .safetensors file"
    )


def _array(value: Any) -> Array | None:
    """Return a value as a NumPy array: ours, or a tensor of PyTorch's, which is not imported here; None for others."""
    if isinstance(value, Tensor):
        value = value.data
    if backends.is_array(value):
        return np.asarray(backends.backend_of(value).to_host(value))
    if isinstance(value, (np.generic, int, float)):
        return np.asarray(value)
    if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
        tensor = value.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":  # which PyTorch does not hand to NumPy
            return np.asarray(tensor.float().numpy()).astype(bfloat16)
        return np.asarray(tensor.numpy())
    return None


def _layouts(module: Module, own: dict[str, Entry], maps: dict[str, Any]) -> tuple[dict[str, Layout], list[str]]:
    """Return the layout of each entry, and what is wrong with `chw`."""
    layouts, problems = {name: entry.layout for name, entry in own.items()}, []
    for name, shape in maps.items():
        if name not in own:
            problems.append(f"chw         {name} is no entry of the module")
        elif shape is not None:
            layout = unflattened(layouts[name], tuple(shape))
            if layout is None or layout.ours != layouts[name].ours:
                theirs = operand(name, np.empty(layouts[name].theirs, own[name].tensor.dtype))
                problems.append(f"chw         {theirs} has no axis for a map {tuple(shape)}")
            else:
                layouts[name] = layout
    for name, why in flattened(module).items():
        for kept in _kept_as(name, own):
            if kept not in maps:
                problems.append(f'order       {kept}: {why}; need chw={{"{kept}": (C, H, W)}}, or None for no map')
    return layouts, problems


def _kept_as(name: str, own: Mapping[str, Any]) -> list[str]:
    """Return the entries that a tensor is computed from, itself where it is one."""
    if name in own:
        return [name]
    prefix, _, key = name.rpartition(".")
    start = f"{prefix}." if prefix else ""
    parts = [f"parametrizations.{key}.{part}" for part in ("original", "original1", "0._v")]
    return [start + part for part in [*parts, f"{key}_v", f"{key}_orig"] if start + part in own]


def _misfit(name: str, value: Any, array: Array | None, entry: Entry, layout: Layout) -> str:
    """Return what is wrong with an entry, or nothing."""
    if array is None:
        return f"mismatched  {name} is of type {type(value).__name__}"
    wanted = np.empty(layout.theirs, entry.tensor.dtype)
    if array.shape != layout.theirs:
        return f"mismatched  {operand(name, array)}, need {operand('', wanted)[2:]}"
    if is_floating(array.dtype) != is_floating(entry.tensor.dtype):
        return f"mismatched  {operand(name, array)}, the module has {entry.tensor.dtype}"
    return ""


def _report(function: str, module: Module, problems: list[str], given: Mapping[str, Any]) -> str:
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    lines = [f"{function}(module, state): the state does not fit {type(module).__name__}: {count}"]
    lines += [f"  {problem}" for problem in sorted(problems)]
    for prefix in ("module.", "_orig_mod."):  # what DataParallel and torch.compile put before every name
        if given and all(name.startswith(prefix) for name in given):
            stripped = "{name.removeprefix(" + f'"{prefix}"' + "): value for name, value in state.items()}"
            lines.append(f"  need the names without {prefix!r}: {stripped}")
            break
    else:
        lines.append(
            "  need PyTorch's names and shapes (out, in, *kernel) for every Parameter and buffer of the module"
        )
    return "\n".join(lines)
