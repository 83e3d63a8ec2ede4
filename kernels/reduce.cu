// Reductions over the middle axis of a (outer, length, inner) view: y[o, i] = OP over k of x[o, k, i].
//
// inner == 1: reduce_rows.      block (32, rows per block): a warp a row; or (32 w, 1), w <= 16: a block a row.
//             grid (ceil(outer / blockDim.y), segments)
// inner > 1:  reduce_columns.   block (bx, by), powers of two, bx * by <= 256: bx along `inner`, by along `length`.
//             grid (outer * ceil(inner / bx), segments)
// A segment is `share` neighbours along `length`; segments = ceil(length / share).  With one, the result goes to y.
// With more, `part`, bytes for (outer, segments, inner) values of State, receives one value a segment, and finish_rows
// or finish_columns with the same kind of block (grid.y == 1) folds those into y; n is the length again.
// State is the accumulator of OUT; for Any and All int; for ArgMax and ArgMin a struct of 16 bytes.
//
// variants: T=float,double,__half,__nv_bfloat16 OP=Sum,Mean,Prod,Max,Min
// variants: T=float,double,__half,__nv_bfloat16,int OP=ArgMax,ArgMin OUT=long long
// variants: T=float,double,__half,bool OP=Any,All OUT=bool
// variants: T=int,unsigned char,bool,long long OP=Sum,Prod OUT=long long
// variants: T=int,unsigned char,bool,long long OP=Max,Min
#include "gradlib/reduce.cuh"

#ifndef T
#define T float
#endif
#ifndef OUT
#define OUT T
#endif
#ifndef OP
#define OP Sum
#endif

template <class A> struct Best {
  A value;
  long long index;  // < 0: no element yet
};
template <class A> GRADLIB_DEVICE Best<A> shuffle_xor(Best<A> v, int mask) {
  return {shuffle_xor(v.value, mask), shuffle_xor(v.index, mask)};
}

// An operation: State; identity(); load(element, its index); combine; result(state, elements of the line).
template <class A> struct Plain {
  using State = A;
  template <class E> static GRADLIB_DEVICE State load(E x, long long) { return State(to_acc(x)); }
  static GRADLIB_DEVICE OUT result(State s, long long) { return from_acc<OUT>(s); }
};

struct Sum : Plain<acc_t<OUT>> {
  static GRADLIB_DEVICE State identity() { return State(0); }
  static GRADLIB_DEVICE State combine(State a, State b) { return add(a, b); }
};
struct Mean : Sum {
  static GRADLIB_DEVICE OUT result(State s, long long n) { return from_acc<OUT>(s / State(n)); }
};
struct Prod : Plain<acc_t<OUT>> {
  static GRADLIB_DEVICE State identity() { return State(1); }
  static GRADLIB_DEVICE State combine(State a, State b) { return multiply(a, b); }
};
struct Max : Plain<acc_t<OUT>> {
  static GRADLIB_DEVICE State identity() { return lowest<State>(); }
  static GRADLIB_DEVICE State combine(State a, State b) { return Greatest::combine(a, b); }
};
struct Min : Plain<acc_t<OUT>> {
  static GRADLIB_DEVICE State identity() { return highest<State>(); }
  static GRADLIB_DEVICE State combine(State a, State b) { return a < b || a != a ? a : b; }
};

struct Truth {
  using State = int;
  template <class E> static GRADLIB_DEVICE State load(E x, long long) { return to_acc(x) != acc_t<E>(0); }
  static GRADLIB_DEVICE OUT result(State s, long long) { return (OUT)(s != 0); }
};
struct Any : Truth {
  static GRADLIB_DEVICE State identity() { return 0; }
  static GRADLIB_DEVICE State combine(State a, State b) { return a | b; }
};
struct All : Truth {
  static GRADLIB_DEVICE State identity() { return 1; }
  static GRADLIB_DEVICE State combine(State a, State b) { return a & b; }
};

