// float32 as bfloat16: x = p0 + p1 + p2 with 8 bits each, for products of float32 accuracy on tensor cores.  Each plane
// is rounded to nearest, so |p1| <= 2^-8 |x|, |p2| <= 2^-16 |x| and what is left is below 2^-24 |x| (below the
// smallest bfloat16 where x is tiny).  p3 is p0 where x is finite and 0 elsewhere: it meets p1 and p2 of the other
// operand, whose zeros times infinity would be NaN.  So infinities and NaN of the operands come out as in float32.  Where
// finite terms are so large that those of the lower planes, at most 2^-7 of them with either sign, are beyond float32's
// range themselves (64 terms that add up to 2^134), the sign of the infinity may be wrong, or it is NaN.  To know it,
// sums of lower planes would have to leave the tensor core apart from those of p0, which costs every product time.
// Of 16-bit elements (PLANES=1, OUT=T) it is a copy with padded rows.
// Source: Henry, Tang, Heinecke, "Leveraging the bfloat16 artificial intelligence datatype for higher-precision
// computations", 2019.
// variants: PLANES=4,1
// variants: T=__half,__nv_bfloat16 OUT=T PLANES=1
// variants: GRADIENT=1 ACT=none,relu,gelu PLANES=4,1
// variants: GRADIENT=1 T=__half,__nv_bfloat16 OUT=T PLANES=1 ACT=relu,gelu
// variants: GRADIENT=1 ACT=leaky_relu,relu6,elu,selu,sigmoid,tanh,silu,softplus,hardswish,mish
#ifndef T  // elements of x, g and s
#define T float
#endif
#ifndef OUT  // elements of the planes
#define OUT __nv_bfloat16
#endif
#ifndef PLANES  // 4, or 1 where its 8 bits are enough
#define PLANES 4
#endif
#ifndef GRADIENT  // 1: of dz = g act'(s), with its column sums
#define GRADIENT 0
#endif

#include "gradlib/activation16.cuh"
#include "gradlib/pack.cuh"

constexpr int VECTOR = 16 / sizeof(OUT);  // columns of a thread

GRADLIB_DEVICE bool finite(float x) { return fabsf(x) <= 3.402823466e38f; }

// Nearest, but never from finite to infinite.
GRADLIB_DEVICE float rounded(float x) {
  const float near = __bfloat162float(__float2bfloat16_rn(x));
  return finite(near) || !finite(x) ? near : __int_as_float(__float_as_int(x) & 0xffff0000);
}

// The same, and never from something to nothing, which times infinity would be NaN: the least bfloat16 is 2^-133.
GRADLIB_DEVICE float leading(float x) {
  const float near = rounded(x);
  return near == 0.0f && x != 0.0f ? copysignf(9.183549616e-41f, x) : near;
}

GRADLIB_DEVICE void split(float x, OUT (&p)[PLANES]) {
  if constexpr (PLANES == 1) {
    p[0] = from_acc<OUT>(sizeof(T) == 4 ? leading(x) : x);
  } else {
    const bool sound = finite(x);
    const float p0 = leading(x), rest = sound ? x - p0 : 0.0f, p1 = rounded(rest);
    p[0] = from_acc<OUT>(p0);
    p[1 % PLANES] = from_acc<OUT>(p1);
    p[2 % PLANES] = from_acc<OUT>(rest - p1);
    p[3 % PLANES] = sound ? p[0] : from_acc<OUT>(0.0f);
  }
}

// Reads `count` of VECTOR neighbours of x.
GRADLIB_DEVICE void read(const T* x, int count, bool whole, float (&v)[VECTOR]) {
#pragma unroll
  for (int i = 0; i < VECTOR; i += 4) {
    float four[4];
    load4(x, (long long)i, count - i, whole && count == VECTOR, four);
#pragma unroll
    for (int j = 0; j < 4; ++j) v[i + j] = four[j];
  }
}

// x, g, s: (matrices, rows, columns).  p: element (matrix, plane, row, column) at matrix * PLANES * rows * room +
// plane * plane_pitch + row * row_pitch + column; `room` and all pitches are multiples of VECTOR, columns up to `room`
// are zero.
// Grid: (ceil(room / (32 VECTOR)), strips, matrices); block: (32, 8); a block takes `strip` rows, from which GRADIENT
// writes the sums of each column to sums (matrices, strips, columns).
extern "C" __global__ void __launch_bounds__(256, 2)
split_planes(const T* __restrict__ x, const T* __restrict__ s, OUT* __restrict__ p, float* __restrict__ sums,
             int rows, int columns, int room, int row_pitch, long long plane_pitch, int strip) {
  const int column = (blockIdx.x * 32 + threadIdx.x) * VECTOR, count = larger(smaller(columns - column, VECTOR), 0);
  const int begin = blockIdx.y * strip, end = smaller(begin + strip, rows);
  const long long matrix = (long long)blockIdx.z * rows;
  const bool whole = columns % 4 == 0 && aligned4(x) && (!GRADIENT || aligned4(s));
  float total[VECTOR] = {};
  if (column < room) {
#pragma unroll 2
    for (int row = begin + threadIdx.y; row < end; row += 8) {
      float v[VECTOR];
      read(x + (matrix + row) * columns + column, count, whole, v);
      if constexpr (GRADIENT) {
        using F = act::For<T, act::ACT>::type;
        if constexpr (!F::is_identity) {
          float at[VECTOR];
          read(s + (matrix + row) * columns + column, count, whole, at);
#pragma unroll
          for (int i = 0; i < VECTOR; ++i) v[i] *= F::df(at[i]);
        }
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) total[i] += i < count ? v[i] : 0.0f;
      }
      Pack<OUT, VECTOR> pack[PLANES];
#pragma unroll
      for (int i = 0; i < VECTOR; ++i) {
        OUT parts[PLANES];
        split(i < count ? v[i] : 0.0f, parts);
#pragma unroll
        for (int j = 0; j < PLANES; ++j) pack[j].at[i] = parts[j];
      }
#pragma unroll
      for (int j = 0; j < PLANES; ++j) {
        OUT* to = p + (long long)blockIdx.z * PLANES * rows * room + j * plane_pitch + (long long)row * row_pitch + column;
        *reinterpret_cast<Pack<OUT, VECTOR>*>(to) = pack[j];
      }
    }
  }
  if constexpr (GRADIENT) {
    __shared__ float part[8][32 * VECTOR + 1];
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) part[threadIdx.y][threadIdx.x * VECTOR + i] = total[i];
    __syncthreads();
    float* to = sums + ((long long)blockIdx.z * gridDim.y + blockIdx.y) * columns;
    for (int i = threadIdx.y * 32 + threadIdx.x; i < 32 * VECTOR; i += 256) {
      const int at = blockIdx.x * 32 * VECTOR + i;
      float sum = 0;
#pragma unroll
      for (int y = 0; y < 8; ++y) sum += part[y][i];
      if (at < columns) to[at] = sum;
    }
  }
}
