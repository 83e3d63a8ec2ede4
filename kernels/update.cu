// Optimizer steps, in place on one parameter of n elements.  The arithmetic is PyTorch's.
// `lr` (float64) and `step` (int64, 1 at the first update) lie in device memory, so that a captured graph replays with
// their values of the day; what depends on them alone is computed once a block, in double.
// One-dimensional grid, any size: a grid-stride loop.  STATE is the type of the moments.
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=__half,__nv_bfloat16 STATE=float
#include "gradlib/pack.cuh"

#ifndef T
#define T float
#endif
#ifndef STATE
#define STATE T
#endif

using A = acc_t<T>;

// b <- momentum b + (1 - dampening) g, but b <- g at the first step; d = nesterov ? g + momentum b : b; p <- p - lr d,
// with g = grad + weight_decay p (grad negated if `maximize`).  `buffer` is null without momentum.
extern "C" __global__ void __launch_bounds__(256, 1)
sgd(T* __restrict__ param, const T* __restrict__ grad, STATE* __restrict__ buffer, const double* __restrict__ lr,
    const long long* __restrict__ step, long long n, double momentum, double dampening, double weight_decay, int nesterov,
    int maximize) {
  bool wide = aligned4(param) && aligned4(grad) && aligned4(buffer), first = *step == 1;
  A rate = A(*lr), decay = A(weight_decay), keep = A(momentum), take = A(1.0 - dampening), sign = maximize ? A(-1) : A(1);
  for (long long block = global_index(); block * 4 < n; block += global_size()) {
    long long i = block * 4;
    int count = (int)smaller(n - i, 4ll);
    bool whole = wide && count == 4;
    A p[4], g[4];
    load4(param, i, count, whole, p);
    load4(grad, i, count, whole, g);
#pragma unroll
    for (int k = 0; k < 4; ++k) g[k] = sign * g[k] + decay * p[k];
    if (buffer) {
      acc_t<STATE> b[4];
      load4(buffer, i, count, whole, b);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        b[k] = first ? g[k] : keep * b[k] + take * g[k];
        g[k] = nesterov ? g[k] + keep * b[k] : b[k];
      }
      store4(buffer, i, count, whole, b);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) p[k] -= rate * g[k];
    store4(param, i, count, whole, p);
  }
}

// Adam (Kingma and Ba 2015); `decoupled`: AdamW (Loshchilov and Hutter 2019).
// m <- m + (1 - beta1) (g - m); v <- beta2 v + (1 - beta2) g^2;
// p <- p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps).
extern "C" __global__ void __launch_bounds__(256, 1)
adam(T* __restrict__ param, const T* __restrict__ grad, STATE* __restrict__ exp_avg, STATE* __restrict__ exp_avg_sq,
     const double* __restrict__ lr, const long long* __restrict__ step, long long n, double beta1, double beta2, double eps,
     double weight_decay, int decoupled, int maximize) {
  __shared__ double shared[3];
  if (threadIdx.x == 0) {
    double t = (double)*step;
    shared[0] = *lr / (1.0 - pow(beta1, t));
    shared[1] = 1.0 / sqrt(1.0 - pow(beta2, t));
    shared[2] = decoupled ? 1.0 - *lr * weight_decay : 1.0;
  }
  __syncthreads();
  A size = A(shared[0]), unbias = A(shared[1]), shrink = A(shared[2]);
  A decay = decoupled ? A(0) : A(weight_decay), sign = maximize ? A(-1) : A(1);
  A take1 = A(1.0 - beta1), keep2 = A(beta2), take2 = A(1.0 - beta2), floor = A(eps);
  bool wide = aligned4(param) && aligned4(grad) && aligned4(exp_avg) && aligned4(exp_avg_sq);
  for (long long block = global_index(); block * 4 < n; block += global_size()) {
    long long i = block * 4;
    int count = (int)smaller(n - i, 4ll);
    bool whole = wide && count == 4;
    A p[4], g[4];
    acc_t<STATE> m[4], v[4];
    load4(param, i, count, whole, p);
    load4(grad, i, count, whole, g);
    load4(exp_avg, i, count, whole, m);
    load4(exp_avg_sq, i, count, whole, v);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      g[k] = sign * g[k] + decay * p[k];
      m[k] += take1 * (g[k] - m[k]);
      v[k] = keep2 * v[k] + take2 * g[k] * g[k];
      p[k] = shrink * p[k] - size * m[k] / (fn::sqrt(A(v[k])) * unbias + floor);
    }
    store4(exp_avg, i, count, whole, m);
    store4(exp_avg_sq, i, count, whole, v);
    store4(param, i, count, whole, p);
  }
}
