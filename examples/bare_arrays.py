"""gradlib as a library of functions on plain NumPy or CuPy arrays: no Tensor, no tape, arrays in and arrays out.

First what one would ask of scipy.ndimage, filters of an image; then a convolutional network whose backward pass is
written by hand, with the gradients of its layers as functions.  ``python bare_arrays.py cupy`` runs it on the GPU.
"""

import sys

import numpy as np

import gradlib.nn.functional as F

if len(sys.argv) > 1 and sys.argv[1] == "cupy":
    import cupy as xp
else:
    xp = np

# -- filters of an image: a grey one is (1, height, width, 1), a filter (height, width, 1, 1)


def blurred(image, sigma):
    """The Gaussian blur of scipy.ndimage.gaussian_filter(image, sigma): one pass along each axis."""
    radius = int(4 * sigma + 0.5)
    bell = xp.exp(-0.5 * (xp.arange(-radius, radius + 1) / sigma) ** 2).astype(image.dtype)
    bell /= bell.sum()
    x = xp.pad(image, radius, mode="symmetric")[None, :, :, None]
    x = F.conv2d(x, bell.reshape(-1, 1, 1, 1))
    return F.conv2d(x, bell.reshape(1, -1, 1, 1))[0, :, :, 0]


def edges(image):
    """The length of Sobel's gradient: both of its filters in one convolution, with a filter for each channel of y."""
    across = xp.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], image.dtype)
    both = xp.stack([across, across.T], -1)[:, :, None, :]
    slopes = F.conv2d(xp.pad(image, 1, mode="edge")[None, :, :, None], both)[0]
    return xp.sqrt((slopes**2).sum(-1))


y, x = xp.mgrid[:64, :64].astype(xp.float32)
disc = ((x - 32) ** 2 + (y - 32) ** 2 < 16**2).astype(xp.float32)
ring = edges(blurred(disc, 2.0))
brightest = float(xp.hypot(*(xp.argwhere(ring == ring.max())[0] - 32)))
print(f"a disc of radius 16: its edge is steepest {brightest:.1f} from its middle")

# -- a network without a tape: convolution, max pooling, dense


def forward(p, images):
    """Return the scores, and what the backward pass reads."""
    a = F.conv2d(images, p["filters"], p["shift"], padding=1, activation="relu")
    pooled, where = F.max_pool2d(a, 2, return_indices=True)
    flat = pooled.reshape(len(images), -1)
    return F.dense(flat, p["weight"], p["bias"]), (a, pooled, where, flat)


def backward(p, images, kept, d_scores):
    """Return the gradient of every parameter."""
    a, pooled, where, flat = kept
    d_pooled = (d_scores @ p["weight"].T).reshape(pooled.shape)
    d_a = F.max_unpool2d(d_pooled, where, 2, output_size=a.shape[1:3]) * (a > 0)
    return {
        "weight": flat.T @ d_scores,
        "bias": d_scores.sum(0),
        "filters": F.conv2d_weight_gradient(images, d_a, 3, padding=1),
        "shift": d_a.sum((0, 1, 2)),
    }


def stripes(rng, count):
    """Images of upright (0) or lying (1) stripes with noise, and which they are."""
    kind = rng.integers(0, 2, count)
    wave = xp.sin(xp.arange(12) * xp.float32(1.5))
    upright = xp.broadcast_to(wave, (12, 12))
    images = xp.where(xp.asarray(kind)[:, None, None] == 0, upright, upright.T)
    noise = xp.asarray(rng.standard_normal((count, 12, 12)).astype("float32"))
    return (images + noise)[..., None].astype(xp.float32), xp.asarray(kind)


rng = np.random.default_rng(0)  # on the host, so that both libraries see the same numbers
p = {
    "filters": xp.asarray(0.3 * rng.standard_normal((3, 3, 1, 8)), xp.float32),
    "shift": xp.zeros(8, xp.float32),
    "weight": xp.asarray(0.05 * rng.standard_normal((6 * 6 * 8, 2)), xp.float32),
    "bias": xp.zeros(2, xp.float32),
}
STEPS = 60
for _ in range(STEPS):
    images, kind = stripes(rng, 64)
    scores, kept = forward(p, images)
    d_scores = (F.softmax(scores) - F.one_hot(kind, 2)).astype(xp.float32) / len(images)  # of the mean cross-entropy
    for name, gradient in backward(p, images, kept, d_scores).items():
        p[name] = p[name] - 0.2 * gradient
images, kind = stripes(rng, 500)
right = float((forward(p, images)[0].argmax(1) == kind).mean())
print(f"after {STEPS} steps {100 * right:.1f} % of new images are told apart; arrays are {type(scores).__module__}'s")
