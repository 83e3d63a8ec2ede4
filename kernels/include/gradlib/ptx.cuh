// All the PTX of the project: each instruction wrapped once, under its PTX name, in namespace ptx.  Compiled by NVRTC
// the wrappers are inline PTX; on the sim device the same names are host functions (kernels/sim/ptx.h).
// Addresses are ordinary pointers; `shared` ones must point into the block's shared memory.
// What needs sm_90 or sm_90a is declared only there.
#pragma once

#include "gradlib/core.cuh"

// A tensor map (CUtensorMap): made on the host by a backend's `tensor_map`, passed by value as
// `const __grid_constant__ TensorMap map`.
struct alignas(64) TensorMap { unsigned long long opaque[16]; };

namespace ptx {

typedef unsigned long long mbarrier;  // in shared memory
struct tf32 {};                       // names the element type of products of float bits,
struct e4m3 {};                       // and those of products of 8-bit floats
struct e5m2 {};
template <class Storage> struct Float8Of;  // e4m3 or e5m2 of the type that stores it: float8.cuh
template <class Storage> using float8_t = typename Float8Of<Storage>::type;

}  // namespace ptx

#ifdef GRADLIB_SIM
#include <gradlib_sim_ptx.h>
#else
#include "gradlib/ptx/copy.cuh"
#include "gradlib/ptx/matrix.cuh"
#include "gradlib/ptx/scalar.cuh"
#if __CUDA_ARCH__ >= 900
#include "gradlib/ptx/mbarrier.cuh"
#include "gradlib/ptx/bulk.cuh"
#endif
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#include "gradlib/ptx/wgmma.cuh"
#endif
#endif
