// Optimizer steps that scale each element by its own history, over all tensors of a group (see update.cuh): Adagrad,
// Adadelta, RMSprop, Rprop.  The arithmetic is PyTorch's.  In all of them g = grad + weight_decay p (grad negated if
// `maximize`).
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=__half,__nv_bfloat16 STATE=float
#include "gradlib/update.cuh"

// s <- s + g^2, from `start` at the first step; p <- p - size g / (sqrt(s) + eps).
struct Adagrad {
  A size, start, decay, sign, floor;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[1]) const {
    g = sign * g + decay * p;
    s[0] += start + g * g;
    p -= size * g / (fn::sqrt(s[0]) + floor);
  }
};

extern "C" __global__ void __launch_bounds__(256, 1)
adagrad(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
        const long long* __restrict__ step, int count, long long share, double lr_decay, double weight_decay,
        double initial_accumulator_value, double eps, int maximize) {
  const long long t = *step;
  const A size = A(*lr / (1.0 + (double)(t - 1) * lr_decay)), start = t == 1 ? A(initial_accumulator_value) : A(0);
  update_all<1>(arrays, chunks, count, share,
                Adagrad{size, start, A(weight_decay), maximize ? A(-1) : A(1), A(eps)});
}

// v <- rho v + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(v + eps) g; u <- rho u + (1 - rho) d^2; p <- p - lr d.
struct Adadelta {
  A rate, keep, take, floor, decay, sign;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[2]) const {
    g = sign * g + decay * p;
    s[0] = keep * s[0] + take * g * g;
    const A d = fn::sqrt(s[1] + floor) / fn::sqrt(s[0] + floor) * g;
    s[1] = keep * s[1] + take * d * d;
    p -= rate * d;
  }
};

extern "C" __global__ void __launch_bounds__(256, 1)
adadelta(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
         const long long* __restrict__ step, int count, long long share, double rho, double eps, double weight_decay,
         int maximize) {
  update_all<2>(arrays, chunks, count, share,
                Adadelta{A(*lr), A(rho), A(1.0 - rho), A(eps), A(weight_decay), maximize ? A(-1) : A(1)});
}

// v <- alpha v + (1 - alpha) g^2; centered: a <- a + (1 - alpha) (g - a), and v - a^2 stands in for v; d = g / (sqrt(v)
// + eps); with momentum d = b <- momentum b + d; p <- p - lr d.  The states are v, a, b; absent ones are null.
struct Rmsprop {
  A rate, keep, take, floor, decay, sign, momentum;
  bool centered, buffered;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[3]) const {
    g = sign * g + decay * p;
    s[0] = keep * s[0] + take * g * g;
    A spread = s[0];
    if (centered) {
      s[1] += take * (g - s[1]);
      spread -= s[1] * s[1];
    }
    A d = g / (fn::sqrt(spread) + floor);
    if (buffered) d = s[2] = momentum * s[2] + d;
    p -= rate * d;
  }
};

extern "C" __global__ void __launch_bounds__(256, 1)
rmsprop(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
        const long long* __restrict__ step, int count, long long share, double alpha, double eps, double weight_decay,
        double momentum, int maximize) {
  const A rate = A(*lr), sign = maximize ? A(-1) : A(1);
  update_tensors<3, 0>(arrays, chunks, count, share, [&](const Line<3, 0>& line, int) {
    return Rmsprop{rate, A(alpha), A(1.0 - alpha), A(eps), A(weight_decay), sign, A(momentum), line.state(1) != nullptr,
                   line.state(2) != nullptr};
  });
}

GRADLIB_DEVICE A sign_of(A v) { return v > A(0) ? A(1) : v < A(0) ? A(-1) : v; }

// s grows by eta2 where g kept its sign, shrinks by eta1 where it turned, and then g <- 0; s stays in its bounds;
// p <- p - s sign(g), and g is remembered.  The states are the g of before, and s.
struct Rprop {
  A shrink, grow, least, most, sign;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[2]) const {
    g *= sign;
    const A agreement = sign_of(g) * sign_of(s[0]);
    const A size = s[1] * (agreement > A(0) ? grow : agreement < A(0) ? shrink : A(1));
    s[1] = size < least ? least : size > most ? most : size;
    s[0] = g = agreement < A(0) ? A(0) : g;
    p -= sign_of(g) * s[1];
  }
};

extern "C" __global__ void __launch_bounds__(256, 1)
rprop(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
      const long long* __restrict__ step, int count, long long share, double eta1, double eta2, double step_size1,
      double step_size2, int maximize) {
  update_all<2>(arrays, chunks, count, share,
                Rprop{A(eta1), A(eta2), A(step_size1), A(step_size2), maximize ? A(-1) : A(1)});
}
