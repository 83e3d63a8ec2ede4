"""Vanishing gradients: sigmoid' <= 1/4, so ten sigmoid layers scale a gradient down ten times; ReLU's slope is 1."""

import sys

import gradlib as gl

DEPTH, WIDTH = 10, 64


def gradient_norms(activation, seed=0):
    """Return ||dloss/dz|| at the input of each of the layers, the first layer first."""
    generator = gl.Generator(seed)
    gain = {"relu": 2.0, "sigmoid": 1.0}[activation]
    z = gl.normal((32, WIDTH), generator=generator).requires_grad_()
    norms = []
    for _ in range(DEPTH):
        z.register_hook(lambda g: norms.append(gl.sum(g * g).item() ** 0.5))
        w = gl.normal((WIDTH, WIDTH), std=(gain / WIDTH) ** 0.5, generator=generator)
        z = getattr(gl, activation)(z @ w)
    gl.mean(z * z).backward()
    return norms[::-1]


def plot(path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5))
    for activation in ("sigmoid", "relu"):
        norms = gradient_norms(activation)
        axes.semilogy(range(1, DEPTH + 1), [n / norms[-1] for n in norms], marker="o", label=activation)
    axes.set(xlabel="layer", ylabel="norm of the gradient, relative to the last layer")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


if __name__ == "__main__":
    for activation in ("sigmoid", "relu"):
        norms = gradient_norms(activation)
        print(f"{activation:8} first layer / last layer: {norms[0] / norms[-1]:.3g}")
    if len(sys.argv) > 1:
        plot(sys.argv[1])
