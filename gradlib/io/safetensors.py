"""State dicts in the safetensors format: no code in the file, every dtype but complex128, one read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor, asarray
from ..errors import CheckpointError, DTypeError
from ..spec import (
    as_dtype,
    bfloat16,
    bool_,
    complex64,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)

# The format's names of our dtypes.
_DTYPES = {
    "BOOL": bool_,
    **{f"U{8 * d.itemsize}": d for d in (uint8, uint16, uint32, uint64)},
    **{f"I{8 * d.itemsize}": d for d in (int8, int16, int32, int64)},
    **{f"F{8 * d.itemsize}": d for d in (float16, float32, float64)},
    "BF16": bfloat16,
    "C64": complex64,
}


def save(path: str | os.PathLike[str], state: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write Tensors or arrays by name, such as ``model.state_dict()``, to a ``.safetensors`` file.

    The file appears complete or not at all: it is written under a temporary name beside it and renamed.

    Parameters
    ----------
    path : the file; its folder must exist.
    state : names to Tensors or arrays, of any device.
    metadata : names to texts, kept in the file's header.

    Raises
    ------
    DTypeError : a value that is no Tensor or array, or that is complex128.
    OSError : the file cannot be written.

    Source: the safetensors format, https://github.com/huggingface/safetensors.

    Examples
    --------
    >>> import gradlib as gl, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
    >>> gl.io.save(path, {"w": gl.tensor([1.0, 2.0], dtype="bfloat16")})
    >>> gl.io.load(path)
    {'w': tensor([1, 2], dtype=bfloat16)}
    """
    from safetensors.numpy import save as serialize

    if not isinstance(state, Mapping):
        raise DTypeError(
            f"save(path, state): state is of type {type(state).__name__}\n"
            f"  need names to Tensors or arrays: gl.io.save(path, model.state_dict())"
        )
    entries = {}
    for name, value in state.items():
        if not isinstance(name, str) or not (isinstance(value, Tensor) or backends.is_array(value)):
            raise DTypeError(
                f"save(path, state): {name!r} is of type {type(value).__name__}\n  need names to Tensors or arrays"
            )
        data = value.data if isinstance(value, Tensor) else value
        if as_dtype(data.dtype) not in _DTYPES.values():
            raise DTypeError(
                f"save(path, state): {name!r} is {data.dtype}, which the format has not\n"
                f"  need complex64, or gl.real(x) and gl.imag(x) under two names"
            )
        entries[name] = np.ascontiguousarray(backends.backend_of(data).to_host(data)).reshape(data.shape)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(serialize(entries, dict(metadata) if metadata else None))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str], *, device: str | None = None) -> dict[str, Tensor]:
    """Read a ``.safetensors`` file as Tensors by name, on `device` or the default device.

    Raises
    ------
    FileNotFoundError : there is no such file.
    CheckpointError : the file is not in the format, is cut off, or has a dtype that gradlib has not.

    >>> import gradlib as gl, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
    >>> gl.io.save(path, {"w": gl.tensor([1.0, 2.0])})
    >>> load(path)["w"].tolist()
    [1.0, 2.0]
    """
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(Path(path).read_bytes())  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise CheckpointError(f"load(path): {os.fspath(path)} is not a complete safetensors file: {error}") from error
    result = {}
    for name, entry in sorted(entries, key=lambda entry: entry[0]):
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise CheckpointError(
                f"load(path): {name} in {os.fspath(path)} is of dtype {entry['dtype']}\n"
                f"  need one of {', '.join(_DTYPES)}"
            )
        # a copy: the bytes are read-only, and loaded weights may be assigned
        values = np.frombuffer(bytes(entry["data"]), dtype).reshape(entry["shape"]).copy()
        result[name] = asarray(values, device=device)
    return result
