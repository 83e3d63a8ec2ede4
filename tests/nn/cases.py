"""A small instance of every layer and loss, with inputs: the one table that the tests of all of them go through.

`tests/reference/make_module.py` runs the same table through PyTorch, so nothing here imports gradlib.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """``getattr(nn, layer)(*args, **settings)(*inputs)``, and what PyTorch calls it."""

    layer: str
    inputs: tuple[Any, ...]  # "kind size size ..." in our layout, or (kind, values)
    args: tuple[Any, ...]
    settings: dict[str, Any]
    torch: str  # the class there; "" if there is none, or none whose values are determined
    theirs: dict[str, Any]  # settings there that differ
    out: str  # the kind of the output
    train: bool


def case(
    layer: str, inputs: str | list[Any], *args: Any, torch: str | None = None, theirs: dict[str, Any] | None = None,
    out: str = "", train: bool = False, **settings: Any,
) -> Case:  # fmt: skip
    several = tuple(inputs.split("; ")) if isinstance(inputs, str) else tuple(inputs)
    return Case(layer, several, args, settings, layer if torch is None else torch, theirs or {}, out, train)


# -- inputs from a pool of normal numbers, the same in both libraries


def given(spec: Any, pool: Any, seed: int) -> tuple[str, Any]:
    """Return the kind and the values, in our layout; of the kind "as", a plain argument."""
    if not isinstance(spec, str):
        return spec[0], spec[1] if spec[0] == "as" else np.array(spec[1])
    kind, *sizes = spec.split()
    shape = tuple(int(n) for n in sizes)
    values = taken(pool, shape, seed)
    name, _, bound = kind.partition(":")
    if name == "int":
        return name, (np.abs(values) * 1000).astype(np.int64) % int(bound)
    if name == "unit":
        return name, 1.3 * np.tanh(values)
    if name == "positive":
        return name, 1 / (1 + np.exp(-values))
    if name == "sign":
        return name, np.where(values > 0, 1.0, -1.0)
    if name == "bits":
        return name, np.where(values > 0, 1.0, 0.0)
    if name in ("logp", "time"):
        return name, values - np.log(np.exp(values).sum(-1, keepdims=True))
    return name, values


def differentiated(kind: str) -> bool:
    """Whether gradients are compared: not of targets, nor of CTC's input (PyTorch's has the softmax's mixed in)."""
    return kind in ("plain", "map", "columns", "matrix", "positive", "logp", "unit")


def taken(pool: Any, shape: tuple[int, ...], seed: int) -> Any:
    """Return numbers of the pool, others for another seed."""
    return np.resize(np.roll(pool, -37 * seed), shape)


