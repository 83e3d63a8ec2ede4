// What the sums of a product pass through on their way out, composed at compile time:
//   u = v scale[column] + bias[column]      the pre-activation (SCALE=1, BIAS=1); SAVE=1 stores it in z
//   y = f(u) f'(s) + residual               f is ACT; f' (SLOPE=1) that of SLOPE_ACT, at s; RESIDUAL=1
// SUMS=1 adds y up along the rows: the gradient of a bias that lies before.
#pragma once

#include "gradlib/activation16.cuh"

#ifndef T  // elements of bias, scale, s and residual
#define T float
#endif
#ifndef OUT  // elements of y and z
#define OUT T
#endif
#ifndef BIAS
#define BIAS 0
#endif
#ifndef SCALE
#define SCALE 0
#endif
#ifndef SAVE
#define SAVE 0
#endif
#ifndef SLOPE
#define SLOPE 0
#endif
#ifndef SLOPE_ACT
#define SLOPE_ACT none
#endif
#ifndef RESIDUAL
#define RESIDUAL 0
#endif
#ifndef SUMS
#define SUMS 0
#endif
#ifndef PAIRED  // 1: n is even and every array begins at a multiple of two elements
#define PAIRED 0
#endif

template <class Element> struct alignas(2 * sizeof(Element)) PairOf {
  Element first, second;
};

struct Finish {
  using A = acc_t<T>;
  using F = typename act::For<OUT, act::ACT>::type;
  using G = typename act::For<T, act::SLOPE_ACT>::type;

  const T *bias, *scale;      // (n,)
  const T *slope, *residual;  // as y
  int n;

  // What columns `column` and the next pass through.
  struct Columns {
    A scale[2], bias[2];
  };
  GRADLIB_DEVICE Columns columns(int column, int before) const {  // before: columns of other groups
    Columns c = {};
    if constexpr (SCALE) load(scale + before, column, c.scale);
    if constexpr (BIAS) load(bias + before, column, c.bias);
    return c;
  }
  GRADLIB_DEVICE A before(A v, const Columns& c, int e) const {
    if constexpr (SCALE) return mul_add<A>(v, c.scale[e], BIAS ? c.bias[e] : A(0));
    return BIAS ? v + c.bias[e] : v;
  }
  // u: the pre-activation, y in its place; s and r: slope and residual there, where they are wanted.
  static GRADLIB_DEVICE A after(A u, A s, A r) {
    u = F::f(u);
    if constexpr (SLOPE) u *= G::df(s);
    return RESIDUAL ? u + r : u;
  }
  // Of the row that begins at element `row` of y, in which slope and residual lie as y does.
  GRADLIB_DEVICE void slopes(long long row, int column, A (&to)[2]) const {
    if constexpr (SLOPE) load(slope + row, column, to);
  }
  GRADLIB_DEVICE void residuals(long long row, int column, A (&to)[2]) const {
    if constexpr (RESIDUAL) load(residual + row, column, to);
  }

  // Two neighbours of a row; 0 beyond its end.
  GRADLIB_DEVICE void load(const T* row, int column, A (&to)[2]) const {
    if constexpr (PAIRED) {
      PairOf<T> pair = {T(0), T(0)};
      if (column < n) pair = *reinterpret_cast<const PairOf<T>*>(row + column);
      to[0] = to_acc(pair.first);
      to[1] = to_acc(pair.second);
    } else {
      to[0] = column < n ? to_acc(row[column]) : A(0);
      to[1] = column + 1 < n ? to_acc(row[column + 1]) : A(0);
    }
  }
  static GRADLIB_DEVICE void store(OUT* row, int column, int n, OUT first, OUT second) {
    if constexpr (PAIRED) {
      if (column < n) *reinterpret_cast<PairOf<OUT>*>(row + column) = PairOf<OUT>{first, second};
    } else {
      if (column < n) row[column] = first;
      if (column + 1 < n) row[column + 1] = second;
    }
  }
};
