// What code compiled with -fsanitize=thread calls before each load and store.  GCC takes these functions for ones that
// never throw, so a fault leaves through the fiber switch.
#include "checker.h"

#include "block.h"

namespace gradlib_sim {

// nullptr outside a checked launch: constructors of a module, say.
static inline Checker* active() {
    Worker* worker = static_cast<Worker*>(gradlib_sim_context.worker);
    return worker ? worker->checker() : nullptr;
}

static inline void see(void* address, size_t size, AccessKind kind, unsigned alignment, void* pc) {
    if (Checker* checker = active()) {
        checker->access(reinterpret_cast<Address>(address), (unsigned)size, kind, alignment,
                        reinterpret_cast<Address>(pc));
    }
}

template <class V>
static inline unsigned long long bits(V value) {
    return (unsigned long long)value;
}

// The memory order of an atomic as the compiler says it: 0 relaxed, 1 consume, 2 acquire, 3 release, 4 both, 5 seq.
static inline void synchronize(Checker* checker, void* address, bool reads, bool writes, int order) {
    Address a = reinterpret_cast<Address>(address);
    if (writes) checker->atomic_done(a, false, true, order >= 3);
    if (reads) checker->atomic_done(a, true, false, order == 1 || order == 2 || order >= 4);
}

template <class V>
static V load(const volatile V* address, int order, void* pc) {
    Checker* checker = active();
    if (!checker) return __atomic_load_n(address, __ATOMIC_SEQ_CST);
    void* place = const_cast<V*>(address);
    see(place, sizeof(V), atomic_read, sizeof(V), pc);
    // Others run while it waits for a value, and a volatile load reads only when this returns.
    checker->spins(reinterpret_cast<Address>(place), bits(__atomic_load_n(address, __ATOMIC_SEQ_CST)),
                   reinterpret_cast<Address>(pc));
    synchronize(checker, place, true, false, order);
    return __atomic_load_n(address, __ATOMIC_SEQ_CST);
}

template <class V>
static void store(volatile V* address, V value, int order, void* pc) {
    if (Checker* checker = active()) {
        see(const_cast<V*>(address), sizeof(V), atomic_write, sizeof(V), pc);
        synchronize(checker, const_cast<V*>(address), false, true, order);
    }
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);
}

template <class V, class Act>
static V update(volatile V* address, int order, void* pc, Act act) {
    Checker* checker = active();
    void* place = const_cast<V*>(address);
    if (checker) {
        see(place, sizeof(V), atomic_update, sizeof(V), pc);
        synchronize(checker, place, true, true, order);
    }
    V old = act();
    if (checker) checker->spins(reinterpret_cast<Address>(place), bits(old), reinterpret_cast<Address>(pc));
    return old;
}

}  // namespace gradlib_sim

using namespace gradlib_sim;
#define GRADLIB_SIM_PC __builtin_return_address(0)

#pragma GCC visibility push(default)
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void* pc) {  // of the call
    Worker* worker = static_cast<Worker*>(gradlib_sim_context.worker);
    if (!worker || __builtin_expect(!worker->stack_is_full(), 1)) return;
    worker->note_crash(Crash::full_stack, reinterpret_cast<Address>(pc), __builtin_frame_address(0));
    worker->crashed();
}
void __tsan_func_exit() {}

#define GRADLIB_SIM_ACCESS(size)                                                                                   \
    void __tsan_read##size(void* a) { see(a, size, plain_read, size, GRADLIB_SIM_PC); }                            \
    void __tsan_write##size(void* a) { see(a, size, plain_write, size, GRADLIB_SIM_PC); }                          \
    void __tsan_unaligned_read##size(void* a) { see(a, size, plain_read, 1, GRADLIB_SIM_PC); }                     \
    void __tsan_unaligned_write##size(void* a) { see(a, size, plain_write, 1, GRADLIB_SIM_PC); }                   \
    void __tsan_volatile_write##size(void* a) {                                                                    \
        see(a, size, atomic_write, size, GRADLIB_SIM_PC);                                                          \
        if (Checker* checker = active()) synchronize(checker, a, false, true, 0);                                  \
    }
GRADLIB_SIM_ACCESS(1) GRADLIB_SIM_ACCESS(2) GRADLIB_SIM_ACCESS(4) GRADLIB_SIM_ACCESS(8) GRADLIB_SIM_ACCESS(16)

