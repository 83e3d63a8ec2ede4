// One step of a recurrent layer: all that is not a matrix product, forward and backward.  PyTorch's equations and order
// of gates.  With x = input W_ih + b_ih and a = h W_hh + b_hh, gates side by side in rows of gates * size:
//   RNN   h' = act(x + a)
//   LSTM  (i, f, g, o) = x + a;  c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c')
//   GRU   r = sigmoid(x_r + a_r), z = sigmoid(x_z + a_z), n = tanh(x_n + r a_n), h' = n + z (h - n)
//
// Arrays of a whole sequence are (time, batch, ...), of which a launch takes time `at`: `fed` is x, `before_h` and
// `before_c` the states that enter each time, `out` the outputs, `acts` what the gates became (LSTM i, f, g, o; GRU r,
// z, n, a_n).  The new states go to time `next` of the `before` arrays, or with next < 0 to `last`.  A sequence that
// has ended, at >= lengths[b], keeps its states and gives 0; lengths, out, acts and last may be null.
//
// Backward: dh' = product + carry + dout, where `product` is what comes through the product of the later step, `carry`
// what comes past it (overwritten by what goes past this one), dout the output's cotangent; either may be null.  dc is
// overwritten likewise.  `slope` receives the gradient of x and of a at once (GRU: dfed and dhidden).
//
// A thread an element of a state: one-dimensional grid, a grid-stride loop.  CELL is the type of cell states, of
// carries and of `acts`: rounded gates near 0 or 1 would leave few digits of their derivatives.
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=__half,__nv_bfloat16 CELL=float
#include "gradlib/activation.cuh"

#ifndef T
#define T float
#endif
#ifndef CELL
#define CELL T
#endif

using A = acc_t<T>;

struct Element {
  long long i;  // of (batch, size)
  int b, j, size;
  GRADLIB_DEVICE Element(long long index, int n) : i(index), b((int)(index / n)), j((int)(index % n)), size(n) {}
  // Element k * size + j of the row of `gates` gates.
  GRADLIB_DEVICE long long gate(int gates, int k) const { return ((long long)b * gates + k) * size + j; }
};

GRADLIB_DEVICE A sigmoid(A v) { return act::logistic(v); }
GRADLIB_DEVICE bool ended(const long long* lengths, int b, int at) { return lengths && at >= lengths[b]; }

template <class E>
GRADLIB_DEVICE void put_state(E* before, E* last, int next, long long count, long long i, acc_t<E> v) {
  if (next >= 0) before[next * count + i] = from_acc<E>(v);
  else if (last) last[i] = from_acc<E>(v);
}

