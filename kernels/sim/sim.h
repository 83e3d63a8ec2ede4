// CUDA's device vocabulary for a host C++ compiler: what every kernel of the `sim` device is compiled against.
// No header of the C++ standard library is included anywhere below: they would triple the time of a compile.
#pragma once

#include "context.h"             // qualifiers, built-in variables, shared memory, the entry of a kernel
#include "vector_types.h"        // float4, make_float4, ...
#include "bits.h"                // reinterpretation, integer intrinsics, type traits the other headers share
#include "math_functions.h"      // expf, exp, fmaxf, __expf, ...
#include "float16.h"             // __half, __half2, __nv_bfloat16, __nv_bfloat162
#include "warp.h"                // barriers, shuffles, votes, match, reduce
#include "atomics.h"             // atomicAdd, ..., fences
// Asynchronous copies, mma, mbarrier and bulk tensor copies each get a header of their own here.
