"""Every loss and its gradients against PyTorch's stored float64 values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.nn import functional as F

STORED = np.load(Path(__file__).parent.parent / "reference" / "loss.npz")
CASES, CTC = json.loads(str(STORED["cases"])), json.loads(str(STORED["ctc_cases"]))


def stored(key: str) -> np.ndarray:
    return STORED[f"in_{key}"]


@pytest.mark.parametrize("n", range(len(CASES)), ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_values_and_gradients_are_pytorchs(n: int) -> None:
    name, names, settings = CASES[n]
    inputs = []
    for key in names:
        differentiated = f"in_{key}" not in STORED
        inputs.append(gl.tensor(stored(key[1:] if differentiated else key), requires_grad=differentiated))
    ready = {k: gl.tensor(stored(v)) if f"in_{v}" in STORED else v for k, v in settings.items()}
    loss = getattr(F, name)(*inputs, **ready)
    np.testing.assert_allclose(loss.numpy(), STORED[f"y{n}"], rtol=1e-10, atol=1e-12)
    loss.backward(gl.tensor(STORED[f"g{n}"]))
    for i, (key, t) in enumerate(zip(names, inputs, strict=True)):
        if t.requires_grad:
            np.testing.assert_allclose(t.grad.numpy(), STORED[f"d{n}_{i}"], rtol=1e-9, atol=1e-11, err_msg=key)
    plain = getattr(F, name)(*(t.numpy() for t in inputs), **ready)
    np.testing.assert_allclose(
        plain.numpy() if isinstance(plain, gl.Tensor) else plain, STORED[f"y{n}"], rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("n", range(len(CTC)))
def test_ctc_is_pytorchs(n: int) -> None:
    """The gradient is compared behind log_softmax: PyTorch's in log_probs has that of the softmax mixed in."""
    count = 4 if CTC[n].get("zero_infinity") else 3
    logits = gl.tensor(STORED["ctc_logits"], requires_grad=True)
    rest = [STORED[f"ctc_{key}"][:count] for key in ("targets", "lengths", "sizes")]
    loss = F.ctc_loss(F.log_softmax(logits[:count]), *rest, **CTC[n])
    np.testing.assert_allclose(loss.numpy(), STORED[f"ctc_y{n}"], rtol=1e-10)
    loss.sum().backward()
    np.testing.assert_allclose(logits.grad.numpy(), STORED[f"ctc_d{n}"], rtol=1e-8, atol=1e-11)


def test_ctc_without_an_alignment() -> None:
    logits = F.log_softmax(gl.tensor(STORED["ctc_logits"][:1, :2]))
    assert F.ctc_loss(logits, np.array([[1, 1]]), [2], [2]).item() == np.inf
    assert F.ctc_loss(logits, np.array([[1, 1]]), [2], [2], zero_infinity=True).item() == 0


def test_divergence_and_regularizer() -> None:
    x, d = stored("x"), stored("y")
    np.testing.assert_allclose(F.l2_divergence(x, d), ((x - d) ** 2).sum(1).mean() / 2)
    y = gl.tensor(x, requires_grad=True)
    F.l2_divergence(y, gl.tensor(d), reduction="sum").backward()
    np.testing.assert_allclose(y.grad.numpy(), x - d)
    model = nn.Dense(3, 2, dtype="float64")
    nn.Regularizer(l1=0.1, l2=0.3)(model).backward()
    w = model.weight.numpy()
    np.testing.assert_allclose(model.weight.grad.numpy(), 0.1 * np.sign(w) + 0.3 * w)


