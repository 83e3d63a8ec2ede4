"""A test of the checked build on the project's own kernels: without any one of their barriers, it reports a fault."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import gradlib as gl
from gradlib import backend
from gradlib.backend import get, sim_build
from gradlib.core import PRIMITIVES, UPDATES
from gradlib.errors import KernelFault
from gradlib.kernel import Kernel, folder
from gradlib.kernel import source as sources
from gradlib.ops.attention import attention
from gradlib.ops.product import AFTER, choose_mma, double, mma, sm90, thin
from gradlib.ops.product.choose_sm90 import Config
from gradlib.testing import check_op, check_update

from ..ops.product.against_float64 import BACKWARD, F32, F64, FORWARD
from ..ops.product.against_float64 import check as check_product
from ..ops.product.test_grouped import check_columns, check_rows
from .waits import Wait, made_optional, waits_in

# Redundant ones, with the reason.
DRAIN = "copies that nobody reads are waited for before the block's memory is another's; PTX does not say who must"
REDUNDANT = {
    "attention_float.cu attention_forward: ptx::cp_async_wait_all(); (3)": DRAIN,
    "attention_float.cu attention_dq: ptx::cp_async_wait_all(); (3)": DRAIN,
    "attention_float.cu attention_dkv: ptx::cp_async_wait_all(); (2)": DRAIN,
    "sm90/block.cuh run: ptx::fence_mbarrier_init();": "the barrier after it releases the mbarriers too",
    "update.cuh last_block: __threadfence(); (2)": "the barrier after it is a fence to sim; to CUDA it is one for the "
    "block alone",
}


@cache
def all_waits() -> list[Wait]:
    """List every barrier and fence in a kernel; paths are below the kernels' folder."""
    base = folder()
    files = [path.relative_to(base) for path in sorted([*base.glob("*.cu"), *base.glob("include/**/*.cuh")])]
    return [
        wait
        for path in files
        if not any(path.is_relative_to(name) for name in VOCABULARY)
        for wait in waits_in(path, (base / path).read_text())
    ]


def sampled(waits: list[Wait], every: int = 12) -> list[Any]:
    """Name the cases; all but every so many are left to the exhaustive suite."""
    return [
        pytest.param(wait, id=wait.name, marks=[pytest.mark.exhaustive] if i % every else [])
        for i, wait in enumerate(waits)
    ]


def forget_compiled() -> None:
    for kernel in Kernel.declared():
        if not (folder() / kernel.file).is_file():
            continue  # made of a string
        kernel.__dict__.pop("source", None)
        kernel.__dict__.pop("signature", None)
        kernel._launches.clear()


def several_matrices(device: str) -> None:
    """Several matrices for one block, which takes a batch of more than 65535."""
    a, b, c = (backend.get(device).asarray(np.ones((3, 4, 4), np.float32)) for _ in range(3))
    kernel = Kernel("matmul.cu", "matmul", "a b c | batch m n k a_batch a_row a_col b_batch b_row b_col")
    kernel((1, 1, 1), 256, a, b, c, 3, 4, 4, 4, 16, 4, 1, 16, 4, 1)


def long_rows(device: str) -> None:
    """Rows that take a block of several warps."""
    x = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    gl.softmax(gl.tensor(x, device=device), axis=-1)


def several_tensors(device: str) -> None:
    """Tensors for several blocks, of which the last one to end has something left to do."""
    params = [gl.nn.Parameter(gl.tensor(np.ones(n, np.float32), device=device)) for n in (33, 5, 300)]
    for p in params:
        p.grad = p.detach()
    gl.optim.NAdam(params).step()


def attend(device: str, dtype: str, queries: int, keys: int, width: int, **params: Any) -> None:
    shapes = ((1, 1, n, width) for n in (queries, keys, keys))
    q, k, v = (gl.tensor(np.ones(shape), dtype=dtype, device=device, requires_grad=True) for shape in shapes)
    attention(q, k, v, **params).sum().backward()


def several_tiles(device: str, dtype: str = "float32") -> None:
    """Attention over more queries and keys than a tile holds, and queries that see no key."""
    attend(device, dtype, 70, 140, 8)
    attend(device, dtype, 70, 8, 8, causal=True, offset=-128)


