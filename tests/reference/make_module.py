"""Write module.npz: PyTorch's layers, losses and functions, of the tables in tests/nn/cases.py, in float64.

Run: python tests/reference/make_module.py.  Inputs and weights are numbers of one stored pool, so outputs and gradients
are all there is to store.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "nn"))
from cases import CASES, FUNCTIONS, Case, differentiated, filled, given, taken, to_theirs


def flat(y: Any) -> list[torch.Tensor]:
    return [t for part in y for t in flat(part)] if isinstance(y, tuple) else [] if y is None else [y]


class Hardsigmoid(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.relu6(x + 3) / 6


def tensors(case: Case, pool: np.ndarray) -> list[Any]:
    inputs: list[Any] = []
    for j, spec in enumerate(case.inputs):
        kind, values = given(spec, pool, j)
        if kind == "as":
            inputs.append(values)
            continue
        channels = values.shape[2] // 6 if kind == "columns" else 0
        inputs.append(torch.tensor(np.ascontiguousarray(to_theirs(kind, values, channels))))
        inputs[-1].requires_grad_(differentiated(kind) and values.dtype.kind == "f")
    return inputs


def ready(case: Case) -> dict[str, Any]:
    settings = {**case.settings, **case.theirs}
    return {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}


def differences(key: str, outputs: list[torch.Tensor], inputs: list[Any], pool: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs, and the gradients of their sum with numbers of the pool as weights."""
    out, total = {}, torch.zeros(())
    for j, y in enumerate(outputs):
        out[f"y{key}.{j}"] = y.detach().numpy()
        if y.requires_grad:
            total = total + (y * torch.tensor(taken(pool, tuple(y.shape), 50 + j))).sum()
    if total.requires_grad:
        total.backward()
    return out | {
        f"d{key}.{j}": x.grad.numpy()
        for j, x in enumerate(inputs)
        if isinstance(x, torch.Tensor) and x.grad is not None
    }


def outcome(n: int, case: Case, pool: np.ndarray) -> dict[str, np.ndarray]:
    # PyTorch's Hardsigmoid has a slope of 1/6 in float32
    kind = Hardsigmoid if case.torch == "Hardsigmoid" else getattr(torch.nn, case.torch)
    layer = kind(*case.args, **ready(case)).train(case.train)
    with torch.no_grad():
        for j, (name, value) in enumerate(sorted(layer.state_dict().items())):
            value.copy_(torch.tensor(filled(name, tuple(value.shape), pool, j)))
    inputs = tensors(case, pool)
    out = differences(str(n), flat(layer(*inputs)), inputs, pool)
    out |= {f"p{n}.{name}": p.grad.numpy() for name, p in layer.named_parameters() if p.grad is not None}
    if case.train:
        out |= {f"b{n}.{name}": b.numpy() for name, b in layer.named_buffers()}
    return out


def value(n: int, case: Case, pool: np.ndarray) -> dict[str, np.ndarray]:
    inputs = tensors(case, pool)
    called = inputs
    if case.layer == "multi_head_attention_forward":  # sequences are (length, batch, features) there
        called = [*(x.transpose(0, 1) for x in inputs[:3]), *inputs[3:]]
    outputs = flat(getattr(torch.nn.functional, case.layer)(*called, *case.args, **ready(case)))
    if case.layer == "multi_head_attention_forward":
        outputs[0] = outputs[0].transpose(0, 1)
    return differences(f"f{n}", outputs, inputs, pool)


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    pool = np.random.default_rng(0).standard_normal(997)
    out: dict[str, np.ndarray] = {"torch": np.array(torch.__version__), "pool": pool}
    out["names"] = np.array([case.layer if case.torch else "" for case in CASES])
    for n, case in enumerate(CASES):
        if case.torch:
            out |= outcome(n, case, pool)
    out["functions"] = np.array([case.layer for case in FUNCTIONS])
    for n, case in enumerate(FUNCTIONS):
        out |= value(n, case, pool)
    np.savez_compressed(Path(__file__).with_name("module.npz"), **out)


if __name__ == "__main__":
    main()
