// Optimizer steps by sign, by layer, by matrix and by average, over all tensors of a group (see update.cuh): Lion,
// LAMB, Muon, ASGD.
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=__half,__nv_bfloat16 STATE=float
#include "gradlib/reduce.cuh"
#include "gradlib/update.cuh"

GRADLIB_DEVICE A sign_of(A v) { return v > A(0) ? A(1) : v < A(0) ? A(-1) : v; }

// p <- shrink p - lr sign(b1 m + (1 - b1) g); m <- b2 m + (1 - b2) g.
struct Lion {
  A rate, shrink, keep1, take1, keep2, take2, sign;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[1]) const {
    g *= sign;
    const A direction = sign_of(keep1 * s[0] + take1 * g);
    s[0] = keep2 * s[0] + take2 * g;
    p = shrink * p - rate * direction;
  }
};

extern "C" __global__ void __launch_bounds__(256, 1)
lion(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr,
     const long long* __restrict__ step, int count, long long share, double beta1, double beta2, double weight_decay,
     int maximize) {
  update_all<1>(arrays, chunks, count, share,
                Lion{A(*lr), A(1.0 - *lr * weight_decay), A(beta1), A(1.0 - beta1), A(beta2), A(1.0 - beta2),
                     maximize ? A(-1) : A(1)});
}

// ---- LAMB --------------------------------------------------------------------------------------------------------
// p <- p - lr trust u, u = m size / (sqrt(v) unbias + eps) + weight_decay p, trust = |p| / |u| of the tensor.

struct Direction {
  A size, unbias, floor, decay;
  GRADLIB_DEVICE A operator()(A p, A m, A v) const { return size * m / (fn::sqrt(v) * unbias + floor) + decay * p; }
};

// In shared memory: 1 / (1 - beta1^t) and 1 / sqrt(1 - beta2^t).
GRADLIB_DEVICE Direction direction(double (&now)[2], long long step, double beta1, double beta2, double eps,
                                   double decay) {
  once_a_block([&] {
    now[0] = 1.0 / (1.0 - pow(beta1, (double)step));
    now[1] = 1.0 / sqrt(1.0 - pow(beta2, (double)step));
  });
  return {A(now[0]), A(now[1]), A(eps), A(decay)};
}

struct Squares {
  A p, u;
};
GRADLIB_DEVICE Squares shuffle_xor(Squares v, int mask) { return {shuffle_xor(v.p, mask), shuffle_xor(v.u, mask)}; }
struct AddSquares {
  static GRADLIB_DEVICE Squares combine(Squares a, Squares b) { return {a.p + b.p, a.u + b.u}; }
};

// m <- m + (1 - beta1) (g - m); v <- beta2 v + (1 - beta2) g^2; and the sums of p^2 and u^2, added up by the thread.
struct LambMoments {
  Direction direction;
  A take1, keep2, take2, sign;
  Squares* sums;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[2]) const {
    g *= sign;
    s[0] += take1 * (g - s[0]);
    s[1] = keep2 * s[1] + take2 * g * g;
    const A u = direction(p, s[0], s[1]);
    sums->p += p * p;
    sums->u += u * u;
  }
};

// part: for each chunk the sums of p^2 and u^2.
extern "C" __global__ void __launch_bounds__(256, 1)
lamb_moments(const Word* __restrict__ arrays, const int* __restrict__ chunks, A* __restrict__ part,
             const long long* __restrict__ step, int count, long long share, double beta1, double beta2, double eps,
             double weight_decay, int maximize) {
  __shared__ double now[2];
  __shared__ Squares shared[32];
  const LambMoments rule = {direction(now, *step, beta1, beta2, eps, weight_decay), A(1.0 - beta1), A(beta2),
                            A(1.0 - beta2), maximize ? A(-1) : A(1), nullptr};
  for (int c = blockIdx.x; c < count; c += gridDim.x) {
    const Line<2, 0> line(arrays, chunks[2 * c]);
    Squares sums = {A(0), A(0)};
    LambMoments own = rule;
    own.sums = &sums;
    update_chunk(line, chunks[2 * c + 1], share, own);
    sums = row_reduce<AddSquares>(sums, shared);
    if (threadIdx.x == 0) {
      part[2 * c] = sums.p;
      part[2 * c + 1] = sums.u;
    }
  }
}

// trust[i] = |p| / |u| of tensor i, 1 where either is 0.  A block of 256 for each tensor, whose chunks are first[i] to
// first[i + 1].
extern "C" __global__ void __launch_bounds__(256, 1)
lamb_trust(const A* __restrict__ part, const int* __restrict__ first, A* __restrict__ trust) {
  __shared__ Squares shared[32];
  auto get = [&](long long c) { return Squares{part[2 * c], part[2 * c + 1]}; };
  const int begin = first[blockIdx.x] + threadIdx.x, end = first[blockIdx.x + 1];
  Squares sums = fold<AddSquares>(get, Squares{A(0), A(0)}, begin, end, 256);
  sums = row_reduce<AddSquares>(sums, shared);
  if (threadIdx.x == 0) trust[blockIdx.x] = sums.p > A(0) && sums.u > A(0) ? fn::sqrt(sums.p) / fn::sqrt(sums.u) : A(1);
}

