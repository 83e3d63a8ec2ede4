// Philox 4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
// and the numbers made from its words.  gradlib/ops/philox.py computes the same ones.
//
// A key is two 64-bit words, (seed, counter).  Word w of stream `key` is word w % 4 of the block whose 128-bit Philox
// counter is (w / 4, key.counter) and whose 64-bit Philox key is key.seed.  Element i of an array uses word i; where it
// needs 64 bits, words 2 i and 2 i + 1.  So it depends on the key and on i alone, never on the launch.
#pragma once

#include "gradlib/core.cuh"

struct Words {
  unsigned int at[4];
  GRADLIB_DEVICE unsigned long long wide(int pair) const {
    return (unsigned long long)at[2 * pair] << 32 | at[2 * pair + 1];
  }
};

GRADLIB_DEVICE Words philox(const unsigned long long* key, unsigned long long block) {
  unsigned int k0 = (unsigned int)key[0], k1 = (unsigned int)(key[0] >> 32);
  Words c = {{(unsigned int)block, (unsigned int)(block >> 32), (unsigned int)key[1], (unsigned int)(key[1] >> 32)}};
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    unsigned long long p0 = 0xD2511F53ull * c.at[0], p1 = 0xCD9E8D57ull * c.at[2];
    c = {{(unsigned int)(p1 >> 32) ^ c.at[1] ^ k0, (unsigned int)p1, (unsigned int)(p0 >> 32) ^ c.at[3] ^ k1, (unsigned int)p0}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

// How E draws from a block of words: `count` numbers a block; uniform in [0, 1) with as many bits as E's significand has
// (so that no rounding reaches 1); standard normal by Box and Muller (1958), two neighbours from one pair of uniforms.
template <class E> struct Draw {  // float, __half, __nv_bfloat16
  static constexpr int count = 4;
  static constexpr int bits = sizeof(E) == 4 ? 24 : 11;
  static GRADLIB_DEVICE float uniform(const Words& words, int k) {
    return float(words.at[k] >> (32 - bits)) * (1.0f / float(1 << bits));
  }
  static GRADLIB_DEVICE void normal(const Words& words, float (&out)[4]) {
#pragma unroll
    for (int k = 0; k < 4; k += 2) {
      float u = float(words.at[k]) * 2.3283064365386963e-10f + 1.1641532182693481e-10f;  // in (0, 1]
      float radius = fn::sqrt(-2.0f * fn::log(u));
      float angle = 6.2831853071795865f * (float(words.at[k + 1] >> 8) * 5.9604644775390625e-8f);
      out[k] = radius * cosf(angle);
      out[k + 1] = radius * sinf(angle);
    }
  }
};
template <> GRADLIB_DEVICE float Draw<__nv_bfloat16>::uniform(const Words& words, int k) {
  return float(words.at[k] >> 24) * (1.0f / 256.0f);
}
template <> struct Draw<double> {
  static constexpr int count = 2;
  static GRADLIB_DEVICE double uniform(const Words& words, int k) {
    return double(words.wide(k) >> 11) * 1.1102230246251565e-16;
  }
  static GRADLIB_DEVICE void normal(const Words& words, double (&out)[2]) {
    double u = double((words.wide(0) >> 11) + 1) * 1.1102230246251565e-16;  // in (0, 1]
    double radius = fn::sqrt(-2.0 * fn::log(u));
    double angle = 6.2831853071795865 * (double(words.wide(1) >> 11) * 1.1102230246251565e-16);
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
  }
};
