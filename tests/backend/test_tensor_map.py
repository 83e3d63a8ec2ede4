"""What the driver is asked for when a tensor map is made for a GPU."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

from gradlib.backend import cuda
from gradlib.backend.tensor_map import Tiling, tiling
from gradlib.errors import KernelError


def test_the_driver_gets_dimensions_innermost_first(monkeypatch):
    driver = pytest.importorskip("cuda.bindings.driver")
    asked = []
    content = ctypes.create_string_buffer(bytes(range(128)), 128)

    def encode(*arguments):
        asked.append(arguments)
        return driver.CUresult.CUDA_SUCCESS, SimpleNamespace(getPtr=lambda: ctypes.addressof(content))

    monkeypatch.setattr(driver, "cuTensorMapEncodeTiled", encode)
    array = np.zeros((3, 10, 64), np.float16)
    tiles = tiling(array, 0x1000, (1, 8, 32), 64)
    assert tiles == Tiling(0x1000, 2, (64, 10, 3), (128, 1280), (32, 8, 1), 64, (1, 1, 1))
    assert cuda._encode(tiles) == bytes(range(128))
    kind, rank, address, sizes, strides, box, steps, interleave, swizzle, _, fill = asked[0]
    assert kind == driver.CUtensorMapDataType.CU_TENSOR_MAP_DATA_TYPE_UINT16
    assert (rank, address) == (3, 0x1000)
    for given, expected in ((sizes, [64, 10, 3]), (strides, [128, 1280]), (box, [32, 8, 1]), (steps, [1, 1, 1])):
        assert [int(value) for value in given] == expected
    assert interleave == driver.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE
    assert swizzle == driver.CUtensorMapSwizzle.CU_TENSOR_MAP_SWIZZLE_64B
    assert fill == driver.CUtensorMapFloatOOBfill.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE


def test_what_the_driver_refuses(monkeypatch):
    driver = pytest.importorskip("cuda.bindings.driver")
    refused = driver.CUresult.CUDA_ERROR_INVALID_VALUE
    monkeypatch.setattr(driver, "cuTensorMapEncodeTiled", lambda *_: (refused, None))
    with pytest.raises(KernelError, match=r"the driver refuses the tensor map of .*CUDA_ERROR_INVALID_VALUE"):
        cuda._encode(Tiling(0x1000, 4, (64,), (), (32,), 0, (1,)))
