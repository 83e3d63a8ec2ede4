// Qualifiers, built-in variables, shared memory and kernel entries: the interface of a compiled kernel to runtime.cpp.
#pragma once

typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;

#if defined(GRADLIB_SIM_CHECKED)
#define __global__ __attribute__((noinline))  // a frame that fills the stack is then the kernel's, with a line of its own
#else
#define __global__
#endif
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __cluster_dims__(...)  // Python reads it: GRADLIB_SIM_CLUSTER below
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __attribute__((aligned(n)))

// Python rewrites every declaration of a shared variable; one that it did not see must not pass as a plain variable.
#define __shared__ _Pragma("GCC error \"sim does not understand this __shared__ declaration (does a macro make it?)\"")
#define asm \
    _Pragma("GCC error \"sim: inline PTX has no meaning on the host: guard it with #ifndef GRADLIB_SIM\"") __asm__

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return uint3{x, y, z}; }
};

namespace gradlib_sim {

// One shared variable of a module; `index` is its place in the table of every worker, 0 until its first use.
struct SharedVariable {
    const char* name;
    size_t size, alignment;
    unsigned index;
};

// Where a worker put shared variable i, valid for the block whose number is `epoch`.
struct SharedEntry {
    unsigned long long epoch;
    void* address;
};

// What the running CUDA thread sees.  One per OS thread: a block never leaves the OS thread that started it.
struct Context {
    uint3 thread, block, block_dim, grid_dim;
    unsigned linear;                   // number of the running thread in its block
    unsigned count;                    // threads of the block
    unsigned next, finished, waiting;  // threads started; returned; lanes waiting in a warp collective
    uint3 next_thread;                 // index of the next thread to start
    unsigned dynamic_size;
    void* dynamic;
    unsigned* exited;                  // per warp, a bit for each lane that has returned
    SharedEntry* table;
    unsigned long long epoch;          // number of the running block, unique within its worker
    void* worker;                      // the runtime's own state
};

// Where the source called a function that waits; named in the error when the wait can never end.
struct Site {
    const char* what;
    const char* file;
    int line;
};

enum BarrierKind { barrier_plain, barrier_count, barrier_and, barrier_or };
enum CollectiveKind {
    collective_sync, collective_shuffle, collective_ballot, collective_match_any, collective_match_all,
    collective_add, collective_min_signed, collective_max_signed, collective_min_unsigned, collective_max_unsigned,
    collective_and, collective_or, collective_xor, collective_call, collective_aligned,
};

// What a lane hands to collective_call: the last lane of the warp to come computes for all 32.
struct WarpCall {
    void (*compute)(WarpCall* const* lanes);
};

typedef void (*Entry)(const void* arguments);

}  // namespace gradlib_sim

#pragma GCC visibility push(default)  // the runtime defines these, kernels are compiled with hidden names
extern "C" {
extern __thread gradlib_sim::Context gradlib_sim_context;
void* gradlib_sim_shared(gradlib_sim::SharedVariable* variable);
void gradlib_sim_thread_exit();
bool gradlib_sim_start_thread();
void gradlib_sim_finish_thread();
int gradlib_sim_barrier(gradlib_sim::BarrierKind kind, int predicate, const gradlib_sim::Site& site);
unsigned long long gradlib_sim_collective(gradlib_sim::CollectiveKind kind, unsigned mask, unsigned long long value,
                                          int source, const gradlib_sim::Site& site);
unsigned gradlib_sim_active(const gradlib_sim::Site& site);
[[noreturn]] void gradlib_sim_fault(const char* text, const char* detail, const char* file, int line);
int printf(const char* format, ...);
void* memset(void* target, int value, size_t size) noexcept;
void* memcpy(void* target, const void* source, size_t size) noexcept;
void* gradlib_sim_memset(void* target, int value, size_t size);
void* gradlib_sim_memcpy(void* target, const void* source, size_t size);
int gradlib_sim_printf(const char* format, ...);
}
#pragma GCC visibility pop
#if defined(GRADLIB_SIM_CHECKED)
#define memset gradlib_sim_memset  // the compiler reports no call of these
#define memcpy gradlib_sim_memcpy
#endif
#define printf gradlib_sim_printf  // which prints in the first order of a checked launch's threads alone

#define threadIdx (static_cast<const ::uint3&>(::gradlib_sim_context.thread))
#define blockIdx (static_cast<const ::uint3&>(::gradlib_sim_context.block))
#define blockDim (::dim3(::gradlib_sim_context.block_dim))
#define gridDim (::dim3(::gradlib_sim_context.grid_dim))
static const int warpSize = 32;

