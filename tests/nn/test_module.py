"""Module: finding its parts, state, moves, hooks, the repr."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn


class Net(nn.Module):
    def __init__(self) -> None:
        self.body = nn.Sequential(nn.Dense(3, 5, activation="relu"), nn.BatchNorm1d(5), nn.Dropout(0.5))
        self.head = nn.Dense(5, 2, bias=False)
        self.scale = nn.Parameter(gl.tensor(2.0))
        self.register_buffer("seen", gl.tensor(0))
        self.register_buffer("scratch", gl.tensor([1.0]), persistent=False)
        self.constant = gl.tensor([3.0])  # neither parameter nor buffer

    def forward(self, x: gl.Tensor) -> gl.Tensor:
        return self.head(self.body(x)) * self.scale


PARAMETERS = ["body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias", "head.weight", "scale"]
STATISTICS = ["body.1.running_mean", "body.1.running_var", "body.1.num_batches_tracked"]


def test_parts_are_found_in_order() -> None:
    net = Net()
    assert sorted(name for name, _ in net.named_parameters()) == sorted(PARAMETERS)
    assert [name for name, _ in net.named_children()] == ["body", "head"]
    assert [name for name, _ in net.named_modules()] == ["", "body", "body.0", "body.1", "body.2", "head"]
    assert {name for name, _ in net.named_buffers()} == {*STATISTICS, "seen", "scratch"}
    assert set(net.state_dict()) == {*PARAMETERS, *STATISTICS, "seen"}
    assert len(list(net.parameters())) == 6
    assert len(list(net.modules())) == 6


def test_a_shared_parameter_is_learned_once_and_saved_under_both_names() -> None:
    first, second = nn.Dense(3, 3), nn.Dense(3, 3)
    second.weight = first.weight
    both = nn.Sequential(first, second, first)
    assert [name for name, _ in both.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert {"0.weight", "1.weight", "2.weight"} <= both.state_dict().keys()
    assert len(list(both.modules())) == 3


def test_state_dict_round_trip_changes_values_not_objects() -> None:
    gl.manual_seed(1)
    source, target = Net(), Net()
    before = list(target.parameters())
    source.seen.assign(np.array(7))
    target.load_state_dict(source.state_dict())
    assert all(a is b for a, b in zip(before, target.parameters(), strict=True))
    for (name, a), b in zip(source.state_dict().items(), target.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)
    source.scale.assign(np.float32(9))
    assert float(target.scale) == 2.0  # values were copied


def test_load_state_dict_lists_everything_wrong_and_changes_nothing() -> None:
    net = Net()
    before = {name: t.numpy().copy() for name, t in net.state_dict().items()}
    state = {name: gl.tensor(t.numpy() + 1, dtype=t.dtype) for name, t in net.state_dict().items()}
    del state["head.weight"]
    state["extra"] = gl.tensor([1.0])
    state["body.0.weight"] = gl.tensor(np.zeros((3, 4), np.float32))
    state["scale"] = gl.tensor(3)
    with pytest.raises(gl.CheckpointError) as caught:
        net.load_state_dict(state)
    text = str(caught.value)
    assert "4 problems" in text
    assert "missing     head.weight" in text
    assert "unexpected  extra" in text
    assert "mismatched  body.0.weight: float32[3, 4], the module has float32[3, 5]" in text
    assert "mismatched  scale: int64[], the module has float32" in text
    with pytest.raises(gl.CheckpointError, match="state is of type list"):
        net.load_state_dict(list(net.state_dict()))  # type: ignore[arg-type]
    for name, t in net.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[name], err_msg=name)


def test_load_state_dict_not_strict_takes_what_fits() -> None:
    net = Net()
    net.load_state_dict({"scale": np.float64(5) * np.ones(()), "other": gl.tensor(1.0)}, strict=False)
    assert float(net.scale) == 5.0
    assert net.scale.dtype == np.float32


def test_train_and_eval_reach_everything() -> None:
    net = Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())


def test_to_changes_dtype_in_place_and_leaves_integers() -> None:
    net = Net()
    before = list(net.parameters())
    assert net.to("float64") is net
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert {p.dtype.name for p in net.parameters()} == {"float64"}
    assert net.seen.dtype == np.int64
    assert net.body[1].running_mean.dtype == np.float64
    assert net(gl.tensor(np.ones((2, 3)))).dtype == np.float64
    with pytest.raises(gl.DTypeError, match="floating"):
        net.to("int32")
    with pytest.raises(gl.DeviceError, match="unknown"):
        net.to(device="tpu")


def test_to_sim_and_back(sim: str) -> None:
    net = Net()
    weight = net.head.weight.numpy().copy()
    net.to(sim)
    assert {t.device for t in (*net.parameters(), *net.buffers())} == {sim}
    net.to(device="cpu")
    assert {t.device for t in net.parameters()} == {"cpu"}
    np.testing.assert_array_equal(net.head.weight.numpy(), weight)


def test_apply_zero_grad_requires_grad() -> None:
    net = Net()
    seen: list[nn.Module] = []
    assert net.apply(seen.append) is net
    assert seen[-1] is net
    assert len(seen) == 6
    net(gl.tensor(np.ones((4, 3), np.float32))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(gl.tensor(np.ones((4, 3), np.float32))).requires_grad


def test_hooks() -> None:
    layer = nn.Identity()
    calls: list[str] = []
    before = layer.register_forward_pre_hook(lambda module, args: calls.append("before") or (args[0] + 1,))
    after = layer.register_forward_hook(lambda module, args, output: calls.append("after") or output * 10)
    silent = layer.register_forward_hook(lambda module, args, output: calls.append(str(float(output))))
    assert float(layer(gl.tensor(1.0))) == 20.0
    assert calls == ["before", "after", "20.0"]
    before.remove()
    after.remove()
    after.remove()
    silent.remove()
    assert float(layer(gl.tensor(1.0))) == 1.0


def test_a_plain_tensor_cannot_take_a_parameters_place() -> None:
    layer = nn.Dense(2, 2)
    with pytest.raises(gl.DTypeError, match=r"need nn.Parameter\(value\), or weight.assign\(value\)"):
        layer.weight = gl.tensor(np.ones((2, 2)))
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_parameter() -> None:
    p = nn.Parameter(np.ones((2, 3)))
    assert isinstance(p, gl.Tensor)
    assert p.requires_grad
    assert p.is_leaf
    assert p.dtype == np.float64
    assert not isinstance(p * 1, nn.Parameter)
    with pytest.raises(gl.GradientError, match="int64"):
        nn.Parameter(gl.tensor([1, 2]))


def test_repr_shows_the_tree() -> None:
    shown = repr(
        nn.Sequential(nn.Conv2d(1, 4, (3, 5), stride=2, padding="valid", bias=False), nn.Sequential(nn.ReLU()))
    )
    assert shown == (
        "Sequential(\n"
        "  (0): Conv2d(1, 4, kernel_size=(3, 5), stride=2, padding='valid', bias=False)\n"
        "  (1): Sequential(\n"
        "    (0): ReLU()\n"
        "  )\n"
        ")"
    )


def test_containers() -> None:
    net = nn.Sequential(nn.Dense(2, 3), nn.Tanh(), nn.Dense(3, 1))
    assert len(net) == 3
    assert isinstance(net[-1], nn.Dense)
    assert isinstance(net[:2], nn.Sequential)
    assert net[:2][0] is net[0]
    net.append(nn.Identity())
    assert [name for name, _ in net.named_children()] == ["0", "1", "2", "3"]
    layers = nn.ModuleList([nn.Dense(2, 2)] * 2)
    assert [name for name, _ in layers.named_parameters()] == ["0.weight", "0.bias"]
    with pytest.raises(gl.DTypeError, match="is not a Module"):
        nn.Sequential(gl.tensor(1.0))


def test_a_list_changes_and_a_sequence_has_names() -> None:
    layers = nn.ModuleList([nn.Dense(2, 3)]).extend([nn.ReLU()])
    layers.insert(1, nn.Tanh())
    layers[0] = nn.Dense(2, 5)
    assert [repr(m) for m in layers] == ["Dense(2, 5)", "Tanh()", "ReLU()"]
    assert [name for name, _ in layers.named_children()] == ["0", "1", "2"]
    with pytest.raises(gl.DTypeError, match="not a Module"):
        layers[0] = 3
    named = nn.Sequential({"first": nn.Dense(2, 3), "last": nn.ReLU()})
    assert [name for name, _ in named.named_parameters()] == ["first.weight", "first.bias"]
    assert named(gl.ones((1, 2))).shape == (1, 3)
    assert repr(named[-1]) == "ReLU()"


def test_containers_of_parameters() -> None:
    parts = nn.ParameterList([gl.tensor([1.0])]).append(gl.tensor([2.0]))
    parts[0] = gl.tensor([3.0])
    assert [p.item() for p in parts] == [3.0, 2.0]
    assert all(isinstance(p, nn.Parameter) for p in parts)
    assert len(parts[:1]) == 1
    assert repr(parts) == "ParameterList(float32[1], float32[1])"
    with pytest.raises(IndexError, match="index 2 of 2"):
        parts[2]
    named = nn.ParameterDict({"a": gl.tensor([1.0])})
    named.update([("b", gl.tensor([2.0]))])
    del named["a"]
    assert (named.keys(), len(named), "a" in named, [p.item() for p in named.values()]) == (["b"], 1, False, [2.0])
    assert repr(named) == "ParameterDict(b: float32[1])"
    assert [name for name, _ in nn.Sequential(parts, named).named_parameters()] == ["0.0", "0.1", "1.b"]
    for bad, error in (("keys", ValueError), ("x.y", ValueError)):
        with pytest.raises(error, match="name"):
            named[bad] = gl.tensor([1.0])
    with pytest.raises(KeyError):
        named["a"]


def test_buffers_by_assignment() -> None:
    layer = nn.Dense(2, 2)
    layer.scale, layer.scratch = nn.Buffer(gl.tensor([1.0])), nn.Buffer(gl.tensor([2.0]), persistent=False)
    assert list(layer.state_dict()) == ["weight", "bias", "scale"]
    assert [name for name, _ in layer.to(dtype="float64").named_buffers()] == ["scale", "scratch"]
    assert layer.scratch.dtype == np.float64
    other = copy.deepcopy(layer)
    assert other.scale is not layer.scale
    assert list(other.state_dict()) == ["weight", "bias", "scale"]


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Module does not define forward"):
        nn.Module()(1)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_apart(duplicate: object) -> None:
    net = nn.Sequential(nn.Dense(2, 3), nn.BatchNorm1d(3))
    other = duplicate(net)  # type: ignore[operator]
    assert isinstance(next(other.parameters()), nn.Parameter)
    np.testing.assert_array_equal(other[0].weight.numpy(), net[0].weight.numpy())
    other[0].weight.assign(np.zeros((2, 3), np.float32))
    assert net[0].weight.numpy().any()