def several_tiles_of_halves(device: str) -> None:
    """The same on tensor cores, and rows so wide that a tile has fewer of them."""
    several_tiles(device, "bfloat16")
    attend(device, "bfloat16", 40, 8, 136)


def few_multiprocessors(count: int = 4, **changes: Any) -> Any:
    """A device of four, whose persistent blocks take tile after tile."""
    backend = get("sim")
    return patch.object(type(backend), "limits", replace(backend.limits, multiprocessors=count, **changes))


def hopper(config: Config, m: int, n: int, k: int, **asked: Any) -> Callable[[str], None]:
    """A product on product_sm90.cu, of a given configuration."""

    def launch(device: str) -> None:
        with few_multiprocessors():
            run = partial(sm90.product, config=config)
            check_product(device, m, n, k, run=run, **asked)

    return launch


def product_by_mma(device: str) -> None:
    """Of several tiles, with column sums."""
    config = choose_mma.Config(64, 64, 32, 32, stages=3)
    check_product(device, 130, 72, 200, run=partial(mma.product, config=config), **BACKWARD)


def thin_products(device: str) -> None:
    """Of blocks that take several tiles, of one chunk of the small operand and of several."""
    with few_multiprocessors(1, shared=3 * 24 * 1024):
        for k in (128, 1000):
            check_product(device, 8, 256, k, F32, run=partial(thin.product, splits=1), direct=True)


def product_of_doubles(device: str) -> None:
    """Of several tiles, and stages that come round."""
    check_product(device, 70, 66, 100, F64, run=double.product)


def planes_of_a_gradient(device: str) -> None:
    """With the sums of its columns."""
    gl.ops.product.planes.gradient(get(device).asarray(np.ones((1, 300, 70), np.float32)), None, None, 4)


def groups_on_hopper(device: str) -> None:
    """Tiles that end within a group's rows, whose results the threads store, and sums that end within a stage."""
    with few_multiprocessors():
        check_rows(device, 136, 72, config=Config(128, 128, stages=2), residual=AFTER, activation="relu")
        check_columns(device, 72, 72, config=Config(128, 64, stages=2))


HOPPER = [
    hopper(Config(128, 128, 2, stages=2), 512, 264, 264, **FORWARD),
    hopper(Config(64, 64, 1, pingpong=True, stages=2), 640, 192, 264, b_transposed=True, **BACKWARD),
    hopper(Config(128, 128, 1, stages=2), 130, 136, 130, dtype=F32, passes=3, **BACKWARD),
    groups_on_hopper,
]

# What launches the kernels that a file's barriers are in: ops, updates, and functions below.
USERS: dict[str, list[Any]] = {
    "attention.cu": [several_tiles_of_halves],
    "attention_float.cu": [several_tiles],
    "layer_norm.cu": ["layer_norm"],
    "matmul.cu": [several_matrices, "matmul"],
    "planes.cu": [planes_of_a_gradient],
    "product_double.cu": [product_of_doubles],
    "product_thin.cu": [thin_products],
    "include/gradlib/attention_tiles.cuh": [several_tiles_of_halves],
    "include/gradlib/epilogue.cuh": ["dense"],
    "include/gradlib/gemm.cuh": ["matmul"],
    "include/gradlib/mma/block.cuh": [product_by_mma],
    "include/gradlib/reduce.cuh": [long_rows, "softmax", "sum", "batch_norm", "cross_entropy"],
    "include/gradlib/rows.cuh": ["layer_norm"],
    "include/gradlib/update.cuh": [several_tensors, "adam"],
    "include/gradlib/sm90/grouped.cuh": [groups_on_hopper],
    **dict.fromkeys((f"include/gradlib/sm90/{name}.cuh" for name in ("block", "mainloop", "output", "ring")), HOPPER),
}

# Wrappers, whose barriers are their users'.
VOCABULARY = ("include/gradlib/groups.cuh", "include/gradlib/ptx", "include/gradlib/ptx.cuh")


OMIT = """
static int omitted = -1;
int gradlib_omitted(void) { return omitted; }
void gradlib_omit(int number) { omitted = number; }
"""


