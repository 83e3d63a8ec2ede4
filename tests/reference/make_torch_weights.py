"""Write torch_weights.npz: four of PyTorch's networks in float64, weights, inputs and outputs.

Run: python tests/reference/make_torch_weights.py.  The same networks in gradlib: tests/io/networks.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3)
        )
        self.fc1 = nn.Linear(6 * 2 * 3, 5)
        self.fc2 = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(torch.relu(self.fc1(torch.relu(self.features(x)).flatten(1))))


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 4, padding_idx=0)
        self.lstm = nn.LSTM(4, 5, num_layers=2, bidirectional=True, proj_size=3, batch_first=True)
        self.gru = nn.GRU(6, 4, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(self.lstm(self.embedding(x))[0])[0])


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(9, 6), nn.Embedding(7, 6)
        self.transformer = nn.Transformer(6, 2, 2, 2, 10, activation="gelu", batch_first=True, norm_first=True)
        self.memory = nn.MultiheadAttention(6, 3, kdim=4, vdim=5, add_bias_kv=True, batch_first=True)
        self.norm = nn.LayerNorm(6)

    def forward(self, source: torch.Tensor, target: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Any:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=torch.float64)
        y = self.transformer(self.source(source), self.target(target), tgt_mask=mask)
        return self.norm(self.memory(y, key, value)[0])


class Block(nn.Module):
    """Depthwise and grouped convolutions, a transposed one, norms, a residual; weights that are reparametrised."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(4, 8, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.group = nn.GroupNorm(2, 8)
        self.project = parametrizations.spectral_norm(nn.Conv2d(8, 4, 3, padding=1, groups=2))
        self.up = parametrizations.weight_norm(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2))
        self.mixed = weight_norm(nn.Conv2d(6, 4, (2, 3)))
        self.sharp = nn.utils.spectral_norm(nn.ConvTranspose2d(4, 2, 2))
        self.act = nn.PReLU(2)
        self.pair = nn.Bilinear(2, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.nn.functional.relu6(self.norm(self.expand(x)))
        x = x + self.project(self.group(self.depthwise(y)))
        y = self.act(self.sharp(self.mixed(self.up(x)))).mean((2, 3))
        return self.pair(y, y.flip(1))


def main() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    rng = np.random.default_rng(0)
    out: dict[str, np.ndarray] = {"torch": np.array(torch.__version__)}
    inputs = {
        "Cnn": [rng.standard_normal((3, 2, 8, 10))],
        "Tagger": [rng.integers(0, 11, (3, 5))],
        "Translator": [rng.integers(0, 9, (2, 5)), rng.integers(0, 7, (2, 4)),
                       *(rng.standard_normal((2, 6, n)) for n in (4, 5))],
        "Block": [rng.standard_normal((2, 4, 5, 6))],
    }  # fmt: skip
    for kind in (Cnn, Tagger, Translator, Block):
        name = kind.__name__
        model = kind().train()
        tensors = [torch.tensor(a) for a in inputs[name]]
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.1 * torch.randn_like(p))
            model(*tensors)  # running statistics and power iterations move
            model.eval()
            y = model(*tensors)
        out |= {f"{name}.y": y.numpy(), **{f"{name}.x{i}": a for i, a in enumerate(inputs[name])}}
        out |= {f"{name}/{key}": value.numpy() for key, value in model.state_dict().items()}
    np.savez_compressed(Path(__file__).with_name("torch_weights.npz"), **out)


if __name__ == "__main__":
    main()
