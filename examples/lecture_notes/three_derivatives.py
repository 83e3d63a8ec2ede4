"""f = x1^2 (x2 x3 - 2 x1^2) at (1, 2, 3): every derivative on its graph; symbolic, numeric, automatic side by side."""

import numpy as np

import gradlib as gl


def graph(x):
    """Return every value on the graph of f by name."""
    x1, x2, x3 = x[0], x[1], x[2]
    a = x1 * x1
    b = x2 * x3
    c = 2.0 * a
    d = b - c
    return {"x1": x1, "x2": x2, "x3": x3, "a = x1^2": a, "b = x2 x3": b, "c = 2 a": c, "d = b - c": d, "f = a d": a * d}


def f(x):
    return graph(x)["f = a d"]


def values_and_derivatives(x):
    """Return {name: (value, df/dvalue)}: hooks see each gradient as it passes."""
    seen = {}
    values = graph(gl.tensor(x, requires_grad=True))
    for name, value in values.items():
        value.register_hook(lambda g, name=name: seen.setdefault(name, float(g)) and None)
    values["f = a d"].backward()
    return {name: (float(value), seen[name]) for name, value in values.items()}


def symbolic(x):
    x1, x2, x3 = x
    return np.array([2 * x1 * x2 * x3 - 8 * x1**3, x1**2 * x3, x1**2 * x2])


def numeric(x, h=1e-5):
    return np.array([(float(f(x + h * e)) - float(f(x - h * e))) / (2 * h) for e in np.eye(3)])


def automatic(x):
    return gl.grad(f)(x)


if __name__ == "__main__":
    x = np.array([1.0, 2.0, 3.0])
    for name, (value, derivative) in values_and_derivatives(x).items():
        print(f"{name:10} = {value:5.1f}    df/d = {derivative:5.1f}")
    print("symbolic ", symbolic(x), "\nnumeric  ", numeric(x), "\nautomatic", automatic(x))
