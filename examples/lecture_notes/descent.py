"""x := x - a f'(x) for f = 2 x^2: each step multiplies x by 1 - 4 a, so it converges for 0 < a < 1/2 alone."""

import gradlib as gl


def path(rate, steps=4, start=1.0):
    slope = gl.grad(lambda x: 2.0 * x * x)
    x, visited = gl.tensor(start, dtype="float64"), []
    for _ in range(steps):
        visited.append(x.item())
        x = x - rate * slope(x)
    return visited


if __name__ == "__main__":
    for rate in (1.0, 0.1):
        print(f"a = {rate}:", ", ".join(f"{x:.4g}" for x in path(rate)))
