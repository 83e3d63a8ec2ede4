"""Layers of sequence models: layer and RMS normalisation, attention, embedding, LSTM."""

from __future__ import annotations

from typing import Any, NamedTuple

from ... import nn
from ...core import op
from ...spec import as_dtype
from .. import by_hand_layers as by_hand
from ..case import Arrays, Case, Work, labels, noise

EPS = 1e-5


def norm(size: str, dtype: str) -> list[Case]:
    """Return layer and RMS normalisation over (rows, columns)."""
    shapes = {
        "tiny": [(5, 7)],
        "small": [(512, 768)],
        "medium": [(2048, 768), (1024, 4096)],
        "full": [(8192, 4096), (8192, 768)],
    }[size]
    return [make(rows, columns, dtype) for rows, columns in shapes for make in (_layer_norm, _rms_norm)]


def _norm_work(rows: int, columns: int, dtype: str) -> dict[str, Work]:
    unit = float(rows * columns * as_dtype(dtype).itemsize)  # x, y; x, g, dx
    return {"forward": Work(0.0, 2 * unit), "backward": Work(0.0, 3 * unit)}


def _norm_inputs(rows: int, columns: int, dtype: str, bias: bool) -> Arrays:
    found = {"x": noise((rows, columns), dtype), "weight": noise((columns,), dtype, seed=1, scale=0.1, shift=1)}
    if bias:
        found["bias"] = noise((columns,), dtype, seed=2)
    return found | {"g": noise((rows, columns), dtype, seed=3)}


def _layer_norm(rows: int, columns: int, dtype: str) -> Case:
    def simple(f: Any) -> Any:
        def entry(lib: Any, at: Arrays) -> Any:
            x, w, b, g = map(lib.array, at.values())
            norm = f(lib)
            return lib.differentiate(lambda x, w, b: norm(x, (columns,), w, b, EPS), (x, w, b), g)

        return entry

    def numpy(lib: Any, at: Arrays) -> Any:
        x, w, b, g = at.values()
        forward = lambda x, w, b: by_hand.layer_norm_forward(x, w, b, EPS)  # noqa: E731
        return lib.differentiate(forward, by_hand.layer_norm_backward, (x, w, b), g)

    def jax(lib: Any) -> Any:
        np = lib.jax.numpy

        def f(x: Any, shape: Any, w: Any, b: Any, eps: float) -> Any:
            wide = x.astype(np.float32)
            mean, var = wide.mean(-1, keepdims=True), wide.var(-1, keepdims=True)
            return ((wide - mean) * lib.jax.lax.rsqrt(var + eps) * w + b).astype(x.dtype)

        return f

    entries = {
        "gradlib": simple(lambda lib: nn.functional.layer_norm),
        "numpy": numpy,
        "torch": simple(lambda lib: lib.torch.nn.functional.layer_norm),
        "jax": simple(jax),
    }
    inputs = lambda: _norm_inputs(rows, columns, dtype, True)  # noqa: E731
    return Case("norm", f"layer {rows}x{columns}", dtype, _norm_work(rows, columns, dtype), inputs, entries)


def _rms_norm(rows: int, columns: int, dtype: str) -> Case:
    def simple(f: Any) -> Any:
        def entry(lib: Any, at: Arrays) -> Any:
            x, w, g = map(lib.array, at.values())
            norm = f(lib)
            return lib.differentiate(lambda x, w: norm(x, (columns,), w, EPS), (x, w), g)

        return entry

    def numpy(lib: Any, at: Arrays) -> Any:
        x, w, g = at.values()
        return lib.differentiate(lambda x, w: by_hand.rms_norm_forward(x, w, EPS), by_hand.rms_norm_backward, (x, w), g)

    def jax(lib: Any) -> Any:
        np = lib.jax.numpy

        def f(x: Any, shape: Any, w: Any, eps: float) -> Any:
            wide = x.astype(np.float32)
            return (wide * lib.jax.lax.rsqrt((wide * wide).mean(-1, keepdims=True) + eps) * w).astype(x.dtype)

        return f

    entries = {
        "gradlib": simple(lambda lib: nn.functional.rms_norm),
        "numpy": numpy,
        "torch": simple(lambda lib: lib.torch.nn.functional.rms_norm),
        "jax": simple(jax),
    }
    inputs = lambda: _norm_inputs(rows, columns, dtype, False)  # noqa: E731
    return Case("norm", f"rms {rows}x{columns}", dtype, _norm_work(rows, columns, dtype), inputs, entries)


# -- attention


