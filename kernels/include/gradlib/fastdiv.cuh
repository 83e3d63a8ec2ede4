// Division by a number that is known once per block, by a multiplication and a shift: a GPU has no divide instruction.
// Granlund and Montgomery 1994, figure 4.1: q = (mulhi(n, magic) + n) >> shift, exact for 0 <= n < 2^31, d >= 1.
#pragma once

#include "gradlib/core.cuh"

struct FastDiv {
  int divisor;
  unsigned int magic, shift;

  GRADLIB_DEVICE explicit FastDiv(int d) : divisor(d), shift(0) {
    while ((1u << shift) < (unsigned int)d) shift++;
    magic = (unsigned int)((((1ull << shift) - d) << 32) / d + 1);
  }
  GRADLIB_DEVICE int quotient(int n) const {
    unsigned int high = (unsigned int)(((unsigned long long)n * magic) >> 32);
    return (int)((high + (unsigned int)n) >> shift);
  }
  GRADLIB_DEVICE int split(int n, int& remainder) const {
    int q = quotient(n);
    remainder = n - q * divisor;
    return q;
  }
};
