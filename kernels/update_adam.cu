// Adam's relatives over all tensors of a group (see update.cuh): AMSGrad, Adamax, NAdam, RAdam.  The arithmetic is
// PyTorch's.  In all of them g = grad + weight_decay p (grad negated if `maximize`), or if `decoupled` p shrinks to
// (1 - lr weight_decay) p first; m <- m + (1 - beta1) (g - m), v <- beta2 v + (1 - beta2) g^2.
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=__half,__nv_bfloat16 STATE=float
#include "gradlib/update.cuh"

// What they have in common.
struct Moments {
  A shrink, decay, sign, take1, keep2, take2, floor;
  GRADLIB_DEVICE Moments(double lr, double beta1, double beta2, double eps, double weight_decay, int decoupled,
                         int maximize)
      : shrink(decoupled ? A(1.0 - lr * weight_decay) : A(1)), decay(decoupled ? A(0) : A(weight_decay)),
        sign(maximize ? A(-1) : A(1)), take1(A(1.0 - beta1)), keep2(A(beta2)), take2(A(1.0 - beta2)), floor(A(eps)) {}
  GRADLIB_DEVICE A gradient(A p, A g) const { return sign * g + decay * p; }
  GRADLIB_DEVICE void move(A g, A& m, A& v) const {
    m += take1 * (g - m);
    v = keep2 * v + take2 * g * g;
  }
};

// p <- p - size m / (sqrt(h) unbias + eps), h <- max(h, v).
struct Amsgrad {
  Moments moments;
  A size, unbias;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[3]) const {
    g = moments.gradient(p, g);
    moments.move(g, s[0], s[1]);
    s[2] = s[2] > s[1] || s[2] != s[2] ? s[2] : s[1];
    p = moments.shrink * p - size * s[0] / (fn::sqrt(s[2]) * unbias + moments.floor);
  }
};

extern "C" __global__ void __launch_bounds__(256, 1)
amsgrad(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
        const long long* __restrict__ step, int count, long long share, double beta1, double beta2, double eps,
        double weight_decay, int decoupled, int maximize) {
  __shared__ double now[2];
  once_a_block([&] {
    const double t = (double)*step;
    now[0] = *lr / (1.0 - pow(beta1, t));
    now[1] = 1.0 / sqrt(1.0 - pow(beta2, t));
  });
  const Moments moments(*lr, beta1, beta2, eps, weight_decay, decoupled, maximize);
  update_all<3>(arrays, chunks, count, share, Amsgrad{moments, A(now[0]), A(now[1])});
}

// p <- p - size m / u, u <- max(beta2 u, |g| + eps).
struct Adamax {
  Moments moments;
  A size;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[2]) const {
    g = moments.gradient(p, g);
    s[0] += moments.take1 * (g - s[0]);
    const A old = moments.keep2 * s[1], now = fn::fabs(g) + moments.floor;
    s[1] = old > now || old != old ? old : now;
    p -= size * s[0] / s[1];
  }
};

extern "C" __global__ void __launch_bounds__(256, 1)
adamax(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
       const long long* __restrict__ step, int count, long long share, double beta1, double beta2, double eps,
       double weight_decay, int maximize) {
  __shared__ double size;
  once_a_block([&] { size = *lr / (1.0 - pow(beta1, (double)*step)); });
  const Moments moments(*lr, beta1, beta2, eps, weight_decay, 0, maximize);
  update_all<2>(arrays, chunks, count, share, Adamax{moments, A(size)});
}

// p <- p - (of_g g + of_m m) / (sqrt(v) unbias + eps).
struct Nadam {
  Moments moments;
  A of_g, of_m, unbias;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[2]) const {
    g = moments.gradient(p, g);
    moments.move(g, s[0], s[1]);
    p = moments.shrink * p - (of_g * g + of_m * s[0]) / (fn::sqrt(s[1]) * unbias + moments.floor);
  }
};

// of_g = lr (1 - mu) / (1 - M), of_m = lr mu' / (1 - M mu'), with mu = beta1 (1 - 0.96^(t momentum_decay) / 2), mu'
// that of t + 1, and M <- M mu, the scalar of each tensor.
extern "C" __global__ void __launch_bounds__(256, 1)
nadam(const Word* __restrict__ arrays, const int* __restrict__ chunks, unsigned int* __restrict__ done,
      const double* __restrict__ lr, const long long* __restrict__ step, int count, long long share, int tensors,
      double beta1, double beta2, double eps, double weight_decay, double momentum_decay, int decoupled_weight_decay,
      int maximize) {
  __shared__ double now[3];  // unbias, mu, mu'
  once_a_block([&] {
    const double t = (double)*step;
    now[0] = 1.0 / sqrt(1.0 - pow(beta2, t));
    now[1] = beta1 * (1.0 - 0.5 * pow(0.96, t * momentum_decay));
    now[2] = beta1 * (1.0 - 0.5 * pow(0.96, (t + 1.0) * momentum_decay));
  });
  const double mu = now[1], next = now[2], rate = *lr;
  const Moments moments(rate, beta1, beta2, eps, weight_decay, decoupled_weight_decay, maximize);
  update_tensors<2, 1>(arrays, chunks, count, share, [&](const Line<2, 1>& line, int) {
    const double product = *line.scalar(0) * mu;
    return Nadam{moments, A(rate * (1.0 - mu) / (1.0 - product)), A(rate * next / (1.0 - product * next)), A(now[0])};
  });
  if (last_block(done)) {
    for (int i = threadIdx.x; i < tensors; i += blockDim.x) *Line<2, 1>(arrays, i).scalar(0) *= mu;
  }
}

// p <- p - size m factor / (sqrt(v) + eps), or p - size m while v's variance is not known (`adapt` false).
struct Radam {
  Moments moments;
  A size, factor;
  bool adapt;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[2]) const {
    g = moments.gradient(p, g);
    moments.move(g, s[0], s[1]);
    const A scale = adapt ? factor / (fn::sqrt(s[1]) + moments.floor) : A(1);
    p = moments.shrink * p - size * s[0] * scale;
  }
};

// rho = R - 2 t beta2^t / (1 - beta2^t), R = 2 / (1 - beta2) - 1; adapt where rho > 5, by
// factor = sqrt((rho - 4)(rho - 2) R / ((R - 4)(R - 2) rho)) sqrt(1 - beta2^t).
extern "C" __global__ void __launch_bounds__(256, 1)
radam(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
      const long long* __restrict__ step, int count, long long share, double beta1, double beta2, double eps,
      double weight_decay, int decoupled_weight_decay, int maximize) {
  __shared__ double now[2];
  __shared__ bool adapt;
  once_a_block([&] {
    const double t = (double)*step, power = pow(beta2, t), most = 2.0 / (1.0 - beta2) - 1.0;
    const double rho = most - 2.0 * t * power / (1.0 - power);
    adapt = rho > 5.0;
    now[0] = *lr / (1.0 - pow(beta1, t));
    now[1] = adapt ? sqrt((rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho) * (1.0 - power)) : 0.0;
  });
  const Moments moments(*lr, beta1, beta2, eps, weight_decay, decoupled_weight_decay, maximize);
  update_all<2>(arrays, chunks, count, share, Radam{moments, A(now[0]), A(now[1]), adapt});
}
