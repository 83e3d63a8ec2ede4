"""mbarriers and clusters of sim against the PTX manual's phases, counts and ranks."""

from __future__ import annotations

import numpy as np
import pytest

from gradlib.errors import KernelError, KernelFault
from gradlib.testing import run_kernel


def test_phases(device_ptx_kernel):
    """PTX, "mbarrier": a phase ends when pending arrivals and bytes are zero; the next expects as many arrivals."""
    phases = device_ptx_kernel(
        "int* out",
        """
    __shared__ ptx::mbarrier bar;
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&bar, 2);
        ptx::fence_mbarrier_init();
        int n = 0;
        out[n++] = ptx::mbarrier_test_wait_parity(&bar, 1);   // the phase before the first counts as ended
        out[n++] = ptx::mbarrier_test_wait_parity(&bar, 0);
        unsigned long long first = ptx::mbarrier_arrive(&bar);
        out[n++] = ptx::mbarrier_test_wait_parity(&bar, 0);
        ptx::mbarrier_arrive(&bar);
        out[n++] = ptx::mbarrier_test_wait_parity(&bar, 0);
        out[n++] = ptx::mbarrier_try_wait(&bar, first);
        out[n++] = ptx::mbarrier_test_wait_parity(&bar, 1);
        ptx::mbarrier_arrive(&bar);
        ptx::mbarrier_arrive(&bar);
        out[n++] = ptx::mbarrier_test_wait_parity(&bar, 1);
        out[n++] = ptx::mbarrier_test_wait_parity(&bar, 0);
        ptx::mbarrier_inval(&bar);
    }""",
    )
    out = np.full(8, -1, np.int32)
    phases(1, 32, out)
    np.testing.assert_array_equal(out, [1, 0, 0, 1, 1, 0, 1, 0])


def test_a_ring_of_full_and_empty_barriers(device_ptx_kernel):
    """A producer warp fills a ring of three slots, with parities that wrap; 96 consumers read each once."""
    ring = device_ptx_kernel(
        "int* out, int count",
        """
    __shared__ ptx::mbarrier full[3], empty[3];
    __shared__ int slot[3];
    if (threadIdx.x == 0) {
        for (int i = 0; i < 3; ++i) { ptx::mbarrier_init(full + i, 1); ptx::mbarrier_init(empty + i, 96); }
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        for (int i = 0; i < count && ptx::elect_sync(); ++i) {
            ptx::mbarrier_wait_parity(empty + i % 3, i / 3 % 2 ^ 1);
            slot[i % 3] = i * i;
            ptx::mbarrier_arrive(full + i % 3);
        }
    } else {
        for (int i = 0; i < count; ++i) {
            while (!ptx::mbarrier_test_wait_parity(full + i % 3, i / 3 % 2)) {}
            atomicAdd(out + i, slot[i % 3]);
            ptx::mbarrier_arrive(empty + i % 3);
        }
    }""".replace("i < count && ptx::elect_sync()", "i < count && threadIdx.x == 0"),
    )
    out = np.zeros(50, np.int32)
    ring(1, 128, out, 50)
    np.testing.assert_array_equal(out, 96 * np.arange(50) ** 2)


def test_cp_async_tells_an_mbarrier(device_ptx_kernel):
    """PTX, "cp.async.mbarrier.arrive": .noinc arrivals are among those the barrier was initialised for."""
    copy = device_ptx_kernel(
        "const float* x, float* y",
        """
    __shared__ float s[64];
    __shared__ ptx::mbarrier bar;
    if (threadIdx.x == 0) ptx::mbarrier_init(&bar, 64);
    __syncthreads();
    ptx::cp_async<4>(s + threadIdx.x, x + threadIdx.x);
    ptx::cp_async_mbarrier_arrive_noinc(&bar);
    ptx::mbarrier_wait_parity(&bar, 0);
    y[threadIdx.x] = s[63 - threadIdx.x];""",
    )
    x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    copy(1, 64, x, y)
    np.testing.assert_array_equal(y, x[::-1])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("ptx::mbarrier_arrive(&bar);", "mbarrier.arrive at test.cu:5: there is no mbarrier at this address"),
        ("if (threadIdx.x == 0) ptx::mbarrier_init(&bar, 0);", "an mbarrier for 0 arrivals"),
        (
            "ptx::mbarrier_init(&bar, 2); ptx::mbarrier_wait_parity(&bar, 0);",
            "wait in mbarrier.try_wait.parity at test.cu:5, 0 have returned, the mbarrier at byte 0 of bar in a phase "
            "of parity 0 misses 2 of 2 arrivals and 0 bytes",
        ),
        (
            "ptx::mbarrier_init(&bar, 1); ptx::mbarrier_arrive_expect_tx(&bar, 64); ptx::mbarrier_arrive(&bar);",
            "1 more arrivals, but the phase waits for 0 of 1",
        ),
        ("ptx::mbarrier_init(&bar, 2); while (!ptx::mbarrier_test_wait_parity(&bar, 0)) {}", "no thread can go on"),
        (
            "ptx::mbarrier_init(&bar, 1); ptx::mbarrier_inval(&bar); ptx::mbarrier_wait_parity(&bar, 1);",
            "there is no mbarrier",
        ),
        (
            "ptx::setmaxnreg_inc<240>(); if (threadIdx.x) ptx::setmaxnreg_dec<24>(); else __syncthreads();",
            "31 wait in setmaxnreg.dec",
        ),
        ("ptx::barrier_cluster_wait();", "waits without an arrive"),
        ("ptx::mapa(&bar, 1);", "mapa at test.cu:5: rank 1 of a cluster of 1"),
    ],
)
def test_misuse(ptx_kernel, body, says):
    wrong = ptx_kernel("", f"__shared__ ptx::mbarrier bar; (void)bar;\n{body}")
    with pytest.raises(KernelError, match=says):
        wrong(1, 32)


