"""The networks of tests/reference/make_torch_weights.py in gradlib: the same parts under the same names."""

from __future__ import annotations

from typing import Any

import gradlib as gl
from gradlib import nn
from gradlib.nn import functional as F
from gradlib.nn.utils import parametrizations, spectral_norm, weight_norm

DTYPE: dict[str, Any] = {"dtype": "float64"}


class Cnn(nn.Module):
    def __init__(self) -> None:
        self.features = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False, **DTYPE),
            nn.BatchNorm2d(4, **DTYPE),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, **DTYPE),
        )
        self.fc1 = nn.Linear(6 * 2 * 3, 5, **DTYPE)
        self.fc2 = nn.Linear(5, 3, **DTYPE)

    def forward(self, x: Any) -> Any:
        return self.fc2(F.relu(self.fc1(F.flatten(F.relu(self.features(x)), 1))))


class Tagger(nn.Module):
    def __init__(self) -> None:
        self.embedding = nn.Embedding(11, 4, padding_idx=0, **DTYPE)
        self.lstm = nn.LSTM(4, 5, num_layers=2, bidirectional=True, proj_size=3, **DTYPE)
        self.gru = nn.GRU(6, 4, **DTYPE)
        self.out = nn.Linear(4, 3, **DTYPE)

    def forward(self, x: Any) -> Any:
        return self.out(self.gru(self.lstm(self.embedding(x))[0])[0])


class Translator(nn.Module):
    def __init__(self) -> None:
        self.source, self.target = nn.Embedding(9, 6, **DTYPE), nn.Embedding(7, 6, **DTYPE)
        self.transformer = nn.Transformer(6, 2, 2, 2, 10, activation="gelu", norm_first=True, **DTYPE)
        self.memory = nn.MultiheadAttention(6, 3, kdim=4, vdim=5, add_bias_kv=True, **DTYPE)
        self.norm = nn.LayerNorm(6, **DTYPE)

    def forward(self, source: Any, target: Any, key: Any, value: Any) -> Any:
        y = self.transformer(self.source(source), self.target(target), tgt_is_causal=True)
        return self.norm(self.memory(y, key, value)[0])


class Block(nn.Module):
    def __init__(self) -> None:
        self.expand = nn.Conv2d(4, 8, 1, bias=False, **DTYPE)
        self.norm = nn.BatchNorm2d(8, **DTYPE)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, **DTYPE)
        self.group = nn.GroupNorm(2, 8, **DTYPE)
        self.project = parametrizations.spectral_norm(nn.Conv2d(8, 4, 3, padding=1, groups=2, **DTYPE))
        self.up = parametrizations.weight_norm(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, **DTYPE))
        self.mixed = weight_norm(nn.Conv2d(6, 4, (2, 3), **DTYPE))
        self.sharp = spectral_norm(nn.ConvTranspose2d(4, 2, 2, **DTYPE))
        self.act = nn.PReLU(2, **DTYPE)
        self.pair = nn.Bilinear(2, 2, 3, **DTYPE)

    def forward(self, x: Any) -> Any:
        y = F.relu6(self.norm(self.expand(x)))
        x = x + self.project(self.group(self.depthwise(y)))
        y = gl.mean(self.act(self.sharp(self.mixed(self.up(x)))), axis=(1, 2))
        return self.pair(y, gl.flip(y, axis=1))


NETWORKS = {kind.__name__: kind for kind in (Cnn, Tagger, Translator, Block)}
CHW = {"Cnn": {"fc1.weight": (6, 2, 3)}}
