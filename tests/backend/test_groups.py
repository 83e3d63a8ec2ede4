"""groups.cuh and CUDA's own cooperative groups: blocks, tiles, coalesced lanes, clusters; on sim, and with NVRTC."""

from __future__ import annotations

import numpy as np
import pytest

from gradlib.backend import Unit, nvrtc
from gradlib.kernel import include_folder

GROUPS = """#include "gradlib/groups.cuh"
extern "C" __global__ void k(const int* x, int* out) {
    groups::Block block = groups::this_block();
    auto tile = groups::tile<LANES>();
    unsigned int rank = block.thread_rank();
    int* o = out + rank * 9;
    int v = x[rank];
    o[0] = tile.meta_group_rank() * 100 + tile.thread_rank();
    o[1] = tile.reduce(v, [](int a, int b) { return a + b; });
    o[2] = tile.shfl(v, 1 % LANES);
    o[3] = tile.ballot(v > 0);
    o[4] = tile.any(v > 8) + 2 * tile.all(v > -9);
    o[5] = tile.shfl_down(v, 1) + 1000 * tile.shfl_up(v, 1);
    block.sync();
    if (v > 0) {
        groups::Coalesced together = groups::coalesced_threads();
        o[6] = together.size();
        o[7] = together.thread_rank();
        o[8] = together.broadcast(v);
        together.sync();
    }
    tile.sync();
}
"""


# The same by the names of CUDA's header, which needs libcu++ beside it: NVRTC's packages do not have that.
CUDA = (
    GROUPS.replace(
        '#include "gradlib/groups.cuh"',
        "#include <cooperative_groups.h>\n#include <cooperative_groups/reduce.h>\nnamespace cg = cooperative_groups;",
    )
    .replace("groups::Block block = groups::this_block()", "cg::thread_block block = cg::this_thread_block()")
    .replace(
        "auto tile = groups::tile<LANES>()", "cg::thread_block_tile<LANES> tile = cg::tiled_partition<LANES>(block)"
    )
    .replace("tile.reduce(v, [](int a, int b) { return a + b; })", "cg::reduce(tile, v, cg::plus<int>())")
    .replace("groups::Coalesced together = groups::coalesced_threads()", "auto together = cg::coalesced_threads()")
    .replace("together.broadcast(v)", "together.shfl(v, 0)")
)


@pytest.mark.parametrize("lanes", [1, 2, 8, 32])
def test_groups_of_a_block(device_kernel, lanes):
    check_groups(device_kernel, GROUPS, lanes)


@pytest.mark.parametrize("lanes", [1, 8, 32])
def test_groups_by_the_names_of_cuda(kernel, lanes):
    check_groups(kernel, CUDA, lanes)


def check_groups(kernel, text, lanes):
    look = kernel(text, macros={"LANES": str(lanes)}, includes=(include_folder(),))
    x = np.random.default_rng(3).integers(-9, 10, 96).astype(np.int32)
    out = np.zeros((96, 9), np.int32)
    look(1, (16, 3, 2), x, out)
    for i in range(96):
        first = i // lanes * lanes
        members = x[first : first + lanes]
        warp = x[i // 32 * 32 : i // 32 * 32 + 32]
        rank = i - first
        down, up = members[rank + 1] if rank + 1 < lanes else x[i], members[rank - 1] if rank else x[i]
        expected = [
            i // lanes * 100 + rank, members.sum(), members[1 % lanes],
            sum(int(v > 0) << j for j, v in enumerate(members)),
            (members > 8).any() + 2 * (members > -9).all(), down + 1000 * up,
        ]  # fmt: skip
        np.testing.assert_array_equal(out[i, :6], np.array(expected, np.int64).astype(np.uint32).view(np.int32))
        if x[i] > 0:
            positive = warp > 0
            assert tuple(out[i, 6:]) == (positive.sum(), positive[: i % 32].sum(), warp[positive][0])


def test_what_only_cuda_names(kernel):
    text = """#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
extern "C" __global__ void k(const int* x, int* out) {
    auto block = cg::this_thread_block();
    auto grid = cg::this_grid();
    auto pair = cg::tiled_partition<2>(cg::tiled_partition<8>(block));
    int v = x[grid.thread_rank()];
    int* o = out + grid.thread_rank() * 8;
    o[0] = grid.block_rank() * 1000 + grid.num_threads() + block.num_threads();
    o[1] = block.group_index().x * 100 + block.thread_index().y * 10 + block.group_dim().y;
    o[2] = pair.match_any(v % 2);
    o[3] = pair.meta_group_size();
    o[4] = cg::reduce(pair, v, cg::greater<int>()) * 100 + cg::reduce(pair, v, cg::less<int>());
    o[5] = o[6] = o[7] = 0;
    if (v > 4) {
        auto together = cg::coalesced_threads();
        o[5] = together.ballot(v % 2);
        o[6] = cg::reduce(together, v, cg::plus<int>());
        o[7] = together.any(v == 9) + 2 * together.all(v < 9);
        cg::sync(together);
    }
    cg::sync(block);
}"""
    x = np.random.default_rng(4).integers(0, 10, 96).astype(np.int32)
    out = np.zeros((96, 8), np.int32)
    kernel(text)(3, (16, 2), x, out)
    for i in range(96):
        block, pair = x[i // 32 * 32 : i // 32 * 32 + 32], x[i // 2 * 2 : i // 2 * 2 + 2]
        large = block[block > 4]
        alike = sum(int(v % 2 == x[i] % 2) << j for j, v in enumerate(pair))
        expected = [
            i // 32 * 1000 + 128,
            i // 32 * 100 + i % 32 // 16 * 10 + 2,
            alike,
            16,
            pair.max() * 100 + pair.min(),
        ]
        voted = sum(int(v % 2) << j for j, v in enumerate(large))
        expected += [voted, large.sum(), (large == 9).any() + 2 * (large < 9).all()] if x[i] > 4 else [0, 0, 0]
        np.testing.assert_array_equal(out[i], expected)


def test_clusters(device_kernel):
    check_clusters(device_kernel, CLUSTERS)


def test_clusters_by_the_names_of_cuda(kernel):
    text = CLUSTERS.replace("gradlib/groups.cuh", "cooperative_groups.h")
    check_clusters(kernel, text.replace("groups::", "cooperative_groups::"))


CLUSTERS = """#include "gradlib/groups.cuh"
extern "C" __global__ void __cluster_dims__(3, 1, 1) k(int* out) {
    __shared__ int mine;
    auto cluster = groups::this_cluster();
    if (threadIdx.x == 0) mine = blockIdx.x;
    cluster.sync();
    unsigned int opposite = cluster.num_blocks() - 1 - cluster.block_rank();
    if (threadIdx.x == 0) out[blockIdx.x] = *cluster.map_shared_rank(&mine, opposite);
    cluster.sync();
}"""


def check_clusters(kernel, text):
    out = np.zeros(6, np.int32)
    kernel(text, includes=(include_folder(),))(6, 32, out)
    np.testing.assert_array_equal(out, [2, 1, 0, 5, 4, 3])


@pytest.mark.skipif(not nvrtc.available()[0], reason=nvrtc.available()[1])
@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_100"])
def test_nvrtc(arch, tmp_path):
    unit = Unit("groups.cu", GROUPS, (("LANES", "8"),), (include_folder(),), ("k",))
    (usage,) = nvrtc.resources(nvrtc.Compiler(arch).build(unit, tmp_path / "a.cubin"))
    assert usage.stack == 0
