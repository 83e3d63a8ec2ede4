// Named barriers and cp.async: sm_80 and later.  Part of ptx.cuh.
#pragma once

namespace ptx {

// The address in the shared window, which is what the instructions take.
GRADLIB_DEVICE unsigned shared_address(const void* shared) { return (unsigned)__cvta_generic_to_shared(shared); }

// ---- PTX: "Parallel Synchronization and Communication Instructions: barrier" ----------------------------------------

// Wait at barrier `id` (1 to 15; 0 is __syncthreads') until `threads` threads, a multiple of 32, have come.
GRADLIB_DEVICE void bar_sync(int id, int threads) {
  asm volatile("barrier.cta.sync.aligned %0, %1;" :: "r"(id), "r"(threads) : "memory");
}
// Come to the barrier without waiting.
GRADLIB_DEVICE void bar_arrive(int id, int threads) {
  asm volatile("barrier.cta.arrive.aligned %0, %1;" :: "r"(id), "r"(threads) : "memory");
}

// ---- PTX: "Data Movement and Conversion Instructions: Non-bulk copy" ------------------------------------------------

// Copy 4, 8 or 16 bytes from global to shared memory: there once cp_async_wait_group has returned.
template <int bytes> GRADLIB_DEVICE void cp_async(void* shared, const void* global) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16, "cp.async copies 4, 8 or 16 bytes");
  const unsigned to = shared_address(shared);
  if constexpr (bytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(to), "l"(global) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" :: "r"(to), "l"(global), "n"(bytes) : "memory");
  }
}
// The same, but only the first `valid` bytes are read; the rest becomes zero.
template <int bytes> GRADLIB_DEVICE void cp_async(void* shared, const void* global, int valid) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16, "cp.async copies 4, 8 or 16 bytes");
  const unsigned to = shared_address(shared);
  if constexpr (bytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(to), "l"(global), "r"(valid) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                 :: "r"(to), "l"(global), "n"(bytes), "r"(valid) : "memory");
  }
}
GRADLIB_DEVICE void cp_async_commit_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Wait for this thread's groups, all but the latest `keep`.
template <int keep> GRADLIB_DEVICE void cp_async_wait_group() {
  asm volatile("cp.async.wait_group %0;" :: "n"(keep) : "memory");
}
GRADLIB_DEVICE void cp_async_wait_all() { asm volatile("cp.async.wait_all;" ::: "memory"); }
// Let the mbarrier hear once this thread's copies so far have ended: an arrival that its count already expects.
GRADLIB_DEVICE void cp_async_mbarrier_arrive_noinc(mbarrier* bar) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" :: "r"(shared_address(bar)) : "memory");
}

}  // namespace ptx