// Starts the pointers of a whole sequence at time `at`.
#define GRADLIB_AT(pointer, stride) pointer + (pointer ? at * (long long)(stride) : 0)

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_forward(const T* __restrict__ fed, const T* __restrict__ hidden, T* __restrict__ before_h,
             CELL* __restrict__ before_c, const long long* __restrict__ lengths, T* __restrict__ out,
             CELL* __restrict__ acts, T* __restrict__ last_h, CELL* __restrict__ last_c, int batch, int size, int at,
             int next) {
  const long long count = (long long)batch * size;
  fed = fed + at * 4 * count;
  acts = GRADLIB_AT(acts, 4 * count);
  out = GRADLIB_AT(out, count);
  for (long long n = global_index(); n < count; n += global_size()) {
    const Element e(n, size);
    A h, c = A(to_acc(before_c[at * count + n]));
    const bool over = ended(lengths, e.b, at);
    if (over) {
      h = to_acc(before_h[at * count + n]);
    } else {
      A v[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) v[k] = to_acc(fed[e.gate(4, k)]) + to_acc(hidden[e.gate(4, k)]);
      v[0] = sigmoid(v[0]);
      v[1] = sigmoid(v[1]);
      v[2] = fn::tanh(v[2]);
      v[3] = sigmoid(v[3]);
      c = v[1] * c + v[0] * v[2];
      h = v[3] * fn::tanh(c);
      if (acts) {
#pragma unroll
        for (int k = 0; k < 4; ++k) acts[e.gate(4, k)] = from_acc<CELL>(acc_t<CELL>(v[k]));
      }
    }
    if (out) out[n] = from_acc<T>(over ? A(0) : h);
    put_state(before_h, last_h, next, count, n, h);
    put_state(before_c, last_c, next, count, n, acc_t<CELL>(c));
  }
}

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_backward(const CELL* __restrict__ acts, const CELL* __restrict__ before_c, const long long* __restrict__ lengths,
              const T* __restrict__ dout, const T* __restrict__ product, CELL* __restrict__ carry,
              CELL* __restrict__ dc, T* __restrict__ slope, int batch, int size, int at) {
  const long long count = (long long)batch * size;
  acts += at * 4 * count;
  slope += at * 4 * count;
  dout = GRADLIB_AT(dout, count);
  for (long long n = global_index(); n < count; n += global_size()) {
    const Element e(n, size);
    A dh = A(to_acc(carry[n])) + (product ? to_acc(product[n]) : A(0));
    A d[4] = {A(0), A(0), A(0), A(0)}, past = A(0);
    if (ended(lengths, e.b, at)) {
      past = dh;
    } else {
      A v[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) v[k] = A(to_acc(acts[e.gate(4, k)]));
      if (dout) dh += to_acc(dout[n]);
      const A c = A(to_acc(before_c[at * count + n])), squashed = fn::tanh(v[1] * c + v[0] * v[2]);
      const A slope_c = A(to_acc(dc[n])) + dh * v[3] * (A(1) - squashed * squashed);
      d[0] = slope_c * v[2] * v[0] * (A(1) - v[0]);
      d[1] = slope_c * c * v[1] * (A(1) - v[1]);
      d[2] = slope_c * v[0] * (A(1) - v[2] * v[2]);
      d[3] = dh * squashed * v[3] * (A(1) - v[3]);
      dc[n] = from_acc<CELL>(acc_t<CELL>(slope_c * v[1]));
    }
    carry[n] = from_acc<CELL>(acc_t<CELL>(past));
#pragma unroll
    for (int k = 0; k < 4; ++k) slope[e.gate(4, k)] = from_acc<T>(d[k]);
  }
}

extern "C" __global__ void __launch_bounds__(256, 1)
gru_forward(const T* __restrict__ fed, const T* __restrict__ hidden, T* __restrict__ before_h,
            const long long* __restrict__ lengths, T* __restrict__ out, CELL* __restrict__ acts, T* __restrict__ last_h,
            int batch, int size, int at, int next) {
  const long long count = (long long)batch * size;
  fed = fed + at * 3 * count;
  acts = GRADLIB_AT(acts, 4 * count);
  out = GRADLIB_AT(out, count);
  for (long long i = global_index(); i < count; i += global_size()) {
    const Element e(i, size);
    A h = to_acc(before_h[at * count + i]);
    const bool over = ended(lengths, e.b, at);
    if (!over) {
      const A r = sigmoid(to_acc(fed[e.gate(3, 0)]) + to_acc(hidden[e.gate(3, 0)]));
      const A z = sigmoid(to_acc(fed[e.gate(3, 1)]) + to_acc(hidden[e.gate(3, 1)]));
      const A a = to_acc(hidden[e.gate(3, 2)]), n = fn::tanh(to_acc(fed[e.gate(3, 2)]) + r * a);
      h = n + z * (h - n);
      if (acts) {
        const A v[4] = {r, z, n, a};
#pragma unroll
        for (int k = 0; k < 4; ++k) acts[e.gate(4, k)] = from_acc<CELL>(acc_t<CELL>(v[k]));
      }
    }
    if (out) out[i] = from_acc<T>(over ? A(0) : h);
    put_state(before_h, last_h, next, count, i, h);
  }
}

