// mbarriers, clusters, fences and register budgets: sm_90 and later.  Part of ptx.cuh.
#pragma once

namespace ptx {

// ---- PTX: "Parallel Synchronization and Communication Instructions: mbarrier" ---------------------------------------

GRADLIB_DEVICE void mbarrier_init(mbarrier* bar, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(shared_address(bar)), "r"(arrivals) : "memory");
}
GRADLIB_DEVICE void mbarrier_inval(mbarrier* bar) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" :: "r"(shared_address(bar)) : "memory");
}
// Arrive; the state returned names the phase.
GRADLIB_DEVICE unsigned long long mbarrier_arrive(mbarrier* bar) {
  unsigned long long state;
  asm volatile("mbarrier.arrive.shared::cta.b64 %0, [%1];" : "=l"(state) : "r"(shared_address(bar)) : "memory");
  return state;
}
// Let the phase wait for `bytes` more of copies, then arrive.
GRADLIB_DEVICE unsigned long long mbarrier_arrive_expect_tx(mbarrier* bar, unsigned bytes) {
  unsigned long long state;
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 %0, [%1], %2;"
               : "=l"(state) : "r"(shared_address(bar)), "r"(bytes) : "memory");
  return state;
}
GRADLIB_DEVICE void mbarrier_expect_tx(mbarrier* bar, unsigned bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;"
               :: "r"(shared_address(bar)), "r"(bytes) : "memory");
}
// Arrive at the barrier that stands at the same place in the block of that rank in the cluster.
GRADLIB_DEVICE void mbarrier_arrive_cluster(mbarrier* bar, unsigned rank) {
  asm volatile("{\n\t.reg .b32 remote;\n\t"
               "mapa.shared::cluster.u32 remote, %0, %1;\n\t"
               "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n\t}"
               :: "r"(shared_address(bar)), "r"(rank) : "memory");
}
// The same where nothing written before need be seen by who waits (a buffer has been read): without the fence of the
// whole GPU that the ordering of a cluster costs.
GRADLIB_DEVICE void mbarrier_arrive_cluster_relaxed(mbarrier* bar, unsigned rank) {
  asm volatile("{\n\t.reg .b32 remote;\n\t"
               "mapa.shared::cluster.u32 remote, %0, %1;\n\t"
               "mbarrier.arrive.relaxed.cluster.shared::cluster.b64 _, [remote];\n\t}"
               :: "r"(shared_address(bar)), "r"(rank) : "memory");
}
// The same after letting its phase wait for `bytes` more of copies.
GRADLIB_DEVICE void mbarrier_arrive_expect_tx_cluster(mbarrier* bar, unsigned rank, unsigned bytes) {
  asm volatile("{\n\t.reg .b32 remote;\n\t"
               "mapa.shared::cluster.u32 remote, %0, %1;\n\t"
               "mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [remote], %2;\n\t}"
               :: "r"(shared_address(bar)), "r"(rank), "r"(bytes) : "memory");
}
// Whether the phase of this parity has ended; may wait a while for that.
GRADLIB_DEVICE bool mbarrier_try_wait_parity(mbarrier* bar, unsigned parity) {
  unsigned done;
  asm volatile("{\n\t.reg .pred p;\n\t"
               "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\t"
               "selp.u32 %0, 1, 0, p;\n\t}"
               : "=r"(done) : "r"(shared_address(bar)), "r"(parity) : "memory");
  return done;
}
GRADLIB_DEVICE bool mbarrier_test_wait_parity(mbarrier* bar, unsigned parity) {
  unsigned done;
  asm volatile("{\n\t.reg .pred p;\n\t"
               "mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2;\n\t"
               "selp.u32 %0, 1, 0, p;\n\t}"
               : "=r"(done) : "r"(shared_address(bar)), "r"(parity) : "memory");
  return done;
}
// Whether the phase in which `state` was returned has ended.
GRADLIB_DEVICE bool mbarrier_try_wait(mbarrier* bar, unsigned long long state) {
  unsigned done;
  asm volatile("{\n\t.reg .pred p;\n\t"
               "mbarrier.try_wait.shared::cta.b64 p, [%1], %2;\n\t"
               "selp.u32 %0, 1, 0, p;\n\t}"
               : "=r"(done) : "r"(shared_address(bar)), "l"(state) : "memory");
  return done;
}
GRADLIB_DEVICE void mbarrier_wait_parity(mbarrier* bar, unsigned parity) {
  while (!mbarrier_try_wait_parity(bar, parity)) {}
}
GRADLIB_DEVICE void mbarrier_wait(mbarrier* bar, unsigned long long state) {
  while (!mbarrier_try_wait(bar, state)) {}
}
// Wait for arrivals of threads of other blocks that hand on what they wrote by ordinary stores: the other waits acquire
// from the own block alone (and from copies).  sim makes no difference between the two.
GRADLIB_DEVICE void mbarrier_wait_parity_cluster(mbarrier* bar, unsigned parity) {
  unsigned done;
  do {
    asm volatile("{\n\t.reg .pred p;\n\t"
                 "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n\t"
                 "selp.u32 %0, 1, 0, p;\n\t}"
                 : "=r"(done) : "r"(shared_address(bar)), "r"(parity) : "memory");
  } while (!done);
}