def test_setmaxnreg_takes_what_the_manual_allows(ptx_kernel):
    """PTX, "setmaxnreg": 24 to 256, multiples of 8."""
    with pytest.raises(KernelError, match="24 to 256, in steps of 8"):
        ptx_kernel("", "ptx::setmaxnreg_inc<250>();")


CLUSTER = """
    unsigned int rank = ptx::cluster_rank(), size = ptx::cluster_size();
    __shared__ int mine[32];
    __shared__ float other;  // met first by some blocks, later by others
    extern __shared__ int dynamic[];
    if (rank % 2) other = 1;
    mine[threadIdx.x] = 100 * blockIdx.x + 1000 * blockIdx.y + threadIdx.x;
    dynamic[threadIdx.x] = -mine[threadIdx.x];
    ptx::cluster_sync();
    int* o = out + ((blockIdx.y * gridDim.x + blockIdx.x) * 32 + threadIdx.x) * 4;
    o[0] = rank;
    o[1] = size;
    o[2] = ptx::mapa(mine, (rank + 1) % size)[threadIdx.x];
    o[3] = *ptx::mapa(dynamic + threadIdx.x, (rank + size - 1) % size);
    ptx::barrier_cluster_arrive();
    ptx::barrier_cluster_wait();
    *ptx::mapa(&other, 0) = 2;
    ptx::cluster_sync();  // nobody returns while another block may still reach its shared memory
"""