struct LambApply {
  Direction direction;
  A rate;
  GRADLIB_DEVICE void operator()(A& p, A, A (&s)[2]) const { p -= rate * direction(p, s[0], s[1]); }
};

extern "C" __global__ void __launch_bounds__(256, 1)
lamb_apply(const Word* __restrict__ arrays, const int* __restrict__ chunks, const A* __restrict__ trust,
           const double* __restrict__ lr, const long long* __restrict__ step, int count, long long share, double beta1,
           double beta2, double eps, double weight_decay) {
  __shared__ double now[2];
  const Direction way = direction(now, *step, beta1, beta2, eps, weight_decay);
  const A rate = A(*lr);
  update_tensors<2, 0>(arrays, chunks, count, share, [&](const Line<2, 0>&, int c) {
    return LambApply{way, rate * trust[chunks[2 * c]]};
  });
}

// ---- Muon: what stands before and after its matrix products --------------------------------------------------------

// b <- b + (1 - momentum) (g - b); u = nesterov ? g + momentum (b - g) : b.
struct MuonMomentum {
  A take, momentum;
  bool nesterov;
  GRADLIB_DEVICE void operator()(A& u, A g, A (&s)[1]) const {
    s[0] += take * (g - s[0]);
    u = nesterov ? g + momentum * (s[0] - g) : s[0];
  }
};

// The lines are u (in the accumulator's type, only written), b, g.
extern "C" __global__ void __launch_bounds__(256, 1)
muon_momentum(const Word* __restrict__ arrays, const int* __restrict__ chunks, int count, long long share,
              double momentum, int nesterov) {
  const MuonMomentum rule = {A(1.0 - momentum), A(momentum), nesterov != 0};
  for (int c = blockIdx.x; c < count; c += gridDim.x) {
    const Line<1, 0> line(arrays, chunks[2 * c]);
    const long long begin = chunks[2 * c + 1] * share;
    update_range<false>((A*)line.at[1], line.grad(), line, begin, smaller(begin + share, line.size()), rule);
  }
}

struct MuonApply {
  A rate, shrink;
  GRADLIB_DEVICE void operator()(A& p, A x, A (&)[1]) const { p = shrink * p - rate * x; }
};

// p <- (1 - lr weight_decay) p - lr x.  The lines are p, x (in the accumulator's type).
extern "C" __global__ void __launch_bounds__(256, 1)
muon_apply(const Word* __restrict__ arrays, const int* __restrict__ chunks, const double* __restrict__ lr, int count,
           long long share, double weight_decay) {
  const MuonApply rule = {A(*lr), A(1.0 - *lr * weight_decay)};
  for (int c = blockIdx.x; c < count; c += gridDim.x) {
    const Line<0, 0> line(arrays, chunks[2 * c]);
    const long long begin = chunks[2 * c + 1] * share;
    update_range(line.param(), (const A*)line.at[2], line, begin, smaller(begin + share, line.size()), rule);
  }
}

// ---- ASGD ----------------------------------------------------------------------------------------------------------

// p <- (1 - lambd eta) p - eta g, g = grad + weight_decay p; ax <- ax + weight (p - ax).
struct Asgd {
  A eta, shrink, weight, decay, sign;
  GRADLIB_DEVICE void operator()(A& p, A g, A (&s)[1]) const {
    g = sign * g + decay * p;
    p = shrink * p - eta * g;
    s[0] += weight * (p - s[0]);
  }
};

// The scalar of each tensor is eta, its next one lr / (1 + lambd lr t)^alpha; weight = 1 / max(1, t - 1 - t0).
extern "C" __global__ void __launch_bounds__(256, 1)
asgd(const Word* __restrict__ arrays, const int* __restrict__ chunks, unsigned int* __restrict__ done,
     const double* __restrict__ lr, const long long* __restrict__ step, int count, long long share, int tensors,
     double lambd, double alpha, double t0, double weight_decay, int maximize) {
  const double t = (double)*step, late = t - 1.0 - t0;
  const A weight = A(late > 1.0 ? 1.0 / late : 1.0), sign = maximize ? A(-1) : A(1);
  update_tensors<1, 1>(arrays, chunks, count, share, [&](const Line<1, 1>& line, int) {
    const double eta = *line.scalar(0);
    return Asgd{A(eta), A(1.0 - eta * lambd), weight, A(weight_decay), sign};
  });
  if (last_block(done)) {
    const double next = *lr / pow(1.0 + lambd * *lr * t, alpha);
    for (int i = threadIdx.x; i < tensors; i += blockDim.x) *Line<1, 1>(arrays, i).scalar(0) = next;
  }
}
