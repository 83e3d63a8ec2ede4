"""The launchers of attention: tile sizes by width, and what the kernels are told of the mask."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import backend as backends
from ..core import Saved
from ..kernel import Kernel
from ..spec import REDUCED, bool_, float32
from .attention import attention
from .dropout import dropout_scale, dropout_threshold

__all__: list[str] = []

Array = Any

_SIZES = (
    "heads kv_heads queries keys width value_width mask_batch mask_head mask_query mask_key causal offset scale "
    "threshold keep"
)
_WIDTHS = (32, 64, 96, 128, 192, 256)  # that a kernel is compiled for


def _kernels(file: str, rest: str) -> dict[str, Kernel]:
    return {
        "forward": Kernel(file, "attention_forward", f"q k v mask key y {rest} lse | {_SIZES}"),
        "delta": Kernel(file, "attention_delta", f"y {rest} g delta | rows width"),
        "dq": Kernel(file, "attention_dq", f"q k v mask key g lse delta dq | {_SIZES}"),
        "dkv": Kernel(file, "attention_dkv", f"q k v mask key g lse delta dk dv | {_SIZES}"),
    }


_half, _float = _kernels("attention.cu", "rest"), _kernels("attention_float.cu", "")


class _Tile(NamedTuple):
    """A kernel's block: `rows` of what it owns, `threads`, and bytes of shared memory."""

    rows: int
    threads: int
    shared: int


class _Plan:
    """How one call is launched, forward and backward; `fits` is False where no kernel takes it."""

    def __init__(
        self,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None,
        causal: bool,
        offset: int,
        scale: float | None,
        rate: float,
    ) -> None:
        (self.batch, self.heads, self.queries, width), (_, self.kv_heads, self.keys, _) = q.shape, k.shape
        widest = max(width, v.shape[3])
        self.width = next((w for w in _WIDTHS if w >= widest), 0)
        self.backend = backends.backend_of(q)
        reduced = q.dtype in REDUCED
        self.kernels = _half if reduced else _float
        self.forward, self.dq, self.dkv = (_halves if reduced else _floats)(self.width)
        # a wide row's dk and dv at once would need more registers than there are
        self.split = self.width > 128 or (self.width == 128 and not reduced and (mask is not None or rate > 0))
        self.macros: dict[str, Any] = {"D": self.width}
        if reduced:
            self.macros["T"] = q.dtype
        if mask is not None:
            self.macros["MASK"] = 1 if mask.dtype == bool_ else 2
            if mask.dtype != bool_ and mask.dtype != float32:
                self.macros["MASKED"] = mask.dtype
        if rate > 0:
            self.macros["DROPOUT"] = 1
        if self.split:
            self.macros["PART"] = 1
        blocks = self.batch * self.heads * max(-(-self.queries // 16), -(-self.keys // 16))
        self.fits = (
            (reduced or q.dtype == float32)
            and self.width > 0
            and width > 0
            and q.size > 0
            and v.size > 0
            and max(self.queries, self.keys, blocks) < 2**31
            and (mask is None or mask.dtype in (bool_, float32, q.dtype))
        )
        self.scalars = (
            self.heads, self.kv_heads, self.queries, self.keys, width, v.shape[3], *_strides(mask), int(causal), offset,
            1.0 / math.sqrt(max(width, 1)) if scale is None else scale, dropout_threshold(rate), dropout_scale(rate),
        )  # fmt: skip

    def launch(self, name: str, tile: _Tile, rows: int, heads: int, *arrays: Array | None, **macros: Any) -> None:
        grid = -(-rows // tile.rows) * heads * self.batch
        self.kernels[name](grid, tile.threads, *arrays, *self.scalars, shared=tile.shared, **{**self.macros, **macros})


def _halves(width: int) -> tuple[_Tile, _Tile, _Tile]:
    """Return the blocks of attention.cu: forward, dq, dkv."""
    big, row = width > 128, (width + 8) * 2
    keys, dq_rows, queries, stages = (32, 32, 16, 1) if big else (64, 64, 32, 2)
    return (
        _Tile(64, 128, (64 + 2 * keys) * row),
        _Tile(dq_rows, 2 * dq_rows, (2 * dq_rows + 2 * keys) * row),
        _Tile(64, 128, (128 + 2 * stages * queries) * row),
    )


def _floats(width: int) -> tuple[_Tile, _Tile, _Tile]:
    """Return the blocks of attention_float.cu: forward, dq, dkv."""

    def tile(rows: int, count: int) -> _Tile:
        return _Tile(rows, (rows // 4) ** 2, 4 * (count * rows * (width + 4) + rows * (rows + 4)))

    forward, backward = (64 if width in (64, 128) else 32), (64 if width == 64 else 32)
    return tile(forward, 2), tile(backward, 3), tile(backward, 4)


def _strides(mask: Array | None) -> tuple[int, ...]:
    """Return how far apart the elements of a contiguous mask are along the axes of the scores, 0 where it repeats."""
    if mask is None:
        return (0, 0, 0, 0)
    shape = (1,) * (4 - mask.ndim) + mask.shape
    return tuple(0 if n == 1 else math.prod(shape[axis + 1 :]) for axis, n in enumerate(shape))


@attention.kernel("cuda", planned=True)
def _(
    query: Array, key: Array, value: Array, mask: Array | None, seed: Array | None, *, causal: bool, offset: int,
    scale: float | None, dropout: float, save: bool,
) -> Any:  # fmt: skip
    plan = _Plan(query, key, value, mask, causal, offset, scale, dropout)
    backend = plan.backend
    if not plan.fits or plan.forward.shared > backend.limits.shared:
        return NotImplemented
    y = backend.empty((*query.shape[:3], value.shape[3]), query.dtype)
    rest = (backend.empty(y.shape, y.dtype) if save else None,) if y.dtype in REDUCED else ()
    lse = backend.empty(query.shape[:3], float32) if save else None
    seed = seed if dropout else None
    plan.launch("forward", plan.forward, plan.queries, plan.heads, query, key, value, mask, seed, y, *rest, lse)
    return Saved(y, (lse, y, *rest)) if save else y


@attention.backward.kernel("cuda", planned=True)
def _(
    query: Array, key: Array, value: Array, mask: Array | None, seed: Array | None, g: Array, *residuals: Array,
    causal: bool, offset: int, scale: float | None, dropout: float, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    plan = _Plan(query, key, value, mask, causal, offset, scale, dropout)
    backend = plan.backend
    if not residuals or needs[3] or max(plan.dq.shared, plan.dkv.shared) > backend.limits.shared:
        return NotImplemented
    lse, *outputs = residuals
    delta = backend.empty(lse.shape, float32)
    plan.kernels["delta"](-(-lse.size // 8), (32, 8), *outputs, g, delta, lse.size, g.shape[3], **plan.macros)
    dq, dk, dv = (
        backend.empty(a.shape, a.dtype) if n else None for a, n in zip((query, key, value), needs, strict=False)
    )
    given = (query, key, value, mask, seed if dropout else None, g, lse, delta)
    if dq is not None:
        plan.launch("dq", plan.dq, plan.queries, plan.heads, *given, dq)
    wanted = [(1, None, dv), (2, dk, None)] if plan.split else [(0, dk, dv)]
    for part, own_dk, own_dv in wanted:
        if own_dk is not None or own_dv is not None:
            macros = {"PART": part} if part else {}
            plan.launch("dkv", plan.dkv, plan.keys, plan.kv_heads, *given, own_dk, own_dv, **macros)
    return dq, dk, dv, None, None
