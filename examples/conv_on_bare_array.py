"""A convolution on a bare NumPy or CuPy array: gradlib as a library of functions, without Tensors."""

import sys

import gradlib.nn.functional as F

if len(sys.argv) > 1 and sys.argv[1] == "cupy":
    import cupy as xp
else:
    import numpy as xp

# A white square on black, and Sobel's filter for vertical edges: images are NHWC, weights HWIO.
image = xp.zeros((1, 8, 8, 1), xp.float32)
image[0, 2:6, 2:6, 0] = 1
sobel = xp.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], xp.float32).reshape(3, 3, 1, 1)

edges = F.conv2d(image, sobel, padding="same")
print(type(edges))
print(edges[0, :, :, 0].astype(int))
