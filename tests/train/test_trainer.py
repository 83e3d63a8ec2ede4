"""The training loop: what it computes, shows, and survives."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn, optim
from gradlib.data import DataLoader
from gradlib.train import History, Trainer
from gradlib.train.trainer import accuracy


def blobs(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of points that a linear model separates."""
    rng = np.random.default_rng(0)
    targets = np.arange(count) % 3
    centers = np.array([[0.0, 4.0], [4.0, -2.0], [-4.0, -2.0]])
    return (centers[targets] + rng.standard_normal((count, 2))).astype(np.float32), targets


def trainer(lr: float = 0.1, **settings: Any) -> Trainer:
    gl.manual_seed(0)
    model = nn.Sequential(nn.Dense(2, 3), nn.Dropout(0.0))
    return Trainer(model, optim.SGD(model.parameters(), lr=lr), **{"progress": "none", **settings})


def loader(**settings: Any) -> DataLoader:
    return DataLoader(blobs(), **{"batch_size": 16, "shuffle": True, **settings})


def test_fit_learns_and_records() -> None:
    t = trainer()
    history = t.fit(loader(), 5, validation=loader(shuffle=False))
    assert isinstance(history, History)
    assert len(history.steps) == 20
    assert [record["epoch"] for record in history.epochs] == [1, 2, 3, 4, 5]
    assert history.steps[-1] < history.steps[0] / 2
    assert history.column("validation_accuracy")[-1] > 0.95
    assert all(record["examples_per_second"] > 0 for record in history.epochs)
    assert not history.interrupted


def test_a_step_is_gradient_descent() -> None:
    """One epoch of one batch against the same step written out in NumPy."""
    x, y = blobs(12)
    t = trainer(lr=0.3)
    dense = t.model[0]  # type: ignore[index]
    w, b = dense.weight.numpy().astype(np.float64).copy(), dense.bias.numpy().astype(np.float64).copy()
    history = t.fit(DataLoader((x, y), batch_size=12), 1)
    z = x @ w + b
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    assert history.steps[0] == pytest.approx(-np.log(p[np.arange(12), y]).mean(), rel=1e-5)
    assert history.epochs[0]["accuracy"] == pytest.approx((z.argmax(1) == y).mean())
    g = (p - np.eye(3)[y]) / 12
    np.testing.assert_allclose(dense.weight.numpy(), w - 0.3 * x.T @ g, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(dense.bias.numpy(), b - 0.3 * g.sum(0), rtol=1e-4, atol=1e-6)


def test_averages_count_examples_not_batches() -> None:
    t = trainer(lr=0.0)
    x, y = blobs(17)  # batches of 16 and 1
    whole = t.evaluate(DataLoader((x, y), batch_size=17))
    parts = t.evaluate(DataLoader((x, y), batch_size=16))
    assert parts == pytest.approx(whole, rel=1e-5)
    assert t.fit(DataLoader((x, y), batch_size=16), 1).epochs[0]["loss"] == pytest.approx(whole["loss"], rel=1e-5)


def test_evaluate_leaves_model_and_modes_alone() -> None:
    t = trainer()
    seen: list[bool] = []
    t.model.register_forward_hook(lambda module, args, output: seen.append(module.training))
    t.model[1].training = False  # type: ignore[index]
    before = t.model[0].weight.numpy().copy()  # type: ignore[index]
    t.evaluate(loader())
    assert not any(seen)
    assert t.model.training
    assert not t.model[1].training  # type: ignore[index]
    np.testing.assert_array_equal(t.model[0].weight.numpy(), before)  # type: ignore[index]


def test_schedule_steps_with_the_optimizer() -> None:
    t = trainer(lr=1.0)
    t.schedule = optim.LinearLR(t.optimizer, 1.0, 0.0, 8)
    t.fit(loader(), 1)
    assert t.optimizer.lr == pytest.approx(0.5)


def test_metrics_and_losses_of_the_users_own() -> None:
    def error(output: gl.Tensor, target: gl.Tensor) -> Any:
        return gl.mean(gl.abs(output - target))

    gl.manual_seed(0)
    model = nn.Dense(2, 1)
    x = np.random.default_rng(0).standard_normal((32, 2)).astype(np.float32)
    t = Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.MSELoss(), [error], progress="none")
    history = t.fit(DataLoader((x, x[:, :1] * 2), batch_size=8), 10)
    assert history.column("error")[-1] < history.column("error")[0] / 2
    with pytest.raises(ValueError, match="'speed' is unknown"):
        Trainer(model, t.optimizer, metrics=["speed"])


