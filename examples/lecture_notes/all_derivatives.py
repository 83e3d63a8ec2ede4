"""The full list of derivatives of a network of two conv and two dense layers, by name."""

import gradlib as gl
from gradlib import nn


class Network(nn.Module):
    """relu(conv) - pool - relu(conv) - pool - relu(dense) - dense."""

    def __init__(self):
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 8, 3, padding=1)
        self.dense1 = nn.Dense(2 * 2 * 8, 16)
        self.dense2 = nn.Dense(16, 10)

    def forward(self, x):
        """Return every value on the way from the images to the scores by name."""
        values = {"x": x}
        for name, layer in (("conv1", self.conv1), ("conv2", self.conv2)):
            values[f"z_{name}"] = layer(x)
            values[f"a_{name}"] = gl.relu(values[f"z_{name}"])
            x = values[f"p_{name}"] = gl.max_pool2d(values[f"a_{name}"], 2)
        values["z_dense1"] = self.dense1(gl.flatten(x, 1))
        values["a_dense1"] = gl.relu(values["z_dense1"])
        values["z_dense2"] = self.dense2(values["a_dense1"])
        return values


def all_derivatives(network, images, targets):
    """Return dloss/dv for every parameter and every value v of the network, by name."""
    seen = {}
    values = network(images.detach().requires_grad_())
    values["loss"] = nn.functional.cross_entropy(values["z_dense2"], targets)
    for name, value in (*network.named_parameters(), *values.items()):
        value.register_hook(lambda g, name=name: seen.update({name: g}))
    network.zero_grad()
    values["loss"].backward()
    return dict(reversed(seen.items()))


if __name__ == "__main__":
    gl.manual_seed(0)
    found = all_derivatives(Network(), gl.normal((5, 8, 8, 1)), gl.randint(0, 10, (5,)))
    for name, gradient in found.items():
        print(f"dloss/d{name:14} {gradient.shape!s:16} norm {gl.sum(gradient**2).item() ** 0.5:.4f}")