// ---- PTX: "membar/fence" --------------------------------------------------------------------------------------------

// The mbarriers that this thread initialised become visible to the cluster, after a barrier of it that may be relaxed.
GRADLIB_DEVICE void fence_mbarrier_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
// What ordinary stores and cp.async wrote to the block's shared memory (to global memory, to both) becomes visible to
// bulk copies and wgmma: what this thread wrote, or what others wrote and a barrier has ordered before the fence.
GRADLIB_DEVICE void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
GRADLIB_DEVICE void fence_proxy_async_global() { asm volatile("fence.proxy.async.global;" ::: "memory"); }
GRADLIB_DEVICE void fence_proxy_async_all() { asm volatile("fence.proxy.async;" ::: "memory"); }

// ---- PTX: "Special Registers: %cluster_ctarank ...", "mapa", "barrier.cluster" --------------------------------------

GRADLIB_DEVICE unsigned cluster_rank() {
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
GRADLIB_DEVICE unsigned cluster_size() {
  unsigned size;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}
GRADLIB_DEVICE void barrier_cluster_arrive() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
// Come without handing on what was written before, but for what a fence has released.
GRADLIB_DEVICE void barrier_cluster_arrive_relaxed() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
GRADLIB_DEVICE void barrier_cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
GRADLIB_DEVICE void cluster_sync() {
  barrier_cluster_arrive();
  barrier_cluster_wait();
}
// The place of `shared` in the block of that rank: a pointer to load and store through.
template <class Value> GRADLIB_DEVICE Value* mapa(Value* shared, unsigned rank) {
  Value* remote;
  asm("mapa.u64 %0, %1, %2;" : "=l"(remote) : "l"(shared), "r"(rank));
  return remote;
}

// ---- PTX: "setmaxnreg", "elect.sync", "griddepcontrol" --------------------------------------------------------------

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// Give registers back, or wait for more; all warps of a warpgroup together.
template <int registers> GRADLIB_DEVICE void setmaxnreg_dec() {
  static_assert(registers >= 24 && registers <= 256 && registers % 8 == 0, "24 to 256, in steps of 8");
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(registers));
}
template <int registers> GRADLIB_DEVICE void setmaxnreg_inc() {
  static_assert(registers >= 24 && registers <= 256 && registers % 8 == 0, "24 to 256, in steps of 8");
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(registers));
}
#endif
// True in one lane of the warp.
GRADLIB_DEVICE bool elect_sync() {
  unsigned elected;
  asm volatile("{\n\t.reg .pred p;\n\telect.sync _|p, 0xffffffff;\n\tselp.u32 %0, 1, 0, p;\n\t}" : "=r"(elected));
  return elected;
}
GRADLIB_DEVICE void griddepcontrol_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
GRADLIB_DEVICE void griddepcontrol_launch_dependents() { asm volatile("griddepcontrol.launch_dependents;"); }

}  // namespace ptx
