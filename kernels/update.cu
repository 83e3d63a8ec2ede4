// Stochastic gradient descent and Adam, over all tensors of a group (see update.cuh).  The arithmetic is PyTorch's.
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=__half,__nv_bfloat16 STATE=float
#include "gradlib/update.cuh"

// step <- step + 1.  One thread.
extern "C" __global__ void count_up(long long* __restrict__ step) { ++*step; }

// b <- momentum b + (1 - dampening) g, but b <- g at the first step; d = nesterov ? g + momentum b : b; p <- p - lr d,
// with g = grad + weight_decay p (grad negated if `maximize`).  Without a buffer b, d = g.
struct Sgd {
  A rate, keep, take, decay, sign;
  bool first, nesterov, buffered;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[1]) const {
    g = sign * g + decay * p;
    if (buffered) {
      s[0] = first ? g : keep * s[0] + take * g;
      g = nesterov ? g + keep * s[0] : s[0];
    }
    p -= rate * g;
  }
};

extern "C" __global__ void __launch_bounds__(256, 1)
sgd(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
    const long long* __restrict__ step, int count, long long share, double momentum, double dampening,
    double weight_decay, int nesterov, int maximize) {
  const A rate = A(*lr), sign = maximize ? A(-1) : A(1);
  const bool first = *step == 1;
  update_tensors<1, 0>(arrays, chunks, count, share, [&](const Line<1, 0>& line, int) {
    const bool buffered = line.state(0) != nullptr;
    return Sgd{rate, A(momentum), A(1.0 - dampening), A(weight_decay), sign, first, nesterov != 0, buffered};
  });
}

// m <- m + (1 - beta1) (g - m); v <- beta2 v + (1 - beta2) g^2; p <- shrink p - size m / (sqrt(v) unbias + eps), with
// size = lr / (1 - beta1^t), unbias = 1 / sqrt(1 - beta2^t); g = grad + weight_decay p, or if `decoupled` (AdamW)
// shrink = 1 - lr weight_decay.
struct Adam {
  A size, unbias, shrink, decay, sign, take1, keep2, take2, floor;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[2]) const {
    g = sign * g + decay * p;
    s[0] += take1 * (g - s[0]);
    s[1] = keep2 * s[1] + take2 * g * g;
    p = shrink * p - size * s[0] / (fn::sqrt(s[1]) * unbias + floor);
  }
};

extern "C" __global__ void __launch_bounds__(256, 1)
adam(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
     const long long* __restrict__ step, int count, long long share, double beta1, double beta2, double eps,
     double weight_decay, int decoupled, int maximize) {
  __shared__ double now[3];
  once_a_block([&] {
    const double t = (double)*step;
    now[0] = *lr / (1.0 - pow(beta1, t));
    now[1] = 1.0 / sqrt(1.0 - pow(beta2, t));
    now[2] = decoupled ? 1.0 - *lr * weight_decay : 1.0;
  });
  const Adam rule = {A(now[0]), A(now[1]), A(now[2]), decoupled ? A(0) : A(weight_decay), maximize ? A(-1) : A(1),
                     A(1.0 - beta1), A(beta2), A(1.0 - beta2), A(eps)};
  update_all<2>(arrays, chunks, count, share, rule);
}