// The first NaN if there is one, else the first of the extreme values (NumPy's rule).
template <int sign> struct Arg {
  using State = Best<acc_t<T>>;
  static GRADLIB_DEVICE State identity() { return {acc_t<T>(0), -1}; }
  static GRADLIB_DEVICE State load(T x, long long index) { return {to_acc(x), index}; }
  static GRADLIB_DEVICE State combine(State a, State b) {
    if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
    bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan) return a_nan ? a : b;
    if (!a_nan && a.value != b.value) return (sign > 0 ? a.value > b.value : a.value < b.value) ? a : b;
    return a.index < b.index ? a : b;
  }
  static GRADLIB_DEVICE OUT result(State s, long long) { return (OUT)s.index; }
};
using ArgMax = Arg<1>;
using ArgMin = Arg<-1>;

using State = OP::State;

struct Elements {  // a line of the input
  const T* x;
  long long stride;
  GRADLIB_DEVICE State operator()(long long k) const { return OP::load(x[k * stride], k); }
};
struct Partials {  // a line of the partial results
  const State* part;
  long long stride;
  GRADLIB_DEVICE State operator()(long long k) const { return part[k * stride]; }
};

// This block row's share of [0, length).
struct Segment {
  long long begin, end;
  GRADLIB_DEVICE Segment(long long length, long long share) {
    begin = share * blockIdx.y;
    end = smaller(begin + share, length);
  }
};

GRADLIB_DEVICE void write(State s, OUT* y, State* part, long long outer, long long inner, long long count, long long n) {
  if (part) part[(outer * gridDim.y + blockIdx.y) * count + inner] = s;
  else y[outer * count + inner] = OP::result(s, n);
}

template <class Line, class E>
GRADLIB_DEVICE void rows(const E* x, OUT* y, State* part, long long outer, long long length, long long share,
                         long long n, State* shared) {
  long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= outer) return;  // whole warps leave; a block that owns one row never does
  Segment segment(length, share);
  State s = fold<OP>(Line{x + row * length, 1}, OP::identity(), segment.begin + threadIdx.x, segment.end, blockDim.x);
  s = row_reduce<OP>(s, shared);
  if (threadIdx.x == 0) write(s, y, part, row, 0, 1, n);
}

template <class Line, class E>
GRADLIB_DEVICE void columns(const E* x, OUT* y, State* part, long long length, long long inner, long long share,
                            long long n, State* shared) {
  unsigned int tiles = (unsigned int)((inner + blockDim.x - 1) >> (31 - __clz(blockDim.x)));  // blockDim.x = 2^k
  long long outer = blockIdx.x / tiles, column = (long long)(blockIdx.x % tiles) * blockDim.x + threadIdx.x;
  Segment segment(length, share);
  State s = OP::identity();
  if (column < inner) {
    s = fold<OP>(Line{x + outer * length * inner + column, inner}, s, segment.begin + threadIdx.y, segment.end, blockDim.y);
  }
  s = column_reduce<OP>(s, shared);
  if (threadIdx.y == 0 && column < inner) write(s, y, part, outer, column, inner, n);
}

extern "C" __global__ void __launch_bounds__(512, 1)
reduce_rows(const T* __restrict__ x, OUT* __restrict__ y, unsigned char* __restrict__ part, long long outer,
            long long length, long long share) {
  __shared__ State shared[32];
  rows<Elements>(x, y, (State*)part, outer, length, share, length, shared);
}

extern "C" __global__ void __launch_bounds__(512, 1)
finish_rows(const unsigned char* __restrict__ part, OUT* __restrict__ y, long long outer, long long segments, long long n) {
  __shared__ State shared[32];
  rows<Partials>((const State*)part, y, nullptr, outer, segments, segments, n, shared);
}

extern "C" __global__ void __launch_bounds__(256, 1)
reduce_columns(const T* __restrict__ x, OUT* __restrict__ y, unsigned char* __restrict__ part, long long length,
               long long inner, long long share) {
  __shared__ State shared[256];
  columns<Elements>(x, y, (State*)part, length, inner, share, length, shared);
}

extern "C" __global__ void __launch_bounds__(256, 1)
finish_columns(const unsigned char* __restrict__ part, OUT* __restrict__ y, long long segments, long long inner,
               long long n) {
  __shared__ State shared[256];
  columns<Partials>((const State*)part, y, nullptr, segments, inner, segments, n, shared);
}
