"""f(x + h v) = f(x) + h J v + O(h^2): what is left shrinks with slope 2; for a linear map nothing is left."""

import numpy as np

import gradlib as gl


def remainders(f, x, v, steps):
    """Return ||f(x + h v) - f(x) - h J v|| for each h; the map is linearized once."""
    y, pushforward = gl.linearize(f, x)
    jv = pushforward(v)
    return [float(np.linalg.norm(np.asarray(f(x + h * v) - y - h * jv))) for h in steps]


def slope(f, x, v, steps=(1e-2, 1e-3)):
    """Return the slope of the remainder in log-log coordinates."""
    first, second = remainders(f, x, v, steps)
    return float(np.log(first / second) / np.log(steps[0] / steps[1]))


if __name__ == "__main__":
    x, v = np.random.default_rng(0).standard_normal((2, 6))
    for name in ("exp", "sin", "tanh", "sigmoid", "softmax"):
        print(f"{name:8} slope {slope(getattr(gl, name), x, v):.3f}")
    print("flip     remainder", remainders(gl.flip, x, v, (1.0, 1e-3)))
