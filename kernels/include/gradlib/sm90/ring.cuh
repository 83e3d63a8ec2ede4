// The ring of stages in shared memory between the copy engine and the warpgroups that multiply.
#pragma once

#include "gradlib/sm90/shape.cuh"

namespace sm90 {

struct Ring {
  unsigned char* stages;     // aligned to 1024 bytes
  ptx::mbarrier *full, *empty;

  GRADLIB_DEVICE unsigned char* a(int stage) const { return stages + stage * STAGE_BYTES; }
  GRADLIB_DEVICE unsigned char* b(int stage) const { return stages + stage * STAGE_BYTES + A_BYTES; }

  // By one thread; afterwards comes a fence, and the cluster must meet.
  GRADLIB_DEVICE void init() const {
    for (int i = 0; i < STAGES; ++i) {
      ptx::mbarrier_init(full + i, 1);
      ptx::mbarrier_init(empty + i, GROUPS * CLUSTER);
    }
  }

  // By a whole warpgroup that has read the stage: tell every block that copies into it.
  GRADLIB_DEVICE void release(int stage) const {
    const int thread = threadIdx.x % 128;
    if constexpr (CLUSTER == 1) {
      if (thread == 0) ptx::mbarrier_arrive(empty + stage);
    } else {
      if (thread < CLUSTER) ptx::mbarrier_arrive_cluster_relaxed(empty + stage, thread);
    }
  }
};

// A place in the endless sequence of fillings.
struct Place {
  int stage = 0;
  unsigned phase = 0;
  GRADLIB_DEVICE void next() {
    if (++stage == STAGES) {
      stage = 0;
      phase ^= 1;
    }
  }
  GRADLIB_DEVICE void skip(int count) {
    const int at = stage + count;
    phase ^= at / STAGES & 1;
    stage = at % STAGES;
  }
};

}  // namespace sm90