def to_theirs(kind: str, a: Any, channels: int = 0) -> Any:
    """Return an array of ours in PyTorch's layout."""
    if kind == "map":
        return np.moveaxis(a, -1, 1)
    if kind in ("time", "matrix"):
        return np.swapaxes(a, 0, 1)
    if kind == "columns":  # (batch, windows, taps channels) to (batch, channels taps, windows)
        batch, windows, width = a.shape
        taps = a.reshape(batch, windows, width // channels, channels)
        return taps.transpose(0, 3, 2, 1).reshape(batch, width, windows)
    return a


def filled(name: str, shape: tuple[int, ...], pool: Any, seed: int) -> Any:
    """Return values for an entry of a state, in PyTorch's layout."""
    if name.endswith("num_batches_tracked"):
        return np.array(3)
    values = 0.5 * taken(pool, shape, 100 + seed)
    if name == "_random_samples":
        return np.abs(values) % 1
    return np.abs(values) + 0.5 if name.endswith("running_var") else values


# -- activations (PyTorch's CELU has 1 / alpha in float32)

SEQ, IMAGE, VOLUME = "map 2 5 4", "map 1 5 6 4", "map 1 3 4 5 2"
_PLAIN = ["Hardsigmoid", "ReLU", "ReLU6", "SELU", "SiLU", "Hardswish", "Mish", "LogSigmoid", "Softsign", "Tanhshrink"]
_PLAIN += ["Sigmoid", "Tanh"]
_DROPOUTS = [("Dropout", "plain 3 4"), ("Dropout1d", SEQ), ("Dropout2d", IMAGE), ("Dropout3d", VOLUME)]
_DROPOUTS += [("AlphaDropout", "plain 3 4"), ("FeatureAlphaDropout", SEQ)]
CASES: list[Case] = [
    *(case(name, "plain 3 4") for name in _PLAIN),
    case("LeakyReLU", "plain 3 4", 0.2), case("ELU", "plain 3 4", 0.7), case("CELU", "plain 3 4", 0.5),
    case("GELU", "plain 3 4"), case("GELU", "plain 3 4", "tanh"), case("Softplus", "plain 3 4", 2.0, 1.5),
    case("Hardtanh", "plain 3 4", -0.5, 0.8),
    case("Hardshrink", "plain 3 4", 0.6), case("Softshrink", "plain 3 4", 0.6),
    case("Threshold", "plain 3 4", 0.2, -3.0), case("GLU", "plain 3 4"), case("PReLU", SEQ, 4),
    case("RReLU", "plain 3 4", 0.2, 0.4), case("RReLU", "plain 3 4", torch="", train=True),
    case("Softmax", SEQ, theirs={"dim": 1}), case("LogSoftmax", SEQ, theirs={"dim": 1}),
    case("Softmin", SEQ, theirs={"dim": 1}), case("Softmax2d", IMAGE),
    # -- dense, shapes, containers
    case("Dense", "plain 3 4", 4, 5, torch="Linear"), case("Linear", "plain 3 4", 4, 5, bias=False),
    case("Bilinear", "plain 3 4; plain 3 2", 4, 2, 3), case("Identity", "plain 3 4"), case("Flatten", "plain 2 3 4"),
    case("Unflatten", "plain 2 6", 1, (2, 3)), case("RBF", "plain 3 2", 2, 4, torch=""),
    # -- convolutions
    case("Conv1d", SEQ, 4, 6, 3, stride=2, padding=1, groups=2), case("Conv2d", IMAGE, 4, 3, (2, 3), dilation=2),
    case("Conv2d", IMAGE, 4, 2, 3, padding="same", padding_mode="reflect"),
    case("Conv1d", SEQ, 4, 2, 3, padding=2, padding_mode="circular"),
    case("Conv2d", IMAGE, 4, 2, 3, padding=(2, 1), padding_mode="replicate", bias=False),
    case("Conv3d", VOLUME, 2, 3, 2, padding=1), case("ConvTranspose1d", SEQ, 4, 2, 3, stride=2, output_padding=1),
    case("ConvTranspose2d", IMAGE, 4, 6, 2, 2, 1, groups=2), case("ConvTranspose3d", VOLUME, 2, 2, 2, 1, bias=False),
    # -- pooling
    case("MaxPool1d", SEQ, 2), case("MaxPool2d", IMAGE, 3, 2, 1), case("MaxPool3d", VOLUME, 2, 1),
    case("MaxPool1d", SEQ, 3, 1, 1, 1, True), case("MaxPool2d", IMAGE, 2, 2, 1, 2, True, True),
    case("MaxPool3d", VOLUME, 2, return_indices=True), case("AvgPool1d", SEQ, 2, 1, 1),
    case("AvgPool2d", IMAGE, 2, divisor_override=3), case("AvgPool3d", VOLUME, 2), case("LPPool1d", "map 1 6 3", 4, 2),
    case("LPPool2d", IMAGE, 2, 2, ceil_mode=True), case("LPPool3d", VOLUME, 2, 2, 1),
    *(case(f"Adaptive{kind}Pool{n}d", x, size) for kind in ("Avg", "Max")
      for n, x, size in ((1, SEQ, 3), (2, IMAGE, (2, 4)), (3, VOLUME, (2, None, 3)))),
    case("AdaptiveMaxPool2d", IMAGE, (2, 4), return_indices=True),
    case("AdaptiveMaxPool1d", SEQ, 3, True), case("AdaptiveMaxPool3d", VOLUME, 2, True),
    case("FractionalMaxPool2d", IMAGE, 2, output_size=(2, 4),
         _random_samples=np.array([[[0.3, 0.6], [0.1, 0.9], [0.5, 0.2], [0.8, 0.7]]])),
    case("FractionalMaxPool3d", "map 1 4 5 6 2", 2, output_ratio=(0.7, 0.7, 0.7), return_indices=True,
         _random_samples=np.array([[[0.3, 0.6, 0.9], [0.1, 0.9, 0.2]]])),
    case("FractionalMaxPool2d", IMAGE, 2, output_size=3, torch=""),
    case("MaxUnpool1d", ["map 1 3 2", ("map", [[[0, 1], [3, 2], [4, 5]]])], 2),
    case("MaxUnpool2d", ["map 1 2 1 2", ("map", [[[[0, 3]], [[5, 4]]]])], 2),
    case("MaxUnpool3d", ["map 1 1 1 2 1", ("map", [[[[[3], [4]]]]])], 2),
    case("GlobalAvgPool", IMAGE, torch=""), case("GlobalMaxPool", IMAGE, torch=""),
    # -- padding, resizing, channels
    *(case(f"{kind}Pad{n}d", x, size) for kind in ("Zero", "Reflection", "Replication", "Circular")
      for n, x, size in ((1, SEQ, (1, 2)), (2, IMAGE, (1, 2, 0, 1)), (3, VOLUME, 1))),
    *(case(f"ConstantPad{n}d", x, 1, 2.5) for n, x in ((1, SEQ), (2, IMAGE), (3, VOLUME))),
    case("Upsample", SEQ, scale_factor=1.7, mode="linear"), case("Upsample", IMAGE, (3, 4), mode="bicubic"),
    case("Upsample", SEQ, scale_factor=2.3, mode="linear", recompute_scale_factor=True),
    case("UpsamplingNearest2d", IMAGE, scale_factor=2), case("UpsamplingBilinear2d", IMAGE, (3, 4)),
    case("PixelShuffle", IMAGE, 2), case("PixelUnshuffle", "map 1 4 6 2", 2), case("ChannelShuffle", IMAGE, 2),
    case("Unfold", IMAGE, (2, 3), 1, 1, 2, out="columns"),
    case("Fold", "columns 1 6 24", (4, 5), (2, 3), 1, 0, (1, 2), out="map"),
    # -- norms
    case("BatchNorm1d", "map 6 4", 4), case("BatchNorm2d", IMAGE, 4), case("BatchNorm3d", VOLUME, 2),
    case("BatchNorm1d", SEQ, 4, momentum=None, train=True), case("BatchNorm2d", IMAGE, 4, 0.1, bias=False, train=True),
    case("InstanceNorm1d", SEQ, 4), case("InstanceNorm2d", IMAGE, 4, affine=True, track_running_stats=True),
    case("InstanceNorm3d", VOLUME, 2, affine=True),
    case("GroupNorm", IMAGE, 2, 4), case("GroupNorm", SEQ, 4, 4, affine=False),
    case("LayerNorm", "plain 2 3 4", 4), case("LayerNorm", "plain 2 3 4", (3, 4), 0.1, bias=False),
    case("RMSNorm", "plain 2 3 4", 4), case("LocalResponseNorm", IMAGE, 3, 0.5),
    # -- dropouts, in evaluation as in PyTorch
    *(case(name, x, 0.3) for name, x in _DROPOUTS),
    *(case(name, x, 0.3, torch="", train=True) for name, x in _DROPOUTS),
    # -- sequences
    case("Embedding", "int:7 2 3", 7, 4),
    case("EmbeddingBag", "int:7 2 3", 7, 4), case("EmbeddingBag", "int:7 2 3", 7, 4, mode="max"),
    *(case(name, "plain 2 3 4", 4, 3, theirs={"batch_first": True}, **more) for name, more in (
        ("RNN", {"nonlinearity": "relu"}), ("LSTM", {"bidirectional": True}), ("GRU", {"num_layers": 2}))),
    *(case(f"{name}Cell", "plain 2 4", 4, 3) for name in ("RNN", "LSTM", "GRU")),
    *(case(name, "plain 2 3 4; plain 2 5 4; plain 2 5 4", 4, 2, torch="MultiheadAttention",
           theirs={"batch_first": True}) for name in ("MultiheadAttention", "MultiHeadAttention")),
    case("MultiheadAttention", "plain 2 3 8; plain 2 3 8; plain 2 3 8", 8, 4, num_kv_heads=2, torch=""),
    case("TransformerEncoderLayer", "plain 2 3 4", 4, 2, 6, 0.0, theirs={"batch_first": True}),
    case("TransformerDecoderLayer", "plain 2 3 4; plain 2 5 4", 4, 2, 6, 0.0, "gelu", norm_first=True,
         theirs={"batch_first": True}),
    case("Transformer", "plain 1 3 4; plain 1 2 4", 4, 2, 1, 1, 6, 0.0, theirs={"batch_first": True}),
    case("PositionalEncoding", "plain 2 3 4", 4, torch=""),
    case("LearnedPositionalEncoding", "plain 2 3 4", 5, 4, torch=""),
    case("RotaryEmbedding", "plain 2 3 4", 4, torch=""),
    case("RotaryEmbedding", "plain 3 4", 4, interleaved=False, torch=""),
    # -- losses
    *(case(name, "plain 3 4; plain 3 4") for name in ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss")),
    case("CrossEntropyLoss", "plain 3 4; int:4 3", label_smoothing=0.1), case("NLLLoss", "logp 3 4; int:4 3"),
    case("BCELoss", "positive 3 4; bits 3 4"), case("BCEWithLogitsLoss", "plain 3 4; bits 3 4"),
    case("KLDivLoss", "logp 3 4; positive 3 4", reduction="batchmean"),
    case("PoissonNLLLoss", "plain 3 4; bits 3 4", full=True),
    case("GaussianNLLLoss", "plain 3 4; plain 3 4; positive 3 4"), case("SoftMarginLoss", "plain 3 4; sign 3 4"),
    case("HingeEmbeddingLoss", "plain 3 4; sign 3 4"), case("MarginRankingLoss", "plain 3; plain 3; sign 3", 0.3),
    case("TripletMarginLoss", "plain 3 4; plain 3 4; plain 3 4"),
    case("TripletMarginWithDistanceLoss", "plain 3 4; plain 3 4; plain 3 4", swap=True),
    case("CosineEmbeddingLoss", "plain 3 4; plain 3 4; sign 3"), case("CosineSimilarity", "plain 3 4; plain 3 4"),
    case("PairwiseDistance", "plain 3 4; plain 3 4"), case("MultiMarginLoss", "plain 3 4; int:4 3"),
    case("MultiLabelMarginLoss", ["plain 2 4", ("int", [[2, 0, -1, 1], [1, -1, 3, 3]])]),
    case("MultiLabelSoftMarginLoss", "plain 3 4; bits 3 4"),
    case("CTCLoss", ["time 2 5 4", ("int", [[1, 2], [3, 3]]), ("int", [5, 4]), ("int", [2, 2])]),
    case("AdaptiveLogSoftmaxWithLoss", ["plain 4 6", ("int", [0, 3, 7, 1])], 6, 9, [2, 5], 2.0, head_bias=True),
    case("LinearCrossEntropyLoss", "plain 3 4; int:5 3", 4, 5, bias=True),
    case("LinearCrossEntropyLoss", "plain 3 4; int:5 3 2", 4, 5, out_features=(2,)),
    case("L2Divergence", "plain 3 4; plain 3 4", torch=""),
]  # fmt: skip

# Functions that no layer calls, or calls with fewer settings.
_SEEN = np.array([[True, False, True, True, False], [False] * 5, [True] * 5])
_QKV = "plain 2 2 3 4; plain 2 2 5 4; plain 2 2 5 3"


def _heads(extra: bool = False, **settings: Any) -> Case:
    """Return a call of multi_head_attention_forward, with or without an extra key, value and zero."""
    more: list[Any] = ["plain 1 1 4"] * 2 if extra else [("as", None)] * 2
    sizes = [("as", 4), ("as", 2)]
    inputs = ["plain 2 3 4", "plain 2 5 4", "plain 2 5 4", *sizes, "matrix 4 12", "plain 12", *more]
    inputs += [("as", extra), ("as", 0.0), "matrix 4 4", "plain 4"]
    return case("multi_head_attention_forward", inputs, out="plain", **settings)


FUNCTIONS: list[Case] = [
    case("scaled_dot_product_attention", _QKV), case("scaled_dot_product_attention", _QKV, is_causal=True),
    case("scaled_dot_product_attention", _QKV, attn_mask=_SEEN, scale=0.3),
    case("scaled_dot_product_attention", _QKV, attn_mask=np.where(_SEEN, 0.7, -np.inf)[None, None]),
    case("scaled_dot_product_attention", "plain 1 4 3 2; plain 1 2 5 2; plain 1 2 5 2", enable_gqa=True),
    _heads(), _heads(extra=True, need_weights=False),
    _heads(average_attn_weights=False, attn_mask=~_SEEN[[0, 2, 2]]),
    _heads(key_padding_mask=np.array([[False] * 5, [False] * 3 + [True] * 2])),
    case("affine_grid", "plain 2 2 3", size=(2, 3, 4, 1), theirs={"size": (2, 1, 3, 4)}),
    case("affine_grid", "plain 1 3 4", size=(1, 2, 3, 4, 1), align_corners=True, theirs={"size": (1, 1, 2, 3, 4)}),
    *(case("grid_sample", "map 2 4 5 2; unit 2 3 2 2", mode, padding, corners)
      for mode in ("bilinear", "nearest", "bicubic") for padding in ("zeros", "border", "reflection")
      for corners in (False, True)),
    *(case("grid_sample", "map 1 3 4 5 2; unit 1 2 2 2 3", mode) for mode in ("bilinear", "nearest")),
    *(case("pdist", "plain 4 3", p) for p in (2.0, 1.0, 3.0, float("inf"))),
    *(case("interpolate", "map 1 7 9 2", size, mode=mode, antialias=True, align_corners=corners)
      for mode, size, corners in (("bilinear", (3, 12), False), ("bicubic", (4, 5), True), ("bicubic", (3, 4), False))),
    case("embedding_bag", ["int:7 6", "plain 7 3", ("int", [0, 2, 2])], mode="mean"),
    case("embedding_bag", ["int:7 6", "plain 7 3", ("int", [0, 4, 6])], mode="max", include_last_offset=True),
    case("embedding_bag", ["int:7 2 3", "plain 7 3"], mode="sum", padding_idx=2),
    case("ctc_loss", ["time 2 5 4", ("int", [1, 2, 3]), ("int", [5, 4]), ("int", [2, 1])]),
    *(case(name, "plain 3 4; plain 3 4", weight=np.array([0.5, 1.0, 2.0, 0.2]) * np.ones((3, 1)))
      for name in ("mse_loss", "l1_loss", "huber_loss")),
    case("linear_cross_entropy", ["plain 3 4", "matrix 4 5", "int:5 3"], label_smoothing=0.1),
    case("dropout", "plain 3 4", 0.3, training=False),
    case("normalize", "plain 3 4", 3.0), case("one_hot", "int:4 2 3", 5), case("one_hot", "int:4 2 3"),
]  # fmt: skip

# Made of other modules or of a model's parameters: instances in the tests themselves.
COMPOSED = {"ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Regularizer", "Residual", "Sequential"}
COMPOSED |= {"ConvBatchNorm2d", "TransformerDecoder", "TransformerEncoder"}
# No layers.
OTHERS = {"Buffer", "KeyValueCache", "Module", "Parameter"}


def title(n: int) -> str:
    return f"{n}-{CASES[n].layer}"
