// Dropout and arrays of random numbers.  `key` is (seed, counter) in device memory, so that a captured graph draws anew.
// One-dimensional grid, any size: a grid-stride loop.
//
// variants: T=float,double,__half,__nv_bfloat16
#include "gradlib/pack.cuh"
#include "gradlib/philox.cuh"

#ifndef T
#define T float
#endif

// y[i] = x[i] * scale where the upper 24 bits of word i are at least `threshold` (p * 2^24), else 0.  The mask is the
// same for every element type.  The backward pass is the same call on the cotangent: the mask is drawn again, not kept.
extern "C" __global__ void __launch_bounds__(256, 1)
dropout(const T* __restrict__ x, const unsigned long long* __restrict__ key, T* __restrict__ y, long long n,
        unsigned int threshold, double scale) {
  bool wide = aligned4(x) && aligned4(y);
  acc_t<T> factor = acc_t<T>(scale);
  for (long long block = global_index(); block * 4 < n; block += global_size()) {
    long long i = block * 4;
    int count = (int)smaller(n - i, 4ll);
    acc_t<T> v[4];
    load4(x, i, count, wide && count == 4, v);
    Words words = philox(key, block);
#pragma unroll
    for (int k = 0; k < 4; ++k) v[k] = words.at[k] >> 8 >= threshold ? v[k] * factor : acc_t<T>(0);
    store4(y, i, count, wide && count == 4, v);
  }
}

extern "C" __global__ void __launch_bounds__(256, 1)
random_uniform(const unsigned long long* __restrict__ key, T* __restrict__ y, long long n) {
  constexpr int count = Draw<T>::count;
  for (long long block = global_index(); block * count < n; block += global_size()) {
    Words words = philox(key, block);
#pragma unroll
    for (int k = 0; k < count; ++k) {
      if (block * count + k < n) y[block * count + k] = from_acc<T>(Draw<T>::uniform(words, k));
    }
  }
}

extern "C" __global__ void __launch_bounds__(256, 1)
random_normal(const unsigned long long* __restrict__ key, T* __restrict__ y, long long n) {
  constexpr int count = Draw<T>::count;
  for (long long block = global_index(); block * count < n; block += global_size()) {
    acc_t<T> v[count];
    Draw<T>::normal(philox(key, block), v);
#pragma unroll
    for (int k = 0; k < count; ++k) {
      if (block * count + k < n) y[block * count + k] = from_acc<T>(v[k]);
    }
  }
}

// 64 random bits an element, for integers of any range.
extern "C" __global__ void __launch_bounds__(256, 1)
random_bits(const unsigned long long* __restrict__ key, unsigned long long* __restrict__ y, long long n) {
  for (long long block = global_index(); block * 2 < n; block += global_size()) {
    Words words = philox(key, block);
    y[block * 2] = words.wide(0);
    if (block * 2 + 1 < n) y[block * 2 + 1] = words.wide(1);
  }
}