@pytest.mark.parametrize("dims", [(2, 1), (4, 1), (2, 2), (1, 3), (1, 1)])
def test_clusters_see_each_others_shared_memory(device_ptx_kernel, dims):
    """PTX, "%cluster_ctarank", "mapa", "barrier.cluster"; x counts fastest in the rank."""
    see = device_ptx_kernel("int* out", CLUSTER, attributes=f"__cluster_dims__({dims[0]}, Y, 1)", Y=str(dims[1]))
    grid = (4, 6)
    out = np.zeros((grid[1], grid[0], 32, 4), np.int32)
    see(grid, 32, out, shared=128)
    lanes = np.arange(32)
    for y in range(grid[1]):
        for x in range(grid[0]):
            size, rank = dims[0] * dims[1], x % dims[0] + dims[0] * (y % dims[1])

            def block(r: int, x: int = x, y: int = y) -> int:
                r %= dims[0] * dims[1]
                return 100 * (x - x % dims[0] + r % dims[0]) + 1000 * (y - y % dims[1] + r // dims[0])

            assert (out[y, x, :, 0] == rank).all()
            assert (out[y, x, :, 1] == size).all()
            np.testing.assert_array_equal(out[y, x, :, 2], block(rank + 1) + lanes)
            np.testing.assert_array_equal(out[y, x, :, 3], -(block(rank - 1) + lanes))


def test_arrivals_from_other_blocks(device_ptx_kernel):
    """Every block of the cluster arrives at the barrier of rank 0, which waits for all and returns last."""
    gather = device_ptx_kernel(
        "int* out",
        """
    __shared__ ptx::mbarrier bar;
    __shared__ int sum;
    if (threadIdx.x == 0) { ptx::mbarrier_init(&bar, 64 * 4); ptx::fence_mbarrier_init(); sum = 0; }
    ptx::cluster_sync();
    atomicAdd(ptx::mapa(&sum, 0), 1);
    ptx::mbarrier_arrive_cluster(&bar, 0);
    if (ptx::cluster_rank() == 0) {
        ptx::mbarrier_wait_parity(&bar, 0);
        if (threadIdx.x == 0) out[blockIdx.x / 4] = sum;
    }""",
        attributes="__cluster_dims__(4)",
    )
    out = np.zeros(5, np.int32)
    gather(20, 64, out)
    np.testing.assert_array_equal(out, [256] * 5)


def test_another_block_announces_the_bytes(device_ptx_kernel):
    """PTX, "mbarrier.arrive" with .expect_tx on a remote barrier, "fence", example of fence.mbarrier_init: a relaxed
    barrier of the cluster is enough behind it; "mbarrier.try_wait" with .acquire.cluster."""
    fetch = device_ptx_kernel(
        "const float* x, float* y",
        """
    __shared__ alignas(128) float tile[32];
    __shared__ ptx::mbarrier bar;
    const int rank = ptx::cluster_rank();
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&bar, 1);
        ptx::fence_mbarrier_init();
    }
    __syncwarp();
    ptx::barrier_cluster_arrive_relaxed();
    ptx::barrier_cluster_wait();
    if (threadIdx.x == 0) {
        ptx::mbarrier_arrive_expect_tx_cluster(&bar, rank ^ 1, 128);
        ptx::cp_async_bulk_load(tile, x + 32 * blockIdx.x, 128, &bar);
    }
    ptx::mbarrier_wait_parity_cluster(&bar, 0);
    y[32 * blockIdx.x + threadIdx.x] = tile[31 - threadIdx.x];
    ptx::cluster_sync();""",
        attributes="__cluster_dims__(2, 1, 1)",
    )
    x, y = np.arange(128, dtype=np.float32), np.zeros(128, np.float32)
    fetch(4, 32, x, y)
    np.testing.assert_array_equal(y.reshape(4, 32), x.reshape(4, 32)[:, ::-1])


CHAIN = """#include "gradlib/ptx.cuh"
// Each block waits for a word in its own shared memory, which its neighbour of lower rank sets.
extern "C" __global__ void __cluster_dims__(4, 1, 1) chain(int* y) {
    __shared__ volatile int turn;
    if (threadIdx.x == 0) turn = ptx::cluster_rank() == 0;
    ptx::cluster_sync();
    if (threadIdx.x == 0) {
        while (turn == 0) {}
        __threadfence();
        y[blockIdx.x] = 1 + (ptx::cluster_rank() ? y[blockIdx.x - 1] : 0);
        __threadfence();
        if (ptx::cluster_rank() < 3) *ptx::mapa(&turn, ptx::cluster_rank() + 1) = 1;
    }
    ptx::cluster_sync();
}
"""


def test_blocks_of_a_cluster_wait_for_words_in_memory(sim):
    """The checked build lets the others run while a thread spins, those of the other blocks included."""
    y = np.zeros(8, np.int32)
    run_kernel(CHAIN, "chain", 8, 32, [y])
    np.testing.assert_array_equal(y, [1, 2, 3, 4] * 2)
    with pytest.raises(KernelFault, match="waits for ever for a change of turn, which holds 0") as error:
        run_kernel(CHAIN.replace("turn = ptx::cluster_rank() == 0", "turn = 0"), "chain", 8, 32, [y])
    assert error.value.kind == "deadlock"
    with pytest.raises(KernelFault, match=r"which thread .* of block .* writes") as error:
        run_kernel(CHAIN.replace("        __threadfence();\n        if", "        if"), "chain", 8, 32, [y])
    assert (error.value.kind, error.value.argument) == ("race", "y")


def test_a_cluster_that_cannot_go_on(ptx_kernel):
    stuck = ptx_kernel(
        "",
        """
    if (ptx::cluster_rank() == 1) __syncthreads(); else ptx::barrier_cluster_arrive();
    if (ptx::cluster_rank() == 0) ptx::barrier_cluster_wait();
    if (threadIdx.x == 0) __syncthreads();""",
        attributes="__cluster_dims__(2, 1, 1)",
    )
    says = (
        r"in the block of rank 0 of 32 threads, 32 wait in barrier.cluster.wait at test.cu:6.*rank 1.* 1 wait in __sync"
    )
    with pytest.raises(KernelError, match=says):
        stuck(4, 32)
    with pytest.raises(KernelError, match="a grid must be a multiple of its clusters"):
        stuck(3, 32)


def test_faults_in_a_cluster_leave_the_device_in_good_order(ptx_kernel):
    faulty = ptx_kernel(
        "int* out, int bad",
        """
    __shared__ int s[4];
    s[0] = 0;
    ptx::cluster_sync();
    if ((int)blockIdx.x == bad) assert(threadIdx.x < 5);
    __syncthreads();
    ptx::cluster_sync();
    atomicAdd(out, *ptx::mapa(s, 0) + 1);""",
        attributes="__cluster_dims__(2, 1, 1)",
    )
    for _ in range(10):
        with pytest.raises(KernelError, match=r"assertion failed: threadIdx.x < 5 .*in block \(3, 0, 0\)"):
            faulty(8, 64, np.zeros(1, np.int32), 3)
        out = np.zeros(1, np.int32)
        faulty(8, 64, out, -1)
        assert out[0] == 512
