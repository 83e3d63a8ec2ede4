"""The texts of the errors that every user meets."""

from __future__ import annotations

import re

import numpy as np
import pytest

import gradlib as gl


def exactly(text: str) -> str:
    return "^" + re.escape(text) + "$"


def test_wrong_shape() -> None:
    x, w = gl.tensor(np.ones((2, 7))), gl.tensor(np.ones((4, 3)))
    with pytest.raises(
        gl.ShapeError,
        match=exactly(
            "dense(input, weight, bias): input has 7 features, weight expects 4\n"
            "  input:  float64[2, 7]  (batch, in)\n"
            "  weight: float64[4, 3]  (in, out)\n"
            "  need input.shape[1] == weight.shape[0]"
        ),
    ):
        gl.nn.functional.dense(x, w)


def test_wrong_dtype() -> None:
    with pytest.raises(gl.DTypeError, match=r"dense\(input, weight, bias\).*float32.*float64"):
        gl.nn.functional.dense(gl.tensor([[1.0]], dtype="float32"), gl.tensor([[1.0]], dtype="float64"))


def test_list_in_place_of_an_array() -> None:
    with pytest.raises(gl.DTypeError, match=r"x1 is of type list\n  need a Tensor or an array: gl.tensor"):
        gl.add([1.0], [2.0])


@pytest.mark.parametrize(
    "call",
    [
        "sum", "mean", "var", "std", "prod", "cumsum", "max", "min", "argmax", "any", "all", "flatten", "expand_dims",
        "squeeze", "permute_dims", "matrix_transpose", "broadcast_arrays", "unstack", "flip", "argsort", "sort",
        "nonzero", "zeros_like", "ones_like", "full_like", "meshgrid", "logsumexp", "clip", "reshape", "split", "tile",
        "pad", "take", "broadcast_to", "moveaxis", "swapaxes", "exp", "softmax",
    ],
)  # fmt: skip
def test_list_in_place_of_the_array_of_any_function(call: str) -> None:
    more = {"full_like": (1,), "reshape": ((2,),), "split": (2,), "tile": (2,), "pad": (1,), "take": (np.array(0),),
            "broadcast_to": ((2,),), "moveaxis": (0, 0), "swapaxes": (0, 0)}  # fmt: skip
    with pytest.raises(gl.DTypeError, match=r"\): .* is of type list\n  need a Tensor or an array"):
        getattr(gl, call)([1.0, 2.0], *more.get(call, ()))


def test_list_in_place_of_the_input_of_a_loss() -> None:
    loss = gl.nn.functional.mse_loss
    with pytest.raises(gl.DTypeError, match=r"^mse_loss\(input, target, reduction, weight\): input is of type list"):
        loss([1.0], np.ones(1))
    with pytest.raises(gl.DTypeError, match="target is of type list"):
        loss(np.ones(1), [1.0])


def test_mixed_devices(sim: str) -> None:
    with pytest.raises(
        gl.DeviceError, match=r"operands are on two devices, cpu and sim(.|\n)*need one device: x.to\(device=\"cpu\"\)"
    ):
        gl.tensor([1.0], device="cpu") + gl.tensor([1.0], device=sim)


def test_unknown_device() -> None:
    with pytest.raises(gl.DeviceError, match="device 'tpu' is unknown\n  need one of cpu, sim, cuda"):
        gl.tensor([1.0], device="tpu")


def test_backward_twice() -> None:
    x = gl.tensor(2.0, requires_grad=True)
    y = x * x
    y.backward()
    with pytest.raises(
        gl.GradientError,
        match=exactly(
            "backward: the tape through multiply was already used and freed\n"
            "  need backward(retain_graph=True) the first time\n"
            "  gl.debug() around the computation names the line of multiply"
        ),
    ):
        y.backward()
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0


def test_backward_from_a_non_scalar() -> None:
    x = gl.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(
        gl.GradientError, match=r"only a single element has a gradient by itself, this has 2\n(.|\n)*need x.sum\(\)"
    ):
        (x * x).backward()


def test_backward_without_requires_grad() -> None:
    with pytest.raises(gl.GradientError, match="does not depend on any tensor with requires_grad=True"):
        gl.tensor(1.0).backward()


def test_cotangent_of_another_shape_or_dtype() -> None:
    x = gl.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(gl.ShapeError, match="the cotangent's shape differs"):
        (x * x).backward(gl.tensor([1.0]))
    with pytest.raises(gl.DTypeError, match="the cotangent's dtype differs"):
        (x * x).backward(gl.tensor([1.0, 1.0], dtype="float64"))
    assert x.grad is None


def test_gradient_of_an_integer() -> None:
    with pytest.raises(gl.GradientError, match="gradient of int64: only floating and complex dtypes have one"):
        gl.tensor([1, 2], requires_grad=True)
    with pytest.raises(gl.GradientError, match="gradient of int64: only floating and complex dtypes have one"):
        gl.grad(lambda x: gl.sum(x * 1.0))(gl.tensor([1, 2]))


def test_saved_tensor_changed() -> None:
    w = gl.tensor([1.0, 2.0], requires_grad=True)
    y = (w * w).sum()
    w.assign([5.0, 5.0])
    with pytest.raises(
        gl.GradientError,
        match=exactly(
            "backward: an input of multiply was changed in place after it was used\n"
            "  x1: float32[2]\n"
            "  version 1, used at version 0; need backward() before assign() or the optimizer's step\n"
            "  gl.debug() around the computation names the line of multiply"
        ),
    ):
        y.backward()


def test_broadcast() -> None:
    with pytest.raises(gl.ShapeError, match=r"do not broadcast: axis -1 has sizes 2 and 3"):
        gl.tensor([1.0, 2.0]) + gl.tensor([1.0, 2.0, 3.0])


def test_assign_to_a_result() -> None:
    x = gl.tensor([1.0], requires_grad=True)
    with pytest.raises(gl.GradientError, match="only a leaf can be assigned"):
        (x * 2.0).assign([1.0])


def test_unsupported_dtype() -> None:
    with pytest.raises(gl.DTypeError, match="'complex256' is not supported"):
        gl.tensor(np.ones(2, np.complex256))


def test_grad_of_a_vector() -> None:
    with pytest.raises(gl.ShapeError, match="returned 2 elements; a gradient is of one"):
        gl.grad(lambda x: x * x)(gl.tensor([1.0, 2.0]))