def test_accuracy() -> None:
    output = gl.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]])
    assert float(accuracy(output, gl.tensor([1, 0, 0]))) == pytest.approx(2 / 3)
    with pytest.raises(gl.ShapeError, match="accuracy"):
        accuracy(output, gl.tensor([[1], [0], [0]]))


def test_callbacks_see_each_epoch_and_may_end_the_training() -> None:
    seen: list[float] = []

    def stop(t: Trainer, record: Any) -> bool:
        seen.append(record["loss"])
        return len(seen) == 2

    history = trainer().fit(loader(), 9, callbacks=[stop])
    assert seen == history.column("loss")
    assert len(seen) == 2


def test_a_loss_that_is_not_finite_stops_before_it_does_harm() -> None:
    x, y = blobs()
    x[40] = np.nan
    t = trainer()
    with pytest.raises(FloatingPointError, match=r"loss is nan in epoch 1, at step 3") as caught:
        t.fit(DataLoader((x, y), batch_size=16), 2)
    assert "need finite inputs, or a learning rate below 0.1" in str(caught.value)
    assert np.isfinite(t.model[0].weight.numpy()).all()  # type: ignore[index]


class Interrupting:
    """A loader that presses Ctrl-C while it prepares batch n."""

    def __init__(self, n: int, times: int = 1) -> None:
        self.n, self.times = n, times

    def __iter__(self) -> Iterator[Any]:
        for i, batch in enumerate(loader()):
            if i == self.n:
                for _ in range(self.times):
                    signal.raise_signal(signal.SIGINT)
            yield batch


def test_ctrl_c_stops_after_the_step_and_keeps_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    t = trainer(progress="lines")
    start = t.model[0].weight.numpy().copy()  # type: ignore[index]
    history = t.fit(Interrupting(1), 3)
    assert history.interrupted
    assert len(history.steps) == 2
    assert history.epochs == []
    assert (t.model[0].weight.numpy() != start).any()  # type: ignore[index]
    assert "interrupted in epoch 1 after 2 steps in all; the model keeps what it has learned" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_twice_raises_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer().fit(Interrupting(1, times=2), 3)
    assert signal.getsignal(signal.SIGINT) is before


def test_fit_in_another_thread() -> None:
    found: list[History] = []
    thread = threading.Thread(target=lambda: found.append(trainer().fit(loader(), 1)))
    thread.start()
    thread.join()
    assert len(found[0].steps) == 4


def test_one_plain_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    trainer(progress="auto").fit(loader(), 2, validation=loader())  # under pytest there is no terminal
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss ")
    for part in ("  accuracy ", " %  validation loss ", "  validation accuracy ", " examples/s"):
        assert part in lines[1]


def test_the_bar_shows_loss_accuracy_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    trainer(progress="bar").fit(loader(), 2, validation=loader())
    captured = capsys.readouterr()
    assert captured.out == ""
    for part in ("epoch 2/2", "loss ", "accuracy ", " examples/s, ", " left"):
        assert part in captured.err


def test_loaders_that_do_not_fit() -> None:
    with pytest.raises(gl.ShapeError, match="no batches"):
        trainer().fit([], 1)
    with pytest.raises(gl.ShapeError, match="no pair"):
        trainer().fit([gl.tensor([1.0])], 1)


def test_batches_may_be_plain_arrays() -> None:
    images, targets = blobs()
    history = trainer().fit([(images[:30], targets[:30]), (images[30:], targets[30:])], 2)
    assert history.steps[-1] < history.steps[0]


def test_batches_are_moved_to_the_model(sim: str) -> None:
    gl.manual_seed(0)
    model = nn.Dense(2, 3, device=sim)
    t = Trainer(model, optim.SGD(model.parameters(), lr=0.1), progress="none")
    history = t.fit(loader(), 1)
    other = trainer().fit(loader(), 1)
    np.testing.assert_allclose(history.steps, other.steps, rtol=1e-5)
