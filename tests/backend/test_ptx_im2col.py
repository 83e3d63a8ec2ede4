"""Tensor copies that leave elements out: traversal strides, and the rows of a convolution's im2col matrix."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gradlib.backend import get
from gradlib.errors import KernelError

from .test_ptx_bulk import LOAD, in_shared_memory, swizzled_bytes

rng = np.random.default_rng(11)


def run(maker: Any, made_map: Any, call: str, size: int, expected: np.ndarray, swizzle: int) -> None:
    """Load once by `call` and compare shared memory with `expected`, of which the box fills `size` bytes."""
    load = maker(
        "const __grid_constant__ TensorMap map, int size, unsigned char* out, unsigned char* early",
        LOAD.replace("ptx::tensor_load(tile, &map, &bar, AT);", call),
        BYTES=str(size),
    )
    out, early = np.zeros((2, len(expected)), np.uint8)
    load(1, 64, made_map(get(load.device)), len(expected), out, early)
    touched = swizzled_bytes(size, swizzle)
    np.testing.assert_array_equal(out[touched], expected[touched])


def cut(array: np.ndarray, start: tuple[int, ...], box: tuple[int, ...], steps: tuple[int, ...]) -> np.ndarray:
    """Return every `steps`-th element from `start` on, zeros outside."""
    found = np.zeros(box, array.dtype)
    for index in itertools.product(*map(range, box)):
        at = tuple(s + i * step for s, i, step in zip(start, index, steps, strict=True))
        if all(0 <= a < n for a, n in zip(at, array.shape, strict=True)):
            found[index] = array[at]
    return found


@pytest.mark.parametrize(
    ("shape", "box", "start", "steps", "dtype", "swizzle"),
    [
        ((40, 64), (8, 64), (1, 0), (3, 1), np.float16, 128),
        ((9, 40, 32), (2, 6, 16), (-1, 30, 8), (4, 2, 1), np.float32, 64),
        ((3, 12, 14, 16), (1, 4, 6, 16), (1, -1, 1, 0), (1, 2, 2, 1), np.float16, 32),
        ((2, 9, 10, 11, 8), (1, 2, 2, 3, 8), (1, 1, -3, 2, 0), (1, 8, 5, 3, 1), np.float32, 0),
    ],
)
def test_loads_in_steps(device_ptx_kernel, shape, box, start, steps, dtype, swizzle):
    """PTX, "Tensors: Tiled Mode: Traversal-Stride": how many elements are skipped along each dimension."""
    array = rng.integers(1, 100, shape).astype(dtype)
    expected = in_shared_memory(cut(array, start, box, steps), swizzle)

    def made(backend: Any) -> bytes:
        return backend.tensor_map(backend.asarray(array), box, swizzle, steps)

    call = f"ptx::tensor_load(tile, &map, &bar, {', '.join(map(str, start[::-1]))});"
    run(device_ptx_kernel, made, call, int(np.prod(box)) * array.itemsize, expected, swizzle)


def rows_of_im2col(
    images: np.ndarray, taps: tuple[int, ...], pads: tuple[int, ...], stride: int, dilation: int, sizes: tuple[int, ...]
) -> np.ndarray:
    """Return the im2col matrix's columns of one tap, a row for each output pixel of each image: by padding and slicing.

    `sizes` are the filter's; all are in the order of the spatial axes.
    """
    padded = np.pad(images, [(0, 0), *((p, p) for p in pads), (0, 0)])
    slices = [slice(None)]
    for n, size, tap in zip(padded.shape[1:-1], sizes, taps, strict=True):
        outputs = (n - (size - 1) * dilation - 1) // stride + 1
        slices.append(slice(tap * dilation, tap * dilation + (outputs - 1) * stride + 1, stride))
    return padded[tuple(slices)].reshape(-1, images.shape[-1])


@dataclass
class Case:
    """A load of `pixels` rows of `channels`, from output pixel `first` and channel `channel` on, for one tap."""

    shape: tuple[int, ...]
    sizes: tuple[int, ...]  # of the filter
    pad: int
    taps: tuple[int, ...]
    pixels: int
    channels: int
    first: int = 0
    channel: int = 0
    stride: int = 1
    dilation: int = 1
    swizzle: int = 0
    dtype: Any = np.float32


CASES = [
    # Examples of the manual, "Tensors: im2col mode": figures 13, 14 and 15.
    Case((9, 14, 9, 64), (3, 3), 1, (0, 0), pixels=64, channels=8, first=7 * 126 + 68),
    Case((9, 14, 9, 64), (3, 3), 0, (2, 2), pixels=64, channels=8, first=7 * 84 + 53),
    Case((9, 14, 8, 64), (3, 3), 1, (1, 1), pixels=32, channels=16, first=7 * 28 + 19, stride=2),
    Case((2, 7, 6, 32), (5, 3), 1, (3, 2), pixels=20, channels=32, first=3, dilation=2, swizzle=64, dtype=np.float16),
    Case((2, 7, 6, 64), (1, 1), 0, (0, 0), pixels=100, channels=64, swizzle=128, dtype=np.float16),  # past the images
    Case((1, 5, 5, 12), (3, 3), 2, (1, 2), pixels=49, channels=16),  # past the channels
    Case((3, 40, 16), (7,), 3, (6,), pixels=30, channels=8, channel=8, stride=3),
    Case((2, 4, 5, 6, 16), (3, 2, 3), 1, (2, 1, 0), pixels=90, channels=16, first=30),
    Case((2, 6, 5, 7, 8), (2, 3, 3), 1, (1, 0, 2), pixels=40, channels=8, stride=2, swizzle=32),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{len(case.shape)}d-{case.sizes}-{case.pad}-{case.stride}")
def test_rows_of_an_im2col_matrix(device_ptx_kernel, case):
    """PTX, "Tensors: im2col mode"; the corners as CUTLASS sets them, conv/collective/detail.hpp, for a forward pass."""
    shape, sizes, pad, taps = case.shape, case.sizes, case.pad, case.taps
    stride, dilation, swizzle, first = case.stride, case.dilation, case.swizzle, case.first
    images = rng.integers(1, 100, shape).astype(case.dtype)
    lower = (-pad,) * len(sizes)
    upper = tuple(pad - (size - 1) * dilation for size in sizes)

    def made(backend: Any) -> bytes:
        there = backend.asarray(images)
        steps = (stride,) * len(sizes)
        return backend.tensor_map_im2col(there, lower, upper, case.channels, case.pixels, swizzle, steps)

    rows = rows_of_im2col(images, taps, (pad,) * len(sizes), stride, dilation, sizes)
    wide = np.zeros((len(rows) + case.pixels, shape[-1] + case.channels), images.dtype)
    wide[: len(rows), : shape[-1]] = rows
    box = np.ascontiguousarray(wide[first : first + case.pixels, case.channel : case.channel + case.channels])
    outputs = [
        (n + 2 * pad - (size - 1) * dilation - 1) // stride + 1 for n, size in zip(shape[1:-1], sizes, strict=True)
    ]
    image, *place = np.unravel_index(first, (shape[0], *outputs))
    base = [int(i) * stride - pad for i in place]
    at = [case.channel, *base[::-1], int(image), *(tap * dilation for tap in taps[::-1])]
    call = f"ptx::tensor_load_im2col(tile, &map, &bar, {', '.join(map(str, at))});"
    run(device_ptx_kernel, made, call, box.nbytes, in_shared_memory(box, swizzle), swizzle)


def test_im2col_multicast(device_ptx_kernel):
    """Both blocks of a cluster get the rows that each of them loads."""
    load = device_ptx_kernel(
        "const __grid_constant__ TensorMap map, float* out",
        """
    __shared__ alignas(128) float tile[2][16 * 8];
    __shared__ ptx::mbarrier bar;
    int rank = ptx::cluster_rank();
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&bar, 1);
        ptx::fence_mbarrier_init();
        ptx::mbarrier_arrive_expect_tx(&bar, sizeof tile);
    }
    ptx::cluster_sync();
    if (threadIdx.x == 0) ptx::tensor_load_im2col_multicast(tile[rank], &map, &bar, 3, 0, -1, rank - 1, 0, 0, 1);
    ptx::mbarrier_wait_parity(&bar, 0);
    for (int i = threadIdx.x; i < 256; i += 32) out[rank * 256 + i] = tile[i / 128][i % 128];
    ptx::cluster_sync();""",
        attributes="__cluster_dims__(2, 1, 1)",
    )
    images = rng.integers(1, 100, (1, 6, 6, 8)).astype(np.float32)
    backend = get(load.device)
    out = np.zeros((2, 2, 16, 8), np.float32)
    made = backend.tensor_map_im2col(backend.asarray(images), (-1, -1), (-1, -1), 8, 16)
    load(2, 32, made, out)
    rows = rows_of_im2col(images, (1, 0), (1, 1), 1, 1, (3, 3))
    for block, rank in itertools.product(range(2), range(2)):
        np.testing.assert_array_equal(out[block, rank], rows[6 * rank : 6 * rank + 16])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (((-1, -1), (-1, -1), 8, 16), None),
        (((-1,), (-1, -1), 8, 16), "array has 4 axes, lower 1, upper 2"),
        (((-200, -1), (-1, -1), 8, 16), "corners are (-200, -1), (-1, -1)"),
        (((5, 0), (-2, 0), 8, 16), "between (5, 0) and (-2, 0) lies no pixel"),
        (((0, 0), (0, 0), 3, 16), "a row of the box has 12 bytes"),
        (((0, 0), (0, 0), 264, 16), "264 channels, 16 pixels"),
        (((0, 0), (0, 0), 8, 1025), "8 channels, 1025 pixels"),
        (((0, 0), (0, 0), 8, 16, 64), "a row of the box has 32 bytes, the swizzle 64"),
        (((0, 0), (0, 0), 8, 16, 0, (9, 1)), "steps are (1, 9, 1, 1)"),
    ],
)
def test_maps_that_the_hardware_refuses(sim, arguments, says):
    backend = get(sim)
    images = backend.zeros((1, 6, 6, 8), np.float32)
    if says is None:
        backend.tensor_map_im2col(images, *arguments)
        return
    with pytest.raises(KernelError) as error:
        backend.tensor_map_im2col(images, *arguments)
    assert says in str(error.value)
    with pytest.raises(KernelError, match=r"steps are \(2, 2\)"):
        backend.tensor_map(backend.zeros((8, 8), np.float32), (2, 4), 0, (2, 2))
    with pytest.raises(KernelError, match=r"box is \(40, 4\) in steps \(7, 1\)"):
        backend.tensor_map(backend.zeros((8, 8), np.float32), (40, 4), 0, (7, 1))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("ptx::tensor_load_im2col(tile, &map, &bar, 0, -2, 0, 0, 0, 0);", "1 is -2, outside the bounding box, -1 to 4"),
        ("ptx::tensor_load_im2col(tile, &map, &bar, 0, 0, 5, 0, 0, 0);", "2 is 5, outside the bounding box, -1 to 4"),
        ("ptx::tensor_load_im2col(tile, &map, &bar, 0, 0, 0, 0, 256, 0);", r"im2col offset 256 \(need 0 to 255\)"),
        ("ptx::tensor_load(tile, &map, &bar, 0, 0, 0, 0);", "the map is one for im2col loads"),
        ("ptx::tensor_store(&map, tile, 0, 0, 0, 0);", "the map is one for im2col loads"),
    ],
)  # fmt: skip
def test_misuse(ptx_kernel, call, says):
    wrong = ptx_kernel(
        "const __grid_constant__ TensorMap map",
        f"__shared__ alignas(1024) float tile[256]; __shared__ ptx::mbarrier bar; ptx::mbarrier_init(&bar, 1);\n{call}",
    )
    backend = get("sim")
    images = backend.zeros((1, 6, 6, 8), np.float32)
    with pytest.raises(KernelError, match=says):
        wrong(1, 1, backend.tensor_map_im2col(images, (-1, -1), (-1, -1), 8, 16))
