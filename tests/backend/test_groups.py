"""groups.cuh: blocks, tiles, coalesced lanes, clusters; on sim, and compiled by NVRTC."""

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


@pytest.mark.parametrize("lanes", [1, 2, 8, 32])
def test_groups_of_a_block(device_kernel, lanes):
    look = device_kernel(GROUPS, macros={"LANES": str(lanes)}, includes=(include_folder(),))
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


def test_clusters(device_kernel):
    text = """#include "gradlib/groups.cuh"
extern "C" __global__ void __cluster_dims__(3, 1, 1) k(int* out) {
    __shared__ int mine;
    auto cluster = groups::this_cluster();
    if (threadIdx.x == 0) mine = blockIdx.x;
    cluster.sync();
    unsigned int opposite = cluster.num_blocks() - 1 - cluster.block_rank();
    if (threadIdx.x == 0) out[blockIdx.x] = *cluster.map_shared_rank(&mine, opposite);
    cluster.sync();
}"""
    out = np.zeros(6, np.int32)
    device_kernel(text, includes=(include_folder(),))(6, 32, out)
    np.testing.assert_array_equal(out, [2, 1, 0, 5, 4, 3])


@pytest.mark.skipif(not nvrtc.available()[0], reason=nvrtc.available()[1])
@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_100"])
def test_nvrtc(arch, tmp_path):
    unit = Unit("groups.cu", GROUPS, (("LANES", "8"),), (include_folder(),), ("k",))
    (usage,) = nvrtc.resources(nvrtc.Compiler(arch).build(unit, tmp_path / "a.cubin"))
    assert usage.stack == 0
