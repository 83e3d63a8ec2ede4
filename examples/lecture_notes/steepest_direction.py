"""Among all steps with ||x - x0|| <= eps, the linear model falls most along -grad / ||grad||.

Cauchy and Schwarz: <grad, d> >= -||grad|| ||d||, with equality for d along -grad alone.
"""

import numpy as np

import gradlib as gl


def f(x):
    return gl.sum(x**4) + gl.sum(gl.sin(x) * x[::-1])


def steepest_step(f, x0, eps):
    """Return the step of length eps along which the linear model of f falls most."""
    g = gl.grad(f)(x0)
    return -eps * g / np.linalg.norm(g)


def best_of_random_steps(f, x0, eps, tries, seed=0):
    """Return how far the linear model falls along the best of many random steps, and along the steepest one."""
    steps = np.random.default_rng(seed).standard_normal((tries, len(x0)))
    steps *= eps / np.linalg.norm(steps, axis=1, keepdims=True)
    _, pushforward = gl.linearize(f, x0)
    falls = gl.vmap(pushforward)(steps)  # all directions at once
    return float(falls.min()), float(pushforward(steepest_step(f, x0, eps)))


if __name__ == "__main__":
    x0 = np.array([0.5, -1.0, 2.0])
    best, steepest = best_of_random_steps(f, x0, 0.1, tries=10_000)
    print(f"the best of 10,000 random steps: {best:.6f}, along -grad / ||grad||: {steepest:.6f}")
    print(f"-eps ||grad|| = {-0.1 * np.linalg.norm(gl.grad(f)(x0)):.6f}")
