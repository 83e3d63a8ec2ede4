"""Write recurrent.npz: PyTorch's recurrent layers in float64.  Run: python tests/reference/make_recurrent.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

# layer, settings, whether a state is given, lengths
CASES: list[list[Any]] = [
    ["RNN", {}, False, None],
    ["RNN", {"num_layers": 2, "nonlinearity": "relu", "bias": False}, True, None],
    ["LSTM", {}, True, None],
    ["LSTM", {"num_layers": 2, "bidirectional": True}, True, [6, 3, 1]],
    ["LSTM", {"proj_size": 2, "bidirectional": True, "num_layers": 2}, False, None],
    ["GRU", {}, False, None],
    ["GRU", {"num_layers": 2, "bidirectional": True}, True, None],
    ["GRU", {"bidirectional": True}, True, [6, 4, 2]],
]
BATCH, LENGTH, INTO, HIDDEN = 3, 6, 4, 5


def main() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    out: dict[str, np.ndarray] = {"cases": np.array(json.dumps(CASES)), "torch": np.array(torch.__version__)}
    for n, (name, settings, given, lengths) in enumerate(CASES):
        layer = getattr(torch.nn, name)(INTO, HIDDEN, batch_first=True, dtype=torch.float64, **settings)
        x = torch.tensor(rng.standard_normal((BATCH, LENGTH, INTO)), requires_grad=True)
        count = layer.num_layers * (2 if layer.bidirectional else 1)
        sizes = [settings.get("proj_size", HIDDEN)] + ([HIDDEN] if name == "LSTM" else [])
        states = [torch.tensor(rng.standard_normal((count, BATCH, s)), requires_grad=True) for s in sizes]
        hx = (tuple(states) if name == "LSTM" else states[0]) if given else None
        if lengths is None:
            y, last = layer(x, hx)
        else:
            y, last = layer(pack_padded_sequence(x, torch.tensor(lengths), batch_first=True), hx)
            y, _ = pad_packed_sequence(y, batch_first=True)
        ends = last if isinstance(last, tuple) else (last,)
        gs = [rng.standard_normal(tuple(t.shape)) for t in (y, *ends)]
        torch.autograd.backward([y, *ends], [torch.tensor(g) for g in gs])
        out |= {f"x{n}": x.detach().numpy(), f"dx{n}": x.grad.numpy(), f"y{n}": y.detach().numpy()}
        for i, g in enumerate(gs):
            out[f"g{n}_{i}"] = g
        for i, t in enumerate(ends):
            out[f"end{n}_{i}"] = t.detach().numpy()
        for i, t in enumerate(states if given else []):
            out |= {f"state{n}_{i}": t.detach().numpy(), f"dstate{n}_{i}": t.grad.numpy()}
        for key, p in layer.named_parameters():
            out |= {f"{key}{n}": p.detach().numpy().T, f"d{key}{n}": p.grad.numpy().T}
    np.savez_compressed(Path(__file__).with_name("recurrent.npz"), **out)


if __name__ == "__main__":
    main()
