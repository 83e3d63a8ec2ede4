"""Every transform against torch.func, where PyTorch is installed."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl

torch = pytest.importorskip("torch")
pytest.importorskip("torch.utils.checkpoint")
RNG = np.random.default_rng(2)
W, X, V = RNG.standard_normal((4, 3)), RNG.standard_normal((5, 4)), RNG.standard_normal(4)


def ours(w, x):  # type: ignore[no-untyped-def]
    return gl.sum(gl.softmax(gl.gelu(x @ w)) * gl.sin(x[:3]))


def theirs(w, x):  # type: ignore[no-untyped-def]
    return torch.sum(torch.softmax(torch.nn.functional.gelu(x @ w), -1) * torch.sin(x[:3]))


def layer(w, x):  # type: ignore[no-untyped-def]
    return (gl if isinstance(x, gl.Tensor) or isinstance(w, gl.Tensor) else torch).tanh(x @ w)


t = torch.tensor


@gl.custom_vjp
def clipped(x):  # type: ignore[no-untyped-def]
    return gl.exp(x)


clipped.defvjp(lambda x: (gl.exp(x), gl.exp(x)), lambda y, g: (gl.clip(g * y, -1.0, 1.0),))


class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x.exp())
        return x.exp()

    @staticmethod
    def backward(ctx, g):  # type: ignore[no-untyped-def]
        return (g * ctx.saved_tensors[0]).clip(-1.0, 1.0)


def torch_grad(f, x):  # type: ignore[no-untyped-def]
    leaf = t(x, requires_grad=True)
    return torch.autograd.grad(f(leaf), leaf)[0]


CASES = {
    "value_and_grad": (
        lambda: np.append(*reversed(gl.value_and_grad(ours, argnums=1)(W, X[0]))),
        lambda: torch.cat([a.reshape(-1) for a in torch.func.grad_and_value(theirs, 1)(t(W), t(X[0]))]),
    ),
    "checkpoint": (
        lambda: gl.grad(gl.checkpoint(lambda x: ours(gl.tensor(W), x)))(X[0]),
        lambda: torch_grad(
            lambda x: torch.utils.checkpoint.checkpoint(lambda x: theirs(t(W), x), x, use_reentrant=False), X[0]
        ),
    ),
    "stop_gradient": (
        lambda: gl.grad(lambda x: gl.sum(gl.sin(x) * gl.stop_gradient(gl.exp(x))))(X[0]),
        lambda: torch.func.grad(lambda x: torch.sum(torch.sin(x) * torch.exp(x).detach()))(t(X[0])),
    ),
    "custom_vjp": (
        lambda: gl.grad(lambda x: gl.sum(clipped(gl.sin(x)) * x))(X[0]),
        lambda: torch_grad(lambda x: torch.sum(Clipped.apply(torch.sin(x)) * x), X[0]),
    ),
    "grad": (lambda: gl.grad(ours)(W, X[0]), lambda: torch.func.grad(theirs)(t(W), t(X[0]))),
    "vmap of grad": (
        lambda: gl.vmap(gl.grad(ours), (None, 0))(W, X),
        lambda: torch.func.vmap(torch.func.grad(theirs), (None, 0))(t(W), t(X)),
    ),
    "grad of vmap": (
        lambda: gl.grad(lambda w: gl.sum(gl.vmap(ours, (None, 0))(w, X)))(W),
        lambda: torch.func.grad(lambda w: torch.func.vmap(theirs, (None, 0))(w, t(X)).sum())(t(W)),
    ),
    "jvp": (
        lambda: gl.jvp(lambda x: ours(gl.tensor(W), x), (X[0],), (V,))[1],
        lambda: torch.func.jvp(lambda x: theirs(t(W), x), (t(X[0]),), (t(V),))[1],
    ),
    "vjp": (
        lambda: gl.vjp(layer, W, X[0])[1](np.ones(3))[0],
        lambda: torch.func.vjp(layer, t(W), t(X[0]))[1](torch.ones(3, dtype=torch.float64))[0],
    ),
    "linearize": (
        lambda: gl.linearize(lambda x: layer(gl.tensor(W), x), X[0])[1](V),
        lambda: torch.func.linearize(lambda x: layer(t(W), x), t(X[0]))[1](t(V)),
    ),
    "jacobian reverse": (
        lambda: gl.jacobian(layer, mode="reverse")(W, X[0]),
        lambda: torch.func.jacrev(layer)(t(W), t(X[0])),
    ),
    "jacobian forward": (
        lambda: gl.jacobian(layer, argnums=1, mode="forward")(W, X[0]),
        lambda: torch.func.jacfwd(layer, argnums=1)(t(W), t(X[0])),
    ),
    "hessian": (
        lambda: gl.hessian(ours, argnums=1)(W, X[0]),
        lambda: torch.func.hessian(theirs, argnums=1)(t(W), t(X[0])),
    ),
    "vmap of hessian": (
        lambda: gl.vmap(gl.hessian(ours), (None, 0))(W, X),
        lambda: torch.func.vmap(torch.func.hessian(theirs), (None, 0))(t(W), t(X)),
    ),
    "hvp": (
        lambda: gl.hvp(lambda x: ours(gl.tensor(W), x), (X[0],), (V,)),
        lambda: torch.func.jvp(torch.func.grad(lambda x: theirs(t(W), x)), (t(X[0]),), (t(V),))[1],
    ),
    "vmap of jacobian, axes": (
        lambda: gl.vmap(gl.jacobian(layer, argnums=1), in_axes=(None, 1), out_axes=2)(W, X.T),
        lambda: torch.func.vmap(torch.func.jacrev(layer, argnums=1), in_dims=(None, 1), out_dims=2)(t(W), t(X.T)),
    ),
}


@pytest.mark.filterwarnings("ignore")  # PyTorch warns of its own forward mode
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_torch(name: str) -> None:
    mine, reference = CASES[name]
    np.testing.assert_allclose(np.asarray(mine()), reference().numpy(), rtol=1e-9, atol=1e-12)
