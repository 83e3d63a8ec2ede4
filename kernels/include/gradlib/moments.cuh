// Means and variances that keep their digits: merged by Chan, Golub and LeVeque (1983), nothing subtracts large
// squares.
#pragma once

#include "gradlib/core.cuh"

template <class A> struct Moments {
  A count, mean, m2;  // m2 = sum of squared deviations
};

struct Merge {
  template <class A> static GRADLIB_DEVICE Moments<A> combine(Moments<A> a, Moments<A> b) {
    A count = a.count + b.count;
    if (b.count == A(0)) return a;
    A delta = b.mean - a.mean, part = b.count / count;
    return {count, a.mean + delta * part, a.m2 + b.m2 + delta * delta * a.count * part};
  }
};

// The moments of get(0) ... get(count - 1), count <= 8, in two passes over registers.
template <class A, class Get> GRADLIB_DEVICE Moments<A> moments_of(int count, const Get& get) {
  A v[8], sum = A(0), m2 = A(0);
#pragma unroll
  for (int u = 0; u < 8; ++u) {
    v[u] = u < count ? get(u) : A(0);
    sum += v[u];
  }
  sum /= A(count);
#pragma unroll
  for (int u = 0; u < 8; ++u) m2 += u < count ? (v[u] - sum) * (v[u] - sum) : A(0);
  return {A(count), sum, m2};
}