#define GRADLIB_SIM_VOLATILE(size, type)                                                                           \
    void __tsan_volatile_read##size(void* a) { load(static_cast<type*>(a), 0, GRADLIB_SIM_PC); }
GRADLIB_SIM_VOLATILE(1, uint8_t) GRADLIB_SIM_VOLATILE(2, uint16_t) GRADLIB_SIM_VOLATILE(4, uint32_t)
GRADLIB_SIM_VOLATILE(8, uint64_t)
void __tsan_volatile_read16(void* a) { see(a, 16, atomic_read, 16, GRADLIB_SIM_PC); }

void __tsan_read_range(void* a, size_t size) { see(a, size, plain_read, 1, GRADLIB_SIM_PC); }
void __tsan_write_range(void* a, size_t size) { see(a, size, plain_write, 1, GRADLIB_SIM_PC); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Calls of memcpy and memset in a kernel arrive here (see context.h).
void* gradlib_sim_memcpy(void* target, const void* source, size_t size) {
    see(const_cast<void*>(source), size, plain_read, 1, GRADLIB_SIM_PC);
    see(target, size, plain_write, 1, GRADLIB_SIM_PC);
    return memcpy(target, source, size);
}
void* gradlib_sim_memset(void* target, int value, size_t size) {
    see(target, size, plain_write, 1, GRADLIB_SIM_PC);
    return memset(target, value, size);
}

int gradlib_sim_printf(const char* format, ...) {
    Checker* checker = running().checker();
    if (checker && checker->quiet()) return 0;
    va_list arguments;
    va_start(arguments, format);
    int count = vprintf(format, arguments);
    va_end(arguments);
    return count;
}

void __tsan_atomic_thread_fence(int) {
    if (Checker* checker = active()) checker->fence();
}
void __tsan_atomic_signal_fence(int) {}

#define GRADLIB_SIM_UPDATE(n, type, name, builtin)                                                                 \
    type __tsan_atomic##n##_##name(volatile type* a, type v, int order) {                                          \
        return update(a, order, GRADLIB_SIM_PC, [=] { return builtin(a, v, __ATOMIC_SEQ_CST); });                  \
    }
#define GRADLIB_SIM_CAS(n, type, name)                                                                             \
    int __tsan_atomic##n##_compare_exchange_##name(volatile type* a, type* expected, type v, int order, int) {     \
        type wanted = *expected;                                                                                   \
        *expected = update(a, order, GRADLIB_SIM_PC, [=] {                                                         \
            type old = wanted;                                                                                     \
            __atomic_compare_exchange_n(a, &old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                    \
            return old;                                                                                            \
        });                                                                                                        \
        return *expected == wanted;                                                                                \
    }
#define GRADLIB_SIM_ATOMIC(n, type)                                                                                \
    type __tsan_atomic##n##_load(const volatile type* a, int order) { return load(a, order, GRADLIB_SIM_PC); }     \
    void __tsan_atomic##n##_store(volatile type* a, type v, int order) { store(a, v, order, GRADLIB_SIM_PC); }     \
    GRADLIB_SIM_UPDATE(n, type, exchange, __atomic_exchange_n)                                                     \
    GRADLIB_SIM_UPDATE(n, type, fetch_add, __atomic_fetch_add)                                                     \
    GRADLIB_SIM_UPDATE(n, type, fetch_sub, __atomic_fetch_sub)                                                     \
    GRADLIB_SIM_UPDATE(n, type, fetch_and, __atomic_fetch_and)                                                     \
    GRADLIB_SIM_UPDATE(n, type, fetch_or, __atomic_fetch_or)                                                       \
    GRADLIB_SIM_UPDATE(n, type, fetch_xor, __atomic_fetch_xor)                                                     \
    GRADLIB_SIM_UPDATE(n, type, fetch_nand, __atomic_fetch_nand)                                                   \
    GRADLIB_SIM_CAS(n, type, strong)                                                                               \
    GRADLIB_SIM_CAS(n, type, weak)
GRADLIB_SIM_ATOMIC(8, uint8_t) GRADLIB_SIM_ATOMIC(16, uint16_t) GRADLIB_SIM_ATOMIC(32, uint32_t)
GRADLIB_SIM_ATOMIC(64, uint64_t)
}
#pragma GCC visibility pop