class Heads(NamedTuple):
    """Attention of a sequence to itself."""

    batch: int
    heads: int
    kv_heads: int
    length: int
    width: int
    causal: bool

    @property
    def label(self) -> str:
        heads = f"{self.heads}" if self.heads == self.kv_heads else f"{self.heads}/{self.kv_heads}"
        return f"{self.batch}x{heads}x{self.length}x{self.width}" + (" causal" if self.causal else "")


ATTENTION = {
    "tiny": [Heads(2, 2, 2, 7, 8, False), Heads(1, 4, 2, 9, 8, True)],
    "small": [Heads(1, 12, 12, 256, 64, True)],
    "medium": [Heads(2, 12, 12, 512, 64, True)],
    "full": [
        Heads(8, 12, 12, 1024, 64, True),  # GPT-2 124M, 8 x 1024 tokens
        Heads(2, 16, 16, 8192, 128, False),  # what flash attention is measured on
        Heads(2, 32, 8, 4096, 128, True),  # Llama 3 8B
    ],
}


def attention(size: str, dtype: str) -> list[Case]:
    """Return the cases of a size."""
    return [_attention(heads, dtype) for heads in ATTENTION[size]]


def _attention(h: Heads, dtype: str) -> Case:
    def inputs() -> Arrays:
        sizes = {"q": h.heads, "k": h.kv_heads, "v": h.kv_heads, "g": h.heads}
        return {n: noise((h.batch, c, h.length, h.width), dtype, seed=i) for i, (n, c) in enumerate(sizes.items())}

    def simple(f: Any) -> Any:
        def entry(lib: Any, at: Arrays) -> Any:
            q, k, v, g = map(lib.array, at.values())
            return lib.differentiate(f(lib), (q, k, v), g)

        return entry

    def numpy(lib: Any, at: Arrays) -> Any:
        q, k, v, g = at.values()
        forward = lambda q, k, v: by_hand.attention_forward(q, k, v, h.causal)  # noqa: E731
        return lib.differentiate(forward, by_hand.attention_backward, (q, k, v), g)

    def torch(lib: Any) -> Any:
        f = lib.torch.nn.functional.scaled_dot_product_attention
        return lambda q, k, v: f(q, k, v, is_causal=h.causal, enable_gqa=h.heads != h.kv_heads)

    def jax(lib: Any) -> Any:
        np = lib.jax.numpy

        def f(q: Any, k: Any, v: Any) -> Any:
            k, v = (np.repeat(a, h.heads // h.kv_heads, axis=1) for a in (k, v))
            scores = np.einsum("bhqd,bhkd->bhqk", q, k, preferred_element_type=np.float32) * h.width**-0.5
            if h.causal:
                scores = np.where(np.tri(h.length, dtype=bool), scores, -np.inf)
            return np.einsum("bhqk,bhkd->bhqd", lib.jax.nn.softmax(scores).astype(v.dtype), v)

        return f

    entries = {
        "gradlib": simple(lambda lib: lambda q, k, v: op.attention(q, k, v, causal=h.causal)),
        "numpy": numpy,
        "torch": simple(torch),
        "jax": simple(jax),
    }
    product = 2.0 * h.batch * h.heads * h.length**2 * h.width * (0.5 if h.causal else 1.0)
    many, few = (float(h.batch * n * h.length * h.width * as_dtype(dtype).itemsize) for n in (h.heads, h.kv_heads))
    work = {  # two products forward; five backward, the scores among them
        "forward": Work(2 * product, 2 * many + 2 * few),  # q, k, v, y
        "backward": Work(5 * product, 4 * many + 4 * few),  # q, k, v, y, g, dq, dk, dv
    }
    return Case("attention", h.label, dtype, work, inputs, entries)


# -- embedding


def embedding(size: str, dtype: str) -> list[Case]:
    """Return rows of a table for (tokens, rows, width)."""
    shapes = {
        "tiny": [(17, 5, 7)],
        "small": [(512, 8192, 256)],
        "medium": [(2048, 50257, 768)],
        "full": [(8192, 50257, 768)],  # GPT-2 124M, 8 x 1024 tokens
    }[size]
    return [_embedding(*shape, dtype) for shape in shapes]


def _embedding(tokens: int, rows: int, width: int, dtype: str) -> Case:
    def inputs() -> Arrays:
        weight, g = noise((rows, width), dtype), noise((tokens, width), dtype, seed=1)
        return {"weight": weight, "indices": labels(tokens, rows), "g": g}

    def simple(f: Any) -> Any:
        def entry(lib: Any, at: Arrays) -> Any:
            weight, indices, g = map(lib.array, at.values())
            return lib.differentiate(f(lib), (weight,), g, constants=(indices,))

        return entry

    def numpy(lib: Any, at: Arrays) -> Any:
        weight, indices, g = at.values()
        return lib.differentiate(by_hand.embedding_forward, by_hand.embedding_backward, (weight,), g, (indices,))

    entries = {
        "gradlib": simple(lambda lib: lambda weight, indices: nn.functional.embedding(indices, weight)),
        "numpy": numpy,
        "torch": simple(lambda lib: lambda weight, indices: lib.torch.nn.functional.embedding(indices, weight)),
        "jax": simple(lambda lib: lambda weight, indices: weight[indices]),
    }
    itemsize = as_dtype(dtype).itemsize
    picked, table = float(tokens * width * itemsize), float(rows * width * itemsize)
    work = {"forward": Work(0.0, 2 * picked), "backward": Work(0.0, picked + table)}  # the whole gradient is written
    return Case("embedding", f"{tokens} of {rows}x{width}", dtype, work, inputs, entries)


# -- LSTM


def lstm(size: str, dtype: str) -> list[Case]:
    """Return an LSTM layer for (batch, time, features, hidden)."""
    shapes = {
        "tiny": [(2, 3, 4, 5)],
        "small": [(16, 50, 32, 128)],
        "medium": [(32, 64, 256, 512)],
        "full": [(64, 128, 512, 1024), (16, 50, 32, 128)],
    }[size]
    return [_lstm(*shape, dtype) for shape in shapes]


def _lstm(batch: int, time: int, features: int, hidden: int, dtype: str) -> Case:
    wide = 4 * hidden

    def inputs() -> Arrays:
        return {
            "x": noise((batch, time, features), dtype),
            "w_ih": noise((features, wide), dtype, seed=1, scale=features**-0.5),
            "w_hh": noise((hidden, wide), dtype, seed=2, scale=0.5 * hidden**-0.5),
            "b_ih": noise((wide,), dtype, seed=3, scale=0.1),
            "b_hh": noise((wide,), dtype, seed=4, scale=0.1),
            "g": noise((batch, time, hidden), dtype, seed=5),
        }

    def gradlib(lib: Any, at: Arrays) -> Any:
        *leaves, g = map(lib.array, at.values())
        start = lib.array(noise((batch, hidden), dtype, scale=0.0))

        def layer(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
            fed = nn.functional.dense(op.swapaxes(x, 0, 1), w_ih, b_ih)
            return op.swapaxes(op.lstm(fed, w_hh, b_hh, start, start)[0], 0, 1)

        return lib.differentiate(layer, leaves, g)

    def numpy(lib: Any, at: Arrays) -> Any:
        *leaves, g = at.values()
        return lib.differentiate(by_hand.lstm_forward, by_hand.lstm_backward, leaves, g)

    def torch(lib: Any, at: Arrays) -> Any:
        arrays = [lib.array(a.T if name in ("w_ih", "w_hh") else a) for name, a in at.items()]
        *leaves, g = arrays
        start = lib.array(noise((1, batch, hidden), dtype, scale=0.0))

        def layer(x: Any, *weights: Any) -> Any:
            return lib.torch.lstm(x, (start, start), weights, True, 1, 0.0, True, False, True)[0]

        return lib.differentiate(layer, leaves, g)

    def jax(lib: Any, at: Arrays) -> Any:
        *leaves, g = map(lib.array, at.values())
        np, sigmoid = lib.jax.numpy, lib.jax.nn.sigmoid

        def layer(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
            def step(state: Any, fed: Any) -> Any:
                h, c = state
                i, f, g, o = np.split(fed + h @ w_hh + b_hh, 4, axis=1)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
                return (h, c), h

            zero = np.zeros((batch, hidden), x.dtype)
            fed = np.swapaxes(x @ w_ih + b_ih, 0, 1)
            return np.swapaxes(lib.jax.lax.scan(step, (zero, zero), fed)[1], 0, 1)

        return lib.differentiate(layer, leaves, g)

    entries = {"gradlib": gradlib, "numpy": numpy, "torch": torch, "jax": jax}
    flops = 2.0 * batch * time * wide * (features + hidden)
    itemsize = as_dtype(dtype).itemsize
    weights = float(wide * (features + hidden) * itemsize)
    states = float(batch * time * (features + hidden) * itemsize)  # x and y
    work = {"forward": Work(flops, weights + states), "backward": Work(2 * flops, 2 * weights + 2 * states)}
    return Case("lstm", f"{batch}x{time}x{features} to {hidden}", dtype, work, inputs, entries)
