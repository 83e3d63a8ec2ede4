"""Attention and positions: masks, groups of heads, the cache of decoding, the papers' formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.nn import functional as F

RNG = np.random.default_rng(0)


def normal(*shape: int) -> gl.Tensor:
    return gl.tensor(RNG.standard_normal(shape))


def by_hand(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    """Vaswani et al., 2017, equation 1."""
    logits = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]) + (0 if mask is None else mask)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def test_attention_is_the_papers() -> None:
    q, k, v = (RNG.standard_normal(s) for s in ((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)))
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v), by_hand(q, k, v), rtol=1e-12)
    causal = np.where(np.tri(4, 6), 0, -np.inf)
    np.testing.assert_allclose(
        F.scaled_dot_product_attention(q, k, v, is_causal=True), by_hand(q, k, v, causal), rtol=1e-12
    )


def test_a_query_that_sees_nothing_gives_zero_and_a_finite_gradient() -> None:
    q, k, v = (gl.tensor(RNG.standard_normal((1, 2, 3)), requires_grad=True) for _ in range(3))
    for mask in (np.array([[True, False], [False, False]]), np.array([[0.0, -np.inf], [-np.inf, -np.inf]])):
        for dtype in ("float64", "float32", "float16", "bfloat16"):
            x = [t.to(dtype) for t in (q, k, v)]
            y = F.scaled_dot_product_attention(*x, gl.tensor(mask))
            np.testing.assert_array_equal(y.numpy()[0, 1].astype(float), 0)
            np.testing.assert_array_equal(y.numpy()[0, 0], x[2].numpy()[0, 0])
        F.scaled_dot_product_attention(q, k, v, gl.tensor(mask)).sum().backward()
        assert all(np.isfinite(t.grad.numpy()).all() for t in (q, k, v))


def test_grouped_queries_are_repeated_keys() -> None:
    q, k, v = normal(2, 6, 4, 5), normal(2, 2, 3, 5), normal(2, 2, 3, 5)
    grouped = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    repeated = F.scaled_dot_product_attention(q, gl.repeat(k, 3, axis=1), gl.repeat(v, 3, axis=1))
    np.testing.assert_array_equal(grouped.numpy(), repeated.numpy())
    layer = nn.MultiheadAttention(12, 6, num_kv_heads=2, dtype="float64")
    assert layer.in_proj_weight.shape == (12, 20)
    x = normal(2, 4, 12)
    np.testing.assert_allclose(
        layer(x, x, x)[0].numpy(), layer(x, x, x, need_weights=False)[0].numpy(), rtol=1e-10, atol=1e-12
    )


def test_dropout_drops_weights_in_training_alone() -> None:
    layer, x = nn.MultiheadAttention(8, 2, dropout=0.5, dtype="float64"), normal(2, 16, 8)
    _, weights = layer(x, x, x, average_attn_weights=False)
    assert 0.3 < (weights.numpy() == 0).mean() < 0.7
    _, weights = layer.eval()(x, x, x)
    np.testing.assert_allclose(weights.numpy().sum(-1), 1, rtol=1e-12)


def rotated(x: Any, offset: int = 0, base: float = 10000.0) -> Any:
    """Su et al., 2021, equations 14 to 16: each pair times a rotation matrix."""
    y = np.empty_like(x)
    for t in range(x.shape[-2]):
        for i in range(x.shape[-1] // 2):
            angle = (offset + t) * base ** (-2 * i / x.shape[-1])
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            y[..., t, 2 * i : 2 * i + 2] = x[..., t, 2 * i : 2 * i + 2] @ turn.T
    return y


def test_rotary_is_the_papers() -> None:
    x = RNG.standard_normal((2, 5, 6))
    np.testing.assert_allclose(F.rotary_embedding(x, 3, 100.0), rotated(x, 3, 100.0), rtol=1e-12)
    beside = [0, 3, 1, 4, 2, 5]  # features i and 3 + i side by side
    other = F.rotary_embedding(x, 3, 100.0, interleaved=False)
    np.testing.assert_allclose(other[..., beside], rotated(x[..., beside], 3, 100.0), rtol=1e-12)
    q, k = RNG.standard_normal((2, 6))

    def product(m: int, n: int) -> float:
        return float(F.rotary_embedding(q[None], m)[0] @ F.rotary_embedding(k[None], n)[0])

    np.testing.assert_allclose(product(7, 3), product(104, 100), rtol=1e-9)  # only the distance counts


def test_positions() -> None:
    table = F.sinusoidal_positions(6, 5, offset=2)
    for t, i in np.ndindex(6, 5):
        angle = (2 + t) / 10000 ** (2 * (i // 2) / 5)
        np.testing.assert_allclose(table[t, i], np.cos(angle) if i % 2 else np.sin(angle), rtol=1e-12)
    x = normal(2, 3, 5)
    np.testing.assert_allclose(nn.PositionalEncoding(5)(x, 2).numpy(), x.numpy() + table[:3], rtol=1e-12)
    learned = nn.LearnedPositionalEncoding(6, 5, dtype="float64")
    np.testing.assert_allclose(learned(x, 3).numpy(), x.numpy() + learned.weight.numpy()[3:], rtol=1e-12)
    with pytest.raises(gl.ShapeError, match="positions 4 to 6 of 6"):
        learned(x, 4)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("chunk", [1, 2])
def test_a_cache_goes_on_where_it_stopped(rotary: bool, chunk: int) -> None:
    turned = nn.RotaryEmbedding(4) if rotary else None
    layer = nn.MultiheadAttention(8, 2, num_kv_heads=1, rotary=turned, dtype="float64")
    x, cache = normal(2, 6, 8), nn.KeyValueCache()
    whole, _ = layer(x, x, x, is_causal=True)
    parts = []
    for t in range(0, 6, chunk):
        new = x[:, t : t + chunk]
        parts.append(layer(new, new, new, is_causal=True, cache=cache, need_weights=False)[0])
    np.testing.assert_allclose(gl.concat(parts, axis=1).numpy(), whole.numpy(), rtol=1e-9, atol=1e-12)
    assert cache.length == 6


def test_decoding_with_a_cache_projects_the_memory_once() -> None:
    model = nn.Transformer(8, 2, 1, 2, 12, dropout=0.0, norm_first=True, dtype="float64")
    source, target = normal(2, 5, 8), normal(2, 4, 8)
    whole = model(source, target, tgt_is_causal=True)
    memory, cache = model.encoder(source), nn.KeyValueCache()
    steps = [model.decoder(target[:, :1], memory, tgt_is_causal=True, cache=cache)]
    nothing = gl.tensor(np.full(memory.shape, np.nan))  # no longer looked at
    for t in range(1, 4):
        steps.append(model.decoder(target[:, t : t + 1], nothing, tgt_is_causal=True, cache=cache))
    np.testing.assert_allclose(gl.concat(steps, axis=1).numpy(), whole.numpy(), rtol=1e-9, atol=1e-12)
    cache.reorder(gl.tensor([1, 1]))
    y = model.decoder(gl.concat([target[1:, :1]] * 2), nothing, tgt_is_causal=True, cache=cache)
    np.testing.assert_array_equal(y.numpy()[0], y.numpy()[1])


def test_layouts_and_unbatched_sequences() -> None:
    first = nn.MultiheadAttention(8, 2, dtype="float64")
    second = nn.MultiheadAttention(8, 2, batch_first=False, dtype="float64")
    second.load_state_dict(first.state_dict())
    assert "batch_first=False" in repr(second)
    x = normal(2, 5, 8)
    y, weights = first(x, x, x)
    t = gl.swapaxes(x, 0, 1)
    z, others = second(t, t, t)
    np.testing.assert_allclose(gl.swapaxes(z, 0, 1).numpy(), y.numpy(), rtol=1e-12)
    np.testing.assert_allclose(others.numpy(), weights.numpy(), rtol=1e-12)
    alone, _ = first(x[0], x[0], x[0], key_padding_mask=gl.tensor([False] * 5))
    np.testing.assert_allclose(alone.numpy(), y.numpy()[0], rtol=1e-12)
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype="float64")
    np.testing.assert_allclose(
        first(x, x, x, attn_mask=mask)[0].numpy(), first(x, x, x, is_causal=True)[0].numpy(), rtol=1e-12
    )


def test_copies_of_a_layer_learn_apart() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6), 2)
    a, b = (layer.linear1.weight for layer in encoder.layers)
    assert a is not b
    np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert len(list(encoder.parameters())) == 24


def test_bad_arguments() -> None:
    x, mask = normal(2, 3, 4), gl.tensor(np.ones((3, 3), bool))
    layer = nn.MultiheadAttention(4, 2, add_bias_kv=True, dtype="float64")
    for call, error, text in (
        (lambda: F.scaled_dot_product_attention(x, x, x, mask, is_causal=True), gl.ShapeError, "both are given"),
        (lambda: F.scaled_dot_product_attention(x, x[..., :2], x), gl.ShapeError, "query has 4 features, key has 2"),
        (lambda: F.scaled_dot_product_attention(x, x, x[:, :2]), gl.ShapeError, "3 keys have 2 values"),
        (lambda: F.scaled_dot_product_attention(x[0], x[0], x[0], enable_gqa=True), gl.ShapeError, "few dimensions"),
        (lambda: F.scaled_dot_product_attention(x[None], x[None, :1].repeat(3, axis=1), x[None], enable_gqa=True),
         gl.ShapeError, "2 heads of queries share 3"),
        (lambda: nn.MultiheadAttention(5, 2), gl.ShapeError, "5 features in 2 heads"),
        (lambda: nn.MultiheadAttention(4, 2, num_kv_heads=3), gl.ShapeError, "3 of keys"),
        (lambda: nn.MultiheadAttention(4, 2, rotary=nn.RotaryEmbedding(4)), gl.ShapeError, "turns 4 features, need 2"),
        (lambda: layer(x, x, x, cache=nn.KeyValueCache()), ValueError, "add_bias_kv"),
        (lambda: layer(x, x[:1], x), gl.ShapeError, "batches or lengths differ"),
        (lambda: layer(x[..., :2], x, x), gl.ShapeError, "2 features for an embedding of 4"),
        (lambda: nn.RotaryEmbedding(3), gl.ShapeError, "even"),
        (lambda: F.rotary_embedding(np.ones((2, 3))), gl.ShapeError, "pairs"),
        (lambda: nn.PositionalEncoding(3)(x), gl.ShapeError, "need 3 features"),
        (lambda: nn.Transformer(4, 2, 1, 1, 4, dtype="float64")(x, x[:1]), gl.ShapeError, "batches of 2 and 1"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            call()  # type: ignore[no-untyped-call]