#define assert(condition) \
    ((condition) ? (void)0 : ::gradlib_sim_fault("assertion failed: ", #condition, __FILE__, __LINE__))
inline void __trap() { gradlib_sim_fault("__trap() was called", "", "", 0); }

namespace gradlib_sim {

template <class V>
inline __attribute__((always_inline)) V& shared(SharedVariable& variable) {
#if defined(GRADLIB_SIM_CHECKED)  // nothing but the kernel's own accesses should report themselves
    return *static_cast<V*>(gradlib_sim_shared(&variable));
#else
    SharedEntry& entry = gradlib_sim_context.table[__atomic_load_n(&variable.index, __ATOMIC_RELAXED)];
    void* address = entry.address;
    if (__builtin_expect(entry.epoch != gradlib_sim_context.epoch, 0)) address = gradlib_sim_shared(&variable);
    return *static_cast<V*>(address);
#endif
}

template <class V>
inline V& dynamic_shared() {
    return *static_cast<V*>(gradlib_sim_context.dynamic);
}

// Threads that never wait run one after another in the loop of `run_threads`, on one stack.
inline bool start_thread() {
    Context& c = gradlib_sim_context;
    if (c.next == c.count) return false;
    c.linear = c.next++;
    c.thread = c.next_thread;
    if (++c.next_thread.x == c.block_dim.x) {
        c.next_thread.x = 0;
        if (++c.next_thread.y == c.block_dim.y) {
            c.next_thread.y = 0;
            ++c.next_thread.z;
        }
    }
    return true;
}

inline void finish_thread() {
    Context& c = gradlib_sim_context;
    ++c.finished;
    c.exited[c.linear / 32] |= 1u << (c.linear % 32);
    if (__builtin_expect(c.waiting != 0, 0)) gradlib_sim_thread_exit();
}

template <int... I>
struct Indices {};
#if defined(__clang__)
template <class, int... I>
using IndexList = Indices<I...>;
template <int N>
using FirstIndices = __make_integer_seq<IndexList, int, N>;
#else
template <int N>
using FirstIndices = Indices<__integer_pack(N)...>;
#endif

// The offset of parameter `n` in a C struct of the parameters; for n == sizeof...(P), where the last one ends.
template <class... P>
constexpr size_t parameter_offset(int n) {
    constexpr size_t size[] = {sizeof(P)..., 0}, alignment[] = {alignof(P)..., 1};
    size_t offset = 0;
    for (int i = 0; i < n; ++i) {
        offset = (offset + alignment[i] - 1) / alignment[i] * alignment[i] + size[i];
    }
    return (offset + alignment[n] - 1) / alignment[n] * alignment[n];
}

template <class V>
struct Parameter {
    alignas(V) char bytes[sizeof(V)];
    explicit Parameter(const void* from) { __builtin_memcpy(bytes, from, sizeof(V)); }
    operator V&() { return *reinterpret_cast<V*>(bytes); }
};

template <auto kernel, class... P, int... I>
inline void run_threads(void (*)(P...), Indices<I...>, const void* arguments) {
#if defined(GRADLIB_SIM_CHECKED)
    while (gradlib_sim_start_thread()) {
        kernel(Parameter<P>(static_cast<const char*>(arguments) + parameter_offset<P...>(I))...);
        gradlib_sim_finish_thread();
    }
#else
    while (start_thread()) {
        kernel(Parameter<P>(static_cast<const char*>(arguments) + parameter_offset<P...>(I))...);
        finish_thread();
    }
#endif
}

template <class... P>
constexpr unsigned parameter_bytes(void (*)(P...)) {
    return parameter_offset<P...>(sizeof...(P));
}

template <class... P>
constexpr int parameter_count(void (*)(P...)) {
    return sizeof...(P);
}

}  // namespace gradlib_sim

// What Python appends for each entry: the function the runtime calls, and the size of its argument block.
#define GRADLIB_SIM_EXPORT extern "C" __attribute__((visibility("default")))
#define GRADLIB_SIM_ENTRY(name)                                                                                   \
    GRADLIB_SIM_EXPORT void gradlib_sim_entry_##name(const void* arguments) {                                     \
        ::gradlib_sim::run_threads<&name>(                                                                        \
            &name, ::gradlib_sim::FirstIndices<::gradlib_sim::parameter_count(&name)>{}, arguments);              \
    }                                                                                                             \
    GRADLIB_SIM_EXPORT const unsigned gradlib_sim_bytes_##name = ::gradlib_sim::parameter_bytes(&name);

// And for an entry with __cluster_dims__, these.
template <int X = 1, int Y = 1, int Z = 1>
struct GradlibSimCluster { static constexpr uint3 size{X, Y, Z}; };
#define GRADLIB_SIM_CLUSTER(name, ...) \
    GRADLIB_SIM_EXPORT const uint3 gradlib_sim_cluster_##name = GradlibSimCluster<__VA_ARGS__>::size;

// Part of what Python makes of `__shared__ V name;`: V has been typedef'd on the same line, so that lines keep their
// numbers.
#define GRADLIB_SIM_SHARED_VARIABLE(name, align)                                                                  \
    static ::gradlib_sim::SharedVariable gradlib_variable_##name = {                                              \
        #name, sizeof(gradlib_type_##name),                                                                       \
        (align) > alignof(gradlib_type_##name) ? (align) : alignof(gradlib_type_##name), 0}
#define GRADLIB_SIM_JOIN(left, right) left##right
