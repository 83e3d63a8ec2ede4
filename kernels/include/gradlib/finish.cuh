// What the sums of a product pass through on their way out, composed at compile time:
//   u = v scale[column] + bias[column]      the pre-activation (SCALE=1, BIAS=1), + residual if RESIDUAL=2;
//                                           SAVE=1 stores it in z; FACTOR=1 multiplies v by a number before
//   y = f(u) f'(s) d + residual             f is ACT; f' (SLOPE=1) that of SLOPE_ACT, at s; residual if RESIDUAL=1;
//                                           d (DROPOUT=1) is 0 or 1 / (1 - p), as dropout.cu draws it for this element
// SUMS=1 adds y up along the rows: the gradient of a bias that lies before.  MOMENTS=1 takes its mean and the sum of its
// squared deviations instead, which a batch normalisation asks for.
#pragma once

#include "gradlib/activation16.cuh"
#include "gradlib/philox.cuh"

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
#ifndef FACTOR
#define FACTOR 0
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
#ifndef DROPOUT
#define DROPOUT 0
#endif
#ifndef SUMS
#define SUMS 0
#endif
#ifndef MOMENTS
#define MOMENTS 0
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
  const unsigned long long* key;
  unsigned int threshold;  // of dropout: p 2^24
  A keep;                  // 1 / (1 - p)
  int n;
  float factor = 1;

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
  // v: the sum; r: the residual there, where it is wanted.
  GRADLIB_DEVICE A before(A v, const Columns& c, int e, A r) const {
    if constexpr (FACTOR) v *= factor;
    if constexpr (SCALE) v = mul_add<A>(v, c.scale[e], BIAS ? c.bias[e] : A(0));
    else if constexpr (BIAS) v += c.bias[e];
    return RESIDUAL == 2 ? v + r : v;
  }
  // u: the pre-activation, or y in its place; s, r and d: slope, residual and dropout there, where they are wanted.
  static GRADLIB_DEVICE A after(A u, A s, A r, A d) {
    u = F::f(u);
    if constexpr (SLOPE) u *= G::df(s);
    if constexpr (DROPOUT) u *= d;
    return RESIDUAL == 1 ? u + r : u;
  }
  // Of the row that begins at element `row` of y, in which slope and residual lie as y does.
  GRADLIB_DEVICE void slopes(long long row, int column, A (&to)[2]) const {
    if constexpr (SLOPE) load(slope + row, column, to);
  }
  GRADLIB_DEVICE void residuals(long long row, int column, A (&to)[2]) const {
    if constexpr (RESIDUAL) load(residual + row, column, to);
  }

  // Of elements `at` and the next of y.
  GRADLIB_DEVICE void kept(long long at, A (&to)[2]) const {
    if constexpr (DROPOUT) {
      const Words words = philox(key, at / 4);
      if constexpr (PAIRED) {  // `at` is even; chosen without an address, so that the words stay in registers
        to[0] = (at & 2 ? words.at[2] : words.at[0]) >> 8 >= threshold ? keep : A(0);
        to[1] = (at & 2 ? words.at[3] : words.at[1]) >> 8 >= threshold ? keep : A(0);
      } else {
        to[0] = one_of(words, at) >> 8 >= threshold ? keep : A(0);
        to[1] = one_of(philox(key, (at + 1) / 4), at + 1) >> 8 >= threshold ? keep : A(0);
      }
    }
  }
  static GRADLIB_DEVICE unsigned int one_of(const Words& w, long long at) {
    return at & 2 ? (at & 1 ? w.at[3] : w.at[2]) : at & 1 ? w.at[1] : w.at[0];
  }

  // Two sums on their way to `column` and the next of the row of y that begins at element `row`.
  GRADLIB_DEVICE void pair(long long row, int column, A first, A second, OUT* y, OUT* z) const {
    const Columns c = columns(column, 0);
    A s[2] = {}, r[2] = {}, d[2] = {};
    slopes(row, column, s);
    residuals(row, column, r);
    kept(row + column, d);
    const A u[2] = {before(first, c, 0, r[0]), before(second, c, 1, r[1])};
    if constexpr (SAVE) store(z + row, column, n, from_acc<OUT>(u[0]), from_acc<OUT>(u[1]));
    store(y + row, column, n, from_acc<OUT>(after(u[0], s[0], r[0], d[0])), from_acc<OUT>(after(u[1], s[1], r[1], d[1])));
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
