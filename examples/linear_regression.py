"""A linear regression by plain gradient descent, with nothing of gradlib but `gl.grad`."""

import numpy as np

import gradlib as gl

rng = np.random.default_rng(0)
x = rng.standard_normal((200, 3))
true_weight, true_bias = np.array([2.0, -1.0, 0.5]), 3.0
y = x @ true_weight + true_bias + 0.01 * rng.standard_normal(200)


def loss(weight, bias):
    """Return the mean squared error."""
    return gl.mean((gl.asarray(x) @ weight + bias - y) ** 2)


weight, bias = gl.tensor(np.zeros(3)), gl.tensor(np.zeros(()))
gradient = gl.grad(loss, argnums=(0, 1))
for _ in range(200):
    dweight, dbias = gradient(weight, bias)
    weight, bias = weight - 0.1 * dweight, bias - 0.1 * dbias

print("weight", weight.numpy().round(2), "bias", round(float(bias), 2))
print(f"loss {float(loss(weight, bias)):.6f}")