MODULES: list[tuple[Any, str, dict[str, Any], tuple[str, ...]]] = [
    (nn.L1Loss("sum"), "l1_loss", {"reduction": "sum"}, ("x", "y")),
    (nn.HuberLoss(delta=0.5), "huber_loss", {"delta": 0.5}, ("x", "y")),
    (nn.SmoothL1Loss(beta=0.5), "smooth_l1_loss", {"beta": 0.5}, ("x", "y")),
    (nn.NLLLoss(ignore_index=2), "nll_loss", {"ignore_index": 2}, ("logp", "label")),
    (nn.BCELoss(), "binary_cross_entropy", {}, ("prob", "half")),
    (nn.BCEWithLogitsLoss(), "binary_cross_entropy_with_logits", {}, ("x", "half")),
    (nn.KLDivLoss("batchmean"), "kl_div", {"reduction": "batchmean"}, ("logp", "half")),
    (nn.PoissonNLLLoss(full=True), "poisson_nll_loss", {"full": True}, ("x", "count")),
    (nn.GaussianNLLLoss(full=True), "gaussian_nll_loss", {"full": True}, ("x", "y", "prob")),
    (nn.SoftMarginLoss(), "soft_margin_loss", {}, ("x", "sign")),
    (nn.HingeEmbeddingLoss(0.5), "hinge_embedding_loss", {"margin": 0.5}, ("x", "sign")),
    (nn.MarginRankingLoss(0.5), "margin_ranking_loss", {"margin": 0.5}, ("x", "y", "sign")),
    (nn.TripletMarginLoss(p=1, swap=True), "triplet_margin_loss", {"p": 1, "swap": True}, ("x", "y", "z")),
    (nn.TripletMarginWithDistanceLoss(), "triplet_margin_with_distance_loss", {}, ("x", "y", "z")),
    (nn.CosineEmbeddingLoss(0.2), "cosine_embedding_loss", {"margin": 0.2}, ("x", "y", "sign1")),
    (nn.MultiMarginLoss(2), "multi_margin_loss", {"p": 2}, ("x", "label")),
    (nn.MultiLabelMarginLoss(), "multilabel_margin_loss", {}, ("x", "labels")),
    (nn.MultiLabelSoftMarginLoss(), "multilabel_soft_margin_loss", {}, ("x", "bits")),
    (nn.L2Divergence("none"), "l2_divergence", {"reduction": "none"}, ("x", "y")),
    (nn.CosineSimilarity(), "cosine_similarity", {}, ("x", "y")),
    (nn.PairwiseDistance(1), "pairwise_distance", {"p": 1}, ("x", "y")),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "settings", "keys"), MODULES, ids=[type(m[0]).__name__ for m in MODULES])
def test_modules_are_their_functions(module: Any, name: str, settings: dict[str, Any], keys: tuple[str, ...]) -> None:
    inputs = [gl.tensor(stored(key)) for key in keys]
    expected = getattr(F, name)(*inputs, **settings).numpy()
    np.testing.assert_array_equal(module(*inputs).numpy(), expected)
    assert repr(module).startswith(type(module).__name__)
    half = module(*(t.to("bfloat16") if t.dtype == np.float64 else t for t in inputs)).numpy()
    np.testing.assert_allclose(half.astype(float), expected, rtol=0.1, atol=0.1)


def test_ctc_module_and_weights() -> None:
    logits = F.log_softmax(gl.tensor(STORED["ctc_logits"][:3]))
    rest = [STORED[f"ctc_{key}"][:3] for key in ("targets", "lengths", "sizes")]
    assert nn.CTCLoss(reduction="sum")(logits, *rest).item() == F.ctc_loss(logits, *rest, reduction="sum").item()
    layer = nn.BCEWithLogitsLoss(pos_weight=gl.tensor(stored("weight")))
    assert list(layer.state_dict()) == ["pos_weight"]
    expected = F.binary_cross_entropy_with_logits(stored("x"), stored("half"), pos_weight=stored("weight"))
    assert layer(gl.tensor(stored("x")), gl.tensor(stored("half"))).item() == expected
    assert repr(nn.HuberLoss("sum", 0.5)) == "HuberLoss(reduction='sum', delta=0.5)"


def test_bad_arguments() -> None:
    x = np.ones((2, 3))
    for call, error, text in (
        (lambda: F.l1_loss(x, x[0]), gl.ShapeError, "shapes differ"),
        (lambda: F.huber_loss(x, x, delta=0.0), ValueError, "delta"),
        (lambda: F.smooth_l1_loss(x, x, beta=-1.0), ValueError, "beta"),
        (lambda: F.kl_div(x, x, reduction="median"), ValueError, "median"),
        (lambda: F.multi_margin_loss(x, np.zeros(2, int), p=3), ValueError, "1 or 2"),
        (lambda: F.multi_margin_loss(x, np.zeros(3, int)), gl.ShapeError, "fit"),
        (lambda: F.ctc_loss(x, np.zeros((2, 1), int), [2, 2], [1, 1]), gl.ShapeError, "fit"),
        (lambda: F.ctc_loss(x[None], np.zeros((1, 1), int), [3], [1]), gl.ShapeError, "length of 3, of 2 steps"),
    ):
        with pytest.raises(error, match=text):
            call()  # type: ignore[no-untyped-call]