@pytest.fixture(scope="session")
def omitting(sim: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Load what the kernels ask, once a process: they stay loaded, and bound to it."""
    place = tmp_path_factory.mktemp("omit")
    (place / "omit.c").write_text(OMIT)
    command = [*sim_build.compiler(), "-x", "c", "-shared", "-fPIC", "omit.c", "-o", "omit.so"]
    subprocess.run(command, cwd=place, check=True)
    return ctypes.CDLL(str(place / "omit.so"), mode=ctypes.RTLD_GLOBAL)


@pytest.fixture(scope="module")
def omit(omitting: ctypes.CDLL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], None]]:
    """Leave out, from here on, the wait of this number in `all_waits()`; -1 for none.

    Each kernel is compiled once for all of its waits: the loader takes a copy, in which they are optional, for the
    real ones.
    """
    copy = tmp_path_factory.mktemp("optional") / "kernels"
    shutil.copytree(folder(), copy, ignore=shutil.ignore_patterns("sim"))
    number = 0
    for path, waits in groupby(all_waits(), lambda wait: wait.path):
        mine = list(waits)
        (copy / path).write_text(made_optional((folder() / path).read_text(), mine, number))
        number += len(mine)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sources, "folder", lambda: copy)
        forget_compiled()
        yield omitting.gradlib_omit
    forget_compiled()


@pytest.mark.exhaustive
@pytest.mark.parametrize("launch", dict.fromkeys(f for several in USERS.values() for f in several if callable(f)))
def test_the_kernels_are_clean_there(sim: str, omit: Callable[[int], None], launch: Callable[[str], None]) -> None:
    omit(-1)
    with backend.checked():
        launch(sim)


def test_every_file_with_barriers_has_a_user() -> None:
    assert {wait.path.as_posix() for wait in all_waits()} == set(USERS)


def test_every_redundant_one_is_there() -> None:
    assert set(REDUNDANT) <= {wait.name for wait in all_waits()}


@pytest.mark.parametrize("wait", sampled(all_waits()))
def test_without_this_barrier_there_is_a_fault(sim: str, omit: Callable[[int], None], wait: Wait) -> None:
    omit(all_waits().index(wait))
    found = None
    with backend.checked(orders=("forward",)):
        for name in USERS[wait.path.as_posix()]:
            try:
                if callable(name):
                    name(sim)
                elif name in UPDATES:
                    check_update(UPDATES[name], device=sim)
                else:
                    check_op(PRIMITIVES[name], device=sim, dtypes=["float32"])
            except KernelFault as fault:
                found = fault
                break
            except AssertionError:
                continue  # a wrong result, and no fault
    redundant = wait.name in REDUNDANT
    assert (found is None) == redundant, f"{wait.name} is {'needed' if redundant else 'not missed'}: {found}"


def test_a_name_says_nothing_of_what_is_elsewhere() -> None:
    text = """// meet();
namespace n {
struct S {
  template <int N> __device__ void put(int (&x)[N]) const {
    if (x[0] > 0) { __syncthreads(); }
    auto f = [&](int i) { __syncwarp(); };
    for (int i = 0; i < 2; ++i) {
      ptx::cp_async_wait_group<1>(); ptx::cp_async_wait_group<1>();
    }
  }
};
}
#if defined(A) && B(1)
extern "C" __global__ void __launch_bounds__(256) k(int* y) { __syncthreads(); }
#endif
"""
    names = [
        "a.cu put: __syncthreads();",
        "a.cu put: __syncwarp();",
        "a.cu put: ptx::cp_async_wait_group<1>();",
        "a.cu put: ptx::cp_async_wait_group<1>(); (2)",
        "a.cu k: __syncthreads();",
    ]
    assert [wait.name for wait in waits_in(Path("a.cu"), text)] == names
    longer = text.replace("struct", "__device__ void g() { __syncthreads(); }\n\nstruct")
    assert [wait.name for wait in waits_in(Path("a.cu"), longer)] == ["a.cu g: __syncthreads();", *names]
    optional = made_optional(text, waits_in(Path("a.cu"), text)[:2], 5)
    assert "if (x[0] > 0) { { if (gradlib_omitted() != 5) __syncthreads(); } }" in optional
    assert "[&](int i) { { if (gradlib_omitted() != 6) __syncwarp(); } }" in optional