extern "C" __global__ void __launch_bounds__(256, 1)
gru_backward(const CELL* __restrict__ acts, const T* __restrict__ before_h, const long long* __restrict__ lengths,
             const T* __restrict__ dout, const T* __restrict__ product, CELL* __restrict__ carry, T* __restrict__ dfed,
             T* __restrict__ dhidden, int batch, int size, int at) {
  const long long count = (long long)batch * size;
  acts += at * 4 * count;
  dfed += at * 3 * count;
  dhidden += at * 3 * count;
  dout = GRADLIB_AT(dout, count);
  for (long long i = global_index(); i < count; i += global_size()) {
    const Element e(i, size);
    A dh = A(to_acc(carry[i])) + (product ? to_acc(product[i]) : A(0)), past = dh;
    A d[3] = {A(0), A(0), A(0)}, inner = A(0);
    if (!ended(lengths, e.b, at)) {
      const A r = A(to_acc(acts[e.gate(4, 0)])), z = A(to_acc(acts[e.gate(4, 1)])), n = A(to_acc(acts[e.gate(4, 2)]));
      const A a = A(to_acc(acts[e.gate(4, 3)]));
      if (dout) dh += to_acc(dout[i]);
      d[2] = dh * (A(1) - z) * (A(1) - n * n);
      d[1] = dh * (to_acc(before_h[at * count + i]) - n) * z * (A(1) - z);
      d[0] = d[2] * a * r * (A(1) - r);
      inner = d[2] * r;
      past = dh * z;
    }
    carry[i] = from_acc<CELL>(acc_t<CELL>(past));
#pragma unroll
    for (int k = 0; k < 3; ++k) {
      dfed[e.gate(3, k)] = from_acc<T>(d[k]);
      dhidden[e.gate(3, k)] = from_acc<T>(k == 2 ? inner : d[k]);
    }
  }
}

// `relu`: the activation is relu, else tanh.
extern "C" __global__ void __launch_bounds__(256, 1)
rnn_forward(const T* __restrict__ fed, const T* __restrict__ hidden, T* __restrict__ before_h,
            const long long* __restrict__ lengths, T* __restrict__ out, CELL* __restrict__ acts, T* __restrict__ last_h,
            int batch, int size, int at, int next, int relu) {
  const long long count = (long long)batch * size;
  fed = fed + at * count;
  acts = GRADLIB_AT(acts, count);
  out = GRADLIB_AT(out, count);
  for (long long i = global_index(); i < count; i += global_size()) {
    const bool over = ended(lengths, (int)(i / size), at);
    const A sum = to_acc(fed[i]) + to_acc(hidden[i]);
    const A h = over ? to_acc(before_h[at * count + i]) : relu ? act::relu::f(sum) : fn::tanh(sum);
    if (acts) acts[i] = from_acc<CELL>(acc_t<CELL>(h));
    if (out) out[i] = from_acc<T>(over ? A(0) : h);
    put_state(before_h, last_h, next, count, i, h);
  }
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_backward(const CELL* __restrict__ acts, const long long* __restrict__ lengths, const T* __restrict__ dout,
             const T* __restrict__ product, CELL* __restrict__ carry, T* __restrict__ slope, int batch, int size,
             int at, int relu) {
  const long long count = (long long)batch * size;
  acts += at * count;
  slope += at * count;
  dout = GRADLIB_AT(dout, count);
  for (long long i = global_index(); i < count; i += global_size()) {
    A dh = A(to_acc(carry[i])) + (product ? to_acc(product[i]) : A(0)), past = dh, d = A(0);
    if (!ended(lengths, (int)(i / size), at)) {
      if (dout) dh += to_acc(dout[i]);
      const A h = A(to_acc(acts[i]));
      d = dh * (relu ? act::relu::df(h) : A(1) - h * h);
      past = A(0);
    }
    carry[i] = from_acc<CELL>(acc_t<CELL>(past));
    slope[i] = from_acc<T>(d);
  }
}
