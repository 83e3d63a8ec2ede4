"""A loss that is the mean of N sub-costs: its gradient is the mean of the gradients of the examples."""

import numpy as np

import gradlib as gl


def cost(parameters, x, y):
    """The cost of one example."""
    hidden = gl.tanh(x @ parameters["w"] + parameters["b"])
    return gl.sum((hidden - y) ** 2)


def loss(parameters, xs, ys):
    return gl.mean(gl.vmap(cost, in_axes=(None, 0, 0))(parameters, xs, ys))


def per_example_gradients(parameters, xs, ys):
    """Return N gradients by one pass over the batch, no loop over examples."""
    return gl.vmap(gl.grad(cost), in_axes=(None, 0, 0))(parameters, xs, ys)


def data(n=8, seed=0):
    rng = np.random.default_rng(seed)
    parameters = {"w": rng.standard_normal((3, 2)), "b": rng.standard_normal(2)}
    return parameters, rng.standard_normal((n, 3)), rng.standard_normal((n, 2))


if __name__ == "__main__":
    parameters, xs, ys = data()
    each, whole = per_example_gradients(parameters, xs, ys), gl.grad(loss)(parameters, xs, ys)
    for name in parameters:
        print(
            f"{name}: {each[name].shape}, mean - gradient of the loss: {np.abs(each[name].mean(0) - whole[name]).max()}"
        )
